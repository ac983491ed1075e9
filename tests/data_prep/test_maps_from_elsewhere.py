"""Maps computed elsewhere, of whole pictures, of their squares and of stored pictures, by `compact` and `add_map`."""

import csv
import json
import os
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from data_prep import add_map as command
from data_prep import compaction
from data_prep.add_map import add_map
from data_prep.sources import open_source
from data_prep.sources.source import FolderSource
from data_prep.sources.with_maps import SourceWithMaps
from saliency_keras import predict
from saliency_keras.console import UserError
from saliency_keras.data.geometry import Framing
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.stored import Records

SIDE, SQUARE = 48, 96
FRAMING = Framing(SQUARE, SQUARE, SIDE)
SIZES = ((120, 80), (80, 120), (96, 96), (200, 61), (70, 71), (64, 64), (300, 200), (33, 90))  # width, height


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 24 pictures of mixed aspects."""
    folder, random = tmp_path_factory.mktemp("mixed") / "photos", np.random.default_rng(0)
    for number in range(24):
        path = folder / ("train", "val")[number >= 16] / ("cat", "dog")[number % 2] / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(random.integers(0, 256, (5, 6, 3), np.uint8))
        coarse.resize(SIZES[number % 8], Image.Resampling.BICUBIC).save(path)
    return folder


def draw_maps(photos, folder, size_of, write):
    """A map for each picture, bright somewhere; returns them by split and id."""
    drawn = {}
    for number, path in enumerate(sorted(photos.glob("*/*/*.jpg"))):
        width, height = size_of(*Image.open(path).size)
        rows, columns = np.mgrid[:height, :width]
        centre = np.random.default_rng(number).uniform(0.1, 0.9, 2) * (height, width)
        levels = np.exp(-((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2) / (width * height / 9))
        place = folder / path.relative_to(photos)
        place.parent.mkdir(parents=True, exist_ok=True)
        drawn[str(path.relative_to(photos))] = write(place, levels.astype("float32"))
    return drawn


def as_npy(place, levels):
    np.save(place.with_suffix(".npy"), levels)
    return levels


def as_png(place, levels):
    grey = np.rint(60000 * levels).astype("uint16")
    Image.fromarray(grey).save(place.with_suffix(".png"))
    return grey.astype("float32")


def whole(width, height):
    return width, height


def smaller(width, height):
    return round(0.7 * width), round(0.7 * height)


def of_square(width, height):
    return SQUARE, SQUARE


def of_stored(width, height):
    return SIDE, SIDE


def compacted(photos, out, maps=None, log=False, **options):
    source = open_source(photos)
    saliency = ("center",)
    if maps is not None:
        source, saliency = SourceWithMaps(source, {"eyes": maps}, log, FRAMING), ("center", "eyes")
    return compaction.compact(
        source, out, saliency, SIDE, "npy", 3, 0, square=SQUARE, shorter=SQUARE, **options
    )  # fmt: skip


@pytest.fixture(scope="module")
def without_maps(photos, tmp_path_factory):
    return compacted(photos, tmp_path_factory.mktemp("sets") / "set").folder


@pytest.fixture
def ready(without_maps, tmp_path):
    """A set of the pictures to which maps can be added."""
    return shutil.copytree(without_maps, tmp_path / "set")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def side_shards(manifest):
    return [path.read_bytes() for split in ("train", "val") for path in manifest.shard_files(split, "eyes")]


def by_hand(levels, size, kind):
    """A stored map worked out by Pillow step by step, in floats: the picture's way, or that of its square."""
    image = Image.fromarray(levels)
    if kind == "picture":
        scale = SQUARE / min(size)
        width, height = (int(np.floor(side * scale + 0.5)) for side in size)
        image = image.resize(size, Image.Resampling.BILINEAR).resize((width, height), Image.Resampling.BILINEAR)
        left, top = (width - SQUARE) // 2, (height - SQUARE) // 2
        image = image.crop((left, top, left + SQUARE, top + SQUARE))
    small = np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return 255 * small / small.max()


KINDS = [(whole, as_png, "picture"), (smaller, as_npy, "picture"), (of_square, as_png, "square"),
         (of_square, as_npy, "square"), (of_stored, as_npy, "stored")]  # fmt: skip


@pytest.mark.parametrize(("size_of", "write", "made_of"), KINDS)
def test_compact_and_add_map_store_the_same_bytes_whatever_the_maps_are_of(
    photos, ready, tmp_path, capsys, size_of, write, made_of
):
    drawn = draw_maps(photos, tmp_path / "maps", size_of, write)
    there = compacted(photos, tmp_path / "compacted", tmp_path / "maps")
    before = contents(ready)
    added, name = add_map(ready, ("eyes", tmp_path / "maps"), workers=0)
    words = {"picture": "whole pictures", "square": "pictures' central squares", "stored": "pictures as stored"}
    assert capsys.readouterr().out.count(f"the maps eyes are those of the {words[made_of]}, as their size says") == 2
    assert name == "eyes"
    assert side_shards(added) == side_shards(there)
    assert [one.map_named("eyes").made_of for one in (added, there)] == [made_of] * 2
    assert added.map_named("eyes").mean == there.map_named("eyes").mean
    assert added.digest() == Manifest.load(ready).digest()
    assert {name: content for name, content in contents(ready).items() if name in before} | {"manifest.json": 0} == {
        **before,
        "manifest.json": 0,
    }
    for split in ("train", "val"):
        records = Records(added, split, "eyes")
        places = np.arange(len(records))
        ids = Records(added, split).ids(places)
        for identifier, saliency in zip(ids, records.maps(places), strict=True):
            path = f"{split}/{identifier}"
            expected = by_hand(drawn[path], Image.open(photos / path).size, made_of)
            assert np.abs(saliency - expected).max() <= 1


@pytest.mark.parametrize("kind", ["tar", "zip", "tars", "class folders"])
def test_maps_may_lie_in_archives_and_in_class_folders(photos, ready, tmp_path, kind):
    draw_maps(photos, tmp_path / "maps", of_square, as_npy)
    expected, _ = add_map(shutil.copytree(ready, tmp_path / "plain"), ("eyes", tmp_path / "maps"), workers=0)
    files = sorted((tmp_path / "maps").rglob("*.npy"))
    place = tmp_path / f"theirs.{kind}"
    if kind == "tar":
        with tarfile.open(place, "w") as packed:
            packed.add(tmp_path / "maps", "out")
    elif kind == "zip":
        with zipfile.ZipFile(place, "w") as packed:
            for one in files:
                packed.write(one, one.relative_to(tmp_path / "maps"))
    elif kind == "tars":
        place.mkdir()
        for number in range(5):
            with tarfile.open(place / f"part-{number}.tar", "w") as packed:
                for one in files[number::5]:
                    packed.add(one, one.relative_to(tmp_path / "maps"))
        (place / "README.tar").write_text("no archive")
    else:
        shutil.copytree(tmp_path / "maps" / "train", place)
        shutil.copytree(tmp_path / "maps" / "val", place, dirs_exist_ok=True)
    added, _ = add_map(ready, ("eyes", place), workers=0)
    assert side_shards(added) == side_shards(expected)
    if kind != "class folders":
        there = compacted(photos, tmp_path / "compacted", place)
        assert side_shards(there) == side_shards(expected)


def test_what_predict_writes_of_a_source_comes_back_whatever_its_tree(tmp_path):
    """ImageNet's validation pictures lie in no class folders; their maps need not either."""
    random = np.random.default_rng(1)
    folder = tmp_path / "ilsvrc"
    wnids = ("n01440764", "n01443537")
    names = [f"train/{wnid}/{wnid}_{n}.JPEG" for wnid in wnids for n in range(3)]
    names += [f"val/ILSVRC2012_val_0000000{n}.JPEG" for n in (1, 2, 3)]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (90, 70, 3), np.uint8)).save(folder / name, "JPEG")
    with open(folder / "LOC_val_solution.csv", "w", newline="") as file:
        rows = [(f"ILSVRC2012_val_0000000{n}", f"{wnids[n % 2]} 1 2 3 4") for n in (1, 2, 3)]
        csv.writer(file).writerows([("ImageId", "PredictionString"), *rows])
    predict.main(["itti", str(folder), str(tmp_path / "maps")])
    assert (tmp_path / "maps" / "val" / "ILSVRC2012_val_00000002.png").is_file()
    manifest = compacted(f"imagenet:{folder}", tmp_path / "set", tmp_path / "maps")
    records = Records(manifest, "val", "eyes")
    for identifier, saliency in zip(
        Records(manifest, "val").ids(np.arange(3)), records.maps(np.arange(3)), strict=True
    ):
        name = identifier.rpartition("/")[2].replace(".JPEG", ".png")
        levels = np.asarray(Image.open(tmp_path / "maps" / "val" / name)).astype("float32")
        assert np.abs(saliency - by_hand(levels, (70, 90), "picture")).max() <= 1


def test_maps_of_the_squares_of_square_pictures_are_not_scaled_to_the_pictures(tmp_path):
    """Pictures of 40 px whose maps have the square's 96 px: on the way through 40 px they would lose half."""
    random = np.random.default_rng(2)
    for split in ("train", "val"):
        for name in ("cat/0.png", "cat/1.png", "dog/0.png"):
            for folder, size in (("photos", (40, 40, 3)), ("maps", (SQUARE, SQUARE))):
                place = tmp_path / folder / split / name
                place.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(random.integers(0, 256, size, np.uint8)).save(place)
    manifest = compacted(tmp_path / "photos", tmp_path / "set", tmp_path / "maps")
    assert manifest.map_named("eyes").made_of == "square"
    (identifier,), (saliency,) = Records(manifest, "val").ids([0]), Records(manifest, "val", "eyes").maps([0])
    levels = np.asarray(Image.open(tmp_path / "maps" / "val" / identifier)).astype("float32")
    assert np.abs(saliency - by_hand(levels, None, "square")).max() <= 1


def test_log_densities_are_added_as_densities(photos, ready, tmp_path):
    drawn = draw_maps(photos, tmp_path / "maps", of_square, as_npy)
    for path, levels in drawn.items():
        np.save((tmp_path / "maps" / path).with_suffix(".npy"), np.log(levels) - 5)
    with pytest.raises(UserError, match=r"negative values .*say --log"):
        add_map(ready, ("eyes", tmp_path / "maps"), workers=0)
    command.main([str(ready), "--maps", f"eyes={tmp_path / 'maps'}", "--log", "--workers", "0"])
    manifest = Manifest.load(ready)
    assert manifest.map_named("eyes").predictor["log_densities"]
    ids = Records(manifest, "val").ids(np.arange(8))
    for identifier, saliency in zip(ids, Records(manifest, "val", "eyes").maps(np.arange(8)), strict=True):
        assert np.abs(saliency - by_hand(drawn[f"val/{identifier}"], None, "square")).max() <= 1


def test_pictures_cropped_to_boxes_have_their_maps_cropped_too(photos, tmp_path):
    draw_maps(photos, tmp_path / "maps", whole, as_png)
    lines = ["path,label,split,x,y,width,height"]
    for path in sorted(photos.glob("*/*/*.jpg")):
        width, height = Image.open(path).size
        split, name, _ = (parts := path.relative_to(photos).parts)
        lines.append(f"{'/'.join(parts)},{name},{split},{width / 5},{height / 4},{width / 2},{height / 2}")
    (photos / "list.csv").write_text("\n".join(lines))
    there = compacted(photos / "list.csv", tmp_path / "compacted", tmp_path / "maps")
    plain = compacted(photos / "list.csv", tmp_path / "set")
    added, _ = add_map(plain.folder, ("eyes", tmp_path / "maps"), workers=0)
    assert side_shards(added) == side_shards(there)
    (tmp_path / "set" / "frames.npy").unlink()
    with pytest.raises(UserError, match=r"does not say to which boxes .*make it again, or use maps of the squares"):
        add_map(plain.folder, ("other", tmp_path / "maps"), workers=0)


def test_a_set_of_an_earlier_version_takes_the_maps_at_their_size_and_says_so(photos, ready, tmp_path, capsys):
    draw_maps(photos, tmp_path / "maps", whole, as_png)
    expected, _ = add_map(shutil.copytree(ready, tmp_path / "new"), ("eyes", tmp_path / "maps"), workers=0)
    assert "nothing checks their aspect" not in capsys.readouterr().out
    (ready / "frames.npy").unlink()
    added, _ = add_map(ready, ("eyes", tmp_path / "maps"), workers=0)
    assert "does not say what size its pictures had" in capsys.readouterr().out
    assert side_shards(added) == side_shards(expected)


def test_other_maps_under_the_same_name_replace_them_and_the_same_are_nothing_to_do(photos, ready, tmp_path, capsys):
    draw_maps(photos, tmp_path / "maps", of_square, as_npy)
    add_map(ready, ("eyes", tmp_path / "maps"), workers=0)
    before = contents(ready)
    add_map(ready, ("eyes", tmp_path / "maps"), workers=0)
    assert "nothing to do" in capsys.readouterr().out
    assert contents(ready) == before
    np.save(tmp_path / "maps" / "val" / "cat" / "16.npy", np.ones((SQUARE, SQUARE), "float32"))
    manifest, _ = add_map(ready, ("eyes", tmp_path / "maps"), workers=0)
    place = Records(manifest, "val").ids(np.arange(8)).index("cat/16.jpg")
    assert (next(iter(Records(manifest, "val", "eyes").maps([place]))) == 255).all()
    assert "1 of 24 maps eyes are the same everywhere; one is that of cat/16.jpg" in capsys.readouterr().out
    assert set(contents(ready)) - set(before) == {
        path.name for split in ("train", "val") for path in manifest.shard_files(split, "eyes")
    }


def test_stopped_and_run_again_only_the_missing_maps_are_stored(photos, ready, tmp_path, monkeypatch, capsys):
    draw_maps(photos, tmp_path / "maps", whole, as_png)
    expected, _ = add_map(shutil.copytree(ready, tmp_path / "whole"), ("eyes", tmp_path / "maps"), workers=0)
    write, done = command.write_side_shard, []

    def stopping(task, **options):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(task.file)
        return write(task, **options)

    with monkeypatch.context() as patched:
        patched.setattr(command, "write_side_shard", stopping)
        with pytest.raises(KeyboardInterrupt):
            add_map(ready, ("eyes", tmp_path / "maps"), workers=0)
    add_map(ready, ("eyes", tmp_path / "maps"), workers=0)
    assert "2 of 4 side shards are finished" in capsys.readouterr().out
    assert contents(ready) == contents(expected.folder)


@pytest.mark.slow
def test_workers_add_the_same_maps(photos, ready, tmp_path):
    draw_maps(photos, tmp_path / "maps", whole, as_png)
    with tarfile.open(tmp_path / "maps.tar", "w") as packed:
        packed.add(tmp_path / "maps", ".")
    alone = shutil.copytree(ready, tmp_path / "alone")
    add_map(alone, ("eyes", tmp_path / "maps"), workers=0)
    command.main([str(ready), "--maps", f"eyes={tmp_path / 'maps'}", "--workers", "2"])
    assert contents(ready) == contents(alone)
    both, _ = add_map(ready, ("eyes", tmp_path / "maps.tar"), workers=1)
    assert side_shards(both) == side_shards(Manifest.load(alone))


def lost(maps):
    for number in (17, 21):
        (maps / "val" / "dog" / f"{number}.npy").unlink()


def renamed(maps):
    for path in maps.rglob("*.npy"):
        path.rename(path.with_name(f"{path.stem}_saliency.npy"))


def emptied(maps):
    for path in maps.rglob("*.npy"):
        path.unlink()


def squashed(maps):
    for path in maps.rglob("*.npy"):
        np.save(path, np.random.default_rng(0).uniform(0, 1, (70, 70)))


def turned(maps):
    path = maps / "train" / "cat" / "0.npy"
    np.save(path, np.load(path).T)


def mixed(maps):
    np.save(maps / "train" / "dog" / "3.npy", np.ones((SQUARE, SQUARE)))


def not_a_number(maps):
    path = maps / "train" / "dog" / "3.npy"
    levels = np.load(path)
    levels[0, 0] = np.nan
    np.save(path, levels)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lost, r"lacks the maps of 2 of 8 val pictures, the first is that of dog/(17|21)\.jpg: .*/val/dog/\d+\.png\.$"),
        (renamed, r"lacks the maps of 16 of 16 train .*It has 24 maps with other names \(\S+_saliency, .* and 21 more"),
        (emptied, r"lacks the maps of 16 of 16 train .*It has no files"),
        (squashed, r"70x70 and its picture \d+x\d+, which is another aspect; maps are those of the whole pictures or "
                   r"of their squares, 48x48 or 96x96"),
        (turned, r"0\.npy is 80x120 and its picture 120x80, .*fits a picture that is turned"),
        (mixed, r"3\.npy is 96x96 and its picture 200x61, which is another aspect"),
        (not_a_number, r"3\.npy has 1 of 12,200 values that are no numbers"),
    ],
)  # fmt: skip
def test_maps_that_do_not_fit_are_one_sentence_and_leave_the_set_as_it_was(photos, ready, tmp_path, change, sentence):
    draw_maps(photos, tmp_path / "maps", whole, as_npy)
    change(tmp_path / "maps")
    before = contents(ready)
    for attempt in (
        lambda: add_map(ready, ("eyes", tmp_path / "maps"), workers=0),
        lambda: compacted(photos, tmp_path / "compacted", tmp_path / "maps"),
    ):
        with pytest.raises(UserError, match=sentence) as refused:
            attempt()
        assert "\n" not in str(refused.value)
    assert contents(ready) == before
    assert not (tmp_path / "compacted").exists()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--maps", "center=maps"], "center is interleaved .* give the new map another name, --maps NAME=DIR"),
        (["--maps", "eyes=nowhere"], "nowhere is not there: no folder of maps"),
        (["--maps", "eyes=set/skipped.csv"], "skipped.csv is a file, not a folder of maps"),
        (["--maps", "own=maps"], "a map's name"),
        (["--maps", "eyes=maps", "--name", "other"], "leave --name other out"),
        (["--saliency", "center", "--name", "other", "--log"], "there are no --maps"),
    ],
)
def test_mistakes_are_told_and_change_nothing(photos, ready, tmp_path, monkeypatch, words, sentence):
    draw_maps(photos, tmp_path / "maps", of_square, as_npy)
    monkeypatch.chdir(tmp_path)
    before = contents(ready)
    with pytest.raises(UserError, match=sentence):
        command.main(["set", *words, "--workers", "0"])
    assert contents(ready) == before


@pytest.mark.parametrize("words", [[], ["--saliency", "center", "--maps", "eyes=maps"], ["--maps", "maps"]])
def test_one_of_predictor_and_maps_is_asked_for(words, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["set", *words])
    assert ended.value.code == 2
    assert "--maps" in capsys.readouterr().err


def test_frames_are_those_of_the_pictures_and_survive_another_codec(photos, ready, tmp_path):
    from data_prep.convert import convert

    manifest = Manifest.load(ready)
    (photos / "train" / "cat" / "broken.jpg").write_bytes(b"no picture")
    try:
        again = compacted(photos, tmp_path / "again")
    finally:
        (photos / "train" / "cat" / "broken.jpg").unlink()
    raw = convert(ready, tmp_path / "raw", "raw")
    for one in (manifest, again, raw):
        frames = compaction.frames_of(one)
        for split in ("train", "val"):
            records = Records(one, split)
            for identifier, frame in zip(records.ids(np.arange(len(records))), frames[split], strict=True):
                width, height = Image.open(photos / split / identifier).size
                assert frame.tolist() == [height, width, 0, 0, width, height]
    (ready / "frames.npy").write_bytes(b"no array")
    assert compaction.frames_of(manifest) is None


def test_a_shard_that_an_earlier_version_wrote_leaves_the_set_without_frames(photos, tmp_path, monkeypatch):
    from data_prep import shards

    write, done = shards.write_shard, []

    def stopping(task, **rest):
        if done:
            raise KeyboardInterrupt
        done.append(task)
        return write(task, **rest)

    with monkeypatch.context() as patched:
        patched.setattr(shards, "write_shard", stopping)
        with pytest.raises(KeyboardInterrupt):
            compacted(photos, tmp_path / "set")
    (results,) = (tmp_path / "set").glob(".*-of-*.json")
    fields = json.loads(results.read_text())
    del fields["frames"]
    results.write_text(json.dumps(fields))
    manifest = compacted(photos, tmp_path / "set")
    assert compaction.frames_of(manifest) is None
    assert not os.path.exists(tmp_path / "set" / "frames.npy")


def test_a_folder_source_is_not_asked_for_sizes_once_maps_are_known_to_be_of_pictures(photos, tmp_path, monkeypatch):
    """Planning decodes pictures only until one decides: a million need not be read twice."""
    draw_maps(photos, tmp_path / "maps", whole, as_npy)
    read, asked = FolderSource.read, []
    monkeypatch.setattr(FolderSource, "read", lambda self, one, content=None: asked.append(one) or read(self, one))
    source = SourceWithMaps(open_source(photos), {"eyes": tmp_path / "maps"}, framing=FRAMING)
    for split in ("train", "val"):
        source.pictures(split)
    assert len(asked) <= 8
