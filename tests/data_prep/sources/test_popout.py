"""The built-in pictures: drawn alike every time, balanced, and not to be told by colour or place."""

import numpy as np
import pytest

from data_prep import built_in, compaction
from data_prep.sources import popout


def test_a_picture_depends_on_seed_split_and_index_alone():
    first, mask, label = popout.make("train", 7, seed=1)
    popout.make("val", 3)
    again, mask_again, _ = popout.make("train", 7, seed=1)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(mask, mask_again)
    assert (first.shape, first.dtype, mask.shape, mask.dtype) == ((256, 256, 3), "uint8", (256, 256), "float32")
    assert label == 7
    for other in (("val", 7, 1), ("train", 17, 1), ("train", 7, 2)):
        assert (popout.make(*other)[0] != first).any()


def test_the_set_has_2000_and_500_pictures_in_balanced_classes():
    source = popout.PopoutSource()
    for split, count in (("train", 2000), ("val", 500)):
        pictures = source.pictures(split)
        assert len({picture.id for picture in pictures}) == count
        assert np.bincount([picture.label for picture in pictures]).tolist() == [count // 10] * 10
        assert all(picture.id.startswith(source.classes[picture.label] + "/") for picture in pictures)


def test_the_object_stands_out_from_its_surroundings():
    """Inside the mask the picture is farther from its own mean colour than outside, in nearly every picture."""
    stands_out = []
    for index in range(60):
        picture, mask, _ = popout.make("val", index)
        distance = np.linalg.norm(picture - picture.mean((0, 1)), axis=-1)
        stands_out.append(distance[mask > 0.5].mean() > 1.5 * distance[mask < 0.5].mean())
    assert np.mean(stands_out) > 0.95


def test_the_whole_object_is_in_the_picture_and_its_mask_is_antialiased():
    for index in range(40):
        mask = popout.make("train", index)[1]
        assert mask.max() == 1
        assert mask.min() == 0
        assert not mask[[0, -1]].any()
        assert not mask[:, [0, -1]].any()
        assert ((mask > 0) & (mask < 1)).any()


def test_neither_colour_nor_place_tells_the_class():
    """A nearest-mean classifier on the object's colour and place, learnt on 300 pictures, stays near chance on 200."""
    rows, labels = [], []
    rows_in, columns_in = np.mgrid[:256, :256]
    for index in range(500):
        picture, mask, label = popout.make("train", index)
        colour = (picture * mask[..., None]).sum((0, 1)) / mask.sum()
        rows.append([*colour, (rows_in * mask).sum() / mask.sum(), (columns_in * mask).sum() / mask.sum()])
        labels.append(label)
    rows, labels = np.array(rows), np.array(labels)
    rows = (rows - rows[:300].mean(0)) / rows[:300].std(0)
    means = np.stack([rows[:300][labels[:300] == label].mean(0) for label in range(10)])
    guesses = np.linalg.norm(rows[300:, None] - means, axis=-1).argmin(1)
    # Chance is 0.1; three standard errors of 200 guesses above it are 0.164.
    assert np.mean(guesses == labels[300:]) < 0.164


def test_distractors_are_of_other_classes(monkeypatch):
    drawn = []
    shape = popout._shape
    monkeypatch.setattr(popout, "_shape", lambda name, *rest: drawn.append(name) or shape(name, *rest))
    for index in range(30):
        drawn.clear()
        label = popout.make("train", index)[2]
        assert drawn[-1] == popout.CLASSES[label]
        assert popout.CLASSES[label] not in drawn[:-1]
        assert len(drawn) > 3


def test_compaction_keeps_the_true_mask_as_a_further_map(tmp_path, read_records):
    source = popout.PopoutSource({"train": 20, "val": 10})
    manifest = compaction.compact(source, tmp_path / "set", saliency=("center",), side=256, workers=0)
    assert manifest.map_names == ("center", "mask")
    records = read_records(*manifest.shard_files("val"))
    sides = read_records(*manifest.shard_files("val", "mask"))
    for record, side in zip(records, sides, strict=True):
        index = int(record["id"].decode().split("-")[1])
        picture, mask, label = popout.make("val", index)
        pixels = np.frombuffer(record["rgbs"], "uint8").reshape(256, 256, 4)
        np.testing.assert_array_equal(pixels[..., :3], picture)
        np.testing.assert_array_equal(np.frombuffer(side["saliency"], "uint8").reshape(256, 256), np.rint(255 * mask))
        assert record["label"] == label


@pytest.mark.parametrize("variable", ["SALIENCY_KERAS_CACHE", "XDG_CACHE_HOME", "HOME"])
def test_cached_set_is_made_once_where_the_user_keeps_caches(tmp_path, monkeypatch, variable):
    for name in ("SALIENCY_KERAS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path))
    monkeypatch.setattr(popout, "COUNTS", {"train": 10, "val": 10})
    folder = built_in.cached_set(workers=0)
    parent = tmp_path / ".cache" if variable == "HOME" else tmp_path
    assert folder.parent == parent / "saliency_keras"
    beside = {"manifest.json", "skipped.csv", "frames.npy"}
    assert {path.name.split("-")[0] for path in folder.iterdir()} == {*beside, "train", "val"}
    monkeypatch.setattr(built_in, "compact", None)
    assert built_in.cached_set() == folder


def test_cached_set_with_another_drawing_is_another_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SALIENCY_KERAS_CACHE", str(tmp_path))
    monkeypatch.setattr(popout, "COUNTS", {"train": 10, "val": 10})
    folder = built_in.cached_set(workers=0)
    monkeypatch.setattr(popout, "VERSION", popout.VERSION + 1)
    assert built_in.cached_set(workers=0) != folder
