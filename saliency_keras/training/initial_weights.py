"""What a network starts from: the weights of other runs, of `keras.applications`, of a file, or nothing."""

import dataclasses
import itertools
import json
from pathlib import Path

from saliency_keras import run_folder
from saliency_keras.console import UserError, tell
from saliency_keras.experiments.experiment import WHOLE, flat_settings
from saliency_keras.files import read_json
from saliency_keras.models.network import Network
from saliency_keras.models.published_weights import published_alexnet
from saliency_keras.models.registry import NETWORKS, build, subtracted
from saliency_keras.models.weight_files import read_arrays
from saliency_keras.models.weights import carry_weights, draw_anew, fresh_layers, give_weights, imagenet_weights
from saliency_keras.runs.run import Run, network_in

# What two networks must have in common: of others a few layers would fit, and the rest would keep random weights.
LAYERS = {"trunk": ("backbone",), "saliency": ("detector", "detector_level", "pool_padding")}
MEANING = ("saliency_activation", "loss")  # what a detector's output says
FULL_SIDE = 227  # pixels: the side at which padded AlexNet's fc6 sees 6x6x256


@dataclasses.dataclass(frozen=True)
class Parent:
    """A run whose weights another one takes over.

    Attributes:
        folder: Its run folder.
        network: Its `Network`.
        settings: Its experiment's settings, side by side.
    """

    folder: Path
    network: Network
    settings: dict


def load_parents(folders):
    """Loads the runs that a network starts from.

    Args:
        folders: From a part to a run folder.

    Returns:
        From the part to its `Parent`; a run that gives several parts is loaded once.

    Raises:
        UserError: If one is no finished run, or damaged.
    """
    loaded = {folder: Parent(Path(folder), network_in(folder), _settings(folder)) for folder in set(folders.values())}
    return {part: loaded[folder] for part, folder in folders.items()}


def initial_weights(experiment, network, parents, seed):
    """Gives a network the weights that it starts from.

    Args:
        experiment: The `Experiment`.
        network: Its `Network`.
        parents: From a part to its `Parent`.
        seed: Seed of the new weights.

    Returns:
        Names of the layers that got weights.

    Raises:
        UserError: If they do not fit.
    """
    start, carried = experiment.start, []
    # The whole network first: the run of a part has the last word on it, in whichever order they are named.
    for part, parent in sorted(parents.items(), key=lambda item: item[0] != WHOLE):
        _check_parent(experiment, network, part, parent)
        parts = () if part == WHOLE else (part,)
        try:
            found = carry_weights(
                parent.network, network, parts, start.fresh, start.new_weights, seed, experiment.learns_from_fixations
            )
        except UserError as error:
            raise UserError(f"{_whose(experiment, part, parent)}: {error}") from None
        _check_part(experiment, network, part, parent, found)
        carried += found
    if start.weights and WHOLE not in parents and not experiment.learns_from_fixations:
        left = tuple(part for part in network.parts if part not in parents) if parents else ()
        given = _published(experiment, network) if _is_alexnet(experiment) else _pretrained(experiment)
        carried += carry_weights(given, network, left, start.fresh, start.new_weights, seed)
        _tell_lacking(experiment, network, carried)
    if not carried:
        return []
    draw_anew(network, start.fresh, seed)
    _check_lacking(experiment, network, parents, carried)
    return carried


def _whose(experiment, part, parent):
    """Whose weights do not fit, and whose are expected, where these are another experiment's."""
    name, expected = parent.settings["name"], experiment.start.parents.get(part, "")
    other = f", where {experiment.name} takes one of {expected}" if expected not in ("", name) else ""
    return f"{parent.folder} is a run of {name}{other}"


def _is_alexnet(experiment):
    """Whether its network is AlexNet or made of its layers."""
    arguments = experiment.arguments
    backbone = arguments.get("backbone") or arguments.get("detector") or "alexnet"
    return "width_multiplier" in arguments and backbone == "alexnet"


def _published(experiment, network):
    """The `Network` of an AlexNet that others published, on pixels as this network sees them."""
    weights = experiment.start.weights
    if weights == "imagenet":
        raise UserError("Keras has no ImageNet weights of AlexNet; give a file of them (--set weights=FILE) or --init.")
    arrays = read_arrays(weights)
    try:
        found = published_alexnet(arrays, subtracted(network.model, "image"))
    except UserError as error:
        raise UserError(f"{weights}: {error}") from None
    seen, classes = found.layers["fc1"][0].shape[0], found.layers["fc3"][0].shape[1]
    arguments = {
        "batch_norm": False,
        "conv2_padding": "same",
        "width_multiplier": found.width,
        "dense_units": found.layers["fc1"][0].shape[1],
    }
    source = build("alexnet", arguments, FULL_SIDE, classes)
    for name, values in found.layers.items():
        layer = source.model.get_layer(name)
        if [one.shape for one in values] != [tuple(one.shape) for one in layer.weights]:
            raise UserError(f"{weights}: {name} does not fit; fc6 sees {seen} values, where AlexNet's sees 6x6x256.")
        give_weights(layer, values)
    groups = f", two groups in {', '.join(found.grouped)}" if found.grouped else ""
    tell(f"{weights}: AlexNet in {found.layout} layout{groups}")
    if found.layout == "Caffe's":
        tell("it was trained with local response normalisation after conv1 and conv2, which this network lacks")
    return source


def _tell_lacking(experiment, network, carried):
    """Says which layers a file of weights leaves with new ones."""
    known = {*carried, *(layer.name for layer in fresh_layers(network, experiment.start.fresh))}
    if new := [layer.name for layer in network.layers_of(network.parts) if layer.name not in known]:
        tell(f"no weights there for {', '.join(new)}: new ones")


def check_classes(network, parents, carried, classes):
    """Refuses a last layer that was trained on other classes than those it is to be trained on.

    Args:
        network: The `Network`.
        parents: From a part to its `Parent`.
        carried: Names of the layers that took weights over.
        classes: Names of the classes to train on.

    Raises:
        UserError: If a parent whose last layer was taken over was trained on other classes, or on another order of
            them.
    """
    if not set(network.parts.get("top", ())) & set(carried):
        return
    for part, parent in parents.items():
        if part not in (WHOLE, "top") or not (parent.folder / run_folder.PREDICTIONS).is_file():
            continue
        known = Run.load(parent.folder).predictions.classes
        if tuple(known) != tuple(classes):
            theirs, ours = next(
                pair for pair in itertools.zip_longest(known, classes, fillvalue="none") if pair[0] != pair[1]
            )
            raise UserError(
                f"{parent.folder} was trained on other classes ({theirs} where this set has {ours}), and its last "
                "layer would be taken over as if they were the same; --set fresh=top gives the network a new one."
            )


def _check_parent(experiment, network, part, parent):
    """Refuses weights that saw other numbers than they would see here."""
    _check_same_map(experiment, parent)
    check_same_layers(experiment, part, parent.folder, parent.settings)
    _check_same_range(experiment, parent)
    if experiment.pictures is None or "trunk" not in (network.parts if part == WHOLE else (part,)):
        return
    means, asked = bool(subtracted(parent.network.model, "image")), experiment.pictures.subtract_mean
    if means != asked:
        raise _trained_with(f"the network of {parent.folder}", "subtract_mean", means)


def _check_same_range(experiment, parent):
    """Refuses a fourth channel that saw maps of another range; before there was a choice, their deviation was 1."""
    now = experiment.arguments.get("new_channel_range")
    if not experiment.arguments.get("fourth_channel") or not parent.settings.get("fourth_channel"):
        return
    if (before := parent.settings.get("new_channel_range", "unit")) != now:
        raise _trained_with(f"the fourth channel of {parent.folder}", "new_channel_range", before)


def _check_same_map(experiment, parent):
    """Refuses a saliency branch that was taught as another factor: its map would be off by one, or not the map."""
    before, now = parent.settings, experiment.arguments
    if not before.get("saliency_branch") or before["saliency_branch"] != now.get("saliency_branch"):
        return
    _check_alike(f"the saliency branch of {parent.folder}", ("skip", "saliency_activation"), before, now)


def check_same_layers(experiment, part, folder, before):
    """Refuses another trunk, another detector, and a detector of a part whose output means something else.

    Args:
        experiment: The `Experiment`.
        part: The part that it takes from a run, or `WHOLE`.
        folder: That run's folder.
        before: The settings of that run's experiment, side by side.

    Raises:
        UserError: If the two differ in one.
    """
    now = {**experiment.arguments, "loss": experiment.loss}
    for of, names in LAYERS.items():
        if part not in (WHOLE, of) or not (names[0] in before and names[0] in now):
            continue
        if of == "trunk" and experiment.learns_from_fixations:
            continue  # a read-out's backbone may be a run, which goes by many paths
        meaning = MEANING if part == of == "saliency" else ()
        _check_alike(f"the {'detector' if of == 'saliency' else of} of {folder}", (*names, *meaning), before, now)


def _check_alike(whose, names, before, now):
    """Refuses weights that were trained with other values of some settings."""
    for name in names:
        if before.get(name) != now[name]:
            raise _trained_with(whose, name, before.get(name))


def _trained_with(whose, name, value):
    """The error for weights that were trained with another value of a setting."""
    setting = "{}={}".format(name, json.dumps(value).strip('"'))
    return UserError(f"{whose} was trained with {setting}: --set {setting}.")


def _check_part(experiment, network, part, parent, carried):
    """Refuses a run that has only some layers of a part: the others would keep random weights."""
    if part == WHOLE or part in experiment.start.fresh:
        return
    if lacking := [layer.name for layer in network.layers_of([part]) if layer.name not in carried]:
        raise UserError(
            f"{parent.folder} lacks {lacking[0]}{' and others' * (len(lacking) > 1)} of the part {part} of "
            f"{experiment.name}; start from a run with the same layers there (its config.json has its settings)."
        )


def _check_lacking(experiment, network, parents, carried):
    """Refuses a run of another experiment than the one expected that leaves layers with random weights."""
    if WHOLE not in parents:
        return
    parent, expected = parents[WHOLE], experiment.start.parents.get(WHOLE, "")
    known = {*carried, *(layer.name for layer in fresh_layers(network, experiment.start.fresh))}
    lacking = [layer.name for layer in network.layers_of(network.parts) if layer.name not in known]
    if lacking and expected not in ("", parent.settings["name"]):
        raise UserError(
            f"{parent.folder} is a run of {parent.settings['name']} and lacks {', '.join(lacking)}; {experiment.name} "
            f"starts from a run of {expected}."
        )


def _settings(run):
    try:
        fields = read_json(run_folder.checked(run, run_folder.CONFIG))["experiment"]
        return {**flat_settings(fields), "name": fields["name"]}
    except (KeyError, TypeError, AttributeError):
        raise UserError(f"{run} is no whole run: its config.json cannot be read.") from None


def _pretrained(experiment):
    """The `Network` of the weights that `start.weights` names."""
    arguments, weights = experiment.arguments, experiment.start.weights
    backbone = arguments.get("backbone") or arguments.get("detector")
    pretrained = NETWORKS[experiment.network].pretrained
    if backbone is None:
        raise UserError(
            f"weights={weights} is for networks of keras.applications; give {experiment.name} a run: --init."
        )
    if weights == "imagenet":
        with imagenet_weights(backbone, "; name a file of them: --set weights=FILE"):
            return pretrained(backbone, weights)
    if not Path(weights).is_file():
        raise UserError(f"there is no weights file {weights}.")
    try:
        return pretrained(backbone, weights)
    except (ValueError, OSError, KeyError) as error:
        raise UserError(
            f"the weights {weights} cannot be loaded into {backbone}: {str(error).splitlines()[0]}"
        ) from None


def check_frozen(experiment, frozen, given):
    """Refuses frozen layers with random weights: nothing could ever be learned through them.

    Args:
        experiment: The `Experiment`.
        frozen: Names of the frozen layers.
        given: Names of the layers that got weights.

    Raises:
        UserError: If there is one.
    """
    random = [name for name in frozen if name not in given]
    if random:
        expected = ", ".join(experiment.start.parents.values())
        raise UserError(
            f"{experiment.name} freezes {random[0]}{' and others' if len(random) > 1 else ''}, which would keep random "
            f"weights; give --init a run that has them{f' ({expected})' * bool(expected)}."
        )
