"""Human fixations as maps."""

import numpy as np
import pytest
from PIL import Image

from saliency_keras.data.fixation_set import read_fixation_set
from saliency_keras.saliency.fixations import Fixations


@pytest.fixture
def fixation_set(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (20, 15)).save(tmp_path / "images" / name)
    (tmp_path / "fixations.csv").write_text("image,subject,x,y\na.png,1,4,6\na.png,1,4,6\na.png,2,15,3\n")
    return read_fixation_set(tmp_path)


def test_a_map_is_brightest_where_people_looked_most(fixation_set):
    values = Fixations(fixation_set, sigma=1.5).map_of("a.png")
    assert values.dtype == np.float32
    assert values[6, 4] == values.max() == 1
    assert values[3, 15] == pytest.approx(0.5, abs=1e-6)


def test_where_nobody_looked_the_map_is_zero_and_an_unknown_picture_is_an_error(fixation_set):
    assert not Fixations(fixation_set).map_of("b.png").any()
    with pytest.raises(KeyError):
        Fixations(fixation_set).map_of("c.png")
