"""GBVS: the closed forms are the chains' equilibria, and its maps find what stands out."""

import os
import subprocess
import sys

import numpy as np
import pytest

from saliency_keras.saliency import predictor
from saliency_keras.saliency.gbvs import activation, concentration


def _gaussian(height, width, sigma):
    places = np.argwhere(np.ones((height, width)))
    return np.exp(-0.5 * ((places[:, None] - places[None]) ** 2).sum(-1) / sigma**2)


def _equilibrium(weights):
    """Where a walk with these weights rests, by walking: the paper's way."""
    steps = weights / weights.sum(axis=1, keepdims=True)
    mass = np.full(len(weights), 1 / len(weights))
    for _ in range(2000):
        # Half of the walkers wait, or a chain that alternates between two sides would never rest.
        mass = (mass + mass @ steps) / 2
    return mass


def test_activation_is_the_equilibrium_of_harels_first_chain():
    values = np.random.default_rng(0).random((5, 7)).astype(np.float32)
    weights = np.abs(values.ravel()[:, None] - values.ravel()) * _gaussian(5, 7, 1.5)
    found = activation(values[None], 1.5)[0]
    np.testing.assert_allclose(found.ravel() / found.sum(), _equilibrium(weights), rtol=1e-4)


def test_concentration_is_the_equilibrium_of_harels_second_chain():
    active = np.random.default_rng(1).random((6, 4)).astype(np.float32)
    weights = active.ravel()[None, :] * _gaussian(6, 4, 1.2)
    found = concentration(active[None], 1.2)[0]
    np.testing.assert_allclose(found.ravel() / found.sum(), _equilibrium(weights), rtol=1e-4)


def test_an_odd_one_out_is_most_salient():
    picture = np.full((1, 96, 128, 3), 128, np.uint8)
    picture[:, 60:76, 20:36] = (200, 60, 60)
    (found,) = predictor("gbvs")(picture)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert 56 <= row < 80
    assert 16 <= column < 40


def test_a_picture_without_contrast_gets_ones():
    for level in (0, 77, 255):
        np.testing.assert_allclose(predictor("gbvs")(np.full((1, 40, 30, 3), level, np.uint8)), 1, atol=1e-5)


def test_a_constant_channel_has_no_say():
    """A grey picture has no colour; its map is that of intensity and orientation, and finite."""
    grey = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 1), np.uint8).repeat(3, axis=-1)
    found = predictor("gbvs")(grey)
    assert np.isfinite(found).all()
    assert found.std() > 0.01


PICTURES = """
import sys
import numpy as np
from saliency_keras.saliency import predictor
pictures = np.random.default_rng(0).integers(0, 256, (5, 90, 130, 3), np.uint8)
sys.stdout.buffer.write(predictor("gbvs")(pictures).tobytes())
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_map_does_not_depend_on_its_batch_nor_on_threads(threads):
    """Shards written by any number of workers must be the same to the last bit."""
    pictures = np.random.default_rng(0).integers(0, 256, (5, 90, 130, 3), np.uint8)
    one_by_one = np.concatenate([predictor("gbvs")(pictures[[number]]) for number in range(5)])
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": threads, "OMP_NUM_THREADS": threads}
    together = subprocess.run([sys.executable, "-c", PICTURES], env=environment, capture_output=True, check=True).stdout
    assert one_by_one.tobytes() == together
