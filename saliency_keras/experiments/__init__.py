"""Every experiment of the papers, as data: one file a paper, no logic.

To add one, add an entry to its paper's file (or a file with `EXPERIMENTS`, and its name here).
"""

import difflib

from saliency_keras.console import UserError
from saliency_keras.experiments import attention, guidance, hallucination, salclassnet, saliency_networks, thesis
from saliency_keras.experiments.experiment import Experiment

PAPERS = (thesis, hallucination, saliency_networks, salclassnet, attention, guidance)
EXPERIMENTS = {one.name: one for paper in PAPERS for one in paper.EXPERIMENTS}


def experiment(name):
    """The `Experiment` of that name, or the one given; a `UserError` that names the nearest if there is none."""
    if isinstance(name, Experiment):
        return name
    if name not in EXPERIMENTS:
        near = difflib.get_close_matches(name, EXPERIMENTS, 3)
        meant = f"; did you mean {', '.join(near)}?" if near else "."
        raise UserError(f"there is no experiment {name!r}{meant} `train --list` shows all.")
    return EXPERIMENTS[name]
