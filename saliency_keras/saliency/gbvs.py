"""Graph-based visual saliency (Harel, Koch & Perona, NIPS 2006), with the chains' equilibria in closed form.

Channels are red against green, blue against yellow, intensity, and Gabor energy in four orientations at two scales. On
each small map stand two Markov chains whose states are the map's places:

1. activation: the weight between places i and j is |M(i) - M(j)| G(i - j), G a Gaussian of their distance;
2. concentration: the weight from i to j is A(j) G'(i - j), G' a narrower Gaussian.

The paper iterates them to their equilibrium. Both are reversible, so the equilibrium can be written down. The weights
of the first are symmetric, and a walk on an undirected graph rests at a place in proportion to the sum of its weights:
A(i) = sum_j |M(i) - M(j)| G(i - j). In the second, A(i) A(j) G'(i - j) is symmetric, and the flow from i to j equals
that from j to i. So the place i has A(i) sum_j A(j) G'(i - j): the activation times its own blur.

No centre prior is added. A place at the border has fewer neighbours, so that the method itself favours the middle.
"""

import dataclasses
import functools

import numpy as np

from saliency_keras.saliency.filtering import enlarge, fitted_size, gabor_energy, resize, small_planes
from saliency_keras.saliency.per_picture import PerPicture

# A channel whose values differ by less than a quarter grey level is flat: what is left is rounding.
FLAT = 1e-3


@dataclasses.dataclass(frozen=True)
class GBVS(PerPicture):
    """Graph-based visual saliency.

    Args:
        working_side: Longer side of the reduced picture on which the channels are computed, in pixels.
        map_side: Longer side of the maps on which the chains run; the number of their states grows with its square.
        wavelengths: Wavelengths of the Gabor filters, in pixels of the reduced picture.
        sigma_activation: Standard deviation of the first chain's Gaussian, as share of the longer side.
        sigma_concentration: The same of the second chain.
        sigma_blur: Standard deviation of the final blur, as share of the longer side (the authors' code has 0.02).
    """

    name = "gbvs"
    version = 2

    working_side: int = 128
    map_side: int = 32
    wavelengths: tuple[float, ...] = (3.0, 6.0)
    sigma_activation: float = 0.15
    sigma_concentration: float = 0.04
    sigma_blur: float = 0.02

    def map_of(self, image):
        """The map of one picture. Mean 1 before the final blur."""
        height, width = image.shape[:2]
        small = fitted_size(height, width, self.map_side)
        total = np.zeros(small, np.float32)
        for planes in self._channels(image, small):
            flat = np.ptp(planes, axis=(1, 2)) < FLAT
            if flat.all():
                continue
            active = concentration(
                activation(planes[~flat], self.sigma_activation * max(small)),
                self.sigma_concentration * max(small),
            ).sum(axis=0)
            total += active / active.mean()
        if not total.any():
            total += 1
        return enlarge(total / total.mean(), height, width, self.sigma_blur * max(small))

    def _channels(self, image, small):
        """Planes `(n, *small)` of colour, intensity and orientation; each of the three counts the same in the end."""
        height, width = image.shape[:2]
        red, green, blue = small_planes(image, *fitted_size(height, width, self.working_side))
        intensity = (red + green + blue) / 3
        energies = [gabor_energy(intensity, wavelength) for wavelength in self.wavelengths]
        opponents = np.stack([red - green, blue - (red + green) / 2])
        return [resize(planes, *small) for planes in (opponents, intensity[None], np.concatenate(energies))]


def activation(planes, sigma):
    """Equilibrium of the chain that leaves a place for those unlike it.

    Args:
        planes: float32 array `(n, h, w)` of features.
        sigma: Standard deviation of the Gaussian of distance, in places.

    Returns:
        float32 array `(n, h, w)`, not negative; each plane has mean 1, unless it is constant: then it is 0.
    """
    pictures, height, width = planes.shape
    closeness = _closeness(height, width, sigma)
    values = planes.reshape(pictures, -1)
    sums = np.empty_like(values)
    difference = np.empty_like(closeness)
    for plane, weights in zip(values, sums, strict=True):
        np.subtract(plane[:, None], plane[None, :], out=difference)
        np.abs(difference, out=difference)
        np.einsum("ij,ij->i", difference, closeness, out=weights)
    return _mean_one(sums.reshape(planes.shape))


def concentration(active, sigma):
    """Equilibrium of the chain that is drawn to active places near by.

    Args:
        active: float32 array `(n, h, w)`, not negative.
        sigma: Standard deviation of the Gaussian of distance, in places.

    Returns:
        float32 array `(n, h, w)`, not negative; each plane has mean 1, unless `active` is 0 everywhere: then it is 0.
    """
    _, height, width = active.shape
    rows, columns = _gaussian_of_distance(height, sigma), _gaussian_of_distance(width, sigma)
    return _mean_one(active * np.matmul(np.matmul(rows, active), columns))


def _mean_one(planes):
    means = planes.mean(axis=(1, 2), keepdims=True)
    return planes / np.where(means > 0, means, 1)


@functools.lru_cache(maxsize=16)
def _gaussian_of_distance(size, sigma):
    # Not renormalised at the borders: the weight between two places must be the same both ways.
    distances = np.arange(size)[:, None] - np.arange(size)[None, :]
    return np.exp(-0.5 * (distances / sigma) ** 2).astype(np.float32)


@functools.lru_cache(maxsize=4)
def _closeness(height, width, sigma):
    return np.kron(_gaussian_of_distance(height, sigma), _gaussian_of_distance(width, sigma))
