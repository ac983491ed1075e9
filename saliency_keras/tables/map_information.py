"""What saliency maps say about the class: a linear classifier that sees the maps alone, one for each map of a set.

A map that a network makes which learned classes may tell the class, besides the place. This probe bounds that from
below: it is the Top-1 on the val split of the exact linear classifier of `tables.backbones` on the map, averaged over a
grid. Above chance, the map says something about the class that needs no picture. `center` is one map for all pictures
and `NAME, other pictures'` are the maps of the first predictor after a shuffle within both splits: both have to be at
chance. Intervals are Wilson's, 95 %, over the pictures that are tested; one classifier is fitted.
"""

import dataclasses

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.shown import Shown, swapped_maps
from saliency_keras.data.stored import Records
from saliency_keras.figures.document import Table
from saliency_keras.figures.intervals import Estimate
from saliency_keras.figures.map_information import information_figure
from saliency_keras.metrics.digits import percent
from saliency_keras.metrics.statistics import wilson_interval
from saliency_keras.tables.backbones import PICTURES, right_of_linear
from saliency_keras.tables.results import write_files

GRID = 16  # positions to a side that a map is averaged to
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
HELD_OUT = 5  # every fifth training picture chooses the penalty


@dataclasses.dataclass(frozen=True)
class MapInformation:
    """Every map of a set as what a classifier sees, and nothing else.

    Attributes:
        limit: Pictures of each split at most: the first, which are in random order on disk.
    """

    limit: int = PICTURES
    keep_models = True

    @staticmethod
    def options(add):
        """`--limit`."""
        limit = "accuracy-vs-saliency, map-information: pictures of a split, for the linear fits (%(default)s)"
        add("--limit", metavar="N", type=int, default=PICTURES, help=limit)

    def plan(self, table, choices):
        """As `TableKind.plan`: no run is trained."""
        if choices.epochs or choices.repeats or choices.only or choices.settings or choices.large:
            raise UserError("map-information trains no run: it takes --data, --out and --limit alone.")
        if self.limit < HELD_OUT:
            raise UserError(f"--limit must be at least {HELD_OUT}. Received: {self.limit}")
        return []

    def write(self, results, folder):
        """As `TableKind.write`; fits the classifiers."""
        manifest = Manifest.load(results.data)
        lines, chance = information(manifest, self.limit)
        pictures = {split: min(manifest.split(split).records, self.limit) for split in ("train", "val")}
        header = ["map", "labels it learned", "Top-1 %", "95 % interval", "penalty"]
        rows = [[one.name, one.labels, *one.top1.text(), f"{one.penalty:g}"] for one in lines]
        guess = ["chance: one class, or the largest", None, percent(chance, pictures["val"]), None, None]
        numbers = [
            *([one.name, one.labels, *one.top1.numbers(), one.penalty] for one in lines),
            ["chance", None, round(chance, 6), None, None, None],
        ]
        notes = [
            f"Data set {manifest.folder.name} ({manifest.digest()[:12]}, {len(manifest.classes)} classes): fitted to "
            f"{pictures['train']:,} pictures of train, tested on {pictures['val']:,} of val. Maps are averaged to "
            f"{GRID} x {GRID}; every fifth training picture chooses the penalty, then all are fitted.",
            "A lower bound: a network may read more of a map than a linear classifier does.",
        ]
        figures = {"figure.png": information_figure([(one.name, one.top1) for one in lines], chance)}
        shown, csv_header = [Table(header, [*rows, guess])], ["map", "labels", "top1", "low", "high", "penalty"]
        return write_files(folder, results.table, notes, shown, (csv_header, numbers), figures)


@dataclasses.dataclass(frozen=True)
class Information:
    """What a classifier that sees one kind of map only has right.

    Attributes:
        name: The map.
        labels: Which labels its predictor learned, in words.
        top1: Top-1 on the val split, an `Estimate`.
        penalty: The penalty that was chosen.
    """

    name: str
    labels: str
    top1: Estimate
    penalty: float


def information(manifest, limit=PICTURES):
    """Fits and tests a linear classifier on each map of a set.

    Args:
        manifest: The compact set's `Manifest`.
        limit: Pictures of each split at most.

    Returns:
        A list of `Information`, and what guessing has right of the val split: the larger of 1 / classes and the share
        of the largest class among the tested pictures, as in `runs.learned`.

    Raises:
        UserError: If a split has no pictures.
    """
    labels = {
        split: Records(manifest, split).labels(np.arange(min(manifest.split(split).records, limit)))
        for split in ("train", "val")
    }
    first = manifest.maps[0].name
    shown = {one.name: Shown(one.name) for one in manifest.maps}
    shuffled = f"{first}, other pictures'"
    shown |= {shuffled: Shown(first, "shuffled"), "center": Shown("", "center")}
    learned = {one.name: labels_learned(one.predictor) for one in manifest.maps}
    learned |= {shuffled: learned[first], "center": "none"}
    lines = []
    for name, one in shown.items():
        train, val = (grids(manifest, split, one, labels[split].size) for split in ("train", "val"))
        right, penalty = probe(train, labels["train"], val, labels["val"], len(manifest.classes))
        tested = labels["val"].size
        top1 = Estimate(right / tested, *wilson_interval(right, tested), tested)
        lines.append(Information(name, learned[name], top1, penalty))
    return lines, max(1 / len(manifest.classes), np.bincount(labels["val"]).max() / labels["val"].size)


def grids(manifest, split, shown, pictures):
    """The maps of the first pictures of a split, averaged over `GRID` x `GRID` parts.

    Args:
        manifest: The compact set's `Manifest`.
        split: `"train"` or `"val"`.
        shown: The `data.shown.Shown` that says which maps.
        pictures: How many pictures.

    Returns:
        float64 array `(pictures, GRID * GRID)`, 0 to 1.
    """
    maps = swapped_maps(manifest, split, shown, 0)
    if maps is None:
        places = np.arange(pictures)
        found = Records(manifest, split, shown.map or manifest.maps[0].name).maps(places)
        return np.stack([averaged(one) for one in found])
    if len(maps.stored) == 1:
        return np.repeat(averaged(maps.stored[0])[None], pictures, axis=0)
    return np.stack([averaged(maps.stored[place]) for place in maps.of_picture[:pictures]])


def averaged(one):
    """One map `(side, side)`, 0 to 255, averaged over `GRID` x `GRID` parts of nearly equal size: `(GRID * GRID,)`."""
    edges = np.linspace(0, len(one), GRID + 1).round().astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(one.astype("float64"), edges, axis=0), edges, axis=1)
    heights = np.diff([*edges, len(one)])
    return (sums / np.outer(heights, heights)).ravel() / 255


def probe(train, labels, val, val_labels, classes):
    """Fits the linear classifier, with the penalty that serves held-out training pictures best.

    Args:
        train: Features `(pictures, features)`.
        labels: Their labels, int `(pictures,)`.
        val: Features of the pictures to test.
        val_labels: Their labels.
        classes: Number of classes.

    Returns:
        How many of the tested pictures are right, an int, and the penalty, the largest of equally good ones.
    """
    held_out = np.arange(len(labels)) % HELD_OUT == 0
    of_penalty = {
        one: right_of_linear(train[~held_out], labels[~held_out], train[held_out], labels[held_out], classes, one)
        for one in PENALTIES
    }
    chosen = max(PENALTIES, key=lambda one: (of_penalty[one], one))
    return right_of_linear(train, labels, val, val_labels, classes, chosen), chosen


def labels_learned(predictor):
    """Which labels a predictor learned, as far as the manifest says.

    Args:
        predictor: The `predictor` of a `data.manifest.SaliencyMap`.

    Returns:
        `"none"` for the predictors that compute or imitate people, `"ImageNet's"` or the file of the weights for those
        over a classifier, `"those of its run"` for a run, and `"not known"` for maps from elsewhere.
    """
    from saliency_keras.saliency import PREDICTORS

    parameters = predictor.get("parameters") or {}
    if "backbone" in parameters:
        weights = parameters.get("backbone_weights", "not known")
        return "ImageNet's" if weights == "imagenet" else f"those of {parameters['backbone']}'s weights {weights}"
    if "experiment" in parameters:
        return "those of its run"
    return "none" if predictor.get("name") in PREDICTORS else "not known"
