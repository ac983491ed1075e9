"""Figures and documents as a Jupyter notebook shows them; IPython is imported where it is used."""

import io

from saliency_keras.figures import style
from saliency_keras.figures.document import markdown

SHOWN = 80  # pixels of the page for one inch of a figure
STORED = 100  # pixels of the picture for the same inch, so that it is sharp on a good screen


def show(thing):
    """Displays a figure, or a document.

    Args:
        thing: A `matplotlib.figure.Figure`, Markdown text, or a list of `figures.document` blocks.
    """
    from IPython.display import Image, Markdown, display

    if isinstance(thing, str | list):
        display(Markdown(thing if isinstance(thing, str) else markdown(thing)))
        return
    file = io.BytesIO()
    with style.look():
        thing.savefig(file, format="png", dpi=STORED, metadata={"Software": None})
    display(Image(file.getvalue(), width=round(SHOWN * thing.get_figwidth())))
