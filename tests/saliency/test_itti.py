"""Itti, Koch & Niebur's operator and pyramid."""

import numpy as np

from saliency_keras.saliency import predictor
from saliency_keras.saliency.itti import normalised


def _peaks(*values):
    """A map with single bright pixels, far from each other."""
    plane = np.zeros((9, 40), np.float32)
    plane[4, 3 : 3 + 8 * len(values) : 8] = values
    return plane


def test_one_peak_is_promoted_over_many():
    """Their figure 2: a map with one strong peak keeps it, a map with many alike is suppressed."""
    one, many = normalised(np.stack([_peaks(5.0), _peaks(5.0, 5.0, 5.0, 5.0)]))
    assert one.max() == 1
    assert many.max() == 0


def test_the_factor_is_the_squared_distance_of_the_greatest_peak_to_the_mean_of_the_others():
    found = normalised(_peaks(4.0, 1.0, 2.0)[None])[0]
    np.testing.assert_allclose(found.max(), (1 - (0.25 + 0.5) / 2) ** 2, rtol=1e-6)


def test_the_operator_does_not_know_the_units():
    planes = np.random.default_rng(0).random((3, 12, 16)).astype(np.float32)
    np.testing.assert_allclose(normalised(planes), normalised(8 * planes), rtol=1e-5)


def test_a_colour_that_differs_pops_out():
    """One red bar among green ones of the same intensity."""
    picture = np.full((1, 120, 160, 3), 90, np.uint8)
    for row in range(15, 120, 30):
        for column in range(20, 160, 40):
            picture[0, row - 6 : row + 6, column - 3 : column + 3] = (20, 200, 20)
    picture[0, 39:51, 97:103] = (200, 20, 20)
    (found,) = predictor("itti")(picture)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert abs(row - 45) <= 8
    assert abs(column - 100) <= 8


def test_an_orientation_that_differs_pops_out():
    """One upright bar among horizontal ones, no colour."""
    picture = np.full((1, 240, 320, 3), 90, np.uint8)
    for row in range(30, 240, 60):
        for column in range(40, 320, 60):
            picture[0, row - 3 : row + 3, column - 12 : column + 12] = 250
    picture[0, 140:160, 140:180] = 90
    picture[0, 138:162, 157:163] = 250
    (found,) = predictor("itti")(picture)
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert abs(row - 150) <= 20
    assert abs(column - 160) <= 20
