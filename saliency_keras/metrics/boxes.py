"""Boxes around masks, and how well two boxes agree: plain numpy."""

import numpy as np


def box_of_mask(mask):
    """The smallest box that holds all ones of a mask.

    Args:
        mask: Bool array `(h, w)`.

    Returns:
        `(left, top, right, bottom)`, integers: `mask[top:bottom, left:right]` holds all ones. `None` of a mask without
        any.
    """
    rows, columns = (np.flatnonzero(np.any(mask, axis=axis)) for axis in (1, 0))
    if not rows.size:
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def largest_component(mask):
    """The largest part of a mask whose ones touch each other at their sides, the first of several.

    Args:
        mask: Bool array `(h, w)`.

    Returns:
        Bool array `(h, w)`.
    """
    from scipy import ndimage

    labels, count = ndimage.label(mask)
    if count < 2:
        return np.asarray(mask, bool)
    return labels == 1 + np.bincount(labels.ravel())[1:].argmax()


def iou(box, other):
    """Intersection over union of two boxes.

    Args:
        box: `(left, top, right, bottom)`, in any unit.
        other: The same, in the same unit.

    Returns:
        A float, 0 to 1; 0 where both are empty.
    """
    width, height = (min(box[end], other[end]) - max(box[start], other[start]) for start, end in ((0, 2), (1, 3)))
    shared = max(width, 0) * max(height, 0)
    whole = sum((one[2] - one[0]) * (one[3] - one[1]) for one in (box, other)) - shared
    return shared / whole if whole > 0 else 0.0
