"""One photograph as a network sees it: picture, saliency map, Grad-CAM and the five best labels."""

import numpy as np

from saliency_keras.figures import style
from saliency_keras.figures.overlay import heat, overlay

LETTERS = 24  # of a class name


def photograph_figure(classified, name, map_source, layer):
    """Draws what a network says of a photograph.

    Args:
        classified: `runs.classifier.Classified`.
        name: What the photograph is called.
        map_source: Which map the network is shown, in words.
        layer: Name of the layer of Grad-CAM.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    side = classified.picture.shape[0]
    classes = [style.shortened(name, LETTERS) for name in classified.classes]
    pictures = {f"picture, {side} px": classified.picture}
    if classified.saliency is not None:
        pictures["saliency map"] = heat(classified.saliency)
    pictures[f"Grad-CAM of {classes[0]}"] = overlay(classified.picture, classified.grad_cam)
    with style.look():
        figure = style.new_figure(2.5 * len(pictures) + 3.0, 2.7)
        figure.suptitle(style.one_line(name), x=0.01, ha="left", fontsize=11)
        note = f"saliency map: {map_source}; Grad-CAM at layer {layer}"
        figure.supxlabel(style.one_line(note), x=0.01, ha="left", fontsize=7, color="#444444")
        *axes, bars = figure.subplots(1, len(pictures) + 1, width_ratios=[1] * len(pictures) + [0.8])
        for ax, (title, image) in zip(axes, pictures.items(), strict=True):
            ax.imshow(image, interpolation="nearest")
            ax.set_title(title, fontsize=9)
            ax.set_axis_off()
        draw_bars(bars, classes, 100 * classified.probabilities)
    return figure


def draw_bars(ax, classes, percent):
    """Draws probabilities in percent as bars, the best class on top in black."""
    places = np.arange(len(classes))
    ax.barh(places, percent, color=["#000000", *["#999999"] * (len(places) - 1)], height=0.6)
    for place, value in zip(places, percent, strict=True):
        ax.annotate(f"{value:.1f}", (value, place), (3, 0), textcoords="offset points", va="center", fontsize=8)
    ax.set_yticks(places, classes)
    ax.set_ylim(len(places) - 0.4, -0.6)
    ax.set_xlim(0, 118)
    ax.set_xticks([0, 50, 100])
    ax.set_xlabel("probability (%)")
    ax.grid(axis="y", visible=False)
