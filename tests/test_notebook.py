"""What a notebook is shown: a figure as a PNG of its size, a document as Markdown."""

import io

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
