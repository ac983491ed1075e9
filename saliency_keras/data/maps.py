"""Which map each picture is shown with: its own, another picture's, or none of its business.

`own` is interleaved with the pictures and needs nothing from here. Every other choice is an array of maps and, for
each picture, the place of its map in that array: `center` and `uniform` are one map for all, `shuffled` gives a
picture the map of another one of its split, `shuffled_in_class` that of another one of its class, and the name of a
further map gives that map.
"""

import dataclasses
import tempfile

import numpy as np

from saliency_keras.console import UserError, progress
from saliency_keras.data.shards import Records

SWAPS = ("own", "shuffled", "shuffled_in_class", "center", "uniform")
IN_MEMORY = 4 << 30  # bytes; a larger array of maps lies in a temporary file


@dataclasses.dataclass(frozen=True)
class Maps:
    """Maps that replace the interleaved ones.

    Attributes:
        stored: uint8 `(maps, side, side)`.
        of_picture: int64 `(pictures,)`: the place in `stored` of each picture's map, pictures in their order on disk.
    """

    stored: np.ndarray
    of_picture: np.ndarray


def swapped_maps(manifest, split, maps, seed):
    """Gets the maps that `--maps` asks for.

    Args:
        manifest: The `Manifest` of the compact set.
        split: `"train"` or `"val"`.
        maps: One of `SWAPS` or the name of a map of the set.
        seed: Seed of the derangement; the same in every epoch of a run.

    Returns:
        `Maps`, or `None` where the interleaved maps are the ones asked for.

    Raises:
        UserError: If the set has no map of that name, or a class has a single picture and is to be deranged.
    """
    pictures = manifest.splits[split].records
    if maps in ("own", manifest.maps[0].name):
        return None
    if maps in ("center", "uniform"):
        return Maps(control_map(maps, manifest.side)[None], np.zeros(pictures, np.int64))
    if maps in ("shuffled", "shuffled_in_class"):
        places = np.arange(pictures)
        groups = Records(manifest, split).labels(places) if maps == "shuffled_in_class" else np.zeros_like(places)
        donors = _derangement(groups, seed, manifest, split)
        return Maps(_read_maps(manifest, split, None), donors)
    manifest.map_named(maps)
    return Maps(_read_maps(manifest, split, maps), np.arange(pictures))


def control_map(name, side):
    """The one map of all pictures with `--maps center` or `uniform`: uint8 `(side, side)`."""
    from saliency_keras.saliency import predictor

    one = predictor(name)(np.zeros((1, side, side, 3), np.uint8))[0]
    return np.rint(255 * one / one.max()).astype(np.uint8)


def _derangement(groups, seed, manifest, split):
    """A cyclic shift of a random order of each group: no picture keeps its map."""
    draw = np.random.Philox(key=[seed, 0]).random_raw
    donors = np.empty(len(groups), np.int64)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        if len(members) < 2:
            raise UserError(
                f"the class {manifest.classes[group]!r} has a single picture in {split}, so its map cannot be swapped; "
                "choose other --maps."
            )
        order = members[np.argsort(draw(len(members)), kind="stable")]
        donors[order] = np.roll(order, -1)
    return donors


def _read_maps(manifest, split, name):
    """All maps of a split, uint8 `(pictures, side, side)`, in the order on disk."""
    stored = Records(manifest, split, name)
    shape = (len(stored), stored.side, stored.side)
    if np.prod(shape, dtype=np.int64) > IN_MEMORY:
        with tempfile.TemporaryFile() as file:  # mapped, it lives on until the array is gone
            maps = np.memmap(file, np.uint8, "w+", shape=shape)
    else:
        maps = np.empty(shape, np.uint8)
    for place, one in enumerate(progress(stored.maps(np.arange(len(stored))), len(stored), f"{split}: maps")):
        maps[place] = one
    return maps
