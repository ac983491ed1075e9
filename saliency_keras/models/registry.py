"""The networks by name, and the way from an experiment's words to a `Network`: pixels in, logits or a map out."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import keras
from keras import layers

from saliency_keras.console import UserError
from saliency_keras.models import own as own_networks
from saliency_keras.models.alexnet import Layers, alexnet
from saliency_keras.models.attention import classifier_attention, max_pooled, parts_by_stride, pretrained_backbone
from saliency_keras.models.backbones import classifier_features
from saliency_keras.models.fanin import fanin1, fanin2, fanin3, noconv2
from saliency_keras.models.guidance import classifier
from saliency_keras.models.hallucination import modulated_alexnet, modulated_resnet, pretrained_resnet
from saliency_keras.models.merged import merged
from saliency_keras.models.network import Network, network_of, parts_by_name
from saliency_keras.models.readouts import readout_bi, readout_dc, readout_pointwise, readout_spc
from saliency_keras.models.salclassnet import (
    pretrained_detector,
    pretrained_trunk,
    salclassnet,
    salclassnet_detector,
    salclassnet_osie,
)
from saliency_keras.models.saliency_networks import copy_vgg16, juntingnet, salicon, salnet
from saliency_keras.models.weights import carry_weights, imagenet_weights


@dataclasses.dataclass(frozen=True)
class Blueprint:
    """What the registry knows of a classifier.

    Attributes:
        build: Function `(image, saliency, classes, layers, **arguments)` to the logits, or to a dictionary of outputs.
        shows_map: Function of the arguments: whether the network has an input for the map.
        parts: Function of the built model: its parts.
        pretrained: Function `(backbone, weights)` to a `Network` that has weights of `keras.applications` for it.
    """

    build: Callable
    shows_map: Callable[[dict], bool] = lambda arguments: True
    parts: Callable[[keras.Model], dict] = parts_by_name
    pretrained: Callable[[str, str], Network] = lambda backbone, weights: network_of(
        pretrained_resnet(backbone, weights)
    )


def _joined(arguments):
    return bool(arguments.get("at_input") or arguments.get("at_convolutions"))


def _two_branches(arguments):
    return not arguments.get("doubled", False)


def _branch_sees_map(arguments):
    return arguments.get("saliency_branch") == "map"


def _fourth_channel_is_map(arguments):
    return arguments.get("fourth_channel") == "map"


def _never(arguments):
    return False


NETWORKS = {
    "alexnet": Blueprint(alexnet, _joined),
    "fanin1": Blueprint(fanin1, _two_branches),
    "fanin2": Blueprint(fanin2, _two_branches),
    "fanin3": Blueprint(fanin3, _two_branches),
    "merged": Blueprint(merged, _two_branches),
    "noconv2": Blueprint(noconv2, _never),
    "modulated_alexnet": Blueprint(modulated_alexnet, _branch_sees_map),
    "modulated_resnet": Blueprint(modulated_resnet, _branch_sees_map),
    "classifier_attention": Blueprint(classifier_attention, _never, parts_by_stride, pretrained_backbone),
    "salclassnet": Blueprint(salclassnet, _fourth_channel_is_map, pretrained=pretrained_trunk),
    "salclassnet_detector": Blueprint(salclassnet_detector, _never, pretrained=pretrained_detector),
    "classifier": Blueprint(classifier, _never, pretrained=pretrained_backbone),
    "max_pooled": Blueprint(max_pooled, _never, parts_by_stride, pretrained_backbone),
}

SALIENCY_NETWORKS = {
    "salnet": salnet,
    "juntingnet": juntingnet,
    "salicon": salicon,
    "readout_dc": readout_dc,
    "readout_spc": readout_spc,
    "readout_bi": readout_bi,
    "readout_pointwise": readout_pointwise,
    "salclassnet_osie": salclassnet_osie,
}


def shows_map(network, arguments):
    """Whether the network of that name, with those arguments, has an input for the map."""
    if own_networks.is_own(network):
        return own_networks.shows_map(network, arguments)
    return network in NETWORKS and NETWORKS[network].shows_map(arguments)


def build(network, arguments, side, classes, mean=None):
    """Builds a classifier that takes plain pixels.

    Args:
        network: A name in `NETWORKS`, or of a network of one's own (`models.own`).
        arguments: Its keyword arguments and those of `Layers`, in one dictionary.
        side: Width and height of picture and map, in pixels.
        classes: Number of classes.
        mean: Means of red, green, blue and saliency (0 to 1) to subtract after scaling, or `None` for none.

    Returns:
        A `Network`. Its model goes from `{"image": (batch, side, side, 3), "saliency": (batch, side, side, 1)}`, uint8,
        to float32 logits `(batch, classes)`, or to a dictionary of outputs. A network that is shown no map has the
        input `image` alone.

    Raises:
        UserError: If the side is too small for the network's poolings, or an argument has a value it cannot have.
    """
    if own_networks.is_own(network):
        return own_networks.build(network, arguments, side, classes, mean)
    options = {field.name for field in dataclasses.fields(Layers)}
    layer = Layers(**{name: value for name, value in arguments.items() if name in options})
    own = {name: value for name, value in arguments.items() if name not in options}
    image = keras.Input((side, side, 3), dtype="uint8", name="image")
    saliency = keras.Input((side, side, 1), dtype="uint8", name="saliency")
    scaled_inputs = scaled(image, mean and mean[:3]), scaled(saliency, mean and mean[3:])
    blueprint = NETWORKS[network]
    try:
        outputs = blueprint.build(*scaled_inputs, classes, layer, **own)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the network {network} cannot be built at {side} px{_given(arguments)}: {reason}") from None
    inputs = {"image": image, "saliency": saliency} if blueprint.shows_map(arguments) else {"image": image}
    model = keras.Model(inputs, outputs, name=network)
    return Network(model, blueprint.parts(model))


def build_saliency(network, arguments, weights="", frozen=False):
    """Builds a network that predicts saliency.

    Args:
        network: A name in `SALIENCY_NETWORKS`.
        arguments: `height` and `width` of the picture in pixels and the network's own keyword arguments; of a
            read-out's, `levels` and `backbones` are names separated by commas and `backbone` may be a run folder.
        weights: Of the backbone: `"imagenet"`, the path of a `.weights.h5` file, or `""` for random ones.
        frozen: Whether a read-out's backbone keeps its weights.

    Returns:
        A `Network` whose model goes from pixels `(batch, height, width, 3)`, 0 to 255, to a linear map
        `(batch, h, w, 1)`.

    Raises:
        UserError: If an argument has a value it cannot have, or the weights cannot be had.
    """
    own = dict(arguments)
    if network in ("salnet", "juntingnet") and weights:
        raise UserError(f"there are no weights of {network} to start from; leave weights={weights} out, or use --init.")
    if weights not in ("", "imagenet") and not Path(weights).is_file():
        raise UserError(f"there is no weights file {weights}.")
    try:
        if network == "juntingnet":
            height, own["side"] = own.pop("height"), own.pop("width")
            if height != own["side"]:
                raise ValueError(f"its pictures are square, not {height}x{own['side']}")
        if network.startswith("readout"):
            own |= {"levels": tuple(filter(None, own["levels"].split(","))), "weights": weights or None}
            own["frozen"] = frozen
            if "backbones" in own:
                own["backbones"] = tuple(filter(None, own["backbones"].split(",")))
        model = SALIENCY_NETWORKS[network](**own)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"the network {network} cannot be built{_given(arguments)}: {error}") from None
    found = Network(model, parts_by_name(model), output="map")
    given = found.parts.get("backbone", ())
    if network == "salicon" and weights:
        given = copy_vgg16(classifier_features("VGG16", weights), model)
    if network == "salclassnet_osie" and weights:
        given = carry_weights(_detector_weights(arguments["detector"], weights), found)
    return dataclasses.replace(found, given=tuple(given))


def _detector_weights(detector, weights):
    """The `Network` with weights of `keras.applications` for a detector."""
    if weights == "imagenet":
        with imagenet_weights(detector, "; name a file of them: --set weights=FILE"):
            return pretrained_detector(detector, weights)
    try:
        return pretrained_detector(detector, weights)
    except (ValueError, OSError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the weights {weights} cannot be loaded into {detector}: {reason}") from None


def _given(arguments):
    """A network's arguments as `--set` takes them, for a sentence."""
    words = ", ".join(f"{name}={json.dumps(value)}" for name, value in arguments.items())
    return f" with {words}" if words else ""


def subtracted(model, name):
    """The means that a network subtracts from its input `name` after scaling, a list of one number a channel.

    `None` where it subtracts none, has no such input, or is none itself.
    """
    names = [layer.name for layer in model.layers] if model else ()
    offset = model.get_layer(f"{name}_scaled").offset if f"{name}_scaled" in names else 0.0
    return [-value for value in offset] if offset else None


def scaled(pixels, mean=None):
    """Pixels 0..255 -> 0..1, less the mean of each channel where one is given."""
    name = f"{pixels.name}_scaled"
    return layers.Rescaling(1 / 255, [-value for value in mean] if mean else 0.0, name=name)(pixels)
