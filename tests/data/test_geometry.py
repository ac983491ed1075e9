"""The geometry, against a resize written down from the definition of the triangle filter."""

import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.data import geometry
from saliency_keras.data.geometry import Framing


def triangle_resize(pixels, height, width):
    """Antialiased bilinear resize: every new pixel is a mean weighted by a triangle as wide as the reduction."""

    def weights(before, after):
        step = before / after
        reach = max(step, 1)
        centres = (np.arange(after) + 0.5) * step
        distance = np.abs(np.arange(before) + 0.5 - centres[:, None]) / reach
        triangle = np.clip(1 - distance, 0, None)
        return triangle / triangle.sum(1, keepdims=True)

    down = np.tensordot(weights(pixels.shape[0], height), pixels.astype("float64"), (1, 0))  # (height, before, ...)
    return np.moveaxis(np.tensordot(weights(pixels.shape[1], width), down, (1, 1)), 0, 1)


def smooth_noise(height, width, seed=0):
    random = np.random.default_rng(seed)
    return triangle_resize(random.integers(0, 256, (9, 9, 3)), height, width).round().astype("uint8")


@pytest.mark.parametrize("size", [(300, 400), (400, 300), (256, 257), (100, 333), (61, 58), (700, 512), (20, 250)])
@pytest.mark.parametrize(("shorter", "square"), [(256, 256), (340, 299), (256, 224), (448, 448)])
def test_square_is_the_centre_of_the_whole_picture_scaled_to_the_shorter_side(size, shorter, square):
    picture = smooth_noise(*size)
    height, width = (int(np.floor(side * shorter / min(size) + 0.5)) for side in size)
    top, left = (height - square) // 2, (width - square) // 2
    expected = triangle_resize(picture, height, width)[top : top + square, left : left + square]
    found = geometry.square(picture, Framing(shorter, square, 100))
    assert found.shape == (square, square, 3)
    assert np.abs(found - expected).max() <= 1.01


def test_square_leaves_a_picture_of_256_pixels_alone():
    picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype="uint8")
    np.testing.assert_array_equal(geometry.square(picture, Framing()), picture)


def test_square_of_a_wide_picture_starts_at_the_floor_of_the_margin():
    picture = np.random.default_rng(0).integers(0, 256, (256, 285, 3), dtype="uint8")
    np.testing.assert_array_equal(geometry.square(picture, Framing()), picture[:, 14:270])


def test_square_takes_extreme_pictures():
    for size in [(1, 1), (1, 5000), (25, 284), (500, 49)]:
        assert (
            geometry.square(np.full((*size, 3), 77, "uint8"), Framing()).tolist() == np.full((256, 256, 3), 77).tolist()
        )


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


@pytest.mark.parametrize(
    ("given", "sides"),
    [
        ({}, (256, 256, 144)),
        ({"stored": 227}, (256, 256, 227)),
        ({"stored": 299}, (299, 299, 299)),
        ({"stored": 448}, (448, 448, 448)),
        ({"stored": 299, "shorter": 340}, (340, 299, 299)),
        ({"stored": 340, "shorter": 340}, (340, 340, 340)),
        ({"square": 299}, (299, 299, 144)),
        ({"square": 120}, (256, 120, 120)),
        ({"shorter": 200}, (200, 200, 144)),
        ({"shorter": 100}, (100, 100, 100)),
        ({"shorter": 340}, (340, 256, 144)),
        ({"stored": 100, "square": 224, "shorter": 256}, (256, 224, 100)),
    ],
)
def test_a_side_that_is_not_chosen_is_its_default_or_fits_the_chosen_ones(given, sides):
    assert Framing.chosen(**given) == Framing(*sides)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"stored": 15}, "the side must be 16 to 1024 pixels; received 15"),
        ({"stored": 1025}, "the side must be 16 to 1024 pixels; received 1025"),
        ({"shorter": 5000}, "the shorter side must be 16 to 1024 pixels; received 5000"),
        ({"square": 0}, "the side must be 16 to 1024 pixels; received 0"),
        ({"stored": 300, "shorter": 299}, "received --side 300, --square 299, --shorter 299"),
        ({"stored": 200, "square": 150}, "received --side 200, --square 150, --shorter 256"),
        ({"square": 300, "shorter": 256}, "received --side 144, --square 300, --shorter 256"),
    ],
)
def test_sides_that_do_not_fit_are_told_in_a_sentence(given, sentence):
    with pytest.raises(UserError, match=sentence):
        Framing.chosen(**given)


def test_a_framing_says_its_sides_where_they_are_not_the_default_ones():
    assert str(Framing(stored=100)) == "100 px"
    assert str(Framing(340, 299, 299)) == "299 px, of a square of 299 px, shorter side 340 px"
    assert str(Framing(boxes="ab")) == "144 px, of pictures cropped to boxes"


@pytest.mark.parametrize(
    ("box", "pixels"),
    [
        ((0, 0, 40, 30), (0, 0, 40, 30)),
        ((3, 4, 10, 12), (3, 4, 10, 12)),
        ((3.9, 4.0, 10.1, 12.0), (3, 4, 11, 12)),  # all that the box touches
        ((-5, -7, 4, 100), (0, 0, 4, 30)),
        ((39, 29, 90, 90), (39, 29, 40, 30)),
        ((7, 8, 7, 8), (7, 8, 8, 9)),  # a point is one pixel
        ((7.5, 8.5, 7.5, 8.5), (7, 8, 8, 9)),
    ],
)
def test_a_box_is_the_pixels_that_it_touches_inside_the_picture(box, pixels):
    assert geometry.box_in_pixels(box, 40, 30) == pixels


@pytest.mark.parametrize("box", [(40, 0, 50, 10), (0, 30, 10, 40), (-9, 0, 0, 10), (0, -9, 10, -1), (-3, 4, -3, 4)])
def test_a_box_outside_its_picture_is_refused(box):
    with pytest.raises(ValueError, match="lies outside the 40x30 pixels"):
        geometry.box_in_pixels(box, 40, 30)


@pytest.mark.parametrize("box", [(5, 0, 4, 10), (0, 5, 10, 4), (float("nan"), 0, 4, 4), (0, 0, float("inf"), 4)])
def test_a_box_that_is_none_is_refused(box):
    with pytest.raises(ValueError, match="is no box"):
        geometry.box_in_pixels(box, 40, 30)


def test_an_object_s_box_lies_in_the_square_where_its_pixels_do():
    # 400x200 is scaled to 680x340 and cut at 190 and 20: in the picture's pixels, the square begins at 111.76, 11.76.
    framing = Framing(340, 299, 299)
    square = 299 / 1.7  # side of the square in the picture's pixels
    box = (200 / 400, 50 / 200, 240 / 400, 100 / 200)
    found = geometry.box_in_square(box, 400, 200, framing)
    expected = [
        (200 - 190 / 1.7) / square,
        (50 - 20 / 1.7) / square,
        (240 - 190 / 1.7) / square,
        (100 - 20 / 1.7) / square,
    ]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert geometry.box_in_square((0, 0, 0.2, 1), 400, 200, framing) is None


def test_an_object_s_box_in_a_cropped_picture_is_that_of_the_crop_alone():
    crop = (100, 20, 300, 180)
    inside = [(200 - 100) / 200, (50 - 20) / 160, (240 - 100) / 200, (100 - 20) / 160]
    box = (200 / 400, 50 / 200, 240 / 400, 100 / 200)
    found = geometry.box_in_square(box, 400, 200, Framing(), crop)
    np.testing.assert_allclose(found, geometry.box_in_square(inside, 200, 160, Framing()), atol=1e-6)
    assert geometry.box_in_square((0.8, 0, 1, 1), 400, 200, Framing(), crop) is None
