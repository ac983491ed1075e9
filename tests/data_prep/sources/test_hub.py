"""Parquet files and webdataset tars of the Hugging Face hub, written here by pyarrow and tarfile."""

import io
import json
import tarfile

import numpy as np
import pytest
from PIL import Image

from data_prep import compact, spool
from data_prep.compaction import compact as compact_source
from data_prep.export_squares import export_squares
from data_prep.sources import open_source
from saliency_keras.console import UserError

pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install '.[hub]'")
pq = pytest.importorskip("pyarrow.parquet")

CLASSES = ("cat", "dog", "eel")


def features(names=CLASSES, label="label"):
    """What the hub's library writes into the schema of a set with pictures and named classes."""
    said = {"image": {"_type": "Image"}, label: {"names": list(names), "_type": "ClassLabel"}}
    return {b"huggingface": json.dumps({"info": {"features": said}}).encode()}


def write_parquet(path, rows, metadata=None, group=4, **options):
    """Writes `(bytes, path, label)` rows as the hub does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content, names, labels = zip(*rows, strict=True)
    pictures = pa.array([{"bytes": one, "path": name} for one, name in zip(content, names, strict=True)])
    table = pa.table({"image": pictures, "label": list(labels)})
    table = table.replace_schema_metadata(metadata)
    pq.write_table(table, path, row_group_size=group, **options)


def rows_of(tree, split):
    """The pictures of an image folder's split, with labels by number."""
    return [
        (path.read_bytes(), path.name, label)
        for label, name in enumerate(CLASSES)
        for path in sorted((tree / split / name).iterdir())
    ]


@pytest.fixture
def hub(tree, tmp_path):
    """The fixture `tree` as a set of the hub: two train files and a validation file."""
    train = rows_of(tree, "train")
    order = np.random.default_rng(0).permutation(len(train))
    train = [train[at] for at in order]
    write_parquet(tmp_path / "hub/data/train-00000-of-00002.parquet", train[:10], features())
    write_parquet(tmp_path / "hub/data/train-00001-of-00002.parquet", train[10:], features())
    write_parquet(tmp_path / "hub/data/validation-00000-of-00001.parquet", rows_of(tree, "val"), features())
    return tmp_path / "hub"


def shards(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*-of-*")}


def make(source, out, **options):
    options = {"saliency": ["center"], "side": 32, "workers": 0, "shards": 3, **options}
    return compact_source(open_source(source), out, **options)


def test_parquet_files_make_the_shards_of_the_folder_that_they_were_made_of(tree, hub, tmp_path):
    manifest = make(hub, tmp_path / "a")
    make(tree, tmp_path / "b")
    assert shards(tmp_path / "a") == shards(tmp_path / "b")
    assert manifest.classes == CLASSES
    assert [split.records for split in manifest.splits.values()] == [18, 9]
    left = {path.name for path in (tmp_path / "a").iterdir()}
    assert left == {path.name for path in (tmp_path / "b").iterdir()}


def test_shards_do_not_depend_on_workers_nor_on_the_groups_of_rows(tree, hub, tmp_path):
    make(hub, tmp_path / "a")
    make(hub, tmp_path / "b", workers=2)
    other = tmp_path / "other"
    write_parquet(other / "train.parquet", rows_of(tree, "train"), features(), group=1000, compression="gzip")
    write_parquet(other / "valid.parquet", rows_of(tree, "val"), features(), group=1)
    make(other, tmp_path / "c")
    assert shards(tmp_path / "a") == shards(tmp_path / "b") == shards(tmp_path / "c")


@pytest.mark.parametrize("tar", [False, True])
def test_squares_for_a_predictor_elsewhere_are_those_of_the_folder(tree, hub, tmp_path, tar):
    for source, out in ((hub, "a"), (tree, "b")):
        export_squares(source, tmp_path / out, tar=tar, workers=0, square=40, shorter=40, side=40)
    a, b = ({path.relative_to(tmp_path / out): path.read_bytes() for path in (tmp_path / out).rglob("*")
             if path.suffix in (".png", ".tar", ".npy", ".csv")} for out in ("a", "b"))  # fmt: skip
    assert a == b
    assert len(a) == (2 if tar else 27) + 2
    assert not (tmp_path / "a" / spool.FOLDER).exists()


def test_each_picture_is_read_once_and_what_waits_in_memory_is_bounded(hub, tmp_path, monkeypatch):
    source = open_source(hub)
    read, contents = [], source.contents

    def counted(pictures):
        for number, content in contents(pictures):
            read.append(pictures[number].place)
            yield number, content

    source.contents = counted
    monkeypatch.setattr(spool, "HELD", 1)  # every picture is written at once
    compact_source(source, tmp_path / "out", ["center"], 32, workers=0, shards=3)
    assert len(read) == len(set(read)) == 27
    make(hub, tmp_path / "b")
    assert shards(tmp_path / "out") == shards(tmp_path / "b")


def test_a_run_stopped_after_the_source_was_read_does_not_read_it_again(hub, tmp_path, monkeypatch):
    from data_prep import shards as sharding

    whole, done = sharding._write_batch, []

    def stop(task, *arguments):
        if len(done) > 1:
            raise KeyboardInterrupt
        done.append(task)
        return whole(task, *arguments)

    monkeypatch.setattr(sharding, "_write_batch", stop)
    with pytest.raises(KeyboardInterrupt):
        make(hub, tmp_path / "out")
    monkeypatch.undo()
    monkeypatch.setattr(spool, "_append", None)  # it is not called
    make(hub, tmp_path / "out")
    monkeypatch.undo()
    make(hub, tmp_path / "b")
    assert shards(tmp_path / "out") == shards(tmp_path / "b")
    assert not (tmp_path / "out" / spool.FOLDER).exists()


def test_a_disk_that_is_full_while_the_source_is_read_says_so_and_leaves_nothing(hub, tmp_path, monkeypatch):
    import errno

    def full(path, *_):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(spool, "open", full, raising=False)
    with pytest.raises(UserError, match="no room left for the source's pictures"):
        make(hub, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_picture_that_is_damaged_or_absent_is_skipped_and_named(tree, hub, tmp_path):
    rows = rows_of(tree, "val")
    rows[0], rows[4] = (b"no picture", "broken.jpg", 0), (None, "absent.jpg", 1)
    write_parquet(hub / "data/validation-00000-of-00001.parquet", rows, features())
    manifest = make(hub, tmp_path / "out")
    assert manifest.splits["val"].records == 7
    skipped = (tmp_path / "out/skipped.csv").read_text()
    assert 'cat/broken.jpg,"not a picture, or of a format unknown to Pillow",val' in skipped
    assert "dog/absent.jpg,the file is empty,val" in skipped


def test_names_that_are_missing_or_not_unique_become_numbers(tree, tmp_path):
    for name, rows in (
        ("missing", [(one, None, label) for one, _, label in rows_of(tree, "train")]),
        ("same", [(one, "image.png", label) for one, _, label in rows_of(tree, "train")]),
    ):
        write_parquet(tmp_path / name / "train-0.parquet", rows, features())
        write_parquet(tmp_path / name / "test-0.parquet", rows_of(tree, "val"), features())
        source = open_source(tmp_path / name)
        assert [one.id for one in source.pictures("train")][:2] == ["cat/train-0000000", "cat/train-0000001"]
        assert source.pictures("val")[0].id == "cat/000.png"


def test_labels_without_names_and_texts_are_classes_too(tree, tmp_path):
    rows = rows_of(tree, "train")
    write_parquet(tmp_path / "n" / "train.parquet", [(one, name, 9 * label + 2) for one, name, label in rows])
    source = open_source(tmp_path / "n", hold_out=0.3)
    assert source.classes == ("2", "11", "20")
    write_parquet(tmp_path / "t" / "train.parquet", [(one, name, CLASSES[label]) for one, name, label in rows])
    source = open_source(tmp_path / "t", hold_out=0.3)
    assert source.classes == CLASSES
    both = [len(source.pictures(split)) for split in ("train", "val")]
    assert sum(both) == 18
    assert min(both) >= 3


def test_a_column_of_bytes_and_a_file_alone_are_read(tree, tmp_path):
    rows = rows_of(tree, "train")
    table = pa.table(
        {"png": [one for one, *_ in rows], "species": [CLASSES[label] for *_, label in rows], "x": [1] * 18}
    )
    pq.write_table(table, tmp_path / "all.parquet")
    with pytest.raises(
        UserError, match=r"no column label, or several; its columns are png, species, x. --label COLUMN"
    ):
        open_source(tmp_path / "all.parquet", hold_out=0.3)
    source = open_source(tmp_path / "all.parquet", hold_out=0.3, label="species")
    assert source.classes == CLASSES
    one = source.pictures("train")[0]
    assert source.content(one) == rows[one.place.row][0]


def test_of_several_labels_the_one_that_is_asked_for_is_taken(tree, tmp_path):
    said = {
        "img": {"_type": "Image"},
        "fine_label": {"names": list(CLASSES), "_type": "ClassLabel"},
        "coarse_label": {"names": ["land", "sea"], "_type": "ClassLabel"},
    }
    for split in ("train", "test"):
        rows = rows_of(tree, "train" if split == "train" else "val")
        table = pa.table(
            {
                "img": [{"bytes": one, "path": None} for one, *_ in rows],
                "fine_label": [label for *_, label in rows],
                "coarse_label": [int(label == 2) for *_, label in rows],
            }
        ).replace_schema_metadata({b"huggingface": json.dumps({"info": {"features": said}}).encode()})
        (tmp_path / "cifar").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / f"cifar/{split}-00000-of-00001.parquet")
    with pytest.raises(UserError, match=r"no column label, or several.*--label fine_label, for example"):
        open_source(tmp_path / "cifar")
    assert open_source(tmp_path / "cifar", label="coarse_label").classes == ("land", "sea")
    assert open_source(tmp_path / "cifar", label="fine_label").classes == CLASSES


def test_pictures_without_a_label_are_left_out_and_counted_and_a_split_of_them_is_not_val(tree, hub, tmp_path):
    write_parquet(
        hub / "data/test-00000-of-00001.parquet", [(*row[:2], -1) for row in rows_of(tree, "val")], features()
    )
    source = open_source(hub)
    assert "9 pictures of test have no label and are left out" in source.notes
    assert len(source.pictures("val")) == 9
    (hub / "data/validation-00000-of-00001.parquet").unlink()
    with pytest.raises(UserError, match=r"has no val pictures \(it has train\).* The pictures of test have no labels"):
        open_source(hub)


def test_splits_may_be_folders_as_the_hub_converts_them(tree, tmp_path):
    write_parquet(tmp_path / "c/default/train/0000.parquet", rows_of(tree, "train"), features())
    write_parquet(tmp_path / "c/default/validation/0000.parquet", rows_of(tree, "val"), features())
    source = open_source(tmp_path / "c")
    assert [len(source.pictures(split)) for split in ("train", "val")] == [18, 9]


def test_several_configurations_are_named_and_one_of_them_is_read(tree, tmp_path):
    for name in ("160px", "full"):
        write_parquet(tmp_path / f"i/{name}/train-00000-of-00001.parquet", rows_of(tree, "train"), features())
        write_parquet(tmp_path / f"i/{name}/validation-00000-of-00001.parquet", rows_of(tree, "val"), features())
    with pytest.raises(UserError, match=r"several configurations \(160px, full\)"):
        open_source(tmp_path / "i")
    assert open_source(tmp_path / "i/full").classes == CLASSES


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "damaged or not whole"),
        (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull"),
        (lambda path: write_parquet(path, [(b"", "a", 7), (b"", "b", 0)], features()), "the set names 3 classes"),
        (lambda path: write_parquet(path, [(b"", "a", 0.5), (b"", "b", 0)]), "other columns or class names"),
        (lambda path: write_parquet(path, [(b"", "a", 0)], features(("cat", "dog"))), "other columns or class names"),
        (
            lambda path: pq.write_table(pa.table({"image": ["a.jpg"], "label": [0]}), path),
            "no column with the bytes of pictures.*LIST.csv of path,label",
        ),
        (lambda path: write_parquet(path, [(b"", "a", [0, 1])], features()), "a picture has one label"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(hub, change, said):
    change(hub / "data/validation-00000-of-00001.parquet")
    with pytest.raises(UserError, match=said) as caught:
        open_source(hub)
    assert "\n" not in str(caught.value)


def test_a_file_damaged_among_its_pictures_is_told_as_that(hub, tmp_path, capsys):
    path = hub / "data/train-00000-of-00002.parquet"
    content = bytearray(path.read_bytes())
    content[4:40] = bytes(36)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"train-00000-of-00002.parquet is damaged or not whole"):
        make(hub, tmp_path / "out")


def test_without_pyarrow_the_extra_is_named(hub, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"install pyarrow: `pip install \.\[hub\]`"):
        open_source(hub)


def test_file_names_without_a_split_say_what_to_do(tree, tmp_path):
    write_parquet(tmp_path / "part-0.parquet", rows_of(tree, "train"), features())
    with pytest.raises(UserError, match=r"say no split \(the first: part-0.parquet\).*--hold-out 0.1"):
        open_source(tmp_path)


def test_the_command_makes_a_set_of_parquet_files_and_tells_duplicates(tree, hub, tmp_path, capsys):
    rows = [*rows_of(tree, "val"), (*rows_of(tree, "train")[0][:1], "again.png", 2)]
    write_parquet(hub / "data/validation-00000-of-00001.parquet", rows, features())
    compact.main([str(hub), str(tmp_path / "out"), "--saliency", "center", "--side", "32", "--workers", "0"])
    said = capsys.readouterr().out
    assert "1 of 10 val pictures are duplicates of pictures in train, 1 of them under another class" in said
    compact.main([str(hub), str(tmp_path / "out"), "--saliency", "center", "--side", "32", "--workers", "0"])
    assert "already there and finished" in capsys.readouterr().out


def test_a_picture_changed_in_its_parquet_file_makes_another_set(tree, hub, tmp_path):
    make(hub, tmp_path / "out")
    rows = rows_of(tree, "val")
    picture = Image.new("RGB", (40, 30), "red")
    content = io.BytesIO()
    picture.save(content, "PNG")
    content = content.getvalue().ljust(len(rows[0][0]), b"\0")
    path = hub / "data/validation-00000-of-00001.parquet"
    write_parquet(path, [(content, *rows[0][1:]), *rows[1:]], features())
    with pytest.raises(UserError, match="other pictures"):
        make(hub, tmp_path / "out")


# webdataset


def write_tar(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


@pytest.fixture
def tars(tree, tmp_path):
    """The fixture `tree` as webdataset tars, class names in a file."""
    for split, said in (("train", "set-train"), ("val", "set-validation")):
        files = []
        for content, name, label in rows_of(tree, split):
            key = f"{CLASSES[label]}_{name.partition('.')[0]}"
            files += [(f"{key}.png", content), (f"{key}.cls", str(label).encode()), (f"{key}.json", b"{}")]
        half = len(files) // 6 * 3
        write_tar(tmp_path / f"wds/{said}-0000.tar", files[:half])
        write_tar(tmp_path / f"wds/{said}-0001.tar", files[half:])
    (tmp_path / "wds/classnames.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    return tmp_path / "wds"


def test_tars_have_the_pictures_of_the_folder_with_its_labels(tree, tars, tmp_path):
    source = open_source(tars)
    assert source.description["kind"] == "webdataset"
    assert source.classes == CLASSES
    folder = open_source(tree)
    for split in ("train", "val"):
        there = {(one.label, folder.content(one)) for one in folder.pictures(split)}
        assert {(one.label, source.content(one)) for one in source.pictures(split)} == there
    assert source.pictures("val")[0].id == "cat/cat_000.png"
    make(tars, tmp_path / "a")
    make(tars, tmp_path / "b", workers=2)
    assert shards(tmp_path / "a") == shards(tmp_path / "b")


def test_labels_may_be_texts_or_in_json_and_a_tar_may_be_alone(tree, tmp_path):
    files = []
    for number, (content, _, label) in enumerate(rows_of(tree, "train")):
        files += [
            (f"./{number:05d}.png", content),
            (f"./{number:05d}.json", json.dumps({"label": label, "caption": "…"}).encode()),
        ]
    files.append(("./99999.json", b'{"label": 1}'))  # a sample without a picture
    write_tar(tmp_path / "photos.tar", files)
    source = open_source(tmp_path / "photos.tar", hold_out=0.3)
    assert source.classes == ("0", "1", "2")
    assert sum(len(source.pictures(split)) for split in ("train", "val")) == 18


def test_a_sample_without_a_label_is_counted_and_one_with_two_pictures_refused(tree, tars):
    (content, *_), *_ = rows_of(tree, "val")
    write_tar(tars / "set-validation-0002.tar", [("a.jpg", content), ("b.jpg", content), ("b.cls", b"0")])
    source = open_source(tars)
    assert "1 pictures of validation have no label and are left out" in source.notes
    assert len(source.pictures("val")) == 10
    write_tar(tars / "set-validation-0003.tar", [("a.left.jpg", content), ("a.right.jpg", content), ("a.cls", b"0")])
    with pytest.raises(UserError, match=r"the sample a of .*0003.tar has several pictures \(a.left.jpg, a.right.jpg\)"):
        open_source(tars)


def test_a_tar_that_is_cut_off_is_told_as_that(tars):
    path = tars / "set-train-0001.tar"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"set-train-0001.tar is damaged or not whole"):
        open_source(tars).pictures("train")


def test_an_archive_of_class_folders_is_no_webdataset(tree, tmp_path):
    with tarfile.open(tmp_path / "tree.tar", "w") as tar:
        tar.add(tree, "tree")
    assert open_source(tmp_path / "tree.tar").description["kind"] == "archive"


def test_columns_are_for_sources_that_have_some(tree, tmp_path):
    with pytest.raises(UserError, match="has no columns; --label is for a list or parquet files"):
        open_source(tree, label="species")
    lines = [f"{path.relative_to(tree)},{path.parent.name}" for path in sorted(tree.glob("train/*/*"))]
    (tree / "list.csv").write_text("\n".join(["path,Bird", *lines]) + "\n")
    assert open_source(tree / "list.csv", hold_out=0.2, label="bird").classes == CLASSES


def test_what_looks_like_a_set_of_the_hub_and_is_none_says_what_to_do(tmp_path):
    (tmp_path / "disk/train").mkdir(parents=True)
    (tmp_path / "disk/train/data-00000-of-00001.arrow").write_bytes(b"ARROW1\0\0")
    with pytest.raises(UserError, match=r"as `save_to_disk` writes; write the set with `to_parquet`"):
        open_source(tmp_path / "disk")
    write_tar(tmp_path / "captions/train-0.tar", [("a.jpg", b"x"), ("a.txt", b"a caption")])
    with pytest.raises(UserError, match=r"It has train-0.tar, which is no tar of a webdataset.*imagenet:"):
        open_source(tmp_path / "captions")


def test_an_image_folder_with_a_stray_table_and_tar_stays_one(tree):
    pq.write_table(pa.table({"a": [1]}), tree / "metadata.parquet")
    write_tar(tree / "original.tar", [("a.jpg", b"x"), ("a.cls", b"0")])
    assert open_source(tree).description["kind"] == "folder"
