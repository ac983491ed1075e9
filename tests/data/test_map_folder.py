"""Maps that somebody else made."""

import numpy as np
import pytest
from PIL import Image

from saliency_keras.data.map_folder import MapFolder


@pytest.mark.parametrize(
    ("levels", "mode"),
    [
        (np.arange(12, dtype=np.uint8).reshape(3, 4) * 20, "L"),
        (np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000, "I;16"),
        (np.repeat(np.arange(12, dtype=np.uint8).reshape(3, 4, 1) * 20, 3, axis=-1), "RGB"),
    ],
)
def test_grey_levels_are_read_as_stored(tmp_path, levels, mode):
    Image.fromarray(levels).save(tmp_path / "a.png")
    assert Image.open(tmp_path / "a.png").mode == mode
    values = MapFolder(tmp_path, {"a.jpg": (4, 3)}).map_of("a.jpg")
    np.testing.assert_array_equal(values, levels if levels.ndim == 2 else levels[..., 0])


def test_a_smaller_map_is_resized_bicubically_with_its_overshoot(tmp_path):
    levels = np.zeros((6, 8), np.uint8)
    levels[:, 4:] = 255
    Image.fromarray(levels).save(tmp_path / "a.png")
    maps = MapFolder(tmp_path, {"a.jpg": (32, 24)})
    values = maps.map_of("a.jpg")
    assert values.shape == (24, 32)
    assert maps.resized == 1
    assert values.min() < -5
    assert values.max() > 260
    # The edge stays in the middle, and far from it nothing changes.
    np.testing.assert_allclose(values[:, 15] + values[:, 16], 255, atol=1e-3)
    assert (values[:, :4] == 0).all()


def test_pictures_that_share_a_stem_cannot_share_a_folder_of_maps(tmp_path):
    Image.new("L", (4, 3)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match="the same one"):
        MapFolder(tmp_path, {"a.jpg": (4, 3), "a.png": (4, 3)})
