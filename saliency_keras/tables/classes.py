"""The classes that gain most over a baseline: the thesis's Table 4.2, of the first repeat.

Beside our own extremes stand the classes that the thesis names, as they are in our runs, where the data set has them.
The thesis does not define its "accuracy improvement (%)", so ours is given in points and relative.
"""

import dataclasses
import re

from saliency_keras.experiments.published import IMAGENET_IDS, MOST_IMPROVED
from saliency_keras.figures.document import Table
from saliency_keras.figures.evaluation import Q_EXPLAINED, class_changes, count_beyond_luck
from saliency_keras.tables.plan import AsPlanned
from saliency_keras.tables.results import write_files

NOTE = "Of the first repeat. The paper's figures are of its own pictures."
SHOWN = 3  # classes of each strategy, as in Table 4.2
OURS, THESIS = "ours", "thesis"
IMAGENET_ID = re.compile(r"n\d{8}")


@dataclasses.dataclass(frozen=True)
class Classes(AsPlanned):
    """Of each strategy, the classes that gained most, and those that the thesis names."""

    def write(self, results, folder):
        """As `TableKind.write`."""
        header, rows, notes = class_table(results)
        own, theirs = ([row[:1] + row[2:] for row in rows if row[1] == whose] for whose in (OURS, THESIS))
        blocks = [Table([header[0], *header[2:-1]], [row[:-1] for row in own], keys=3)]
        if theirs:
            table = Table([header[0], *header[2:]], theirs, keys=3)
            blocks += ["The classes that Table 4.2 names, in our runs:", table]
        notes = [*results.head(), *notes, NOTE]
        return write_files(folder, results.table, notes, blocks, (header, rows), results.curves())


def class_table(results):
    """The three classes of each strategy that gained most over its baseline, and the thesis's three.

    A strategy with fewer classes that gained has fewer; a class that lost is not listed as one that gained.

    Args:
        results: `tables.results.Results`.

    Returns:
        `(header, rows, notes)`; the second cell of a row is whose list it is of, `"ours"` or `"thesis"`.
    """
    header = ["strategy", "whose", "rank", "class", "right before", "right", "of", "points", "relative", "q"]
    header.append("paper's improvement %")
    rows, notes, lucky, absent = [], [], [], []
    for row in results.rows():
        if row.baseline not in results.runs:
            continue
        run, before = results.runs[row.name][0], results.runs[row.baseline][0]
        ours = run.predictions
        changes = class_changes(ours, before.predictions.in_order_of(ours))
        gained = [one for one in changes if one.gain > 0][:SHOWN]
        for rank, one in enumerate(gained, 1):
            rows.append([row.name, OURS, rank, ours.classes[one.index], *one.cells(), None])
        lucky.append(f"{row.name} {count_beyond_luck(changes)}")
        for rank, (name, theirs) in enumerate(MOST_IMPROVED.get(row.name, ()), 1):
            places = set(places_of(name, run))
            found = [one for one in changes if one.index in places]
            rows += [[row.name, THESIS, rank, ours.classes[one.index], *one.cells(), theirs] for one in found]
            absent += [] if found else [name]
    if lucky:
        notes.append(f"More than luck over the baseline: {'; '.join(lucky)}. {Q_EXPLAINED}")
    if absent:
        notes.append(f"Table 4.2 names classes that this set does not have: {'; '.join(dict.fromkeys(absent))}.")
    return header, rows, notes


def places_of(name, run):
    """Where a class of Table 4.2 is among a run's classes: a list of indices, several where the name is of several.

    Args:
        name: The class as the thesis prints it.
        run: `runs.run.Run`. Where its data set says that a class was a folder named by ImageNet's id, the id decides;
            else the first of the class's names.
    """
    classes = run.predictions.classes
    folders = run.config["data"].get("source", {}).get("class_folders", ())
    folders = folders if len(folders) == len(classes) else classes
    return [
        index
        for index, (one, folder) in enumerate(zip(classes, folders, strict=True))
        if (folder in IMAGENET_IDS[name] if IMAGENET_ID.fullmatch(folder) else _first_name(one) == _first_name(name))
    ]


def _first_name(name):
    """`"gar"` of `"Gar, garfish"`; what stands in brackets to tell two classes apart is no part of the name."""
    return name.split(",")[0].split(" (")[0].replace("_", " ").strip().lower()
