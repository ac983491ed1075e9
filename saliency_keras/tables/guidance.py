"""What maps teach networks that do not see them: each method under each map, beside the unguided network.

Beside accuracies stands how well Grad-CAM agrees with the pictures' own maps, before (of the unguided network) and
after; and how robust the network is, where a set allows it: accuracy on pictures whose object lies off the centre, if
the set has boxes, and on another set's pictures of the same classes (`--elsewhere DIR`).
"""

import dataclasses
from pathlib import Path

import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.data.boxes import read_boxes
from saliency_keras.data.manifest import Manifest
from saliency_keras.experiments.tables.guidance import GUIDED
from saliency_keras.figures.document import Table
from saliency_keras.figures.intervals import accuracy, difference, intervals_figure, numbers_of, text_of
from saliency_keras.metrics.digits import points
from saliency_keras.metrics.statistics import seeds_spread
from saliency_keras.runs.predictions import Predictions
from saliency_keras.tables import further_maps
from saliency_keras.tables.plan import plan
from saliency_keras.tables.results import INTERVALS, write_files

AGREEMENT = (
    "Grad-CAM and map: the linear correlation of Grad-CAM of the true class with the picture's own map, mean over the "
    "validation pictures and repeats; before is that of the baseline."
)
OFF_CENTRE = "Off-centre are {count} of the {all} pictures with a box: those whose box lies farther out than half do."
ALL_ALIKE = "All objects lie equally far from the centre, so that none is off it."
NO_BOXES = "The set has no boxes, so that accuracy on pictures with an off-centre object is not known."


@dataclasses.dataclass(frozen=True)
class GuidanceTable:
    """Guided networks with their controls.

    Attributes:
        elsewhere: Folder of another compact set with some of the same classes, or `None`.
        maps: Names of further maps of the set that are taught too, beside the interleaved one.
    """

    elsewhere: Path | None = None
    maps: tuple[str, ...] = ()
    keep_models = True

    @staticmethod
    def options(add):
        """`--elsewhere`, `--maps`."""
        other = "guidance: another compact set with some of the same classes, whose val pictures are tested too"
        add("--elsewhere", metavar="DIR", type=Path, help=other)
        further_maps.add_option(add)

    def plan(self, table, choices):
        """As `TableKind.plan`; refuses maps that are no further ones, and another set that does not fit."""
        further_maps.check(self.maps, choices.data)
        runs = plan(further_maps.extended(table, self), choices)
        if self.elsewhere:
            other = Manifest.load(self.elsewhere)
            _common(other, Manifest.load(choices.data).classes)
            for side in {run.experiment.pictures.side for run in runs}:
                other.check_side(side)
        return runs

    def write(self, results, folder):
        """As `TableKind.write`."""
        subsets, notes = {}, [*results.head(), INTERVALS, AGREEMENT]
        off, told = off_centre(results)
        notes.append(told)
        if off is not None:
            subsets["off-centre"] = {
                name: [_only(one.predictions, off) for one in runs] for name, runs in results.runs.items()
            }
        if self.elsewhere:
            subsets["elsewhere"] = {
                name: [predicted(run, self.elsewhere) for run in runs] for name, runs in results.runs.items()
            }
            notes.append(f"Elsewhere: the val pictures of {self.elsewhere} whose classes this set has.")
        header, rows, numbers, csv_rows = guidance_table(results, subsets)
        figures = {"gains.png": intervals_figure(panels)} if (panels := gain_panels(results)) else {}
        return write_files(folder, results.table, notes, [Table(header, rows)], (numbers, csv_rows), figures)


def guidance_table(results, subsets):
    """Accuracies, gains over the unguided network and over the same taught other pictures' maps, and agreement.

    Args:
        results: `tables.results.Results`.
        subsets: From a name to the `Predictions` of other pictures, one a repeat, by the row's name.

    Returns:
        `(header, rows, csv header, csv rows)`.
    """
    header = ["row", "Top-1 %", "interval", "gain, points", "gain interval", "own less shuffled maps", "its interval"]
    header += ["Grad-CAM and map, before", "after"]
    numbers = ["row", "baseline", "top1", "top1_low", "top1_high", "gain", "gain_low", "gain_high"]
    numbers += ["less_shuffled", "less_shuffled_low", "less_shuffled_high", "agreement_before", "agreement"]
    for name in subsets:
        header += [f"Top-1 %, {name}", f"gain, {name}", "its interval"]
        numbers += [f"{column}_{name.replace('-', '_')}" for column in ("top1", "gain", "gain_low", "gain_high")]
    header, numbers = [*header, "repeats"], [*numbers, "repeats"]
    rows, csv_rows = [], []
    for row in results.rows():
        top1, gain = results.accuracy(row.name), results.difference(row.name, row.baseline)
        less = results.difference(row.name, row.twin)
        agreed = [agreement_of(results, name) for name in (row.baseline, row.name)]
        cells = [
            row.name,
            *top1.text(),
            *text_of(gain, points),
            *text_of(less, points),
            *(None if one is None else f"{one:.3f}" for one in agreed),
        ]
        csv_cells = [row.name, row.baseline, *top1.numbers(), *numbers_of(gain), *numbers_of(less)]
        csv_cells += [None if one is None else round(one, 6) for one in agreed]
        for of_rows in subsets.values():
            there, gained = _on_other_pictures(results, of_rows, row)
            cells += [there.text()[0], *text_of(gained, points)]
            csv_cells += [there.numbers()[0], *numbers_of(gained)]
        rows.append([*cells, len(results.runs[row.name])])
        csv_rows.append([*csv_cells, len(results.runs[row.name])])
    return header, rows, numbers, csv_rows


def _on_other_pictures(results, of_rows, row):
    """The `Estimate`s of a row's accuracy and of its gain, `None` without a baseline, on other pictures.

    As in `Results`, the spread between seeds is pooled over the rows.
    """
    means = {name: np.array([one.correct().mean() for one in tested]) for name, tested in of_rows.items()}
    compared = [one for one in results.rows() if one.baseline in means]
    gains = seeds_spread([means[one.name] - means[one.baseline] for one in compared])
    there = accuracy(of_rows[row.name], spread=seeds_spread(list(means.values())))
    if row.baseline not in of_rows:
        return there, None
    return there, difference(of_rows[row.name], of_rows[row.baseline], spread=gains)


def agreement_of(results, name):
    """Grad-CAM's agreement with the pictures' own maps, the mean over a row's repeats; `None` if it is not known."""
    found = [run.summary["agreement"]["cc"] for run in results.runs.get(name, ()) if "agreement" in run.summary]
    return float(np.mean(found)) if found else None


def gain_panels(results):
    """The gain of each method's rows over the network that is not guided: one panel a method."""
    panels = {}
    for row in results.rows():
        gain = results.difference(row.name, row.baseline)
        if gain is not None and row.experiment in GUIDED:
            panels.setdefault(f"{row.experiment} against {row.baseline}", []).append((f"{row.maps} maps", gain, None))
    return panels


def off_centre(results):
    """The pictures whose object lies off the centre: those farther from it than the median of the pictures with boxes.

    Args:
        results: `tables.results.Results`, with its `data`.

    Returns:
        The set of their ids, or `None` where the set has no boxes, and a sentence about it.
    """
    tested = results.first.predictions
    boxes = read_boxes(results.data, tested.split) if results.data else {}
    away = {
        one: float(np.hypot((boxes[one][0] + boxes[one][2]) / 2 - 0.5, (boxes[one][1] + boxes[one][3]) / 2 - 0.5))
        for one in tested.ids if one in boxes
    }  # fmt: skip
    middle = float(np.median(list(away.values()))) if away else 0.0
    found = {one for one, distance in away.items() if distance > middle}
    if not found:
        return None, ALL_ALIKE if away else NO_BOXES
    return found, OFF_CENTRE.format(count=len(found), all=len(away))


def _only(predictions, ids):
    """Predictions of some pictures."""
    kept = np.array([one in ids for one in predictions.ids])
    rows = {name: getattr(predictions, name)[kept] for name in ("ids", "labels", "ranks", "first")}
    return dataclasses.replace(predictions, **rows)


def predicted(run, folder):
    """What a run's network says of the val pictures of another set, of those classes that both have.

    Args:
        run: The `Run`.
        folder: Folder of the other compact set.

    Returns:
        `Predictions`.

    Raises:
        UserError: If they have no class in common, or the run's network is gone.
    """
    from saliency_keras.data.reader import Reader
    from saliency_keras.metrics.classification import first_classes, rank_of_true_class
    from saliency_keras.runs.run import network_in

    if not run_folder.has_network(run.folder):
        raise UserError(f"{run.folder} has no network any more, so that it cannot be tested elsewhere.")
    manifest, classes = Manifest.load(folder), run.predictions.classes
    network, common = network_in(run.folder), _common(manifest, classes)
    whole = Reader(manifest, "val", run.settings["side"], run.settings["batch"], None)
    stored = whole.stored.labels(np.arange(len(whole.stored)))
    places = np.flatnonzero(np.isin(stored, [manifest.classes.index(name) for name in common]))
    reader = dataclasses.replace(whole, subset=places, classes=classes)
    taken = (network.taken(inputs) for inputs, _ in reader.validation())
    scores = np.concatenate([np.asarray(network.named(network.model.predict_on_batch(one))["logits"]) for one in taken])
    ids, labels = reader.ids_and_labels()
    ranks = rank_of_true_class(scores, labels)
    return Predictions(np.array(ids), labels, ranks, first_classes(scores, 5), classes, "val", manifest.digest())


def _common(manifest, classes):
    common = [name for name in manifest.classes if name in classes]
    if not common:
        raise UserError(
            f"{manifest.folder} has no class of the set that the networks learn; choose another --elsewhere."
        )
    return common
