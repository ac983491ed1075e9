"""The split by name: fixed, by pictures, and nothing lost."""

import numpy as np

from saliency_keras.data.fixation_set import FixationSet
from saliency_keras.data.fixation_split import is_held_out, split, subset


def fixation_set(tmp_path, pictures=200):
    images = tuple(f"{number}.jpg" for number in range(1001, 1001 + pictures))
    counts = np.arange(pictures) % 4
    return FixationSet(
        folder=tmp_path,
        images=images,
        sizes=((64, 48),) * pictures,
        x=np.repeat(np.arange(pictures) % 64, counts).astype(float),
        y=np.repeat(np.arange(pictures) % 48, counts).astype(float),
        subjects=np.full(counts.sum(), "anna"),
        starts=np.cumsum([0, *counts]),
        outside=0,
        pixels_per_degree=None,
    )


def test_the_split_never_changes():
    assert [number for number in range(1001, 1021) if is_held_out(f"{number}.jpg")] == [1010, 1016, 1017, 1018]


def test_about_a_fifth_is_held_out():
    assert 1900 < sum(is_held_out(f"{number}.jpg") for number in range(10_000)) < 2100


def test_every_picture_is_on_one_side_with_all_its_fixations(tmp_path):
    whole = fixation_set(tmp_path)
    train, held_out = split(whole)
    assert sorted(train.images + held_out.images) == list(whole.images)
    for part in train, held_out:
        for image in part.images:
            np.testing.assert_array_equal(part.points(image).x, whole.points(image).x)
            np.testing.assert_array_equal(part.points(image).y, whole.points(image).y)
    assert len(train.x) + len(held_out.x) == len(whole.x)


def test_others_are_those_of_the_subset_only(tmp_path):
    whole = fixation_set(tmp_path)
    part = subset(whole, ["1002.jpg", "1004.jpg"])
    np.testing.assert_array_equal(part.others("1002.jpg").x, whole.points("1004.jpg").x)
