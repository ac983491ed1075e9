"""Accuracy and the error of the map against alpha, the weight of the classification loss (SalClassNet, Fig. 4)."""

from saliency_keras.figures import style
from saliency_keras.figures.intervals import error_bars


def alpha_figure(lines):
    """Two panels over one axis of alpha, which is logarithmic.

    Args:
        lines: `(alpha, Estimate of the mean class accuracy, loss of the map)`, ascending.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    alphas = [line[0] for line in lines]
    estimates, losses = [line[1] for line in lines], [line[2] for line in lines]
    with style.look():
        figure = style.new_figure(6.4, 4.2)
        above, below = figure.subplots(2, 1, sharex=True)
        values, ends = [100 * one.value for one in estimates], error_bars(estimates)
        above.errorbar(alphas, values, yerr=ends, fmt="o-", color="black", capsize=3)
        above.set_ylabel("mean class accuracy (%)")
        below.plot(alphas, losses, "o-", color="black")
        below.set_ylabel("map's loss")
        below.set_xscale("log")
        below.set_xticks(alphas, [f"{one:g}" for one in alphas])
        below.minorticks_off()
        below.set_xlabel("alpha, the weight of the classification loss")
    return figure
