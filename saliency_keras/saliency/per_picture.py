"""What the classical predictors share: a picture's map depends on that picture alone."""

import numpy as np


class PerPicture:
    """A predictor that looks at one picture at a time; a subclass says how in `map_of`."""

    def __call__(self, images):
        """Maps of a batch.

        Args:
            images: uint8 array `(pictures, height, width, 3)`, RGB.

        Returns:
            float32 array `(pictures, height, width)`, not negative. A picture without any contrast gets ones. The map
            of a picture is the same to the last bit in every batch.
        """
        maps = np.empty(images.shape[:3], np.float32)
        for image, one in zip(images, maps, strict=True):
            one[...] = self.map_of(image)
        return maps

    def map_of(self, image):
        """The map of one picture: uint8 `(height, width, 3)` -> float32 `(height, width)`."""
        raise NotImplementedError
