"""The controls know nothing of the picture."""

import numpy as np

from saliency_keras.saliency import predictor

PICTURES = np.random.default_rng(0).integers(0, 256, (2, 31, 41, 3), np.uint8)


def test_uniform_is_one_everywhere():
    maps = predictor("uniform")(PICTURES)
    assert maps.dtype == np.float32
    assert maps.shape == (2, 31, 41)
    assert (maps == 1).all()


def test_center_peaks_in_the_middle_and_is_isotropic():
    maps = predictor("center")(PICTURES)
    assert maps.dtype == np.float32
    np.testing.assert_array_equal(maps[0], maps[1])
    assert np.unravel_index(maps[0].argmax(), maps[0].shape) == (15, 20)
    assert maps[0, 15, 20] == 1
    # As far down as to the right, in pixels, the map is the same, though the picture is wider than high.
    np.testing.assert_allclose(maps[0, 15 + 8, 20], maps[0, 15, 20 + 8])


def test_sigma_is_a_share_of_the_longer_side():
    predict = predictor("center")
    sigma = predict.parameters["sigma"] * 41
    np.testing.assert_allclose(predict(PICTURES)[0, 15, 20 + 10], np.exp(-0.5 * (10 / sigma) ** 2), rtol=1e-5)
