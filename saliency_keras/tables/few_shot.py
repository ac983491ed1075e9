"""Figueroa-Flores et al. 2020, Table I: accuracy by training pictures per class.

A few-shot run has two accuracies: on the protocol's five test pictures of each class, and on all pictures that it
neither trained nor validated on (with official splits, those of val), which are the same for all methods of a repeat.
With K of both splits these are the five test pictures. The list of each repeat's drawn pictures is written beside the
table. Published figures are
those of the paper's sets; ours is one of them if it has its number of classes and the paper's settings.
"""

import dataclasses

import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError, tell
from saliency_keras.data.few_shot import OFFICIAL, SHOTS, read_list, shots_within, to_train_on
from saliency_keras.data.manifest import Manifest
from saliency_keras.experiments.experiment import flat_settings
from saliency_keras.experiments.hallucination import METHODS
from saliency_keras.experiments.published import CLASSES_OF_SET, SUSPECT, TABLE_I
from saliency_keras.figures import style
from saliency_keras.figures.document import Table
from saliency_keras.figures.intervals import (
    Together,
    accuracy,
    difference,
    error_bars,
    intervals_figure,
    share_right,
)
from saliency_keras.files import whole_file
from saliency_keras.metrics.digits import points
from saliency_keras.runs.labels import as_published
from saliency_keras.tables.plan import plan, words_of
from saliency_keras.tables.results import REPEATED_DRAWS, write_files
from saliency_keras.training.start import check_kind

BASE = "alexnet"  # the base network of Table I
LIST = "few_shot-seed{seed}.csv"
IMAGENET_CLASSES = 1000
AVERAGE = "mean"  # stands for the pictures per class of a row that averages over them, the paper's "AVG"
MAP_FACTS = ("all_zero", "mean", "variance", "variance_of_pattern")  # of `training.tasks.classification.describe_maps`


@dataclasses.dataclass(frozen=True)
class FewShot:
    """Methods by training pictures per class.

    Attributes:
        shots: Training pictures per class, numbers as strings or `"K"`; empty for those that every class has.
        like: The paper's set whose figures stand beside ours though ours is another one, or `None`.
    """

    shots: tuple[str, ...] = ()
    like: str | None = None
    keep_models = False

    @staticmethod
    def options(add):
        """`--shots` and `--like`."""
        like_option(add)
        shots = f"few-shot: training pictures per class (default: of {','.join(SHOTS)} those that every class has)"
        add("--shots", metavar="K,…", type=words_of, default=(), help=shots)

    def plan(self, table, choices):
        """As `TableKind.plan`; says which numbers of pictures it leaves out."""
        for one in self.shots:
            if one not in SHOTS:
                raise UserError(f"pictures per class are of {', '.join(SHOTS)}. Received: {one}")
        runs = begun_with_weights(plan(table, choices, self.shots or SHOTS))
        return runs if self.shots else _with_enough_pictures(runs, choices.data)

    def write(self, results, folder):
        """As `TableKind.write`."""
        notes = [*results.head(), REPEATED_DRAWS]
        methods, base = by_method(results)
        like = (self.like or published_set(results)) if base == BASE else None
        header, rows, numbers, csv_rows = few_shot_table(methods, like)
        shown = [Table(header, rows, keys=2)]
        figures = {"accuracy.png": few_shot_figure(methods, like)}
        if panels := gain_panels(methods, like):
            figures["gains.png"] = intervals_figure(panels)
        text = write_files(folder, results.table, notes, shown, (numbers, csv_rows), figures)
        _keep_lists(results, folder)
        return text


def begun_with_weights(runs):
    """The runs of a hallucination table, those that begin with ImageNet's weights made to fit (§III-D).

    Where a file gives AlexNet's weights, nothing is trained before step 1. Step 1 keeps the classifier of the weights
    if the large set has their thousand classes; else a new one learns with the branch, over the frozen trunk.

    Args:
        runs: `PlannedRun`s.

    Returns:
        The `PlannedRun`s.
    """
    of_preparations = {run.init for run in runs if run.row.preparation and run.init}
    gone = {
        folder
        for folder in of_preparations
        if all(run.experiment.start.weights for run in runs if folder in (run.folder, run.init))
    }
    found = []
    for run in (run for run in runs if run.folder not in gone):
        init = None if run.init in gone else run.init
        one = run.experiment
        if run.row.large and init is None and _keeps_classifier(one.start) and not _has_imagenet_s_classes(run.data):
            frozen = tuple(part for part in one.start.frozen if part != "top")
            one = one.replace(frozen=frozen, fresh=("top",))
        found.append(dataclasses.replace(run, experiment=one, init=init))
    return found


def _keeps_classifier(start):
    return bool(start.weights) and "top" in start.frozen


def _has_imagenet_s_classes(folder):
    """Whether a set has as many classes as ImageNet's weights; a set that is not there is refused later."""
    return not (folder / "manifest.json").is_file() or len(Manifest.load(folder).classes) == IMAGENET_CLASSES


def by_method(results):
    """The runs of a hallucination table by method, and its base network.

    Args:
        results: `tables.results.Results`, whose rows are called by method and base network.

    Returns:
        The runs, from a method, or `(method, shots)`, to its `Run`s; and `"alexnet"` or `"resnet"`.
    """
    methods = {}
    for key, runs in results.runs.items():
        name, shots = key if isinstance(key, tuple) else (key, "")
        method, _, base = name.rpartition("_")
        methods[(method, shots) if shots else method] = runs
    return methods, base


def _with_enough_pictures(runs, data):
    """The runs that take no more training pictures of a class than the smallest one has; says which it leaves out."""
    pictures = runs[-1].experiment.pictures
    check_kind(runs[-1].experiment, data)
    manifest = Manifest.load(data)
    if pictures.few_shot_list:
        drawn = read_list(pictures.list_of(runs[-1].seed), manifest, pictures.few_shot_splits)
        left_to_train = [len(order) for order in drawn.train]
    else:
        left_to_train = to_train_on(manifest, pictures.few_shot_splits)
    shots = shots_within(left_to_train)
    if left := [one for one in SHOTS if one not in shots]:
        smallest = left_to_train.index(min(left_to_train))
        where = "in train" if pictures.few_shot_splits == OFFICIAL else "to train on"
        told = f"{manifest.classes[smallest]!r} has {left_to_train[smallest]} {where}"
        tell(f"{', '.join(left)} pictures per class are left out: {told}")
    return [run for run in runs if run.shots not in left]


def _keep_lists(results, folder):
    """Copies the list of each repeat's drawn pictures, the same for all its runs, beside the table."""
    of_seed = {run.seed: run.folder / run_folder.FEW_SHOT for repeats in results.runs.values() for run in repeats}
    for seed, path in of_seed.items():
        if path.is_file():  # runs of earlier versions have none
            with whole_file(folder / LIST.format(seed=seed), "wb") as file:
                file.write(path.read_bytes())


def like_option(add):
    """Adds `--like` to a parser by its `add_argument`."""
    like = "hallucination tables: show the paper's figures of this set even if yours has other classes or settings"
    add("--like", choices=list(CLASSES_OF_SET), help=like)


def published_set(results):
    """The paper's set that some runs repeat: `"Flowers"`, `"Cars"`, `"Birds"`, or `None`.

    A data set is recognised by its number of classes, and every run must have the settings of its experiment, except
    for the pictures per class, their list, and the file that has ImageNet's weights.

    Args:
        results: `tables.results.Results`.
    """
    runs = [run for repeats in results.runs.values() for run in repeats]
    names = {count: name for name, count in CLASSES_OF_SET.items()}
    of_set = {names.get(run.config["data"].get("classes")) for run in runs}
    same = all(as_published(run.config, _may_differ(run.config)) for run in runs)
    return of_set.pop() if len(of_set) == 1 and same else None


def _may_differ(config):
    """Settings of a run that the paper's protocol leaves open."""
    weights = ("weights",) if flat_settings(config["experiment"]).get("weights") else ()
    return ("few_shot", "few_shot_list", *weights)


def published(name, method, shots):
    """Top-1 of Table I in percent, or `None` where there is none or it is not to be trusted."""
    label = METHODS[method]
    if name is None or (name, label, shots) in SUSPECT:
        return None
    return TABLE_I[name][label][SHOTS.index(shots)]


@dataclasses.dataclass(frozen=True)
class MethodRow:
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
    rows = {key: MethodRow(key[0], (key[1],), [(run,) for run in repeats]) for key, repeats in runs.items()}
    for method in dict.fromkeys(method for method, _ in runs) if len(numbers) > 1 else ():
        if all((method, shots) in runs for shots in numbers):
            together = zip(*(runs[method, shots] for shots in numbers), strict=True)
            rows[method, AVERAGE] = MethodRow(method, numbers, list(together))
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
        *("pictures per class", "method", "Top-1 %", "Top-1 interval", f"paper's Top-1 %{f', {like}' if like else ''}"),
        *("Top-1 % of all untouched", "its interval", "gain, points", "gain interval", "maps all zero %", "maps' mean"),
        *("maps' variance", "of it by pattern", "repeats"),
    ]
    numbers = [
        *("shots", "method", "top1", "low", "high", "published", "untouched_top1", "untouched_low", "untouched_high"),
        *("gain", "gain_low", "gain_high", *(f"maps_{name}" for name in MAP_FACTS), "repeats"),
    ]
    rows, csv_rows, by_name = [], [], _rows(runs)
    for (method, shots), row in by_name.items():
        every, (five_text, five_numbers) = accuracy(row.tested), _on_test(row)
        gain_text, gain_numbers = gain_over(row, by_name.get(("baseline_rgb", shots)))
        zero, *described = map(row.map_fact, MAP_FACTS)
        paper, repeats = row.published(like), len(row.repeats)
        maps_text = [None if zero is None else f"{100 * zero:.0f}", *(_short(value) for value in described)]
        rows.append([shots, METHODS[method], *five_text, paper, *every.text(), *gain_text, *maps_text, repeats])
        numbers_of_row = [shots, method, *five_numbers, fraction(paper), *every.numbers(), *gain_numbers]
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
            values = [100 * one.value for one in found]
            beside = places[there] + 0.06 * (index - (len(methods) - 1) / 2)
            ax.errorbar(beside, values, error_bars(found), label=METHODS[method], capsize=2, **look)
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


def gain_panels(runs, like):
    """Each method's paired gain over the baseline, on all untouched pictures, beside the paper's.

    One panel a number of pictures per class, and where there are several, a last one of the averages over them.

    Args:
        runs: As for `few_shot_table`.
        like: The paper's set to show beside, or `None`.

    Returns:
        Panels for `intervals_figure`; none where no method has its baseline.
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
    return panels


def _on_test(row):
    """Accuracy on the five test pictures of each class, as two cells and three numbers; empty for an average.

    Which of the pictures are right does not matter to it.
    """
    if row.name == AVERAGE:
        return [None] * 2, [None] * 3
    counts = [(run.summary["test"]["pictures"], run.summary["test"]["right"]) for (run,) in row.repeats]
    ids = [np.arange(pictures) + number * pictures for number, (pictures, _) in enumerate(counts)]
    five = share_right([np.arange(pictures) < right for pictures, right in counts], ids)
    return five.text(), five.numbers()


def gain_over(row, baseline):
    """The gain over the baseline as two cells and as three numbers, all `None` where there is none."""
    if row.method == "baseline_rgb" or not baseline:
        return [None] * 2, [None] * 3
    gain = difference(row.tested, baseline.tested)
    return gain.text(points), gain.numbers()


def fraction(value):
    return None if value is None else round(value / 100, 6)


def _short(value):
    return None if value is None else f"{value:.3g}"
