"""Saliency maps that somebody else made: one reader of maps with all checks, for every command that takes maps.

A set of maps is a folder, a tar or a zip with one map for each picture, a folder of such tars and zips, or an HDF5 file
with one array for each (pysaliency's). A map belongs to the picture of its relative stem: `train/cat/7.jpg` has
`train/cat/7.png`, or `.npy`, `.mat`, `.tif`, whatever has been written. A map is a grey picture or one array of
numbers, brighter where people look; of a log density (`log`) the exponential is taken.

`score` resizes a map of another size as the MIT benchmark's code does it, bicubically (Pillow's kernel, anti-aliased
when shrinking) without clipping what overshoots, which changes its minimum and maximum a little.
"""

import functools
import io
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data import matlab
from saliency_keras.data.archive import Member, is_archive, members_of, without_top
from saliency_keras.data.bounded import check_hdf5, check_npy
from saliency_keras.data.listing import files_below, shown, stem_key, text_of
from saliency_keras.data.pictures import UnreadablePicture, content_of

# Up to how far the channels of a grey picture may differ, of 255: JPEG does not keep them equal.
GREY_TOLERANCE = 3
NUMPY, MATLAB, HDF5 = b"\x93NUMPY", b"MATLAB", b"\x89HDF\r\n\x1a\n"
# What a variable of a .mat file is called where the file has more than one array.
MAP_NAMES = ("map", "saliencymap", "saliency_map", "salmap", "saliency", "master_map")
ARCHIVES = (".tar", ".zip")  # entered where a folder of maps has nothing else
# Folders of an archive that are no mere wrapping, even where they hold everything.
SPLITS = ("train", "training", "val", "valid", "validation", "test", "testing")


class MapFile(NamedTuple):
    """Where a map is: a path, a `Member` of an archive, or the name of an array in an HDF5 file.

    Attributes:
        place: Path of the file, of the archive's `Member`, or of the HDF5 file.
        array: Name of the array in an HDF5 file, or `None`.
    """

    place: object
    array: str | None = None

    def __str__(self):
        return text_of(Path(self.place)) if self.array is None and isinstance(self.place, str) else self._inside()

    def _inside(self):
        return str(self.place) if self.array is None else f"{self.place}:{self.array}"

    def content(self):
        """The file's bytes; of an array in an HDF5 file those of its numbers."""
        if self.array is not None:
            return np.ascontiguousarray(_hdf5(self.place)[self.array][()]).tobytes()
        return self.place.read() if isinstance(self.place, Member) else content_of(self.place)

    def read(self, log=False):
        """Reads the map, as `read_map`."""
        if self.array is not None:
            return checked_map(_one_plane(_hdf5(self.place)[self.array][()], str(self)), str(self), log)
        return read_map(self.place if isinstance(self.place, str) else io.BytesIO(self.content()), log, str(self))


def map_files(place, split=None):
    """Lists a set of maps.

    Args:
        place: Path of a folder, tar, zip or HDF5 file. Where a folder has tars and zips alone, it has what they hold.
        split: The folder inside it to list, or `None` for all.

    Returns:
        A dict from the stem below `place` (or below the split), with `/` between folders, to a list of `MapFile`.

    Raises:
        UserError: If there is no such set of maps.
    """
    place = os.fspath(place)
    prefix = f"{split}/" if split else ""
    if os.path.isdir(place):
        folder = os.path.join(place, split) if split else place
        loose = [one.name for one in files_below(folder)] if os.path.isdir(folder) else []
        if any(not _may_be_archive(name) for name in loose):
            listed = [(name, MapFile(os.path.join(folder, name))) for name in loose]
        else:
            packed = (os.path.join(place, one) for one in sorted(os.listdir(place)) if _may_be_archive(one))
            listed = _below(_in_archives([one for one in packed if is_archive(one)]), prefix)
    elif os.path.isfile(place) and is_archive(place):
        listed = _below(_in_archives([place]), prefix)
    elif os.path.isfile(place) and _is_hdf5(place):
        listed = _below(_in_hdf5(place), prefix)
    else:
        raise UserError(
            f"{place} is {'a file, not a' if os.path.isfile(place) else 'not there: no'} folder of maps; maps may also "
            "lie in a tar, a zip or an HDF5 file."
        )
    maps = {}
    for name, one in sorted(listed, key=lambda pair: pair[0]):
        maps.setdefault(stem_key(name), []).append(one)
    return maps


def _may_be_archive(name):
    return name.lower().endswith(ARCHIVES) and not name.startswith(".")


def _below(listed, prefix):
    return [(name.removeprefix(prefix), one) for name, one in listed if name.startswith(prefix)]


def _in_archives(paths):
    """Yields names and `MapFile`s of archives; one folder around all that they hold is left out of the names."""
    members = [one for path in paths for one in members_of(path)]
    top = without_top([one.name for one in members])
    if top.rstrip("/").lower() in SPLITS:
        top = ""
    for one in members:
        yield one.name.removeprefix("./").removeprefix(top), MapFile(one)


def _is_hdf5(path):
    with open(path, "rb") as file:
        return file.read(8) == HDF5


def _in_hdf5(path):
    import h5py

    names = []
    _hdf5(path).visititems(lambda name, one: names.append(name) if isinstance(one, h5py.Dataset) else None)
    return [(name, MapFile(path, name)) for name in names]


@functools.lru_cache(maxsize=4)
def _hdf5(path):
    import h5py

    try:
        file = h5py.File(path, "r")
        check_hdf5(file, os.path.getsize(path))
        return file
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{path} cannot be read as HDF5: {str(error).splitlines()[0]}.") from None


def one_map(files, place):
    """The map among the files of one stem.

    Args:
        files: `MapFile`s.
        place: What they lie in, for the sentence.

    Returns:
        The `MapFile`.

    Raises:
        UserError: If more than one of them is a map.
    """
    if len(files) > 1:
        files = [one for one in files if _is_map(one)] or files
    if len(files) > 1:
        names = [str(one).removeprefix(f"{place}{os.sep}") for one in files[:2]]
        raise UserError(f"{place} has two maps for one picture, {names[0]} and {names[1]}.")
    return files[0]


def _is_map(file):
    try:
        file.read(log=True)
    except (UnreadablePicture, NoMap):
        return False
    except UserError:
        return True
    return True


class NoMap(UserError):
    """A file that holds no array of numbers."""


def folders_of_models(place, stems, wanted):
    """What to say of folders in `place` that each have the maps of one model, as SMILER writes them; or nothing.

    Args:
        place: The folder.
        stems: Stems of the maps in it.
        wanted: Stems of the pictures.

    Returns:
        Text that begins with a semicolon, or an empty one.
    """
    split = (stem.partition("/") for stem in stems)
    models = sorted({first for first, _, rest in split if rest in wanted})
    if not models:
        return ""
    several = f"{len(models)} models" if len(models) > 1 else "a model"
    return f"; {shown(models)} in it are those of {several}: name one, --maps {models[0]}={Path(place) / models[0]}"


class MapFolder:
    """The maps of a set, asked for by the picture's name; all are read and checked at once.

    Args:
        place: A folder, tar, zip or HDF5 file; the row of its scores is named after it.
        sizes: From the name of each picture that will be asked for to its `(width, height)`.
        name: Name of the row, or `None` for that of `place`.
        log: Whether the maps are log densities.

    Attributes:
        name: The set's name.
        resized: How many maps had another size than asked for, so far.
        flat: Names of the pictures whose maps are the same everywhere.
        black: How many of these are zero everywhere.

    Raises:
        UserError: If there is no such set, maps are missing, two have the same stem, or one is no map of its picture.
    """

    def __init__(self, place, sizes, name=None, log=False):
        place = Path(place)
        listed = map_files(place)
        self.name = name or (place.resolve().name if place.is_dir() else place.resolve().stem)
        self.resized = 0
        self.flat, self.black = [], 0
        self._sizes, self._log = sizes, log
        self._files = {stem: one_map(files, place) for stem, files in listed.items() if stem in _stems(sizes)}
        missing = [image for image in sizes if stem_key(image) not in self._files]
        if missing:
            of = f"{len(missing)} of {len(sizes)} pictures"
            there = f"; it has {len(listed):,} other maps ({shown(listed)})" if listed and not self._files else ""
            there += folders_of_models(place, listed, _stems(sizes))
            raise UserError(f"{place} lacks the maps of {of}, the first is that of {missing[0]}{there}.")
        if len(_stems(sizes)) < len(sizes):
            raise UserError(
                f"maps in {place} go by the stem of the picture's name, and two pictures have the same one."
            )
        for image in sizes:
            levels = self._levels(image)
            if levels.min() == levels.max():
                self.flat.append(image)
                self.black += not levels.any()
        if sizes and self.black == len(sizes):
            raise UserError(f"all {len(sizes)} maps of {place} are black: zero everywhere; nothing can be scored.")

    def map_of(self, image):
        """The map of one picture.

        Args:
            image: The picture's file name.

        Returns:
            float64 array `(height, width)` of the picture's size: the grey levels as stored (0 to 255 for 8 bits, to
            65535 for 16), or the numbers of an array.

        Raises:
            UserError: If the map cannot be read any more.
        """
        from PIL import Image

        levels = self._levels(image)
        width, height = self._sizes[image]
        if levels.shape == (height, width):
            return levels
        self.resized += 1
        resized = Image.fromarray(levels.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(resized, np.float64)

    def _levels(self, image):
        file = self._files[stem_key(image)]
        levels = file.read(self._log)
        check_aspect(levels.shape, self._sizes[image], str(file))
        return levels


def _stems(images):
    return {stem_key(image) for image in images}


def check_aspect(shape, size, name, squares="a map of the picture's central square says nothing of the rest"):
    """Refuses a map of another aspect than its picture.

    A map made at another size has that size rounded to whole pixels, by a pixel at most on either side.

    Args:
        shape: `(height, width)` of the map.
        size: `(width, height)` of the picture.
        name: The map's, for the sentence.
        squares: What the sentence says of a square map.

    Raises:
        UserError: If it does not fit.
    """
    (rows, columns), (width, height) = shape, size
    if not same_aspect(shape, size):
        hint = ""
        if same_aspect(shape, (height, width)):
            hint = "; it fits a picture that is turned (--upright reads pictures as their orientation tags say)"
        elif rows == columns:
            hint = f"; {squares}"
        raise UserError(f"{name} is {columns}x{rows} and its picture {width}x{height}, which is another aspect{hint}.")


def same_aspect(shape, size):
    """Whether a map of `(height, width)` has the aspect of a picture of `(width, height)`, up to rounding."""
    (rows, columns), (width, height) = shape, size
    return (rows - 1) * width <= (columns + 1) * height and (columns - 1) * height <= (rows + 1) * width


def read_map(source, log=False, name=None):
    """Reads a map's file and checks that it is a map.

    Args:
        source: Path of a grey picture, a `.npy` or a `.mat` file, or a binary file object. The content decides.
        log: Whether it is a log density.
        name: What the sentence calls it; the path if `None`.

    Returns:
        float64 array `(height, width)`, finite and not negative: the grey levels as stored (0 to 255 for 8 bits, to
        65535 for 16) or the numbers of an array; of a log density exp(x - max(x)).

    Raises:
        UserError: If the map cannot be read, is a colour picture or has its levels in the alpha channel, or has values
            that no map has.
    """
    name = text_of(Path(source)) if name is None else name
    content = source.read() if hasattr(source, "read") else content_of(source)
    if content.startswith((NUMPY, MATLAB, HDF5)):
        return checked_map(_one_plane(_array(content, name), name), name, log)
    return checked_map(_grey_picture(content, name), name, log)


def checked_map(levels, name, log=False):
    """Checks the numbers of a map.

    Args:
        levels: float64 array `(height, width)`.
        name: The map's, for the sentence.
        log: Whether it is a log density.

    Returns:
        The array, or exp(x - max(x)) of a log density.

    Raises:
        UserError: If values are no numbers, infinite or negative, where that is no log density.
    """
    wrong = np.isnan(levels) | np.isposinf(levels) if log else ~np.isfinite(levels)
    if wrong.any():
        raise UserError(f"{name} has {wrong.sum():,} of {wrong.size:,} values that are no numbers or not finite (NaN).")
    if log:
        if np.isneginf(levels).all():
            raise UserError(f"{name} is minus infinity everywhere, which is no log density.")
        return np.exp(levels - levels.max())
    if levels.min() < 0:
        raise UserError(
            f"{name} has negative values (the least is {levels.min():.4g}); a saliency map has none. If it is a log "
            "density, say --log."
        )
    return levels


def _array(content, name):
    """The array of a `.npy` or `.mat` file."""
    try:
        if content.startswith(NUMPY):
            check_npy(content)
            return np.load(io.BytesIO(content), allow_pickle=False)
        if content.startswith(HDF5):
            import h5py

            with h5py.File(io.BytesIO(content), "r") as file:  # MATLAB 7.3, which stores columns first
                check_hdf5(file, len(content))
                arrays = {key: one[()].T for key, one in file.items() if isinstance(one, h5py.Dataset)}
        else:
            arrays = matlab.read_arrays(content)
    except (ValueError, OSError, EOFError, TypeError, KeyError, NotImplementedError) as error:
        raise NoMap(f"{name} cannot be read: {str(error).splitlines()[0] if str(error) else 'damaged'}.") from None
    arrays = {
        key: one
        for key, one in arrays.items()
        if isinstance(one, np.ndarray) and one.dtype.kind in "fiub" and one.size > 1
    }
    named = [key for key in arrays if key.lower() in MAP_NAMES]
    if len(arrays) != 1 and len(named) != 1:
        has = f"has the arrays {', '.join(sorted(arrays))}" if arrays else "has no array of numbers"
        raise NoMap(f"{name} {has}; a map's file has one array, or one of them is called {', '.join(MAP_NAMES[:3])}.")
    return arrays[named[0] if len(named) == 1 else next(iter(arrays))]


def _one_plane(values, name):
    """A float64 array `(height, width)` from one that may have axes of length one beside these."""
    values = np.asarray(values)
    if values.dtype.kind not in "fiub" or not values.size:
        raise NoMap(f"{name} has no numbers; a map is an array (height, width).")
    shape = values.shape
    while values.ndim > 2 and 1 in (values.shape[0], values.shape[-1]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    if values.ndim != 2:
        raise NoMap(f"{name} is an array of the shape {shape}; a map is an array (height, width).")
    return values.astype(np.float64)


def _grey_picture(content, name):
    from PIL import Image

    if not content:
        raise UnreadablePicture(name, "the file is empty")
    try:
        with Image.open(io.BytesIO(content)) as picture:
            return _grey_levels(picture, name)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, UserError):
            raise
        raise UnreadablePicture(name, str(error).rstrip(".")) from None


def _grey_levels(picture, name):
    if "A" in picture.getbands() or "transparency" in picture.info:
        lowest, highest = picture.convert("RGBA").getchannel("A").getextrema()
        if lowest != highest:
            raise UserError(
                f"{name} has an alpha channel that is not the same everywhere; a map is a grey picture without "
                "transparency, so write what the alpha channel holds as grey levels."
            )
    if picture.mode in ("1", "L", "I", "F") or picture.mode.startswith("I;16"):
        return np.asarray(picture).astype(np.float64)
    channels = np.asarray(picture.convert("RGB")).astype(np.float64)
    if (channels.max(axis=-1) - channels.min(axis=-1)).max() > GREY_TOLERANCE:
        raise UserError(
            f"{name} is a colour picture; a saliency map is grey, brighter where people are expected to look."
        )
    return channels.mean(axis=-1)
