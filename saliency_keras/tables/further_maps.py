"""`--maps` of the tables that show or teach further maps of a set beside the interleaved one."""

from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.experiments.tables import controls, guidance
from saliency_keras.tables.plan import words_of

WITH_FURTHER_MAPS = {"attribution": controls.with_further_maps, "guidance": guidance.with_further_maps}
HELP = (
    "controls, guidance: names of further maps of the set to be tried beside the interleaved one. "
    "hallucination-3, salclassnet-4: also score a folder of maps; repeatable"
)


def add_option(add):
    """Adds `--maps NAMES` by a parser's `add_argument`."""
    add("--maps", metavar="NAMES", type=words_of, default=(), help=HELP)


def extended(table, kind):
    """The table with rows for the maps that its kind was given by `--maps`; the same table where it takes none."""
    further = WITH_FURTHER_MAPS.get(table.kind)
    return further(table, kind.maps) if further else table


def check(names, data):
    """Refuses, as a `UserError`, names that are not of further maps of the set in the folder `data`."""
    manifest = Manifest.load(data) if names else None
    for name in names:
        if manifest.map_named(name) is manifest.maps[0]:
            there = f"{name} is interleaved with the pictures of {data}, so that the table has it already"
            raise UserError(f"{there}; leave it out of --maps.")
