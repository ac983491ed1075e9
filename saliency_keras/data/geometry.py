"""The geometry of a compact data set: what happens to a picture and its map before they are stored.

A `Framing` names the sizes. In the thesis's order (§3.2.1): a picture that has a box is cropped to it, the shorter side
is scaled with the aspect kept (to 256 pixels by default), the central square is cut out (256x256), the saliency map is
predicted on that square, and then picture and map are scaled to the stored side together (144). Every resize is
Pillow's antialiased bilinear one (a triangle as wide as the reduction), the same for picture and map. Nothing here
reads files, predicts or writes.
"""

import dataclasses
import math

import numpy as np

from saliency_keras.console import UserError

LEAST, MOST = 16, 1024  # pixels of any side of a framing


@dataclasses.dataclass(frozen=True)
class Framing:
    """How pictures and their maps are scaled and cropped before they are stored.

    Attributes:
        shorter: The shorter side is scaled to this many pixels, the aspect kept.
        square: Side of the central square that is cut out of that, in pixels. Maps are predicted on it.
        stored: Side to which square and map are scaled at last, in pixels.
        boxes: sha256 of the boxes that pictures were cropped to before all this (`Picture.box` of their source),
            or `None` where no picture has one.

    Raises:
        UserError: If a side is not 16 to 1024 pixels, or not `stored <= square <= shorter`.
    """

    shorter: int = 256
    square: int = 256
    stored: int = 144
    boxes: str | None = None

    def __post_init__(self):
        for name, side in {"side": self.stored, "square": self.square, "shorter side": self.shorter}.items():
            if not LEAST <= side <= MOST:
                raise UserError(f"the {name} must be {LEAST} to {MOST} pixels; received {side}.")
        if not self.stored <= self.square <= self.shorter:
            raise UserError(
                "the stored side (--side) can be at most the square (--square), and the square at most the shorter "
                f"side (--shorter); received --side {self.stored}, --square {self.square}, --shorter {self.shorter}."
            )

    @classmethod
    def chosen(cls, stored=None, square=None, shorter=None):
        """The framing with the sides that are given; a side that is not given is its default, or fits the others.

        Args:
            stored: Stored side in pixels, or `None` for 144, or less where the square is smaller.
            square: Side of the square, or `None` for 256, or more for a larger `stored`, or less for a smaller
                `shorter`.
            shorter: The shorter side, or `None` for 256, or more for a larger square.

        Returns:
            The `Framing`. `chosen(stored=299)` is 299 pixels throughout.

        Raises:
            UserError: If the given sides do not fit each other.
        """
        default = cls()
        if stored is None:
            stored = min(side for side in (default.stored, square, shorter) if side is not None)
        if square is None:
            square = max(default.square, stored) if shorter is None else min(max(default.square, stored), shorter)
        return cls(max(default.shorter, square) if shorter is None else shorter, square, stored)

    @property
    def of_version_1(self):
        """Whether it is the framing of all sets of manifest version 1, which knew the stored side alone."""
        return (self.shorter, self.square, self.boxes) == (Framing.shorter, Framing.square, None)

    def __str__(self):
        """In words: `144 px`, or `299 px, of a square of 299 px, shorter side 340 px`."""
        words = f"{self.stored} px"
        if (self.shorter, self.square) != (Framing.shorter, Framing.square):
            words += f", of a square of {self.square} px, shorter side {self.shorter} px"
        return words + (", of pictures cropped to boxes" if self.boxes else "")


def box_in_pixels(box, width, height):
    """The whole pixels of a picture that a box touches.

    Args:
        box: `(left, top, right, bottom)` in the picture's own pixels, fractions allowed; pixel 0 lies between 0 and 1.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.

    Returns:
        `(left, top, right, bottom)`, integers: the box rounded outwards and cut off at the picture's edges, one pixel
        wide and high at least. `pixels[top:bottom, left:right]` are its pixels.

    Raises:
        ValueError: If the box has a value that is no finite number, ends before it begins, or lies outside the
            picture.
    """
    named = f"the box {', '.join(f'{value:g}' for value in box)} (left, top, right, bottom)"
    if not all(map(math.isfinite, box)) or box[0] > box[2] or box[1] > box[3]:
        raise ValueError(f"{named} is no box")
    edges = []
    for begin, end, side in ((box[0], box[2], width), (box[1], box[3], height)):
        first = math.floor(begin)
        last = max(first + 1, math.ceil(end))
        if first >= side or last <= 0:
            raise ValueError(f"{named} lies outside the {width}x{height} pixels")
        edges.append((max(0, first), min(side, last)))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def centre_box(width, height, framing):
    """The part of a picture that becomes the square.

    Args:
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        framing: The `Framing`.

    Returns:
        `(left, top, right, bottom)` in the picture's own, fractional pixels. Scaled by `framing.shorter / shorter
        side` (the longer side rounded to whole pixels, half up) it is the central square with offsets rounded down.
    """
    shorter = min(width, height)
    edges = []
    for side in (width, height):
        scaled = (2 * side * framing.shorter + shorter) // (2 * shorter)
        start = (scaled - framing.square) // 2
        step = side / scaled
        edges.append((start * step, min(side, (start + framing.square) * step)))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def box_in_square(box, width, height, framing, crop=None):
    """Where the box of an object in a picture lies in the picture's square.

    Args:
        box: `(xmin, ymin, xmax, ymax)` as shares of the picture's width and height.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        framing: The `Framing`.
        crop: `(left, top, right, bottom)`, the pixels that the picture was cropped to before it was framed, or `None`
            for all of it.

    Returns:
        The same as shares of the square, to six digits, cut off at its edges; `None` if nothing of the box is in it.
    """
    crop = crop or (0, 0, width, height)
    left, top, right, bottom = centre_box(crop[2] - crop[0], crop[3] - crop[1], framing)
    xmin, xmax = (round(min(1, max(0, (x * width - crop[0] - left) / (right - left))), 6) for x in box[::2])
    ymin, ymax = (round(min(1, max(0, (y * height - crop[1] - top) / (bottom - top))), 6) for y in box[1::2])
    return (xmin, ymin, xmax, ymax) if xmin < xmax and ymin < ymax else None


def square(pixels, framing):
    """Scales the shorter side and cuts out the central square.

    Only the pixels that end up in the square are computed: Pillow reads beyond the box where its triangle reaches
    over the edge, so the result is that of scaling the whole picture, without the memory an extreme aspect would take.

    Args:
        pixels: uint8 picture `(height, width, 3)` or float32 map `(height, width)`.
        framing: The `Framing`.

    Returns:
        The same kind of array, `(square, square, 3)` or `(square, square)`, `square` being the framing's.
    """
    height, width = pixels.shape[:2]
    return _resized(pixels, framing.square, centre_box(width, height, framing))


def square_of_map(saliency, made_of, crop, framing):
    """What of a map from elsewhere belongs to the picture's square.

    Args:
        saliency: float32 map `(height, width)` of the picture's size, or one of its square.
        made_of: `"picture"`, or `"square"` or `"stored"`, whose maps are there already.
        crop: `(left, top, right, bottom)`, the pixels that the picture was cropped to before it was framed.
        framing: The `Framing`.

    Returns:
        float32 `(square, square)` of a map of the picture; another one as it is.
    """
    if made_of != "picture":
        return saliency
    left, top, right, bottom = crop
    return square(saliency[top:bottom, left:right], framing)


def shrink(pixels, side):
    """Scales a square picture or map to `side` pixels.

    Args:
        pixels: uint8 `(square, square, 3)` or float32 `(square, square)`.
        side: Width and height to get.

    Returns:
        The same kind of array, `(side, side, 3)` or `(side, side)`.
    """
    return _resized(pixels, side, (0, 0, *pixels.shape[1::-1]))


def stored_map(saliency, side):
    """What is stored of a saliency map: round(255 * map / max(map)) at `side`, no minimum subtracted.

    Args:
        saliency: Map `(square, square)`, finite and not negative, in any scale.
        side: Width and height to get.

    Returns:
        uint8 `(side, side)` with maximum 255; a map of zeros stays zero.

    Raises:
        ValueError: If the map has negative or non-finite values.
    """
    saliency = np.asarray(saliency, "float32")
    if not np.isfinite(saliency).all() or saliency.min() < 0:
        extremes = f"{saliency.min()} to {saliency.max()}"
        raise ValueError(f"A saliency map must be finite and not negative. Received: {extremes}")
    peak = saliency.max()
    if peak == 0:
        return np.zeros((side, side), "uint8")
    # Scaled before it is resized: maps in tiny or huge units would lose digits or overflow on the way.
    small = shrink(saliency / peak, side).astype("float64")
    return np.rint(255 * small / small.max()).astype("uint8")


def _resized(pixels, side, box):
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    if image.size == (side, side) and box == (0, 0, side, side):
        return np.asarray(image)
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=box))
