"""Few pictures per class from any compact set, and held-out parts of a split.

Figueroa-Flores et al. 2020, §IV-A: k training pictures per class, five for validation, five for test. The paper's
largest k is more than the official train splits have (10 a class of Flowers-102), so by default both splits are pooled
and K is what remains of a class after five and five. With the official splits, training pictures come from train, the
others from val, and K is the train split. The draw follows from the seed alone, and the pictures of a smaller k are
among those of a larger one. Five test pictures a class leave a standard error larger than the gains in question, so
what nothing has touched is kept as `unused`: a larger test, the same for every method.

A draw is written as a list and read back from one: a CSV file of `part` (`validation`, `test`, `train`), `split`,
`class` and `id`, a class's training pictures in the order in which a larger k takes them. Reading a drawn part is the
reader's, by its `subset`.
"""

import csv
import dataclasses

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data.manifest import POOLED
from saliency_keras.data.stored import Records
from saliency_keras.files import whole_file

SHOTS = ("1", "2", "3", "5", "10", "15", "20", "25", "30", "K")  # training pictures per class; K: all
OFFICIAL = "official"
SPLITS = ("pooled", OFFICIAL)  # where the pictures of a draw come from
VALIDATION = 5  # per class
TEST = 5  # per class
HELD_OUT = 0.2  # of each class, where a run trains on the val split
STREAMS = {"train": 0x7EA1, "val": 0x7A11, "hold out": 0x401D, "pooled": 0x900D}  # keep draws of one seed apart
PARTS = ("validation", "test", "train")
COLUMNS = ("part", "split", "class", "id")


@dataclasses.dataclass(frozen=True)
class FewShot:
    """Places of pictures, int64 and ascending, in the order on disk of the split that they are in.

    Attributes:
        train: The training pictures.
        validation: Those to validate on after each epoch.
        test: The protocol's test pictures.
        unused: All others that may be tested; may be empty.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    unused: np.ndarray


@dataclasses.dataclass(frozen=True)
class Draw:
    """The pictures of one repeat for every k: of each part a list with the places of each class, in drawn order.

    Attributes:
        train_split: The split that `train` is in, `"train"`, or `"train+val"` where the splits are pooled.
        test_split: The split that `validation` and `test` are in.
        train: int64 arrays, one a class.
        validation: The same.
        test: The same.
        tested: How many pictures `test_split` has.
    """

    train_split: str
    test_split: str
    train: list
    validation: list
    test: list
    tested: int

    def taking(self, shots, classes):
        """The pictures of one k.

        Args:
            shots: k, the text of a whole number from 1, or `"K"` for all training pictures of each class.
            classes: Class names.

        Returns:
            A `FewShot`.

        Raises:
            UserError: If a class has fewer training pictures.
        """
        check_shots(shots)
        wanted = 1 if shots == "K" else int(shots)
        for name, order in zip(classes, self.train, strict=True):
            if len(order) < wanted:
                raise UserError(
                    f"the class {name!r} has {_pictures(len(order))} to train on, and {wanted} of each class are to be "
                    "drawn; choose a smaller k."
                )
        train = _places(order if shots == "K" else order[:wanted] for order in self.train)
        validation, test = _places(self.validation), _places(self.test)
        taken = [validation, test, *([train] if self.train_split == self.test_split else [])]
        unused = np.setdiff1d(np.arange(self.tested), np.concatenate(taken))
        return FewShot(train, validation, test, unused)


def draw(manifest, seed, splits="pooled"):
    """Draws the pictures of the few-shot protocol from a compact set.

    Args:
        manifest: The `Manifest`.
        seed: Seed of the draw.
        splits: `"pooled"` or `"official"`.

    Returns:
        The `Draw`.

    Raises:
        UserError: If a class has too few pictures.
    """
    check_counts(manifest, "K", splits)
    if splits == OFFICIAL:
        train, val = (_drawn(_labels(manifest, split), seed, split) for split in ("train", "val"))
        rest = [order[VALIDATION:] for order in val]
        validation, test = [order[:VALIDATION] for order in val], [order[:TEST] for order in rest]
        return Draw("train", "val", train, validation, test, manifest.split("val").records)
    orders = _drawn(_labels(manifest, POOLED), seed, "pooled")
    least = VALIDATION + TEST
    parts = (slice(least, None), slice(VALIDATION), slice(VALIDATION, least))
    train, validation, test = ([order[part] for order in orders] for part in parts)
    return Draw(POOLED, POOLED, train, validation, test, manifest.split(POOLED).records)


def check_shots(shots):
    """Refuses, as a `UserError`, what is no number of training pictures per class."""
    if shots != "K" and not (shots.isdecimal() and int(shots)):
        raise UserError(f"the number of training pictures per class is 1 or more, or K for all. Received: {shots}")


def to_train_on(manifest, splits="pooled"):
    """How many pictures of each class a draw leaves to train on, a list of int; arguments as `draw`."""
    if splits == OFFICIAL:
        return list(manifest.split("train").per_class)
    return [count - VALIDATION - TEST for count in manifest.split(POOLED).per_class]


def shots_within(in_train):
    """Those of `SHOTS` that every class has training pictures for; `in_train` has their number, class by class."""
    return tuple(shots for shots in SHOTS if shots == "K" or int(shots) <= min(in_train))


def check_counts(manifest, shots, splits="pooled"):
    """Refuses a set with too few pictures of a class for the protocol.

    Args:
        manifest: The `Manifest`.
        shots: As for `Draw.taking`.
        splits: As for `draw`.

    Raises:
        UserError: If a class has too few, or `shots` is no number of pictures.
    """
    check_shots(shots)
    wanted = 1 if shots == "K" else int(shots)
    least = VALIDATION + TEST
    counts = (manifest.split(split).per_class for split in ("train", "val"))
    for name, first, second in zip(manifest.classes, *counts, strict=True):
        if first + second <= least:
            raise UserError(
                f"the class {name!r} has {_pictures(first + second)}; the few-shot protocol takes {VALIDATION} for "
                f"validation, {TEST} for test and at least one for training, {least + 1} in all."
            )
        if splits == OFFICIAL:
            _check_official(name, first, second, shots, wanted)
        elif first + second < least + wanted:
            raise UserError(
                f"the class {name!r} has {_pictures(first + second)}; {VALIDATION} for validation, {TEST} for test and "
                f"{wanted} for training are {least + wanted}; choose a smaller k."
            )


def _check_official(name, first, second, shots, wanted):
    if second < VALIDATION + TEST:
        raise UserError(
            f"the class {name!r} has {_pictures(second)} in val; with official splits the few-shot protocol takes "
            f"{VALIDATION} of them for validation and {TEST} for test."
        )
    if first < wanted:
        raise UserError(
            f"the class {name!r} has {_pictures(first)} in train, and {'at least one' if shots == 'K' else shots} "
            "of each class are to be drawn; choose a smaller k, or pool the splits (few_shot_splits=pooled)."
        )


def write_list(drawn, manifest, path):
    """Writes a draw as a list, whole or not at all.

    Args:
        drawn: The `Draw`.
        manifest: The `Manifest` of its set.
        path: The CSV file.
    """
    with whole_file(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for part in PARTS:
            split = drawn.train_split if part == "train" else drawn.test_split
            stored = Records(manifest, split)
            for name, places in zip(manifest.classes, getattr(drawn, part), strict=True):
                for identifier in stored.ids(places):
                    where, one = identifier.split("/", 1) if split == POOLED else (split, identifier)
                    writer.writerow([part, where, name, one])


def read_list(path, manifest, splits="pooled"):
    """Reads a draw from a list.

    Args:
        path: A CSV file as `write_list` writes it. Pictures that it does not name are left unused.
        manifest: The `Manifest` of the set.
        splits: As for `draw`. With `"official"` the list's training pictures are in train, the others in val.

    Returns:
        The `Draw`.

    Raises:
        UserError: If it is no such list, or does not fit the set.
    """
    rows = _rows_of(path)
    stored = {split: Records(manifest, split) for split in ("train", "val")}
    places = {
        split: {one: place for place, one in enumerate(records.ids(np.arange(len(records))))}
        for split, records in stored.items()
    }
    label_of = {name: label for label, name in enumerate(manifest.classes)}
    labels = {split: _labels(manifest, split) for split in stored}
    offset = {"train": 0, "val": 0 if splits == OFFICIAL else len(stored["train"])}
    parts, seen = {part: [[] for _ in manifest.classes] for part in PARTS}, set()
    for number, (part, split, name, identifier) in enumerate(rows, 2):
        where = f"line {number} of {path}"
        if part not in PARTS or split not in stored:
            raise UserError(f"{where} has the part {part!r} and the split {split!r}; parts are {', '.join(PARTS)}.")
        if name not in label_of:
            raise UserError(f"{where} has the class {name!r}, which {manifest.folder} does not have.")
        place = places[split].get(identifier)
        if place is None or labels[split][place] != label_of[name]:
            raise UserError(f"{where} names {identifier!r} of {split}, no picture of {name!r} in {manifest.folder}.")
        if (split, place) in seen:
            raise UserError(f"{where} names {identifier!r} of {split} for the second time.")
        if splits == OFFICIAL and (part == "train") != (split == "train"):
            raise UserError(f"{where} takes a picture of {split} for {part}; leave few_shot_splits=official out.")
        seen.add((split, place))
        parts[part][label_of[name]].append(place + offset[split])
    for part, of_class in parts.items():
        if lacking := [name for name, found in zip(manifest.classes, of_class, strict=True) if not found]:
            raise UserError(f"{path} has no picture of {lacking[0]!r} for {part}.")
    train_split, test_split = ("train", "val") if splits == OFFICIAL else (POOLED, POOLED)
    found = {part: [np.array(one, np.int64) for one in of_class] for part, of_class in parts.items()}
    return Draw(train_split, test_split, **found, tested=manifest.split(test_split).records)


def _rows_of(path):
    """The rows of a list under its header, each four texts."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            header, *rows = csv.reader(file, strict=True)
    except FileNotFoundError:
        raise UserError(f"there is no list of drawn pictures {path}.") from None
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path} is no list of drawn pictures: {error}.") from None
    if tuple(header) != COLUMNS or any(len(row) != len(COLUMNS) for row in rows):
        raise UserError(f"{path} is no list of drawn pictures; its columns are {', '.join(COLUMNS)}.")
    return rows


def _labels(manifest, split):
    records = Records(manifest, split)
    return records.labels(np.arange(len(records)))


def hold_out(labels, share, seed=0):
    """Parts a split in two, class by class.

    Args:
        labels: int array `(pictures,)`.
        share: Part of each class to hold out, above 0 and below 1; at least one picture of a class that has two.
        seed: Seed of the draw.

    Returns:
        Places that are kept and places that are held out, int64, ascending.

    Raises:
        UserError: If no class has two pictures.
    """
    drawn = _drawn(labels, seed, "hold out")
    held = [min(len(order) - 1, max(1, round(share * len(order)))) for order in drawn]
    if not any(held):
        raise UserError("no class has a second picture that could be held out for validation.")
    kept = _places(order[count:] for order, count in zip(drawn, held, strict=True))
    return kept, _places(order[:count] for order, count in zip(drawn, held, strict=True))


def _drawn(labels, seed, stream):
    """For each class its places in random order; a class's draw depends on no other class."""
    labels = np.asarray(labels)
    drawn = []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        words = np.random.Philox(key=[seed, STREAMS[stream] + (int(label) << 16)]).random_raw(len(members))
        drawn.append(members[np.argsort(words, kind="stable")])
    return drawn


def _places(parts):
    return np.sort(np.concatenate([np.empty(0, np.int64), *parts]))


def _pictures(count):
    return "a single picture" if count == 1 else f"{count} pictures"
