"""What a row of runs that differ by their seed only got right, in words and tables, and the same against another row.

A row is judged as `plot --gains` and the tables judge it: the mean over seeds, each seed, and the interval over seeds
and pictures of `metrics.statistics.two_level_interval`. With two rows, the spread of accuracies is pooled over both;
the spread of their difference is that of its own seeds, and with two or three seeds its interval is wide.
"""

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.figures.document import Caution, Heading, Table
from saliency_keras.figures.evaluation import compared, difference_sentence, figures_of, written_class_table
from saliency_keras.figures.intervals import accuracy, difference, rows_of_seeds
from saliency_keras.metrics.digits import accuracy_in_words, percent, points
from saliency_keras.metrics.statistics import right_per_class, seeds_spread
from saliency_keras.runs.learned import warnings

EXPLAINED = (
    "Interval: 95 %, over seeds and pictures (two-level bootstrap, percentile, 10,000 draws, seed 0): what other seeds "
    "and other pictures would give. Two or three seeds tell little of their spread, and the interval allows for that: "
    "`reproduce` and `plot --gains` pool the spread over more rows."
)


def rows_compared(runs, against=()):
    """Runs as one row, and those that they are compared with as another.

    Args:
        runs: `runs.run.Run`s that differ by their seed only, one or more.
        against: As many or other ones, or none.

    Returns:
        A tuple of one or two `figures.intervals.Seeds`, with labels that differ.

    Raises:
        UserError: If runs of one row differ in more than their seed, or two have the same seed.
    """
    rows = [_row_of(one) for one in (runs, against) if one]
    together = rows_of_seeds([*runs, *against])
    return tuple(together if len(together) == len(rows) else rows)


def _row_of(runs):
    rows = rows_of_seeds(runs)
    if len(rows) == 1:
        return rows[0]
    first, other = rows[0].first, rows[1].first
    if (first.name, first.maps, first.seed) == (other.name, other.maps, other.seed):
        raise UserError(f"{first.folder} and {other.folder} are no two seeds of one row: both have seed {other.seed}.")
    raise UserError(
        f"{first.folder} and {other.folder} differ by more than their seed; give the second to --against, or join them "
        "by + to judge them as one classifier."
    )


def seeds_verdict(row, against=None):
    """What came out, in a sentence, as `evaluation.verdict` of one run.

    Args:
        row: `Seeds`.
        against: Another `Seeds`, or `None`.

    Returns:
        The sentence.

    Raises:
        UserError: If the two share no seed, or were not tested on the same pictures.
    """
    if against is None:
        found = _accuracies(row)[1]
        told = accuracy_in_words(found.value, found.low, found.high, found.pictures)
        return f"{row.label}: Top-1 {told} over {found.pictures:,} pictures and {_count(row)}."
    found = _differences(row, against)[1]
    over = f"over {found.pictures:,} pictures and {len(found.seeds) or 1} seeds that both have"
    two = {row.label: row.first, against.label: against.first}
    return difference_sentence(two, (found.value, found.low, found.high, found.pictures), over)


def seeds_evaluation(row, against=None):
    """Everything that `evaluate` says about a row.

    Args:
        row: `Seeds`.
        against: Another `Seeds` tested on the same pictures, or `None`.

    Returns:
        A document: list of blocks.

    Raises:
        UserError: As `seeds_verdict`.
    """
    cautions = dict.fromkeys(sentence for run in row.runs.values() for sentence in warnings(run))
    ours = row.first.predictions
    tested = f"{ours.ids.size:,} pictures of {ours.split}, {len(ours.classes):,} classes"
    blocks = [
        Heading(f"{row.label}, {_count(row)}{f', against {against.label}' if against else ''}", level=1),
        seeds_verdict(row, against), *map(Caution, cautions),
        f"{tested}, data set {ours.data[:12]}, last epoch of {len(row.first.history['epoch'])}.",
        _table(_accuracies(row, against), percent, "%"),
    ]  # fmt: skip
    if against is not None:
        blocks += [
            Heading(f"Against {against.label}"), compared(row.label, against.label),
            f"Seeds that both have: {', '.join(map(str, _shared(row, against)))}.",
            _table(_differences(row, against), points, "points"),
        ]  # fmt: skip
    blocks += [EXPLAINED, Heading("Per class"), "Means over seeds."]
    header, classes = seeds_class_table(row, against)
    for place, name in enumerate(header):
        if name.startswith("right"):
            classes = [[*one[:place], round(one[place], 1), *one[place + 1 :]] for one in classes]
    return [*blocks, written_class_table(header, classes, against.label if against else "")]


def seeds_class_table(row, against=None):
    """The accuracy of each class, the mean over seeds, and its change: `(header, rows)` as `evaluation.class_table`.

    Args:
        row: `Seeds`.
        against: Another `Seeds`, or `None`; then only the seeds that both have are counted.

    Returns:
        `(header, rows)`.
    """
    seeds = list(row.runs) if against is None else _shared(row, against)
    first = row.first.predictions
    pictures, right = _right(row, seeds, first, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = [first.classes, pictures, right, right / pictures, _right(row, seeds, first, 5)[1] / pictures]
        header = ["class", "pictures", "right", "top1", "top5"]
        if against is not None:
            _, before = _right(against, seeds, first, 1)
            relative = np.where(before, (right - before) / before, np.nan)
            columns += [before, 100 * (right - before) / pictures, relative]
            header += ["right_against", "points", "relative_gain"]
    rounded = [one if one is first.classes else np.round(one, 6).tolist() for one in columns]
    return header, [list(cells) for cells in zip(*rounded, strict=True)]


def _right(row, seeds, first, k):
    """Pictures of each class, and how many of them are right, the mean over some seeds."""
    found = [row.runs[seed].predictions.in_order_of(first) for seed in seeds]
    counts = [right_per_class(one.labels, one.correct(k), len(one.classes)) for one in found]
    return counts[0][0], np.mean([right for _, right in counts], axis=0)


def _accuracies(row, against=None):
    """From each k to the row's accuracy, an `Estimate`."""
    found = {}
    for _, k in figures_of(len(row.first.predictions.classes)).values():
        spread = seeds_spread(
            [[run.predictions.correct(k).mean() for run in one.runs.values()] for one in (row, against) if one]
        )
        found[k] = accuracy([run.predictions for run in row.runs.values()], k, spread)
    return found


def _differences(row, against):
    """From each k to the difference of two rows over the seeds that both have, an `Estimate`."""
    found, seeds = {}, _shared(row, against)
    tested, before = ([one.runs[seed].predictions for seed in seeds] for one in (row, against))
    for _, k in figures_of(len(row.first.predictions.classes)).values():
        means = [one.correct(k).mean() - other.correct(k).mean() for one, other in zip(tested, before, strict=True)]
        found[k] = difference(tested, before, k, seeds_spread([means]))
    return found


def _shared(row, against):
    seeds = [seed for seed in row.runs if seed in against.runs]
    if not seeds:
        ours, theirs = (", ".join(map(str, one.runs)) for one in (row, against))
        raise UserError(
            f"rows are compared seed by seed, and these share none: {row.label} has {ours}, "
            f"{against.label} has {theirs}."
        )
    return seeds


def _table(estimates, written, unit):
    titles = {k: title for title, k in figures_of(6).values()}
    rows = []
    for k, one in estimates.items():
        seeds = ", ".join(written(value, one.pictures) for value in one.seeds) or None
        rows.append([titles[k], *one.text(written), seeds])
    return Table(["accuracy" if unit == "%" else "difference at", unit, "95 % interval", "each seed"], rows)


def _count(row):
    return f"{len(row.runs)} seed{'s' * (len(row.runs) > 1)}"

