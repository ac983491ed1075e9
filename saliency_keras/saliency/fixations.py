"""Human fixations as saliency maps, where a picture set has them.

Not a predictor in the sense of the registry, for no picture alone says where people looked: these maps are asked for
by the picture's name. Scored against its own fixations, such a map is the row that the hallucination paper's Table III
calls ground truth; it shows what a metric's ceiling is, and is evidence for nothing else.
"""

import numpy as np

from saliency_keras.metrics.points import Density


class Fixations:
    """The fixations of all observers, blurred.

    Args:
        fixation_set: `FixationSet`.
        sigma: Standard deviation of the Gaussian in pixels, or `None` for one degree of visual angle
            (`FixationSet.sigma`).
    """

    name = "fixations"
    version = 1

    def __init__(self, fixation_set, sigma=None):
        self.fixation_set = fixation_set
        self.parameters = {"set": fixation_set.folder.resolve().name, "sigma": sigma}

    def map_of(self, image):
        """The map of one picture.

        Args:
            image: The picture's file name.

        Returns:
            float32 array `(height, width)` of the picture's size, of maximum 1; all zeros where nobody looked.

        Raises:
            KeyError: If the set has no picture of that name.
        """
        sigma = self.parameters["sigma"] or self.fixation_set.sigma(image)
        values = Density.of(self.fixation_set.points(image), sigma).values
        return (values / (values.max() or 1.0)).astype(np.float32)
