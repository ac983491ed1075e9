"""Figueroa-Flores et al. 2020: accuracy against pictures per class (Table I), and the map of step 1 (Table III).

Of a few-shot run two accuracies are told: on the protocol's five test pictures of each class, and on all pictures of
the val split that it neither trained nor validated on, which are the same for all methods of a repeat. Published
figures are of the paper's sets; the one that ours resembles is chosen by the name of its folder.
"""

import dataclasses
import re
from pathlib import Path

import numpy as np

from saliency_keras.data.few_shot import SHOTS
from saliency_keras.experiments.hallucination import METHODS, SUSPECT, TABLE_I, TABLE_II, TABLE_III, TABLE_III_METRICS
from saliency_keras.figures import style
from saliency_keras.figures.intervals import Together, accuracy, difference, intervals_figure, share_right
from saliency_keras.figures.table import points

LIKE = {"Flowers": r"flower", "Cars": r"(?<![a-z])cars?(?![a-z])", "Birds": r"bird|(?<![a-z])cub(?![a-z])"}
BASES = {"few_shot": "alexnet", "standard": "resnet"}  # the base networks of Tables I and II
METRIC_OF_PAPER = {"AUC": "AUC-Judd", "InfoGain": "IG"}  # the paper does not say which AUC it is
PREDICTOR_OF_PAPER = {"IKN": "itti", "AIM": "aim", "SDLF": "sdlf", "GBVS": "gbvs", "GroundTruth (Humans)": "human"}
OURS = "Our Approach (Step I)"
AVERAGE = "mean"  # stands for the pictures per class of a row that averages over them, the paper's "AVG"
MAP_FACTS = ("all_zero", "mean", "variance", "variance_of_pattern")  # of `training.tasks.classification.describe_maps`


def published_set(folder):
    """The paper's set that a data set's folder is named like: `"Flowers"`, `"Cars"`, `"Birds"` or `None`."""
    return next((name for name, words in LIKE.items() if re.search(words, Path(folder).name.lower())), None)


def published(name, method, shots):
    """Top-1 of Table I in percent, or `None` where there is none or it is not to be trusted."""
    label = METHODS[method]
    if name is None or (name, label, shots) in SUSPECT:
        return None
    return TABLE_I[name][label][SHOTS.index(shots)]


@dataclasses.dataclass(frozen=True)
class _Row:
    """A method with one number of pictures per class, or averaged over several: what each repeat consists of."""

    method: str
    shots: tuple[str, ...]
    repeats: list  # of tuples of runs, one a number

    @property
    def name(self):
        return self.shots[0] if len(self.shots) == 1 else AVERAGE

    @property
    def tested(self):
        parts = [tuple(run.predictions for run in runs) for runs in self.repeats]
        return [one[0] if len(one) == 1 else Together(one) for one in parts]

    def published(self, like):
        found = [published(like, self.method, one) for one in self.shots]
        return None if None in found else round(float(np.mean(found)), 2)

    def map_fact(self, name):
        told = [run.summary.get("hallucinated_maps", {}) for runs in self.repeats for run in runs]
        values = [one[name] for one in told if name in one]
        return float(np.mean(values)) if values else None


def _rows(runs):
    """The table's rows; after those of each number, where there are several, each method averaged over them."""
    numbers = tuple(dict.fromkeys(shots for _, shots in runs))
    rows = {(method, shots): _Row(method, (shots,), [(run,) for run in runs]) for (method, shots), runs in runs.items()}
    for method in dict.fromkeys(method for method, _ in runs) if len(numbers) > 1 else ():
        if all((method, shots) in runs for shots in numbers):
            together = zip(*(runs[method, shots] for shots in numbers), strict=True)
            rows[method, AVERAGE] = _Row(method, numbers, list(together))
    return rows


def few_shot_table(runs, like):
    """Table I: every method and number of pictures per class, and each method's average over those numbers.

    Args:
        runs: From `(method, shots)` to the `runs.run.Run`s, one a repeat.
        like: The paper's set to show beside, or `None`.

    Returns:
        `(header, rows, csv header, csv rows)`.
    """
    header = [
        *("pictures per class", "method", "Top-1 %", "95 % interval", f"published{f' ({like})' if like else ''}"),
        *("all untouched pictures", "95 % interval", "gain, points", "95 % interval", "maps all zero %", "mean"),
        *("variance", "of it by pattern", "repeats"),
    ]
    numbers = [
        *("shots", "method", "top1", "low", "high", "published", "untouched_top1", "untouched_low", "untouched_high"),
        *("gain", "gain_low", "gain_high", *(f"maps_{name}" for name in MAP_FACTS), "repeats"),
    ]
    rows, csv_rows, by_name = [], [], _rows(runs)
    for (method, shots), row in by_name.items():
        every, (five_text, five_numbers) = accuracy(row.tested), _on_test(row)
        gain_text, gain_numbers = _gain(row, by_name.get(("baseline_rgb", shots)))
        zero, *described = map(row.map_fact, MAP_FACTS)
        paper, repeats = row.published(like), len(row.repeats)
        maps_text = [None if zero is None else f"{100 * zero:.0f}", *(_short(value) for value in described)]
        rows.append([shots, METHODS[method], *five_text, paper, *every.text(), *gain_text, *maps_text, repeats])
        numbers_of_row = [shots, method, *five_numbers, _fraction(paper), *every.numbers(), *gain_numbers]
        csv_rows.append([*numbers_of_row, zero, *described, repeats])
    return header, rows, numbers, csv_rows


def few_shot_figure(runs, like):
    """Accuracy on all untouched pictures against pictures per class, one line a method; the paper's dotted.

    Methods stand a little beside each other, so that none covers another.
    """
    shots = sorted({shots for _, shots in runs}, key=SHOTS.index)
    methods = list(dict.fromkeys(method for method, _ in runs))
    places, rows = np.arange(len(shots)), _rows(runs)
    with style.look():
        figure = style.new_figure(8, 5)
        ax = figure.subplots()
        for index, (method, look) in enumerate(zip(methods, style.line_styles(), strict=False)):
            there = [place for place, one in enumerate(shots) if (method, one) in rows]
            found = [accuracy(rows[method, shots[place]].tested) for place in there]
            values = np.array([one.value for one in found])
            ends = np.array([[one.value - one.low for one in found], [one.high - one.value for one in found]])
            beside = places[there] + 0.06 * (index - (len(methods) - 1) / 2)
            ax.errorbar(beside, 100 * values, 100 * ends, label=METHODS[method], capsize=2, **look)
            if like:
                values = [published(like, method, one) for one in shots]
                values = [np.nan if value is None else value for value in values]
                label = f"published, all of {like}, dotted in the methods' colours" if index == 0 else None
                ax.plot(places, values, label=label, color=look["color"], linestyle=":", linewidth=1)
        ax.set_xticks(places, shots)
        ax.set_xlabel("training pictures per class")
        ax.set_ylabel("Top-1 accuracy on untouched pictures (%), 95 % interval")
        ax.legend(loc="best", fontsize=8)
    return figure


def gains_figure(runs, like):
    """Each method's paired gain over the baseline, on all untouched pictures, beside the paper's.

    One panel a number of pictures per class, and where there are several, a last one of the averages over them.

    Args:
        runs: As for `few_shot_table`.
        like: The paper's set to show beside, or `None`.

    Returns:
        A `matplotlib.figure.Figure`, or `None` where no method has its baseline.
    """
    panels, rows = {}, _rows(runs)
    for (method, shots), row in rows.items():
        baseline = rows.get(("baseline_rgb", shots))
        if method != "baseline_rgb" and baseline:
            theirs = [row.published(like), baseline.published(like)]
            gain = None if None in theirs else (theirs[0] - theirs[1]) / 100
            number = f"mean of {', '.join(row.shots)}" if shots == AVERAGE else shots
            title = f"{number} training picture{'s' * (shots != '1')} per class, against {METHODS['baseline_rgb']}"
            line = METHODS[method], difference(row.tested, baseline.tested), gain
            panels.setdefault(title, []).append(line)
    return intervals_figure(panels) if panels else None


def standard_rows(runs, like, of_paper=True):
    """Table II: our methods, and after them the other systems as published.

    Args:
        runs: From a method to its `Run`s.
        like: The paper's set to show beside, or `None`.
        of_paper: Whether our methods are on the paper's base network, so that its figures stand beside them.

    Returns:
        `(header, rows, csv header, csv rows)`.
    """
    columns = list(TABLE_I) if like is None else [like]
    header = [
        "method",
        "Top-1 %",
        "95 % interval",
        "gain, points",
        "95 % interval",
        *(f"published, {c}" for c in columns),
    ]
    numbers = ["method", "top1", "low", "high", "gain", "gain_low", "gain_high", *(f"published_{c}" for c in columns)]
    rows, csv_rows = [], []
    alone = {method: _Row(method, ("K",), [(run,) for run in repeats]) for method, repeats in runs.items()}
    for method, row in alone.items():
        figure = accuracy(row.tested)
        gain_text, gain_numbers = _gain(row, alone.get("baseline_rgb"))
        paper = [TABLE_II.get(METHODS[method], {}).get(column) if of_paper else None for column in columns]
        rows.append([METHODS[method], *figure.text(), *gain_text, *paper])
        csv_rows.append([method, *figure.numbers(), *gain_numbers, *map(_fraction, paper)])
    for name, values in TABLE_II.items():
        paper = [values.get(column) for column in columns]
        ours = name in METHODS.values()
        if any(paper) and not (ours and of_paper):
            label = f"{name}, the paper's" if ours else name
            rows.append([label, *[None] * 4, *paper])
            csv_rows.append([label, *[None] * 6, *map(_fraction, paper)])
    return header, rows, numbers, csv_rows


def fixations_table(scores, run_name):
    """Table III: our scores beside the paper's on Toronto and SID4VAM.

    Args:
        scores: `scoring.fixation_scores.Scores` of the predictors.
        run_name: Name of the row of step 1's run.

    Returns:
        `(header, rows, csv header, csv rows)`; metrics as the paper orders them.
    """
    from saliency_keras.metrics.fixation_metrics import METRICS

    ours = [METRIC_OF_PAPER.get(name, name) for name in TABLE_III_METRICS]
    header = ["predictor", *ours, *(f"{name}, {paper_set}" for paper_set in TABLE_III for name in TABLE_III_METRICS)]
    names_of_paper = {**{ours: paper for paper, ours in PREDICTOR_OF_PAPER.items()}, run_name: OURS}
    rows = []
    for name in scores.rows:
        means = dict(zip(METRICS, scores.mean(name), strict=True))
        rows.append([name, *(means[metric] for metric in ours), *_table_iii(names_of_paper.get(name))])
    left = [name for name in next(iter(TABLE_III.values())) if name not in {names_of_paper.get(row[0]) for row in rows}]
    rows += [[name, *[None] * len(ours), *_table_iii(name)] for name in left]
    shown = [[row[0], *(value if value is None else f"{value:.3f}" for value in row[1:])] for row in rows]
    return header, shown, header, rows


def _table_iii(name):
    return [value for of_set in TABLE_III.values() for value in of_set.get(name, [None] * len(TABLE_III_METRICS))]


def _on_test(row):
    """Accuracy on the five test pictures of each class, as two cells and three numbers; not told of an average.

    Which of the pictures are right does not matter to it.
    """
    if row.name == AVERAGE:
        return [None] * 2, [None] * 3
    counts = [(run.summary["test"]["pictures"], run.summary["test"]["right"]) for (run,) in row.repeats]
    ids = [np.arange(pictures) + number * pictures for number, (pictures, _) in enumerate(counts)]
    five = share_right([np.arange(pictures) < right for pictures, right in counts], ids)
    return five.text(), five.numbers()


def _gain(row, baseline):
    """The gain over the baseline as two cells and as three numbers, all `None` where there is none."""
    if row.method == "baseline_rgb" or not baseline:
        return [None] * 2, [None] * 3
    gain = difference(row.tested, baseline.tested)
    return gain.text(points), gain.numbers()


def _fraction(value):
    return None if value is None else round(value / 100, 6)


def _short(value):
    return None if value is None else f"{value:.3g}"
