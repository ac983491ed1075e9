"""Networks by name, and those of finished runs whose weights were not kept: built, with random weights."""

from pathlib import Path

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.experiments import experiment
from saliency_keras.experiments.published import DIAGRAMS
from saliency_keras.models.registry import NETWORKS, SALIENCY_NETWORKS, build, build_saliency
from saliency_keras.runs.run import network_in


def build_network(name, classes=1000, side=None, mean=None, weights="", **arguments):
    """Builds the network of an experiment, with random weights.

    Args:
        name: Name of the experiment, or an `Experiment`.
        classes: Number of classes.
        side: Width and height of the pictures in pixels; `None` for the experiment's.
        mean: Means of red, green, blue and saliency (0 to 1) to subtract after scaling, or `None` for none.
        weights: Of the backbone of a network that predicts saliency: `"imagenet"`, a file, or `""` for random ones.
        **arguments: The network's own arguments, where they differ from the experiment's.

    Returns:
        A `models.network.Network`.

    Raises:
        UserError: If there is no such experiment or argument, or an argument has a value that it cannot have.
    """
    chosen = experiment(name)
    if unknown := sorted(arguments.keys() - chosen.arguments.keys()):
        raise UserError(f"{chosen.name} has no argument {unknown[0]}; it has {', '.join(chosen.arguments)}.")
    arguments = {**chosen.arguments, **arguments}
    if chosen.learns_from_fixations:
        return build_saliency(chosen.network, arguments, weights)
    return build(chosen.network, arguments, side or chosen.pictures.side, classes, mean)


def network_of_run(run):
    """The network of a run: the trained one, or where its weights were not kept the same network untrained.

    Args:
        run: A `Run`.

    Returns:
        A `models.network.Network`; `None` where neither can be had.
    """
    if run_folder.has_network(run.folder):
        return network_in(run.folder)
    fields = run.config["experiment"]
    name, arguments = fields.get("network"), fields.get("arguments", {})
    try:
        if name in SALIENCY_NETWORKS:
            return build_saliency(name, arguments)
        if name in NETWORKS:
            return build(name, arguments, run.settings["side"], run.config["data"]["classes"])
    except (UserError, KeyError, TypeError):  # of another version, with other arguments
        pass
    return None


def network_named(word):
    """The network of an experiment, or that of a run where the word is a run folder, and what it is.

    Args:
        word: Name of an experiment, or a run folder.

    Returns:
        The `models.network.Network`, its title, and where the paper describes it: `"thesis, Table 4.1, Fan-in3"`.

    Raises:
        UserError: If it is neither.
    """
    if run_folder.is_begun(word) and not run_folder.has_network(word):
        raise UserError(f"{word} has no model.keras, so its network is not there; give the experiment's name.")
    if run_folder.has_network(word):
        network = network_in(word)
        return network, f"{network.model.name} ({Path(word).name})", ""
    chosen = experiment(word)
    drawn = f"; the paper draws it in {DIAGRAMS[word]}" if word in DIAGRAMS else ""
    return build_network(chosen), chosen.name, f"{chosen.paper}, {chosen.row}{drawn}"
