"""The check of a whole set: a good one passes, and each kind of damage is found and named."""

import dataclasses
import hashlib
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from data_prep import verify
from saliency_keras import console
from saliency_keras.blas import kernels
from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from tests.small_sets import write_small_set


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small set in codec npy and what is in it."""
    return write_small_set(tmp_path_factory.mktemp("npy"), codec="npy")


@pytest.fixture
def copy(made, tmp_path):
    """A copy of that set, to be damaged."""
    return shutil.copytree(made[0].folder, tmp_path / "set")


@pytest.mark.parametrize("codec", ["npy", "raw", "jpeg"])
def test_a_good_set_passes_and_what_was_checked_is_printed(tmp_path, capsys, codec):
    (tmp_path / "set").mkdir()
    write_small_set(tmp_path / "set", codec=codec)
    verify.main([str(tmp_path / "set")])
    printed = capsys.readouterr().out
    assert f"contact sheet: {tmp_path / 'set-contact_sheet.png'}" in printed
    assert "train: 24 pictures of 3 classes, 3 shards" in printed
    assert "val: 9 pictures of 3 classes, 2 shards" in printed
    assert "first (interleaved), other (side shards)" in printed
    assert Image.open(tmp_path / "set-contact_sheet.png").format == "PNG"


def test_kernels_that_made_the_maps_are_told_and_others_than_here(copy, capsys):
    manifest = Manifest.load(copy)
    first, other = manifest.maps
    here = dataclasses.replace(first, kernels=kernels())
    elsewhere = dataclasses.replace(other, kernels="OpenBLAS Colossus, numpy valves")
    dataclasses.replace(manifest, maps=(here, elsewhere)).save(copy)
    verify.main([str(copy)])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("kernels: ")]
    assert lines[0] == f"kernels: {kernels()} made first"
    assert lines[1].startswith("kernels: OpenBLAS Colossus, numpy valves made other; this processor has other ones")


def test_the_contact_sheet_shows_pictures_of_both_splits_with_all_their_maps(made):
    manifest, written = made
    images = [ax.images[0].get_array() for ax in verify.contact_sheet(manifest).axes]
    captions = [part.get_suptitle() for part in verify.contact_sheet(manifest).subfigs]
    assert captions[0] == f"first: {written['train']['id'][0]} (train)"  # the id begins with the class
    assert len(images) == 3 * 2 * 6  # picture, map and overlay, of two maps, of six pictures
    for index, split in enumerate(("train", "val")):
        for number in range(3):
            np.testing.assert_array_equal(images[(index * 3 + number) * 6], written[split]["image"][number])


def test_pictures_of_val_that_are_in_train_too_are_listed(copy, made, capsys):
    verify.main([str(copy)])
    assert "duplicates" not in capsys.readouterr().out

    def become_the_first_of_train(records):
        records["rgbs"][1, ..., :3] = made[1]["train"]["image"][0]

    rewritten(copy, "val-00000-of-00002.npy", become_the_first_of_train)
    assert verify.check_records(Manifest.load(copy)) == [("class1/val1.png", "class0/train0.png", "class1, class0")]


def rewritten(folder, name, change):
    """Changes the array of a npy shard and has the manifest say that it is right so."""
    records = np.load(folder / name)
    change(records)
    np.save(folder / name, records)
    content = (folder / name).read_bytes()
    text = (folder / "manifest.json").read_text()
    fields = json.loads(text)
    shards = [shard for split in fields["splits"].values() for shard in split["shards"]]
    shards += [shard for one in fields["maps"] for of_split in one["shards"].values() for shard in of_split]
    (shard,) = (shard for shard in shards if shard["file"] == name)
    shard |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(fields))


def twin_id(records):
    records["id"][1] = records["id"][0]


def label_of_no_class(records):
    records["label"][0] = 3


def other_label(records):
    records["label"][0] = (records["label"][0] + 1) % 3


def brighter(records):
    records["rgbs"][..., :3] |= 128


def no_text(records):
    records["id"][0] = b"\xff\xfe"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (twin_id, r"train-00001-of-00003.npy is damaged: the id .* is in train-00001-of-00003.npy too"),
        (label_of_no_class, r"train-00001-of-00003.npy is damaged: .* has the label 3"),
        (other_label, r"says 8 train pictures of the class 'class\d', the shards have [79]"),
        (brighter, "mean RGB over train is"),
        (no_text, r"train-00001-of-00003.npy is damaged"),
    ],
)
def test_records_that_do_not_fit_the_manifest_are_found_though_checksums_are_right(copy, change, sentence):
    rewritten(copy, "train-00001-of-00003.npy", change)
    Manifest.load(copy).check_sums()
    with pytest.raises(UserError, match=sentence):
        verify.check_records(Manifest.load(copy))


def test_a_side_shard_with_other_maps_is_found_by_its_mean(copy):
    rewritten(copy, "train-00000-of-00003.other.npy", lambda maps: maps.fill(0))
    with pytest.raises(UserError, match="mean of the map other over train"):
        verify.check_records(Manifest.load(copy))


def test_a_side_shard_of_another_length_than_its_pictures_is_found(copy):
    name = "val-00001-of-00002.other.npy"
    maps = np.load(copy / name)
    np.save(copy / name, maps[:-1])
    rewritten(copy, name, lambda maps: None)
    with pytest.raises(UserError, match=f"{name} is damaged"):
        verify.check_records(Manifest.load(copy))


def test_the_first_damaged_shard_is_named_in_one_sentence_with_exit_code_2(copy, tmp_path, capsys):
    for name in ("train-00002-of-00003.npy", "val-00000-of-00002.npy"):
        content = (copy / name).read_bytes()
        (copy / name).write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    with pytest.raises(SystemExit) as stopped:
        console.run(lambda: verify.main([str(copy), "--sheet", str(tmp_path / "sheet.png")]))
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert "train-00002-of-00003.npy is damaged" in error
    assert error.count("\n") == 1
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(
    ("sheet", "sentence"),
    [("set/sheet.png", "lies in the data set"), ("sheet.doc", "must end"), ("no/a.png", "no folder")],
)
def test_a_contact_sheet_in_the_set_of_unknown_format_or_nowhere_is_refused(copy, monkeypatch, sheet, sentence):
    monkeypatch.chdir(copy.parent)
    with pytest.raises(UserError, match=sentence):
        verify.main(["set", "--sheet", sheet])
