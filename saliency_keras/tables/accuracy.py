"""Accuracies of a table's rows beside the paper's: Top-1, Top-5, gains with intervals, sizes, curves.

The paper's accuracies are of its own pictures: they stand beside ours where a run has its classes, size, schedule and
network, or where they are asked for. Its gains stand beside ours on any set. Intervals are those of
`figures.intervals`; numbers in `table.csv` are fractions.
"""

import dataclasses

import numpy as np

from saliency_keras.figures.document import Table
from saliency_keras.figures.intervals import intervals_figure, numbers_of, printed_gain, text_of
from saliency_keras.metrics.digits import is_worth_telling, points
from saliency_keras.tables.plan import AsPlanned
from saliency_keras.tables.results import INTERVALS, write_files

TOP = {"top1": 1, "top5": 5}
WHICH_PUBLISHED = (
    "The paper's accuracies stand beside runs with its number of classes, size, schedule and network, its gains beside "
    "all of its strategies; `--published` shows both everywhere."
)


@dataclasses.dataclass(frozen=True)
class Accuracy(AsPlanned):
    """Rows with their accuracies, gains over their baselines and curves.

    Attributes:
        published: Whether the paper's accuracies are shown even if the data set or the schedule is another one.
    """

    published: bool = False

    @staticmethod
    def options(add):
        """`--published`."""
        published = "thesis tables: show the paper's accuracies even if your set or schedule differs from the paper's"
        add("--published", action="store_true", help=published)

    def write(self, results, folder):
        """As `TableKind.write`."""
        header, rows, csv_header, csv_rows = accuracy_table(results, self.published)
        figures = results.curves(self.published)
        if panels := gain_panels(results):
            figures["gains.png"] = intervals_figure(panels)
        notes = [*results.head(), INTERVALS, *([] if self.published else [WHICH_PUBLISHED])]
        return write_files(folder, results.table, notes, [Table(header, rows)], (csv_header, csv_rows), figures)


def accuracy_table(results, published=False):
    """Top-1 and Top-5 with gains, sizes and speed; Top-5 only where the set has enough classes for it.

    Args:
        results: `tables.results.Results`.
        published: Whether to show the paper's accuracies though a run differs from the paper's in its pictures.

    Returns:
        `(header, rows, csv header, csv rows)`.
    """
    has_top5 = all(is_worth_telling("top5", results.runs[row.name][0].classes) for row in results.rows())
    of_top5 = ("Top-5 %", "paper's Top-5 %", "Top-5 improvement, points", "its interval", "paper's Top-5 improvement")
    header = [
        *("row", "in the paper", "Top-1 %", "Top-1 interval", "paper's Top-1 %"),
        *("gain, points", "gain interval", "paper's gain", *(of_top5 if has_top5 else ())),
        *("parameters", "multiply-adds", "images/s", "epochs to baseline", "repeats"),
    ]
    numbers = [
        *("row", "baseline", "published_top1", "top1", "top1_low", "top1_high", "published_gain", "gain", "gain_low"),
        *("gain_high", "published_top5", "top5", "top5_low", "top5_high", "published_top5_gain", "top5_gain"),
        *("top5_gain_low", "top5_gain_high", "parameters", "multiply_adds"),
        *("images_per_second", "epochs_to_baseline", "repeats"),
    ]
    rows, csv_rows = [], []
    for row in results.rows():
        runs = results.runs[row.name]
        summary = runs[0].summary
        figures = runs[0].of_strategy if published else runs[0].published
        where = None if row.settings else runs[0].config["experiment"].get("row")
        top1, top5 = (results.accuracy(row.name, k) for k in TOP.values())
        gain, gain5 = (results.difference(row.name, row.baseline, k) for k in TOP.values())
        theirs, theirs5 = _printed_gain(results, row), _printed_gain(results, row, "top5")
        speed = [summary["parameters"]["total"], summary.get("multiply_adds"), summary["images_per_second"]]
        reached = _epochs_to_baseline(results, row)
        gain_text, gain5_text = (text_of(one, points) for one in (gain, gain5))
        paper1, paper5 = (figures.get(name) for name in TOP)
        top5_text = [top5.text()[0], _percent(paper5), *gain5_text, _points(theirs5)] if has_top5 else []
        rows.append([
            row.name, where, *top1.text(), _percent(paper1), *gain_text, _points(theirs), *top5_text,
            f"{speed[0]:,}", f"{speed[1]:,}" if speed[1] else None, f"{speed[2]:.0f}", reached, len(runs),
        ])  # fmt: skip
        gain_numbers, gain5_numbers = (numbers_of(one) for one in (gain, gain5))
        csv_rows.append([
            row.name, row.baseline, paper1, *top1.numbers(), theirs, *gain_numbers,
            paper5, *top5.numbers(), theirs5, *gain5_numbers, *speed, reached, len(runs),
        ])  # fmt: skip
    return header, rows, numbers, csv_rows


def gain_panels(results):
    """The gain of each row over its baseline, with its interval and the published one: one panel a baseline."""
    panels = {}
    for row in results.rows():
        gain = results.difference(row.name, row.baseline)
        if gain is not None:
            line = (row.name, gain, _printed_gain(results, row))
            panels.setdefault(f"against {row.baseline}", []).append(line)
    return panels


def _printed_gain(results, row, metric="top1"):
    """The gain that the paper prints for a row, or that follows from the accuracies it prints; `None` for none."""
    if row.published_gain is not None and metric == "top1":
        return row.published_gain
    if row.published_gain is not None or not row.baseline or row.baseline not in results.runs:
        return None
    return printed_gain(results.runs[row.name][0], results.runs[row.baseline][0], metric)


def _epochs_to_baseline(results, row):
    """The first epoch whose validation Top-1 is the baseline's last or better (first repeat), or `None`."""
    if not row.baseline or row.baseline not in results.runs:
        return None
    target = results.runs[row.baseline][0].history["val_top1"][-1]
    reached = np.flatnonzero(results.runs[row.name][0].history["val_top1"] >= target)
    return int(reached[0]) + 1 if reached.size else None


def _percent(value):
    return None if value is None else f"{100 * value:.2f}"


def _points(value):
    return None if value is None else f"{100 * value:+.2f}"
