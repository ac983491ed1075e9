"""SalClassNet: a saliency detector in front of a classifier that sees four channels, one network, trained jointly.

Murabito et al. 2017, §3: the detector is VGG's thirteen convolutions and five poolings, a 1x1 convolution to one
channel, and bilinear up-sampling to the picture. Its map, batch-normalised, is the fourth channel of a classifier. The
paper's counts fit VGG-16 (VGG-19 has sixteen convolutions), and 10x10 positions at 299 px need poolings that round up.

    detector, 299 px                              classifier
    blocks 1 and 2   2 x  64, 2 x 128   75x75x128      picture, 0 to 1                      299x299x3
    blocks 3, 4, 5   3 x 256, 3 x 512,                 `map_new_channel`: BN of the map     299x299x1
                     3 x 512            10x10x512      first convolution of the picture, plus
    `score_saliency` 1, 1x1             10x10x1        `first_new_channel` of the map       149x149x32
    `saliency_map`   enlarged         299x299x1        the rest of Inception-v3, VGG-19, ...  classes

The kernels of the first layer for the fourth channel are a convolution of their own, without a bias, whose output is
added to that of the picture's: the same function as one kernel of four channels, with the new slice as variables of its
own, which can learn at another rate. Before it is trained, the network with a map of zeros is the one of three channels
to the bit, where the map alone is batch-normalised.

What is batch-normalised has a deviation of 1, as the colours have that the paper's networks were trained on. The
weights of Keras' ResNet-50 and VGG expect colours of a deviation of 58. Beside these, a map of deviation 1 is not seen.
So the map is multiplied by the deviation of the colours that the trunk expects.
"""

import dataclasses

import keras
import numpy as np
from keras import layers

from saliency_keras.models.attention import OURS, backbone_features
from saliency_keras.models.backbones import (
    BACKBONES,
    COLOURS,
    application,
    built_again,
    check_weights,
    consists_of_layers,
    features_alone,
    of_one_width,
    pixel_deviation,
)
from saliency_keras.models.network import BRANCH, MAP_LAYER, NEW_CHANNEL, network_of
from saliency_keras.models.resized import resized
from saliency_keras.models.weights import give_weights

FOURTH = ("", "map", "detector")
NORMALISED = ("saliency", "rgbs")
RANGES = ("pixels", "unit")
ACTIVATIONS = ("linear", "relu", "softplus", "sigmoid")


def salclassnet(
    image,
    saliency,
    classes,
    layer,
    backbone="InceptionV3",
    fourth_channel="detector",
    classifier_size=0,
    bn_over="saliency",
    new_channel_range="pixels",
    new_channel_initializer="glorot_uniform",
    detector="VGG16",
    detector_level="",
    pool_padding="same",
    saliency_activation="linear",
):
    """A classifier that sees three channels, or four: a given map, or one that a detector makes of the picture.

    Args:
        image: Tensor `(side, side, 3)`, 0 to 1.
        saliency: Tensor `(side, side, 1)`, 0 to 1; used where `fourth_channel` is `"map"`.
        classes: Number of classes.
        layer: The `Layers` to build with: `width_multiplier` of all convolutions, and `dense_units` and `dropout` of
            VGG's dense layers.
        backbone: The trunk, a name in `models.backbones.BACKBONES`, or `"alexnet"` for the thesis's convolutions,
            padded.
        fourth_channel: `"detector"`, `"map"` (the RGBS baselines of §5.4), or `""` for the plain classifier.
        classifier_size: Side in pixels that picture and map are resized to in front of the classifier, 0 for none.
        bn_over: What is batch-normalised where detector and classifier meet: `"saliency"`, the map alone, or `"rgbs"`,
            all four channels. The paper's sentences (§3.3) allow both.
        new_channel_range: The deviation of what is batch-normalised: `"pixels"`, that of ImageNet's colours as the
            trunk's weights expect them, or `"unit"`, 1. Both are the same where these expect standardised colours.
        new_channel_initializer: Keras initializer of the first layer's kernels for the map.
        detector: The detector's layers, a name in `BACKBONES`.
        detector_level: Name of the detector's last layer before the 1x1 convolution; `""` for all its features.
        pool_padding: Of VGG's poolings in the detector: `"same"` rounds sizes up, `"valid"` down, as Keras' VGG does.
        saliency_activation: Activation of the 1x1 convolution; the paper names none.

    Returns:
        Logits `(classes,)`; with a detector a dictionary of `logits` and `map`, the map `(side, side, 1)` before its
        batch normalisation.

    Raises:
        ValueError: If an argument has none of these values.
    """
    _check("fourth_channel", fourth_channel, FOURTH)
    _check("bn_over", bn_over, NORMALISED)
    _check("new_channel_range", new_channel_range, RANGES)
    _check("backbone", backbone, (OURS, *BACKBONES))
    _check("detector", detector, tuple(BACKBONES))
    pixels = _Pixels(image)
    found = None
    if fourth_channel == "detector":
        options = {"level": detector_level, "pool_padding": pool_padding, "activation": saliency_activation}
        found = detected(pixels(detector), detector, width=layer.width_multiplier, **options)
    fourth = {"": None, "map": saliency, "detector": found}[fourth_channel]
    x = image if backbone == OURS else pixels(backbone)
    if classifier_size:
        size = classifier_size, classifier_size
        x = resized(x, *size, "picture_resized")
        fourth = None if fourth is None else resized(fourth, *size, "map_resized")
    if fourth is not None:
        x, fourth = _normalised(x, fourth, bn_over)
    deviation = None
    if new_channel_range == "pixels":
        deviation = COLOURS / 255 if backbone == OURS else pixel_deviation(backbone)
        if fourth is not None and bn_over == "rgbs":
            x = _scaled(x, deviation, "picture_scaled")
    features = _trunk(x, fourth, backbone, layer, new_channel_initializer, deviation)
    logits = _classifier(features, classes, backbone, layer)
    if found is None:
        return logits
    return {"logits": logits, "map": layers.Activation("linear", dtype="float32", name="map")(found)}


def salclassnet_detector(
    image,
    saliency,
    classes,
    layer,
    detector="VGG16",
    detector_level="",
    pool_padding="same",
    saliency_activation="linear",
):
    """The detector alone, on pictures of a compact set; arguments as of `salclassnet`. A dictionary with `map`."""
    _check("detector", detector, tuple(BACKBONES))
    options = {"level": detector_level, "pool_padding": pool_padding, "activation": saliency_activation}
    found = detected(_Pixels(image)(detector), detector, width=layer.width_multiplier, **options)
    return {"map": layers.Activation("linear", dtype="float32", name="map")(found)}


def salclassnet_osie(
    height, width, detector="VGG16", detector_level="", pool_padding="same", saliency_activation="linear",
    width_multiplier=1.0,
):  # fmt: skip
    """The detector alone, on whole pictures of a fixation set (§5.2, pre-training on OSIE).

    Args:
        height: Height of the picture in pixels.
        width: Its width.
        detector: As of `salclassnet`, and so are the others.
        detector_level: …
        pool_padding: …
        saliency_activation: …
        width_multiplier: Of the filters of all convolutions.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, 3)`, 0 to 255, to a map `(batch, height, width, 1)`.

    Raises:
        ValueError: If an argument has a value that it cannot have.
    """
    _check("detector", detector, tuple(BACKBONES))
    pixels = keras.Input((height, width, 3), name="image")
    options = {"level": detector_level, "pool_padding": pool_padding, "activation": saliency_activation}
    found = detected(BACKBONES[detector](pixels), detector, width=width_multiplier, **options)
    return keras.Model(pixels, found, name="salclassnet_osie")


def detected(pixels, detector, level="", pool_padding="same", activation="linear", width=1.0):
    """The saliency detector (§3.1): features, a 1x1 convolution to one channel, enlarged bilinearly to the picture.

    Args:
        pixels: Tensor `(height, width, 3)`, preprocessed for the detector's weights.
        detector: A name in `BACKBONES`.
        level: Name of its last layer, without the suffix; `""` for all.
        pool_padding: As of `salclassnet`.
        activation: As of `salclassnet`.
        width: Factor of the filters of all convolutions.

    Returns:
        Tensor `(height, width, 1)`, output of the layer `saliency_map`.

    Raises:
        ValueError: If an argument has a value that it cannot have.
    """
    _check("saliency_activation", activation, ACTIVATIONS)
    _check("pool_padding", pool_padding, ("same", "valid"))
    height, width_of_picture = pixels.shape[1:3]
    base = features_alone(detector, (height, width_of_picture))
    if level:
        known = [one.name for one in base.layers]
        if level not in known:
            raise ValueError(f"detector_level is a layer of {detector}, which has no {level!r}")
        base = keras.Model(base.input, base.get_layer(level).output, name=base.name)

    def change(old, config):
        _narrow(config, width)
        if isinstance(old, layers.MaxPooling2D) and detector.startswith("VGG"):
            config["padding"] = pool_padding

    x, _ = _built_narrower(width, base, pixels, BRANCH, change)
    if len(x.shape) != 4:
        raise ValueError(f"detector_level is a layer of {detector} with positions. Received: {level}")
    begin = keras.initializers.RandomNormal(stddev=0.01)  # features are large: maps begin near zero
    x = layers.Conv2D(1, 1, activation=activation, kernel_initializer=begin, name=f"score{BRANCH}")(x)
    return resized(x, height, width_of_picture, MAP_LAYER)


def pretrained_trunk(backbone, weights):
    """A classifier of 1000 classes whose layers are called as the trunk's of `salclassnet`.

    Args:
        backbone: Its name.
        weights: `"imagenet"`, the path of a weights file, or `None` for random ones.

    Returns:
        A `Network`.

    Raises:
        ValueError: If the file does not fit.
        UserError: If there are no such weights.
    """
    return _renamed(backbone, weights, "")


def pretrained_detector(detector, weights):
    """A classifier of 1000 classes whose layers are called as the detector's; otherwise as `pretrained_trunk`."""
    return _renamed(detector, weights, BRANCH)


def _renamed(name, weights, suffix):
    if weights is not None:
        check_weights(name, weights)
    whole = application(name)(weights=weights)
    pixels = keras.Input(whole.input_shape[1:], name="preprocessed_pixels")
    x, pairs = built_again(whole, pixels, suffix)
    for old, new in pairs:
        give_weights(new, old.get_weights())
    return network_of(keras.Model(pixels, x, name=whole.name))


class _Pixels:
    """The picture as the weights of a backbone expect it; two that expect the same share it.

    Args:
        image: Tensor `(side, side, 3)`, 0 to 1.
    """

    def __init__(self, image):
        self._pixels, self._made = layers.Rescaling(255.0, name="pixels")(image), {}

    def __call__(self, backbone):
        preprocess = BACKBONES[backbone]
        if preprocess not in self._made:
            self._made[preprocess] = preprocess(self._pixels)
        return self._made[preprocess]


def _normalised(x, fourth, bn_over):
    """Batch normalisation where detector and classifier meet (§3.3): picture and map."""
    name = f"map{NEW_CHANNEL}"
    if bn_over == "saliency":
        return x, layers.BatchNormalization(momentum=0.9, name=name)(fourth)
    both = layers.BatchNormalization(momentum=0.9, name=name)(layers.Concatenate(name="rgbs")([x, fourth]))
    return both[..., :3], both[..., 3:]


def _trunk(x, fourth, backbone, layer, initializer, deviation):
    """The features of a backbone, its first convolution seeing a fourth channel too if there is one.

    That channel is given the deviation of the picture's colours in front of that convolution: `deviation` where the
    trunk begins, and what its own scaling makes of it. It is left as it is where that is `None`.
    """
    size, width = tuple(x.shape[1:3]), layer.width_multiplier
    if backbone == OURS:
        base, width = _alexnet(size, layer), 1.0  # it is as narrow as it should be
    else:
        base = features_alone(backbone, size)
    first = next(one for one in base.layers if one.weights and not isinstance(one, layers.Normalization))
    if fourth is not None and not isinstance(first, layers.Conv2D):
        raise ValueError(f"{backbone} does not begin with a convolution, so it cannot see a fourth channel")
    activation = first.activation if fourth is not None else None

    def change(old, config):
        _narrow(config, width)
        if old is first and fourth is not None:
            config["activation"] = "linear"  # of the sum, below

    def after(old, output):
        """The first layer's output with the new channel's own convolution added to it."""
        if old is not first or fourth is None:
            return output
        seen = fourth if deviation is None else _scaled(fourth, _deviation_at(first, base, deviation), "map_scaled")
        for one in _before(base, first):
            if isinstance(one, layers.ZeroPadding2D):
                seen = layers.ZeroPadding2D(one.padding, name=f"{one.name}{NEW_CHANNEL}")(seen)
        own = layers.Conv2D(
            output.shape[-1],
            first.kernel_size,
            first.strides,
            first.padding,
            dilation_rate=first.dilation_rate,
            use_bias=False,
            kernel_initializer=initializer,
            name=f"first{NEW_CHANNEL}",
        )(seen)
        output = layers.Add(name="four_channels")([output, own])
        linear = activation is keras.activations.linear
        return output if linear else layers.Activation(activation, name="four_channels_activation")(output)

    return _built_narrower(width, base, x, change=change, after=after)[0]


def _alexnet(size, layer):
    """The thesis's convolutions, padded so that small pictures do, and without a penalty of their own on kernels."""
    image = keras.Input((*size, 3))
    layer = dataclasses.replace(layer, conv2_padding="same", weight_decay=0.0)
    return keras.Model(image, backbone_features(image, OURS, layer), name=OURS)


def _scaled(x, factor, name):
    return x if factor == 1.0 else layers.Rescaling(factor, name=name)(x)


def _deviation_at(first, base, deviation):
    """The deviation of colours in front of a network's first convolution, from that where the network begins."""
    for one in _before(base, first):
        if isinstance(one, layers.Rescaling):
            deviation *= float(np.mean(one.scale))
        if isinstance(one, layers.Normalization):
            deviation = 1.0
    return deviation


def _before(base, first):
    """The layers between a network's input and one of its first layers, which are scalings and paddings."""
    return base.layers[1 : base.layers.index(first)]


def _classifier(x, classes, backbone, layer):
    """The logits: VGG's two dense layers and the last one, or global average pooling and the last one."""
    if backbone.startswith("VGG"):
        x = layers.Flatten(name="flatten")(x)
        for name in "fc1", "fc2":
            x = layers.Dense(layer.dense_units, activation="relu", name=name)(x)
            x = layer.dropped(x, f"{name}_dropout")
    else:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return layers.Dense(classes, name="predictions", dtype="float32")(x)


def _built_narrower(width, base, *arguments, **options):
    """As `built_again`; says so where a network's layers would not fit each other at another width."""
    try:
        return built_again(base, *arguments, **options)
    except ValueError:
        if width == 1.0 or not consists_of_layers(base):
            raise
        raise of_one_width(base.name) from None


def _narrow(config, width):
    """Multiplies the filters of a convolution, at least one being left."""
    if width != 1.0 and "filters" in config:
        config["filters"] = max(1, round(width * config["filters"]))


def _check(name, value, choices):
    if value not in choices:
        raise ValueError(f"{name} is one of {', '.join(map(repr, choices))}. Received: {value!r}")
