"""A paper's table from finished runs: ours beside the published figures, with intervals, and the paper's figures.

Published accuracies are those of the paper's own pictures; they stand beside ours for their order and their
differences, not to be reached on another set. Intervals are those of `estimates`. Every kind of table has one function
from `Results` to `(header, rows, csv header, csv rows)`; numbers in `table.csv` are fractions.
"""

import numpy as np

from saliency_keras.data.shown import SHUFFLES
from saliency_keras.experiments import EXPERIMENTS
from saliency_keras.experiments.hallucination import SUSPECT_III
from saliency_keras.experiments.tables import CONTROL_MAPS, MOST_IMPROVED, STRATEGIES, Row
from saliency_keras.figures import style
from saliency_keras.figures.curves import comparison_figure, run_figure
from saliency_keras.figures.evaluation import class_gains, relative_gain
from saliency_keras.figures.gains import published_gain
from saliency_keras.figures.intervals import accuracy, difference, intervals_figure
from saliency_keras.figures.table import markdown_table, points, write_csv
from saliency_keras.files import whole_file

TOP = {"top1": 1, "top5": 5}
INTERVALS = (
    "Intervals: 95 %, over seeds from three repeats on (what all repeats share left out), below that over pictures. "
    "Published: that paper's pictures."
)
NOTES = {
    "classes": "Of the first repeat. Published: that paper's pictures.",
    "fixations": f"Published: that paper's pictures. As printed there; {SUSPECT_III}.",
}


class Results:
    """The finished runs of a table, by row.

    Args:
        table: The `PaperTable`.
        runs: From a row's name to its `runs.run.Run`s, one a repeat.
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
        """The `Estimate` of a row less another at Top-1, or `None` where one is not there."""
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


def class_table(results):
    """Table 4.2: the three classes of each strategy that gained most over its baseline."""
    header = ["strategy", "rank", "class", "right before", "right", "of", "points", "relative", "published class", "%"]
    rows = []
    for row in results.rows():
        if row.baseline not in results.runs:
            continue
        run, before = results.runs[row.name][0], results.runs[row.baseline][0]
        ours = run.predictions
        published = MOST_IMPROVED.get(row.name, ())
        gains = class_gains(ours, before.predictions.in_order_of(ours))
        for rank, (index, *counts) in enumerate(gains[:3]):
            right_before, right, of = counts
            change = [points((right - right_before) / of, of), relative_gain(right_before, right)]
            theirs = published[rank] if rank < len(published) else (None, None)
            rows.append([row.name, rank + 1, ours.classes[index], *counts, *change, *theirs])
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
        A list of `(strategy, what, row, other row, Estimate)`. Of each strategy the `PARTS` add up to the whole gain;
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
    """The parts of each strategy's gain, with their intervals: one panel a strategy, the whole gain filled."""
    panels = {}
    for strategy, what, _, _, estimate in attribution(results):
        panels.setdefault(strategy, []).append((what, estimate, None))
    return intervals_figure(panels, parts=True) if panels else None


def gains_figure(results):
    """The gain of each row over its baseline, with its interval and the published one: one panel a baseline."""
    panels = {}
    for row in results.rows():
        gain = results.difference(row.name, row.baseline)
        if gain is not None:
            line = (row.name, gain, _published_gain(results, row))
            panels.setdefault(f"against {row.baseline}", []).append(line)
    return intervals_figure(panels) if panels else None


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
    summary = {"accuracy": ("gains.png", gains_figure), "attribution": ("attribution.png", attribution_figure)}
    if table.kind in summary:
        name, draw = summary[table.kind]
        if drawn := draw(results):
            figures[name] = drawn
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
