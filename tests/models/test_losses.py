"""The losses against plain numpy, and the maps that belong to them."""

import keras
import numpy as np
import pytest

from saliency_keras.models import losses

GENERATOR = np.random.default_rng(0)
OUTPUTS = GENERATOR.normal(size=(3, 4, 5, 1)).astype("float32")
MAPS = (GENERATOR.random((3, 4, 5, 1)) ** 3 * 7).astype("float32")
PEAK_ONE = MAPS / MAPS.max(axis=(1, 2, 3), keepdims=True)


def test_euclidean_compares_with_a_target_from_minus_one_to_one():
    expected = ((OUTPUTS - (2 * PEAK_ONE - 1)) ** 2).reshape(3, -1).mean(1)
    np.testing.assert_allclose(losses.euclidean(MAPS, OUTPUTS), expected, rtol=1e-5)


def test_squared_compares_with_a_target_from_zero_to_one():
    expected = ((OUTPUTS - PEAK_ONE) ** 2).reshape(3, -1).mean(1)
    np.testing.assert_allclose(losses.squared(MAPS, OUTPUTS), expected, rtol=1e-5)


def test_cross_entropy_is_keras_binary_cross_entropy():
    expected = [keras.losses.BinaryCrossentropy(from_logits=True)(PEAK_ONE[i], OUTPUTS[i]) for i in range(3)]
    np.testing.assert_allclose(losses.cross_entropy(MAPS, OUTPUTS), np.asarray(expected), rtol=1e-5)


def test_cross_entropy_of_huge_outputs_is_finite():
    outputs = np.full((1, 2, 2, 1), 1e4, "float32")
    np.testing.assert_allclose(losses.cross_entropy(np.ones((1, 2, 2, 1)), outputs), [0.0], atol=1e-6)


def test_divergence_is_that_of_the_two_distributions():
    p = np.exp(OUTPUTS.astype("float64")).reshape(3, -1)
    p /= p.sum(1, keepdims=True)
    q = MAPS.astype("float64").reshape(3, -1)
    q /= q.sum(1, keepdims=True)
    np.testing.assert_allclose(losses.divergence(MAPS, OUTPUTS), (q * np.log(q / p)).sum(1), rtol=1e-4)


def test_divergence_knows_only_where_fixations_are():
    counts = np.zeros((1, 4, 5, 1), "float32")
    counts[0, 1, 2], counts[0, 3, 4] = 3, 1
    logarithm = np.asarray(losses.log_probabilities(OUTPUTS[:1]))[0, ..., 0]
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    expected = -(0.75 * logarithm[1, 2] + 0.25 * logarithm[3, 4]) - entropy
    np.testing.assert_allclose(losses.divergence(counts, OUTPUTS[:1]), [expected], rtol=1e-5)


def test_likelihood_is_the_mean_over_fixations_of_their_log_probability():
    counts = np.zeros((2, 4, 5, 1), "float32")
    counts[0, 1, 2], counts[0, 3, 4], counts[1, 0, 0] = 3, 1, 2
    p = np.exp(OUTPUTS[:2].astype("float64"))[..., 0]
    p /= p.sum((1, 2), keepdims=True)
    expected = [-(3 * np.log(p[0, 1, 2]) + np.log(p[0, 3, 4])) / 4, -np.log(p[1, 0, 0])]
    np.testing.assert_allclose(losses.likelihood(counts, OUTPUTS[:2]), expected, rtol=1e-5)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_a_loss_does_not_depend_on_the_scale_of_the_fixation_map(name):
    loss = losses.LOSSES[name]
    np.testing.assert_allclose(loss(MAPS, OUTPUTS), loss(100 * MAPS, OUTPUTS), rtol=1e-5)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_a_larger_fixation_map_is_reduced_to_the_outputs_size(name):
    large = np.repeat(np.repeat(MAPS, 6, axis=1), 6, axis=2)
    loss = losses.LOSSES[name]
    reduced = np.asarray(keras.ops.image.resize(large, (4, 5), antialias=True))
    np.testing.assert_allclose(loss(large, OUTPUTS), loss(reduced, OUTPUTS), rtol=1e-5)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_a_picture_nobody_looked_at_gives_a_finite_loss(name):
    assert np.isfinite(losses.LOSSES[name](np.zeros_like(MAPS), OUTPUTS)).all()


@pytest.mark.parametrize("name", losses.LOSSES)
def test_descent_leads_to_the_fixation_map(name):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(20), keras.layers.Reshape((4, 5, 1))])
    model.compile(keras.optimizers.Adam(0.1), losses.LOSSES[name])
    steps = np.ones((300, 1), "float32")
    model.fit(steps, np.repeat(MAPS[:1], 300, axis=0), batch_size=1, verbose=0)
    found = np.asarray(losses.saliency_of(name, model(steps[:1])))[0]
    target = MAPS[0] / (MAPS[0].sum() if name in ("divergence", "likelihood") else MAPS[0].max())
    np.testing.assert_allclose(found, target, atol=0.02)


@pytest.mark.parametrize("name", losses.LOSSES)
def test_maps_are_not_negative_and_rise_with_the_output(name):
    outputs = np.linspace(-3, 3, 20, dtype="float32").reshape(1, 4, 5, 1)
    found = np.asarray(losses.saliency_of(name, outputs)).ravel()
    assert (found >= 0).all()
    assert (np.diff(found) >= 0).all()
    assert found[-1] > found[0]


def test_an_unknown_loss_is_refused():
    with pytest.raises(ValueError, match="euclidean, squared"):
        losses.saliency_of("hinge", OUTPUTS)
