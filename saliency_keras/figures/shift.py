"""Pictures with the map that people gave, that of a detector alone, and that of the network it is a part of."""

import numpy as np

from saliency_keras.figures import style
from saliency_keras.figures.overlay import overlay

ROWS = ("picture", "map taught", "detector alone", "joined network", "brighter (red), darker (blue)")


def shift_figure(pictures, taught, before, after):
    """One column a picture, and in the last row where the map became brighter and darker.

    Args:
        pictures: uint8 array `(pictures, height, width, 3)`.
        taught: Maps `(pictures, height, width)`, not negative.
        before: The same of the detector.
        after: The same of the joined network.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with style.look():
        figure = style.new_figure(1.7 * len(pictures) + 0.4, 1.7 * len(ROWS))
        grid = figure.subplots(len(ROWS), len(pictures), squeeze=False)
        for column, picture in enumerate(pictures):
            shown = [picture, *(overlay(picture, one[column]) for one in (taught, before, after))]
            for ax, image in zip(grid[:, column], shown, strict=False):
                ax.imshow(image)
            change = _unit(after[column]) - _unit(before[column])
            grid[-1, column].imshow(change, cmap="coolwarm", vmin=-1, vmax=1)
        for ax in grid.flat:
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
        for ax, name in zip(grid[:, 0], ROWS, strict=True):
            ax.set_ylabel(name, fontsize=8)
    return figure


def _unit(values):
    return values / max(values.max(), np.finfo("float32").tiny)
