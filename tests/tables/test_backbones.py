"""The linear classifier on a backbone's features, against its own definition."""

import numpy as np
import pytest

from saliency_keras.tables.backbones import logistic_regression

DRAW = np.random.default_rng(0)
FEATURES, LABELS = DRAW.normal(size=(60, 4)).astype("float32"), DRAW.integers(0, 3, 60)


def loss_of(kernel, bias, penalty):
    scores = FEATURES.astype("float64") @ kernel + bias
    right = np.exp(scores[np.arange(60), LABELS]) / np.exp(scores).sum(axis=1)
    return -np.log(right).mean() + penalty * (kernel**2).sum()


@pytest.mark.parametrize("penalty", [1e-4, 0.1])
def test_no_weights_near_those_found_have_a_smaller_loss(penalty):
    kernel, bias = logistic_regression(FEATURES, LABELS, 3, penalty)
    assert kernel.shape == (4, 3)
    found = loss_of(kernel, bias, penalty)
    for step in 1e-3, 1e-1:
        for _ in range(50):
            other = loss_of(kernel + step * DRAW.normal(size=(4, 3)), bias + step * DRAW.normal(size=3), penalty)
            assert other > found - 1e-9


def test_where_features_tell_nothing_the_classes_have_their_shares():
    _, bias = logistic_regression(np.zeros((60, 4)), LABELS, 3)
    np.testing.assert_allclose(np.exp(bias) / np.exp(bias).sum(), np.bincount(LABELS) / 60, atol=1e-4)
