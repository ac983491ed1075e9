"""Fixations as others publish them, in; fixation sets, as `saliency_keras.data.fixation_set` reads them, out.

An importer is a function of a path and a `Choices`; it returns a `Gathered`. A further one is one function and one
entry here.
"""

from data_prep.importers import (
    binary_maps,
    cub_gha,
    figrim,
    mit1003,
    osie,
    poet,
    pysaliency,
    salicon,
    scanpaths,
    table,
)

IMPORTERS = {
    "pysaliency": pysaliency.gather,
    "salicon": salicon.gather,
    "mit1003": mit1003.gather,
    "osie": osie.gather,
    "cub-gha": cub_gha.gather,
    "cat2000": binary_maps.gather_cat2000,
    "toronto": binary_maps.gather_toronto,
    "figrim": figrim.gather,
    "coco-freeview": scanpaths.gather,
    "poet": poet.gather,
    "table": table.gather,
}
