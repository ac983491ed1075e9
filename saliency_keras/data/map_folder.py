"""Saliency maps that somebody else made: a folder with one grey picture for each picture of a set, of the same stem.

So every comparison system of the papers can have its row: run it elsewhere, keep its maps in a folder. A map of another
size is resized as the MIT benchmark's code does it, bicubically (Pillow's kernel, anti-aliased when shrinking) without
clipping what overshoots, which changes its minimum and maximum a little.
"""

from pathlib import Path

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data.pictures import UnreadablePicture, picture_files

# Up to how far the channels of a grey picture may differ, of 255: JPEG does not keep them equal.
GREY_TOLERANCE = 3


class MapFolder:
    """The maps of a folder, asked for by the picture's name.

    Args:
        folder: The folder; the row of its scores is named after it.
        sizes: From the file name of each picture that will be asked for to its `(width, height)`.

    Attributes:
        name: The folder's name.
        resized: How many maps had another size than asked for, so far.

    Raises:
        UserError: If there is no such folder, maps are missing, or two have the same stem.
    """

    def __init__(self, folder, sizes):
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(
                f"{folder} is {'a file, not a folder' if folder.is_file() else 'not there: no folder'} of maps."
            )
        self.name = folder.resolve().name
        self.resized = 0
        self._sizes = sizes
        self._paths = {}
        for path in picture_files(folder):
            if path.stem in self._paths:
                raise UserError(
                    f"{folder} has two maps for one picture, {self._paths[path.stem].name} and {path.name}."
                )
            self._paths[path.stem] = path
        missing = [image for image in sizes if Path(image).stem not in self._paths]
        if missing:
            of = f"{len(missing)} of {len(sizes)} pictures"
            raise UserError(f"{folder} lacks the maps of {of}, the first is that of {missing[0]}.")
        if len({Path(image).stem for image in sizes}) < len(sizes):
            raise UserError(
                f"maps in {folder} go by the stem of the picture's name, and two pictures have the same one."
            )

    def map_of(self, image):
        """The map of one picture.

        Args:
            image: The picture's file name.

        Returns:
            float64 array `(height, width)` of the picture's size: the grey levels as stored (0 to 255 for 8 bits, to
            65535 for 16).

        Raises:
            UserError: If the map cannot be read, or is a colour picture.
        """
        from PIL import Image

        levels = read_map(self._paths[Path(image).stem])
        width, height = self._sizes[image]
        if levels.shape == (height, width):
            return levels
        self.resized += 1
        resized = Image.fromarray(levels.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(resized, np.float64)


def read_map(path):
    """Reads a map's file.

    Args:
        path: Path of a grey picture.

    Returns:
        float64 array `(height, width)`: the grey levels as stored (0 to 255 for 8 bits, to 65535 for 16).

    Raises:
        UserError: If the map cannot be read, or is a colour picture.
    """
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return _grey_levels(picture, path)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, UserError):
            raise
        raise UnreadablePicture(path, str(error).rstrip(".")) from None


def _grey_levels(picture, path):
    if picture.mode in ("1", "L", "I", "F") or picture.mode.startswith("I;16"):
        return np.asarray(picture).astype(np.float64)
    channels = np.asarray(picture.convert("RGB")).astype(np.float64)
    if (channels.max(axis=-1) - channels.min(axis=-1)).max() > GREY_TOLERANCE:
        raise UserError(
            f"{path} is a colour picture; a saliency map is grey, brighter where people are expected to look."
        )
    return channels.mean(axis=-1)
