"""What a run got right, as text and tables: Top-1, Top-5, classes, and the same against another run in pairs.

All of it follows from the two runs' `predictions.h5`. The accuracies are those of the last epoch; the tables of gains
are the thesis's Table 4.2, with counts and points beside the relative gain (whose unit the thesis leaves open).
"""

import numpy as np

from saliency_keras.figures.style import one_line
from saliency_keras.figures.table import markdown_table, percent, points
from saliency_keras.metrics.comparison import (
    bootstrap_interval,
    mcnemar_p,
    most_improved,
    right_per_class,
    wilson_interval,
)
from saliency_keras.training.runs import labels_of, title_of

CLASSES_SHOWN = 40
CLASSES_IN_EXTREMES = 5
FIGURES = {"top1": ("Top-1", 1), "top5": ("Top-5", 5)}


def evaluation_text(run, against=None):
    """Everything `evaluate` tells of a run, as Markdown.

    Args:
        run: `training.runs.Run`.
        against: Another `Run` tested on the same pictures, or `None`.

    Returns:
        The text.

    Raises:
        UserError: If a run has no predictions or the two were not tested on the same pictures.
    """
    predictions = run.predictions
    label, *label_against = labels_of([run] if against is None else [run, against])
    pictures = f"{predictions.ids.size:,} pictures of {predictions.split}, {len(predictions.classes):,} classes"
    parts = [
        f"# {one_line(title_of(run.config))}\n",
        f"{pictures}, data set {predictions.data[:12]}, last epoch of {len(run.history['epoch'])}.\n",
        _accuracies(run),
    ]
    if against is not None:
        parts += _comparison(predictions, against.predictions.in_order_of(predictions), label, *label_against)
    parts += _per_class(*class_table(run, against), *label_against)
    return "\n".join(parts)


def class_table(run, against=None):
    """The accuracy of each class, and its change against another run.

    Args:
        run: `training.runs.Run`.
        against: Another `Run` tested on the same pictures, or `None`.

    Returns:
        `(header, rows)`: class, pictures, those right at Top-1, accuracy at Top-1 and Top-5 (0 to 1), and with
        `against` its right ones, the difference in points and the relative gain; NaN where it does not exist.
    """
    predictions = run.predictions
    counts = [right_per_class(predictions.labels, predictions.correct(k), len(predictions.classes)) for k in (1, 5)]
    (pictures, right), (_, right5) = counts
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = [predictions.classes, pictures, right, right / pictures, right5 / pictures]
        header = ["class", "pictures", "right", "top1", "top5"]
        if against is not None:
            other = against.predictions.in_order_of(predictions)
            _, before = right_per_class(other.labels, other.correct(1), len(other.classes))
            columns += [before, 100 * (right - before) / pictures, np.where(before, (right - before) / before, np.nan)]
            header += ["right_against", "points", "relative_gain"]
    rounded = [column if column is predictions.classes else column.round(6).tolist() for column in columns]
    return header, [list(row) for row in zip(*rounded, strict=True)]


def _accuracies(run):
    rows, pictures = [], run.predictions.ids.size
    for name, (title, k) in FIGURES.items():
        right = int(run.predictions.correct(k).sum())
        published = run.published.get(name)
        interval = _interval(wilson_interval(right, pictures), percent, pictures)
        row = [title, percent(right / pictures, pictures), interval, f"{right:,} of {pictures:,}"]
        rows.append([*row, *([f"{100 * published:.2f}" if published else None] if run.published else [])])
    header = ["accuracy", "%", "95 % interval (Wilson)", "right"]
    if not run.published:
        return markdown_table(header, rows)
    source = " ".join(str(run.config["experiment"].get(key, "")) for key in ("paper", "row")).strip()
    note = f"Published: {source}, on that paper's own pictures.\n"
    return markdown_table([*header, "published %"], rows) + "\n" + note


def _comparison(ours, theirs, label, label_against):
    pictures = ours.ids.size
    rows = []
    for title, k in FIGURES.values():
        right, before = ours.correct(k), theirs.correct(k)
        interval = bootstrap_interval(right.astype(int) - before)
        p = mcnemar_p(int((right & ~before).sum()), int((before & ~right).sum()))
        accuracies = [percent(right.mean(), pictures), percent(before.mean(), pictures)]
        difference = points(right.mean() - before.mean(), pictures)
        rows.append([title, *accuracies, difference, _interval(interval, points, pictures), _p_value(p)])
    header = ["accuracy", f"{label} %", f"{label_against} %", "difference, points", "95 % interval", "McNemar p"]
    right, before = ours.correct(), theirs.correct()
    table = [
        [f"{label} right", int((right & before).sum()), int((right & ~before).sum())],
        [f"{label} wrong", int((~right & before).sum()), int((~right & ~before).sum())],
    ]
    note = (
        f"Interval: paired bootstrap over the {pictures:,} pictures (percentile, 10,000 resamples, seed 0). McNemar's "
        "test is exact and two-sided.\nBoth speak of these two trained networks; training again with another seed adds "
        "to the uncertainty.\n"
    )
    return [
        f"## Against {label_against}\n",
        markdown_table(header, rows),
        note,
        markdown_table(["pictures at Top-1", f"{label_against} right", f"{label_against} wrong"], table),
        *_extremes(ours, theirs, label, label_against),
    ]


def _extremes(ours, theirs, label, label_against):
    pictures, right = right_per_class(ours.labels, ours.correct(), len(ours.classes))
    _, before = right_per_class(theirs.labels, theirs.correct(), len(theirs.classes))
    order = most_improved(pictures, right, before)
    gained = [index for index in order if right[index] > before[index]][:CLASSES_IN_EXTREMES]
    lost = [index for index in order[::-1] if right[index] < before[index]][:CLASSES_IN_EXTREMES]
    parts = []
    for title, chosen in (("gained", gained), ("lost", lost)):
        if not chosen:
            parts += [f"No class {title} at Top-1.\n"]
            continue
        rows = []
        for index in chosen:
            relative = f"{100 * (right[index] / before[index] - 1):+.0f} %" if before[index] else "–"
            change = points((right[index] - before[index]) / pictures[index], pictures[index])
            rows.append([ours.classes[index], before[index], right[index], pictures[index], change, relative])
        header = ["class", f"{label_against} right", f"{label} right", "of", "points", "relative"]
        parts += [f"Classes that {title} most at Top-1:\n", markdown_table(header, rows)]
    return [*parts, "The extremes were picked for being extreme: part of each is luck.\n"]


def _per_class(header, rows, label_against=""):
    against = f"{label_against} right"
    titles = {"top1": "Top-1 %", "top5": "Top-5 %", "right_against": against, "relative_gain": None}
    cells = []
    for name, pictures, right, top1, top5, *change in rows:
        row = [name, pictures, right, percent(top1, pictures), percent(top5, pictures)]
        cells.append([*row, *([change[0], points(change[1] / 100, pictures)] if change else [])])
    header = [titles.get(name, name) for name in header if titles.get(name, name)]
    note = ""
    if len(rows) > CLASSES_SHOWN:
        half = CLASSES_SHOWN // 2
        order = sorted(range(len(rows)), key=lambda index: -np.nan_to_num(rows[index][3], nan=-1))
        cells = [cells[index] for index in (*order[:half], *order[-half:])]
        note = f"The {half} best and the {half} worst of {len(rows):,} classes; all are in per_class.csv.\n"
    return ["## Per class\n", markdown_table(header, cells), *([note] if note else [])]


def _interval(interval, written, pictures):
    return f"{written(interval[0], pictures)} to {written(interval[1], pictures)}"


def _p_value(p):
    return "< 1e-300" if p < 1e-300 else f"{p:.2g}"
