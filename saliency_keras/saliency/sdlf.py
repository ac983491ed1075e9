"""Saliency of distinctive local features (Torralba, Oliva, Castelhano & Henderson, Psychological Review 113(4), 2006).

The bottom-up part of the paper's contextual guidance: a place is salient as its local features are improbable in the
picture. Features are oriented band-pass responses of red, green and blue, in six orientations at four scales: 72 values
a place. The filters are even Gabor filters; the paper has a steerable pyramid of the same layout. Their distribution is
the multivariate power exponential, fitted to each picture,

    log p(v) = const - 1/2 [(v - mean)' D^-1 (v - mean)]^alpha

and saliency is p(v)^-gamma, blurred. The scatter D and the exponent alpha are fitted by moments: the covariance, and
Mardia's kurtosis of the features (Gomez, Gomez-Villegas & Marin, Communications in Statistics 27(3), 1998).
The paper's second part, in which the kind of scene guides the search for an object, needs a task and is not here.
"""

import dataclasses
import math

import numpy as np

from saliency_keras.saliency.filtering import blur, enlarge, fitted_size, gabor_responses, resize, small_planes
from saliency_keras.saliency.per_picture import PerPicture

# Least and greatest exponent: a density with tails so heavy that its moments lose meaning, and the Gaussian.
EXPONENTS = (0.05, 1.0)
FLAT = 1e-3


@dataclasses.dataclass(frozen=True)
class SDLF(PerPicture):
    """Saliency of distinctive local features.

    Args:
        working_side: Longer side of the reduced picture, in pixels.
        wavelength: Wavelength of the finest scale, in pixels of the reduced picture; each further one has twice it.
        scales: Number of scales.
        orientations: Number of orientations.
        gamma: Exponent of the improbability (0.05 in the paper): greater ones favour the rarest places.
        sigma_blur: Standard deviation of the final blur, as share of the longer side.
    """

    name = "sdlf"
    version = 1

    working_side: int = 128
    wavelength: float = 4.0
    scales: int = 4
    orientations: int = 6
    gamma: float = 0.05
    sigma_blur: float = 0.04

    def map_of(self, image):
        """The map of one picture. Greatest before the blur 1."""
        height, width = image.shape[:2]
        small = fitted_size(height, width, self.working_side)
        features = self._features(small_planes(image, *small))
        features = features[np.ptp(features, axis=1) >= FLAT]
        if not len(features):
            return np.ones((height, width), np.float32)
        information = self.gamma * improbability(features).reshape(small)
        # Relative to the greatest, so that no power of a probability overflows.
        surprise = np.exp(information - information.max())
        return enlarge(blur(surprise, self.sigma_blur * max(small)), height, width, 0)

    def _features(self, planes):
        """Even responses at all scales, orientations and colours: float32 array `(features, places)`."""
        _, height, width = planes.shape
        features = []
        for scale in range(self.scales):
            if scale:
                planes = resize(planes, -(-planes.shape[1] // 2), -(-planes.shape[2] // 2))
            even, _ = gabor_responses(planes, self.wavelength, self.orientations)
            features.append(resize(even, height, width).reshape(-1, height * width))
        return np.concatenate(features)


def improbability(features):
    """Minus the logarithm of the fitted power exponential density, up to a constant.

    Args:
        features: float32 array `(features, places)`.

    Returns:
        float32 array `(places,)`, not negative, in nats.
    """
    count, places = features.shape
    centred = features - features.mean(axis=1, keepdims=True)
    covariance = (centred @ centred.T).astype(np.float64) / places
    # Directions that the picture hardly uses (few places, equal colours) would be divided by almost nothing.
    ridge = 1e-4 * np.trace(covariance) / count
    whitening = np.linalg.inv(np.linalg.cholesky(covariance + ridge * np.eye(count)))
    distance = np.square(whitening.astype(np.float32) @ centred).sum(axis=0)
    kurtosis = float(np.mean(distance.astype(np.float64) ** 2) / max(np.mean(distance), 1e-9) ** 2) * count**2
    alpha = exponent_of_kurtosis(kurtosis, count)
    # Covariance = scale * D.
    log_scale = math.log(2) / alpha - math.log(count)
    log_scale += math.lgamma((count + 2) / (2 * alpha)) - math.lgamma(count / (2 * alpha))
    with np.errstate(divide="ignore"):
        return (0.5 * np.exp(alpha * (np.log(distance) + np.float32(log_scale)))).astype(np.float32)


def exponent_of_kurtosis(kurtosis, dimensions):
    """The exponent alpha at which the power exponential has this kurtosis.

    Args:
        kurtosis: Mardia's: mean of the squared Mahalanobis distance, squared; d (d + 2) for a Gaussian.
        dimensions: d.

    Returns:
        alpha, within `EXPONENTS`; 1 is the Gaussian, less has heavier tails.
    """
    least, greatest = EXPONENTS
    for _ in range(40):
        middle = (least + greatest) / 2
        moments = [math.lgamma((dimensions + order) / (2 * middle)) for order in (0, 2, 4)]
        log_kurtosis = 2 * math.log(dimensions) + moments[0] + moments[2] - 2 * moments[1]
        # The heavier the tails the greater the kurtosis.
        if log_kurtosis > math.log(max(kurtosis, 1e-9)):
            least = middle
        else:
            greatest = middle
    return (least + greatest) / 2
