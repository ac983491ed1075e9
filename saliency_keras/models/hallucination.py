"""Networks whose features are modulated by a saliency map that a second branch makes from the same picture.

Figueroa-Flores et al. 2020, §III: the saliency branch is AlexNet's first four convolutions, a 1x1 convolution to one
channel and a ReLU; its map s, enlarged bilinearly, modulates the features l of the RGB branch as l (s + 1) (Eq. 2), or
l s (Eq. 1). No saliency map is ever shown to it as a target. The rest of the network ("joint branch") is the base
network's: AlexNet with padded conv2 and no batch normalisation, modulated after conv2's ReLU and before pool2, or a
ResNet of `keras.applications`, modulated after a stage. Layers of the branch end in `_saliency`; `saliency_map` is the
map before it is enlarged.

    saliency branch, 227 px                         RGB branch (AlexNet)
    conv1  96, 11x11 / 4, ReLU      55x55x96        conv1, ReLU             55x55x96
    pool1  3x3 / 2                  27x27x96        pool1                   27x27x96
    conv2  256, 5x5 padded, ReLU    27x27x256       conv2, ReLU            27x27x256
    pool2  3x3 / 2                  13x13x256       times (map + 1)        27x27x256
    conv3  384, 3x3 padded, ReLU    13x13x384       pool2                  13x13x256
    conv4  384, 3x3 padded, ReLU    13x13x384       conv3, conv4, conv5    13x13x256
    1x1, ReLU  (`saliency_map`)     13x13x1         pool5                    6x6x256
    enlarged                        27x27x1         fc1, fc2, fc3            classes
"""

import re

import keras
from keras import layers

from saliency_keras.models.alexnet import pool
from saliency_keras.models.backbones import BACKBONES, built_again
from saliency_keras.models.network import BRANCH, MAP_LAYER, MAP_MEETS_FEATURES
from saliency_keras.models.resized import resized

INPUTS = ("", "rgb", "map")  # what the saliency branch sees; "" for no branch, the baseline
ACTIVATIONS = ("relu", "softplus")
STAGES = tuple(f"conv{number}" for number in range(1, 6))
RESNETS = tuple(name for name in BACKBONES if name.startswith("ResNet"))


def hallucinated_map(x, layer, activation="relu", bias=0.1):
    """The saliency branch: `(h, w, 3)`, or 1 channel -> the map, `(13, 13, 1)` for 227 px, not negative, unbounded.

    Args:
        x: Tensor, scaled pixels.
        layer: The `Layers` to build with.
        activation: `"relu"`, or `"softplus"`, which cannot die.
        bias: What the bias of the 1x1 convolution starts from. Scores of an untrained branch lie within some hundredths
            of it; with 0, about one branch in ten is born with maps of zeros, which have no gradient.

    Returns:
        The map, output of the layer `saliency_map`.

    Raises:
        ValueError: If the activation is neither.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(f"saliency_activation is one of {', '.join(ACTIVATIONS)}. Received: {activation}")
    x = layer.block1(x, branch=BRANCH)  #                  27x27x96
    x = layer.block2(x, branch=BRANCH)  #                 13x13x256
    for number in 3, 4:
        x = layer.rectified(x, number, branch=BRANCH)  #  13x13x384
    x = layer.convolution(x, f"score{BRANCH}", 1, 1, bias=bias)  #  13x13x1
    return layers.Activation(activation, name=MAP_LAYER)(x)


def modulate(features, saliency, skip=True):
    """Modulation: `l (s + 1)` (Eq. 2), or without `skip` `l s` (Eq. 1).

    Args:
        features: Tensor `(h, w, c)`.
        saliency: Tensor of one channel and any size; it is resized bilinearly (half-pixel centres).
        skip: Whether the features also pass unchanged.

    Returns:
        Tensor `(h, w, c)`.
    """
    height, width = features.shape[1:3]
    if saliency.shape[1:3] != (height, width):
        saliency = resized(saliency, height, width, f"{MAP_LAYER}_enlarged")
    if skip:
        saliency = layers.Rescaling(1.0, 1.0, name="skip")(saliency)
    return layers.Multiply(name=MAP_MEETS_FEATURES)([features, saliency])


def modulated_alexnet(
    image,
    saliency,
    classes,
    layer,
    saliency_branch="rgb",
    fuse_at="conv2",
    skip=True,
    saliency_activation="relu",
    saliency_bias=0.1,
):
    """AlexNet with modulated features (Fig. 1). Logits `(classes,)`.

    Args:
        image: Tensor `(side, side, 3)`, scaled.
        saliency: Tensor `(side, side, 1)`, scaled; used where `saliency_branch` is `"map"`.
        classes: Number of classes.
        layer: The `Layers` to build with.
        saliency_branch: What the branch sees: `"rgb"` the picture, `"map"` a given saliency map (SMIC), `""` none at
            all: the plain network.
        fuse_at: `"conv1"` to `"conv5"`: whose ReLU's output is modulated.
        skip: Eq. 2 rather than Eq. 1.
        saliency_activation: `"relu"` or `"softplus"`.
        saliency_bias: What the bias of the branch's last convolution starts from.

    Returns:
        Logits.

    Raises:
        ValueError: If an argument has none of these values.
    """
    if fuse_at not in STAGES:
        raise ValueError(f"fuse_at is one of {', '.join(STAGES)}. Received: {fuse_at}")
    join = _modulation(image, saliency, layer, saliency_branch, skip, saliency_activation, saliency_bias)

    def at(stage):
        return join if stage == fuse_at else None

    x = layer.block1(image, at("conv1"))  #  27x27x96
    x = layer.block2(x, at("conv2"))  #     13x13x256
    for number in 3, 4, 5:
        x = layer.rectified(x, number)  #   13x13x384, x256 at last
        x = join(x) if fuse_at == f"conv{number}" else x
    return layer.classifier(pool(x, "pool5"), classes)


def modulated_resnet(
    image,
    saliency,
    classes,
    layer,
    backbone="ResNet152",
    saliency_branch="rgb",
    fuse_at="conv4",
    skip=True,
    saliency_activation="relu",
    saliency_bias=0.1,
):
    """A ResNet of `keras.applications` with modulated features. Logits `(classes,)`.

    "After the forth residual block" (§IV-A) is read as the stage conv4, one before the last; the first of the five is
    conv1.

    Args:
        image: Tensor `(side, side, 3)`, 0 to 1.
        saliency: Tensor `(side, side, 1)`, 0 to 1; used where `saliency_branch` is `"map"`.
        classes: Number of classes.
        layer: The `Layers` that the saliency branch is built with; its weight decay holds for the ResNet too.
        backbone: One of `RESNETS`.
        saliency_branch: As for `modulated_alexnet`.
        fuse_at: A stage, `"conv2"` to `"conv5"`, or one of its blocks such as `"conv3_block1"`.
        skip: Eq. 2 rather than Eq. 1.
        saliency_activation: `"relu"` or `"softplus"`.
        saliency_bias: What the bias of the branch's last convolution starts from.

    Returns:
        Logits. The layers of the base network have the names and shapes of `keras.applications`'.

    Raises:
        ValueError: If an argument has none of these values.
    """
    base = _resnet(backbone)(include_top=False, weights=None, pooling="avg", input_shape=tuple(image.shape[1:]))
    join = _modulation(image, saliency, layer, saliency_branch, skip, saliency_activation, saliency_bias)
    pixels = layers.Rescaling(255.0, name="pixels")(image)
    features = _rerun(base, BACKBONES[backbone](pixels), _last_layer(base, fuse_at), join, layer.weight_decay)
    decay = keras.regularizers.L2(layer.weight_decay) if layer.weight_decay else None
    return layers.Dense(classes, name="predictions", dtype="float32", kernel_regularizer=decay)(features)


def pretrained_resnet(backbone, weights):
    """A ResNet of `keras.applications` with its classifier, to take weights from by the names of its layers.

    Args:
        backbone: One of `RESNETS`.
        weights: `"imagenet"`, or the path of a weights file of 1000 classes.

    Returns:
        The Keras model, 1000 classes.

    Raises:
        ValueError: If the file does not fit.
    """
    return _resnet(backbone)(weights=weights)


def _modulation(image, saliency, layer, branch_input, skip, activation, bias):
    """The function that modulates features; without a branch it leaves them alone."""
    if branch_input not in INPUTS:
        raise ValueError(f"saliency_branch is rgb, map or empty. Received: {branch_input}")
    if not branch_input:
        return lambda features: features
    where = hallucinated_map(image if branch_input == "rgb" else saliency, layer, activation, bias)
    return lambda features: modulate(features, where, skip)


def _resnet(backbone):
    if backbone not in RESNETS:
        raise ValueError(f"backbone is one of {', '.join(RESNETS)}. Received: {backbone}")
    return getattr(keras.applications, backbone)


def _last_layer(base, fuse_at):
    """Name of the layer at the end of a stage or block."""
    pattern = rf"{fuse_at}(_block\d+)?_out" if re.fullmatch(r"conv[2-5](_block\d+)?", fuse_at) else r"(?!)"
    ends = [one.name for one in base.layers if re.fullmatch(pattern, one.name)]
    if not ends:
        raise ValueError(f"fuse_at is conv2 to conv5, or a block such as conv3_block1. Received: {fuse_at}")
    return ends[-1]


def _rerun(base, x, join_after, join, weight_decay):
    """Builds the layers of `base` again on `x`, `join` applied after one of them: the features at the end."""

    def penalised(_, config):
        if weight_decay and "kernel_regularizer" in config:
            config["kernel_regularizer"] = keras.regularizers.L2(weight_decay)

    return built_again(
        base, x, change=penalised, after=lambda layer, output: join(output) if layer.name == join_after else output
    )[0]
