"""Mean class accuracies of rows beside the paper's: SalClassNet's Tables 5 and 6, its Fig. 4, and its controls.

The mean class accuracy is the mean over classes of their accuracies; the paper does not say whether its own is that or
the accuracy over pictures (Top-1), so both are given. The paper's figures are of its own pictures: its accuracies stand
beside ours for orientation, its gains beside ours on any set.
"""

import dataclasses
import json
from pathlib import Path

from saliency_keras.console import UserError
from saliency_keras.experiments import experiment
from saliency_keras.experiments.published import SALCLASSNET_6
from saliency_keras.figures.alpha import alpha_figure
from saliency_keras.figures.document import Table
from saliency_keras.figures.intervals import intervals_figure, mean_class, numbers_of, text_of
from saliency_keras.metrics.digits import points
from saliency_keras.tables.plan import plan
from saliency_keras.tables.results import INTERVALS, write_files
from saliency_keras.training.start import classes_named

FEATURES = "-features"
OTHER_ANSWERS = "Other answers: how many pictures each repeat puts into another class than the same repeat of its twin."


@dataclasses.dataclass(frozen=True)
class Staged:
    """The shared part of the kinds of table whose rows are trained in stages. Some stages may be left out.

    Attributes:
        free_viewing: Fixation set that the detector is trained on first; `None` to leave that stage out.
        exclude_classes: Classes that the classifiers' pre-training leaves out, as `classes_named` takes them.
    """

    free_viewing: Path | None = None
    exclude_classes: str = ""
    keep_models = True

    @staticmethod
    def options(add):
        """`--free-viewing` and `--exclude-classes`."""
        options_of_stages(add)

    def plan(self, table, choices):
        """As `TableKind.plan`, without the stages that no data are given for."""
        return staged_plan(table, choices, self.free_viewing, self.exclude_classes)


@dataclasses.dataclass(frozen=True)
class ClassAccuracy(Staged):
    """Rows with their mean class accuracies, and gains over their baselines."""

    def write(self, results, folder):
        """As `TableKind.write`."""
        header, rows, numbers, csv_rows = class_accuracy_table(results)
        figures = {}
        if panels := _gain_panels(results):
            figures["gains.png"] = intervals_figure(panels, what="mean class accuracy")
        if lines := by_alpha(results):
            figures["alpha.png"] = alpha_figure(lines)
        notes = [*results.head(), INTERVALS, OTHER_ANSWERS]
        return write_files(folder, results.table, notes, [Table(header, rows)], (numbers, csv_rows), figures)


def options_of_stages(add):
    """Adds `--free-viewing` and `--exclude-classes` to a parser by its `add_argument`."""
    what = "salclassnet tables: fixation set that the detector learns from first (default: that stage is left out)"
    add("--free-viewing", metavar="DIR", type=Path, help=what)
    what = "salclassnet tables: classes that the pre-training on --large leaves out, as in `train`"
    add("--exclude-classes", metavar="NAMES", default="", help=what)


def staged_plan(table, choices, free_viewing=None, exclude_classes=""):
    """The runs of a table whose first stages may be left out.

    Args:
        table: The `PaperTable`.
        choices: The `Choices`. Without a large set there are no `_pretrain` rows.
        free_viewing: Fixation set of the rows that learn from fixations; `None` for none of these rows.
        exclude_classes: Classes that the `_pretrain` rows leave out, as `classes_named` takes them.

    Returns:
        A list of `PlannedRun`s. What would begin with a run that is left out begins with the weights of its experiment.

    Raises:
        UserError: If a choice does not fit the table.
    """
    pretrained = [row.name for row in table.rows if row.name.endswith("_pretrain")]
    gone = set(pretrained if choices.large is None else ())
    if exclude_classes:
        if not set(pretrained) - gone:
            why = "give one: --large DIR" if pretrained else "this table has no such stage"
            raise UserError(f"--exclude-classes keeps classes out of the pre-training on a large set; {why}.")
        names = json.dumps(classes_named(exclude_classes), ensure_ascii=False)
        added = tuple(f"{name}:exclude_classes={names}" for name in pretrained)
        choices = dataclasses.replace(choices, settings=(*choices.settings, *added))
    gone |= {row.name for row in table.rows if _learns_from_fixations(row) and free_viewing is None}
    kept = (row for row in table.rows if row.name not in gone)
    rows = tuple(dataclasses.replace(row, init="" if row.init in gone else row.init) for row in kept)
    runs = plan(dataclasses.replace(table, rows=rows), choices)
    return [dataclasses.replace(run, data=free_viewing) if _learns_from_fixations(run.row) else run for run in runs]


def _learns_from_fixations(row):
    return experiment(row.experiment).learns_from_fixations


def class_accuracy_table(results):
    """Mean class accuracy, its gains over the baseline and over the row's twin, Top-1, and the map's loss.

    Args:
        results: `tables.results.Results`.

    Returns:
        `(header, rows, csv header, csv rows)`.
    """
    header = [
        *("row", "in the paper", "mean class accuracy %", "interval", "paper's %", "gain, points", "gain interval"),
        *("paper's gain", "its twin", "less its twin, points", "its interval", "other answers"),
        *("Top-1 %", "map's loss", "parameters", "repeats"),
    ]
    numbers = [
        *("row", "baseline", "mean_class_accuracy", "low", "high", "published", "gain", "gain_low", "gain_high"),
        *("published_gain", "twin", "less_twin", "less_twin_low", "less_twin_high", "other_answers"),
        *("top1", "map_loss", "parameters", "repeats"),
    ]
    of_features = any(row.name.endswith(FEATURES) for row in results.rows())
    further = list(next(iter(SALCLASSNET_6.values()))) if of_features else []
    header += [f"paper's %, {one}" for one in further]
    numbers += [f"published_{one}" for one in further]
    rows, csv_rows = [], []
    for row in results.rows():
        runs = results.runs[row.name]
        found, top1 = _mean_class(results, row), results.accuracy(row.name)
        twin = _twin(row)
        gain, less = (_difference(results, row, other) for other in (row.baseline, twin))
        theirs, their_gain = _published(runs[0], row), _published_gain(results, row)
        changed = _other_answers(results, row, twin) if less else []
        loss = _mean([run.summary["map_loss"] for run in runs if "map_loss" in run.summary])
        of_set = [SALCLASSNET_6.get(row.experiment, {}).get(one) for one in further]
        count = runs[0].summary["parameters"]["total"]
        rows.append([
            row.name, _in_the_paper(row), *found.text(), _percent(theirs),
            *text_of(gain, points), _points(their_gain), less and twin, *text_of(less, points),
            ", ".join(map(str, changed)) or None, top1.text()[0], None if loss is None else f"{loss:.4f}",
            f"{count:,}", len(runs), *of_set,
        ])  # fmt: skip
        csv_rows.append([
            row.name, row.baseline, *found.numbers(), theirs, *numbers_of(gain), their_gain,
            less and twin, *numbers_of(less), _mean(changed), top1.numbers()[0], loss, count, len(runs), *of_set,
        ])  # fmt: skip
    return header, rows, numbers, csv_rows


def _in_the_paper(row):
    """Where the paper has the row; of features its Table 6. It has no control, and no row over ResNet-50."""
    if row.name.endswith(FEATURES):
        return "Table 6" if row.experiment in SALCLASSNET_6 else None
    chosen = experiment(row.experiment)
    return chosen.row if chosen.published and row.name == row.experiment else None


def _twin(row):
    """What a row is held against besides its baseline: its first twin; of a control, the row with the own maps."""
    return row.twin or (row.experiment if row.experiment not in (row.name, row.baseline) else None)


def _mean_class(results, row):
    return mean_class(results.tested(row.name), spread=results.spread(_of_classes))


def _of_classes(predictions):
    return mean_class([predictions]).value


def _difference(results, row, other):
    """The `Estimate` of a row's mean class accuracy less that of another row; `None` where that is not there."""
    if other == row.name or other not in results.runs:
        return None
    spread = results.spread(_of_classes, gains=True)
    return mean_class(results.tested(row.name), results.tested(other), spread)


def _other_answers(results, row, other):
    """How many pictures a row puts into another class than the other row does, of each repeat."""
    counts = []
    for run, twin in zip(results.runs[row.name], results.runs[other], strict=True):
        own, that = run.predictions.in_order_of(twin.predictions), twin.predictions
        counts.append(int((own.first[:, 0] != that.first[:, 0]).sum()))
    return counts


def _published(run, row):
    """What the paper's Table 5 prints for a row, of its own pictures; none for a control, and none for features."""
    if row.name != row.experiment:
        return None
    here = experiment(run.name)
    alike = all(run.settings.get(name) == value for name, value in here.arguments.items() if name in STRATEGY)
    return here.published.get("mean_class_accuracy") if alike else None


STRATEGY = ("backbone", "fourth_channel", "bn_over", "new_channel_range", "detector")


def _published_gain(results, row):
    if row.baseline not in results.runs:
        return None
    compared = row, results.table.row(row.baseline)
    own, before = (_published(results.runs[one.name][0], one) for one in compared)
    return round(own - before, 6) if own and before else None


def _gain_panels(results):
    panels = {}
    for row in results.rows():
        if gain := _difference(results, row, row.baseline):
            panels.setdefault(f"against {row.baseline}", []).append((row.name, gain, _published_gain(results, row)))
    return panels


def by_alpha(results):
    """The rows of Fig. 4, by the weight of the classification loss.

    Args:
        results: `tables.results.Results`.

    Returns:
        A list of alpha, the `Estimate` of the mean class accuracy, and the mean loss of the map, ascending.
    """
    lines = []
    for row in results.rows():
        weights = results.runs[row.name][0].config["experiment"].get("loss_weights") or {}
        if "-alpha" in row.name and weights.get("map"):
            loss = _mean([run.summary["map_loss"] for run in results.runs[row.name]])
            lines.append((weights["logits"] / weights["map"], _mean_class(results, row), loss))
    return sorted(lines, key=lambda line: line[0])


def _mean(values):
    """The mean of a list of numbers; `None` of an empty one."""
    return sum(values) / len(values) if values else None


def _percent(value):
    return None if value is None else f"{100 * value:.1f}"


def _points(value):
    return None if value is None else f"{100 * value:+.1f}"
