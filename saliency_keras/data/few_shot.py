"""Few pictures per class from any compact set, and held-out parts of a split.

Figueroa-Flores et al. 2020, §IV-A: k training pictures per class, five for validation, five for test. Training
pictures come from the set's train split, the others from its val split. The draw follows from the seed alone, and the
pictures of a smaller k are among those of a larger one. Five test pictures a class leave a standard error larger than
the gains in question, so what remains of the val split is kept as `unused`: a larger test, the same for every method.
Reading a drawn part is the reader's, by its `subset`.
"""

import dataclasses

import numpy as np

from saliency_keras.console import UserError

SHOTS = ("1", "2", "3", "5", "10", "15", "20", "25", "30", "K")  # training pictures per class; K: all
VALIDATION = 5  # per class
TEST = 5  # per class
STREAMS = {"train": 0x7EA1, "val": 0x7A11, "hold out": 0x401D}  # keep draws apart that have one seed


@dataclasses.dataclass(frozen=True)
class FewShot:
    """Places of pictures, int64 and ascending, in their split's order on disk.

    Attributes:
        train: In the train split.
        validation: In the val split.
        test: In the val split.
        unused: The rest of the val split; may be empty.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    unused: np.ndarray


def few_shot(train_labels, val_labels, classes, shots, seed):
    """Draws the pictures of the few-shot protocol.

    Args:
        train_labels: int array `(pictures,)`, the train split's labels in the order on disk.
        val_labels: The same for the val split.
        classes: Class names.
        shots: k, the text of a whole number from 1, or `"K"` for all training pictures of each class.
        seed: Seed of the draw.

    Returns:
        A `FewShot`.

    Raises:
        UserError: If `shots` is neither, or a class has too few pictures.
    """
    counts = (np.bincount(labels, minlength=len(classes)) for labels in (train_labels, val_labels))
    check_counts(*counts, classes, shots)
    taken = None if shots == "K" else int(shots)
    train = _drawn(train_labels, seed, "train")
    val = _drawn(val_labels, seed, "val")
    return FewShot(
        train=_places(order[:taken] for order in train),
        validation=_places(order[:VALIDATION] for order in val),
        test=_places(order[VALIDATION : VALIDATION + TEST] for order in val),
        unused=_places(order[VALIDATION + TEST :] for order in val),
    )


def shots_within(in_train):
    """Those of `SHOTS` that every class has training pictures for; `in_train` has their number, class by class."""
    return tuple(shots for shots in SHOTS if shots == "K" or int(shots) <= min(in_train))


def check_counts(in_train, in_val, classes, shots):
    """Refuses classes with too few pictures for the protocol.

    Args:
        in_train: Pictures of each class in the train split.
        in_val: The same of the val split.
        classes: Class names.
        shots: As for `few_shot`.

    Raises:
        UserError: If a class has too few, or `shots` is no number of pictures.
    """
    if shots != "K" and not (shots.isdecimal() and int(shots)):
        raise UserError(f"the number of training pictures per class is 1 or more, or K for all. Received: {shots}")
    wanted = 1 if shots == "K" else int(shots)
    least = VALIDATION + TEST
    for name, first, second in zip(classes, in_train, in_val, strict=True):
        if first + second <= least:
            raise UserError(
                f"the class {name!r} has {_pictures(first + second)}; the few-shot protocol takes {VALIDATION} for "
                f"validation, {TEST} for test and at least one for training, {least + 1} in all."
            )
        if second < least:
            raise UserError(
                f"the class {name!r} has {_pictures(second)} in val; the few-shot protocol takes {VALIDATION} of them "
                f"for validation and {TEST} for test."
            )
        if first < wanted:
            raise UserError(
                f"the class {name!r} has {_pictures(first)} in train, and {'at least one' if shots == 'K' else shots} "
                "of each class are to be drawn; choose a smaller k."
            )


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
