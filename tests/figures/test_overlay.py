"""Overlays: the picture stays where nobody looks, heat appears where they do, and a sheet shows every picture."""

import numpy as np
import pytest

from saliency_keras.figures import style
from saliency_keras.figures.overlay import contact_sheet, heat, overlay


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype="uint8")


def one_spot(height=20, width=30):
    spot = np.zeros((height, width), "uint8")
    spot[5, 7] = 40
    return spot


def test_heat_grows_lighter_with_the_value_and_does_not_depend_on_scale():
    ramp = np.arange(256).reshape(1, 256)
    lightness = heat(ramp).astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness[0]) > -1).all()
    np.testing.assert_array_equal(heat(ramp), heat(ramp / 1000.0))


def test_overlay_covers_only_where_the_map_says(picture):
    covered = overlay(picture, one_spot())
    elsewhere = one_spot() == 0
    np.testing.assert_allclose(covered[elsewhere], np.repeat(picture.mean(-1)[elsewhere][:, None], 3, 1), atol=0.5)
    np.testing.assert_allclose(covered[5, 7], 0.35 * picture[5, 7].mean() + 0.65 * heat(one_spot())[5, 7], atol=0.5)


def test_a_map_of_zeros_leaves_the_picture_grey_and_warns_of_nothing(picture):
    with np.errstate(all="raise"):
        covered = overlay(picture, np.zeros((20, 30, 1), "uint8"))
    assert (covered == covered[..., :1]).all()


def test_a_map_of_another_size_is_refused(picture):
    with pytest.raises(ValueError, match="Received"):
        overlay(picture, one_spot(10, 10))


@pytest.mark.parametrize(("count", "in_row"), [(1, 3), (4, 3), (5, 1)])
def test_a_sheet_shows_picture_map_and_overlay_of_each(tmp_path, picture, count, in_row):
    captions = [f"class {index} · $x$" + "long " * 30 for index in range(count)]
    figure = contact_sheet([picture] * count, [one_spot()] * count, captions, pictures_in_row=in_row)
    style.save(figure, tmp_path / "sheet.png")
    shown = [ax.images[0].get_array() for part in np.ravel(figure.subfigs) for ax in part.axes]
    assert len(shown) == 3 * count
    np.testing.assert_array_equal(shown[0], picture)
    np.testing.assert_array_equal(shown[1], heat(one_spot()))
    np.testing.assert_array_equal(shown[2], overlay(picture, one_spot()))


def test_a_sheet_of_nothing_or_with_a_map_missing_is_refused(picture):
    with pytest.raises(ValueError, match="Received"):
        contact_sheet([], [])
    with pytest.raises(ValueError, match="Received"):
        contact_sheet([picture, picture], [one_spot()])
