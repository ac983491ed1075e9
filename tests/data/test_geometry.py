"""The geometry, against a resize written down from the definition of the triangle filter."""

import numpy as np
import pytest

from saliency_keras.data import geometry


def triangle_resize(pixels, height, width):
    """Antialiased bilinear resize: every new pixel is a mean weighted by a triangle as wide as the reduction."""

    def weights(before, after):
        step = before / after
        reach = max(step, 1)
        centres = (np.arange(after) + 0.5) * step
        distance = np.abs(np.arange(before) + 0.5 - centres[:, None]) / reach
        triangle = np.clip(1 - distance, 0, None)
        return triangle / triangle.sum(1, keepdims=True)

    down = np.einsum("yi,ij...->yj...", weights(pixels.shape[0], height), pixels.astype("float64"))
    return np.einsum("xj,yj...->yx...", weights(pixels.shape[1], width), down)


def smooth_noise(height, width, seed=0):
    random = np.random.default_rng(seed)
    return triangle_resize(random.integers(0, 256, (9, 9, 3)), height, width).round().astype("uint8")


@pytest.mark.parametrize("size", [(300, 400), (400, 300), (256, 257), (100, 333), (61, 58), (700, 512), (20, 250)])
def test_square_is_the_centre_of_the_whole_picture_scaled_to_256(size):
    picture = smooth_noise(*size)
    shorter = min(size)
    height, width = (int(np.floor(side * 256 / shorter + 0.5)) for side in size)
    top, left = (height - 256) // 2, (width - 256) // 2
    expected = triangle_resize(picture, height, width)[top : top + 256, left : left + 256]
    assert np.abs(geometry.square(picture) - expected).max() <= 1.01


def test_square_leaves_a_picture_of_256_pixels_alone():
    picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype="uint8")
    np.testing.assert_array_equal(geometry.square(picture), picture)


def test_square_of_a_wide_picture_starts_at_the_floor_of_the_margin():
    picture = np.random.default_rng(0).integers(0, 256, (256, 285, 3), dtype="uint8")
    np.testing.assert_array_equal(geometry.square(picture), picture[:, 14:270])


def test_square_takes_extreme_pictures():
    for size in [(1, 1), (1, 5000), (25, 284), (500, 49)]:
        assert geometry.square(np.full((*size, 3), 77, "uint8")).tolist() == np.full((256, 256, 3), 77).tolist()


@pytest.mark.parametrize("side", [144, 100, 31])
def test_picture_and_map_are_scaled_by_the_same_filter(side):
    picture = smooth_noise(256, 256)
    assert np.abs(geometry.shrink(picture, side) - triangle_resize(picture, side, side)).max() <= 1.01
    saliency = picture[..., 0].astype("float32")
    small = triangle_resize(saliency, side, side)
    assert np.abs(geometry.stored_map(saliency, side).astype(float) - 255 * small / small.max()).max() <= 0.51


def test_stored_map_keeps_its_minimum_and_reaches_255():
    saliency = np.full((256, 256), 0.25, "float32")
    saliency[100:140, 100:140] = 1
    stored = geometry.stored_map(saliency, 256)
    assert set(np.unique(stored)) == {64, 255}


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_stored_map_does_not_depend_on_the_unit(scale):
    saliency = smooth_noise(256, 256)[..., 0].astype("float32")
    np.testing.assert_array_equal(
        geometry.stored_map(saliency * np.float32(scale), 144), geometry.stored_map(saliency, 144)
    )


def test_stored_map_of_a_constant_is_255_and_of_zeros_is_zero():
    assert np.unique(geometry.stored_map(np.full((256, 256), 0.3), 144)).tolist() == [255]
    assert np.unique(geometry.stored_map(np.zeros((256, 256)), 144)).tolist() == [0]


@pytest.mark.parametrize("value", [-1, np.nan, np.inf])
def test_stored_map_refuses_what_is_no_map(value):
    saliency = np.ones((256, 256))
    saliency[3, 4] = value
    with pytest.raises(ValueError, match="finite and not negative"):
        geometry.stored_map(saliency, 144)
