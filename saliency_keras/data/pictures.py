"""Reads a picture file: the one place of the project where pictures are decoded.

Any format Pillow knows, and HEIC where pillow-heif is installed, and any mode becomes RGB, 8 bits a channel. As in TFDS
and the papers' tools, orientation tags are ignored unless the caller says `upright` (HEIC, whose turn is no tag but
part of the format, is upright always), transparency is dropped and of an animation the first frame is taken.
Header and pixels follow one rule. Resizing and cropping are not here.
"""

import errno
import io
import os
import warnings
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data.listing import files_below, shown, stem_key, text_of

# What pictures are usually called. It decides nothing: a file is a picture by its content.
PICTURE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm"),
    *(".avif", ".heic", ".heif"),
)
ORIENTATION_TAG = 274
# How files of some formats begin, and what precedes the tag: EXIF in JPEG and AVIF, in PNG and in WebP, and XMP.
JPEG, TIFF = b"\xff\xd8\xff", (b"II", b"MM")
ORIENTATION_MARKS = (b"Exif", b"eXIf", b"EXIF", b"tiff:Orientation")
# How HEIC begins, behind the four bytes of a size: phones write it, and Pillow reads it by another package.
HEIC = tuple(b"ftyp" + brand for brand in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"))
# By the value of the tag, the `PIL.Image.Transpose` that turns stored pixels upright (what people see in a viewer), and
# the one that undoes it: left-right, half turn, top-bottom, transpose, quarter turn right, transverse, quarter left.
UPRIGHT = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
TURNS_BACK = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}
ON_THEIR_SIDE = (5, 6, 7, 8)
# Pillow refuses a PNG whose texts or colour profile are too large, and names its limit. They are of no interest here.
TEXT_LIMITS = ("Decompressed data too large", "Too much memory used in text chunks")
TEXT_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
# What a system says where a damaged file makes Pillow seek or read at an impossible place. Whatever else a system says
# (disk, network, permissions, number of open files) is the machine's.
OF_DAMAGE = (None, errno.EINVAL, errno.EOVERFLOW, errno.ESPIPE)
# Bytes a pixel that decoding takes at the most: Pillow's own picture, a converted one, and two arrays.
BYTES_A_PIXEL = 14


class UnreadablePicture(UserError):
    """A file that is no picture, or no whole one; `reason` says why without naming the file."""

    def __init__(self, name, reason):
        super().__init__(f"{text_of(Path(name))} cannot be read as a picture: {reason}.")
        self.name = name
        self.reason = reason


class Pictures(NamedTuple):
    """The pictures of a folder, by their content.

    Attributes:
        names: Paths below the folder, as on disk, sorted.
        sizes: `(width, height)` of each in pixels.
        orientations: The orientation tag of each, 1 to 8; 1 where there is none.
        refused: `UnreadablePicture` of every other file.
    """

    names: tuple
    sizes: tuple
    orientations: tuple
    refused: tuple

    def named(self):
        """The refused files that are named like pictures."""
        return [one for one in self.refused if Path(one.name).suffix.lower() in PICTURE_SUFFIXES]


def pictures_in(folder, without=(), upright=False):
    """Lists the pictures of a folder and of its subfolders; only the headers are read.

    Args:
        folder: The folder.
        without: Folders inside it that are not entered.
        upright: As for `read_picture`.

    Returns:
        `Pictures`.

    Raises:
        OSError: If a folder or file cannot be opened for a reason that is not its own.
    """
    found, refused = [], []
    for name in sorted(one.name for one in files_below(folder, without)):
        path = os.path.join(folder, name)
        try:
            found.append((name, *picture_header(path, upright)))
        except UnreadablePicture as error:
            refused.append(error)
    names, sizes, orientations = zip(*found, strict=True) if found else ((), (), ())
    return Pictures(names, sizes, orientations, tuple(refused))


def left_out(pictures):
    """What to say of the files of a folder that are no pictures: text that begins with a semicolon, or nothing.

    Args:
        pictures: `Pictures`.

    Returns:
        `"; 2 files are no pictures and are left out (notes.txt, Thumbs.db)"`, for example. Files that are named like
        pictures are not counted here.
    """
    others = [one for one in pictures.refused if one not in pictures.named()]
    if not others:
        return ""
    files = "1 file is no picture and is" if len(others) == 1 else f"{len(others):,} files are no pictures and are"
    return f"; {files} left out ({shown(Path(one.name).name for one in others)})"


def png_of(picture, out, below=None):
    """Where in the folder `out` lies the PNG that is made of a picture.

    Args:
        picture: Path of the picture.
        out: The folder for the PNGs.
        below: The folder whose tree `out` repeats, or `None`: then all PNGs lie in `out` itself.

    Returns:
        The path.
    """
    name = Path(picture).name if below is None else Path(picture).relative_to(below)
    return (Path(out) / name).with_suffix(".png") if Path(name).suffix else Path(out) / f"{name}.png"


def check_pngs(pictures, out, what, below=None):
    """Refuses to make a PNG of each of some pictures where two would have one, or where it would replace a picture.

    Args:
        pictures: Paths.
        out: The folder for the PNGs; it need not exist.
        what: What they are, `"map"` for example.
        below: As for `png_of`.

    Raises:
        UserError: If two pictures have one PNG, or a PNG of that name is a picture beside the one it is made of.
    """
    first = {}
    for path in map(Path, pictures):
        made = png_of(path, out, below)
        key = stem_key(made)
        if key in first:
            raise UserError(f"{text_of(first[key])} and {text_of(path)} would have one {what}; rename one of them.")
        first[key] = path
        made = made.resolve()
        if made.parent == path.resolve().parent and made.exists():
            raise UserError(
                f"the {what} of {text_of(path)} would overwrite {text_of(made.name)} beside it; choose another folder."
            )


def picture_header(source, upright=False):
    """The size of a picture and its orientation tag, read from its header alone.

    Args:
        source: Path of the file, or a binary file object.
        upright: As for `read_picture`.

    Returns:
        `(width, height)` of what `read_picture` gives, and the tag: 1 to 8, 1 where there is none.

    Raises:
        UnreadablePicture: If the file is missing, empty or no picture.
        OSError: If the machine fails or refuses.
    """
    if not hasattr(source, "read"):
        with opened(source) as file:
            return picture_header(file, upright)
    name = getattr(source, "name", "the file")
    if not source.read(1):
        raise UnreadablePicture(name, "the file is empty")
    source.seek(0)
    return _of_picture(source, name, lambda picture: _header(picture, upright))


def orientation_of(content):
    """The orientation tag of a picture from the bytes of its file: 1 to 8; 1 where it has none or is no picture."""
    # Only where there can be one: opening every picture a second time would cost some per cent of the whole work.
    head = content[: 1 << 17] if content.startswith(JPEG) else content  # other formats may have the tag at their end
    if not (content.startswith(TIFF) or any(mark in head for mark in ORIENTATION_MARKS)):
        return 1
    try:
        return picture_header(io.BytesIO(content))[1]
    except UnreadablePicture:
        return 1


def read_picture(source, upright=False):
    """Decodes a picture to RGB.

    Args:
        source: Path of the file, or a binary file object. The content decides on the format, not the name.
        upright: Whether the picture is turned as its orientation tag says (EXIF or XMP), which is how people see it in
            a viewer.

    Returns:
        uint8 array `(height, width, 3)`, RGB; as stored unless `upright`. 16-bit greys are scaled to 8 bits (65535
        becomes 255); 32-bit integers and floats, which have no agreed range, so that the greatest finite value becomes
        255 and negative ones 0.

    Raises:
        UnreadablePicture: If the file is missing, empty, no picture, truncated or damaged, of a mode that has no RGB
            form, or so large that it may be a decompression bomb (Pillow's limit, about 179 million pixels).
        OSError: If the machine fails or refuses (disk, permissions, number of open files), which is no property of the
            picture.
        MemoryError: If there is too little memory to decode it, which is no property of the picture either.
    """
    name, content = (getattr(source, "name", "the file"), source.read()) if hasattr(source, "read") else (source, None)
    content = content_of(source) if content is None else content
    if not content:
        raise UnreadablePicture(name, "the file is empty")
    return _of_picture(io.BytesIO(content), name, lambda picture: _to_rgb(picture, upright))


def content_of(path):
    """The bytes of a picture's file.

    Args:
        path: Path of the file.

    Returns:
        The bytes.

    Raises:
        UnreadablePicture: If there is no file: a link that leads nowhere or in a circle, or a folder.
        OSError: If the machine fails or refuses.
    """
    with opened(path) as file:
        return file.read()


def opened(path):
    """Opens a picture's file for reading; errors as those of `content_of`."""
    try:
        return open(path, "rb")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        reason = error.strerror.lower()
        if os.path.islink(path):
            circle = isinstance(error, IsADirectoryError)
            reason = "a link in a circle" if circle else f"a link to {os.readlink(path)}, where nothing is"
        raise UnreadablePicture(path, reason) from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise UnreadablePicture(path, "a link in a circle") from None
        raise


def _of_picture(file, name, read):
    """What `read` makes of the opened picture."""
    from PIL import Image, UnidentifiedImageError

    pixels = 0
    try:
        with warnings.catch_warnings():
            # What Pillow warns about (odd EXIF, many pixels, transparency) is settled by this module's contract.
            warnings.filterwarnings("ignore", module=r"PIL\.")
            with Image.open(file) as picture:
                pixels = picture.width * picture.height
                return read(picture)
    except UnidentifiedImageError:
        file.seek(0)
        if file.read(12)[4:].startswith(HEIC):
            _register_heic(name)
            file.seek(0)
            return _of_picture(file, name, read)
        raise UnreadablePicture(name, "not a picture, or of a format unknown to Pillow") from None
    except Image.DecompressionBombError:
        raise UnreadablePicture(name, "so many pixels that it may be a decompression bomb") from None
    except MemoryError as error:
        # Damaged files make Pillow say the same, so the memory that this picture takes is asked for.
        if not _there_is_room(pixels * BYTES_A_PIXEL):
            raise MemoryError(f"too little memory to decode {text_of(Path(name))}") from None
        raise UnreadablePicture(name, str(error).strip().rstrip(".") or "damaged") from None
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        LookupError,
        TypeError,
        AttributeError,
        ArithmeticError,
        RuntimeError,
        zlib.error,
    ) as error:
        if isinstance(error, OSError) and error.errno not in OF_DAMAGE:
            raise
        if str(error).startswith(TEXT_LIMITS):
            file.seek(0)
            content = file.read()
            if len(shorter := _without_texts(content)) < len(content):
                return _of_picture(io.BytesIO(shorter), name, read)
        # Pillow's readers meet damaged files with any of these.
        raise UnreadablePicture(name, str(error).strip().rstrip(".") or type(error).__name__) from None


def _register_heic(name):
    """Lets Pillow open HEIC, whose pictures are upright when they are decoded: the turn is part of the format."""
    from PIL import Image

    try:
        import pillow_heif
    except ImportError:
        raise UnreadablePicture(name, "a HEIC picture, which needs pillow-heif: `pip install .[heic]`") from None
    if "HEIF" in Image.OPEN:  # it is there, and does not know the file either
        raise UnreadablePicture(name, "a damaged HEIC picture")
    pillow_heif.register_heif_opener()


def _without_texts(png):
    """A PNG without its texts and its colour profile."""
    kept, at = [png[:8]], 8
    while at + 12 <= len(png):
        end = at + 12 + int.from_bytes(png[at : at + 4])
        if png[at + 4 : at + 8] not in TEXT_CHUNKS:
            kept.append(png[at:end])
        at = end
    return b"".join(kept)


def _there_is_room(size):
    try:
        np.ones(max(1, size), np.uint8)
    except MemoryError:
        return False
    return True


def _header(picture, upright):
    orientation = _orientation(picture)
    # Pillow gives the size of a TIFF as it lies upright, and that of other formats as it is stored.
    width, height = picture.size
    if orientation in ON_THEIR_SIDE and (picture.format == "TIFF") != upright:
        width, height = height, width
    return (width, height), orientation


def _orientation(picture):
    """The orientation tag, 1 to 8; a damaged one counts as none."""
    try:
        tags = picture.tag_v2 if picture.format == "TIFF" else picture.getexif()
        tag = tags.get(ORIENTATION_TAG)
    except Exception:  # whatever a damaged tag makes Pillow's parsers say, the pixels may be whole
        return 1
    return tag if isinstance(tag, int) and tag in UPRIGHT else 1


def _to_rgb(picture, upright):
    from PIL import Image

    orientation = _orientation(picture) if upright or picture.format == "TIFF" else 1
    picture.load()
    # Pillow turns a TIFF upright while loading it, other formats not.
    turn = None
    if picture.format == "TIFF" and not upright:
        turn = TURNS_BACK.get(orientation)
    elif picture.format != "TIFF" and upright:
        turn = UPRIGHT.get(orientation)
    if turn is not None:
        picture = picture.transpose(turn)
    if picture.mode.startswith("I;16"):
        values = np.asarray(picture).astype(np.float32) / 257
    elif picture.mode in ("I", "F"):
        values = np.asarray(picture, dtype=np.float64)
        finite = values[np.isfinite(values)]
        greatest = finite.max() if finite.size else 0
        # Nothing above zero is black; an infinite value is as bright as the greatest finite one.
        values = np.nan_to_num(values, nan=0, posinf=greatest, neginf=0).clip(min=0)
        values = values * (255 / greatest) if greatest > 0 else np.zeros_like(values)
    else:
        return np.array(picture.convert("RGB"))
    grey = np.rint(values).astype(np.uint8)
    return np.array(Image.fromarray(grey).convert("RGB"))
