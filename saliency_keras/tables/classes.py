"""The classes that gain most over a baseline: the thesis's Table 4.2, of the first repeat."""

import dataclasses

from saliency_keras.experiments.published import MOST_IMPROVED
from saliency_keras.figures.evaluation import class_gains, relative_gain
from saliency_keras.figures.table import points
from saliency_keras.tables.plan import plan
from saliency_keras.tables.results import write_files

NOTE = "Of the first repeat. Published: that paper's pictures."


@dataclasses.dataclass(frozen=True)
class Classes:
    """Of each strategy, the three classes that gained most."""

    keep_models = True

    @staticmethod
    def options(add):
        """None of its own."""

    def plan(self, table, choices):
        """As `TableKind.plan`."""
        return plan(table, choices)

    def write(self, results, folder):
        """As `TableKind.write`."""
        header, rows, csv_header, csv_rows = class_table(results)
        notes = [*results.head(), NOTE]
        return write_files(folder, results.table, notes, (header, rows), (csv_header, csv_rows), results.curves())


def class_table(results):
    """Table 4.2: the three classes of each strategy that gained most over its baseline."""
    header = ["strategy", "rank", "class", "right before", "right", "of", "points", "relative", "published class", "%"]
    rows = []
    for row in results.rows():
        if row.baseline not in results.runs:
            continue
        run, before = results.runs[row.name][0], results.runs[row.baseline][0]
        ours = run.predictions
        published = MOST_IMPROVED.get(row.name, ())
        gains = class_gains(ours, before.predictions.in_order_of(ours))
        for rank, (index, *counts) in enumerate(gains[:3]):
            right_before, right, of = counts
            change = [points((right - right_before) / of, of), relative_gain(right_before, right)]
            theirs = published[rank] if rank < len(published) else (None, None)
            rows.append([row.name, rank + 1, ours.classes[index], *counts, *change, *theirs])
    return header, rows, header, rows
