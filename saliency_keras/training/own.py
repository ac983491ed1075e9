"""The experiment that a network of one's own is."""

from saliency_keras.experiments import EXPERIMENTS
from saliency_keras.experiments.experiment import Experiment
from saliency_keras.models.own import register

POPOUT = {"epochs": 7, "batch": 32, "drops": (5,)}  # as the thesis's networks
UNTELLING = ("build", "model", "make", "network")  # names of functions after which a run is not called


def own_experiment(given):
    """Makes an experiment of a function that builds a network.

    Its schedule is the thesis's, its pictures are cropped to 128 px, and it is shown each picture's own map if the
    network has an input for one.

    Args:
        given: The function, or `"module:function"` (see `models.own`).

    Returns:
        The `Experiment`, called after the function, or after the module where the function's name says nothing.

    Raises:
        UserError: If there is no such function, or it takes other arguments.
    """
    network, arguments = register(given)
    module, _, function = network.rpartition(":")
    name = function.rpartition(".")[2].strip("<>")
    name = module.rpartition(".")[2].strip("_") if name in UNTELLING else name
    name = f"own_{name}" if name in EXPERIMENTS else name
    what = f"{network}, a network of one's own"
    return Experiment(name, "own", what, what, network, {}, arguments, popout=POPOUT)
