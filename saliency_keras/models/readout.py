"""Read-out networks: saliency maps from the features of a network that was trained to classify.

The notes on classification accuracy and saliency (Oyama & Yamanaka 2018; FACTS §5.1) put a small Read-out Net that
enlarges eight times on the last features of a pre-trained classifier, in three kinds. `features_of` takes features of
any level by the layer's name, at one or several scales of the picture, from any network of `keras.applications`, from
DPN-92 or from a classifier of ours, and brings them to the first one's size.

    kind   from features (h, w, c)                                                       to
    dc     transposed convolution 4x4 / 2 with 128, 64, 32 channels, ReLU after each     8h, 8w, 32
    spc    three times: depth to space x2 (c -> c/4), 3x3 convolution, ReLU              8h, 8w, c/64
    bi     convolution 1x1 to one channel, three times bilinear x2                       8h, 8w, 1
    dc and spc end with a convolution 1x1 to one channel.

Pixels are preprocessed as each network's own weights expect it, where the notes subtract the mean of the training
pictures. Their "Main Nets" is read as several scales of the picture, not as several networks.

`pointwise_readout` is not from the notes: it is the head of the predictor `readout` (`saliency/readout.py`), after
DeepGaze II (Kümmerer et al. 2016), over features of several levels. All maps are logits; see
`models/saliency_losses.py`.
"""

import math
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from saliency_keras.console import UserError
from saliency_keras.models import dual_path
from saliency_keras.models.receptive_fields import receptive_centres
from saliency_keras.models.saliency_networks import CAFFE_MEAN_RGB, to_bgr
from saliency_keras.models.saved import give_weights, imagenet_weights, load_network

FEATURES = "features"  # layer where a read-out network's backbone ends
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


def readout_dc(backbone="ResNet50", height=384, width=512, **options):
    """Read-out by transposed convolution (notes, "DC").

    Args:
        backbone: A name in `BACKBONES`, or a classifier of ours, which takes plain pixels: a `keras.Model`, its
            `.keras` file or its run folder.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.
        **options: `levels`, `scales`, `weights` and `frozen` of `features_of`; and `normalised`, whether each channel
            of the features is normalised over the batch first, which the notes do not: it makes one learning rate fit
            all backbones.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, 3)`, 0 to 255, to logits of a map eight times the size of
        the features, `(batch, 8 * h, 8 * w, 1)`; with a backbone of stride 32 that is a quarter of the picture's
        size.

    Raises:
        ValueError: As `features_of`.
    """
    return _network(deconvolution_readout, "readout_dc", backbone, height, width, **options)


def readout_spc(backbone="ResNet50", height=384, width=512, **options):
    """Read-out by sub-pixel convolution (notes, "SPC"); arguments and result as in `readout_dc`.

    The notes leave the channels of the 3x3 convolutions open; here they keep the quarter that depth to space leaves.

    Raises:
        ValueError: As `features_of`, or if the number of channels is no multiple of 64.
    """
    return _network(sub_pixel_readout, "readout_spc", backbone, height, width, **options)


def readout_bi(backbone="ResNet50", height=384, width=512, **options):
    """Read-out by bilinear interpolation (notes, "BI"); arguments and result as in `readout_dc`."""
    return _network(bilinear_readout, "readout_bi", backbone, height, width, **options)


def deconvolution_readout(x):
    """Three transposed convolutions: `(h, w, c) -> (8h, 8w, 1)`."""
    for number, filters in enumerate((128, 64, 32), 1):
        x = layers.Conv2DTranspose(filters, 4, 2, "same", activation="relu", name=f"deconv{number}")(x)
    return layers.Conv2D(1, 1, name="saliency")(x)


def sub_pixel_readout(x):
    """Three times depth to space and a convolution: `(h, w, c) -> (8h, 8w, 1)`."""
    if x.shape[-1] % 64:
        raise ValueError(f"sub-pixel convolution needs a multiple of 64 channels. Received: {x.shape[-1]} channels")
    for number in 1, 2, 3:
        x = depth_to_space(x, f"depth_to_space{number}")  # (2h, 2w, c/4)
        x = layers.Conv2D(x.shape[-1], 3, padding="same", activation="relu", name=f"subpixel{number}")(x)
    return layers.Conv2D(1, 1, name="saliency")(x)


def bilinear_readout(x):
    """One 1x1 convolution, then three times bilinear x2: `(h, w, c) -> (8h, 8w, 1)`.

    Both steps are linear and the interpolation's weights sum to 1, so the other order gives the same map, at 64 times
    the work.
    """
    x = layers.Conv2D(1, 1, name="saliency")(x)
    for number in 1, 2, 3:
        x = layers.UpSampling2D(2, interpolation="bilinear", name=f"bilinear{number}")(x)
    return x


def depth_to_space(x, name):
    """Four channels become a square of 2x2 pixels, quarter by quarter: `(h, w, 4c) -> (2h, 2w, c)`."""
    height, width, channels = x.shape[1:]
    x = layers.Reshape((height, width, 2, 2, channels // 4), name=f"{name}_split")(x)
    x = layers.Permute((1, 3, 2, 4, 5), name=f"{name}_permute")(x)  # (h, 2, w, 2, c)
    return layers.Reshape((2 * height, 2 * width, channels // 4), name=name)(x)


def in_two(network):
    """A read-out network in two parts, which share its weights.

    Args:
        network: What `readout_dc`, `readout_spc` or `readout_bi` made.

    Returns:
        Two `keras.Model`s: from pixels to features, and from features to logits.
    """
    features = network.get_layer(FEATURES).output
    return keras.Model(network.input, features), keras.Model(features, network.output)


def keep_statistics(network):
    """Leaves a backbone's batch normalisation as it is in training: small batches have no statistics worth taking.

    Args:
        network: A read-out network; its backbone is the nested model.
    """
    for backbone in (layer for layer in network.layers if isinstance(layer, keras.Model)):
        keep_statistics(backbone)
        for layer in backbone.layers:
            if isinstance(layer, layers.BatchNormalization):
                layer.trainable = False


def features_of(pixels, backbone, levels=(), scales=(1.0,), weights=None, frozen=False):
    """Features of a classifier, of several levels and scales, concatenated at the size of the first.

    Args:
        pixels: Tensor `(height, width, 3)`, 0 to 255.
        backbone: As in `readout_dc`.
        levels: Names of layers; empty for the backbone's last features. Of a classifier of ours, whose unpadded layers
            see the middle of the picture, they are laid out evenly over all of it.
        scales: Factors by which the picture is resized before it goes through the backbone, which all scales share.
        weights: `"imagenet"`, the path of a `.weights.h5` file of the whole classifier with 1000 classes, or `None`
            for random weights (a classifier of ours keeps its own).
        frozen: Whether the backbone is left as it is in training.

    Returns:
        Tensor `(h, w, channels)`.

    Raises:
        ValueError: If the backbone or a layer is unknown, a level is not a stack of maps, or there is no scale.
        UserError: If the weights cannot be had.
    """
    if not scales:
        raise ValueError("scales must have a factor or more. Received: scales=()")
    height, width = pixels.shape[1:3]
    extractor = feature_extractor(backbone, levels, weights, (height, width))
    extractor.trainable = not frozen
    maps = []
    for scale in scales:
        x = pixels
        if scale != 1.0:
            size = round(height * scale), round(width * scale)
            x = layers.Resizing(*size, interpolation="bilinear", name=f"pixels_{scale}")(x)
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
            maps[number] = layers.Resizing(*size, interpolation="bilinear", name=f"features{number + 1}_resized")(x)
    return maps[0] if len(maps) == 1 else layers.Concatenate(name="concatenated")(maps)


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

    Features that lie evenly but for a quarter of their distance are left as they are.
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
        file = str(Path(backbone) / "model.keras") if Path(backbone).is_dir() else backbone
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


def pointwise_readout(levels, width=32, drop=0.3):
    """The head of the predictor `readout`: 1x1 convolutions over several levels, a blur, a centre prior.

        each level  normalised per channel, channels dropped in training, 1x1 to `width`, to the first's size
        their sum   layer normalisation, GELU, 1x1 to `width`, layer normalisation, GELU, 1x1 to 16, GELU, 1x1 to 1
        blur        fixed Gaussian, sigma 1.2 positions
        prior       plus a u^2 + b u^4 + c v + d v^2 + e v^4; u, v from -1 to 1 across and down the picture

    A sum of 1x1 convolutions, each at its own level's size, is one 1x1 convolution of all levels concatenated at the
    first's size, as in DeepGaze II, for a fraction of the work.

    Args:
        levels: Tensors `(h, w, c)`, `(h/2, w/2, c')`, `(h/4, w/4, c'')` and so on; sizes may be open.
        width: Channels of the first two convolutions.
        drop: Share of a level's channels dropped in training.

    Returns:
        Tensor `(h, w, 1)`, logits over the positions of the first level.
    """
    projected = []
    for number, x in enumerate(levels, 1):
        x = layers.BatchNormalization(center=False, scale=False, momentum=0.9, name=f"level{number}_norm")(x)
        x = layers.SpatialDropout2D(drop, name=f"level{number}_drop")(x)
        x = layers.Conv2D(width, 1, use_bias=False, name=f"level{number}_conv")(x)  # (h / 2^(number - 1), ..., width)
        if number > 1:
            x = layers.UpSampling2D(2 ** (number - 1), interpolation="bilinear", name=f"level{number}_up")(x)
        projected.append(x)
    x = layers.Add(name="levels_sum")(projected) if len(projected) > 1 else projected[0]  # (h, w, width)
    x = layers.LayerNormalization(name="norm1")(x)
    x = layers.Activation("gelu", name="gelu1")(x)
    x = layers.Conv2D(width, 1, name="conv2")(x)
    x = layers.LayerNormalization(name="norm2")(x)
    x = layers.Activation("gelu", name="gelu2")(x)
    x = layers.Conv2D(16, 1, activation="gelu", name="conv3")(x)  # (h, w, 16)
    x = layers.Conv2D(1, 1, name="conv4")(x)  # (h, w, 1)
    return layers.Add(name="logits")([gaussian_blur(x, 1.2), centre_prior(x)])


def gaussian_blur(x, sigma, name="blur"):
    """A fixed Gaussian with mirrored borders: `(h, w, 1) -> (h, w, 1)`; `sigma` in positions."""
    radius = math.ceil(3 * sigma)
    weights = [math.exp(-0.5 * (offset / sigma) ** 2) for offset in range(-radius, radius + 1)]
    weights = ops.convert_to_tensor([weight / sum(weights) for weight in weights])
    x = ops.pad(x, [[0, 0], [radius, radius], [radius, radius], [0, 0]], mode="reflect")
    for side, shape in ("down", (2 * radius + 1, 1)), ("across", (1, 2 * radius + 1)):
        layer = layers.Conv2D(1, shape, use_bias=False, trainable=False, name=f"{name}_{side}")
        x = layer(x)
        layer.kernel.assign(ops.reshape(weights, (*shape, 1, 1)))
    return x


def centre_prior(x):
    """A learned prior of the picture's middle, for pictures of any size: `(h, w, c) -> (h, w, 1)`, logits."""
    ones = ops.ones_like(x[:, :, :, :1])
    # Counting ones gives positions even where the size is open when the graph is built.
    u, v = (2 * (ops.cumsum(ones, axis) - 0.5) / ops.sum(ones, axis, keepdims=True) - 1 for axis in (2, 1))
    terms = ops.concatenate([u**2, u**4, v, v**2, v**4], axis=-1)  # (h, w, 5)
    return layers.Conv2D(1, 1, use_bias=False, kernel_initializer="zeros", name="prior")(terms)


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


def check_weights(name, weights):
    """Refuses weights that a network of `BACKBONES` cannot be given.

    Args:
        name: Its name.
        weights: `"imagenet"` or the path of a file.

    Raises:
        UserError: If Keras has none, or a file would leave open how pixels are to be shown.
    """
    if weights == "imagenet" and name == "DPN92":
        raise UserError("there are no ImageNet weights of DPN92 in Keras; name a .weights.h5 file or no weights.")
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
        classifier.load_weights(str(weights))
        features = build(include_top=False, weights=None, input_shape=shape)
        pairs = ([layer for layer in model.layers if layer.weights] for model in (features, classifier))
        for layer, other in zip(*pairs, strict=False):  # the classifier's own dense layers are left over
            give_weights(layer, other.get_weights())
    except (OSError, ValueError) as error:
        raise UserError(f"{weights} has no weights of {name}: {str(error).splitlines()[0]}") from None
    return features


def _network(head, name, backbone, height, width, normalised=False, **options):
    pixels = keras.Input((height, width, 3), name="image")  # (H, W, 3)
    x = layers.Identity(name=FEATURES)(features_of(pixels, backbone, **options))  # (h, w, c)
    if normalised:
        x = layers.BatchNormalization(center=False, scale=False, momentum=0.9, name="features_normalised")(x)
    return keras.Model(pixels, head(x), name=name)  # (8h, 8w, 1)
