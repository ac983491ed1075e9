"""Accuracy of backbones against the saliency read out of them: table, correlations, scatter plots.

What the notes claim (Oyama & Yamanaka 2018; FACTS §5.2). Accuracy is a classifier's own Top-1, and for all backbones
that of a linear classifier on their features (`tables.backbones`). Saliency is that of read-outs over the frozen
backbone, scored on the pictures held out of a fixation set in AUC-Judd, AUC-Borji and the shuffled AUC, which the notes
name, and in NSS and CC. Backbones are the table's own runs, an untrained network, finished runs of a user's, and
networks of `keras.applications`. For the notes' claim about initialisation, a read-out is trained with its whole
network, from ImageNet's weights and from random ones. Intervals are at 95 %: Wilson's over pictures for an accuracy,
Fisher's over backbones for a correlation; scores have standard errors over pictures.
"""

import csv
import dataclasses
import math
from pathlib import Path

import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.figures import style
from saliency_keras.figures.document import Table
from saliency_keras.figures.table import plus_minus, write_csv
from saliency_keras.metrics.digits import percent
from saliency_keras.metrics.statistics import correlation, correlation_interval, wilson_interval
from saliency_keras.runs.run import Run
from saliency_keras.tables.backbones import (
    OURS,
    PICTURES,
    Backbone,
    ReadoutRun,
    linear_worth,
    named_backbones,
    own_worth,
    readout_over,
    untrained,
)
from saliency_keras.tables.fixations import check_fixations, fixations_option
from saliency_keras.tables.plan import check_settings, plan, words_of
from saliency_keras.tables.results import write_files

METRICS = ("NSS", "CC", "AUC-Judd", "AUC-Borji", "sAUC")
AXES = {"own": "Top-1 %", "linear": "linear Top-1 %"}
RUN, CENTER = "run", "center"
DIFFERENCE = "difference, paired"


@dataclasses.dataclass(frozen=True)
class Correlation:
    """Backbones as classifiers and as the ground of saliency.

    Attributes:
        fixations: Folder of the fixation set.
        backbones: What to compare: `"ours"`, and words as `tables.backbones.named_backbones` takes them.
        readouts: Names of the read-outs to train over each backbone; empty for all of the table.
        whole: Networks of `keras.applications`, as among `backbones`, to be trained whole from their weights and from
            random ones.
        limit: Pictures of each split that linear classifiers see at most.
    """

    fixations: Path | None = None
    backbones: str = OURS
    readouts: tuple[str, ...] = ()
    whole: tuple[str, ...] = ()
    limit: int = PICTURES
    keep_models = True

    @staticmethod
    def options(add):
        """`--fixations`, `--backbones`, `--readouts`, `--whole`, `--limit`."""
        fixations_option(add)
        add("--backbones", metavar="NAMES", default=OURS, help="accuracy-vs-saliency: what to compare (default: ours)")
        readouts = "accuracy-vs-saliency: read-outs over each backbone (default: readout_bi,readout_spc,readout_dc)"
        add("--readouts", metavar="NAMES", type=words_of, default=(), help=readouts)
        whole = "accuracy-vs-saliency: networks to train whole, from these weights and from random ones: ResNet50=FILE"
        add("--whole", metavar="NAMES", type=words_of, default=(), help=whole)
        limit = "accuracy-vs-saliency, map-information: pictures of a split, for the linear fits (%(default)s)"
        add("--limit", metavar="N", type=int, default=PICTURES, help=limit)

    def plan(self, table, choices):
        """As `TableKind.plan`: the table's own backbones, then the read-outs over every backbone."""
        check_fixations(self.fixations)
        if choices.epochs or choices.repeats:
            raise UserError("--epochs and --repeats do not apply to this table; change a length by --set.")
        if self.limit < 1:
            raise UserError(f"--limit must be at least 1. Received: {self.limit}")
        known = [row.experiment for row in table.readouts]
        for name in self.readouts:
            if name not in known:
                raise UserError(f"read-outs are of {', '.join(known)}. Received: {name}")
        rows = [row for row in table.readouts if row.experiment in (self.readouts or known)]
        named_by_user = [word for word in self.backbones.split(",") if word]
        named = named_backbones(named_by_user)
        runs = plan(table, choices) if OURS in named_by_user else []
        check_settings([*(run.row for run in runs), *rows], choices.settings)
        whole = [one for word in self.whole for one in _both_beginnings(word)]
        if not (named or runs or whole):
            known = f"{OURS}, networks of keras.applications, runs"
            raise UserError(f"say which backbones to compare: --backbones {known}.")
        own = [untrained(runs[0]), *runs] if runs else []
        backbones = [Backbone(run.row.name, str(run.folder)) for run in own]
        taken = [one.name for one in backbones]
        for one in named:
            name = one.name if one.name not in taken else f"{one.name}-given"
            backbones.append(dataclasses.replace(one, name=name))
        folders = {one.name: run.folder for one, run in zip(backbones, own, strict=False)}
        return [
            *own,
            *(
                readout_over(one, row, choices, self.fixations, folders.get(one.name))
                for row in rows
                for one in backbones
            ),
            *(readout_over(one, table.whole, choices, self.fixations, whole=True) for one in whole),
        ]

    def write(self, results, folder):
        """As `TableKind.write`; fits the linear classifiers and scores the maps that are not there yet."""
        manifest = Manifest.load(results.data)
        finished = [one for one in results.planned if isinstance(one, ReadoutRun) and one.finished]
        if not finished:
            raise UserError("no backbone is measured, so there is nothing to write.")
        over, beginnings = {}, {}
        for one in finished:
            if one.whole:
                readout = _readout(one, self.fixations)
                beginnings.setdefault(one.backbone.source, []).append((one.backbone.name, readout))
            else:
                over.setdefault(one.backbone.name, []).append(one)
        measured = []
        for name, planned in over.items():
            right, pictures, parameters = linear_worth(planned[0], manifest, self.limit)
            readouts = {one.experiment.name: _readout(one, self.fixations) for one in planned}
            own = own_worth(planned[0].backbone, manifest)
            measured.append(Measured(name, own, (right, pictures), parameters, readouts))
        whole = [one for both in beginnings.values() if len(both) == 2 for one in both]
        return write(results.table, measured, whole, results.data, folder)


@dataclasses.dataclass(frozen=True, eq=False)
class Readout:
    """What a finished read-out is worth on the held-out pictures.

    Attributes:
        run: Its `runs.run.Run`.
        scores: From `"run"` and `"center"` to float64 `(pictures, metrics)` in the order of `METRICS`; NaN where a
            metric has no answer.
    """

    run: object
    scores: dict

    def mean(self, metric, of=RUN):
        """Mean and standard error over pictures, two floats; NaN where there is none."""
        values = self.scores[of][:, METRICS.index(metric)]
        return mean_and_error(values)


@dataclasses.dataclass(frozen=True, eq=False)
class Measured:
    """A backbone with its worths.

    Attributes:
        name: What it is called.
        own: Pictures of the compact set's val split that its own classifier has right, and of how many; or `None`.
        linear: The same of a linear classifier on its features.
        parameters: Of the backbone.
        readouts: From a read-out's name to its `Readout` over this backbone.
    """

    name: str
    own: tuple[int, int] | None
    linear: tuple[int, int]
    parameters: int
    readouts: dict

    def top1(self, axis):
        """Top-1 on an axis, `"own"` or `"linear"`, 0 to 1; `None` where there is none."""
        counts = getattr(self, axis)
        return None if counts is None else counts[0] / counts[1]


def mean_and_error(values):
    """Mean and standard error over pictures, NaN left out; the error is NaN with a single picture."""
    values = values[~np.isnan(values)]
    if not values.size:
        return math.nan, math.nan
    error = values.std(ddof=1) / math.sqrt(values.size) if values.size > 1 else math.nan
    return float(values.mean()), float(error)


def correlations(measured):
    """Pearson's and Spearman's correlation of Top-1 with each metric, for each axis and read-out.

    Args:
        measured: `Measured`s.

    Returns:
        A list of `(axis, read-out, metric, kind, coefficient, low, high, backbones)`; none where fewer than three
        backbones have both.
    """
    found = []
    for axis in AXES:
        for readout in _readout_names(measured):
            there = [one for one in measured if one.top1(axis) is not None and readout in one.readouts]
            top1 = [one.top1(axis) for one in there]
            for metric in METRICS if len(there) > 2 else ():
                scores = [one.readouts[readout].mean(metric)[0] for one in there]
                for kind, ranks in ("Pearson", False), ("Spearman", True):
                    coefficient = math.nan if any(map(math.isnan, scores)) else correlation(top1, scores, ranks)
                    interval = correlation_interval(coefficient, len(there), ranks=ranks)
                    found.append((axis, readout, metric, kind, coefficient, *interval, len(there)))
    return found


def correlation_table(measured):
    """Every backbone with every read-out, the best classifier first: `(header, rows, csv header, csv rows)`."""
    header = ["backbone", "read-out", "Top-1 %", "Top-1 interval", "linear Top-1 %", "linear interval"]
    header += [*METRICS, "beats centre", "parameters"]
    names = [name.lower().replace("-", "_") for name in METRICS]
    numbers = ["backbone", "readout", "top1", "top1_low", "top1_high", "linear_top1", "linear_low", "linear_high"]
    numbers += [column for name in names for column in (name, f"{name}_standard_error")]
    numbers += ["beats_center", "parameters"]
    rows, csv_rows = [], []
    for one in _in_order(measured):
        texts, values = zip(*(_share(getattr(one, axis)) for axis in AXES), strict=True)
        for name, readout in one.readouts.items():
            scores = [readout.mean(metric) for metric in METRICS]
            beats = readout.run.summary["beats_center"]
            shown = [plus_minus(*score) for score in scores]
            told = "yes" if beats else "no: untrained"
            rows.append([one.name, name, *texts[0], *texts[1], *shown, told, f"{one.parameters:,}"])
            flat = [value for score in scores for value in score]
            csv_rows.append([one.name, name, *values[0], *values[1], *flat, beats, one.parameters])
    return header, rows, numbers, csv_rows


def whole_table(whole):
    """Read-outs that were trained with their whole network, by what it began with, and the paired differences.

    Args:
        whole: List of `(backbone's name, Readout)`; the two beginnings of one network after each other.

    Returns:
        `(header, rows, csv header, csv rows)`.
    """
    header = ["whole network", "parameters", *METRICS, "beats centre"]
    names = [name.lower().replace("-", "_") for name in METRICS]
    numbers = ["whole_network", "parameters"] + [one for name in names for one in (name, f"{name}_standard_error")]
    rows, csv_rows = [], []
    for (name, first), (_, second) in zip(whole[::2], whole[1::2], strict=False):
        for called, readout in (name, first), (f"{name.partition('-')[0]}, random weights", second):
            scores = [readout.mean(metric) for metric in METRICS]
            parameters = readout.run.summary["parameters"]["total"]
            beats = "yes" if readout.run.summary["beats_center"] else "no: untrained"
            rows.append([called, f"{parameters:,}", *(plus_minus(*score) for score in scores), beats])
            csv_rows.append([called, parameters, *(value for score in scores for value in score)])
        differences = [mean_and_error(one) for one in (first.scores[RUN] - second.scores[RUN]).T]
        rows.append([DIFFERENCE, None, *(plus_minus(*one) for one in differences), None])
        csv_rows.append([DIFFERENCE, None, *(value for one in differences for value in one)])
    return header, rows, numbers, csv_rows


def correlation_figure(measured, axis):
    """A scatter plot for each read-out and metric: Top-1 across, the metric up, the score of `center` as a dashed line.

    Args:
        measured: `Measured`s.
        axis: `"own"` or `"linear"`.

    Returns:
        A `matplotlib.figure.Figure`, or `None` where no backbone has that Top-1.
    """
    ordered = [one for one in _in_order(measured) if one.top1(axis) is not None]
    if not ordered:
        return None
    found = {(name, metric, kind): values for of, name, metric, kind, *values in correlations(measured) if of == axis}
    readouts = _readout_names(ordered)
    of_what = {"own": "Top-1 of the classifier (%)", "linear": "Top-1 of a linear classifier (%)"}[axis]
    with style.look():
        figure = style.new_figure(3.4 * len(METRICS), 3.4 * len(readouts) + 0.16 * len(ordered) + 0.4)
        grid = figure.subplots(len(readouts), len(METRICS), squeeze=False)
        for axes, readout in zip(grid, readouts, strict=True):
            for ax, metric in zip(axes, METRICS, strict=True):
                for number, (one, line) in enumerate(zip(ordered, style.line_styles(), strict=False), 1):
                    if readout in one.readouts:
                        _point(ax, number, one, one.readouts[readout].mean(metric), axis, line)
                center = next(one.readouts[readout] for one in ordered if readout in one.readouts).mean(metric, CENTER)
                ax.axhline(center[0], label="centre of the picture", **style.PUBLISHED)
                ax.set_xlabel(of_what)
                unit = " (standard deviations)" if metric == "NSS" else ""
                ax.set_ylabel(f"{metric}{unit}, {readout}")
                if (readout, metric, "Pearson") in found:
                    value, interval = _coefficient(*found[readout, metric, "Pearson"][:3])
                    ranks, _ = _coefficient(*found[readout, metric, "Spearman"][:3])
                    ax.set_title(f"r = {value} ({interval}), of ranks {ranks}", fontsize=8)
        lines, labels = grid[0][0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower left", ncols=4)
    return figure


def _point(ax, number, one, score, axis, line):
    """A backbone's point with its standard error."""
    value, error = score
    look = {"color": line["color"], "marker": line["marker"], "linestyle": "none", "capsize": 2}
    x = 100 * one.top1(axis)
    error = 0 if math.isnan(error) else error
    ax.errorbar([x], [value], yerr=[error], label=style.one_line(f"{number} {one.name}"), **look)
    ax.annotate(str(number), (x, value), (4, 4), textcoords="offset points", fontsize=7)


def write(table, measured, whole, data, folder):
    """Writes `table.md`, `table.csv`, `correlations.csv`, the scatter plots, and `whole.csv` where it is asked for.

    Args:
        table: The `PaperTable`.
        measured: `Measured`s.
        whole: As for `whole_table`.
        data: Folder of the compact set that accuracies are of.
        folder: Where to; made if absent.

    Returns:
        What `table.md` says, for a terminal.
    """
    header, rows, csv_header, csv_rows = correlation_table(measured)
    blocks = [Table(header, rows, keys=2)] if measured else []
    found = correlations(measured)
    if found:
        blocks.append(Table(["against", "read-out", "metric", "Pearson", "95 % interval", "Spearman", "its interval"],
                            _pairs(found), keys=3))  # fmt: skip
    if whole:
        header, rows, whole_header, whole_rows = whole_table(whole)
        blocks.append(Table(header, rows))
    readouts = [readout for one in measured for readout in one.readouts.values()]
    notes = _notes(next(iter([*readouts, *(readout for _, readout in whole)])), data)
    figures = {"scatter.png": correlation_figure(measured, "own")}
    figures["scatter-linear.png"] = correlation_figure(measured, "linear")
    figures = {name: figure for name, figure in figures.items() if figure}
    text = write_files(folder, table, notes, blocks, (csv_header, csv_rows), figures)
    if whole:
        write_csv(folder / "whole.csv", whole_header, whole_rows)
    csv_header = ["axis", "readout", "metric", "kind", "coefficient", "low", "high", "backbones"]
    write_csv(folder / "correlations.csv", csv_header, found)
    return text


def _notes(readout, data):
    """Sentences under the table, by one of the read-outs: what was measured, and how."""
    run = readout.run
    options = run.settings
    size = f"{options['height']}x{options['width']}"
    control = ", ".join(f"{metric} {readout.mean(metric, CENTER)[0]:.3f}" for metric in METRICS)
    return [
        f"Top-1: of the classifier itself, where it was tested on the val pictures of {data}; linear Top-1: of a "
        "linear classifier on the last features averaged over positions, for all backbones alike.",
        f"Saliency: read-outs over the frozen backbone ({options['name']}: {options['epochs']} epochs, "
        f"{options['loss']}, pictures of {size}), mean ± standard error over "
        f"{run.summary['pictures']['validation']} held-out pictures of {run.config['data']['folder']}; sAUC takes the "
        f"fixations on all other pictures of the set. The centre of the picture has {control}.",
    ]


def _pairs(found):
    """Rows of the table of correlations: Pearson's and Spearman's beside each other."""
    return [
        [AXES[axis].removesuffix(" %"), readout, metric, *_coefficient(*pearson[:3]), *_coefficient(*spearman[4:7])]
        for (axis, readout, metric, _, *pearson), spearman in zip(found[::2], found[1::2], strict=True)
    ]


def _readout(planned, fixations):
    """A finished read-out with its scores, which are kept in a file beside it."""
    path = planned.folder / run_folder.HELD_OUT
    if not path.is_file():
        _score(planned.folder, fixations, path)
    scores = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            scores.setdefault(row["predictor"], []).append([float(row[metric] or "nan") for metric in METRICS])
    return Readout(Run.load(planned.folder), {name: np.array(values) for name, values in scores.items()})


def _score(folder, fixations, path):
    """Writes the scores of a read-out and of `center` on every held-out picture."""
    from saliency_keras.data.fixation_set import read_fixation_set
    from saliency_keras.data.fixation_split import is_held_out
    from saliency_keras.metrics import fixation_metrics
    from saliency_keras.saliency import predictor
    from saliency_keras.scoring.fixation_scores import score_set

    fixation_set = read_fixation_set(fixations)
    sources = [predictor(str(folder)), predictor(CENTER)]
    sources[0].name = RUN
    images = [one for one in fixation_set.images if is_held_out(one) and len(fixation_set.points(one))]
    scores = score_set(fixation_set, sources, images=images)
    rows = [row for row in scores.table_rows() if row[0] in (RUN, CENTER)]
    write_csv(path, ["predictor", "image", *fixation_metrics.METRICS], rows)


def _both_beginnings(word):
    """A network of `keras.applications` with the weights that a user names, and with random ones."""
    name = word.partition("=")[0]
    found = named_backbones([word, f"{name}=none"])
    if any(one.source != name for one in found):
        raise UserError(f"--whole takes networks of keras.applications. Received: {word}")
    return found


def _readout_names(measured):
    return list(dict.fromkeys(name for one in measured for name in one.readouts))


def _in_order(measured):
    """Backbones by their own Top-1, then by that of the linear classifier, the most accurate first."""
    return sorted(measured, key=lambda one: (-(one.top1("own") or 0), -one.top1("linear")))


def _share(counts):
    """A Top-1 and its interval as two cells and as three numbers."""
    if counts is None:
        return [None] * 2, [None] * 3
    right, pictures = counts
    low, high = wilson_interval(right, pictures)
    ends = f"{percent(low, pictures)} to {percent(high, pictures)}"
    return [percent(right / pictures, pictures), ends], [right / pictures, low, high]


def _coefficient(value, low, high):
    """A correlation and its interval, two texts; dashes where one side does not vary."""
    return ["–", "–"] if math.isnan(value) else [f"{value:.2f}", f"{low:.2f} to {high:.2f}"]
