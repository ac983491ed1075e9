"""What a run's network said of each tested picture: `predictions.h5`, read and checked.

The file may come from elsewhere. Each array is stored in the file itself, and is not larger than the file can hold.
"""

import contextlib
import dataclasses
import itertools

import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.data.bounded import EXPANSION

AT_ONCE = 4096  # pictures whose scores are looked at together
TEXTS_AT_ONCE = 64
FIRST = 5


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What the last epoch's model said of each picture of a split.

    Attributes:
        ids: str array `(pictures,)`, unique.
        labels: int32 array `(pictures,)`, indices into `classes`.
        ranks: int32 array `(pictures,)`: the rank of the true class, 0 where the model is right.
        first: int32 array `(pictures, min(5, classes))`: the first classes, best first.
        classes: Class names.
        split: Name of the split, `"val"`.
        data: Digest of the data set's manifest.
    """

    ids: np.ndarray
    labels: np.ndarray
    ranks: np.ndarray
    first: np.ndarray
    classes: tuple[str, ...]
    split: str
    data: str

    def correct(self, k=1):
        """Whether the true class is among the first `k`: bool array `(pictures,)`."""
        return self.ranks < k

    def in_order_of(self, other):
        """The same predictions in the order of another run's pictures, so that the two can be compared in pairs.

        Args:
            other: `Predictions` of the other run. Its data set may be another compaction (another predictor, say)
                of the same pictures: they are matched by id.

        Returns:
            `Predictions` with `ids`, `labels` and `classes` equal to the other's.

        Raises:
            UserError: If the pictures, their classes or the class names are not the same.
        """
        sets = f"data sets {self.data[:12]} and {other.data[:12]}"
        if self.classes != other.classes:
            raise UserError(f"the two runs cannot be compared: their classes differ ({sets}).")
        order, order_of_other = np.argsort(self.ids), np.argsort(other.ids)
        if not np.array_equal(self.ids[order], other.ids[order_of_other]):
            shared = np.intersect1d(self.ids, other.ids).size
            counts = f"{shared} pictures in common of {self.ids.size} and {other.ids.size}"
            raise UserError(f"the two runs cannot be compared: they were tested on other pictures ({counts}; {sets}).")
        place = np.empty_like(order)
        place[order_of_other] = order
        if not np.array_equal(self.labels[place], other.labels):
            raise UserError(f"the two runs cannot be compared: the same pictures have other labels ({sets}).")
        rows = {name: getattr(self, name)[place] for name in ("ids", "labels", "ranks", "first")}
        return dataclasses.replace(self, **rows)


def read_predictions(path):
    """Reads `predictions.h5`.

    Args:
        path: The file.

    Returns:
        The `Predictions`.

    Raises:
        UserError: If it is missing or damaged.
    """
    if not path.is_file():
        raise UserError(f"{path.parent} has no {path.name}: it is not the finished run of a classifier.")
    with _opened(path) as file:
        predictions = Predictions(
            ids=np.array(_texts(path, _dataset(path, file, "id")), dtype=str),
            labels=_dataset(path, file, "label")[:],
            ranks=_dataset(path, file, "rank")[:],
            first=_dataset(path, file, "top5")[:],
            classes=tuple(_text(name) for name in _attribute(path, file, "classes")),
            split=_text(_attribute(path, file, "split")),
            data=_text(_attribute(path, file, "data")),
        )
        _check(predictions)
    return predictions


def read_scores(path, predictions, level=""):
    """Reads the logits of `predictions.h5`.

    Args:
        path: The file.
        predictions: Its `Predictions`.
        level: Name of a further output that is a prediction, or `""` for the one that counts.

    Returns:
        float16 array `(pictures, classes)`.

    Raises:
        UserError: If they are missing or do not fit.
    """
    shape = predictions.ids.size, len(predictions.classes)
    with _opened(path) as file:
        scores = _dataset(path, file, f"scores_{level}" if level else "scores")
        if scores.shape != shape or scores.dtype.kind != "f":
            raise ValueError(f"the scores have shape {scores.shape}, not {shape}")
        return scores[:]


def check_against_scores(run, predictions):
    """Compares the predictions of a run that has no checksums with its scores and its summary.

    float16 scores keep the order of the float32 ones, equal ones aside: the rank of the true class is at least the
    number of greater scores, and at most the number of those that are not smaller.

    Args:
        run: The `Run`.
        predictions: Its `Predictions`.

    Raises:
        UserError: If ranks, first classes or Top-1 are others.
    """
    path = run.folder / run_folder.PREDICTIONS
    with _opened(path) as file:
        if "scores" in file:
            scores = _dataset(path, file, "scores")
            if scores.shape != (predictions.ids.size, len(predictions.classes)) or scores.dtype.kind != "f":
                raise ValueError(f"the scores have shape {scores.shape}")
            for begin in range(0, len(scores), AT_ONCE):
                rows = slice(begin, begin + AT_ONCE)
                _check_rows(scores[rows], predictions.labels[rows], predictions.ranks[rows], predictions.first[rows])
        right, tested = int((predictions.ranks < 1).sum()), _tested(run.summary)
        for pictures, said in tested:
            if pictures == predictions.ids.size and abs(right - said) > 0.5:
                raise ValueError(f"{right} pictures are right, {said:.0f} by the summary: is the file another run's?")


def _check_rows(scores, labels, ranks, first):
    true = np.take_along_axis(scores, labels[:, None], 1)
    greater, as_great = (scores > true).sum(1), (scores >= true).sum(1) - 1
    if ((ranks < greater) | (ranks > as_great)).any():
        raise ValueError("the ranks are not those of the scores")
    of_first = np.take_along_axis(scores, first, 1)
    in_order = (of_first[:, 1:] <= of_first[:, :-1]).all(1)
    if not (in_order & ((scores > of_first[:, -1:]).sum(1) < first.shape[1])).all():
        raise ValueError("the first classes are not those of the scores")


def _tested(summary):
    """How many pictures were tested, and how many of them are right by a summary; nothing where it does not say so."""
    pictures = summary.get("pictures")
    if not isinstance(pictures, dict) or "tested" not in pictures:
        return []
    parts = [summary[name] for name in ("test", "unused") if name in summary]
    if parts:
        return [(sum(part["pictures"] for part in parts), sum(part["right"] for part in parts))]
    kept = summary["best"] if summary.get("kept") == summary["best"]["epoch"] else summary["last"]
    return [(pictures["validation"], kept["val_top1"] * pictures["validation"])]


@contextlib.contextmanager
def _opened(path):
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except UserError:
        raise
    except Exception as error:  # h5py and HDF5 raise whatever they stumble over
        reason = next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
        raise UserError(
            f"{path} is damaged ({reason}); take the file from a copy of the run, or train the run again."
        ) from None


def _dataset(path, file, name):
    import h5py

    # A run may come from elsewhere: its file shall not make us read another one, nor take more memory than it is large.
    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or not isinstance(file[name], h5py.Dataset):
        raise ValueError(f"{name} is not stored in the file itself")
    found = file[name]
    if found.external or found.is_virtual:
        raise ValueError(f"{name} is not stored in the file itself")
    if found.nbytes > EXPANSION * min(found.id.get_storage_size(), path.stat().st_size):
        raise ValueError(f"{name} claims more than is in the file")
    return found


def _attribute(path, file, name):
    if file.attrs.get_id(name).get_storage_size() > path.stat().st_size:
        raise ValueError(f"{name} claims more than is in the file")
    return file.attrs[name]


def _texts(path, dataset):
    """Texts of fixed or, in files of earlier versions, of variable length, as many as fit into the file."""
    found, size = [], 0
    for begin in range(0, len(dataset), TEXTS_AT_ONCE):
        found.append(dataset.asstr()[begin : begin + TEXTS_AT_ONCE])
        size += sum(map(len, found[-1]))
        if size > EXPANSION * path.stat().st_size:
            raise ValueError("the ids are longer than the file")
    return list(itertools.chain(*found))


def _text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _check(predictions):
    pictures, classes = predictions.ids.size, len(predictions.classes)
    if predictions.ids.shape != (pictures,) or np.unique(predictions.ids).size != pictures or not pictures:
        raise ValueError("no pictures, or the ids are not unique")
    for name in ("labels", "ranks"):
        values = getattr(predictions, name)
        if values.shape != (pictures,) or values.dtype.kind not in "iu":
            raise ValueError(f"{name} are not one whole number a picture")
        if values.min() < 0 or values.max() >= classes:
            raise ValueError(f"{name} do not fit the {classes} classes")
    first = predictions.first
    if first.shape != (pictures, min(FIRST, classes)) or first.dtype.kind not in "iu":
        raise ValueError(f"the first classes have shape {first.shape}")
    if first.min() < 0 or first.max() >= classes:
        raise ValueError(f"the first classes do not fit the {classes} classes")
