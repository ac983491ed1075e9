"""From an experiment's words to a Keras model: pixels in, logits or a map out."""

import dataclasses
import json
from pathlib import Path

import keras
from keras import layers

from saliency_keras.console import UserError
from saliency_keras.models.alexnet import Layers, alexnet
from saliency_keras.models.backbones import classifier_features
from saliency_keras.models.fanin import fanin1, fanin2, fanin3, noconv2
from saliency_keras.models.hallucination import modulated_alexnet, modulated_resnet
from saliency_keras.models.readouts import readout_bi, readout_dc, readout_spc
from saliency_keras.models.saliency_networks import copy_vgg16, juntingnet, salicon, salnet

NETWORKS = {
    "alexnet": alexnet,
    "fanin1": fanin1,
    "fanin2": fanin2,
    "fanin3": fanin3,
    "noconv2": noconv2,
    "modulated_alexnet": modulated_alexnet,
    "modulated_resnet": modulated_resnet,
}

SALIENCY_NETWORKS = {
    "salnet": salnet,
    "juntingnet": juntingnet,
    "salicon": salicon,
    "readout_dc": readout_dc,
    "readout_spc": readout_spc,
    "readout_bi": readout_bi,
}


def build(network, arguments, side, classes, mean=None):
    """Builds a network as a Functional model that takes plain pixels.

    Args:
        network: A name in `NETWORKS`.
        arguments: Its keyword arguments and those of `Layers`, in one dictionary.
        side: Width and height of picture and map, in pixels.
        classes: Number of classes.
        mean: Means of red, green, blue and saliency (0 to 1) to subtract after scaling, or `None` for none.

    Returns:
        A `keras.Model` from `{"image": (batch, side, side, 3), "saliency": (batch, side, side, 1)}`, uint8, to
        float32 logits `(batch, classes)`. A network that uses no map has the input `image` alone.

    Raises:
        UserError: If the side is too small for the network's poolings, or an argument has a value it cannot have.
    """
    options = {field.name for field in dataclasses.fields(Layers)}
    layer = Layers(**{name: value for name, value in arguments.items() if name in options})
    own = {name: value for name, value in arguments.items() if name not in options}
    image = keras.Input((side, side, 3), dtype="uint8", name="image")
    saliency = keras.Input((side, side, 1), dtype="uint8", name="saliency")
    scaled_inputs = scaled(image, mean and mean[:3]), scaled(saliency, mean and mean[3:])
    try:
        logits = NETWORKS[network](*scaled_inputs, classes, layer, **own)
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"the network {network} cannot be built at {side} px{_given(arguments)}: {reason}") from None
    inputs = {"image": image, "saliency": saliency} if uses_saliency(network, arguments) else {"image": image}
    return keras.Model(inputs, logits, name=network)


def build_saliency(network, arguments, weights=""):
    """Builds a network that predicts saliency.

    Args:
        network: A name in `SALIENCY_NETWORKS`.
        arguments: `height` and `width` of the picture in pixels and the network's own keyword arguments; of a
            read-out's, `levels` are names separated by commas and `backbone` may be a run folder.
        weights: Of the backbone: `"imagenet"`, the path of a `.weights.h5` file, or `""` for random ones.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, 3)`, 0 to 255, to a linear map `(batch, h, w, 1)`.

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
        model = SALIENCY_NETWORKS[network](**own)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(f"the network {network} cannot be built{_given(arguments)}: {error}") from None
    if network == "salicon" and weights:
        copy_vgg16(classifier_features("VGG16", weights), model)
    return model


def _given(arguments):
    """A network's arguments as `--set` takes them, for a sentence."""
    words = ", ".join(f"{name}={json.dumps(value)}" for name, value in arguments.items())
    return f" with {words}" if words else ""


def uses_saliency(network, arguments):
    """Whether the network has an input for the map."""
    if network == "alexnet":
        return bool(arguments.get("at_input") or arguments.get("at_convolutions"))
    if network.startswith("modulated"):
        return arguments.get("saliency_branch") == "map"
    return network != "noconv2" and not arguments.get("doubled", False)


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
