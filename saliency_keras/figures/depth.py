"""Accuracy against the stage at which two branches meet, and against the parameters of the network."""

from saliency_keras.figures import style
from saliency_keras.figures.intervals import error_bars

MARKS = ("o-", "s--", "^-", "v--")


def depth_figure(lines, without=None):
    """Two panels over one axis of accuracies.

    Args:
        lines: From what the second branch sees to a list of `(stage, Estimate, parameters)`.
        without: The `Estimate` of the network without a second branch, or `None`.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    with style.look():
        figure = style.new_figure(9, 3.8)
        by_stage, by_size = figure.subplots(1, 2, sharey=True)
        for mark, (name, points) in zip(MARKS, lines.items(), strict=False):
            stages, estimates, sizes = zip(*points, strict=True)
            values, millions = [100 * one.value for one in estimates], [size / 1e6 for size in sizes]
            look = {
                "fmt": mark,
                "capsize": 3,
                "mfc": "white" if "picture" in name else None,
                "label": f"second branch: {name}",
            }
            drawn = by_stage.errorbar(stages, values, yerr=error_bars(estimates), **look)
            color = drawn[0].get_color()
            by_size.plot(millions, values, mark[0], color=color, mfc=look["mfc"])
            for stage, *place in zip(stages, millions, values, strict=True):
                by_size.annotate(str(stage), place, (3, 3), textcoords="offset points", fontsize=7)
        if without is not None:
            for ax in by_stage, by_size:
                ax.axhline(100 * without.value, color="#666666", linewidth=0.9, zorder=1)
        by_stage.set_xlabel("stage after which the branches meet")
        by_stage.set_ylabel("Top-1 (%)")
        by_size.set_xlabel("parameters, millions (numbers are stages)")
        figure.legend(*by_stage.get_legend_handles_labels(), loc="outside lower left", ncols=2)
    return figure
