"""Figueroa-Flores et al. 2020, Table II: methods on a set's standard splits, beside other systems as published."""

import dataclasses

from saliency_keras.experiments.hallucination import METHODS
from saliency_keras.experiments.published import TABLE_I, TABLE_II
from saliency_keras.figures.document import Table
from saliency_keras.figures.intervals import accuracy
from saliency_keras.tables.few_shot import (
    MethodRow,
    begun_with_weights,
    by_method,
    fraction,
    gain_over,
    like_option,
    published_set,
)
from saliency_keras.tables.plan import plan
from saliency_keras.tables.results import REPEATED_DRAWS, write_files

BASE = "resnet"  # the base network of Table II


@dataclasses.dataclass(frozen=True)
class Standard:
    """Methods on standard splits.

    Attributes:
        like: The paper's set whose figures stand beside ours though ours is another one, or `None`.
    """

    like: str | None = None
    keep_models = True

    @staticmethod
    def options(add):
        """`--like`."""
        like_option(add)

    def plan(self, table, choices):
        """As `TableKind.plan`."""
        return begun_with_weights(plan(table, choices))

    def write(self, results, folder):
        """As `TableKind.write`."""
        notes = [*results.head(), REPEATED_DRAWS]
        methods, base = by_method(results)
        like = self.like or published_set(results)
        header, rows, numbers, csv_rows = standard_table(methods, like, of_paper=base == BASE)
        return write_files(folder, results.table, notes, [Table(header, rows)], (numbers, csv_rows), {})


def standard_table(runs, like, of_paper=True):
    """Table II: our methods, and after them the other systems as published.

    Args:
        runs: From a method to its `Run`s.
        like: The paper's set to show beside, or `None`: then all three, beside none of our rows.
        of_paper: Whether our methods are on the paper's base network, so that its figures stand beside them.

    Returns:
        `(header, rows, csv header, csv rows)`.
    """
    columns = list(TABLE_I) if like is None else [like]
    of_paper = of_paper and like is not None
    header = ["method", "Top-1 %", "Top-1 interval", "gain, points", "gain interval"]
    header += [f"paper's %, {column}" for column in columns]
    numbers = ["method", "top1", "low", "high", "gain", "gain_low", "gain_high", *(f"published_{c}" for c in columns)]
    rows, csv_rows = [], []
    alone = {method: MethodRow(method, ("K",), [(run,) for run in repeats]) for method, repeats in runs.items()}
    for method, row in alone.items():
        figure = accuracy(row.tested)
        gain_text, gain_numbers = gain_over(row, alone.get("baseline_rgb"))
        paper = [TABLE_II.get(METHODS[method], {}).get(column) if of_paper else None for column in columns]
        rows.append([METHODS[method], *figure.text(), *gain_text, *paper])
        csv_rows.append([method, *figure.numbers(), *gain_numbers, *map(fraction, paper)])
    for name, values in TABLE_II.items():
        paper = [values.get(column) for column in columns]
        ours = name in METHODS.values()
        if any(paper) and not (ours and of_paper):
            label = f"{name}, the paper's" if ours else name
            rows.append([label, *[None] * 4, *paper])
            csv_rows.append([label, *[None] * 6, *map(fraction, paper)])
    return header, rows, numbers, csv_rows
