"""What a classifier has right that sees saliency maps only, beside chance."""

from saliency_keras.figures import style
from saliency_keras.figures.intervals import error_bars


def information_figure(lines, chance):
    """One line a map: Top-1 with its interval, and chance as a vertical line.

    Args:
        lines: `(name of the map, Estimate)`.
        chance: What guessing has right, 0 to 1.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with style.look():
        figure = style.new_figure(6.4, 1.4 + 0.3 * len(lines))
        ax = figure.subplots()
        for place, (_, one) in enumerate(lines):
            ax.errorbar(100 * one.value, place, xerr=error_bars([one]), fmt="o", color="black", capsize=3)
        ax.axvline(100 * chance, label="chance: one class at random, or always the largest", **style.CHANCE)
        ax.set_yticks(range(len(lines)), [style.one_line(name) for name, _ in lines])
        ax.set_ylim(len(lines) - 0.4, -0.6)
        ax.set_xlim(left=0)
        ax.set_xlabel("Top-1 of a linear classifier on the maps alone (%), 95 % interval")
        figure.legend(loc="outside lower left")
    return figure
