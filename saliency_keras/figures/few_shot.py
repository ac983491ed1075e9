"""Figueroa-Flores et al. 2020: accuracy against pictures per class (Table I), and the map of step 1 (Table III).

Of a few-shot run two accuracies are told: on the protocol's five test pictures of each class, and on all pictures of
the val split that it neither trained nor validated on, which are the same for all methods of a repeat. Published
figures are of the paper's sets; the one that ours resembles is chosen by the name of its folder.
"""

import re

import numpy as np

from saliency_keras.experiments.hallucination import (
    METHODS,
    SHOTS,
    SUSPECT,
    TABLE_I,
    TABLE_II,
    TABLE_III,
    TABLE_III_METRICS,
)
from saliency_keras.figures import style
from saliency_keras.figures.reproduction import accuracy, difference
from saliency_keras.figures.table import points

LIKE = {"Flowers": r"flower", "Cars": r"\bcars?\b|car[-_]", "Birds": r"bird|cub"}
METRIC_OF_PAPER = {"AUC": "AUC-Judd", "InfoGain": "IG"}  # the paper does not say which AUC it is
PREDICTOR_OF_PAPER = {"IKN": "itti", "AIM": "aim", "SDLF": "sdlf", "GBVS": "gbvs", "GroundTruth (Humans)": "human"}
OURS = "Our Approach (Step I)"


def published_set(folder):
    """The paper's set that a data set's folder is named like: `"Flowers"`, `"Cars"`, `"Birds"` or `None`."""
    return next((name for name, words in LIKE.items() if re.search(words, str(folder).lower())), None)


def published(name, method, shots):
    """Top-1 of Table I in percent, or `None` where there is none or it is not to be trusted."""
    label = METHODS[method]
    if name is None or (name, label, _shots(shots)) in SUSPECT:
        return None
    return TABLE_I[name][label][SHOTS.index(_shots(shots))]


def few_shot_table(runs, like):
    """Table I: every method and number of pictures per class.

    Args:
        runs: From `(method, shots)` to the `training.runs.Run`s, one a repeat.
        like: The paper's set to show beside, or `None`.

    Returns:
        `(header, rows, csv header, csv rows)`.
    """
    header = [
        *("pictures per class", "method", "Top-1 %", "95 % interval", f"published{f' ({like})' if like else ''}"),
        *("all untouched pictures", "95 % interval", "gain, points", "95 % interval", "maps all zero %", "repeats"),
    ]
    numbers = [
        *("shots", "method", "top1", "low", "high", "published", "untouched_top1", "untouched_low", "untouched_high"),
        *("gain", "gain_low", "gain_high", "all_zero", "map_variance", "repeats"),
    ]
    rows, csv_rows = [], []
    for (method, shots), repeats in runs.items():
        five = accuracy([_of_test(run) for run in repeats], same_pictures=False)
        untouched = [run.predictions.correct() for run in repeats]
        every = accuracy(untouched, same_pictures=False)
        baseline = runs.get(("baseline_rgb", shots))
        gain = None
        if method != "baseline_rgb" and baseline:
            pairs = zip(baseline, repeats, strict=True)
            before = [one.predictions.in_order_of(run.predictions).correct() for one, run in pairs]
            gain = difference(untouched, before, same_pictures=False)
        maps = [run.summary.get("hallucinated_maps", {}) for run in repeats]
        zero, variance = (_mean(maps, key) for key in ("all_zero", "variance"))
        paper = published(like, method, shots)
        gain_text = gain.text(points) if gain else [None, None]
        zero_text = None if zero is None else f"{100 * zero:.0f}"
        rows.append([shots, METHODS[method], *five.text(), paper, *every.text(), *gain_text, zero_text, len(repeats)])
        gain_numbers = gain.numbers() if gain else [None] * 3
        row = [shots, method, *five.numbers(), paper and paper / 100, *every.numbers(), *gain_numbers]
        csv_rows.append([*row, zero, variance, len(repeats)])
    return header, rows, numbers, csv_rows


def few_shot_figure(runs, like):
    """Accuracy on all untouched pictures against pictures per class, one line a method; the paper's dashed."""
    shots = sorted({shots for _, shots in runs}, key=lambda one: SHOTS.index(_shots(one)))
    methods = list(dict.fromkeys(method for method, _ in runs))
    places = np.arange(len(shots))
    with style.look():
        figure = style.new_figure(8, 5)
        ax = figure.subplots()
        for index, (method, look) in enumerate(zip(methods, style.line_styles(), strict=False)):
            there = [place for place, one in enumerate(shots) if (method, one) in runs]
            correct = [[run.predictions.correct() for run in runs[method, shots[place]]] for place in there]
            found = [accuracy(one, same_pictures=False) for one in correct]
            values = np.array([one.value for one in found])
            ends = np.array([[one.value - one.low for one in found], [one.high - one.value for one in found]])
            beside = places[there] + 0.06 * (
                index - (len(methods) - 1) / 2
            )  # so that intervals do not cover each other
            ax.errorbar(beside, 100 * values, 100 * ends, label=METHODS[method], capsize=2, **look)
        if like:
            for method in methods:
                values = [published(like, method, one) for one in shots]
                values = [np.nan if value is None else value for value in values]
                label = f"published, {like} (all methods)" if method == methods[0] else None
                ax.plot(places, values, label=label, **style.PUBLISHED)
        ax.set_xticks(places, shots)
        ax.set_xlabel("training pictures per class")
        ax.set_ylabel("Top-1 accuracy on untouched pictures (%), 95 % interval")
        ax.legend(loc="best", fontsize=8)
    return figure


def standard_rows(runs, like):
    """Table II: our methods, and after them the other systems as published.

    Args:
        runs: From a method to its `Run`s.
        like: The paper's set to show beside, or `None`.

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
    for method, repeats in runs.items():
        correct = [run.predictions.correct() for run in repeats]
        figure, gain = accuracy(correct), None
        if method != "baseline_rgb" and "baseline_rgb" in runs:
            pairs = zip(runs["baseline_rgb"], repeats, strict=True)
            before = [one.predictions.in_order_of(run.predictions).correct() for one, run in pairs]
            gain = difference(correct, before)
        paper = [TABLE_II.get(METHODS[method], {}).get(column) for column in columns]
        rows.append([METHODS[method], *figure.text(), *(gain.text(points) if gain else [None, None]), *paper])
        csv_rows.append([method, *figure.numbers(), *(gain.numbers() if gain else [None] * 3), *paper])
    for name, values in TABLE_II.items():
        paper = [values.get(column) for column in columns]
        if name not in METHODS.values() and any(paper):
            rows.append([name, *[None] * 4, *paper])
            csv_rows.append([name, *[None] * 6, *paper])
    return header, rows, numbers, csv_rows


def fixations_table(scores, run_name):
    """Table III: our scores beside the paper's on Toronto and SID4VAM.

    Args:
        scores: `metrics.scoring.Scores` of the predictors.
        run_name: Name of the row of step 1's run.

    Returns:
        `(header, rows, csv header, csv rows)`; metrics as the paper orders them.
    """
    from saliency_keras.metrics.fixations import METRICS

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


def _of_test(run):
    """Right or wrong on the five test pictures of each class; which is which does not matter to their mean."""
    test = run.summary["test"]
    return np.arange(test["pictures"]) < test["right"]


def _mean(descriptions, key):
    values = [one[key] for one in descriptions if key in one]
    return float(np.mean(values)) if values else None


def _shots(shots):
    return int(shots) if str(shots).isdecimal() else shots
