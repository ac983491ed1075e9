"""Accuracies of a table's rows beside the published ones: Top-1, Top-5, gains with intervals, sizes, curves.

Published accuracies are those of the paper's own pictures; they stand beside ours for their order and their
differences, not to be reached on another set. Intervals are those of `figures.intervals`; numbers in `table.csv` are
fractions.
"""

import dataclasses

import numpy as np

from saliency_keras.figures.intervals import accuracy, intervals_figure, published_gain
from saliency_keras.figures.table import points
from saliency_keras.tables.plan import plan
from saliency_keras.tables.results import INTERVALS, write_files

TOP = {"top1": 1, "top5": 5}


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Rows with their accuracies, gains over their baselines and curves."""

    keep_models = True

    @staticmethod
    def options(add):
        """None of its own."""

    def plan(self, table, choices):
        """As `TableKind.plan`."""
        return plan(table, choices)

    def write(self, results, folder):
        """As `TableKind.write`."""
        header, rows, csv_header, csv_rows = accuracy_table(results)
        figures = results.curves()
        if panels := gain_panels(results):
            figures["gains.png"] = intervals_figure(panels)
        notes = [*results.head(), INTERVALS]
        return write_files(folder, results.table, notes, (header, rows), (csv_header, csv_rows), figures)


def accuracy_table(results):
    """Top-1 and Top-5 with gains, sizes and speed: `(header, rows, csv header, csv rows)`."""
    header = [
        *("row", "in the paper", "Top-1 %", "published", "95 % interval", "gain, points", "published", "95 % interval"),
        *("Top-5 %", "published", "parameters", "multiply-adds", "images/s", "epochs to baseline", "repeats"),
    ]
    numbers = [
        *("row", "baseline", "published_top1", "top1", "top1_low", "top1_high", "published_gain", "gain", "gain_low"),
        *("gain_high", "published_top5", "top5", "top5_low", "top5_high", "parameters", "multiply_adds"),
        *("images_per_second", "epochs_to_baseline", "repeats"),
    ]
    rows, csv_rows = [], []
    for row in results.rows():
        runs = results.runs[row.name]
        published, summary = runs[0].published, runs[0].summary
        where = None if row.settings else runs[0].config["experiment"].get("row")
        top1, top5 = (accuracy(results.tested(row.name), k) for k in TOP.values())
        gain = results.difference(row.name, row.baseline)
        published_gain = _published_gain(results, row)
        speed = [summary["parameters"]["total"], summary.get("multiply_adds"), summary["images_per_second"]]
        reached = _epochs_to_baseline(results, row)
        top1_text, gain_text = top1.text(), gain.text(points) if gain else [None, None]
        published_top1, published_top5 = (published.get(name) for name in TOP)
        rows.append([
            row.name, where, top1_text[0], _percent(published_top1), top1_text[1],
            gain_text[0], _points(published_gain), gain_text[1], top5.text()[0], _percent(published_top5),
            f"{speed[0]:,}", f"{speed[1]:,}" if speed[1] else None, f"{speed[2]:.0f}", reached, len(runs),
        ])  # fmt: skip
        csv_rows.append([
            row.name, row.baseline, published_top1, *top1.numbers(), published_gain,
            *(gain.numbers() if gain else [None] * 3), published_top5, *top5.numbers(), *speed, reached, len(runs),
        ])  # fmt: skip
    return header, rows, numbers, csv_rows


def gain_panels(results):
    """The gain of each row over its baseline, with its interval and the published one: one panel a baseline."""
    panels = {}
    for row in results.rows():
        gain = results.difference(row.name, row.baseline)
        if gain is not None:
            line = (row.name, gain, _published_gain(results, row))
            panels.setdefault(f"against {row.baseline}", []).append(line)
    return panels


def _published_gain(results, row):
    if row.published_gain is not None or not row.baseline or row.baseline not in results.runs:
        return row.published_gain
    return published_gain(results.runs[row.name][0], results.runs[row.baseline][0])


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
