"""One look for every figure: legible in grey, axes named with units, nothing that depends on a screen.

Figures are made with Matplotlib's objects and its Agg canvas, never through `pyplot`, so that drawing leaves no state
behind and works in a training loop, a notebook and on a machine without a display.
"""

import contextlib
import itertools
import warnings
from pathlib import Path

from saliency_keras.console import UserError
from saliency_keras.files import whole_file

# The colours of Okabe & Ito (2008), which colour-blind readers tell apart, dark before light.
COLOURS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES = ("solid", (0, (6, 2)), (0, (1, 1.2)), (0, (6, 1.5, 1, 1.5)), (0, (3, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# What a paper published: always this line, never a run's.
PUBLISHED = {"color": "#666666", "linestyle": (0, (5, 4)), "linewidth": 0.9, "zorder": 1}
# What guessing would get right: always this line.
CHANCE = {"color": "#888888", "linestyle": (0, (1, 2)), "linewidth": 1.2, "zorder": 1}
PUBLISHED_LABEL = "published (the paper's pictures)"
SUFFIXES = (".png", ".pdf", ".svg")

_LOOK = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.dpi": 150,
    "svg.hashsalt": "saliency_keras",
    # Names of classes and runs are text, whatever dollar signs are in them.
    "text.parse_math": False,
}


@contextlib.contextmanager
def look():
    """Within the block, what Matplotlib makes has this project's look."""
    import matplotlib

    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **_LOOK}):
        yield


def new_figure(width, height):
    """An empty `matplotlib.figure.Figure` of `width` x `height` inches that arranges its axes itself."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def line_styles():
    """Endless looks of lines, `{"color", "linestyle", "marker"}`: different also without colour."""
    for colour, dashes, marker in zip(*map(itertools.cycle, (COLOURS, DASHES, MARKERS)), strict=False):
        yield {"color": colour, "linestyle": dashes, "marker": marker}


def one_line(text):
    """`text` without line breaks and control characters, as a label wants it."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())


def shortened(text, letters):
    """`one_line`; a longer text keeps its beginning and its end, by which pictures differ, with a gap between."""
    text = one_line(text)
    end = letters // 2
    return text if len(text) <= letters else f"{text[: letters - end - 1]}…{text[-end:]}"


def in_words(figure):
    """What a figure shows, for those who do not see it: its titles, axes and legends in a line.

    Args:
        figure: `matplotlib.figure.Figure`.

    Returns:
        `"fanin3 · own maps: Top-1 accuracy (%) over epoch (training, validation); …"`; of a figure without axes that
        say anything, its texts; the figure's label, where it has one.
    """
    if figure.get_label():
        return one_line(figure.get_label())
    titles = [figure.get_suptitle()] if hasattr(figure, "get_suptitle") else []
    legend = [text.get_text() for one in figure.legends for text in one.get_texts()]
    panels = []
    for ax in figure.axes:
        lines = [text.get_text() for text in ax.get_legend().get_texts()] if ax.get_legend() else []
        across = f"over {ax.get_xlabel()}" if ax.get_xlabel() and ax.get_ylabel() else ax.get_xlabel()
        ticks = [tick.get_text() for tick in ax.get_yticklabels() if not _is_number(tick.get_text())]
        words = [ax.get_title(loc="left") or ax.get_title(), ax.get_ylabel(), across]
        told = " ".join(one_line(word) for word in words if word)
        named = ", ".join(dict.fromkeys(one_line(word) for word in (*lines, *ticks) if word.strip()))
        texts = [] if told or named else [one_line(text.get_text()) for text in ax.texts if text.get_text()]
        panels.append(told + f" ({named})" * bool(named) + ", ".join(texts))
    told = "; ".join(dict.fromkeys(panel for panel in panels if panel))
    head = ": ".join(one_line(title) for title in titles if title)
    found = ": ".join(part for part in (head, told) if part) or "figure"
    return f"{found}. {', '.join(map(one_line, legend))}" if legend else found


def _is_number(text):
    try:
        float(text.replace("\u2212", "-") or 0)
    except ValueError:
        return False
    return True


def check_path(path):
    """Refuses, before any work is done, a figure's name that does not say its format, or a folder that is not there."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UserError(f"a figure's name must end in one of {', '.join(SUFFIXES)}. Received: {path}")
    if not Path(path).resolve().parent.is_dir():
        raise UserError(f"there is no folder {Path(path).parent} to put the figure in.")


def save(figure, path):
    """Writes a figure, whole or not at all; the same figure gives the same bytes.

    Args:
        figure: `matplotlib.figure.Figure`.
        path: Where to, ending in `.png`, `.pdf` or `.svg`.

    Raises:
        UserError: If the name ends otherwise.
    """
    check_path(path)
    with whole_file(path) as file:
        write(figure, file, Path(path).suffix.lower()[1:])


def write(figure, file, kind):
    """Writes a figure into an open binary file as `kind`: `"png"`, `"pdf"` or `"svg"`."""
    undated = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[kind]
    with look(), warnings.catch_warnings():
        # A class name in a script the font lacks is drawn as boxes; a warning for each letter helps nobody.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        figure.savefig(file, format=kind, metadata=undated)
