"""A paper's table from finished runs: ours beside the published figures, with intervals, and the paper's figures.

Published accuracies are those of the paper's own pictures; they stand beside ours for their order and their
differences, not to be reached on another set. Intervals are at 95 %: over seeds (Student's t) from three repeats on,
which leaves out what all repeats share, such as a preparation; below that over pictures, Wilson's for an accuracy and
the paired bootstrap's for a difference, each picture drawn with its results in all repeats. Every kind of table has
one function from runs to `(header, rows, notes)`; numbers in `table.csv` are fractions.
"""

import dataclasses

import numpy as np

from saliency_keras.console import whole_file
from saliency_keras.data.maps import SHUFFLES
from saliency_keras.experiments import EXPERIMENTS
from saliency_keras.experiments.tables import CONTROL_MAPS, MOST_IMPROVED, STRATEGIES, Row
from saliency_keras.figures import style
from saliency_keras.figures.curves import comparison_figure, run_figure
from saliency_keras.figures.table import markdown_table, percent, points, write_csv
from saliency_keras.metrics.comparison import (
    bootstrap_interval,
    most_improved,
    right_per_class,
    seeds_interval,
    wilson_interval,
)

TOP = {"top1": 1, "top5": 5}
INTERVALS = (
    "Intervals: 95 %, over seeds from three repeats on (what all repeats share left out), below that over pictures. "
    "Published: that paper's pictures."
)
NOTES = {
    "classes": "Of the first repeat. Published: that paper's pictures.",
    "fixations": "Published: that paper's pictures.",
}


@dataclasses.dataclass(frozen=True)
class Figure:
    """A number with its interval.

    Attributes:
        value: The number, 0 to 1.
        low: Lower end of the 95 % interval.
        high: Upper end.
        pictures: Pictures it was counted on, for the digits.
    """

    value: float
    low: float
    high: float
    pictures: int

    def text(self, written=percent):
        """The number and its interval as `table.percent` or `table.points` write them: two cells."""
        ends = f"{written(self.low, self.pictures)} to {written(self.high, self.pictures)}"
        return [written(self.value, self.pictures), ends]

    def numbers(self):
        """Value and ends, rounded: three cells."""
        return [round(number, 6) for number in (self.value, self.low, self.high)]


def accuracy(tested, k=1):
    """Accuracy of a row.

    Args:
        tested: The `training.runs.Predictions` of its runs, one a repeat, each of the same number of pictures.
        k: Among how many first classes the true one counts as right.

    Returns:
        A `Figure`.
    """
    return share_right([one.correct(k) for one in tested], [one.ids for one in tested])


def share_right(correct, ids):
    """Accuracy from one bool array `(pictures,)` a repeat and the pictures' ids; a `Figure`."""
    if len(correct) == 1:
        interval = wilson_interval(int(correct[0].sum()), correct[0].size)
        return Figure(float(correct[0].mean()), *interval, correct[0].size)
    return _mean_figure(correct, ids)


def difference(tested, before, k=1):
    """Difference of two rows, each repeat of which was tested on the pictures of the other's.

    Args:
        tested: As for `accuracy`.
        before: The same of the row to compare with, in the same order of repeats.
        k: As for `accuracy`.

    Returns:
        A `Figure`.
    """
    values = [
        one.correct(k).astype(int) - other.in_order_of(one).correct(k)
        for one, other in zip(tested, before, strict=True)
    ]
    return _mean_figure(values, [one.ids for one in tested])


def _mean_figure(values, ids):
    """The mean of one array a repeat; two repeats do not tell their spread, so the interval is over pictures then."""
    means = [one.mean() for one in values]
    if len(means) >= 3:
        interval = seeds_interval(means)
    else:
        # A picture that several repeats were tested on is one picture: it is drawn, or not, with all its results.
        _, place = np.unique(np.concatenate(ids), return_inverse=True)
        interval = bootstrap_interval(np.bincount(place, np.concatenate(values)), weights=np.bincount(place))
    return Figure(float(np.mean(means)), *interval, values[0].size)


class Results:
    """The finished runs of a table, by row.

    Args:
        table: The `PaperTable`.
        runs: From a row's name to its `training.runs.Run`s, one a repeat.
    """

    def __init__(self, table, runs):
        self.table = table
        self.runs = runs

    def rows(self):
        """The rows that are measured and there, in the order of the experiments, baselines first."""
        order = list(EXPERIMENTS)
        there = [row for row in self.table.rows if not row.preparation and row.name in self.runs]
        return sorted(there, key=lambda row: order.index(row.experiment))

    @property
    def interleaved(self):
        """Name of the map that is interleaved with the pictures."""
        return next(iter(self.runs.values()))[0].config["data"]["maps"][0]

    def tested(self, name):
        """The `Predictions` of a row's runs, one a repeat."""
        return [run.predictions for run in self.runs[name]]

    def difference(self, name, other):
        """The `Figure` of a row less another at Top-1, or `None` where one is not there."""
        if name not in self.runs or other not in self.runs:
            return None
        return difference(self.tested(name), self.tested(other))


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
        top1, top5 = (accuracy(results.tested(row.name), k) for k in TOP.values())
        gain = results.difference(row.name, row.baseline)
        published_gain = _published_gain(results, row)
        speed = [summary["parameters"]["total"], summary.get("multiply_adds"), summary["images_per_second"]]
        reached = _epochs_to_baseline(results, row)
        top1_text, gain_text = top1.text(), gain.text(points) if gain else [None, None]
        published_top1, published_top5 = (published.get(name) for name in TOP)
        rows.append([
            row.name, runs[0].config["experiment"].get("row"), top1_text[0], _percent(published_top1), top1_text[1],
            gain_text[0], _points(published_gain), gain_text[1], top5.text()[0], _percent(published_top5),
            f"{speed[0]:,}", f"{speed[1]:,}" if speed[1] else None, f"{speed[2]:.0f}", reached, len(runs),
        ])  # fmt: skip
        csv_rows.append([
            row.name, row.baseline, published_top1, *top1.numbers(), published_gain,
            *(gain.numbers() if gain else [None] * 3), published_top5, *top5.numbers(), *speed, reached, len(runs),
        ])  # fmt: skip
    return header, rows, numbers, csv_rows


def class_table(results):
    """Table 4.2: the three classes of each strategy that gained most over its baseline."""
    header = ["strategy", "rank", "class", "right before", "right", "of", "points", "relative", "published class", "%"]
    rows = []
    for row in results.rows():
        if not row.baseline:
            continue
        run, before = results.runs[row.name][0], results.runs[row.baseline][0]
        ours = run.predictions
        theirs = before.predictions.in_order_of(ours)
        pictures, right = right_per_class(ours.labels, ours.correct(), len(ours.classes))
        _, right_before = right_per_class(theirs.labels, theirs.correct(), len(ours.classes))
        published = MOST_IMPROVED.get(row.name, ())
        for rank, index in enumerate(most_improved(pictures, right, right_before)[:3]):
            change = (right[index] - right_before[index]) / pictures[index]
            relative = f"{100 * (right[index] / right_before[index] - 1):+.0f} %" if right_before[index] else None
            counts = [int(count[index]) for count in (right_before, right, pictures)]
            theirs_here = published[rank] if rank < len(published) else (None, None)
            gain = points(change, pictures[index])
            rows.append([row.name, rank + 1, ours.classes[index], *counts, gain, relative, *theirs_here])
    return header, rows, header, rows


PARTS = (
    ("architecture, parameters", "uniform", None),
    ("other pictures' maps: centre bias, or harm", "shuffled", "uniform"),
    ("class information in the map", "shuffled_in_class", "shuffled"),
    ("place: the picture's own map", "own", "shuffled_in_class"),
)


def attribution(results):
    """What the gain of each strategy is due to.

    Args:
        results: `Results` of the table `controls`.

    Returns:
        A list of `(strategy, what, row, other row, Figure)`. Of each strategy the `PARTS` add up to the whole gain;
        the lines after it compare further twins. With further maps, strategies are called `fanin3, gbvs` and so on.
    """
    found = []
    for strategy, (baseline, twin) in STRATEGIES.items():
        names = _row_names(strategy)
        lines = _gain_and_parts(names, baseline)
        lines += [("the own map instead of none", names["own"], names["uniform"])]
        lines += [("a centred spot instead of none", names["center"], names["uniform"])]
        if twin != baseline:
            lines += [("the map instead of a second RGB branch", names["own"], twin)]
        if strategy == "fanin3":
            lines += [
                ("no second convolution, no saliency", "noconv2", baseline),
                ("the same with AlexNet's dense layers", "noconv2_pooled", baseline),
                ("Fan-in3 with the second pooling kept", "fanin3_pool2", baseline),
                ("saliency, beside the missing convolution", names["own"], "noconv2"),
            ]
        panels = {f"{strategy}, {results.interleaved}" if results.table.further_maps else strategy: lines}
        for source in results.table.further_maps:
            further = _row_names(strategy, source)
            instead = (f"instead of the maps of {results.interleaved}", further["own"], names["own"])
            panels[f"{strategy}, {source}"] = [*_gain_and_parts(further, baseline), instead]
        for panel, lines in panels.items():
            for what, name, other in lines:
                figure = results.difference(name, other)
                if figure is not None:
                    found.append((panel, what, name, other, figure))
    return found


def _row_names(strategy, source=""):
    """From each of `CONTROL_MAPS` to the row of a strategy that is shown it, with the maps of a further source."""
    maps = {one: one for one in CONTROL_MAPS}
    if source:
        maps |= {"own": source, **{one: f"{source}:{one}" for one in SHUFFLES}}
    return {one: Row(strategy, shown).name for one, shown in maps.items()}


def _gain_and_parts(names, baseline):
    parts = [(what, names[maps], names[other] if other else baseline) for what, maps, other in PARTS]
    return [("the whole gain", names["own"], baseline), *parts]


def attribution_table(results):
    """`attribution` as a table."""
    found = attribution(results)
    header = ["strategy", "due to", "is", "less", "points at Top-1", "95 % interval"]
    rows = [[*line[:4], *line[4].text(points)] for line in found]
    numbers = ["strategy", "due_to", "row", "less", "difference", "low", "high"]
    return header, rows, numbers, [[*line[:4], *line[4].numbers()] for line in found]


def attribution_figure(results):
    """The parts of each strategy's gain, with their intervals: one panel a strategy."""
    found = attribution(results)
    strategies = list(dict.fromkeys(line[0] for line in found))
    lines_of = {strategy: [line for line in found if line[0] == strategy] for strategy in strategies}
    heights = [max(1, len(lines)) for lines in lines_of.values()]
    with style.look():
        figure = style.new_figure(9, 0.8 + 0.5 * len(heights) + 0.26 * sum(heights))
        axes = figure.subplots(len(strategies), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for ax, strategy in zip(axes, strategies, strict=True):
            lines = lines_of[strategy]
            for place, (_, _, _, _, one) in enumerate(lines):
                ends = [[100 * (one.value - one.low)], [100 * (one.high - one.value)]]
                filled = "black" if place == 0 else "white"
                ax.errorbar([100 * one.value], [place], xerr=ends, fmt="o", color="black", mfc=filled, capsize=3)
            ax.axvline(0, color="#666666", linewidth=0.9)
            ax.set_yticks(range(len(lines)), [line[1] for line in lines])
            ax.set_ylim(len(lines) - 0.4, -0.6)
            ax.set_title(strategy)
        axes[-1].set_xlabel("difference at Top-1 (percentage points, 95 % interval)")
    return figure


def write(table, results, folder, head):
    """Writes `table.md`, `table.csv` and the figures of a table.

    Args:
        table: The `PaperTable`.
        results: Its `Results`.
        folder: Where to; made if absent.
        head: Lines that say what was run: command, data set.

    Returns:
        The text of `table.md`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kinds = {"accuracy": accuracy_table, "classes": class_table, "attribution": attribution_table}
    header, rows, csv_header, csv_rows = kinds[table.kind](results)
    figures = {}
    for name, wanted in table.figures.items():
        if all(one in results.runs for one in wanted):
            first = [results.runs[one][0] for one in wanted]
            alone = len(first) == 1
            figures[name] = run_figure(first[0].config, first[0].history) if alone else comparison_figure(first, wanted)
    if table.kind == "attribution" and rows:
        figures["attribution.png"] = attribution_figure(results)
    return write_files(folder, table, head, (header, rows), (csv_header, csv_rows), figures)


def write_files(folder, table, head, shown, numbers, figures):
    """Writes a table's files; returns the text of `table.md`."""
    notes = [f"{note}\n" for note in (*head, NOTES.get(table.kind, INTERVALS), table.note) if note]
    text = "\n".join([f"# {table.title}\n", markdown_table(*shown), *notes])
    with whole_file(folder / "table.md", "w", encoding="utf-8") as file:
        file.write(text)
    write_csv(folder / "table.csv", *numbers)
    for name, figure in figures.items():
        style.save(figure, folder / name)
    return text


def _published_gain(results, row):
    if row.published_gain is not None or not row.baseline or row.baseline not in results.runs:
        return row.published_gain
    own, before = (results.runs[name][0].published.get("top1") for name in (row.name, row.baseline))
    return round(own - before, 6) if own and before else None


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
