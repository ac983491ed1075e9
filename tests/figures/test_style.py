"""One look: pictures are written whole and alike, names stay text, and lines differ without colour."""

import itertools
import warnings

import numpy as np
import pytest
from PIL import Image

from saliency_keras.console import UserError
from saliency_keras.figures import style


def a_figure(title):
    with style.look():
        figure = style.new_figure(3, 2)
        figure.subplots().set_title(style.one_line(title))
    return figure


@pytest.mark.parametrize("suffix", [".png", ".pdf", ".svg"])
def test_the_same_figure_gives_the_same_bytes(tmp_path, suffix):
    style.save(a_figure("cat"), tmp_path / f"first{suffix}")
    style.save(a_figure("cat"), tmp_path / f"second{suffix}")
    assert (tmp_path / f"first{suffix}").read_bytes() == (tmp_path / f"second{suffix}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_name_without_a_known_format_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"\.png, \.pdf, \.svg"):
        style.save(a_figure("cat"), tmp_path / "figure.txt")


def test_a_folder_that_is_not_there_is_refused_before_anything_is_drawn(tmp_path):
    with pytest.raises(UserError, match=r"no folder .*nowhere"):
        style.check_path(tmp_path / "nowhere" / "figure.png")


@pytest.mark.parametrize("name", ["price $5 to $9", r"a_b^{c} $\alpha$", "鳥 🐦", "line\nbreak\x00", "<b>&amp;"])
def test_any_name_can_be_drawn_without_a_warning(tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        style.save(a_figure(name), tmp_path / "figure.png")
    assert np.asarray(Image.open(tmp_path / "figure.png")).min() < 100


def test_a_long_name_keeps_its_beginning_and_its_end():
    assert style.shortened("forest/autumn/IMG_2017_0816.jpg", 15) == "forest/…816.jpg"
    assert style.shortened("n01440764\nfish", 15) == "n01440764 fish"
    assert len(style.shortened("x" * 40, 15)) == 15


def test_the_first_28_lines_differ_without_colour():
    looks = list(itertools.islice(style.line_styles(), 28))
    assert len({(str(look["linestyle"]), look["marker"]) for look in looks}) == 28


def test_drawing_leaves_matplotlib_as_it_was():
    import matplotlib

    before = dict(matplotlib.rcParams)
    a_figure("cat")
    assert dict(matplotlib.rcParams) == before
