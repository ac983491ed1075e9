"""SalClassNet, Fig. 3: the map of the detector alone, and how it moves when the classification loss joins in.

Both maps of each validation picture are compared: their correlation, how far the centre of mass moves (in shares of the
picture's side), and the correlation of each with the map that was taught. The figure shows the pictures whose maps
moved most, and for comparison the one that moved least.
"""

import dataclasses

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.shown import Shown
from saliency_keras.figures.document import Table
from saliency_keras.metrics.fixation_metrics import cc
from saliency_keras.metrics.points import Density, SaliencyMap
from saliency_keras.metrics.statistics import bootstrap_interval
from saliency_keras.runs.run import network_in
from saliency_keras.tables.class_accuracy import Staged
from saliency_keras.tables.results import write_files

BATCH = 16
SHOWN = 5
MOST = 1000  # pictures, the first of the split, which is shuffled
DETECTOR = "salclassnet_detector"


@dataclasses.dataclass(frozen=True)
class Shift(Staged):
    """The maps of the detector and of the joined network on the same pictures."""

    def write(self, results, folder):
        """As `TableKind.write`."""
        from saliency_keras.figures.shift import shift_figure

        name, done = results.table.rows[-1].experiment, [run for run in results.planned if run.finished]
        detector, joined = ([run for run in done if run.experiment.name == one] for one in (DETECTOR, name))
        if not detector or not joined:
            raise UserError(f"the table compares the maps of {DETECTOR} and {name}; one of the two runs is missing.")
        pictures, taught, (before, *after) = _maps(results.data, joined[0].experiment, [detector[0], *joined])
        by_seed = {run.seed: compared(before, maps, taught) for run, maps in zip(joined, after, strict=True)}
        header, rows, numbers = shift_table(by_seed)
        order = np.argsort(by_seed[joined[0].seed][MOVED])[::-1]
        shown = [*order[: SHOWN - 1], order[-1]]
        figure = shift_figure(*(one[shown] for one in (pictures, taught, before, after[0])))
        what = f"{len(pictures)} validation pictures with a map. Intervals are over pictures, of the mean of the seeds."
        notes = [*results.head(), f"{what} The figure shows seed {joined[0].seed}."]
        return write_files(folder, results.table, notes, [Table(header, rows)], numbers, {"shift.png": figure})


def shift_table(by_seed):
    """The means of each measure over seeds and pictures, their intervals over pictures, and each seed's mean.

    Args:
        by_seed: From a seed to what `compared` returns.

    Returns:
        `(header, rows, (csv header, csv rows))`.
    """
    header, rows, csv_rows = ["measure", "mean", "95 % interval", *(f"seed {seed}" for seed in by_seed)], [], []
    for measure in next(iter(by_seed.values())):
        values = np.stack([figures[measure] for figures in by_seed.values()])
        of_pictures, of_seeds = values.mean(axis=0), values.mean(axis=1)
        mean, low, high = float(of_pictures.mean()), *map(float, bootstrap_interval(of_pictures))
        seeds = [f"{value:.3f}" for value in of_seeds]
        rows.append([measure, f"{mean:.3f}", f"{low:.3f} to {high:.3f}", *seeds])
        csv_rows.append([measure, mean, low, high, *map(float, of_seeds)])
    return header, rows, (["measure", "mean", "low", "high", *(f"seed_{seed}" for seed in by_seed)], csv_rows)


MOVED = "centre of mass moves by, shares of the side"


def compared(before, after, taught):
    """Compares two maps of each picture, and both with the map that was taught.

    Args:
        before: float array `(pictures, height, width)`, not negative: the detector's maps.
        after: The same of the joined network.
        taught: The same of the data set.

    Returns:
        From a measure to one number a picture.
    """
    moved = np.linalg.norm(_centres(after) - _centres(before), axis=1) / before.shape[1]
    truth = [Density(one / one.sum()) for one in taught]
    return {
        "correlation of both maps": _correlations(after, [Density(one / one.sum()) for one in _positive(before)]),
        MOVED: moved,
        "detector's correlation with the map taught": _correlations(before, truth),
        "joined network's correlation with the map taught": _correlations(after, truth),
    }


def _positive(maps):
    """The maps, those that are zero everywhere as constant ones."""
    return np.where(maps.sum(axis=(1, 2), keepdims=True) > 0, maps, 1.0)


def _correlations(maps, densities):
    found = [cc(SaliencyMap(one), density) for one, density in zip(maps, densities, strict=True)]
    return np.nan_to_num(found)  # a constant map says nothing


def _centres(maps):
    """Centre of mass of each map, row and column: `(pictures, 2)`."""
    share = _positive(maps)
    share = share / share.sum(axis=(1, 2), keepdims=True)
    rows, columns = (np.arange(length) for length in maps.shape[1:])
    return np.stack([share.sum(axis=2) @ rows, share.sum(axis=1) @ columns], axis=1)


def _maps(data, experiment, runs):
    """Pictures of the validation split that have a map, that map, and the maps of each run."""
    from saliency_keras.data.reader import Reader
    from saliency_keras.models.losses import saliency_of

    manifest = Manifest.load(data)
    some = np.arange(min(MOST, manifest.split("val").records))
    reader = Reader(manifest, "val", experiment.pictures.side, BATCH, Shown(experiment.shown.map), subset=some)
    networks = [network_in(run.folder) for run in runs]
    pictures, taught, maps = [], [], [[] for _ in runs]
    for inputs, _ in reader.validation():
        there = inputs["saliency"].any(axis=(1, 2, 3))
        if not there.any():
            continue
        pictures.append(inputs["image"][there])
        taught.append(inputs["saliency"][there][..., 0].astype("float32") / 255)
        for found, network in zip(maps, networks, strict=True):
            outputs = network.map.predict_on_batch({"image": pictures[-1]})
            found.append(np.asarray(saliency_of(experiment.loss, outputs), "float32")[..., 0])
    return np.concatenate(pictures), np.concatenate(taught), [np.concatenate(one) for one in maps]
