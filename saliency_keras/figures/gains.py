"""What each run gained over its baseline, with intervals and the published gains: one panel a baseline."""

from saliency_keras.console import UserError
from saliency_keras.experiments.tables import baseline_of
from saliency_keras.figures.intervals import difference, intervals_figure
from saliency_keras.runs.labels import labels_of


def gains_figure(runs):
    """The gains of some runs, each over the run of its baseline that has the same seed.

    Args:
        runs: `runs.run.Run`s of classifiers; each is compared with what the papers' tables compare it with, if
            that is among them.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        UserError: If no run has its baseline among them or one has several, or a pair was not tested on the same
            pictures.
    """
    labels, panels = labels_of(runs), {}
    for run, label in zip(runs, labels, strict=True):
        wanted = baseline_of(run.name), run.seed
        found = {name: one for name, one in zip(labels, runs, strict=True) if (one.name, one.seed) == wanted}
        if len(found) > 1:
            raise UserError(f"{label} has more than one baseline among them: {'; '.join(found)}. Give one of them.")
        for name, baseline in found.items():
            line = label, difference([run.predictions], [baseline.predictions]), published_gain(run, baseline)
            panels.setdefault(f"against {name}", []).append(line)
    if not panels:
        wanted = " or ".join(sorted({baseline_of(run.name) for run in runs} - {""}))
        missing = f"; give {wanted} of the same seed too" if wanted else ""
        raise UserError(f"no run has its baseline among them{missing}.")
    return intervals_figure(panels)


def published_gain(run, baseline):
    """The published gain at Top-1 of one run over another, 0 to 1, or `None` where one of the two was not published."""
    own, before = (one.published.get("top1") for one in (run, baseline))
    return round(own - before, 6) if own and before else None
