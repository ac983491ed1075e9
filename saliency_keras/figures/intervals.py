"""Accuracies and differences with their 95 % intervals, and the picture that shows several at a glance.

The picture has panels of lines, one line a difference; what the panels of a table hold is its kind's business
(`tables`), and those of any runs are made here.

Runs that differ by their seed only are one row. Where they were tested on the same pictures, its interval is over seeds
and pictures (`metrics.statistics.two_level_interval`), with the spread between seeds pooled over all rows, in the rows
of `Seeds` as in tables. It leaves out what all seeds share, such as a preparation. One run alone has an interval over
pictures, Wilson's for an accuracy and the paired bootstrap's for a difference. Repeats that drew pictures of their own
(few-shot tables) have Student's t over repeats from three on; two of them have the bootstrap's, each picture drawn with
all of its results.
"""

import dataclasses
import json

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.experiments.experiment import WORDS
from saliency_keras.experiments.tables import baseline_of
from saliency_keras.figures import style
from saliency_keras.metrics.digits import percent
from saliency_keras.metrics.statistics import (
    bootstrap_interval,
    seeds_interval,
    seeds_spread,
    two_level_interval,
    wilson_interval,
)
from saliency_keras.runs.labels import labels_of

OURS = "measured here"
PUBLISHED_MARK = {
    "marker": "D", "linestyle": "none", "color": style.PUBLISHED["color"], "mfc": "none",
    "label": style.PUBLISHED_LABEL,
}  # fmt: skip
# The single seeds, under the mean that they make.
ONE_SEED_MARK = {
    "marker": "|", "linestyle": "none", "color": "#555555", "markersize": 5, "label": "each seed",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: The number, 0 to 1.
        low: Lower end of the 95 % interval.
        high: Upper end.
        pictures: Pictures it was counted on, for the digits.
        seeds: The same number of each seed, where seeds are pooled.
    """

    value: float
    low: float
    high: float
    pictures: int
    seeds: tuple[float, ...] = ()

    def text(self, written=percent):
        """The number and its interval as `table.percent` or `table.points` write them: two cells."""
        ends = f"{written(self.low, self.pictures)} to {written(self.high, self.pictures)}"
        return [written(self.value, self.pictures), ends]

    def numbers(self):
        """Value and ends, rounded: three cells."""
        return [round(number, 6) for number in (self.value, self.low, self.high)]


def text_of(estimate, written=percent):
    """`Estimate.text`, or two empty cells for `None`."""
    return [None, None] if estimate is None else estimate.text(written)


def numbers_of(estimate):
    """`Estimate.numbers`, or three empty cells for `None`."""
    return [None] * 3 if estimate is None else estimate.numbers()


def error_bars(estimates):
    """How far intervals reach below and above their values, in percent: two lists, as `errorbar` takes them."""
    below = [100 * (one.value - one.low) for one in estimates]
    return [below, [100 * (one.high - one.value) for one in estimates]]


@dataclasses.dataclass(frozen=True)
class Together:
    """Several runs that were tested on the same pictures, taken as one: stands where a run's `Predictions` do.

    Attributes:
        parts: Their `runs.run.Predictions`.
    """

    parts: tuple

    @property
    def ids(self):
        """The pictures, str array `(pictures,)`."""
        return self.parts[0].ids

    def correct(self, k=1):
        """The share of the runs that have the true class among their first `k`: float64 array `(pictures,)`."""
        return np.mean([one.in_order_of(self.parts[0]).correct(k) for one in self.parts], axis=0)

    def in_order_of(self, other):
        """The same in the order of another's pictures."""
        return Together(tuple(one.in_order_of(other.parts[0]) for one in self.parts))


def accuracy(tested, k=1, spread=None):
    """Accuracy of a row.

    Args:
        tested: The `runs.run.Predictions` of its runs, one a repeat, each of the same number of pictures; or
            `Together`s.
        k: Among how many first classes the true one counts as right.
        spread: `(spread, degrees)` of `metrics.statistics.seeds_spread` over the rows of a table, for an interval over
            seeds and pictures; `None` for one over repeats or pictures.

    Returns:
        An `Estimate`.
    """
    return share_right([one.correct(k) for one in tested], [one.ids for one in tested], spread)


def mean_class(tested, before=None, spread=None):
    """Mean class accuracy of a row, or its difference from another: each class counts alike (`metrics.classification`).

    Args:
        tested: The `runs.run.Predictions` of its runs, one a repeat.
        before: Those of the row to compare with, or `None`.
        spread: As for `accuracy`.

    Returns:
        An `Estimate`.
    """
    values = []
    for one, other in zip(tested, before or [None] * len(tested), strict=True):
        right = one.correct().astype(float)
        if other is not None:
            right -= other.in_order_of(one).correct()
        counts = np.bincount(one.labels)
        values.append(right * one.labels.size / (np.count_nonzero(counts) * counts[one.labels]))
    return _mean_of(values, [one.ids for one in tested], spread)


def share_right(correct, ids, spread=None):
    """Accuracy from one array `(pictures,)` a repeat, bool or shares, and the pictures' ids; an `Estimate`.

    Its interval ends at 0 and at 1: Student's t knows no bounds, an accuracy has them. `spread` is as for `accuracy`.
    """
    if len(correct) == 1 and correct[0].dtype == bool:
        interval = wilson_interval(int(correct[0].sum()), correct[0].size)
        return Estimate(float(correct[0].mean()), *interval, correct[0].size)
    found = _mean_of(correct, ids, spread)
    return dataclasses.replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


def difference(tested, before, k=1, spread=None):
    """Difference of two rows whose repeats were tested on the same pictures, repeat by repeat.

    Args:
        tested: As for `accuracy`.
        before: The same of the row to compare with, in the same order of repeats.
        k: As for `accuracy`.
        spread: As for `accuracy`, over the differences.

    Returns:
        An `Estimate`.
    """
    values = [
        one.correct(k).astype(float) - other.in_order_of(one).correct(k)
        for one, other in zip(tested, before, strict=True)
    ]
    return _mean_of(values, [one.ids for one in tested], spread)


def _mean_of(values, ids, spread=None):
    """The mean of one array a repeat, with its interval (see above); without a spread, two repeats do not tell it."""
    means = [one.mean() for one in values]
    orders = [np.argsort(one) for one in ids]
    in_order = [one[order] for one, order in zip(ids, orders, strict=True)]
    if len(means) > 1 and spread and spread[1] and all(np.array_equal(one, in_order[0]) for one in in_order):
        crossed = np.stack([one[order] for one, order in zip(values, orders, strict=True)])
        interval = two_level_interval(crossed, spread=spread)
        return Estimate(float(np.mean(means)), *interval, values[0].size, tuple(map(float, means)))
    if len(means) >= 3:
        interval = seeds_interval(means)
    else:
        # A picture that several repeats were tested on is one picture: it is drawn, or not, with all its results.
        _, place = np.unique(np.concatenate(ids), return_inverse=True)
        interval = bootstrap_interval(np.bincount(place, np.concatenate(values)), weights=np.bincount(place))
    return Estimate(float(np.mean(means)), *interval, values[0].size)


def printed_gain(run, baseline, metric="top1"):
    """What the paper prints that one strategy gains over another, 0 to 1, or `None` where one of the two is not there.

    Accuracies of other pictures do not compare; their differences do, in sign and size.
    """
    own, before = (one.of_strategy.get(metric) for one in (run, baseline))
    return round(own - before, 6) if own and before else None


@dataclasses.dataclass(frozen=True)
class Seeds:
    """Runs that differ by their seed only, as one row.

    Attributes:
        label: What the row is called: `"fanin3, shuffled maps"`.
        runs: From a seed to its `runs.run.Run`, in the order of the seeds.
    """

    label: str
    runs: dict

    @property
    def first(self):
        """The run of the first seed, which stands for what all of them share."""
        return next(iter(self.runs.values()))

    def less(self, other):
        """The difference of two rows at Top-1, seed by seed, over the same pictures.

        Args:
            other: The `Seeds` of the row to compare with.

        Returns:
            An array `(seeds, pictures)` of 1, 0 and -1 for the seeds that both have, or `None` where they share none.

        Raises:
            UserError: If the runs were not tested on the same pictures.
        """
        first, found = self.first.predictions, []
        for seed in [seed for seed in self.runs if seed in other.runs]:
            own, before = (row.runs[seed].predictions.in_order_of(first) for row in (self, other))
            found.append(own.correct().astype(float) - before.correct())
        return np.stack(found) if found else None


def rows_of_seeds(runs):
    """Runs as rows: those that differ by their seed only are one.

    Args:
        runs: `runs.run.Run`s.

    Returns:
        A list of `Seeds`, in the order of their first runs. Where two runs of a row have the same seed, as with other
        initial weights, each run is a row of its own.
    """
    groups = {}
    for run in runs:
        settings = {key: value for key, value in run.settings.items() if key not in ("parents", *WORDS)}
        config = [run.config.get(key) for key in ("precision", "backend", "augment")]
        key = json.dumps([run.name, run.maps, settings, config], sort_keys=True, default=str)
        groups.setdefault(key, []).append(run)
    rows = []
    for group in groups.values():
        apart = len({run.seed for run in group}) < len(group)
        rows += [[run] for run in group] if apart else [sorted(group, key=lambda run: run.seed)]
    labels = labels_of([dataclasses.replace(row[0], config=row[0].config | {"seed": 0}) for row in rows])
    return [Seeds(label, {run.seed: run for run in row}) for label, row in zip(labels, rows, strict=True)]


def pooled(differences, spread=None):
    """The mean of each difference of two rows, with its interval over seeds and pictures.

    The spread between seeds is pooled over all the differences (`metrics.statistics.seeds_spread`), because two or
    three seeds alone bound next to nothing. Where no row has two seeds, intervals are over pictures only.

    Args:
        differences: Arrays `(seeds, pictures)`, of `Seeds.less`.
        spread: `(spread, degrees)` of `seeds_spread`, where it is that of other differences.

    Returns:
        A list of `Estimate`s with `seeds`.
    """
    means = [one.mean(axis=1) for one in differences]
    spread = spread or seeds_spread(means)
    found = []
    for one, of_seed in zip(differences, means, strict=True):
        ends = two_level_interval(one, spread=spread) if spread[1] else bootstrap_interval(one[0])
        found.append(Estimate(float(one.mean()), *ends, one.shape[1], tuple(map(float, of_seed))))
    return found


def gain_panels(runs):
    """What each of some runs gained over its baseline: one panel a baseline, and runs that differ by seed in one line.

    Args:
        runs: `runs.run.Run`s of classifiers; each is compared, seed by seed, with what the papers' tables compare it
            with, if that is among them.

    Returns:
        Panels for `intervals_figure`. Intervals are those of `pooled`.

    Raises:
        UserError: If no run has its baseline among them or one has several, or a pair was not tested on the same
            pictures.
    """
    rows, lines = rows_of_seeds(runs), []
    several = any(len(row.runs) > 1 for row in rows)
    for row in rows:
        found = [one for one in rows if one.first.name == baseline_of(row.first.name) and one.runs.keys() & row.runs]
        if len(found) > 1:
            names = "; ".join(one.label for one in found)
            raise UserError(f"{row.label} has more than one baseline among them: {names}. Give one of them.")
        for baseline in found:
            difference_here = row.less(baseline)
            seeds = len(difference_here)
            count = f", {seeds} seeds" if seeds > 1 else ", 1 seed" if several else ""
            theirs = printed_gain(row.first, baseline.first)
            lines.append((f"against {baseline.label}", row.label + count, difference_here, theirs))
    if not lines:
        wanted = " or ".join(sorted({baseline_of(run.name) for run in runs} - {""}))
        otherwise = "compare runs of your own with `evaluate RUN --against RUN`"
        missing = f"; give {wanted} of the same seed too" if wanted else f"; {otherwise}"
        raise UserError(f"no run has its baseline among them{missing}.")
    panels = {}
    for (title, label, _, theirs), gain in zip(lines, pooled([line[2] for line in lines]), strict=True):
        panels.setdefault(title, []).append((label, gain, theirs))
    return panels


def intervals_figure(panels, parts=False, width=9, what="Top-1"):
    """Differences of accuracies with their intervals, a line each.

    Args:
        panels: From a panel's title to its lines `(label, Estimate, published difference or None)`, 0 to 1.
        parts: Whether a panel's first line is a whole, filled, and the others its parts, hollow.
        width: Of the figure in inches; at 5, it is legible on a phone.
        what: Which accuracies they are of.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    heights = [len(lines) for lines in panels.values()]
    keyed = any(theirs is not None or len(one.seeds) > 1 for lines in panels.values() for _, one, theirs in lines)
    with style.look():
        figure = style.new_figure(width, 0.8 + 0.5 * len(heights) + 0.26 * sum(heights) + 0.3 * keyed)
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for ax, (title, lines) in zip(axes, panels.items(), strict=True):
            for place, (_, one, theirs) in enumerate(lines):
                look = {"fmt": "o", "color": "black", "mfc": "white" if parts and place else "black", "capsize": 3}
                ax.errorbar(100 * one.value, place, xerr=error_bars([one]), label=OURS, **look)
                if len(one.seeds) > 1:
                    ax.plot([100 * seed for seed in one.seeds], [place + 0.3] * len(one.seeds), **ONE_SEED_MARK)
                if theirs is not None:
                    ax.plot(100 * theirs, place, **PUBLISHED_MARK)
            ax.axvline(0, color="#666666", linewidth=0.9, zorder=1)
            ax.set_yticks(range(len(lines)), [style.one_line(line[0]) for line in lines])
            ax.set_ylim(len(lines) - 0.4, -0.6)
            ax.set_title(style.one_line(title))
        axes[-1].set_xlabel(f"difference at {what}{', ' if width > 6 else chr(10)}percentage points, 95 % interval")
        if keyed:
            marks = {label: mark for ax in axes for mark, label in zip(*ax.get_legend_handles_labels(), strict=True)}
            figure.legend(
                reversed(marks.values()), reversed(marks.keys()), loc="outside lower left", ncols=3 if width > 6 else 1
            )
    return figure
