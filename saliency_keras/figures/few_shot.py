"""Figueroa-Flores et al. 2020: accuracy against pictures per class (Table I), and the map of step 1 (Table III).

Of a few-shot run two accuracies are told: on the protocol's five test pictures of each class, and on all pictures of
the val split that it neither trained nor validated on, which are the same for all methods of a repeat. Published
figures are of the paper's sets; the one that ours resembles is chosen by the name of its folder.
"""

import re
from pathlib import Path

import numpy as np

from saliency_keras.data.few_shot import SHOTS
from saliency_keras.experiments.hallucination import METHODS, SUSPECT, TABLE_I, TABLE_II, TABLE_III, TABLE_III_METRICS
from saliency_keras.figures import style
from saliency_keras.figures.estimates import accuracy, difference, intervals_figure, share_right
from saliency_keras.figures.table import points

LIKE = {"Flowers": r"flower", "Cars": r"\bcars?\b|car[-_]", "Birds": r"bird|cub"}
METRIC_OF_PAPER = {"AUC": "AUC-Judd", "InfoGain": "IG"}  # the paper does not say which AUC it is
PREDICTOR_OF_PAPER = {"IKN": "itti", "AIM": "aim", "SDLF": "sdlf", "GBVS": "gbvs", "GroundTruth (Humans)": "human"}
OURS = "Our Approach (Step I)"
MAP_FACTS = ("all_zero", "mean", "variance", "variance_of_pattern")  # of `training.classification.describe_maps`


def published_set(folder):
    """The paper's set that a data set's folder is named like: `"Flowers"`, `"Cars"`, `"Birds"` or `None`."""
    return next((name for name, words in LIKE.items() if re.search(words, Path(folder).name.lower())), None)


def published(name, method, shots):
    """Top-1 of Table I in percent, or `None` where there is none or it is not to be trusted."""
    label = METHODS[method]
    if name is None or (name, label, shots) in SUSPECT:
        return None
    return TABLE_I[name][label][SHOTS.index(shots)]


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
        *("all untouched pictures", "95 % interval", "gain, points", "95 % interval", "maps all zero %", "mean"),
        *("variance", "of it by pattern", "repeats"),
    ]
    numbers = [
        *("shots", "method", "top1", "low", "high", "published", "untouched_top1", "untouched_low", "untouched_high"),
        *("gain", "gain_low", "gain_high", *(f"maps_{name}" for name in MAP_FACTS), "repeats"),
    ]
    rows, csv_rows = [], []
    for (method, shots), repeats in runs.items():
        five, every = _on_test(repeats), accuracy(_tested(repeats))
        gain_text, gain_numbers = _gain(method, repeats, runs.get(("baseline_rgb", shots)))
        maps = [run.summary.get("hallucinated_maps", {}) for run in repeats]
        zero, *described = (_mean(maps, key) for key in MAP_FACTS)
        paper = published(like, method, shots)
        maps_text = [None if zero is None else f"{100 * zero:.0f}", *(_short(value) for value in described)]
        rows.append([shots, METHODS[method], *five.text(), paper, *every.text(), *gain_text, *maps_text, len(repeats)])
        row = [shots, method, *five.numbers(), _fraction(paper), *every.numbers(), *gain_numbers]
        csv_rows.append([*row, zero, *described, len(repeats)])
    return header, rows, numbers, csv_rows


def few_shot_figure(runs, like):
    """Accuracy on all untouched pictures against pictures per class, one line a method; the paper's dotted.

    Marks and intervals stand beside the line, so that none covers another.
    """
    shots = sorted({shots for _, shots in runs}, key=SHOTS.index)
    methods = list(dict.fromkeys(method for method, _ in runs))
    places = np.arange(len(shots))
    with style.look():
        figure = style.new_figure(8, 5)
        ax = figure.subplots()
        for index, (method, look) in enumerate(zip(methods, style.line_styles(), strict=False)):
            there = [place for place, one in enumerate(shots) if (method, one) in runs]
            found = [accuracy(_tested(runs[method, shots[place]])) for place in there]
            values = np.array([one.value for one in found])
            ends = np.array([[one.value - one.low for one in found], [one.high - one.value for one in found]])
            ax.plot(places[there], 100 * values, color=look["color"], linestyle=look["linestyle"])
            beside = places[there] + 0.06 * (index - (len(methods) - 1) / 2)
            mark = {"color": look["color"], "marker": look["marker"], "linestyle": "none"}
            ax.errorbar(beside, 100 * values, 100 * ends, label=METHODS[method], capsize=2, **mark)
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
    """Each method's paired gain over the baseline, on all untouched pictures, beside the paper's: one panel a k.

    Args:
        runs: As for `few_shot_table`.
        like: The paper's set to show beside, or `None`.

    Returns:
        A `matplotlib.figure.Figure`, or `None` where no method has its baseline.
    """
    panels = {}
    for (method, shots), repeats in runs.items():
        baseline = runs.get(("baseline_rgb", shots))
        if method != "baseline_rgb" and baseline:
            theirs = [published(like, name, shots) for name in (method, "baseline_rgb")]
            gain = None if None in theirs else (theirs[0] - theirs[1]) / 100
            title = f"{shots} training picture{'s' * (shots != '1')} per class, against {METHODS['baseline_rgb']}"
            line = METHODS[method], difference(_tested(repeats), _tested(baseline)), gain
            panels.setdefault(title, []).append(line)
    return intervals_figure(panels) if panels else None


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
        figure = accuracy(_tested(repeats))
        gain_text, gain_numbers = _gain(method, repeats, runs.get("baseline_rgb"))
        paper = [TABLE_II.get(METHODS[method], {}).get(column) for column in columns]
        rows.append([METHODS[method], *figure.text(), *gain_text, *paper])
        csv_rows.append([method, *figure.numbers(), *gain_numbers, *map(_fraction, paper)])
    for name, values in TABLE_II.items():
        paper = [values.get(column) for column in columns]
        if name not in METHODS.values() and any(paper):
            rows.append([name, *[None] * 4, *paper])
            csv_rows.append([name, *[None] * 6, *map(_fraction, paper)])
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


def _tested(repeats):
    return [run.predictions for run in repeats]


def _on_test(repeats):
    """Accuracy on the five test pictures of each class; which of them are right does not matter to it."""
    counts = [(run.summary["test"]["pictures"], run.summary["test"]["right"]) for run in repeats]
    ids = [np.arange(pictures) + number * pictures for number, (pictures, _) in enumerate(counts)]
    return share_right([np.arange(pictures) < right for pictures, right in counts], ids)


def _gain(method, repeats, baseline):
    """The gain over the baseline as two cells and as three numbers, all `None` where there is none."""
    if method == "baseline_rgb" or not baseline:
        return [None] * 2, [None] * 3
    gain = difference(_tested(repeats), _tested(baseline))
    return gain.text(points), gain.numbers()


def _fraction(value):
    return None if value is None else round(value / 100, 6)


def _short(value):
    return None if value is None else f"{value:.3g}"


def _mean(descriptions, key):
    values = [one[key] for one in descriptions if key in one]
    return float(np.mean(values)) if values else None
