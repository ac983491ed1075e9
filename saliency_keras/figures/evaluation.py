"""What a run got right, in words and tables: Top-1, Top-5, classes, and the same against another run in pairs.

All of it follows from the two runs' `predictions.h5`. The accuracies are those of the last epoch; the tables of gains
are the thesis's Table 4.2, with counts and points beside the relative gain (whose unit the thesis leaves open). The
blocks returned are `document`'s, so that `evaluate` and `report` tell the same.
"""

import dataclasses

import numpy as np

from saliency_keras.data.manifest import made_by_other_kernels
from saliency_keras.figures.document import Caution, Heading, Table
from saliency_keras.metrics.digits import accuracy_in_words, difference_in_words, is_worth_telling, percent, points
from saliency_keras.metrics.statistics import (
    benjamini_hochberg,
    bootstrap_interval,
    mcnemar_p,
    most_improved,
    right_per_class,
    wilson_interval,
)
from saliency_keras.runs.labels import labels_of, title_of, without_chance
from saliency_keras.runs.learned import is_at_chance, warnings

CLASSES_SHOWN = 40
CLASSES_IN_EXTREMES = 5
FALSE_DISCOVERIES = 0.05  # share of false ones among the classes that are called changed, on average
Q_EXPLAINED = (
    "q: McNemar's exact test of each class's pictures, adjusted for the number of classes by Benjamini & Hochberg. "
    f"More than luck is a q of {FALSE_DISCOVERIES} or less: on average at most {100 * FALSE_DISCOVERIES:g} % of the "
    "classes called so are not."
)
EXTREMES_EXPLAINED = "The extremes were picked for being extreme: part of each is luck."
PAIRED_EXPLAINED = (
    "Interval of a difference: paired bootstrap over the pictures (percentile, 10,000 resamples, seed 0). McNemar's "
    "test is exact and two-sided. Both speak of these two trained networks; training again with another seed adds to "
    "the uncertainty."
)
CHANCE_EXPLAINED = (
    "At chance: the 95 % interval of Top-1 does not lie wholly above what a guess without looking gets right, one of "
    "the classes or always the largest one. A difference to such a run says nothing about a strategy."
)
# What a page says once about its statistics.
EXPLAINED = (
    "Interval of an accuracy: Wilson's, 95 %, over pictures.", PAIRED_EXPLAINED, Q_EXPLAINED, EXTREMES_EXPLAINED,
    CHANCE_EXPLAINED,
)  # fmt: skip
FIGURES = {"top1": ("Top-1", 1), "top5": ("Top-5", 5)}


def figures_of(classes):
    """The entries of `FIGURES` that say something of so many classes."""
    return {name: figure for name, figure in FIGURES.items() if is_worth_telling(name, classes)}


def evaluation(run, against=None):
    """Everything that `evaluate` says about a run.

    Args:
        run: `runs.run.Run`.
        against: Another `Run` tested on the same pictures, or `None`.

    Returns:
        A document: list of blocks.

    Raises:
        UserError: If a run has no predictions or the two were not tested on the same pictures.
    """
    labels = labels_of([run] if against is None else [run, against])
    title = title_of(run.config) + (f", against {without_chance(labels[1])}" if against is not None else "")
    blocks = [Heading(title, level=1), verdict(run, against), *accuracies(run)]
    if against is not None:
        blocks += [Heading(f"Against {labels[1]}"), compared(*labels), *comparison(run, against, *labels)]
    header, rows = class_table(run, against)
    note = []
    if len(rows) > CLASSES_SHOWN:
        half = CLASSES_SHOWN // 2
        ranked = sorted((row for row in rows if row[1]), key=lambda row: -row[3])
        if len(ranked) > CLASSES_SHOWN:
            untested = f" ({len(rows) - len(ranked):,} without a picture)" * (len(rows) > len(ranked))
            shown = f"The {half} best and the {half} worst of {len(rows):,} classes{untested}"
            ranked = [*ranked[:half], *ranked[-half:]]
        else:
            shown = f"All {len(ranked)} with a picture of {len(rows):,} classes"
        rows, note = ranked, [f"{shown}; all are in per_class.csv."]
    return [*blocks, Heading("Per class"), written_class_table(header, rows, *labels[1:]), *note]


def compared(*labels):
    """What is compared with what, in a sentence.

    Args:
        *labels: What runs are called, one or more; at last the one that they are compared with.

    Returns:
        `"fanin3 against rgb: a positive difference means that fanin3 is better."`
    """
    *names, baseline = map(without_chance, labels)
    if len(names) == 1:
        return f"{names[0]} against {baseline}: a positive difference means that {names[0]} is better."
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{listed}, each against {baseline}: a positive difference means that {baseline} is worse."


def verdict(run, against=None):
    """What came out, in a sentence.

    Args:
        run: `runs.run.Run`.
        against: Another `Run` tested on the same pictures, or `None`.

    Returns:
        `"fanin3: Top-1 92.2 % (95 % interval 89.5 to 94.3) on 500 pictures of 10 classes."`, or how much the run is
        above or below the other; whether the two can be told apart is what the paired interval says.

    Raises:
        UserError: If the two were not tested on the same pictures.
    """
    ours = run.predictions
    pictures, right = ours.ids.size, ours.correct()
    if against is None:
        interval = wilson_interval(int(right.sum()), pictures)
        told = f"{labels_of([run])[0]}: Top-1 {accuracy_in_words(right.mean(), *interval, pictures)}"
        return f"{told} on {pictures:,} pictures of {len(ours.classes):,} classes."
    label, label_against = labels_of([run, against])
    before = against.predictions.in_order_of(ours).correct()
    interval = bootstrap_interval(right.astype(int) - before)
    found = (right.mean() - before.mean(), *interval, pictures)
    return difference_sentence({label: run, label_against: against}, found, f"over {pictures:,} pictures")


def difference_sentence(runs, found, over):
    """How much one run, or row of runs, is above or below another, in a sentence.

    Args:
        runs: The two by their labels, each a `runs.run.Run`.
        found: The difference at Top-1, 0 to 1, both ends of its interval, and the number of pictures.
        over: What the interval is over, in words.

    Returns:
        `"fanin3 is 3.5 points below noconv2 (95 % interval 2.0 to 5.1 below) at Top-1 over 500 pictures."` Where the
        interval holds zero, it says first that the two cannot be told apart.
    """
    label, other = map(without_chance, runs)
    apart = "" if found[1] > 0 or found[2] < 0 else f"{label} and {other} cannot be told apart: "
    nothing = _learned_nothing(runs)
    empty = f"; that says nothing about the strategies, for {nothing}" if nothing else ""
    return f"{apart}{label} is {difference_in_words(*found, other)} at Top-1 {over}{empty}."


def _learned_nothing(runs):
    """Which of some runs, by label, learned nothing: `"rgb learned nothing"`, or `""`."""
    names = [without_chance(label) for label, run in runs.items() if is_at_chance(run)]
    return f"{' and '.join(names)} learned nothing" if names else ""


def accuracies(run):
    """Top-1 and Top-5 of a run with their intervals, beside the published ones where there are any: blocks."""
    predictions, rows = run.predictions, []
    pictures = predictions.ids.size
    for name, (title, k) in figures_of(len(predictions.classes)).items():
        right = int(predictions.correct(k).sum())
        published = run.published.get(name)
        interval = _interval(wilson_interval(right, pictures), percent, pictures)
        row = [title, percent(right / pictures, pictures), interval, f"{right:,} of {pictures:,}"]
        rows.append([*row, *([f"{100 * published:.2f}" if published else None] if run.published else [])])
    tested = f"{pictures:,} pictures of {predictions.split}, {len(predictions.classes):,} classes"
    epochs = f"last epoch of {len(run.history['epoch'])}"
    header = ["accuracy", "%", "95 % interval (Wilson)", "right", *(["paper's %"] if run.published else [])]
    blocks = [
        *map(Caution, warnings(run)),
        f"{tested}, data set {predictions.data[:12]}, {epochs}.",
        Table(header, rows),
    ]
    if run.published:
        source = " ".join(str(run.config["experiment"].get(key, "")) for key in ("paper", "row")).strip()
        blocks += [f"Published: {source}, on that paper's own pictures."]
    return blocks


def comparison(run, against, label, label_against, explained=True):
    """The difference of two runs over the same pictures, with interval, test and the classes that changed most.

    Args:
        run: `runs.run.Run`.
        against: The `Run` to compare with; a difference is positive where `run` is better.
        label: What `run` is called.
        label_against: What `against` is called.
        explained: Whether the statistics are explained here; a page with several comparisons explains them once, by
            `EXPLAINED`.

    Returns:
        Blocks.

    Raises:
        UserError: If the two were not tested on the same pictures.
    """
    ours = run.predictions
    theirs = against.predictions.in_order_of(ours)
    pictures, rows = ours.ids.size, []
    for title, k in figures_of(len(ours.classes)).values():
        right, before = ours.correct(k), theirs.correct(k)
        interval = bootstrap_interval(right.astype(int) - before)
        p = mcnemar_p(int((right & ~before).sum()), int((before & ~right).sum()))
        both = [percent(right.mean(), pictures), percent(before.mean(), pictures)]
        difference = points(right.mean() - before.mean(), pictures)
        rows.append([title, *both, difference, _interval(interval, points, pictures), _p_value(p)])
    header = ["accuracy", f"{label} %", f"{label_against} %", "difference, points", "95 % interval", "McNemar p"]
    nothing = _learned_nothing({label: run, label_against: against})
    caution = f"{nothing}, so no difference here, however sure, is one of strategies."
    right, before = ours.correct(), theirs.correct()
    table = [
        [f"{label} right", int((right & before).sum()), int((right & ~before).sum())],
        [f"{label} wrong", int((~right & before).sum()), int((~right & ~before).sum())],
    ]
    return [
        *([Caution(caution)] if nothing else []),
        Table(header, rows),
        *([f"Over {pictures:,} pictures. {PAIRED_EXPLAINED}"] if explained else []),
        *_kernels(run.config["data"], against.config["data"]),
        Table(["pictures at Top-1", f"{label_against} right", f"{label_against} wrong"], table),
        *_extremes(ours, theirs, label, label_against, explained),
    ]


def _kernels(data, data_against):
    """A sentence where the two runs saw one set, made twice by kernels of different processors."""
    if not made_by_other_kernels(data, data_against):
        return []
    return [
        f"Both were trained on the same set, made on two processors (kernels: {data['kernels']}, and "
        f"{data_against['kernels']}): a few values of its maps may differ by a grey level."
    ]


def class_table(run, against=None):
    """The accuracy of each class, and its change against another run.

    Args:
        run: `runs.run.Run`.
        against: Another `Run` tested on the same pictures, or `None`.

    Returns:
        `(header, rows)`: class, pictures, those right at Top-1, accuracy at Top-1 and Top-5 (0 to 1), and with
        `against` its right ones, the difference in points and the relative gain; NaN where it does not exist.
    """
    predictions = run.predictions
    counts = [right_per_class(predictions.labels, predictions.correct(k), len(predictions.classes)) for k in (1, 5)]
    (pictures, right), (_, right5) = counts
    with np.errstate(invalid="ignore", divide="ignore"):
        columns = [predictions.classes, pictures, right, right / pictures, right5 / pictures]
        header = ["class", "pictures", "right", "top1", "top5"]
        if against is not None:
            other = against.predictions.in_order_of(predictions)
            _, before = right_per_class(other.labels, other.correct(1), len(other.classes))
            columns += [before, 100 * (right - before) / pictures, np.where(before, (right - before) / before, np.nan)]
            header += ["right_against", "points", "relative_gain"]
    rounded = [column if column is predictions.classes else column.round(6).tolist() for column in columns]
    return header, [list(row) for row in zip(*rounded, strict=True)]


def written_class_table(header, rows, label_against=""):
    """`class_table`'s rows with the digits that people read: a `document.Table`."""
    titled = {name: f"{title} %" for name, (title, _) in figures_of(len(rows)).items()}
    titles = {"top5": None, **titled, "right_against": f"{label_against} right", "relative_gain": None}
    cells = []
    for name, pictures, right, top1, top5, *change in rows:
        row = [name, pictures, right, *(percent(top, pictures) for top in (top1, top5)[: len(titled)])]
        cells.append([*row, *([change[0], points(change[1] / 100, pictures)] if change else [])])
    return Table([titles.get(name, name) for name in header if titles.get(name, name)], cells)


@dataclasses.dataclass(frozen=True)
class ClassChange:
    """What became of a class from one run to another, over the same pictures.

    Attributes:
        index: Index of the class.
        before: Pictures that the other run has right.
        right: Pictures that the run has right.
        pictures: Of so many.
        q: Adjusted p-value: McNemar's exact test of the class's pictures, adjusted for the number of classes by
            Benjamini & Hochberg. A class has its own pictures, so the tests are independent, as that asks for; it
            bounds the share of false ones among the classes that are called changed, which is what a list of classes
            is read for, and finds more among a thousand than a bound on any false one would.
    """

    index: int
    before: int
    right: int
    pictures: int
    q: float

    @property
    def gain(self):
        """The difference of the two shares, -1 to 1."""
        return (self.right - self.before) / self.pictures

    @property
    def beyond_luck(self):
        """Whether the change is called more than luck."""
        return self.q <= FALSE_DISCOVERIES

    def cells(self):
        """Both counts, the pictures, the gain in points and relative, and q: six cells of a table."""
        relative = relative_gain(self.before, self.right)
        return [self.before, self.right, self.pictures, points(self.gain, self.pictures), relative, f"{self.q:.2g}"]


def class_changes(ours, theirs):
    """The classes that were tested, the one that gained most over another run's predictions first.

    Args:
        ours: `runs.run.Predictions`.
        theirs: Those of the other run, `in_order_of(ours)`.

    Returns:
        A list of `ClassChange`s.
    """
    pictures, right = right_per_class(ours.labels, ours.correct(), len(ours.classes))
    _, before = right_per_class(theirs.labels, theirs.correct(), len(theirs.classes))
    _, both = right_per_class(ours.labels, ours.correct() & theirs.correct(), len(ours.classes))
    order = most_improved(pictures, right, before)
    tests = [mcnemar_p(right[index] - both[index], before[index] - both[index]) for index in order]
    return [
        ClassChange(int(index), int(before[index]), int(right[index]), int(pictures[index]), float(q))
        for index, q in zip(order, benjamini_hochberg(tests), strict=True)
    ]


def relative_gain(before, right):
    """How much more, or less, are right than before, in words; `None` where none was."""
    return f"{100 * (right / before - 1):+.0f} %" if before else None


def _extremes(ours, theirs, label, label_against, explained):
    changes = class_changes(ours, theirs)
    gained = [one for one in changes if one.gain > 0][:CLASSES_IN_EXTREMES]
    lost = [one for one in changes[::-1] if one.gain < 0][:CLASSES_IN_EXTREMES]
    blocks = []
    for title, chosen in (("gained", gained), ("lost", lost)):
        if not chosen:
            blocks += [f"No class {title} at Top-1."]
            continue
        rows = [[ours.classes[one.index], *one.cells()] for one in chosen]
        header = ["class", f"{label_against} right", f"{label} right", "of", "points", "relative", "q"]
        blocks += [f"Classes that {title} most at Top-1:", Table(header, rows)]
    told = f"More than luck: {count_beyond_luck(changes)}."
    if not explained:
        return [*blocks, told]
    return [*blocks, *([EXTREMES_EXPLAINED] if gained or lost else []), f"{told} {Q_EXPLAINED}"]


def count_beyond_luck(changes):
    """How many classes gained and lost more than luck explains, in words: `"2 of 10 classes gained, 1 lost"`."""
    gained, lost = (sum(one.beyond_luck and sign * one.gain > 0 for one in changes) for sign in (1, -1))
    return f"{gained} of {len(changes):,} classes gained, {lost} lost"


def _interval(interval, written, pictures):
    return f"{written(interval[0], pictures)} to {written(interval[1], pictures)}"


def _p_value(p):
    return "< 1e-300" if p < 1e-300 else f"{p:.2g}"
