"""Fixation points, densities and exact counting."""

import math

import numpy as np
import pytest

from saliency_keras.metrics.points import Density, FixationPoints, SaliencyMap
from saliency_keras.metrics.roc import SORTED_UP_TO, CountedValues, grid


def test_a_fixation_belongs_to_the_pixel_whose_centre_is_nearest():
    points = FixationPoints([-0.5, 0.49, 0.5, 3.2], [0, 0, 1.5, 2.4999], 4, 3)
    assert points.counts().tolist() == [[2, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 1]]
    assert points.fixated.tolist() == [0, 9, 11]


def test_fixations_are_counted_in_the_cell_they_fall_into():
    points = FixationPoints([0, 15, 16, 15.4], [0, 7, 8, 7], 32, 16)
    assert points.counts_in_cells(2, 2).tolist() == [[3, 0], [0, 1]]
    assert points.counts_in_cells(16, 32).tolist() == points.counts().tolist()


def test_points_outside_the_picture_are_left_out_and_counted():
    points = FixationPoints([-0.51, 3.5, 1, 1, 1], [1, 1, -0.6, 2.5, 1], 4, 3)
    assert (len(points), points.outside) == (1, 4)
    # 0.5 - 2^-54 lies inside a picture of one pixel, yet x + 0.5 rounds up to the next one.
    assert FixationPoints([0.49999999999999994], [0], 1, 1).counts().sum() <= 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (([1, math.nan], [1, 1], 4, 3), "y=1.0 at index 1"),
        (([math.inf], [1], 4, 3), "x=inf"),
        (([1, 2], [1], 4, 3), r"x of \(2,\), y of \(1,\)"),
        (([], [], 0, 3), "width=0"),
    ],
)
def test_fixations_that_are_none_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        FixationPoints(*arguments)


def test_a_density_is_a_gaussian_around_every_fixation_divided_by_the_sum():
    points, sigma = FixationPoints([2, 2, 7.4, 0], [1, 1, 5, 6], 9, 7), 1.3
    rows, columns = np.mgrid[:7, :9]
    bumps = [
        np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2)) for x, y in [(2, 1)] * 2 + [(7, 5), (0, 6)]
    ]
    np.testing.assert_allclose(Density.of(points, sigma).values, sum(bumps) / np.sum(bumps), rtol=1e-12)


def test_a_picture_without_fixations_has_a_density_of_zeros():
    assert Density.of(FixationPoints([], [], 5, 4), 2.0).values.tolist() == np.zeros((4, 5)).tolist()


@pytest.mark.parametrize(
    ("sigma", "kind"), [(0, ValueError), (-1, ValueError), (math.nan, ValueError), (math.inf, ValueError)]
)
def test_a_blur_without_width_is_refused(sigma, kind):
    with pytest.raises(kind, match="Received: sigma="):
        Density.of(FixationPoints([1], [1], 5, 4), sigma)


def test_what_is_no_density_or_map_is_refused():
    with pytest.raises(TypeError, match="Received: ndarray"):
        Density.of(np.ones((4, 5)), 2.0)
    for values in (np.ones(4), np.full((2, 2), math.nan), np.array([[1.0, -1.0]]), np.ones((0, 4))):
        with pytest.raises(ValueError, match="Received"):
            Density(values)
    for values in (np.ones(4), np.ones((0, 4)), np.ones((2, 2), complex), np.array([["a"]])):
        with pytest.raises(ValueError, match="Received"):
            SaliencyMap(values)


SIZE = SORTED_UP_TO + 5_000
MANY_VALUES = {
    "even": np.random.default_rng(0).random(SIZE),
    "long tail": np.exp(-np.random.default_rng(1).random(SIZE) * 400),
    "integers": np.random.default_rng(2).integers(0, 256, SIZE).astype(np.float64),
    "two levels": np.random.default_rng(3).integers(0, 2, SIZE) * 1e-3 - 7,
    "signs": np.random.default_rng(4).normal(size=SIZE) * 1e6,
    "constant": np.full(SIZE, 0.7),
    "tiny": np.random.default_rng(5).random(SIZE) * 1e-310,
    "huge": np.random.default_rng(6).normal(size=SIZE) * 1e307,
    "offset": np.random.default_rng(7).random(SIZE) + 1e9,
}


@pytest.mark.parametrize("values", MANY_VALUES.values(), ids=MANY_VALUES)
def test_counting_many_values_by_bins_is_as_exact_as_sorting_them(values):
    generator = np.random.default_rng(8)
    between = generator.choice(values, 40) / 2 + generator.choice(values, 40) / 2
    thresholds = np.concatenate([generator.choice(values, 80), between, [values.min() - 1, values.max() + 1, 0.0]])
    ordered = np.sort(values)
    below, up_to = CountedValues(values).counts_below(thresholds)
    np.testing.assert_array_equal(below, np.searchsorted(ordered, thresholds, "left"))
    np.testing.assert_array_equal(up_to, np.searchsorted(ordered, thresholds, "right"))


def test_the_grid_of_thresholds_has_octaves_last_bits():
    assert grid(0.1, 1.0)[::-1].tolist() == [k * 0.1 for k in range(11)]
    assert grid(0.1, 1.0)[7] == 0.30000000000000004
    # 0.3 is less than 3 * 0.1 by rounding only: the threshold is there, and it is the maximum itself.
    assert grid(0.1, 0.3).tolist() == [0.3, 0.2, 0.1, 0.0]
    assert grid(0.1, 0.29).tolist() == [0.2, 0.1, 0.0]
    assert grid(0.1, 0.0).tolist() == [0.0]
