"""The few-shot protocol: so many pictures of each class, nested in k, fixed by the seed, and read as drawn."""

import csv
import itertools

import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.data.few_shot import SHOTS, check_counts, draw, hold_out, read_list, shots_within, to_train_on
from saliency_keras.data.few_shot import write_list as write
from saliency_keras.data.manifest import POOLED
from saliency_keras.data.reader import Reader
from saliency_keras.data.shown import Shown
from saliency_keras.data.stored import Records
from tests.small_sets import write_small_set

CLASSES = ("class0", "class1", "class2")
TRAIN = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [40, 31, 35]))
VAL = np.random.default_rng(1).permutation(np.repeat([0, 1, 2], [10, 12, 17]))
BOTH = np.concatenate([TRAIN, VAL])


def made(folder, train, val):
    """A set of pictures of 16 pixels' side with these labels."""
    classes = 1 + max(*train, *val)
    folder.mkdir(exist_ok=True)
    sizes = {"train": (len(train),), "val": (len(val),)}
    return write_small_set(folder, 16, "npy", classes, **sizes, labels_of={"train": train, "val": val})[0]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return made(tmp_path_factory.mktemp("few"), TRAIN, VAL)


def counts(labels, places):
    return np.bincount(labels[places], minlength=3).tolist()


@pytest.mark.parametrize("shots", SHOTS)
def test_each_class_gives_k_5_and_5_pictures_of_both_splits_and_the_rest_is_unused(manifest, shots):
    drawn = draw(manifest, 3)
    one = drawn.taking(shots, CLASSES)
    assert (drawn.train_split, drawn.test_split) == (POOLED, POOLED)
    # 40 + 10, 31 + 12 and 35 + 17 pictures, of which 10 a class are kept.
    assert counts(BOTH, one.train) == ([40, 33, 42] if shots == "K" else [int(shots)] * 3)
    assert counts(BOTH, one.validation) == counts(BOTH, one.test) == [5, 5, 5]
    assert sorted(np.concatenate([one.train, one.validation, one.test, one.unused])) == list(range(145))
    assert (len(one.unused) == 0) == (shots == "K")
    for part in (drawn.train, drawn.test):  # pooled: of both splits
        places = np.concatenate(part)
        assert (places < 106).any()
        assert (places >= 106).any()


@pytest.mark.parametrize("shots", SHOTS)
def test_with_official_splits_training_pictures_are_of_train_and_the_others_of_val(manifest, shots):
    drawn = draw(manifest, 3, "official")
    one = drawn.taking(shots, CLASSES)
    assert (drawn.train_split, drawn.test_split) == ("train", "val")
    assert counts(TRAIN, one.train) == ([40, 31, 35] if shots == "K" else [int(shots)] * 3)
    assert counts(VAL, one.validation) == counts(VAL, one.test) == [5, 5, 5]
    assert counts(VAL, one.unused) == [0, 2, 7]
    assert sorted(np.concatenate([one.validation, one.test, one.unused])) == list(range(39))


EARLIER = {
    "train": [4, 7, 11, 46, 52, 101],
    "validation": [3, 5, 6, 9, 18, 19, 21, 24, 25, 29, 30, 32, 35, 36, 37],
    "test": [1, 2, 4, 7, 8, 10, 13, 15, 20, 26, 28, 31, 33, 34, 38],
}


def test_draws_of_earlier_versions_are_those_with_official_splits(manifest):
    """As `few_shot(labels of train, labels of val, classes, "2", seed=3)` drew at 883c482."""
    one = draw(manifest, 3, "official").taking("2", CLASSES)
    assert one.train.tolist() == EARLIER["train"]
    assert one.validation.tolist() == EARLIER["validation"]
    assert one.test.tolist() == EARLIER["test"]


@pytest.mark.parametrize("splits", ["pooled", "official"])
def test_pictures_of_a_smaller_k_are_among_those_of_a_larger_one_and_the_test_is_the_same(manifest, splits):
    draws = [draw(manifest, 0, splits).taking(shots, CLASSES) for shots in SHOTS]
    for fewer, more in itertools.pairwise(draws):
        assert set(fewer.train) < set(more.train)
        assert np.array_equal(fewer.test, more.test)


@pytest.mark.parametrize("splits", ["pooled", "official"])
def test_draw_follows_from_the_seed_alone(manifest, splits):
    first, again, other = (draw(manifest, seed, splits).taking("5", CLASSES) for seed in (0, 0, 1))
    assert np.array_equal(first.train, again.train)
    assert not np.array_equal(first.train, other.train)
    assert not np.array_equal(first.test, other.test)


# Pictures of each class in train and val. Classes, sums of both splits, the smallest class of train and the smallest
# class of all are those of the sets; how many classes have how many pictures is made up to that end.
SETS = {
    # 102 classes; 1,020 in train and 7,169 in the authors' other two splits: 8,189. The smallest class has 40.
    "Flowers": ([10] * 102, [30] * 51 + [112] * 50 + [39]),
    # 196 classes; 8,144 and 8,041: 16,185.
    "Cars": ([24] * 98 + [59] * 97 + [69], [24] * 98 + [58] * 97 + [63]),
    # 200 classes; 5,994 and 5,794: 11,788.
    "Birds": ([29] * 6 + [30] * 194, [11] * 100 + [47] * 99 + [41]),
}
# K, worked out by hand: all of a class but ten. And the largest k of the official train split.
LEFT = {
    "Flowers": ([30] * 51 + [112] * 50 + [39], "10"),
    "Cars": ([38] * 98 + [107] * 97 + [122], "20"),
    "Birds": ([30] * 6 + [31] * 94 + [67] * 99 + [61], "25"),
}
SIZES = {"Flowers": (102, 1020, 7169), "Cars": (196, 8144, 8041), "Birds": (200, 5994, 5794)}


@pytest.mark.parametrize("name", SETS)
def test_the_paper_s_sets_give_every_k_up_to_30_and_k(name, tmp_path):
    per_class, (left, largest_official) = SETS[name], LEFT[name]
    assert (len(per_class[0]), *map(sum, per_class)) == SIZES[name]
    labels = [np.repeat(np.arange(len(one)), one) for one in per_class]
    manifest = made(tmp_path / name, *labels)
    both = np.concatenate(labels)
    assert to_train_on(manifest) == left
    assert shots_within(to_train_on(manifest)) == SHOTS
    official = shots_within(to_train_on(manifest, "official"))
    assert official[-2:] == (largest_official, "K")
    drawn = draw(manifest, 0)
    for shots in SHOTS:
        one = drawn.taking(shots, manifest.classes)
        wanted = left if shots == "K" else [int(shots)] * len(left)
        assert np.bincount(both[one.train]).tolist() == wanted
        assert np.bincount(both[one.test]).tolist() == np.bincount(both[one.validation]).tolist() == [5] * len(left)
        assert len(one.unused) == sum(left) - sum(wanted)


@pytest.mark.parametrize(
    ("train", "val", "shots", "says"),
    [
        ([1, 31, 35], [10, 12, 17], "2", "'class0' has 11 pictures; 5 .* 5 .* 2 for training are 12; .*smaller k"),
        ([40, 31, 35], [10, 12, 17], "34", "'class1' has 43 pictures; .* 34 for training are 44"),
        ([40, 31, 4], [10, 12, 6], "1", "'class2' has 10 pictures; .* 11 in all"),
        ([40, 31, 1], [10, 12, 0], "1", "'class2' has a single picture;"),
        ([40, 31, 35], [10, 12, 17], "0", "1 or more, or K for all. Received: 0"),
    ],
)
def test_too_few_pictures_are_one_sentence_that_names_the_class(train, val, shots, says, tmp_path):
    manifest = made(tmp_path / "few", np.repeat([0, 1, 2], train), np.repeat([0, 1, 2], val))
    with pytest.raises(UserError, match=says):
        check_counts(manifest, shots)
    if shots != "0" and "in all" not in says and "single" not in says:
        with pytest.raises(UserError, match=r"to train on, and .*choose a smaller k"):
            draw(manifest, 0).taking(shots, manifest.classes)


@pytest.mark.parametrize(
    ("train", "val", "shots", "says"),
    [
        ([1, 31, 35], [10, 12, 17], "2", "'class0' has a single picture in train, and 2 of each.* pool the splits"),
        ([40, 31, 35], [10, 12, 17], "32", "'class1' has 31 pictures in train, and 32"),
        ([40, 31, 4], [10, 12, 6], "1", "'class2' has 10 pictures; .* 11 in all"),
        ([40, 31, 35], [10, 9, 17], "1", "'class1' has 9 pictures in val"),
        ([40, 31, 0], [10, 12, 17], "K", "'class2' has 0 pictures in train, and at least one"),
    ],
)
def test_too_few_pictures_of_official_splits_are_one_sentence(train, val, shots, says, tmp_path):
    manifest = made(tmp_path / "few", np.repeat([0, 1, 2], train), np.repeat([0, 1, 2], val))
    with pytest.raises(UserError, match=says):
        check_counts(manifest, shots, "official")


@pytest.mark.parametrize("splits", ["pooled", "official"])
def test_a_list_that_was_written_is_read_back_as_the_draw_that_it_was(manifest, splits, tmp_path):
    drawn, path = draw(manifest, 7, splits), tmp_path / "few_shot.csv"
    write(drawn, manifest, path)
    again = read_list(path, manifest, splits)
    for part in ("train", "validation", "test"):
        assert [one.tolist() for one in getattr(again, part)] == [one.tolist() for one in getattr(drawn, part)]
    for shots in ("3", "K"):
        one, other = drawn.taking(shots, CLASSES), again.taking(shots, CLASSES)
        assert np.array_equal(one.unused, other.unused)
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert len(rows) == (145 if splits == "pooled" else 106 + 30)
    assert [row["part"] for row in rows[:5]] == ["validation"] * 5
    first = drawn.validation[0][0]
    split, place = ("train", first) if drawn.test_split == POOLED and first < 106 else ("val", first % 106)
    (identifier,) = Records(manifest, split).ids([place])
    assert rows[0] == {"part": "validation", "split": split, "class": "class0", "id": identifier}
    if splits == "official":  # its pictures are those of a list for pooled splits too
        pooled = read_list(path, manifest)
        assert [one.tolist() for one in pooled.train] == [one.tolist() for one in drawn.train]
        assert [one.tolist() for one in pooled.test] == [(one + 106).tolist() for one in drawn.test]


def test_a_short_list_takes_what_it_names_and_leaves_the_rest_unused(manifest, tmp_path):
    path = tmp_path / "few_shot.csv"
    lines = ["part,split,class,id"]
    for label in range(3):
        places = np.flatnonzero(label == TRAIN)[:4]
        ids = Records(manifest, "train").ids(places)
        parts = ("train", "test", "validation", "train")
        lines += [f"{part},train,class{label},{one}" for part, one in zip(parts, ids, strict=True)]
    path.write_text("\n".join(lines) + "\n")
    one = read_list(path, manifest).taking("K", CLASSES)
    assert counts(TRAIN, one.train) == [2, 2, 2]
    assert len(one.unused) == 145 - 12
    with pytest.raises(UserError, match="'class0' has 2 pictures to train on, and 3"):
        read_list(path, manifest).taking("3", CLASSES)


@pytest.mark.parametrize(
    ("change", "splits", "says"),
    [
        (lambda lines: None, "pooled", "there is no list of drawn pictures"),
        (lambda lines: ["id,part"], "pooled", "its columns are part, split, class, id"),
        (lambda lines: [*lines, "a,b"], "pooled", "its columns are part, split, class, id"),
        (lambda lines: [], "pooled", "no list of drawn pictures"),
        (lambda lines: [*lines, lines[1]], "pooled", "names .* for the second time"),
        (lambda lines: [*lines, "extra,val,class0,x"], "pooled", "the part 'extra'"),
        (lambda lines: [*lines, "train,test,class0,x"], "pooled", "the split 'test'"),
        (lambda lines: [*lines, "train,val,class9,x"], "pooled", "class 'class9', which .* does not have"),
        (lambda lines: [*lines, "train,val,class0,x"], "pooled", "'x' of val, no picture of 'class0'"),
        (lambda lines: [line for line in lines if "test" not in line], "pooled", "no picture of 'class0' for test"),
        (lambda lines: lines, "official", "leave few_shot_splits=official out"),
    ],
)
def test_a_list_that_does_not_fit_is_one_sentence(manifest, tmp_path, change, splits, says):
    path = tmp_path / "few_shot.csv"
    write(draw(manifest, 0), manifest, path)
    lines = change(path.read_text().splitlines())
    path.unlink()
    if lines is not None:
        path.write_text("\n".join(lines) + "\n" * bool(lines))
    with pytest.raises(UserError, match=says):
        read_list(path, manifest, splits)


@pytest.mark.parametrize("codec", ["raw", "jpeg", "npy"])
def test_both_splits_are_read_as_one_with_each_picture_s_split_before_its_id(codec, tmp_path):
    manifest, written = write_small_set(tmp_path, codec=codec)
    reader = Reader(manifest, POOLED, 36, 40, shown=Shown.parse("other"))
    ((inputs, labels),) = list(reader.validation())
    assert labels.tolist() == [*written["train"]["label"], *written["val"]["label"]]
    assert reader.ids_and_labels()[0] == [f"{split}/{one}" for split in written for one in written[split]["id"]]
    alone = [Reader(manifest, split, 36, 40, shown=Shown.parse("other"))[0] for split in written]
    for name in ("image", "saliency"):
        assert np.array_equal(inputs[name], np.concatenate([one[0][name] for one in alone]))


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
