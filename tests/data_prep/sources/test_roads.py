"""Lists, archives, folders without val/ and published sets as downloaded, each written here in its own layout."""

import csv
import io
import tarfile
import time
import zipfile

import numpy as np
import pytest
import scipy.io
from PIL import Image

from data_prep import compact
from data_prep.compaction import make_plan
from data_prep.sources import open_source
from data_prep.sources.source import Picture
from data_prep.sources.splits import held_out
from data_prep.sources.with_maps import SourceWithMaps
from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.stored import Records


def draw(path, size=(24, 16), colour=(10, 200, 30)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


def what_is_there(source):
    return {
        split: sorted((one.id, source.classes[one.label]) for one in source.pictures(split))
        for split in ("train", "val")
    }


def write_list(path, header, rows, delimiter=","):
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return path


# Lists


def test_a_list_says_path_label_and_split_and_sorts_numbers_as_numbers(tmp_path):
    rows = [(f"pics/{n}.png", label, split) for n, (label, split) in enumerate(
        [("10", "train"), ("9", "train"), ("9", "test"), ("10", "test"), ("9", "unused")]
    )]  # fmt: skip
    for path, *_ in rows:
        draw(tmp_path / path)
    source = open_source(write_list(tmp_path / "my.csv", ("path", "label", "split"), rows))
    assert source.classes == ("9", "10")
    assert what_is_there(source) == {
        "train": [("pics/0.png", "10"), ("pics/1.png", "9")],
        "val": [("pics/2.png", "9"), ("pics/3.png", "10")],
    }
    assert source.notes == ("1 pictures of the split unused are left out",)


def test_a_list_of_kaggle_names_pictures_without_folder_and_suffix(tmp_path):
    for n in range(8):
        draw(tmp_path / f"train_images/{n:03d}.jpg")
    rows = [(f"{n:03d}", ("cat", "dog")[n % 2]) for n in range(8)]
    path = write_list(tmp_path / "labels.csv", ("id", "breed"), rows, ";")
    found = what_is_there(open_source(path, hold_out=0.3))
    assert sorted(found["train"] + found["val"]) == [
        (f"train_images/{n:03d}.jpg", ("cat", "dog")[n % 2]) for n in range(8)
    ]
    assert {label for _, label in found["train"]} == {label for _, label in found["val"]} == {"cat", "dog"}


def test_a_box_of_a_list_is_what_its_picture_is_cropped_to(tmp_path):
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[10:30, 20:40] = 255
    Image.fromarray(pixels).save(tmp_path / "p.png")
    rows = [("p.png", label, split, 20, 10, 20, 20) for label in "ab" for split in ("train", "val")]
    rows = [(f"{label}{split}.png", label, split, *box) for _, label, split, *box in rows]
    for name, *_ in rows:
        Image.fromarray(pixels).save(tmp_path / name)
    path = write_list(tmp_path / "l.csv", ("path", "label", "split", "x", "y", "width", "height"), rows)
    compact.main([str(path), str(tmp_path / "out"), "--saliency", "uniform", "--side", "32", "--workers", "0"])
    records = Records(Manifest.load(tmp_path / "out"), "train")
    words = next(iter(records.words(np.arange(len(records)))))
    assert (words.copy().view("uint8").reshape(32, 32, 4)[..., :3] == 255).all()


@pytest.mark.parametrize(
    ("header", "rows", "said"),
    [
        (("path", "label"), [("a.png", "x"), ("b.png", "y")], "--hold-out 0.1 holds a tenth"),
        (("path", "label", "split"), [("a.png", "x", "train"), ("b.png", "x", "val")], "has one class only"),
        (("name", "kind"), [("a.png", "x")], "names no pictures: its first line is 'name,kind'"),
        (("path", "label", "split"), [("a.png", "x", "train"), ("b.png", "y")], "line 3 has 2 fields"),
        (("path", "label", "split"), [("a.png", "x", "train"), ("b.png", "y", "val")], "class y of .* has no train"),
        (("path", "label", "x", "y", "width", "height"), [("a.png", "x", "1", "2", "3", "four")], "is no box"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_in_a_sentence(tmp_path, header, rows, said):
    path = write_list(tmp_path / "l.csv", header, rows)
    with pytest.raises(UserError, match=said):
        open_source(path, hold_out=0.5 if "x" in header else None)


def test_a_few_malformed_lines_of_a_list_are_left_out_counted_and_named(tmp_path):
    header = ("path", "label", "split", "x", "y", "width", "height")
    rows = [(f"{n}.png", "ab"[n % 2], ("train", "val")[n // 2 % 2], 1, 2, 9, 9) for n in range(40)]
    for n in range(40):
        draw(tmp_path / f"{n}.png")
    rows[3] = ("3.png", "b", "val")
    rows[7] = ("7.png", "", "val", 1, 2, 9, 9)
    rows[9] = ("9.png", "b", "train", 1, 2, "nine", 9)
    path = write_list(tmp_path / "l.csv", header, rows)
    source = open_source(path)
    assert source.notes == (
        f"3 of 40 lines are malformed and are left out; the first: {path}, line 5 has 3 fields, the first line has 7",
    )
    kept = sorted(one.id for split in ("train", "val") for one in source.pictures(split))
    assert kept == sorted(f"{n}.png" for n in range(40) if n not in (3, 7, 9))


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_list_may_have_other_delimiters_an_encoding_of_excel_and_paths_of_windows(tmp_path, delimiter, encoding):
    rows = [(f"of {n % 2}\\{n}.png", "ab"[n % 2]) for n in range(8)]
    for path, _ in rows:
        draw(tmp_path / path.replace("\\", "/"))
    text = "\r\n".join(delimiter.join(row) for row in [("File", "Class"), *rows])
    (tmp_path / "l.csv").write_bytes(text.encode(encoding))
    source = open_source(tmp_path / "l.csv", hold_out=0.3)
    pictures = [one for split in ("train", "val") for one in source.pictures(split)]
    assert sorted(source.content(one)[:4] for one in pictures) == [b"\x89PNG"] * 8


def test_a_picture_that_is_named_again_is_counted_and_one_with_two_labels_refused(tmp_path, capsys):
    rows = [(f"{n}.png", "ab"[n % 2], "train" if n < 4 else "val") for n in range(8)]
    for path, *_ in rows:
        draw(tmp_path / path)
    path = write_list(tmp_path / "l.csv", ("path", "label", "split"), [*rows, rows[0], rows[1]])
    assert make_plan(open_source(path), ["center"]).pictures("train") == 4
    assert "2 train pictures are listed again and are left out" in capsys.readouterr().out
    write_list(path, ("path", "label", "split"), [*rows, ("0.png", "b", "train")])
    with pytest.raises(UserError, match=r"train has the picture '0\.png' twice, as a and b; a picture has one class"):
        make_plan(open_source(path), ["center"])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"7z\xbc\xaf\x27\x1c", "only zip and tar are read in place: unpack it first"),
        (b"Rar!\x1a\x07\x00", "only zip and tar are read in place: unpack it first"),
        ("path,label\n1.png,é\n".encode("latin-1"), r"not UTF-8 text: .* at byte 17; save it as UTF-8"),
        (b"\x00\xff\x80", "is no list of pictures; SOURCE is a folder"),
    ],
)
def test_a_file_that_is_no_list_says_what_it_is(tmp_path, content, said):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UserError, match=said):
        open_source(tmp_path / "file")


def test_a_label_written_in_two_compositions_is_one_class(tmp_path):
    for n in range(6):
        draw(tmp_path / f"{n}.png")
    names = ["pin\u00e9", "pine\u0301", "oak"]
    rows = [(f"{n}.png", names[n % 3]) for n in range(6)]
    path = write_list(tmp_path / "l.csv", ("path", "label"), rows)
    assert open_source(path, hold_out=0.3).classes == ("oak", names[0])


@pytest.mark.parametrize("packed", [False, True])
def test_pictures_beside_the_class_folders_are_told(tmp_path, packed):
    for place in ("train/cat/1.png", "train/dog/1.png", "val/cat/2.png", "val/dog/2.png", "train/lost.png"):
        draw(tmp_path / "t" / place)
    place = tmp_path / "t"
    if packed:
        place = tmp_path / "t.tar"
        with tarfile.open(place, "w") as tar:
            tar.add(tmp_path / "t", "t")
    source = open_source(place)
    (note,) = source.notes
    assert note.startswith("1 files of ")
    assert "lie in no class folder and are left out (" in note
    assert note.endswith("lost.png)")


def test_a_list_of_pictures_that_lie_elsewhere_is_refused(tmp_path):
    rows = [(f"gone/{n}.png", "ab"[n % 2], ("train", "val")[n // 2 % 2]) for n in range(8)]
    source = open_source(write_list(tmp_path / "l.csv", ("path", "label", "split"), rows))
    with pytest.raises(UserError, match=r"4 of 4 train pictures of .* are not there, the first: .*gone/0\.png"):
        source.pictures("train")


def test_a_long_list_is_listed_at_once(tmp_path):
    draw(tmp_path / "p.png")
    rows = [(f"./{'./' * (n % 7)}p.png", str(n % 100), ("train", "val")[n % 1000 < 100]) for n in range(100_000)]
    path = write_list(tmp_path / "l.csv", ("path", "label", "split"), rows)
    start = time.process_time()
    source = open_source(path)
    assert sum(len(source.pictures(split)) for split in ("train", "val")) == 100_000
    assert time.process_time() - start < 15


# Held out


@pytest.fixture
def flat(tmp_path):
    for n in range(40):
        draw(tmp_path / "flat" / ("cat", "dog")[n % 2] / f"{n}.png")
    return tmp_path / "flat"


def test_a_share_of_a_folder_is_held_out_and_stays_when_pictures_are_added(flat):
    first = what_is_there(open_source(flat, hold_out=0.25))
    assert len(first["train"]) + len(first["val"]) == 40
    assert not {one for one, _ in first["train"]} & {one for one, _ in first["val"]}
    assert 3 <= len(first["val"]) <= 20
    for n in range(40, 60):
        draw(flat / "cat" / f"{n}.png")
    second = what_is_there(open_source(flat, hold_out=0.25))
    assert set(first["val"]) <= set(second["val"])
    assert set(first["train"]) <= set(second["train"])


def test_each_class_has_a_picture_held_out_and_one_to_learn_from():
    for share in (0.01, 0.99):
        pictures = [Picture(f"{label}/{n}", label, "", 0) for label in range(50) for n in range(2)]
        out = held_out(pictures, share)
        assert sorted(one.label for one in pictures if one.id in out) == list(range(50))


def test_the_share_that_is_held_out_is_the_one_that_was_asked_for():
    pictures = [Picture(f"one/{n}", 0, "", 0) for n in range(10_000)]
    # Four standard deviations of a binomial of 10,000 draws at 0.2 are 160.
    assert abs(len(held_out(pictures, 0.2)) - 2000) < 160


def test_train_alone_can_be_shared_out_and_folders_with_val_cannot(flat, tmp_path):
    flat.rename(tmp_path / "moved")
    (tmp_path / "tree").mkdir()
    (tmp_path / "moved").rename(tmp_path / "tree/train")
    assert {one for one, _ in what_is_there(open_source(tmp_path / "tree", hold_out=0.5))["val"]}
    for name in ("cat", "dog"):
        draw(tmp_path / "tree/valid" / name / "v.png")
    with pytest.raises(UserError, match=r"has a folder valid/; --hold-out is for"):
        open_source(tmp_path / "tree", hold_out=0.5)


@pytest.mark.parametrize("name", ["valid", "validation", "test", "Val"])
def test_other_names_of_val_are_understood_and_make_the_same_set(flat, tmp_path, name):
    found = []
    for folder, val in (("usual", "val"), ("other", name)):
        for n in range(4):
            draw(tmp_path / folder / "set/train" / ("cat", "dog")[n % 2] / f"{n}.png")
            draw(tmp_path / folder / "set" / val / ("cat", "dog")[n % 2] / f"{n}.png")
        source = open_source(tmp_path / folder / "set")
        found.append((what_is_there(source), source.description))
    assert found[0] == found[1]


def test_a_folder_that_is_not_taken_is_told(tmp_path):
    for split in ("train", "valid", "test"):
        for name in ("cat", "dog"):
            draw(tmp_path / split / name / "p.png")
    source = open_source(tmp_path)
    assert source.notes == (f"{tmp_path / 'test'} is left out; valid/ is val",)
    assert source.pictures("val")[0].place == "valid/cat/p.png"


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
def test_a_share_that_holds_nothing_or_all_out_is_refused(flat, share):
    with pytest.raises(UserError, match="more than 0 and less than 1"):
        open_source(flat, hold_out=share)


def test_a_source_with_its_own_splits_has_none_held_out():
    with pytest.raises(UserError, match="popout says which pictures are for validation"):
        open_source("popout", hold_out=0.1)


def test_a_folder_without_val_leads_to_what_reads_it(flat, tmp_path):
    with pytest.raises(UserError, match=r"has no folder train/.*valid/, validation/, test/.*--hold-out 0\.1"):
        open_source(flat)
    (flat / "train.csv").write_text("id,label\n")
    with pytest.raises(UserError, match=r"It has train\.csv: .*is a SOURCE too"):
        open_source(flat)


@pytest.mark.parametrize("layout", ["flat", "train alone", "valid", "list", "zip"])
def test_maps_may_have_the_tree_of_the_pictures(tmp_path, layout):
    """What `predict` makes of a folder fits the folder, whatever its splits are called."""
    folder, shares = tmp_path / "work/set", {"hold_out": 0.5}
    for n in range(8):
        inner = {"flat": ".", "train alone": "train"}.get(layout, ("train", "valid")[n // 4])
        draw(folder / inner / ("cat", "dog")[n % 2] / f"{n}.jpg", colour=(20 * n, 0, 0))
        draw(tmp_path / "maps" / inner / ("cat", "dog")[n % 2] / f"{n}.png", colour=(20 * n,) * 3)
    place = folder
    if layout in ("valid", "list", "zip"):
        shares = {}
    if layout == "list":
        files = sorted(folder.rglob("*.jpg"))
        rows = [(one.relative_to(folder), one.parent.name, one.relative_to(folder).parts[0]) for one in files]
        place = write_list(folder / "l.csv", ("path", "label", "split"), rows)
    elif layout == "zip":
        place = pack(folder, "zip", tmp_path / "set.zip")
    source = SourceWithMaps(open_source(place, **shares), {"theirs": tmp_path / "maps"})
    found = 0
    for split in ("train", "val"):
        for one in source.pictures(split):
            _, maps = source.read(one)
            grey = 20 * int(one.id.rpartition("/")[2].partition(".")[0])
            np.testing.assert_allclose(maps["theirs"].max(), grey, atol=1)
            found += 1
    assert found == 8


# Archives


def pack(folder, kind, path):
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for one in sorted(folder.parent.rglob("*")):
                packed.write(one, one.relative_to(folder.parent))
            packed.writestr("__MACOSX/photos/._x.png", b"")
    else:
        with tarfile.open(path, "w") as packed:
            packed.add(folder, folder.name)
    return path


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_archive_of_class_folders_has_what_the_folder_has(tmp_path, kind):
    folder = tmp_path / "work/photos"
    for n in range(8):
        split = ("train", "test")[n % 2]
        draw(folder / split / ("cat", "dog")[n // 2 % 2] / "more" / f"{n}.png", colour=(n * 30, 0, 0))
    path = pack(folder, kind, tmp_path / f"photos.{kind}")
    source, unpacked = open_source(path), open_source(folder)
    assert what_is_there(source) == what_is_there(unpacked)
    assert source.classes == unpacked.classes
    for split in ("train", "val"):
        of_folder = {one.id: unpacked.read(one)[0] for one in unpacked.pictures(split)}
        for one in source.pictures(split):
            np.testing.assert_array_equal(source.read(one)[0], of_folder[one.id])
    for place, out in ((path, "packed"), (folder, "unpacked")):
        words = [str(place), str(tmp_path / out), "--saliency", "uniform", "--side", "32", "--workers", "1"]
        compact.main(words)
    assert source.description["name"] == "photos"  # a tar of the same pictures is the same data set
    packed, plain = (Manifest.load(tmp_path / out) for out in ("packed", "unpacked"))
    assert (
        {s: v.records for s, v in packed.splits.items()}
        == {s: v.records for s, v in plain.splits.items()}
        == {
            "train": 4,
            "val": 4,
        }
    )


def test_class_folders_alone_in_a_zip_can_be_shared_out(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for n in range(12):
            file = io.BytesIO()
            Image.new("RGB", (8, 8)).save(file, "png")
            packed.writestr(f"{('cat', 'dog')[n % 2]}/{n}.png", file.getvalue())
        packed.writestr("README.txt", b"read me")
    found = what_is_there(open_source(tmp_path / "a.zip", hold_out=0.4))
    assert len(found["train"]) + len(found["val"]) == 12
    with pytest.raises(UserError, match=r"--hold-out 0\.1"):
        open_source(tmp_path / "a.zip")


def test_a_compressed_tar_says_unpack_it_first(tmp_path):
    for n in range(4):
        draw(tmp_path / "photos" / ("train", "val")[n % 2] / ("cat", "dog")[n // 2] / "p.png")
    with tarfile.open(tmp_path / "photos.tar.gz", "w:gz") as packed:
        packed.add(tmp_path / "photos", "photos")
    with pytest.raises(UserError, match=r"is compressed.*unpack it first"):
        open_source(tmp_path / "photos.tar.gz")


# Published sets


def lines(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def cell(values):
    array = np.empty((len(values), 1), object)
    array[:, 0] = values
    return array


@pytest.fixture
def birds(tmp_path):
    """CUB-200-2011's layout."""
    folder = tmp_path / "CUB_200_2011"
    names = ["001.Black_footed_Albatross/A_0001_1.jpg", "001.Black_footed_Albatross/A_0002_2.jpg",
             "002.Laysan_Albatross/L_0001_3.jpg", "002.Laysan_Albatross/L_0002_4.jpg"]  # fmt: skip
    for name in names:
        draw(folder / "images" / name, (100, 50))
    lines(folder / "images.txt", [f"{n} {name}" for n, name in enumerate(names, 1)])
    lines(folder / "image_class_labels.txt", ["1 1", "2 1", "3 2", "4 2"])
    lines(folder / "train_test_split.txt", ["1 1", "2 0", "3 0", "4 1"])
    lines(folder / "classes.txt", ["1 001.Black_footed_Albatross", "2 002.Laysan_Albatross"])
    lines(folder / "bounding_boxes.txt", [f"{n} 10.0 5.0 50.0 40.0" for n in (1, 2, 3, 4)])
    return folder


def test_cub_is_read_as_downloaded(birds):
    source = open_source(f"cub:{birds}")
    assert source.classes == ("Black footed Albatross", "Laysan Albatross")
    assert what_is_there(source) == {
        "train": [
            ("images/001.Black_footed_Albatross/A_0001_1.jpg", "Black footed Albatross"),
            ("images/002.Laysan_Albatross/L_0002_4.jpg", "Laysan Albatross"),
        ],
        "val": [
            ("images/001.Black_footed_Albatross/A_0002_2.jpg", "Black footed Albatross"),
            ("images/002.Laysan_Albatross/L_0001_3.jpg", "Laysan Albatross"),
        ],
    }
    assert [source.boxes(one) for one in source.pictures("train")] == [[(0.1, 0.1, 0.6, 0.9)]] * 2
    with pytest.raises(UserError, match=f"cub:{birds} reads it"):
        open_source(birds)


def test_cub_becomes_a_set_with_boxes_csv(birds, tmp_path):
    words = [f"cub:{birds}", str(tmp_path / "out"), "--saliency", "uniform", "--side", "32", "--workers", "1"]
    compact.main(words)
    with open(tmp_path / "out/boxes.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    # The middle square of 100x50 begins at x = 25: x from 10 to 60 becomes 0 to 0.7 of it.
    assert len(rows) == 4
    for row in rows:
        box = [float(row[side]) for side in ("xmin", "ymin", "xmax", "ymax")]
        np.testing.assert_allclose(box, (0, 0.1, 0.7, 0.9), atol=1e-6)


def test_flowers_are_learned_from_train_and_told_on_test(tmp_path):
    for n in range(1, 7):
        draw(tmp_path / f"jpg/image_{n:05d}.jpg")
    scipy.io.savemat(tmp_path / "imagelabels.mat", {"labels": np.array([[2, 1, 2, 1, 1, 2]], np.uint8)})
    ids = {"trnid": np.array([[1, 2]]), "valid": np.array([[5, 6]]), "tstid": np.array([[3, 4]])}
    scipy.io.savemat(tmp_path / "setid.mat", ids)
    source = open_source(f"flowers102:{tmp_path}")
    assert what_is_there(source) == {
        "train": [("jpg/image_00001.jpg", "2"), ("jpg/image_00002.jpg", "1")],
        "val": [("jpg/image_00003.jpg", "2"), ("jpg/image_00004.jpg", "1")],
    }
    assert source.notes == ("2 pictures of the split set apart for validation are left out",)


def test_cars_have_boxes_that_count_pixels_from_one(tmp_path):
    names = np.empty((1, 2), object)
    names[0, :] = ["Audi R8 Coupe 2012", "BMW X5 SUV 2007"]
    (tmp_path / "devkit").mkdir()
    scipy.io.savemat(tmp_path / "devkit/cars_meta.mat", {"class_names": names})
    for split, where in (("train", "devkit/cars_train_annos.mat"), ("test", "cars_test_annos_withlabels.mat")):
        kinds = [(f"bbox_{side}", "O") for side in ("x1", "y1", "x2", "y2")] + [("class", "O"), ("fname", "O")]
        rows = np.empty((1, 2), kinds)
        for n in range(2):
            rows[0, n] = 1, 6, 50, 50, 2 - n, f"{n + 1:05d}.jpg"
            draw(tmp_path / f"cars_{split}/{n + 1:05d}.jpg", (100, 50))
        scipy.io.savemat(tmp_path / where, {"annotations": rows})
    source = open_source(f"cars:{tmp_path}")
    assert what_is_there(source) == {
        split: [(f"cars_{name}/00001.jpg", "BMW X5 SUV 2007"), (f"cars_{name}/00002.jpg", "Audi R8 Coupe 2012")]
        for split, name in (("train", "train"), ("val", "test"))
    }
    assert source.boxes(source.pictures("val")[0]) == [(0, 0.1, 0.5, 1)]


def test_dogs_are_called_by_their_breed_and_have_boxes_of_voc(tmp_path):
    files = ["n02085620-Chihuahua/n02085620_1.jpg", "n02085782-Japanese_spaniel/n02085782_2.jpg"]
    for name, split in (("train_list.mat", "a"), ("test_list.mat", "b")):
        listed = [f"{file.partition('/')[0]}/{split}{file.partition('/')[2]}" for file in files]
        labels = np.array([[1], [2]], np.uint8)
        scipy.io.savemat(tmp_path / name, {"file_list": cell(listed), "labels": labels})
        for file in listed:
            draw(tmp_path / "Images" / file, (100, 50))
            box = "<bndbox>\n\t<xmin>10</xmin>\n\t<ymin>5</ymin>\n\t<xmax>60</xmax>\n\t<ymax>45</ymax>\n</bndbox>"
            lines(
                tmp_path / "Annotation" / file.removesuffix(".jpg"),
                [f"<annotation><object>{box}</object></annotation>"],
            )
    source = open_source(f"dogs:{tmp_path}")
    assert source.classes == ("Chihuahua", "Japanese spaniel")
    assert [len(source.pictures(split)) for split in ("train", "val")] == [2, 2]
    assert source.boxes(source.pictures("train")[0]) == [(0.1, 0.1, 0.6, 0.9)]


def test_aircraft_are_told_apart_by_variant_which_may_have_spaces(tmp_path):
    for n in range(6):
        draw(tmp_path / f"data/images/{n:07d}.jpg", (100, 50))
    for name, numbers in (("train", (0, 1)), ("val", (2, 3)), ("test", (4, 5))):
        rows = [f"{n:07d} {('Boeing 737-200', 'A310')[n % 2]}" for n in numbers]
        lines(tmp_path / f"data/images_variant_{name}.txt", rows)
    lines(tmp_path / "data/images_box.txt", [f"{n:07d} 11 6 60 45" for n in range(6)])
    source = open_source(f"aircraft:{tmp_path}")
    assert what_is_there(source) == {
        "train": [("data/images/0000000.jpg", "Boeing 737-200"), ("data/images/0000001.jpg", "A310")],
        "val": [("data/images/0000004.jpg", "Boeing 737-200"), ("data/images/0000005.jpg", "A310")],
    }
    assert source.boxes(source.pictures("train")[0]) == [(0.1, 0.1, 0.6, 0.9)]


def test_tiny_imagenet_has_wnids_words_and_annotations(tmp_path):
    lines(tmp_path / "wnids.txt", ["n02124075", "n01443537"])
    lines(
        tmp_path / "words.txt",
        ["n01443537\tgoldfish, Carassius auratus", "n02124075\tEgyptian cat", "n00001740\tentity"],
    )
    for wnid in ("n02124075", "n01443537"):
        lines(tmp_path / f"train/{wnid}/{wnid}_boxes.txt", [f"{wnid}_{n}.JPEG\t0\t16\t31\t63" for n in range(2)])
        for n in range(2):
            draw(tmp_path / f"train/{wnid}/images/{wnid}_{n}.JPEG", (64, 64))
    rows = ["val_0.JPEG\tn01443537\t0\t0\t63\t63", "val_1.JPEG\tn02124075\t0\t0\t63\t63"]
    lines(tmp_path / "val/val_annotations.txt", rows)
    for n in range(2):
        draw(tmp_path / f"val/images/val_{n}.JPEG", (64, 64))
    source = open_source(f"tiny-imagenet:{tmp_path}")
    assert source.classes == ("Egyptian cat", "goldfish")
    found = what_is_there(source)
    assert found["val"] == [("val/images/val_0.JPEG", "goldfish"), ("val/images/val_1.JPEG", "Egyptian cat")]
    assert len(found["train"]) == 4
    assert source.boxes(source.pictures("train")[0]) == [(0, 0.25, 0.5, 1)]


@pytest.mark.parametrize("kind", ["cub", "flowers102", "cars", "dogs", "aircraft", "tiny-imagenet"])
def test_a_published_set_that_is_not_there_is_named_with_what_is_missing(tmp_path, kind):
    with pytest.raises(UserError, match=r"there is no .*; DIR is where the set was unpacked"):
        open_source(f"{kind}:{tmp_path}")
    with pytest.raises(UserError, match=r"there is no folder .*nowhere; SOURCE is"):
        open_source(f"{kind}:{tmp_path / 'nowhere'}")
