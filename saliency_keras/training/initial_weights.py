"""What a network starts from: another run, weights of `keras.applications`, or nothing."""

import json
from pathlib import Path

from saliency_keras.console import UserError
from saliency_keras.models.hallucination import pretrained_resnet
from saliency_keras.models.registry import subtracted
from saliency_keras.models.weights import carry_weights, imagenet_weights, load_network, new_layers


def initial_weights(experiment, model, start, init, seed):
    """Gives a network the weights that it starts from.

    Args:
        experiment: The `Experiment`.
        model: Its built network.
        start: Network of the run `init`, or `None`.
        init: The run folder.
        seed: Seed of what is drawn anew.

    Returns:
        Names of the layers that got weights.

    Raises:
        UserError: If they do not fit.
    """
    if start:
        earlier = _experiment_of(init)
        _check_same_map(experiment, earlier, init)
        if (means := bool(subtracted(start, "image"))) != experiment.subtract_mean:
            value = json.dumps(means)
            raise UserError(
                f"the network of {init} was trained with subtract_mean={value}: --set subtract_mean={value}."
            )
        of = earlier["name"]
    elif experiment.weights:
        start, of = _pretrained(experiment), ""
    else:
        return []
    new_top, new_dense = experiment.new_top, experiment.new_dense
    carried = carry_weights(start, model, experiment.new_weights, new_top, seed, new_dense)
    known = {*carried, *(layer.name for layer in new_layers(model, new_top, new_dense))}
    lacking = [layer.name for layer in model.layers if layer.weights and layer.name not in known]
    if lacking and experiment.starts_from not in ("", of):
        raise UserError(
            f"{init} is a run of {of} and lacks {', '.join(lacking)}; {experiment.name} starts from a run of "
            f"{experiment.starts_from}."
        )
    return carried


def _experiment_of(run):
    try:
        experiment = json.loads((Path(run) / "config.json").read_text(encoding="utf-8"))["experiment"]
        return {"name": experiment["name"], "arguments": dict(experiment["arguments"])}
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{run} is no whole run: its config.json cannot be read.") from None


def _check_same_map(experiment, earlier, init):
    """Refuses a saliency branch that was taught as another factor: its map would be off by one, or not the map."""
    before, now = earlier["arguments"], experiment.arguments
    if not before.get("saliency_branch") or before["saliency_branch"] != now.get("saliency_branch"):
        return
    for name in "skip", "saliency_activation":
        if before.get(name) != now[name]:
            value = json.dumps(before.get(name)).strip('"')
            raise UserError(f"the saliency branch of {init} was trained with {name}={value}: --set {name}={value}.")


def _pretrained(experiment):
    backbone, weights = experiment.arguments.get("backbone"), experiment.weights
    if backbone is None:
        raise UserError(
            f"weights={weights} is for networks of keras.applications; give {experiment.name} a run: --init."
        )
    if weights == "imagenet":
        with imagenet_weights(backbone, "; name a file of them: --set weights=FILE"):
            return pretrained_resnet(backbone, weights)
    if not Path(weights).is_file():
        raise UserError(f"there is no weights file {weights}.")
    try:
        return pretrained_resnet(backbone, weights)
    except (ValueError, OSError, KeyError) as error:
        raise UserError(
            f"the weights {weights} cannot be loaded into {backbone}: {str(error).splitlines()[0]}"
        ) from None


def check_frozen(experiment, config):
    """Refuses frozen layers with random weights: nothing could ever be learned through them."""
    random = [name for name in config["frozen"] if name not in config["carried"]]
    if random:
        raise UserError(
            f"{experiment.name} freezes {random[0]}{' and others' if len(random) > 1 else ''}, which would keep random "
            f"weights; give --init a run that has them{f' ({experiment.starts_from})' * bool(experiment.starts_from)}."
        )


def load_run_model(folder):
    """Loads the network of a finished run: its last epoch.

    Args:
        folder: A run folder.

    Returns:
        The Keras model, not compiled.

    Raises:
        UserError: If the folder is no finished run, or its network is damaged.
    """
    path = Path(folder) / "model.keras"
    if not path.is_file():
        raise UserError(f"{folder} is no finished run: it has no model.keras.")
    return load_network(path)
