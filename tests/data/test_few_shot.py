"""The few-shot protocol: so many pictures of each class, nested in k, fixed by the seed, and read as drawn."""

import itertools

import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.data.few_shot import SHOTS, few_shot, hold_out
from saliency_keras.data.reader import Reader
from saliency_keras.data.shown import Shown
from tests.small_sets import write_small_set

CLASSES = ("cat", "dog", "gar")
TRAIN = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [40, 31, 35]))
VAL = np.random.default_rng(1).permutation(np.repeat([0, 1, 2], [10, 12, 17]))


def counts(labels, places):
    return np.bincount(labels[places], minlength=3).tolist()


@pytest.mark.parametrize("shots", SHOTS)
def test_each_class_gives_k_5_and_5_pictures_and_the_rest_of_val_is_unused(shots):
    drawn = few_shot(TRAIN, VAL, CLASSES, shots, seed=3)
    assert counts(TRAIN, drawn.train) == ([40, 31, 35] if shots == "K" else [int(shots)] * 3)
    assert counts(VAL, drawn.validation) == counts(VAL, drawn.test) == [5, 5, 5]
    assert counts(VAL, drawn.unused) == [0, 2, 7]
    everything = np.concatenate([drawn.validation, drawn.test, drawn.unused])
    assert sorted(everything) == list(range(39))


def test_pictures_of_a_smaller_k_are_among_those_of_a_larger_one_and_the_test_is_the_same():
    draws = [few_shot(TRAIN, VAL, CLASSES, shots, seed=0) for shots in SHOTS]
    for fewer, more in itertools.pairwise(draws):
        assert set(fewer.train) < set(more.train)
        assert np.array_equal(fewer.test, more.test)


def test_draw_follows_from_the_seed_alone():
    first, again, other = (few_shot(TRAIN, VAL, CLASSES, "5", seed) for seed in (0, 0, 1))
    assert np.array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)
    assert not np.array_equal(first.test, other.test)


@pytest.mark.parametrize(
    ("train", "val", "shots", "says"),
    [
        ([1, 31, 35], [10, 12, 17], "2", "'cat' has a single picture in train, and 2 of each"),
        ([40, 31, 35], [10, 12, 17], "32", "'dog' has 31 pictures in train, and 32"),
        ([40, 31, 4], [10, 12, 6], "1", "'gar' has 10 pictures; .* 11 in all"),
        ([40, 31, 0], [10, 12, 1], "1", "'gar' has a single picture;"),
        ([40, 31, 35], [10, 9, 17], "1", "'dog' has 9 pictures in val"),
        ([40, 31, 0], [10, 12, 17], "K", "'gar' has 0 pictures in train, and at least one"),
        ([40, 31, 35], [10, 12, 17], "0", "1 or more, or K for all. Received: 0"),
    ],
)
def test_too_few_pictures_are_one_sentence_that_names_the_class(train, val, shots, says):
    with pytest.raises(UserError, match=says):
        few_shot(np.repeat([0, 1, 2], train), np.repeat([0, 1, 2], val), CLASSES, shots, seed=0)


def test_held_out_part_is_a_share_of_each_class_and_leaves_some():
    kept, held = hold_out(TRAIN, 0.2)
    assert counts(TRAIN, held) == [8, 6, 7]
    assert sorted([*kept, *held]) == list(range(len(TRAIN)))
    kept, held = hold_out(np.array([0, 1, 1]), 0.9)
    assert 0 in kept
    assert len(held) == 1
    with pytest.raises(UserError, match="no class has a second picture"):
        hold_out(np.array([0, 1, 2]), 0.2)


@pytest.fixture(scope="module", params=["raw", "jpeg"])
def small_set(request, tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("set"), codec=request.param)


SUBSET = np.array([20, 3, 7, 8, 14])  # of shards of 8, 7 and 9 records


def test_epoch_of_a_subset_has_each_of_its_pictures_once_in_an_order_of_its_own(small_set):
    manifest, written = small_set
    reader = Reader(manifest, "train", 36, 5, seed=1, subset=SUBSET)
    assert (reader.records, reader.steps) == (5, 1)
    epochs = [batch for batch, _ in reader.training(1, 12)]
    orders = []
    for batch in epochs:
        images = np.asarray(batch["image"])
        wanted = written["train"]["image"]
        order = [_nearest(image, wanted) for image in images]
        orders.append(tuple(order))
        assert sorted(order) == sorted(SUBSET)
    assert len(set(orders)) > 3


def test_subset_is_validated_in_the_order_on_disk_with_its_own_ids_and_maps(small_set):
    manifest, written = small_set
    reader = Reader(manifest, "train", 36, 2, shown=Shown.parse("shuffled"), seed=1, subset=SUBSET)
    whole = Reader(manifest, "train", 36, 24, shown=Shown.parse("shuffled"), seed=1)
    ((everything, _),) = list(whole.validation())
    batches = list(reader.validation())
    assert [len(labels) for _, labels in batches] == [2, 2, 1]
    for name in ("image", "saliency"):
        read = np.concatenate([np.asarray(inputs[name]) for inputs, _ in batches])
        assert np.array_equal(read, np.asarray(everything[name])[np.sort(SUBSET)])
    ids, labels = reader.ids_and_labels()
    assert ids == written["train"]["id"][np.sort(SUBSET)].tolist()
    assert labels.tolist() == written["train"]["label"][np.sort(SUBSET)].tolist()


def test_subset_beyond_the_split_is_refused(small_set):
    with pytest.raises(ValueError, match="0 to 23"):
        Reader(small_set[0], "train", 36, 2, subset=[24])


def _nearest(image, candidates):
    """Index of the picture that this one, or its mirror image, was read from."""
    image = image.astype(int)
    distances = [min(abs(image - one).mean(), abs(image[:, ::-1] - one).mean()) for one in candidates.astype(int)]
    return int(np.argmin(distances))
