"""The papers' tables and figures as data: which runs make one, what is compared with what, what was published.

`tables/plan.py` trains the runs, the kinds of `tables/kind.py` write tables and draw figures. The published accuracies
of a row are those of its experiment; what a paper prints beyond them is in `published`. To add a table, add an entry to
the `TABLES` of its paper's file.
"""

from saliency_keras.console import UserError, did_you_mean
from saliency_keras.experiments.tables import (
    attention,
    controls,
    guidance,
    hallucination,
    readouts,
    salclassnet,
    thesis,
)

PAPERS = (thesis, controls, hallucination, readouts, attention, salclassnet, guidance)
TABLES = {name: made for paper in PAPERS for name, made in paper.TABLES.items()}


def baseline_of(name):
    """Name of the experiment that an experiment is compared with in the first table that does so, or `""`."""
    compared = ((one, row) for one in TABLES.values() for row in one.rows if row.experiment == name and row.baseline)
    return next((one.row(row.baseline).experiment for one, row in compared), "")


def table(name):
    """The `PaperTable` of that name; a `UserError` that lists the names if there is none."""
    if name not in TABLES:
        raise UserError(f"there is no table {name!r}{did_you_mean(name, TABLES)} `reproduce --list` shows all.")
    return TABLES[name]
