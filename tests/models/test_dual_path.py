"""DPN-92 against Table 1 of the paper and the count of the authors' published network."""

import keras
import numpy as np
import pytest

from saliency_keras.models.count import multiply_adds
from saliency_keras.models.dual_path import DPN92, preprocessed


@pytest.fixture(scope="module")
def dpn92():
    return DPN92(input_shape=(224, 224, 3))


def test_as_many_weights_train_as_in_the_published_network(dpn92):
    assert sum(int(np.prod(variable.shape)) for variable in dpn92.trainable_variables) == 37_668_392


def test_the_paper_counts_37_8_million_and_6_5_billion_multiply_adds(dpn92):
    assert round(dpn92.count_params() / 1e6, 1) == 37.8
    assert round(multiply_adds(dpn92) / 1e9, 1) == 6.5


@pytest.mark.parametrize(
    ("layer", "side", "residual", "dense"),
    [("conv2_block3", 56, 256, 80), ("conv3_block4", 28, 512, 192), ("conv4_block20", 14, 1024, 528)],
)
def test_a_stage_ends_with_the_papers_channels(dpn92, layer, side, residual, dense):
    assert dpn92.get_layer(f"{layer}_add").output.shape[1:] == (side, side, residual)
    assert dpn92.get_layer(f"{layer}_append").output.shape[1:] == (side, side, dense)


def test_the_last_features_have_2688_channels(dpn92):
    assert dpn92.get_layer("conv5_out").output.shape[1:] == (7, 7, 2688)


def test_the_dense_path_keeps_what_it_has_and_the_residual_path_adds():
    model = DPN92(include_top=False, input_shape=(64, 64, 3))
    names = ("block1_append", "block2_append", "block1_add", "block2_add", "block2_3_conv")
    parts = keras.Model(model.input, [model.get_layer(f"conv2_{name}").output for name in names])
    pixels = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    dense_before, dense_after, kept_before, kept_after, convolution = (np.asarray(part) for part in parts(pixels))
    np.testing.assert_array_equal(dense_after[..., : dense_before.shape[-1]], dense_before)
    np.testing.assert_array_equal(dense_after[..., dense_before.shape[-1] :], convolution[..., 256:])
    np.testing.assert_allclose(kept_after - kept_before, convolution[..., :256], atol=1e-4)


def test_pixels_are_scaled_as_the_authors_scale_them():
    pixels = np.array([124, 117, 104, 255, 0, 164], "float32").reshape(1, 1, 2, 3)
    expected = (pixels - [124, 117, 104]) * 0.0167
    np.testing.assert_allclose(preprocessed(pixels), expected, atol=1e-5)
