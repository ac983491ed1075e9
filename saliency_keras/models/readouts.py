"""Read-out networks: saliency maps from the features of a network that was trained to classify.

The notes on classification accuracy and saliency (Oyama & Yamanaka 2018; FACTS §5.1) put a small Read-out Net on the
last features of a pre-trained classifier. It enlarges them eight times; there are three kinds. The classifier is a
network of `keras.applications`, DPN-92 or a classifier of ours. `features_of` takes its features, of one or several
layers and scales of the picture, and resizes them to the size of the first.

    kind   from features (h, w, c)                                                       to
    dc     transposed convolution 4x4 / 2 with 128, 64, 32 channels, ReLU after each     8h, 8w, 32
    spc    three times: depth to space x2 (c -> c/4), 3x3 convolution, ReLU              8h, 8w, c/64
    bi     convolution 1x1 to one channel, three times bilinear x2                       8h, 8w, 1
    dc and spc end with a convolution 1x1 to one channel.

Pixels are preprocessed as each network's own weights expect it, where the notes subtract the mean of the training
pictures. Their "Main Nets" is read as several scales of the picture; several networks side by side, the other reading,
are `backbones`.

`pointwise_readout` is not from the notes: it is the head of the predictor `readout` (`saliency/readout.py`), after
DeepGaze II (Kümmerer et al. 2016), over features of several levels. All maps are logits; see
`models/losses.py`.
"""

import math

import keras
from keras import layers, ops

from saliency_keras.models.backbones import feature_extractor, features_of


def readout_dc(backbone="ResNet50", height=384, width=512, **options):
    """Read-out by transposed convolution (notes, "DC").

    Args:
        backbone: A name in `BACKBONES`, or a classifier of ours, which takes plain pixels: a `keras.Model`, its
            `.keras` file or its run folder.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.
        **options: `levels`, `scales`, `weights`, `frozen` and `backbones` of `features_of`; and `normalised`, whether
            each channel of the features is normalised over the batch first. The notes do not normalise; with it, one
            learning rate fits all backbones.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, 3)`, 0 to 255, to logits `(batch, 8 * h, 8 * w, 1)`. The map
        has eight times the size of the features; with a backbone of stride 32 that is a quarter of the picture's size.

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


def readout_pointwise(backbone="ResNet50", height=384, width=512, levels=(), weights=None, frozen=False):
    """The network of the predictor `readout`: `pointwise_readout` over several levels of a backbone.

    Args:
        backbone: As in `readout_dc`.
        height: Height of the picture in pixels.
        width: Width of the picture in pixels.
        levels: Names of layers of the backbone, each with half the size of the one before.
        weights: As in `features_of`.
        frozen: As in `features_of`.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, 3)`, 0 to 255, to logits `(batch, h, w, 1)` at the size of
        the first level. Sizes may be `None` where the backbone's levels fit each other at any size.

    Raises:
        ValueError: If the backbone or a layer is unknown, or a level has not half the size of the one before.
        UserError: If the weights cannot be had.
    """
    pixels = keras.Input((height, width, 3), name="image")  # (H, W, 3)
    extractor = feature_extractor(backbone, levels, weights, (height, width))
    extractor.trainable = not frozen
    features = extractor(pixels)
    features = features if isinstance(features, list) else [features]
    sizes = [one.shape[1:3] for one in features]
    for (h, w), (fine_h, fine_w) in zip(sizes[1:], sizes, strict=False):
        if height and width and (2 * h, 2 * w) != (fine_h, fine_w):
            raise ValueError(
                f"each level must have half the size of the one before. Received: {fine_h}x{fine_w}, then {h}x{w}"
            )
    return keras.Model(pixels, pointwise_readout(features), name="readout_pointwise")


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
        x = ops.depth_to_space(x, 2, data_format="channels_last")  # (2h, 2w, c/4)
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


def _network(head, name, backbone, height, width, normalised=False, **options):
    pixels = keras.Input((height, width, 3), name="image")  # (H, W, 3)
    x = features_of(pixels, backbone, **options)  # (h, w, c)
    if normalised:
        x = layers.BatchNormalization(center=False, scale=False, momentum=0.9, name="features_normalised")(x)
    return keras.Model(pixels, head(x), name=name)  # (8h, 8w, 1)
