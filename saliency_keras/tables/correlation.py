"""Accuracy of backbones against the saliency read out of them: table, correlations, scatter plots.

What the notes claim (Oyama & Yamanaka 2018; FACTS §5.2). Accuracy is that of a linear classifier (`tables.backbones`);
saliency is that of a run of `readout_bi` over the frozen backbone, scored on the pictures held out of a fixation set.
Backbones are the table's own runs, an untrained network, finished runs of a user's, and networks of
`keras.applications`. Intervals are at 95 %: Wilson's over pictures for an accuracy, Fisher's over backbones for a
correlation; scores have standard errors over pictures.
"""

import dataclasses
import math
from pathlib import Path

from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.figures import style
from saliency_keras.figures.table import markdown_table, percent, plus_minus, write_csv
from saliency_keras.files import whole_file
from saliency_keras.metrics.statistics import correlation, correlation_interval, wilson_interval
from saliency_keras.runs.run import Run
from saliency_keras.tables.backbones import (
    OURS,
    PICTURES,
    Backbone,
    ReadoutRun,
    linear_worth,
    named_backbones,
    readout_over,
    untrained,
)
from saliency_keras.tables.fixations import check_fixations, fixations_option
from saliency_keras.tables.plan import check_settings, plan

METRICS = ("NSS", "CC", "AUC-Judd")


@dataclasses.dataclass(frozen=True)
class Correlation:
    """Backbones as classifiers and as the ground of saliency.

    Attributes:
        fixations: Folder of the fixation set.
        backbones: What to compare: `"ours"`, and words as `tables.backbones.named_backbones` takes them.
        limit: Pictures of each split that linear classifiers see at most.
    """

    fixations: Path | None = None
    backbones: str = OURS
    limit: int = PICTURES
    keep_models = True

    @staticmethod
    def options(add):
        """`--fixations`, `--backbones`, `--limit`."""
        fixations_option(add)
        add("--backbones", metavar="NAMES", default=OURS, help="accuracy-vs-saliency: what to compare (default: ours)")
        limit = "accuracy-vs-saliency: pictures of a split that linear classifiers see at most (default: %(default)s)"
        add("--limit", metavar="N", type=int, default=PICTURES, help=limit)

    def plan(self, table, choices):
        """As `TableKind.plan`: the table's own backbones, then a read-out over every backbone."""
        check_fixations(self.fixations)
        if choices.epochs or choices.repeats:
            raise UserError("--epochs and --repeats do not apply to this table; change a length by --set.")
        if self.limit < 1:
            raise UserError(f"--limit must be at least 1. Received: {self.limit}")
        named_by_user = [word for word in self.backbones.split(",") if word]
        named = named_backbones(named_by_user)
        runs = plan(table, choices) if OURS in named_by_user else []
        check_settings([*(run.row for run in runs), table.readout], choices.settings)
        if not (named or runs):
            known = f"{OURS}, networks of keras.applications, runs"
            raise UserError(f"say which backbones to compare: --backbones {known}.")
        own = [untrained(runs[0]), *runs] if runs else []
        backbones = [Backbone(run.row.name, str(run.folder)) for run in own]
        taken = [one.name for one in backbones]
        for one in named:
            name = one.name if one.name not in taken else f"{one.name}-given"
            backbones.append(dataclasses.replace(one, name=name))
        planned = {one.name: run.folder for one, run in zip(backbones, own, strict=False)}
        readouts = [
            readout_over(one, table.readout, choices, self.fixations, planned.get(one.name)) for one in backbones
        ]
        return [*own, *readouts]

    def write(self, results, folder):
        """As `TableKind.write`; fits the linear classifiers that an earlier attempt has not left."""
        manifest = Manifest.load(results.data)
        measured = [
            Measured(one.backbone.name, *linear_worth(one, manifest, self.limit), Run.load(one.folder))
            for one in results.planned
            if isinstance(one, ReadoutRun) and one.finished
        ]
        if not measured:
            raise UserError("no backbone is measured, so there is nothing to write.")
        return write(results.table, measured, results.data, folder)


@dataclasses.dataclass(frozen=True)
class Measured:
    """A backbone with both its worths.

    Attributes:
        name: What it is called.
        right: Pictures of the compact set's val split that the linear classifier has right.
        pictures: Of so many.
        parameters: Of the backbone.
        run: The finished `runs.run.Run` of its read-out; `run.summary["held_out"]` has the scores.
    """

    name: str
    right: int
    pictures: int
    parameters: int
    run: object

    @property
    def top1(self):
        """Top-1 of the linear classifier, 0 to 1."""
        return self.right / self.pictures


def correlations(measured):
    """Pearson's and Spearman's correlation of Top-1 with each metric.

    Args:
        measured: `Measured`s.

    Returns:
        A list of `(metric, kind, coefficient, low, high)`; none with fewer than three backbones.
    """
    found = []
    top1 = [one.top1 for one in measured]
    for metric in METRICS if len(measured) > 2 else ():
        scores = [_score(one, metric)[0] for one in measured]
        for kind, ranks in ("Pearson", False), ("Spearman", True):
            coefficient = correlation(top1, scores, ranks)
            interval = correlation_interval(coefficient, len(measured), ranks=ranks)
            found.append((metric, kind, coefficient, *interval))
    return found


def correlation_table(measured):
    """Every backbone, the most accurate first: `(header, rows, csv header, csv rows)`."""
    header = ["backbone", "parameters", "Top-1 %", "95 % interval", *METRICS, "beats centre"]
    names = [name.lower().replace("-", "_") for name in METRICS]
    numbers = ["backbone", "parameters", "top1", "top1_low", "top1_high"]
    numbers += [column for name in names for column in (name, f"{name}_standard_error")] + ["beats_center"]
    rows, csv_rows = [], []
    for one in sorted(measured, key=lambda one: -one.top1):
        low, high = wilson_interval(one.right, one.pictures)
        ends = f"{percent(low, one.pictures)} to {percent(high, one.pictures)}"
        scores = [_score(one, metric) for metric in METRICS]
        beats = one.run.summary["beats_center"]
        top1 = percent(one.top1, one.pictures)
        shown = [plus_minus(*score) for score in scores]
        rows.append([one.name, f"{one.parameters:,}", top1, ends, *shown, "yes" if beats else "no: untrained"])
        flat = [value for score in scores for value in score]
        csv_rows.append([one.name, one.parameters, one.top1, low, high, *flat, beats])
    return header, rows, numbers, csv_rows


def correlation_figure(measured):
    """A scatter plot for each metric: Top-1 across, the metric up, the score of `center` as a dashed line."""
    found = {(metric, kind): values for metric, kind, *values in correlations(measured)}
    ordered = sorted(measured, key=lambda one: -one.top1)
    with style.look():
        figure = style.new_figure(12, 4.4 + 0.16 * len(measured))
        axes = figure.subplots(1, len(METRICS), squeeze=False)[0]
        for ax, metric in zip(axes, METRICS, strict=True):
            for number, (one, line) in enumerate(zip(ordered, style.line_styles(), strict=False), 1):
                value, error = _score(one, metric)
                untrained = "" if one.run.summary["beats_center"] else ", untrained"
                label = style.one_line(f"{number} {one.name}{untrained}")
                look = {"color": line["color"], "marker": line["marker"], "linestyle": "none", "capsize": 2}
                ax.errorbar([100 * one.top1], [value], yerr=[error or 0], label=label, **look)
                ax.annotate(str(number), (100 * one.top1, value), (4, 4), textcoords="offset points", fontsize=7)
            center = measured[0].run.summary["held_out"]["center"][metric]["mean"]
            ax.axhline(center, label="centre of the picture", **style.PUBLISHED)
            ax.set_xlabel("Top-1 of a linear classifier (%)")
            unit = " (standard deviations)" if metric == "NSS" else ""
            ax.set_ylabel(f"{metric}{unit}, held-out pictures, ± standard error")
            if (metric, "Pearson") in found:
                value, interval = _coefficient(*found[metric, "Pearson"])
                ranks, _ = _coefficient(*found[metric, "Spearman"])
                ax.set_title(f"r = {value} ({interval}), of ranks {ranks}")
        lines, labels = axes[0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower left", ncols=4)
    return figure


def write(table, measured, data, folder):
    """Writes `table.md`, `table.csv`, `correlations.csv` and `scatter.png`.

    Args:
        table: The `PaperTable`.
        measured: `Measured`s, one or more.
        data: Folder of the compact set that accuracies are of.
        folder: Where to; made if absent.

    Returns:
        The text of `table.md`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    *shown, numbers, csv_rows = correlation_table(measured)
    found = correlations(measured)
    run = measured[0].run
    options = run.config["experiment"]
    center = run.summary["held_out"]["center"]
    control = ", ".join(f"{metric} {center[metric]['mean']:.3f}" for metric in METRICS)
    lines = [f"# {table.title}\n", markdown_table(*shown)]
    if found:
        header = ["Top-1 against", "correlation", "coefficient", "95 % interval"]
        text = [[metric, kind, *_coefficient(*values)] for metric, kind, *values in found]
        lines.append(markdown_table(header, text))
    lines += [
        f"Top-1: of a linear classifier on the last features averaged over positions, {data}. Saliency: "
        f"{options['name']} over the frozen backbone, {options['epochs']} epochs, {options['loss']}, pictures of "
        f"{options['arguments']['height']}x{options['arguments']['width']}, mean ± standard error over "
        f"{run.summary['pictures']['validation']} held-out pictures of {run.config['data']['folder']}; the centre of "
        f"the picture has {control}.\n",
        table.note + "\n",
    ]
    with whole_file(folder / "table.md", "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    write_csv(folder / "table.csv", numbers, csv_rows)
    write_csv(folder / "correlations.csv", ["metric", "kind", "coefficient", "low", "high"], found)
    style.save(correlation_figure(measured), folder / "scatter.png")
    return "\n".join(lines)


def _score(one, metric):
    """Mean and standard error over the held-out pictures."""
    values = one.run.summary["held_out"]["run"][metric]
    return values["mean"], values["standard_error"]


def _coefficient(value, low, high):
    """A correlation and its interval, two texts; dashes where one side does not vary."""
    return ["–", "–"] if math.isnan(value) else [f"{value:.2f}", f"{low:.2f} to {high:.2f}"]
