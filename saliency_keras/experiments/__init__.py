"""Every experiment of the papers, as data: one file a paper, no logic.

To add one, add an entry to its paper's file (or a file with `EXPERIMENTS`, and its name here).
"""

from saliency_keras.console import UserError
from saliency_keras.experiments import hallucination, thesis

EXPERIMENTS = {one.name: one for paper in (thesis, hallucination) for one in paper.EXPERIMENTS}


def experiment(name):
    """The `Experiment` of that name; a `UserError` that lists the names if there is none."""
    if name not in EXPERIMENTS:
        raise UserError(f"there is no experiment {name!r}; choose one of {', '.join(EXPERIMENTS)}.")
    return EXPERIMENTS[name]
