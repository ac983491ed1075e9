"""One codec into another, seen through the arrays that were written first."""

import collections
import csv
import hashlib
import shutil

import numpy as np
import pytest

from data_prep import compact
from data_prep.add_map import add_map
from data_prep.compaction import PLAN
from data_prep.convert import convert
from data_prep.verify import check_records
from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.stored import Records
from tests.small_sets import write_small_set


def contents(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


@pytest.fixture
def raw(tmp_path):
    """A set in codec raw, with skipped.csv, and what was written."""
    (tmp_path / "raw").mkdir()
    manifest, written = write_small_set(tmp_path / "raw")
    (tmp_path / "raw" / "skipped.csv").write_text("id,reason,split\ncat/9.png,the file is empty,train\n")
    return manifest, written


def test_npy_set_has_the_records_of_the_raw_one(raw, tmp_path):
    manifest, written = raw
    made = convert(manifest.folder, tmp_path / "npy", "npy")
    assert (made.codec, made.classes, made.mean_rgb, made.map_names) == (
        "npy", manifest.classes, manifest.mean_rgb, manifest.map_names)  # fmt: skip
    made.check_sums()
    for split, arrays in written.items():
        pictures, others = Records(made, split), Records(made, split, "other")
        places = np.arange(len(arrays["label"]))
        pixels = np.stack([one.copy().view(np.uint8).reshape(36, 36, 4) for one in pictures.words(places)])
        np.testing.assert_array_equal(pixels[..., :3], arrays["image"])
        np.testing.assert_array_equal(pixels[..., 3], arrays["saliency"])
        np.testing.assert_array_equal(np.stack(list(others.maps(places))), arrays["other"])
        np.testing.assert_array_equal(pictures.labels(places), arrays["label"])
        assert pictures.ids(places) == arrays["id"].tolist()
    with open(tmp_path / "npy" / "skipped.csv", newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == ["cat/9.png"]


def test_there_and_back_gives_the_same_bytes(raw, tmp_path):
    convert(raw[0].folder, tmp_path / "npy", "npy")
    convert(tmp_path / "npy", tmp_path / "back", "raw")
    assert contents(tmp_path / "back") | {"manifest.json": 0} == contents(raw[0].folder) | {"manifest.json": 0}


def test_jpeg_set_has_nearly_the_same_pixels(raw, tmp_path):
    manifest, _ = raw
    made = convert(manifest.folder, tmp_path / "jpeg", "jpeg")
    places = np.arange(9)
    (before, after) = (np.stack(list(Records(one, "val").maps(places))).astype(int) for one in (manifest, made))
    assert 0 < np.abs(before - after).mean() < 3


@pytest.mark.parametrize("codec", ["raw", "npy"])
def test_out_of_jpeg_the_means_are_those_of_the_pixels_that_are_stored(raw, tmp_path, codec):
    """JPEG moves them by more than `verify` allows for pixels that are stored as they are."""
    jpeg = convert(raw[0].folder, tmp_path / "jpeg", "jpeg")
    made = convert(jpeg.folder, tmp_path / "again", codec)
    check_records(made)
    words = np.stack([one.copy() for one in Records(made, "train").words(np.arange(24))])
    means = words.view(np.uint8).reshape(-1, 4).mean(axis=0) / 255
    np.testing.assert_allclose([*made.mean_rgb, made.maps[0].mean], means, rtol=1e-12)
    others = np.stack(list(Records(made, "train", "other").maps(np.arange(24))))
    assert made.maps[1].mean == pytest.approx(others.mean() / 255, rel=1e-12)


def test_killed_and_run_again_nothing_is_left_beside_the_set(raw, tmp_path):
    (tmp_path / ".npy.incomplete").mkdir()
    (tmp_path / ".npy.incomplete" / "train-00000-of-00003.npy").write_bytes(b"half")
    convert(raw[0].folder, tmp_path / "npy", "npy").check_sums()
    assert {path.name for path in tmp_path.iterdir()} == {"raw", "npy"}


def test_the_same_conversion_again_is_nothing_to_do(raw, tmp_path, capsys):
    first = convert(raw[0].folder, tmp_path / "npy", "npy")
    before = contents(first.folder)
    assert convert(raw[0].folder, tmp_path / "npy", "npy") == first
    assert "nothing to do" in capsys.readouterr().out
    assert contents(first.folder) == before


def test_a_converted_set_is_not_taken_for_the_one_of_the_pictures(tree, tmp_path):
    words = ["--saliency", "center", "--workers", "0", "--side", "32"]
    compact.main([str(tree), str(tmp_path / "raw"), *words])
    convert(tmp_path / "raw", tmp_path / "npy", "npy")
    with pytest.raises(UserError, match=r"another --codec \(npy, now raw\)"):
        compact.main([str(tree), str(tmp_path / "npy"), *words])


def test_a_conversion_that_finds_no_room_is_not_begun(raw, tmp_path, monkeypatch):
    usage = collections.namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 1000))
    with pytest.raises(UserError, match=r"are needed and 1\.0 kB are free"):
        convert(raw[0].folder, tmp_path / "npy", "npy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw"]


def test_a_conversion_from_before_a_map_was_replaced_is_not_taken_for_one_of_now(raw, tmp_path):
    convert(raw[0].folder, tmp_path / "npy", "npy")
    add_map(raw[0].folder, "center", "other", workers=0)
    with pytest.raises(UserError, match="not empty"):
        convert(raw[0].folder, tmp_path / "npy", "npy")


@pytest.mark.parametrize(
    ("codec", "out", "sentence"),
    [
        ("gif", "new", "must be raw, jpeg or npy"),
        ("raw", "new", "has the codec raw already"),
        ("npy", "raw", "not empty"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(raw, tmp_path, codec, out, sentence):
    before = contents(raw[0].folder)
    with pytest.raises(UserError, match=sentence):
        convert(raw[0].folder, tmp_path / out, codec)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]
    assert contents(raw[0].folder) == before


def test_damaged_set_is_not_converted(raw, tmp_path):
    path = raw[0].shard_files("train")[1]
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    with pytest.raises(UserError, match=f"{path.name} is damaged"):
        convert(raw[0].folder, tmp_path / "npy", "npy")
    assert [one.name for one in tmp_path.iterdir()] == ["raw"]


def test_command_converts_and_refuses_what_only_pictures_can_give(raw, tmp_path, capsys):
    compact.main([str(raw[0].folder), str(tmp_path / "npy"), "--codec", "npy"])
    assert "33 records in codec npy" in capsys.readouterr().out
    assert Manifest.load(tmp_path / "npy").codec == "npy"
    with pytest.raises(UserError, match="only --codec can be chosen"):
        compact.main([str(raw[0].folder), str(tmp_path / "small"), "--codec", "npy", "--side", "32"])


def test_an_unfinished_set_is_not_taken_for_an_image_folder(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / PLAN).write_text("{}")
    with pytest.raises(UserError, match="unfinished compact data set"):
        compact.main([str(tmp_path / "set"), str(tmp_path / "npy"), "--codec", "npy"])


def test_pictures_are_compacted_to_npy(tree, tmp_path):
    for codec in ("raw", "npy"):
        words = [
            tree,
            tmp_path / codec,
            "--saliency",
            "center",
            "--saliency",
            "uniform",
            "--side",
            32,
            "--codec",
            codec,
        ]
        compact.main([*map(str, words), "--workers", "1"])
    raw, npy = (Manifest.load(tmp_path / codec) for codec in ("raw", "npy"))
    places = np.arange(18)
    for before, after in zip(Records(raw, "train").words(places), Records(npy, "train").words(places), strict=True):
        np.testing.assert_array_equal(before, after)
    assert Records(raw, "train").ids(places) == Records(npy, "train").ids(places)
    assert (np.stack(list(Records(npy, "val", "uniform").maps(np.arange(9)))) == 255).all()
    assert raw.mean_rgb == npy.mean_rgb
