"""Attention based on information maximization (Bruce & Tsotsos, NIPS 2005; Journal of Vision 9(3):5, 2009).

A place is salient as far as it is surprising in its own picture: the sum over independent features of -log p(response).
The features are independent components of photographs' patches, so that the joint likelihood is the product of the
single ones. Each of these is estimated from the responses at all places of the picture: their histogram, smoothed by a
Gaussian. `learn_aim_basis.py` learned the components, 11 x 11 pixels in colour, from 2,000
training photographs of Imagenette (160 pixels); they lie in `aim_basis.npz`.

The likelihood is of the whole picture, not of a surround (the 2009 paper has both). At the border the picture is
reflected. In the end the map is blurred, as a model of the eye's acuity. No centre prior is added.
"""

import dataclasses
import functools
from pathlib import Path

import numpy as np

from saliency_keras.saliency.filtering import blur, enlarge, fitted_size, small_planes
from saliency_keras.saliency.per_picture import PerPicture

WORKING_SIDE = 128
BASIS = Path(__file__).with_name("aim_basis.npz")


@dataclasses.dataclass(frozen=True)
class AIM(PerPicture):
    """Self-information of independent components.

    Args:
        bins: Number of bins of the histogram of a response, between its least and its greatest.
        sigma_density: Standard deviation of the Gaussian that smooths the histogram, in bins.
        sigma_blur: Standard deviation of the final blur, as share of the longer side.
    """

    name = "aim"
    version = 1

    bins: int = 128
    sigma_density: float = 2.0
    sigma_blur: float = 0.04

    def map_of(self, image):
        """The map of one picture. The blurred self-information in nats, less its least value in the picture."""
        height, width = image.shape[:2]
        small = fitted_size(height, width, WORKING_SIDE)
        responses = component_responses(small_planes(image, *small))
        surprise = self_information(responses, self.bins, self.sigma_density)
        surprise = surprise.sum(axis=0).reshape(small)
        sigma = self.sigma_blur * max(small)
        surprise = blur(surprise, sigma)
        if np.ptp(surprise) < 1e-3:
            surprise = np.ones_like(surprise)
        else:
            surprise -= surprise.min()
        return enlarge(surprise, height, width, 0)


@functools.cache
def basis():
    """The filters, float32 array `(components, side, side, 3)`, learned by `learn_aim_basis.py`."""
    with np.load(BASIS, allow_pickle=False) as file:
        return file["filters"]


def component_responses(planes):
    """Responses of the components at every place.

    Args:
        planes: float32 array `(3, h, w)`, red, green and blue, 0 to 1.

    Returns:
        float32 array `(components, h * w)`.
    """
    filters = basis()
    side = filters.shape[1]
    before, after = side // 2, side - 1 - side // 2
    padded = np.pad(planes, ((0, 0), (before, after), (before, after)), mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))  # (3, h, w, side, side)
    patches = windows.transpose(3, 4, 0, 1, 2).reshape(side * side * 3, -1)  # (side * side * 3, h * w)
    return filters.reshape(len(filters), -1) @ patches


def self_information(responses, bins, sigma):
    """-log p of every response, p estimated from all responses of its row.

    Args:
        responses: float32 array `(components, places)`.
        bins: Number of bins.
        sigma: Standard deviation of the Gaussian that smooths the histogram, in bins.

    Returns:
        float32 array `(components, places)` in nats; p is the probability of a bin. 0 for a row without contrast.
    """
    least = responses.min(axis=1, keepdims=True)
    reach = responses.max(axis=1, keepdims=True) - least
    scale = np.where(reach > 1e-3, (bins - 1) / np.maximum(reach, 1e-3), 0)
    bin_of = ((responses - least) * scale + 0.5).astype(np.int64)
    offsets = np.arange(len(responses))[:, None] * bins
    counts = np.bincount((bin_of + offsets).ravel(), minlength=len(responses) * bins).reshape(-1, bins)
    density = blur(counts[:, None].astype(np.float32), sigma)[:, 0] / responses.shape[1]
    information = -np.log(np.maximum(density, np.finfo(np.float32).tiny))
    information[reach[:, 0] <= 1e-3] = 0
    return information.ravel()[bin_of + offsets]
