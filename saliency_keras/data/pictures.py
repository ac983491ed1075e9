"""Reads a picture file: the one place of the project where pictures are decoded.

Any format Pillow knows and any mode becomes RGB, 8 bits a channel. As in TFDS and the papers' tools, orientation tags
are ignored, transparency is dropped and of an animation the first frame is taken. Resizing and cropping are not here.
"""

import io
import warnings
import zlib
from pathlib import Path

import numpy as np

from saliency_keras.console import UserError

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
ORIENTATION_TAG = 274
# Pillow turns a TIFF upright while loading it, other formats not. This is, by orientation, the `PIL.Image.Transpose`
# that undoes it:
# left-right, half turn, top-bottom, transpose, quarter turn left, transverse, quarter turn right.
TURNS_BACK = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}


class UnreadablePicture(UserError):
    """A file that is no picture, or no whole one; `reason` says why without naming the file."""

    def __init__(self, name, reason):
        super().__init__(f"{name} cannot be read as a picture: {reason}.")
        self.reason = reason


def picture_files(folder):
    """Lists the files of a folder that are named like pictures.

    Args:
        folder: The folder; folders inside it are not entered.

    Returns:
        Their paths, sorted by name. Hidden files are left out.
    """
    return sorted(
        path
        for path in Path(folder).iterdir()
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def png_of(picture, out):
    """Where in the folder `out` lies the PNG that is made of a picture."""
    return Path(out) / f"{Path(picture).stem}.png"


def check_pngs(pictures, out, what):
    """Refuses to make a PNG of each of some pictures where two would have one, or where it would replace a picture.

    Args:
        pictures: Paths.
        out: The folder for the PNGs; it need not exist.
        what: What they are, `"map"` for example.

    Raises:
        UserError: If two pictures have one stem, or a PNG of that name is a picture beside the one it is made of.
    """
    first = {}
    for path in map(Path, pictures):
        if path.stem in first:
            raise UserError(f"{first[path.stem]} and {path} would have one {what}; rename one of them.")
        first[path.stem] = path
        made = png_of(path, out).resolve()
        if made.parent == path.resolve().parent and made.exists():
            raise UserError(f"the {what} of {path} would overwrite {made.name} beside it; choose another folder.")


def read_picture(source):
    """Decodes a picture to RGB.

    Args:
        source: Path of the file, or a binary file object. The content decides on the format, not the name.

    Returns:
        uint8 array `(height, width, 3)`, RGB, as stored: EXIF and XMP orientation are ignored. 16-bit greys are scaled
        to 8 bits (65535 becomes 255); 32-bit integers and floats, which have no agreed range, so that the greatest
        value becomes 255 and negative ones 0.

    Raises:
        UnreadablePicture: If the file is missing, empty, no picture, truncated or damaged, of a mode that has no RGB
            form, or so large that it may be a decompression bomb (Pillow's limit, about 179 million pixels).
        OSError: If the machine fails (disk, number of open files), which is no property of the picture.
    """
    from PIL import Image, UnidentifiedImageError

    name, content = _content(source)
    if not content:
        raise UnreadablePicture(name, "the file is empty")
    try:
        with warnings.catch_warnings():
            # What Pillow warns about (odd EXIF, many pixels, transparency) is settled by this function's contract.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            with Image.open(io.BytesIO(content)) as picture:
                return _to_rgb(picture)
    except UnidentifiedImageError:
        raise UnreadablePicture(name, "not a picture, or of a format unknown to Pillow") from None
    except Image.DecompressionBombError:
        raise UnreadablePicture(name, "so many pixels that it may be a decompression bomb") from None
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        MemoryError,
        RuntimeError,
        zlib.error,
    ) as error:
        # Pillow's readers meet damaged files with any of these.
        raise UnreadablePicture(name, str(error).strip().rstrip(".") or type(error).__name__) from None


def _content(source):
    if hasattr(source, "read"):
        return getattr(source, "name", "the file"), source.read()
    try:
        return source, Path(source).read_bytes()
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise UnreadablePicture(source, error.strerror.lower()) from None


def _to_rgb(picture):
    from PIL import Image

    orientation = picture.tag_v2.get(ORIENTATION_TAG) if picture.format == "TIFF" else None
    picture.load()
    if orientation in TURNS_BACK:
        picture = picture.transpose(TURNS_BACK[orientation])
    if picture.mode.startswith("I;16"):
        values = np.asarray(picture).astype(np.float32) / 257
    elif picture.mode in ("I", "F"):
        values = np.nan_to_num(np.asarray(picture, dtype=np.float64)).clip(min=0)
        values = values * (255 / max(values.max(), np.finfo(np.float64).tiny))
    else:
        return np.array(picture.convert("RGB"))
    grey = np.rint(values).astype(np.uint8)
    return np.array(Image.fromarray(grey).convert("RGB"))
