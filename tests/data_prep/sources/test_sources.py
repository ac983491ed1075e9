"""What an image folder has, and which folders are refused."""

import os
import shutil

import numpy as np
import pytest
from PIL import Image

from data_prep.sources import open_source
from saliency_keras.console import UserError
from saliency_keras.data.pictures import UnreadablePicture


def test_folder_lists_its_files_with_class_and_name_as_id(tree):
    source = open_source(tree)
    assert source.classes == ("cat", "dog", "eel")
    listed = {(picture.id, picture.label) for picture in source.pictures("val")}
    assert listed == {
        (f"{name}/00{index}.png", label) for label, name in enumerate(source.classes) for index in range(3)
    }
    picture = source.pictures("train")[0]
    pixels, own_maps = source.read(picture)
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(tree / "train" / picture.id)))
    assert own_maps == {}


def test_hidden_files_and_folders_are_no_pictures_and_other_files_are_tried(tree):
    (tree / "train" / "cat" / ".hidden").write_bytes(b"x")
    (tree / "train" / "cat" / "notes.txt").write_bytes(b"x")
    (tree / "train" / "cat" / "deeper").mkdir()
    (tree / "train" / ".cache").mkdir()
    (tree / "train" / "README").write_bytes(b"x")
    (tree / "train" / "cat" / "lost.png").symlink_to("nowhere.png")
    names = {picture.id for picture in open_source(tree).pictures("train")}
    assert {"cat/notes.txt", "cat/lost.png"} < names
    assert len(names) == 3 * 6 + 2


def test_classes_csv_gives_human_names_and_tells_twins_apart(tree):
    (tree / "classes.csv").write_text("class,name\ncat,crane\ndog,crane\neel,moray eel\nape,ape\n")
    source = open_source(tree)
    assert source.classes == ("crane (cat)", "crane (dog)", "moray eel")
    assert source.description["class_folders"] == ["cat", "dog", "eel"]
    (tree / "classes.csv").write_text("wnid;label\ncat;crane\n")
    with pytest.raises(UserError, match="columns class,name"):
        open_source(tree)


def test_file_name_that_is_no_utf8_gets_an_id_that_is(tree):
    name = os.fsdecode(b"caf\xe9.png")
    shutil.copy(tree / "train" / "cat" / "000.png", tree / "train" / "cat" / name)
    source = open_source(tree)
    (picture,) = (picture for picture in source.pictures("train") if "caf" in picture.id)
    assert picture.id.encode() == b"cat/caf\\xe9.png"
    assert source.read(picture)[0].shape[2] == 3


def test_subfolders_are_entered_and_their_names_are_part_of_the_id(tree):
    (tree / "train" / "cat" / "more" / "yet").mkdir(parents=True)
    shutil.copy(tree / "train" / "cat" / "000.png", tree / "train" / "cat" / "more" / "yet" / "000.png")
    (tree / "train" / "dog" / "linked").symlink_to(tree / "train" / "eel")
    (tree / "train" / "dog" / "circle").symlink_to(tree)
    source = open_source(tree)
    found = {picture.id: picture for picture in source.pictures("train")}
    assert {"cat/more/yet/000.png", "dog/linked/005.png", "dog/circle"} < found.keys()
    assert len(found) == 3 * 6 + 1 + 6 + 1
    assert found["dog/linked/005.png"].label == 1
    np.testing.assert_array_equal(source.read(found["cat/more/yet/000.png"])[0], source.read(found["cat/000.png"])[0])
    with pytest.raises(UnreadablePicture, match="circle"):
        source.read(found["dog/circle"])


def test_class_folders_that_differ_in_unicode_composition_are_one_class(tree):
    (tree / "train" / "cat").rename(tree / "train" / "ra\u0302le")
    (tree / "val" / "cat").rename(tree / "val" / "r\u00e2le")
    (tree / "classes.csv").write_text("class,name\nr\u00e2le,rail\n", encoding="utf-8")
    source = open_source(tree)
    assert source.classes == ("dog", "eel", "rail")
    assert [sum(one.label == 2 for one in source.pictures(split)) for split in ("train", "val")] == [6, 3]
    shutil.copytree(tree / "val" / "dog", tree / "val" / "ra\u0302le")
    with pytest.raises(UserError, match="differ in Unicode composition only"):
        open_source(tree)


def test_upright_turns_pictures_and_is_another_data_set(tree):
    tag = Image.Exif()
    tag[274] = 6
    pixels = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    Image.fromarray(pixels).save(tree / "train" / "cat" / "phone.png", exif=tag)
    stored, upright = open_source(tree), open_source(tree, upright=True)
    (picture,) = (one for one in stored.pictures("train") if one.id == "cat/phone.png")
    np.testing.assert_array_equal(stored.read(picture)[0], pixels)
    np.testing.assert_array_equal(upright.read(picture)[0], np.rot90(pixels, -1))
    assert stored.description | {"upright": True} == upright.description


def remove(*parts):
    def change(tree):
        shutil.rmtree(tree.joinpath(*parts))

    return change


def empty(*parts):
    def change(tree):
        for entry in tree.joinpath(*parts).iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()

    return change


def one_class(tree):
    for split in ("train", "val"):
        remove(split, "cat")(tree)
        remove(split, "dog")(tree)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (empty(), "no folder train/"),
        (remove("val"), "no folder val/"),
        (empty("train"), "no class folders"),
        (remove("val", "dog"), "class dog is in train/ but missing in val/"),
        (remove("train", "eel"), "class eel is in val/ but missing in train/"),
        (empty("val", "dog"), "has no pictures"),
        (one_class, r"one class only \(eel\)"),
        (remove(), "there is no folder"),
    ],
)
def test_folder_that_is_no_data_set_is_refused_in_a_sentence(tree, change, sentence):
    change(tree)
    with pytest.raises(UserError, match=sentence):
        open_source(tree)
