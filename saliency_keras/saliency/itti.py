"""Saliency by centre and surround (Itti, Koch & Niebur, IEEE PAMI 20(11), 1998).

Seven features (intensity, red-green, blue-yellow, four orientations) at the centre scales c = 2, 3, 4 are compared with
the surround scales c + 3 and c + 4. The 42 maps pass N(.), which favours maps with one strong peak. They are summed
within colour, intensity and orientation. These three sums pass N(.) again and are averaged.

Scale 2 is a quarter of the paper's 640 x 480 pixels. Here the picture is reduced to the longer side of that scale (160
pixels), so that scales are shares of the picture.

Equation 2 of the paper, (R(c) - G(c)) - (G(s) - R(s)), would *add* the surround. Its text speaks of a difference
between centre and surround, which is what we compute, as the authors' later code does. From that code we also take the
linear attenuation of each difference within a twentieth of the longer side from the border, where the surround has only
half of its neighbours. This is no centre prior: the middle nine tenths do not change. The final blur is not in the
paper: an attention map needs a peak, a map of fixations their spread. No winner-take-all network is run.
"""

import dataclasses
import functools

import numpy as np
from scipy.ndimage import maximum_filter

from saliency_keras.saliency.filtering import enlarge, fitted_size, gabor_energy, resize, small_planes
from saliency_keras.saliency.per_picture import PerPicture

CENTRES = (2, 3, 4)
DELTAS = (3, 4)
COLOURS, INTENSITY, ORIENTATIONS = slice(0, 2), slice(2, 3), slice(3, 7)
# A map whose greatest value is below a quarter grey level is flat: what is left is rounding.
FLAT = 1e-3


@dataclasses.dataclass(frozen=True)
class Itti(PerPicture):
    """Saliency by centre and surround.

    Args:
        working_side: Longer side of scale 2, in pixels.
        wavelength: Wavelength of the Gabor filters, in pixels of each scale.
        border: Width of the attenuated border, as share of the longer side.
        sigma_blur: Standard deviation of the final blur, as share of the longer side.
    """

    name = "itti"
    version = 1

    working_side: int = 160
    wavelength: float = 7.0
    border: float = 0.05
    sigma_blur: float = 0.03

    def map_of(self, image):
        """The map of one picture: the mean of the three conspicuity maps, blurred."""
        height, width = image.shape[:2]
        pyramid = self._pyramid(image)
        small = pyramid[4].shape[1:]
        sums = np.zeros((7, *small), np.float32)
        for centre in CENTRES:
            size = pyramid[centre].shape[1:]
            inside = _inside(*size, self.border)
            for delta in DELTAS:
                difference = np.abs(pyramid[centre] - resize(pyramid[centre + delta], *size)) * inside
                sums += resize(normalised(difference), *small)
        conspicuity = np.stack([sums[part].sum(axis=0) for part in (COLOURS, INTENSITY, ORIENTATIONS)])
        total = normalised(conspicuity).mean(axis=0)
        if not total.any():
            total += 1
        return enlarge(total, height, width, self.sigma_blur * max(small))

    def _pyramid(self, image):
        """The seven features at scales 2 to 8, `{scale: float32 array (7, h, w)}`."""
        height, width = fitted_size(*image.shape[:2], self.working_side)
        red, green, blue = small_planes(image, height, width)
        planes = np.concatenate([_colours(red, green, blue), (red + green + blue)[None] / 3])
        pyramid = {}
        for scale in range(CENTRES[0], CENTRES[-1] + DELTAS[-1] + 1):
            if scale > CENTRES[0]:
                planes = resize(planes, -(-planes.shape[1] // 2), -(-planes.shape[2] // 2))
            pyramid[scale] = np.concatenate([planes, gabor_energy(planes[2], self.wavelength)])
        return pyramid


def _colours(red, green, blue):
    """Red minus green and blue minus yellow of the broadly tuned colours, `(2, h, w)`; 0 where it is dark."""
    intensity = (red + green + blue) / 3
    # Hue is not perceivable at very low luminance: the paper sets it to 0 below a tenth of the greatest.
    bright = np.where(intensity > intensity.max() / 10, 1 / np.maximum(intensity, 1e-3), 0)
    red, green, blue = red * bright, green * bright, blue * bright
    tuned_red = np.maximum(red - (green + blue) / 2, 0)
    tuned_green = np.maximum(green - (red + blue) / 2, 0)
    tuned_blue = np.maximum(blue - (red + green) / 2, 0)
    tuned_yellow = np.maximum((red + green) / 2 - np.abs(red - green) / 2 - blue, 0)
    return np.stack([tuned_red - tuned_green, tuned_blue - tuned_yellow])


@functools.lru_cache(maxsize=16)
def _inside(height, width, border):
    """Weights `(height, width)` that rise linearly from the border to 1."""
    ramps = [
        np.minimum(1, (np.minimum(np.arange(size), np.arange(size)[::-1]) + 0.5) / (border * max(height, width)))
        for size in (height, width)
    ]
    return np.outer(*ramps).astype(np.float32)


def normalised(planes):
    """The operator N(.): maps with few strong peaks are promoted, maps with many alike are suppressed.

    Args:
        planes: float32 array `(n, h, w)`, not negative.

    Returns:
        float32 array `(n, h, w)`: each plane divided by its greatest value, then multiplied by (1 - m)^2, where m is
        the mean of the local maxima other than the greatest. A flat plane becomes 0.
    """
    greatest = planes.max(axis=(1, 2), keepdims=True)
    planes = np.where(greatest < FLAT, 0, planes / np.maximum(greatest, FLAT))
    peaks = np.where(planes >= maximum_filter(planes, size=(1, 3, 3), mode="nearest"), planes, 0)
    count = np.maximum(np.count_nonzero(peaks, axis=(1, 2)) - 1, 1)
    mean = np.maximum(peaks.sum(axis=(1, 2)) - 1, 0) / count
    return planes * ((1 - mean) ** 2).astype(np.float32)[:, None, None]
