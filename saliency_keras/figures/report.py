"""The report on one or several runs: a document with figures, curves, comparisons, classes and cases.

It brings together what the neighbours make; nothing is computed here. With several runs, the first is the one that
the others are compared with.
"""

import json

from saliency_keras.figures.cases import case_blocks
from saliency_keras.figures.curves import comparison_figure, run_figure
from saliency_keras.figures.document import Folded, Heading, Table, figure_picture
from saliency_keras.figures.evaluation import (
    accuracies,
    class_table,
    comparison,
    figures_of,
    verdict,
    written_class_table,
)
from saliency_keras.metrics.digits import percent
from saliency_keras.runs.labels import labels_of, title_of

VERDICTS = 3  # runs that are each compared with the first in a sentence; of more, the best one is


def report(runs):
    """The report on some runs.

    Args:
        runs: `runs.run.Run`s of classifiers, one or more; all tested on the same pictures.

    Returns:
        A document: list of blocks.

    Raises:
        UserError: If a run has no predictions, is given twice, or was tested on other pictures than the first.
    """
    labels = labels_of(runs)
    if len(runs) == 1:
        return [Heading(title_of(runs[0].config), level=1), *_one_run(runs[0])]
    first, *others = zip(runs, labels, strict=True)
    curves = figure_picture(comparison_figure(runs, labels), f"validation curves of {', '.join(labels)}")
    blocks = [Heading(f"{len(runs)} runs", level=1), _overview(runs, labels), curves]
    for run, label in others:
        blocks += [Heading(f"{label} against {first[1]}"), *comparison(run, first[0], label, first[1])]
    for run, label in zip(runs, labels, strict=True):
        blocks += [Heading(label), title_of(run.config), *_one_run(run)]
    return blocks


def conclusion(runs):
    """What came out, in a sentence or two: the runs' verdicts, each further one's against the first.

    Args:
        runs: `runs.run.Run`s of classifiers, one or more.

    Returns:
        The sentences.
    """
    first, *others = runs
    if not others:
        return verdict(first)
    if len(others) > VERDICTS:
        best = max(others, key=lambda run: run.predictions.correct().mean())
        return f"The best of {len(runs)} runs: {verdict(best, first)}"
    return " ".join(verdict(run, first) for run in others)


def _overview(runs, labels):
    figures = figures_of(len(runs[0].predictions.classes)).values()
    titles = [f"{title} %" for title, _ in figures]
    header = ["run", *titles, "paper's Top-1 %", "parameters", "epochs", "images/s", "hours"]
    rows = []
    for run, label in zip(runs, labels, strict=True):
        predictions, published = run.predictions, run.published.get("top1")
        pictures = predictions.ids.size
        parameters, seconds = run.summary.get("parameters", {}).get("total"), run.summary.get("seconds")
        speed = run.summary.get("images_per_second")
        rows.append(
            [
                label,
                *(percent(predictions.correct(k).mean(), pictures) for _, k in figures),
                f"{100 * published:.2f}" if published else None,
                None if parameters is None else f"{parameters:,}",
                len(run.history["epoch"]),
                None if speed is None else f"{speed:,.0f}",
                None if seconds is None else f"{seconds / 3600:.2f}",
            ]
        )
    return Table(header, rows)


def _one_run(run):
    return [
        *accuracies(run),
        figure_picture(run_figure(run.config, run.history), f"curves of {title_of(run.config)}"),
        *case_blocks(run),
        Folded("Accuracy of each class", [written_class_table(*class_table(run))]),
        Folded("Settings", [_settings(run.config)]),
    ]


def _settings(config):
    """Every entry of `config.json`, one level of nesting opened."""
    rows = []
    for name, value in config.items():
        entries = {f"{name}.{key}": entry for key, entry in value.items()} if isinstance(value, dict) else {name: value}
        rows += [[key, _written(entry)] for key, entry in entries.items()]
    return Table(["setting", "value"], rows)


def _written(value):
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
