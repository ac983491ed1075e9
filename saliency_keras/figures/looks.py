"""What networks attend to, scale after scale: pictures with attention and boxes, as Figs. 4 to 7 of Shen and Liu."""

from saliency_keras.figures import style
from saliency_keras.figures.overlay import overlay
from saliency_keras.figures.photograph import LETTERS, draw_bars

ATTENDED, TRUE = "#1f5fff", "#20a020"  # blue and green, as in Fig. 7
DASHES = ("solid", (0, (5, 2)), (0, (2, 2)))


def scales_figure(pictures):
    """A row a picture, and for each scale what the network saw with its box, and its attention.

    Args:
        pictures: For each picture its `runs.looks.Look`s, one a scale.

    Returns:
        A `matplotlib.figure.Figure`. Attended boxes are blue and solid, true ones green and dashed.
    """
    scales = max(map(len, pictures))
    with style.look():
        figure = style.new_figure(3.2 * scales, 1.75 * len(pictures) + 0.3)
        grid = figure.subplots(len(pictures), 2 * scales, squeeze=False)
        for axes, looks in zip(grid, pictures, strict=True):
            for ax in axes:
                ax.set_axis_off()
            for number, look in enumerate(looks):
                _draw_look(axes[2 * number : 2 * number + 2], look)
        known = any(look.true is not None for looks in pictures for look in looks)
        note = "blue: what is attended to" + "; green, dashed: the true box" * known
        figure.supxlabel(note, x=0.01, ha="left", fontsize=7, color="#444444")
    return figure


def photograph_looks_figure(looked, name):
    """A photograph with the boxes that are attended to, what each scale saw, and the best classes.

    Args:
        looked: `runs.looks.LookedAt`.
        name: What the photograph is called.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    classes = [style.shortened(one, LETTERS) for one in looked.classes]
    count = 1 + 2 * len(looked.looks)
    with style.look():
        figure = style.new_figure(2.2 * count + 3.0, 2.7)
        figure.suptitle(style.one_line(name), x=0.01, ha="left", fontsize=11)
        photo, *axes, bars = figure.subplots(1, count + 1, width_ratios=[1] * count + [0.8])
        photo.imshow(looked.photo)
        photo.set_title("attended boxes", fontsize=9)
        photo.set_axis_off()
        for box, dashes in zip(looked.boxes, DASHES, strict=False):
            _draw_box(photo, box, ATTENDED, dashes)
        for number, look in enumerate(looked.looks):
            _draw_look(axes[2 * number : 2 * number + 2], look)
        draw_bars(bars, classes, 100 * looked.probabilities)
    return figure


def _draw_look(axes, look):
    picture, attention = axes
    picture.imshow(look.picture)
    picture.set_title(style.shortened(look.title, 34), fontsize=7)
    _draw_box(picture, look.true, TRUE, (0, (4, 2)))
    _draw_box(picture, look.box, ATTENDED, "solid")
    attention.imshow(overlay(look.picture, look.saliency))
    for ax in axes:
        ax.set_axis_off()


def _draw_box(ax, box, colour, dashes):
    if box is None:
        return
    left, top, right, bottom = (edge - 0.5 for edge in box)
    ax.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=colour, linestyle=dashes, lw=1.6)
