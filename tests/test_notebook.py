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


def test_a_document_and_a_text_are_markdown(shown):
    notebook.show([Heading("Title"), Table(["name"], [["<b>"]])])
    notebook.show("plain")
    assert shown[0].data == "## Title\n\n| name |\n| ---- |\n| \\<b> |\n"
    assert shown[1].data == "plain"
