"""Curves over epochs: one run (the thesis's Figs. 4.1, 4.6, 4.8, 4.10) and several in one picture (Figs. 4.5 to 4.16).

What is drawn follows from the history's columns: every metric with its `val_` partner, then the loss, then the
learning rate. A published figure is a dashed line. Which runs to compare, and where the picture goes, is the caller's.
"""

import dataclasses

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.experiments.experiment import flat_settings
from saliency_keras.figures import style
from saliency_keras.metrics.digits import is_worth_telling
from saliency_keras.runs.labels import classes_of, labels_of, of_strategy, published_of, title_of

LOSSES = ("cross_entropy", "loss")  # drawn after the metrics; the loss has the weight penalty in it
GUESSES = {"top1": 1, "top5": 5}  # classes that count as one answer
NOT_METRICS = ("epoch", "learning_rate", "seconds")
LETTERS_IN_WIDTH = 130
# Over the axes, in a line: wherever the curves go, it covers none of them.
ABOVE = {
    "loc": "lower left",
    "bbox_to_anchor": (-0.1, 1),
    "ncols": 3,
    "fontsize": 7,
    "columnspacing": 0.9,
    "handlelength": 2.4,
    "handletextpad": 0.5,
    "borderaxespad": 0.3,
}


@dataclasses.dataclass(frozen=True)
class Quantity:
    """How a column of a history is drawn.

    Attributes:
        title: Name with its unit.
        factor: What the column is multiplied by to have that unit.
        digits: How a single value is written.
    """

    title: str
    factor: float = 1.0
    digits: str = ".4g"


QUANTITIES = {
    "top1": Quantity("Top-1 accuracy (%)", 100, ".2f"),
    "top5": Quantity("Top-5 accuracy (%)", 100, ".2f"),
    "cross_entropy": Quantity("cross-entropy (nats)"),
    "nss": Quantity("NSS (standard deviations)"),
    "cc": Quantity("CC (correlation)"),
    "auc_judd": Quantity("AUC-Judd"),
    "ig": Quantity("IG (bits)"),
    "kl": Quantity("KL (nats)"),
}


def run_figure(config, history, published=False, only=(), caption=""):
    """The curves of one run: each metric in training and validation, the loss and the learning rate.

    Args:
        config: The run's `config.json` as a dict.
        history: `{column: array (epochs,)}`, as `runs.run.read_history` gives it; the run may be unfinished.
        published: Whether to draw what the paper prints though the run differs from the paper's in its pictures.
        only: Names of the metrics to draw, one below the other in a narrow figure; empty for all.
        caption: What stands before the run's title, such as the number of the figure that it repeats.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    experiment = config["experiment"]
    published = of_strategy(config) if published else published_of(config)
    source = " ".join(str(experiment[key]) for key in ("paper", "row") if experiment.get(key)) or "published"
    classes = classes_of(config)
    metrics = [*_metrics(history, classes), *(["learning_rate"] if "learning_rate" in history else [])]
    metrics = [name for name in metrics if not only or name in only]
    with style.look():
        figure, axes = _panels(metrics, epochs=history["epoch"][-1], columns=1 if only else 2)
        title = title_of(config) + _how_far(config, history)
        title = f"{caption}: {title}" if caption else title
        figure.suptitle(style.one_line(title), x=0.01, ha="left", fontsize=11)
        for ax, metric in zip(axes, metrics, strict=True):
            if metric == "learning_rate":
                _learning_rate(ax, history)
                continue
            quantity = _quantity(metric)
            _line(ax, history, metric, label="training", color="#0072b2", linestyle=(0, (4, 1.5)), marker="s")
            _line(ax, history, f"val_{metric}", label="validation", color="#000000", marker="o")
            _chance_line(ax, metric, {classes})
            if published.get(metric) is not None:
                value = published[metric] * quantity.factor
                label = f"{style.one_line(source)}: {value:{quantity.digits}} (its pictures)"
                ax.axhline(value, label=label, **style.PUBLISHED)
            ax.legend(**ABOVE)
    return figure


def _how_far(config, history):
    """What a title says of a run that is not finished; one that may end before its last epoch does not say."""
    settings, epochs = flat_settings(config["experiment"]), len(history["epoch"])
    whole = settings.get("epochs", epochs)
    return "" if epochs >= whole or settings.get("patience") else f" · epoch {epochs} of {whole}"


def comparison_figure(runs, labels=None, published=False, only=(), caption=""):
    """The validation curves of several runs in one picture, one line a run.

    Args:
        runs: `runs.run.Run`s, of any lengths.
        labels: One label a run; by default what tells them apart, `runs.labels.labels_of(runs)`.
        published: Whether to draw what the paper prints though the runs differ from the paper's in their pictures.
        only: Names of the metrics to draw, one below the other in a narrow figure; empty for all.
        caption: A title, such as the number of the figure that it repeats; by default there is none.

    Returns:
        A `matplotlib.figure.Figure` with a panel for each metric of validation: Top-1 and Top-5 for classifiers. The
        loss is drawn only where a run has nothing else, for losses with other penalties do not compare.
    """
    labels = [style.one_line(label) for label in labels or labels_of(runs)]
    every = dict.fromkeys(name for run in runs for name in _metrics(run.history, run.classes))
    found = [name for name in every if any(f"val_{name}" in run.history for run in runs)]
    metrics = [name for name in found if name not in LOSSES and (not only or name in only)] or found
    if not metrics:
        raise UserError("there is nothing to compare: no run has a metric of validation in its history.csv.")
    printed = [(run.name, run.of_strategy if published else run.published) for run in runs]
    named = [*labels, *([style.PUBLISHED_LABEL] if any(figures for _, figures in printed) else [])]
    named.append("chance (1,000 classes)")
    letters = LETTERS_IN_WIDTH // (2 if only else 1)
    columns = max(1, min(len(named), letters // (max(map(len, named)) + 11)))
    with style.look():
        epochs = max(run.history["epoch"][-1] for run in runs)
        figure, axes = _panels(metrics, epochs, -(-len(named) // columns), columns=1 if only else 2)
        if caption:
            figure.suptitle(style.one_line(caption), x=0.01, ha="left", fontsize=11)
        for ax, metric in zip(axes, metrics, strict=True):
            for run, label, line in zip(runs, labels, style.line_styles(), strict=False):
                _line(ax, run.history, f"val_{metric}", label=label, **line)
            ax.set_ylabel(f"validation {ax.get_ylabel()}")
            _chance_line(ax, metric, {run.classes for run in runs})
            _published_lines(ax, printed, metric)
        lines = {label: line for ax in axes for line, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        lines = {label: lines[label] for label in [*labels, *lines] if label in lines}  # the runs, then other lines
        figure.legend(lines.values(), lines.keys(), loc="outside lower left", ncols=columns, handlelength=4)
    return figure


def _metrics(history, classes):
    """Names of the metrics that say something of so many classes, in the history's order, the loss last."""
    names = [name.removeprefix("val_") for name in history if name not in NOT_METRICS]
    names = [name for name in names if is_worth_telling(name, classes)]
    return sorted(dict.fromkeys(names), key=lambda name: LOSSES.index(name) + 1 if name in LOSSES else 0)


def _quantity(metric):
    return QUANTITIES.get(metric, Quantity(style.one_line(metric)))


def _panels(metrics, epochs, legend_lines=0, columns=2):
    """A figure with one named panel a metric over so many epochs, two in a row or one: `(figure, list of axes)`."""
    from matplotlib.ticker import MaxNLocator

    rows = -(-len(metrics) // columns)
    figure = style.new_figure(5 * columns, 0.6 + 3.1 * rows + 0.2 * legend_lines)
    axes = list(figure.subplots(rows, min(columns, len(metrics)), squeeze=False).flat)
    for ax in axes[len(metrics) :]:
        ax.remove()
    for ax, metric in zip(axes, metrics, strict=False):
        ax.set_xlabel("epoch")
        ax.set_xlim(0, epochs + 0.5)
        ax.set_ylabel(_quantity(metric).title)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure, axes[: len(metrics)]


def _line(ax, history, column, **look):
    """Draws a column over the epochs, if the history has it; what is not finite leaves a gap."""
    if column not in history:
        return
    values = np.where(np.isfinite(history[column]), history[column], np.nan)
    factor = _quantity(column.removeprefix("val_")).factor
    marked = np.unique(np.linspace(0, len(values) - 1, 10).round().astype(int))
    ax.plot(history["epoch"], values * factor, markevery=marked.tolist(), **look)


def _learning_rate(ax, history):
    ax.plot(history["epoch"], history["learning_rate"], drawstyle="steps-mid", color="#000000", marker=".")
    ax.set_ylabel("learning rate")
    if len(set(history["learning_rate"])) > 1 and np.nanmin(history["learning_rate"]) > 0:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
        ax.set_ylabel("learning rate (log scale)")


def _chance_line(ax, metric, classes):
    """A dotted line at what guessing one class of so many gets right, where all runs have as many."""
    classes = min(classes, key=str) if len(classes) == 1 else None
    if metric in GUESSES and classes and classes > GUESSES[metric]:
        ax.axhline(100 * GUESSES[metric] / classes, label=f"chance ({classes:,} classes)", **style.CHANCE)


def _published_lines(ax, printed, metric):
    """A dashed line for each published value, named in the right margin; names that would meet are pushed apart."""
    quantity, names_of_value = _quantity(metric), {}
    for name, figures in printed:
        if figures.get(metric) is not None:
            names_of_value.setdefault(figures[metric] * quantity.factor, {})[name] = None
    for value in names_of_value:
        ax.axhline(value, label=style.PUBLISHED_LABEL, **style.PUBLISHED)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high)
    place = -np.inf
    for value, names in sorted(names_of_value.items()):
        place = max((value - low) / (high - low), place + 0.055)
        name = style.one_line(f"{value:{quantity.digits}} {', '.join(names)}")
        ax.annotate(
            name, (1, value), (1.02, place), xycoords=("axes fraction", "data"), textcoords="axes fraction",
            va="center", fontsize=7, color=style.PUBLISHED["color"], annotation_clip=False,
        )  # fmt: skip
