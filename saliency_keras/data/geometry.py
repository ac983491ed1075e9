"""The geometry of a compact data set: what happens to a picture and its map before they are stored.

In the thesis's order (§3.2.1): the shorter side goes to 256 with the aspect kept, the central 256x256 is cut out, the
saliency map is predicted on that square, and then picture and map go to the stored side together. Every resize is
Pillow's antialiased bilinear one (a triangle as wide as the reduction), the same for picture and map. Nothing here
reads files, predicts or writes.
"""

import numpy as np

SQUARE = 256


def centre_box(width, height):
    """The part of a picture that becomes the 256x256 square.

    Args:
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.

    Returns:
        `(left, top, right, bottom)` in the picture's own, fractional pixels. Scaled by `256 / shorter side` (the
        longer side rounded to whole pixels, half up) it is the central square with offsets rounded down.
    """
    shorter = min(width, height)
    edges = []
    for side in (width, height):
        scaled = (2 * side * SQUARE + shorter) // (2 * shorter)
        start = (scaled - SQUARE) // 2
        step = side / scaled
        edges.append((start * step, min(side, (start + SQUARE) * step)))
    (left, right), (top, bottom) = edges
    return left, top, right, bottom


def box_in_square(box, width, height):
    """Where a box of a picture lies in its square.

    Args:
        box: `(xmin, ymin, xmax, ymax)` as shares of the picture's width and height.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.

    Returns:
        The same as shares of the square, to six digits, cut off at its edges; `None` if nothing of the box is in it.
    """
    left, top, right, bottom = centre_box(width, height)
    xmin, xmax = (round(min(1, max(0, (x * width - left) / (right - left))), 6) for x in box[::2])
    ymin, ymax = (round(min(1, max(0, (y * height - top) / (bottom - top))), 6) for y in box[1::2])
    return (xmin, ymin, xmax, ymax) if xmin < xmax and ymin < ymax else None


def square(pixels):
    """Scales the shorter side to 256 and cuts out the central 256x256.

    Only the pixels that end up in the square are computed: Pillow reads beyond the box where its triangle reaches
    over the edge, so the result is that of scaling the whole picture, without the memory an extreme aspect would take.

    Args:
        pixels: uint8 picture `(height, width, 3)` or float32 map `(height, width)`.

    Returns:
        The same kind of array, `(256, 256, 3)` or `(256, 256)`.
    """
    height, width = pixels.shape[:2]
    return _resized(pixels, SQUARE, centre_box(width, height))


def shrink(pixels, side):
    """Scales a square picture or map to `side` pixels.

    Args:
        pixels: uint8 `(256, 256, 3)` or float32 `(256, 256)`.
        side: Width and height to get.

    Returns:
        The same kind of array, `(side, side, 3)` or `(side, side)`.
    """
    return _resized(pixels, side, (0, 0, *pixels.shape[1::-1]))


def stored_map(saliency, side):
    """What is stored of a saliency map: round(255 * map / max(map)) at `side`, no minimum subtracted.

    Args:
        saliency: Map `(256, 256)`, finite and not negative, in any scale.
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
