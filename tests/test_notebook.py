"""What a notebook is shown: a figure as a picture of its size, a document as Markdown."""

import io

import numpy as np
import pytest
from PIL import Image

from saliency_keras import notebook
from saliency_keras.figures import style
from saliency_keras.figures.document import Heading, Table


@pytest.fixture
def shown(monkeypatch):
    display = pytest.importorskip("IPython.display", reason="IPython is not installed")
    found = []
    monkeypatch.setattr(display, "display", found.append)
    return found


def test_a_figure_is_a_sharp_picture(shown):
    notebook.show(style.new_figure(4, 3))
    with Image.open(io.BytesIO(shown[0].data)) as picture:
        assert picture.size == (4 * notebook.STORED, 3 * notebook.STORED)
    assert shown[0].width == 4 * notebook.SHOWN


def test_lines_are_stored_exactly_and_photographs_in_fewer_bytes(shown):
    lines, photographs = style.new_figure(4, 3), style.new_figure(4, 3)
    lines.subplots().imshow(np.eye(3))
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), "uint8")
    photographs.subplots().imshow(noise)
    for figure in (lines, photographs):
        notebook.show(figure)
    exact = io.BytesIO()
    photographs.savefig(exact, format="png", dpi=notebook.STORED)
    kinds = [Image.open(io.BytesIO(one.data)).format for one in shown]
    assert kinds == ["PNG", "JPEG"]
    both = (Image.open(io.BytesIO(data)).convert("RGB") for data in (exact.getvalue(), shown[1].data))
    drawn, stored = (np.asarray(one, int) for one in both)
    assert np.abs(drawn - stored).mean() < 4


def test_a_figure_has_the_alternative_text_that_its_axes_and_legends_say(shown):
    figure = style.new_figure(4, 3)
    figure.suptitle("fanin3")
    ax = figure.subplots()
    ax.plot([1, 2], label="training")
    ax.set(xlabel="epoch", ylabel="Top-1 accuracy (%)")
    ax.legend()
    notebook.show(figure)
    notebook.show(figure, alt="two epochs")
    assert shown[0].alt == "fanin3: Top-1 accuracy (%) over epoch (training)"
    assert shown[1].alt == "two epochs"


def test_a_document_and_a_text_are_markdown(shown):
    notebook.show([Heading("Title"), Table(["name"], [["<b>"]])])
    notebook.show("plain")
    assert shown[0].data == "## Title\n\n| name |\n| ---- |\n| \\<b> |\n"
    assert shown[1].data == "plain"
