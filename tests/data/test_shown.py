"""Which map each picture is shown with, seen in the batches of training and validation."""

import errno
import os

import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.reader import Reader
from saliency_keras.data.shown import Shown
from saliency_keras.data.stored import Records
from tests.small_sets import write_small_set


@pytest.fixture(scope="module")
def small_set(tmp_path_factory):
    """A set of codec npy, and what was written."""
    return write_small_set(tmp_path_factory.mktemp("set"), codec="npy")


def donors(small_set, split, maps, epochs=1, seed=0, shown="saliency"):
    """For each picture of the split, the places of the pictures whose maps it was shown with.

    The whole side is read, so a map is recognised among those of `shown` by its pixels, mirrored or not.
    """
    manifest, written = small_set
    arrays = written[split]
    reader = Reader(manifest, split, manifest.side, 4, Shown.parse(maps), seed)
    stream = reader.training(1, epochs) if split == "train" else reader.validation()
    images = {one.tobytes(): (place, flip) for place, whole in enumerate(arrays["image"]) for flip, one in
              enumerate((whole, np.ascontiguousarray(whole[:, ::-1])))}  # fmt: skip
    sources = {one.tobytes(): (place, flip) for place, whole in enumerate(arrays[shown]) for flip, one in
               enumerate((whole, np.ascontiguousarray(whole[:, ::-1])))}  # fmt: skip
    found = {}
    for inputs, _ in stream:
        for image, saliency in zip(inputs["image"], inputs["saliency"], strict=True):
            place, flipped = images[image.tobytes()]
            donor, map_flipped = sources[saliency.tobytes()]
            assert flipped == map_flipped
            found.setdefault(place, set()).add(donor)
    return found


@pytest.mark.parametrize("split", ["train", "val"])
def test_own_maps_stay_with_their_pictures(small_set, split):
    for picture, maps in donors(small_set, split, "own", epochs=3).items():
        assert maps == {picture}


@pytest.mark.parametrize("split", ["train", "val"])
def test_shuffled_gives_every_picture_one_other_picture_s_map_in_all_epochs(small_set, split):
    found = donors(small_set, split, "shuffled", epochs=4)
    assert len(found) == len(small_set[1][split]["label"])
    assert all(len(maps) == 1 and picture not in maps for picture, maps in found.items())
    assert len(set.union(*found.values())) == len(found), "each map is shown once"


def test_shuffled_crosses_classes_and_depends_on_the_seed(small_set):
    labels = small_set[1]["train"]["label"]
    found = donors(small_set, "train", "shuffled", epochs=4)
    assert any(labels[picture] != labels[next(iter(maps))] for picture, maps in found.items())
    assert found != donors(small_set, "train", "shuffled", epochs=4, seed=1)


@pytest.mark.parametrize("split", ["train", "val"])
def test_shuffled_in_class_keeps_the_class_and_loses_the_picture(small_set, split):
    labels = small_set[1][split]["label"]
    for picture, maps in donors(small_set, split, "shuffled_in_class", epochs=4).items():
        (donor,) = maps
        assert donor != picture
        assert labels[donor] == labels[picture]


def test_class_with_one_picture_cannot_be_shuffled_within_itself(tmp_path):
    manifest, _ = write_small_set(tmp_path, codec="npy", classes=4, val=(5,))
    with pytest.raises(UserError, match="has a single picture in val"):
        Reader(manifest, "val", 32, 4, Shown.parse("shuffled_in_class"))


def test_uniform_is_white_and_center_is_one_blob_for_all(small_set):
    manifest, _ = small_set
    for inputs, _ in Reader(manifest, "val", 32, 4, Shown.parse("uniform")).validation():
        assert (inputs["saliency"] == 255).all()
    reader = Reader(manifest, "val", 32, 4, Shown.parse("center"))
    shown = np.concatenate([inputs["saliency"] for inputs, _ in reader.validation()])
    assert (shown == shown[0]).all()
    middle = shown[0, 14:18, 14:18].mean()
    assert middle > 250
    assert middle > 2 * shown[0, [0, 0, -1, -1], [0, -1, 0, -1]].mean()


def test_maps_that_do_not_fit_into_memory_lie_on_disk_or_are_refused(small_set, monkeypatch):
    expected = donors(small_set, "val", "shuffled")
    monkeypatch.setattr("saliency_keras.data.shown.IN_MEMORY", 0)
    assert donors(small_set, "val", "shuffled") == expected

    def full(*arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(UserError, match=r"No space left on device\); set TMPDIR"):
        donors(small_set, "val", "shuffled")


def test_more_shards_than_may_be_open_at_once_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("saliency_keras.data.stored.OPEN", 2)
    manifest, written = write_small_set(tmp_path, train=(2,) * 9, val=(3, 2))
    before = len(os.listdir("/proc/self/fd"))
    stored = Records(manifest, "train")
    for _ in stored.maps(np.arange(len(stored))):
        assert len(os.listdir("/proc/self/fd")) <= before + 3
    np.testing.assert_array_equal(list(stored.maps(np.arange(18))), written["train"]["saliency"])


@pytest.mark.parametrize("codec", ["npy", "raw"])
def test_named_map_is_the_further_map_of_the_set(tmp_path, codec):
    manifest, written = write_small_set(tmp_path, codec=codec, train=(2,), val=(3, 2), classes=2)
    reader = Reader(manifest, "val", 36, 2, Shown.parse("other"))
    shown = np.concatenate([inputs["saliency"] for inputs, _ in reader.validation()])
    np.testing.assert_array_equal(shown[..., 0], written["val"]["other"])
    assert reader.mean_saliency == pytest.approx(written["val"]["other"].mean() / 255)


@pytest.mark.parametrize(("maps", "in_class"), [("other:shuffled", False), ("other:shuffled_in_class", True)])
def test_further_map_is_shuffled_as_the_interleaved_one_is(small_set, maps, in_class):
    labels = small_set[1]["val"]["label"]
    found = donors(small_set, "val", maps, shown="other")
    assert found == donors(small_set, "val", maps.partition(":")[2])
    assert all(picture not in others for picture, others in found.items())
    assert all(labels[picture] == labels[min(others)] for picture, others in found.items()) == in_class


def test_interleaved_map_by_its_name_is_the_own_one(small_set):
    assert donors(small_set, "val", "first") == donors(small_set, "val", "own")
    assert donors(small_set, "val", "first:shuffled") == donors(small_set, "val", "shuffled")


@pytest.mark.parametrize("maps", ["other:", "other:center", "other:own", ":shuffled", "other:shuffled:shuffled"])
def test_only_a_shuffle_may_follow_a_name(small_set, maps):
    with pytest.raises(UserError, match="followed by :shuffled or :shuffled_in_class"):
        Reader(small_set[0], "val", 32, 4, Shown.parse(maps))


def test_no_name_at_all_is_refused():
    with pytest.raises(UserError, match="--maps is empty"):
        Shown.parse("")


def test_unknown_map_is_refused_with_the_names_there_are(small_set):
    with pytest.raises(UserError, match="no map named 'gaze'; it has first, other"):
        Reader(Manifest.load(small_set[0].folder), "val", 32, 4, Shown.parse("gaze"))
    with pytest.raises(UserError, match="no map named 'gaze'; it has first, other"):
        Reader(Manifest.load(small_set[0].folder), "val", 32, 4, Shown.parse("gaze:shuffled"))
