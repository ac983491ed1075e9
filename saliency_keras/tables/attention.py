"""Networks that look again at what they attend to: accuracy by scale and level, judged together, and their boxes.

Shen and Liu, Tables 2 to 6 and Fig. 8, and controls of the second look. A row that looks again is trained on a compact
set of its own, OUT/sets/…, which is made of the original pictures by the runs of the scales before.
"""

import dataclasses
import re
from pathlib import Path

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data.boxes import FILE as BOXES_FILE
from saliency_keras.data.manifest import Manifest
from saliency_keras.experiments.published import ATTENTION_IOU
from saliency_keras.figures.document import Table
from saliency_keras.figures.intervals import accuracy, difference, intervals_figure, numbers_of, text_of
from saliency_keras.metrics.digits import percent, points
from saliency_keras.runs.ensemble import together
from saliency_keras.tables.plan import PlannedRun, plan
from saliency_keras.tables.results import INTERVALS, write_files

LEVELS = ("local", "object")
SHOWN = 4  # pictures of the figure of scales
BOXES = ("iou", "iou_largest_component", "iou_whole_picture", "attended_share")  # in a run's summary


@dataclasses.dataclass(frozen=True)
class ZoomedSet(PlannedRun):
    """A compact set of what somebody attends to in the pictures, made before the rows that are trained on it.

    Attributes:
        source: What the pictures of the first set come from.
        zoom: Who looks, as `compact --zoom` takes it.
        looks: Folders of the runs that look.
        compact: As in `tables.plan.Choices`.
    """

    source: str = ""
    zoom: str = ""
    looks: tuple[Path, ...] = ()
    compact: object = None
    makes_set, trains = True, False

    @property
    def finished(self):
        """Whether the set has its manifest."""
        return (self.folder / "manifest.json").is_file()

    @property
    def needs(self):
        """Folders of the runs that look."""
        return self.looks

    def train(self, features=None):
        """Makes the set in the form of the first one."""
        first = Manifest.load(self.data)
        framing = first.framing
        limit = max(split.records + _skipped(first, name) for name, split in first.splits.items())
        form = {"side": framing.stored, "square": framing.square, "shorter": framing.shorter}
        form |= {"codec": first.codec, "seed": first.seed, "limit": limit, "upright": bool(first.source.get("upright"))}
        if "held_out" in first.source:
            form["hold_out"] = first.source["held_out"]
        made = self.compact(self.source, self.folder, saliency=["uniform"], zoom=self.zoom, **form)
        sources = [
            {name: value for name, value in one.source.items() if name not in ("plan", "zoom", "maps")}
            for one in (first, made)
        ]
        if sources[0] != sources[1]:
            raise UserError(f"{self.data} was not made of {self.source}; give --source what it was made of.")

    def __str__(self):
        return f"a set of what {self.row.zoom} attends to, seed {self.seed}"


@dataclasses.dataclass(frozen=True)
class Attention:
    """Networks at several scales, and several of them as one.

    Attributes:
        source: The pictures that the compact set was made of: they are cropped.
        scales: How many scales there are at the most.
        gaze: File of people's gaze, image,subject,x,y, or `None`: then nobody's gaze crops.
    """

    source: str | None = None
    scales: int = 3
    gaze: str | None = None
    keep_models = True

    @staticmethod
    def options(add):
        """`--source`, `--scales` and `--gaze`."""
        add("--source", metavar="SOURCE", help="attention tables: the pictures that --data was compacted from")
        add("--scales", metavar="N", type=int, default=3, help="attention tables: scales at the most (default: 3)")
        add("--gaze", metavar="FILE", help="attention-controls: where people looked, image,subject,x,y")

    def plan(self, table, choices):
        """As `TableKind.plan`: with the sets that rows are trained on, each before the first row that needs it."""
        if not 1 <= self.scales <= 3:
            raise UserError(f"--scales is 1, 2 or 3. Received: {self.scales}")
        table = dataclasses.replace(table, rows=self._rows(table, choices))
        if any(row.zoom for row in table.rows):
            self._check(table, choices)
        planned, sets = [], {}
        for run in plan(table, choices):
            run = dataclasses.replace(run, seed=run.seed + run.row.other_seed)
            if run.row.zoom:
                of_set = self._set(run, table, choices)
                if of_set.folder not in sets:
                    sets[of_set.folder] = of_set
                    planned.append(of_set)
                run = dataclasses.replace(run, data=of_set.folder, reads=of_set.folder)
            planned.append(run)
        return planned

    def write(self, results, folder):
        """As `TableKind.write`."""
        notes = [*results.head(), INTERVALS]
        header, rows, numbers, csv_rows = attention_table(results)
        drawn = [row for row in rows if row]
        figures = {}
        if panels := _panels(results):
            figures["gains.png"] = intervals_figure(panels)
        if figure := _looks(results):
            figures["looks.png"] = figure
        if any("mean IoU" in str(cell) for cell in header):
            notes.append(
                f"Mean IoU: the attended box with the true one in the val pictures that the network sees; the paper "
                f"prints {ATTENTION_IOU} at scale 1 on CUB-200-2011. In brackets: the box around the largest part, and "
                f"the whole picture as a box."
            )
        return write_files(folder, results.table, notes, [Table(header, drawn)], (numbers, csv_rows), figures)

    def _rows(self, table, choices):
        """The rows that can be made: with so many scales, and only where gaze or true boxes are there."""
        lacking = set()
        if not self.gaze:
            lacking.add("gaze")
        if not (Path(choices.data) / BOXES_FILE).is_file():
            lacking.add("boxes")
        return tuple(row for row in table.rows if _scale(row) <= self.scales and row.zoom not in lacking)

    def _check(self, table, choices):
        if not self.source:
            raise UserError(
                "this table crops the original pictures: --source SOURCE, what the set of --data was compacted from; "
                "--scales 1 leaves the further scales out."
            )
        if choices.compact is None:
            raise UserError("nothing here can make compact sets.")
        if self.gaze and not Path(self.gaze).is_file():
            raise UserError(f"there is no file {self.gaze}.")

    def _set(self, run, table, choices):
        """The set that a run is trained on."""
        names = {row.name for row in table.rows}
        words, looks = [], []
        for word in run.row.zoom.split("+"):
            before, name = re.fullmatch(r"(center=)?(.*)", word).groups()
            if name in names:
                looks.append(_folder(run, name))
                word = (before or "") + str(looks[-1])
            elif name == "gaze":
                word = f"gaze={self.gaze}"
            words.append(word)
        called = re.sub(r"[^\w.+-]", "-", run.row.zoom) + run.folder.name.removeprefix(run.row.name)
        return ZoomedSet(
            dataclasses.replace(run.row, preparation=True), run.experiment, choices.data, choices.out / "sets" / called,
            run.seed, precision=run.precision, source=self.source, zoom="+".join(words), looks=tuple(looks),
            compact=choices.compact,
        )  # fmt: skip


def attention_table(results):
    """Every row and every group of rows: accuracies by level, the difference to what it is compared with, boxes.

    Args:
        results: `tables.results.Results`.

    Returns:
        `(header, rows, csv header, csv rows)`. Published rows of the table follow.
    """
    judged = _judged(results)
    with_boxes = any("iou" in _attention(runs[0]) for _, groups, _ in judged for runs in groups)
    header = ["row", "Top-1 %", "interval", "local %", "object %", "against", "difference, points", "its interval"]
    header += ["mean IoU"] if with_boxes else []
    header += ["repeats"]
    numbers = ["row", "top1", "low", "high", "local", "object", "against", "difference", "difference_low",
               "difference_high", *BOXES, "repeats"]  # fmt: skip
    rows, csv_rows = [], []
    groups = {name: of for name, of, _ in judged}
    spread = results.spread(_top1)
    for name, of, against in judged:
        tested = [together(runs) for runs in of]
        top1 = accuracy(tested, spread=spread)
        levels = [_level(of, level) for level in LEVELS]
        less = _less(results, of, groups[against]) if against in groups else None
        attention = [_attention(runs[0]) for runs in of] if len(of[0]) == 1 else [{}]
        boxes = [np.mean([one[key] for one in attention]) if all(key in one for one in attention) else None
                 for key in BOXES]  # fmt: skip
        shown = [None if level is None else percent(level, top1.pictures) for level in levels]
        drawn = [None if boxes[0] is None else "{:.3f} ({:.3f}, {:.3f})".format(*boxes[:3])] if with_boxes else []
        rows.append([name, *top1.text(), *shown, against if less else None, *text_of(less, points), *drawn, len(of)])
        csv_rows.append([name, *top1.numbers(), *levels, against if less else None, *numbers_of(less), *boxes, len(of)])
    for name, figures in results.table.beside.items():
        values = [figures.get(key) for key in ("top1", "local", "object")]
        shown = [None if value is None else f"{value:.1f}" for value in values]
        rows.append([f"published, {name}", shown[0], None, *shown[1:], *[None] * (len(header) - 5)])
        shares = [None if value is None else round(value / 100, 6) for value in values]
        csv_rows.append([f"published, {name}", shares[0], None, None, *shares[1:], *[None] * (len(numbers) - 6)])
    return header, rows, numbers, csv_rows


def _judged(results):
    """`(name, one list of runs a repeat, what it is compared with)` of every row and group whose runs are there."""
    found = [
        (row.name, [[run] for run in results.runs[row.name]], row.baseline)
        for row in results.table.rows
        if row.name in results.runs
    ]
    for name, (members, against) in results.table.together.items():
        there = [member for member in members if member in results.runs]
        if len(there) > 1 and there[0] == members[0]:
            # With fewer scales than the paper's three, the scales that are there.
            called = name if len(there) == len(members) else " and ".join((there[0], there[-1]))
            other = against
            if against in results.table.together:
                others = [member for member in results.table.together[against][0] if member in results.runs]
                whole = len(others) == len(results.table.together[against][0])
                other = against if whole else " and ".join((others[0], others[-1])) if others else ""
            found.append((called, list(map(list, zip(*(results.runs[one] for one in there), strict=True))), other))
    return found


def _less(results, of, before):
    """The difference at Top-1 of two lists of groups of runs, one group a repeat."""
    spread = results.spread(_top1, gains=True)
    return difference([together(runs) for runs in of], [together(runs) for runs in before], spread=spread)


def _top1(predictions):
    return predictions.correct().mean()


def _level(groups, level):
    """Mean accuracy of a level over the repeats, or `None` where a network has no such level."""
    try:
        return float(np.mean([together(runs, level).correct().mean() for runs in groups]))
    except UserError:
        return None


def _attention(run):
    return run.summary.get("attention", {})


def _panels(results):
    """Differences at Top-1 to what rows and groups are compared with: panels of `intervals_figure`."""
    judged, panels = _judged(results), {}
    groups = {name: of for name, of, _ in judged}
    for name, of, against in judged:
        if against in groups:
            less = _less(results, of, groups[against])
            panels.setdefault(f"against {against}", []).append((name, less, None))
    return panels


def _looks(results):
    """Pictures at each scale with what is attended to, as Figs. 4 to 7; `None` where no row attends."""
    from saliency_keras.figures.looks import scales_figure
    from saliency_keras.runs.looks import scales_of

    names = [f"scale{number}" for number in (1, 2, 3)]
    runs = [results.runs[name][0] for name in names if name in results.runs]
    if not runs or not all(_attention(run) for run in runs):
        return None
    try:
        return scales_figure(scales_of(runs, SHOWN))
    except UserError:
        return None  # a set that is gone


def _scale(row):
    """Which scale a row is at: one more than there are looks before it."""
    return len(row.lookers) + 1


def _folder(run, name):
    """The folder of the run of another row and the same repeat."""
    return run.folder.with_name(name + run.folder.name.removeprefix(run.row.name))


def _skipped(manifest, split):
    import csv

    path = manifest.folder / "skipped.csv"
    if not path.is_file():
        return 0
    with open(path, newline="", encoding="utf-8") as file:
        return sum(row["split"] == split for row in csv.DictReader(file))
