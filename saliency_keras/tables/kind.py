"""The kinds of tables: how a table is planned and written, by the name that `experiments.tables` gives its kind.

A kind is one module with one frozen dataclass. Its fields are the choices that only its tables have, and its `options`
are their words on the command line; an option's `dest` is the field's name. `KINDS` is the only place that maps a
kind's name to it: a new kind is a module, a line here, and rows in `experiments.tables`.
"""

import dataclasses
from typing import Protocol

from saliency_keras.tables.accuracy import Accuracy
from saliency_keras.tables.attention import Attention
from saliency_keras.tables.attribution import Attribution
from saliency_keras.tables.class_accuracy import ClassAccuracy
from saliency_keras.tables.classes import Classes
from saliency_keras.tables.correlation import Correlation
from saliency_keras.tables.few_shot import FewShot
from saliency_keras.tables.fixations import Fixations
from saliency_keras.tables.guidance import GuidanceTable
from saliency_keras.tables.map_information import MapInformation
from saliency_keras.tables.outlook import Outlook
from saliency_keras.tables.regions import Regions
from saliency_keras.tables.shift import Shift
from saliency_keras.tables.standard import Standard
from saliency_keras.tables.top_down import TopDown


class TableKind(Protocol):
    """What `reproduce` asks of a kind of table.

    Attributes:
        keep_models: Whether finished runs keep their networks; those that others start from always do.
    """

    keep_models: bool

    @staticmethod
    def options(add):
        """Adds the options that only tables of this kind take.

        Args:
            add: A parser's `add_argument`.
        """

    def plan(self, table, choices):
        """Lists the runs of a table, in the order of training; trains nothing and writes nothing.

        Args:
            table: A `PaperTable` of this kind.
            choices: The `tables.plan.Choices`.

        Returns:
            A list of `tables.plan.PlannedRun`s.

        Raises:
            UserError: If a choice does not fit the table.
        """

    def write(self, results, folder):
        """Writes `table.md`, `table.csv` and figures.

        Args:
            results: The table's `tables.results.Results`.
            folder: Where to; made if absent.

        Returns:
            The text of `table.md`.

        Raises:
            UserError: If no row is whole.
        """


KINDS = {
    "accuracy": Accuracy,
    "classes": Classes,
    "attribution": Attribution,
    "few_shot": FewShot,
    "standard": Standard,
    "fixations": Fixations,
    "correlation": Correlation,
    "attention": Attention,
    "class_accuracy": ClassAccuracy,
    "top_down": TopDown,
    "regions": Regions,
    "shift": Shift,
    "map_information": MapInformation,
    "guidance": GuidanceTable,
    "outlook": Outlook,
}


def kind_of(table, options=None):
    """The kind of a table with the choices that were made for it.

    Args:
        table: A `PaperTable`.
        options: What a parser with the kind's options gave, or `None` for the defaults.

    Returns:
        A `TableKind`.
    """
    made = KINDS[table.kind]
    return made(**{one.name: getattr(options, one.name) for one in dataclasses.fields(made)} if options else {})
