"""Maps that know nothing of the picture: the centre of the field, and everywhere alike.

Controls for every claim about saliency. A network that gains as much from `center` as from a map gains from the
place where photographers put things; one that gains from `uniform` gains from its own changed architecture.
"""

import numpy as np


class Center:
    """An isotropic Gaussian in the middle of the picture.

    Args:
        sigma: Standard deviation as share of the longer side; the same number of pixels in both directions.
    """

    name = "center"
    version = 1

    def __init__(self, sigma=0.25):
        self.parameters = {"sigma": sigma}

    def __call__(self, images):
        """Maps of a batch.

        Args:
            images: uint8 array `(pictures, height, width, 3)`; only its shape matters.

        Returns:
            float32 array `(pictures, height, width)`, at most 1; one map, seen as often as there are pictures.
        """
        pictures, height, width = np.shape(images)[:3]
        sigma = self.parameters["sigma"] * max(height, width)
        rows, columns = (
            np.exp(-0.5 * ((np.arange(size) - (size - 1) / 2) / sigma) ** 2).astype(np.float32)
            for size in (height, width)
        )
        return np.broadcast_to(np.outer(rows, columns), (pictures, height, width))


class Uniform:
    """Ones: the map that prefers no place.

    A network that takes a map gets one, and learns nothing from it.
    """

    name = "uniform"
    version = 1

    def __init__(self):
        self.parameters = {}

    def __call__(self, images):
        """Maps of a batch.

        Args:
            images: uint8 array `(pictures, height, width, 3)`; only its shape matters.

        Returns:
            float32 array `(pictures, height, width)`, all 1; one map, seen as often as there are pictures.
        """
        pictures, height, width = np.shape(images)[:3]
        return np.broadcast_to(np.ones((height, width), np.float32), (pictures, height, width))
