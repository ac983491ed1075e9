"""From an experiment's words to a Keras model: pixels in, logits out."""

import dataclasses

import keras
from keras import layers

from saliency_keras.console import UserError
from saliency_keras.models.alexnet import Layers, alexnet
from saliency_keras.models.fanin import fanin1, fanin2, fanin3, noconv2
from saliency_keras.models.hallucination import modulated_alexnet, modulated_resnet

NETWORKS = {
    "alexnet": alexnet,
    "fanin1": fanin1,
    "fanin2": fanin2,
    "fanin3": fanin3,
    "noconv2": noconv2,
    "modulated_alexnet": modulated_alexnet,
    "modulated_resnet": modulated_resnet,
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
        raise UserError(f"the network {network} cannot be built at {side} px with {arguments}: {reason}") from None
    inputs = {"image": image, "saliency": saliency} if uses_saliency(network, arguments) else {"image": image}
    return keras.Model(inputs, logits, name=network)


def uses_saliency(network, arguments):
    """Whether the network has an input for the map."""
    if network == "alexnet":
        return bool(arguments.get("at_input") or arguments.get("at_convolutions"))
    if network.startswith("modulated"):
        return arguments.get("saliency_branch") == "map"
    return network != "noconv2" and not arguments.get("doubled", False)


def scaled(pixels, mean=None):
    """Pixels 0..255 -> 0..1, less the mean of each channel where one is given."""
    name = f"{pixels.name}_scaled"
    return layers.Rescaling(1 / 255, [-value for value in mean] if mean else 0.0, name=name)(pixels)
