"""SDLF: the fitted density is the power exponential, and improbable features are salient."""

import numpy as np
import pytest

from saliency_keras.saliency import predictor
from saliency_keras.saliency.sdlf import exponent_of_kurtosis, improbability


def _power_exponential(alpha, dimensions, count, generator):
    """Draws by the stochastic representation of Gomez et al.: a direction times the root of a gamma variate."""
    directions = generator.standard_normal((dimensions, count))
    directions /= np.linalg.norm(directions, axis=0)
    return directions * (2 * generator.gamma(dimensions / (2 * alpha), size=count)) ** (1 / (2 * alpha))


@pytest.mark.parametrize("alpha", [0.3, 0.6, 0.95])
def test_the_exponent_is_recovered_from_samples(alpha):
    generator = np.random.default_rng(0)
    samples = _power_exponential(alpha, 8, 100_000, generator)
    distance = 8 * (samples**2).sum(axis=0) / (samples**2).sum(axis=0).mean()
    assert exponent_of_kurtosis((distance**2).mean(), 8) == pytest.approx(alpha, abs=0.03)


def test_a_gaussian_has_exponent_one():
    assert exponent_of_kurtosis(8 * 10, 8) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("alpha", [0.4, 0.8])
def test_improbability_is_the_exponent_of_the_true_density(alpha):
    """-log p = 1/2 [v' D^-1 v]^alpha, for any D: here of features stretched and mixed."""
    generator = np.random.default_rng(1)
    samples = _power_exponential(alpha, 4, 100_000, generator)
    mixing = generator.standard_normal((4, 4))
    found = improbability((mixing @ samples).astype(np.float32))
    expected = 0.5 * (samples**2).sum(axis=0) ** alpha
    np.testing.assert_allclose(np.median(found / expected), 1, atol=0.05)
    assert np.corrcoef(found, expected)[0, 1] > 0.995


def test_the_improbable_place_is_salient():
    generator = np.random.default_rng(0)
    picture = generator.integers(100, 130, (1, 96, 128, 3), np.uint8)
    picture[:, 20:32, 90:102, 0] = 230
    (found,) = predictor("sdlf")(picture)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert 16 <= row < 36
    assert 86 <= column < 106
