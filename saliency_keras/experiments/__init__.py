"""Every experiment of the papers, as data: one file a paper, no logic.

To add one, add an entry to its paper's file, or a file with `HEADING` and `EXPERIMENTS`, and its name here. `train
--list` prints them so, and docs/networks.md has the same lines.
"""

from saliency_keras.console import UserError, did_you_mean
from saliency_keras.experiments import attention, guidance, hallucination, salclassnet, saliency_networks, thesis
from saliency_keras.experiments.experiment import Experiment

PAPERS = (thesis, hallucination, saliency_networks, salclassnet, attention, guidance)
EXPERIMENTS = {one.name: one for paper in PAPERS for one in paper.EXPERIMENTS}


def experiment(name):
    """The `Experiment` of that name, or the one given; a `UserError` that names the nearest if there is none."""
    if isinstance(name, Experiment):
        return name
    if name not in EXPERIMENTS:
        meant = did_you_mean(name, EXPERIMENTS, 3)
        raise UserError(f"there is no experiment {name!r}{meant} `train --list` shows all.")
    return EXPERIMENTS[name]
