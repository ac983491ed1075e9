"""ILSVRC2012 in each of the forms it comes in, made small by the test; all forms give the same pictures."""

import io
import re
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from data_prep.sources import open_source
from saliency_keras.console import UserError

# Ids 1, 2 and 3 of the devkit's meta.mat, and the labels of six validation pictures by those ids.
WNIDS = ("n02119789", "n01440764", "n02012849")
TRUTH = (2, 1, 3, 3, 1, 2)
META = (Path(__file__).parent / "meta.mat").read_bytes()


def jpeg(*key):
    random = np.random.default_rng([int(part.strip("n")) for part in map(str, key)])
    file = io.BytesIO()
    Image.fromarray(random.integers(0, 256, (20, 24, 3), dtype="uint8")).save(file, "JPEG")
    return file.getvalue()


def train_files():
    return {wnid: {f"{wnid}_{number}.JPEG": jpeg(wnid, number) for number in range(4)} for wnid in WNIDS}


def val_files():
    return {f"ILSVRC2012_val_{number:08d}.JPEG": jpeg(number, 99) for number in range(1, 7)}


def tar_of(files, mode="w"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return file.getvalue()


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def train_tar(folder):
    put(folder / "ILSVRC2012_img_train.tar", tar_of({f"{wnid}.tar": tar_of(f) for wnid, f in train_files().items()}))


def train_tars(folder):
    for wnid, files in train_files().items():
        put(folder / "train" / f"{wnid}.tar", tar_of(files))


def train_folders(folder):
    for wnid, files in train_files().items():
        for name, content in files.items():
            put(folder / "train" / wnid / name, content)


def val_tar(folder):
    put(folder / "ILSVRC2012_img_val.tar", tar_of(val_files()))


def val_flat(folder):
    for name, content in val_files().items():
        put(folder / "val" / name, content)


def val_folders(folder):
    for (name, content), label in zip(val_files().items(), TRUTH, strict=True):
        put(folder / "val" / WNIDS[label - 1] / name, content)


def devkit_files():
    truth = "".join(f"{label}\n" for label in TRUTH).encode()
    folder = "ILSVRC2012_devkit_t12/data"
    return {f"{folder}/meta.mat": META, f"{folder}/ILSVRC2012_validation_ground_truth.txt": truth}


def devkit_tar(folder):
    put(folder / "ILSVRC2012_devkit_t12.tar.gz", tar_of(devkit_files(), "w:gz"))


def devkit_folder(folder):
    for name, content in devkit_files().items():
        put(folder / name, content)


@pytest.mark.parametrize("devkit", [devkit_tar, devkit_folder])
@pytest.mark.parametrize("val", [val_tar, val_flat, val_folders])
@pytest.mark.parametrize("train", [train_tar, train_tars, train_folders])
def test_every_form_gives_the_same_pictures_and_classes(tmp_path, train, val, devkit):
    for make in (train, val, devkit):
        make(tmp_path)
    source = open_source(f"imagenet:{tmp_path}")
    assert source.classes == ("tench", "crane", "kit fox")
    assert source.description["class_folders"] == sorted(WNIDS)
    trained = {picture.id: picture for picture in source.pictures("train")}
    assert trained.keys() == {f"{wnid}/{name}" for wnid, files in train_files().items() for name in files}
    validated = {picture.id: picture for picture in source.pictures("val")}
    wnids = [WNIDS[label - 1] for label in TRUTH]
    assert validated.keys() == {f"{wnid}/{name}" for wnid, name in zip(wnids, val_files(), strict=True)}
    for identifier, picture in (trained | validated).items():
        wnid, name = identifier.split("/")
        assert sorted(WNIDS)[picture.label] == wnid
        content = train_files()[wnid].get(name) or val_files()[name]
        assert picture.bytes == len(content)
        np.testing.assert_array_equal(source.read(picture)[0], np.asarray(Image.open(io.BytesIO(content))))


def test_folders_alone_need_no_devkit_and_are_named_by_wnid_or_classes_csv(tmp_path):
    train_folders(tmp_path)
    val_folders(tmp_path)
    assert open_source(f"imagenet:{tmp_path}").classes == tuple(sorted(WNIDS))
    (tmp_path / "classes.csv").write_text("class,name\nn01440764,fish\n")
    assert open_source(f"imagenet:{tmp_path}").classes == ("fish", "n02012849", "n02119789")


def listing(folder):
    source = open_source(f"imagenet:{folder}")
    return [source.pictures(split) for split in ("train", "val")]


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        ((), "put ILSVRC2012_img_train.tar"),
        ((train_tar,), "put ILSVRC2012_img_val.tar"),
        ((train_tar, val_tar), r"put ILSVRC2012_devkit_t12.tar.gz"),
        ((train_folders, val_flat), "labels are missing"),
    ],
)
def test_what_is_missing_is_told_with_its_place(tmp_path, made, sentence):
    for make in made:
        make(tmp_path)
    with pytest.raises(UserError, match=sentence):
        listing(tmp_path)


def test_damaged_tars_are_told(tmp_path):
    for make in (train_tar, val_tar, devkit_tar):
        make(tmp_path)
    path = tmp_path / "ILSVRC2012_img_val.tar"
    path.write_bytes(b"x" * 5000)
    with pytest.raises(UserError, match="damaged or not whole"):
        listing(tmp_path)
    val_tar(tmp_path)
    for content in (b"x" * 5000, b""):
        (tmp_path / "ILSVRC2012_devkit_t12.tar.gz").write_bytes(content)
        with pytest.raises(UserError, match=r"damaged or no devkit: [^\n]+\.$"):
            listing(tmp_path)


@pytest.mark.parametrize("name", ["ILSVRC2012_img_val.tar", "ILSVRC2012_img_train.tar"])
@pytest.mark.parametrize("harm", [bytes, lambda size: b"x" * size])
def test_a_damaged_header_in_the_middle_does_not_end_the_listing(tmp_path, name, harm):
    for make in (train_tar, val_tar, devkit_tar):
        make(tmp_path)
    content = (tmp_path / name).read_bytes()
    here = [header.start() for header in re.finditer(rb"(ILSVRC2012_val|n0\d+)_\d+\.JPEG", content)][-1]
    (tmp_path / name).write_bytes(content[:here] + harm(512) + content[here + 512 :])
    with pytest.raises(UserError, match="damaged or not whole: no header at byte"):
        listing(tmp_path)


def test_a_class_without_validation_pictures_is_told(tmp_path):
    train_folders(tmp_path)
    val_folders(tmp_path)
    for path in (tmp_path / "val" / WNIDS[0]).iterdir():
        path.unlink()
    with pytest.raises(UserError, match=f"class {WNIDS[0]} has no val pictures"):
        listing(tmp_path)


@pytest.mark.parametrize("inner", ["", "ILSVRC/Data/CLS-LOC"])
def test_kaggles_folders_have_labels_and_names_in_tables_of_their_own(tmp_path, inner):
    for wnid, files in train_files().items():
        for name, content in files.items():
            put(tmp_path / "ILSVRC/Data/CLS-LOC/train" / wnid / name, content)
    for name, content in val_files().items():
        put(tmp_path / "ILSVRC/Data/CLS-LOC/val" / name, content)
    rows = [f"ILSVRC2012_val_{n:08d},{WNIDS[TRUTH[n - 1] - 1]} 1 2 3 4 " for n in (3, 1, 2, 6, 5, 4)]
    put(tmp_path / "LOC_val_solution.csv", "\n".join(["ImageId,PredictionString", *rows]).encode())
    words = ["n01440764 tench, Tinca tinca", "n02012849 crane", "n02119789 kit fox, Vulpes macrotis"]
    put(tmp_path / "LOC_synset_mapping.txt", "\n".join(words).encode())
    source = open_source(f"imagenet:{tmp_path / inner}")
    assert source.classes == ("tench", "crane", "kit fox")
    labels = {one.id: source.classes[one.label] for one in source.pictures("val")}
    names = {"n02119789": "kit fox", "n01440764": "tench", "n02012849": "crane"}
    assert labels == {
        f"{WNIDS[number - 1]}/ILSVRC2012_val_{at:08d}.JPEG": names[WNIDS[number - 1]]
        for at, number in enumerate(TRUTH, 1)
    }
    put(tmp_path / "LOC_val_solution.csv", b"ImageId,PredictionString\nILSVRC2012_val_00000002,n02012849 1 2 3 4\n")
    with pytest.raises(UserError, match="lacks pictures: it has 1, the last is number 2"):
        open_source(f"imagenet:{tmp_path / inner}").pictures("val")
