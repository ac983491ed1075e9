"""Which map each picture is shown with: its own, another picture's, or none of its business.

`own` is interleaved with the pictures and needs nothing from here. Every other choice is an array of maps and, for
each picture, the place of its map in that array: `center` and `uniform` are one map for all, `shuffled` gives a
picture the map of another one of its split, `shuffled_in_class` that of another one of its class. The name of a
further map gives that map, and `NAME:shuffled` and `NAME:shuffled_in_class` those of others.
"""

import dataclasses
import os
import tempfile

import numpy as np

from saliency_keras.console import UserError, progress
from saliency_keras.data.stored import Records

SHUFFLES = ("shuffled", "shuffled_in_class")
CONTROLS = ("center", "uniform")
SWAPS = ("own", *SHUFFLES, *CONTROLS)
IN_MEMORY = 4 << 30  # bytes; a larger array of maps lies in a temporary file


@dataclasses.dataclass(frozen=True)
class Shown:
    """Which saliency map goes with each picture.

    Attributes:
        map: Name of a map of the compact set; `""` for the one that is stored with the pictures.
        swap: `"own"`, `"shuffled"` (the map of another picture), `"shuffled_in_class"` (of another picture of the same
            class), `"center"` or `"uniform"` (one map for all).
        as_: `"input"` of the network, or `"target"` of its own map.
    """

    map: str = ""
    swap: str = "own"
    as_: str = "input"

    @classmethod
    def parse(cls, text, as_="input"):
        """Reads what `--maps` says.

        Args:
            text: One of `SWAPS`, the name of a map, or `NAME:shuffled` and `NAME:shuffled_in_class`.
            as_: `"input"` or `"target"`.

        Returns:
            The `Shown`.

        Raises:
            UserError: If it is empty, or something else follows the colon.
        """
        if not text:
            raise UserError(f"--maps is empty; give one of {', '.join(SWAPS)} or the name of a map.")
        name, colon, swap = text.partition(":")
        if not colon:
            return cls("", name, as_) if name in SWAPS else cls(name, "own", as_)
        if not name or swap not in SHUFFLES:
            raise UserError(
                f"--maps {text}: the name of a map is followed by {' or '.join(f':{one}' for one in SHUFFLES)}."
            )
        return cls(name, swap, as_)

    def __str__(self):
        if not self.map:
            return self.swap
        return self.map if self.swap == "own" else f"{self.map}:{self.swap}"


OWN = Shown()  # the map that is stored with the pictures, each picture's own


@dataclasses.dataclass(frozen=True)
class Maps:
    """Maps that replace the interleaved ones.

    Attributes:
        stored: uint8 `(maps, side, side)`.
        of_picture: int64 `(pictures,)`: the place in `stored` of each picture's map, pictures in their order on disk.
    """

    stored: np.ndarray
    of_picture: np.ndarray


def swapped_maps(manifest, split, shown, seed):
    """Gets the maps that are shown.

    Args:
        manifest: The `Manifest` of the compact set.
        split: `"train"` or `"val"`.
        shown: The `Shown`.
        seed: Seed of the derangement; the same in every epoch of a run.

    Returns:
        `Maps`, or `None` where the interleaved maps are the ones asked for.

    Raises:
        UserError: If the set has no map of that name, or a class has a single picture and is to be deranged.
    """
    places = np.arange(manifest.split(split).records)
    name, swap = shown.map, shown.swap
    if swap in CONTROLS:
        return Maps(control_map(swap, manifest.side)[None], np.zeros_like(places))
    name = manifest.map_named(name or manifest.maps[0].name).name
    if swap in SHUFFLES:
        groups = Records(manifest, split).labels(places) if swap == "shuffled_in_class" else np.zeros_like(places)
        return Maps(_read_maps(manifest, split, name), _derangement(groups, seed, manifest, split))
    return None if name == manifest.maps[0].name else Maps(_read_maps(manifest, split, name), places)


def control_map(name, side):
    """The one map of all pictures with `--maps center` or `uniform`: uint8 `(side, side)`."""
    from saliency_keras.saliency import predictor

    one = predictor(name)(np.zeros((1, side, side, 3), np.uint8))[0]
    return np.rint(255 * one / one.max()).astype(np.uint8)


def _take_room(file, size):
    """Gives a file its bytes on disk now: a mapped page that finds no room later kills the process."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    except OSError as error:
        raise UserError(
            f"the maps of a whole split need {size / 1e9:.1f} GB of temporary disk, which {tempfile.gettempdir()} does "
            f"not have ({error.strerror}); set TMPDIR to a folder on a larger disk."
        ) from None


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
    if (size := int(np.prod(shape, dtype=np.int64))) > IN_MEMORY:
        with tempfile.TemporaryFile() as file:  # mapped, it lives on until the array is gone
            _take_room(file, size)
            maps = np.memmap(file, np.uint8, "r+", shape=shape)
    else:
        maps = np.empty(shape, np.uint8)
    for place, one in enumerate(progress(stored.maps(np.arange(len(stored))), len(stored), f"{split}: maps")):
        maps[place] = one
    return maps
