"""Backbones: classifiers whose features others build on, in ONE list, each with what its weights expect of pixels.

Networks of `keras.applications`, DPN-92, and classifiers of ours.
"""

import collections
import functools
import itertools
import re
from pathlib import Path

import keras
import numpy as np
from keras import layers

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.models import dual_path
from saliency_keras.models.published_weights import published_dpn92
from saliency_keras.models.receptive_fields import receptive_centres
from saliency_keras.models.resized import resized
from saliency_keras.models.saliency_networks import CAFFE_MEAN_RGB, to_bgr
from saliency_keras.models.weight_files import read_arrays
from saliency_keras.models.weights import give_weights, imagenet_weights, load_network

IMAGENET_MEAN_RGB = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION_RGB = (0.229, 0.224, 0.225)


def _as_they_are(pixels):
    return pixels


def _to_unit_range(pixels):
    return layers.Rescaling(1 / 127.5, -1.0, name="preprocessed")(pixels)


def _to_bgr(pixels):
    return to_bgr(pixels, CAFFE_MEAN_RGB)


def _standardised(pixels):
    scale = [1 / (255 * deviation) for deviation in IMAGENET_DEVIATION_RGB]
    offset = [-mean / deviation for mean, deviation in zip(IMAGENET_MEAN_RGB, IMAGENET_DEVIATION_RGB, strict=True)]
    return layers.Rescaling(scale, offset, name="preprocessed")(pixels)


# What each network's ImageNet weights expect of pixels 0..255.
PREPROCESSING = {
    _to_bgr: ("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152"),
    _to_unit_range: (
        "ResNet50V2",
        "ResNet101V2",
        "ResNet152V2",
        "InceptionV3",
        "InceptionResNetV2",
        "Xception",
        "MobileNet",
        "MobileNetV2",
        "NASNetMobile",
        "NASNetLarge",
    ),
    _standardised: ("DenseNet121", "DenseNet169", "DenseNet201"),
    dual_path.preprocessed: ("DPN92",),
    # These begin with their own scaling.
    _as_they_are: (
        *("MobileNetV3Small", "MobileNetV3Large"),
        *(f"EfficientNetB{size}" for size in range(8)),
        *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
        *(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")),
    ),
}
UNSCALED = tuple(f"EfficientNetB{size}" for size in range(8))  # Keras scales pixels only for its own ImageNet weights
BACKBONES = {name: preprocess for preprocess, names in PREPROCESSING.items() for name in names}


COLOURS = 255 * sum(IMAGENET_DEVIATION_RGB) / 3  # deviation of a colour of ImageNet's pixels, 0 to 255
DEVIATIONS = {
    _to_bgr: COLOURS,
    _to_unit_range: COLOURS / 127.5,
    _standardised: 1.0,
    dual_path.preprocessed: COLOURS * dual_path.PIXEL_SCALE,
    _as_they_are: COLOURS,
}


def pixel_deviation(backbone):
    """The deviation, over ImageNet's pixels, of a colour as a network of `BACKBONES` is shown it, a float."""
    return DEVIATIONS[BACKBONES[backbone]]


def features_of(pixels, backbone, levels=(), scales=(1.0,), weights=None, frozen=False, backbones=()):
    """Features of a classifier or several, of several levels and scales, concatenated at the size of the first.

    Args:
        pixels: Tensor `(height, width, 3)`, 0 to 255.
        backbone: As in `readout_dc`.
        levels: Names of layers; empty for the backbone's last features. Of a classifier of ours, whose unpadded layers
            see the middle of the picture, they are laid out evenly over all of it.
        scales: Factors by which the picture is resized before it goes through the backbone, which all scales share.
        weights: `"imagenet"`, the path of a `.weights.h5` file of the whole classifier with 1000 classes, or `None`
            for random weights (a classifier of ours keeps its own).
        frozen: Whether the backbone is left as it is in training.
        backbones: Several networks side by side, in place of `backbone`, as names in `BACKBONES`; each has the levels.
            `NAME=FILE` and `NAME=none` say where one has its weights from, `NAME` alone that `weights` does.

    Returns:
        Tensor `(h, w, channels)`.

    Raises:
        ValueError: If a backbone or a layer is unknown, a level is not a stack of maps, or there is no scale.
        UserError: If the weights cannot be had.
    """
    if not scales:
        raise ValueError("scales must have a factor or more. Received: scales=()")
    named = _side_by_side(backbones, weights) or [(backbone, weights)]
    height, width = pixels.shape[1:3]
    scaled = []
    for scale in scales:
        x = pixels
        if scale != 1.0:
            size = round(height * scale), round(width * scale)
            x = resized(x, *size, f"pixels_{scale}")
        scaled.append(x)
    extractors = [feature_extractor(one, levels, its_weights, (height, width)) for one, its_weights in named]
    maps = []
    for extractor, x in itertools.product(extractors, scaled):
        extractor.trainable = not frozen
        outputs = extractor(x)
        outputs = outputs if isinstance(outputs, list) else [outputs]
        centres = _centres(extractor, x.shape[1:3])
        if centres:
            numbers = range(len(maps) + 1, len(maps) + len(outputs) + 1)
            spread = zip(outputs, centres, numbers, strict=True)
            outputs = [_evenly(output, at, x.shape[1:3], f"features{number}") for output, at, number in spread]
        maps += outputs
    size = maps[0].shape[1:3]
    for number, x in enumerate(maps):
        if x.shape[1:3] != size:
            maps[number] = resized(x, *size, f"features{number + 1}_resized")
    return maps[0] if len(maps) == 1 else layers.Concatenate(name="concatenated")(maps)


def _side_by_side(words, weights):
    """Networks side by side: pairs of a name and the weights that it gets, from `features_of`'s `backbones`."""
    named = []
    for word in words:
        name, _, own = word.partition("=")
        if name not in BACKBONES:
            raise ValueError(f"backbones are of {', '.join(BACKBONES)}. Received: {word!r}")
        if not own and weights not in (None, "imagenet"):
            raise ValueError(f"a file has the weights of one network; give it beside its name, {name}={weights}")
        named.append((name, named_weights(name, own) if own else weights))
    if len({name for name, _ in named}) < len(named):
        raise ValueError(f"backbones names each network once. Received: {', '.join(words)}")
    return named


def _give_published(classifier, weights):
    """Fills DPN-92 with a file of its PyTorch implementations' arrays."""
    arrays = read_arrays(weights)
    try:
        found = published_dpn92(arrays, classifier)
    except UserError as error:
        raise UserError(f"{weights}: {error}") from None
    for layer, values in found.items():
        give_weights(classifier.get_layer(layer), values)


def _centres(extractor, size):
    """Of each output of a classifier of ours, where its rows and columns lie in a picture of that size.

    `None` for networks of `keras.applications`: all but the first layers of the Inceptions and Xception are padded, so
    their features are taken to lie evenly as they are.
    """
    if any(isinstance(layer, keras.Model) for layer in extractor.layers):
        return None
    sized = keras.models.clone_model(extractor, input_tensors=keras.Input((*size, 3), name="image"))
    makers = {id(layer.output): layer.name for layer in sized.layers}
    return [receptive_centres(sized, makers[id(output)]) for output in sized.outputs]


def _evenly(x, centres, size, name):
    """Features `(h, w, c)` at those rows and columns of a picture -> as many, evenly over all of it.

    Features that lie evenly, up to a quarter of their distance, are not moved.
    """
    equations = {"rows": "bhwc,hy->bywc", "columns": "bhwc,wx->bhxc"}
    for (axis, equation), at, length in zip(equations.items(), centres, size, strict=True):
        places = (np.arange(len(at)) + 0.5) * length / len(at) - 0.5
        if np.abs(places - at).max() < length / len(at) / 4:
            continue
        layer = layers.EinsumDense(equation, x.shape[1:], trainable=False, name=f"{name}_{axis}")
        x = layer(x)
        layer.kernel.assign(np.stack([np.interp(places, at, one) for one in np.eye(len(at))]))
    return x


def feature_extractor(backbone, levels=(), weights=None, size=(None, None)):
    """The part of a classifier up to the named layers.

    Args:
        backbone: As in `features_of`.
        levels: Names of layers; empty for the last features, of a classifier of ours those of the last layer with maps
            that is no pooling.
        weights: As in `features_of`.
        size: Height and width of the pictures, for NASNet, which Keras can build for one size only.

    Returns:
        A `keras.Model` from plain pixels of any size, 0 to 255, to the features; a list if there are several levels.

    Raises:
        ValueError: As `features_of`.
        UserError: As `features_of`.
    """
    if isinstance(backbone, str):
        file = str(Path(backbone) / run_folder.MODEL) if Path(backbone).is_dir() else backbone
        backbone = load_network(file) if file.endswith(".keras") else backbone
    if isinstance(backbone, keras.Model):
        return _part(backbone, levels, any_size=False)
    if backbone not in BACKBONES:
        known = ", ".join(BACKBONES)
        raise ValueError(f"backbone must be a model, a .keras file or one of {known}. Received: {backbone!r}")
    size = size if backbone.startswith("NASNet") else (None, None)
    part = _part(classifier_features(backbone, weights, size), levels, any_size=True)
    pixels = keras.Input((*size, 3), name="pixels")
    return keras.Model(pixels, part(BACKBONES[backbone](pixels)), name=f"{backbone.lower()}_features")


def _part(model, levels, any_size):
    """The part of a network up to the named layers, for pictures of any size."""
    if len(model.inputs) != 1:
        raise ValueError(f"a backbone has one input, the picture. Received: {len(model.inputs)} inputs")
    known = {layer.name for layer in model.layers}
    absent = [name for name in levels if name not in known]
    if absent:
        raise ValueError(f"{model.name} has no layer {', '.join(absent)}.")
    outputs = [model.get_layer(name).output for name in levels] or _last_maps(model)
    for output in outputs:
        if len(output.shape) != 4:
            raise ValueError(f"a level must be a stack of maps (h, w, c); name layers. Received: shape {output.shape}")
    part = keras.Model(model.inputs[0], outputs if len(outputs) > 1 else outputs[0], name=model.name)
    if any_size:
        return part
    # A classifier of ours wants one size; a clone of its convolutions takes any, and shares no variable with it.
    clone = keras.models.clone_model(part, input_tensors=keras.Input((None, None, 3), name="pixels"))
    give_weights(clone, part.get_weights())
    return clone


def _last_maps(model):
    """The model's outputs; of a classifier the output of its last layer with maps that is no pooling, in a list."""
    if all(len(output.shape) == 4 for output in model.outputs):
        return model.outputs
    pools = (layers.MaxPooling2D, layers.AveragePooling2D)
    found = [layer.output for layer in model.layers if not isinstance(layer, pools) and _makes_maps(layer)]
    return found[-1:] or model.outputs


def _makes_maps(layer):
    return not isinstance(layer.output, list) and len(layer.output.shape) == 4


def named_weights(name, word):
    """The weights that a user names beside a backbone, `imagenet`, `none` or a file, as `features_of` takes them.

    Args:
        name: The backbone's name.
        word: What stands behind `NAME=`.

    Returns:
        `"imagenet"`, the path of the file, or `None` for random weights.

    Raises:
        UserError: If the file is not there.
    """
    if word not in ("imagenet", "none") and not Path(word).is_file():
        raise UserError(f"there is no weights file {word} for the backbone {name}.")
    return None if word == "none" else word


def check_weights(name, weights):
    """Refuses weights that a backbone cannot be given.

    Args:
        name: Its name.
        weights: `"imagenet"` or the path of a file.

    Raises:
        UserError: If Keras has none, a file would leave open how pixels are to be shown, or it is no such network.
    """
    if name not in BACKBONES:
        raise UserError(f"there are no weights of {name}; its networks start from scratch: --set weights=none")
    if weights == "imagenet" and name == "DPN92":
        raise UserError(
            "there are no ImageNet weights of DPN92 in Keras; name a file (.safetensors, .npz, .npy or .h5 in the "
            "layout of PyTorch, or a .weights.h5 of ours) or none: weights=FILE, or DPN92=FILE "
            "where several networks are named."
        )
    if weights != "imagenet" and name in UNSCALED:
        raise UserError(
            f"a file of weights does not tell how {name} was shown its pixels (Keras scales them once more for its own "
            "ImageNet weights); name imagenet, no weights, or a run."
        )


def classifier_features(name, weights, size=(None, None)):
    """A network of `BACKBONES` without its classifier, for pictures of any size.

    Args:
        name: Its name.
        weights: As in `features_of`.
        size: As in `feature_extractor`.

    Returns:
        A `keras.Model` from preprocessed pixels to the last features.

    Raises:
        UserError: If the weights cannot be had.
    """
    build = dual_path.DPN92 if name == "DPN92" else getattr(keras.applications, name)
    shape = (*size, 3)
    if weights is None:
        return build(include_top=False, weights=None, input_shape=shape)
    check_weights(name, weights)
    if weights == "imagenet":
        with imagenet_weights(name):
            return build(include_top=False, weights="imagenet", input_shape=shape)
    try:
        # The file is that of the whole classifier, so it is read into one, and copied layer by layer: in their order,
        # for layers that Keras leaves without a name are numbered, and another number in every network.
        classifier = build(weights=None)
        if name == "DPN92" and not str(weights).endswith(".weights.h5"):
            _give_published(classifier, weights)
        else:
            classifier.load_weights(str(weights))
        features = build(include_top=False, weights=None, input_shape=shape)
        pairs = ([layer for layer in model.layers if layer.weights] for model in (features, classifier))
        for layer, other in zip(*pairs, strict=False):  # the classifier's own dense layers are left over
            give_weights(layer, other.get_weights())
    except (OSError, ValueError) as error:
        raise UserError(f"{weights} has no weights of {name}: {str(error).splitlines()[0]}") from None
    return features


def application(name):
    """The function that builds a network of `BACKBONES`; a `ValueError` if there is none of that name."""
    if name not in BACKBONES:
        raise ValueError(f"backbone is one of {', '.join(BACKBONES)}. Received: {name}")
    return dual_path.DPN92 if name == "DPN92" else getattr(keras.applications, name)


@functools.lru_cache(4)
def features_alone(name, size):
    """A network of `BACKBONES` without its classifier, with random weights: a pattern to build another one after.

    Args:
        name: Its name.
        size: Height and width of the pictures in pixels.

    Returns:
        The Keras model. It is built once and shared, so its weights must stay as they are.
    """
    return application(name)(include_top=False, weights=None, input_shape=(*size, 3))


def of_one_width(name):
    """The `ValueError` for a network that is to be narrower than it is, and cannot be."""
    return ValueError(f"{name} is as wide as it is; --set width_multiplier=1 goes with it")


def consists_of_layers(base):
    """Whether all operations of a `keras.Model` are layers, which can be built again one by one."""
    return all(isinstance(operation, layers.Layer) for operation in base.operations)


def built_again(base, x, suffix="", change=None, after=None):
    """Builds the layers of a network once more on another tensor, with fresh weights.

    Args:
        base: A Functional model of Keras' layers with one input.
        x: The tensor that takes the place of its input.
        suffix: Appended to the names of the layers. Names that Keras counts up in a process are counted from 1 here,
            so that a network has the same names whenever it is built.
        change: Function `(layer, config)` that changes a layer's configuration, or `None`.
        after: Function `(layer, output)` that gives what later layers see in place of the layer's output, or `None`.

    Returns:
        The output, and a list of pairs of an old layer and its new one.

    Raises:
        ValueError: If the network has operations that are no layers.
    """
    if not consists_of_layers(base):
        raise ValueError(f"{base.name} consists of more than Keras' layers, so it cannot be built another way")
    tensors, counts, pairs = {id(base.inputs[0]): x}, collections.Counter(), []
    for old in base.layers[1:]:
        config = old.get_config()
        kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(old).__name__).lower()
        if re.fullmatch(rf"{kind}(_\d+)?", old.name):
            counts[kind] += 1
            config["name"] = f"{kind}_{counts[kind]}"
        config["name"] += suffix
        if change:
            change(old, config)
        new = type(old).from_config(config)
        given = old.input
        x = new([tensors[id(one)] for one in given] if isinstance(given, list) else tensors[id(given)])
        pairs.append((old, new))
        tensors[id(old.output)] = x if after is None else after(old, x)
    return tensors[id(base.outputs[0])], pairs
