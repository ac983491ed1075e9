"""SalNet, its shallow sibling JuntingNet, and SALICON: networks that learn where people look.

The two nets of Pan et al. 2016 (*Shallow and Deep Convolutional Networks for Saliency Prediction*, CVPR) are easily
confused: "SalNet" is the deep one (Caffe, ten layers), JuntingNet the shallow one (Lasagne, five layers); the thesis
says SalNet but ran Lasagne (§1.4), SalClassNet's Table 1 lists both. SALICON is Huang et al. 2015 (ICCV), in the form
of OpenSALICON (Thomas 2016), which the hallucination paper compares itself with. None of the five papers prints these
layers: the tables below come from the authors' and OpenSALICON's published code.

Every network is a Functional model from plain pixels (0 to 255) to one linear map; what the map means depends on the
loss it is trained with (`models/losses.py`). The read-out networks are in `readout.py`.
"""

import keras
from keras import layers, ops

from saliency_keras.models.resized import resized

CAFFE_MEAN_RGB = (123.68, 116.779, 103.939)
SALNET_MEAN_RGB = (118.0, 110.0, 100.0)


def salnet(height=240, width=320):
    """The deep network of Pan et al. 2016: ten layers with weights, no dense one.

        layer                                      240 x 320
        pixels, BGR, mean off, to -1..1           240x320x3
        conv1   96, 7x7, ReLU                     240x320x96
        norm1   across 5 channels                 240x320x96
        pool1   3x3 / 2                           120x160x96
        conv2  256, 5x5, ReLU                     120x160x256
        pool2   3x3 / 2                            60x80x256
        conv3  512, 3x3, ReLU                      60x80x512
        conv4  512, 5x5, ReLU                      60x80x512
        conv5  512, 5x5, ReLU                      60x80x512
        conv6  256, 7x7, ReLU                      60x80x256
        conv7  128, 11x11, ReLU                    60x80x128
        conv8   32, 11x11, ReLU                    60x80x32
        conv9    1, 13x13                          60x80x1
        deconv1  1, 8x8 / 4, no bias              240x320x1

    25,806,209 weights, the paper's 25.8 million. The first three layers are VGG-M's there (conv1 to conv3, Chatfield
    et al. 2014); Keras has no VGG-M, so here they start from random weights. deconv1 starts as bilinear
    interpolation.

    Args:
        height: Height of the picture in pixels, a multiple of 4.
        width: Width of the picture in pixels, a multiple of 4.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, 3)` to a linear map `(batch, height, width, 1)`, -1 where
        nobody looks and 1 at the peak.

    Raises:
        ValueError: If a size is not a multiple of 4.
    """
    if height % 4 or width % 4:
        raise ValueError(f"SalNet's height and width must be multiples of 4. Received: height={height}, width={width}")
    pixels = keras.Input((height, width, 3), name="image")  # (H, W, 3)
    x = to_bgr(pixels, SALNET_MEAN_RGB, 2 / 255)
    x = _relu_convolution(x, "conv1", 96, 7)
    x = local_response_normalisation(x)
    # Caffe rounds a pooled size up, which for even sizes is Keras' "same".
    x = layers.MaxPooling2D(3, 2, "same", name="pool1")(x)  # (H/2, W/2, 96)
    x = _relu_convolution(x, "conv2", 256, 5)
    x = layers.MaxPooling2D(3, 2, "same", name="pool2")(x)  # (H/4, W/4, 256)
    for name, filters, size in (
        ("conv3", 512, 3),
        ("conv4", 512, 5),
        ("conv5", 512, 5),
        ("conv6", 256, 7),
        ("conv7", 128, 11),
        ("conv8", 32, 11),
    ):
        x = _relu_convolution(x, name, filters, size)
    x = layers.Conv2D(1, 13, padding="same", name="conv9")(x)  # (H/4, W/4, 1)
    deconv = layers.Conv2DTranspose(1, 8, 4, "same", use_bias=False, name="deconv1")
    saliency = deconv(x)  # (H, W, 1)
    deconv.kernel.assign(bilinear_kernel(8, 4))
    return keras.Model(pixels, saliency, name="salnet")


def juntingnet(side=96, units=4608):
    """The shallow network of Pan et al. 2016: three convolutions, two dense layers, a map of half the side.

        layer                                    side 96
        pixels, to 0..1                          96x96x3
        conv1  32, 5x5 unpadded, ReLU            92x92x32
        pool1  2x2 / 2                           46x46x32
        conv2  64, 3x3 unpadded, ReLU            44x44x64
        pool2  2x2 / 2                           22x22x64
        conv3  64, 3x3 unpadded, ReLU            20x20x64
        pool3  2x2 / 2                           10x10x64
        hidden4  4608, ReLU                      4608
        maxout6  maximum of each two             2304
        output   2304                            48x48x1

    34,864,384 weights, counted from the authors' training script. Their text says 64.4 million; that does not follow
    from this table, but it is what 9,216 hidden units with a maximum of each four would give (64,360,192):
    `units=9216`.

    Args:
        side: Width and height of the picture in pixels, even, at least 24. The paper squeezes pictures to 96x96.
        units: Units of the hidden dense layer, a multiple of the map's pixels.

    Returns:
        A `keras.Model` from pixels `(batch, side, side, 3)` to a linear map `(batch, side / 2, side / 2, 1)`, -1
        where nobody looks and 1 at the peak.

    Raises:
        ValueError: If `side` is odd or too small, or `units` is no multiple of the map's pixels.
    """
    if side % 2 or side < 24:
        raise ValueError(f"JuntingNet's side must be even and at least 24. Received: side={side}")
    positions = (side // 2) ** 2
    if units < positions or units % positions:
        raise ValueError(f"units must be a multiple of the map's {positions} pixels. Received: units={units}")
    pixels = keras.Input((side, side, 3), name="image")  # (S, S, 3)
    x = layers.Rescaling(1 / 255, name="scaled")(pixels)
    for number, filters, size in (1, 32, 5), (2, 64, 3), (3, 64, 3):
        x = layers.Conv2D(filters, size, activation="relu", name=f"conv{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{number}")(x)
    x = layers.Flatten(name="flatten")(x)  # (6400,) at side 96
    x = layers.Dense(units, activation="relu", name="hidden4")(x)  # (units,)
    x = layers.Reshape((positions, units // positions), name="pieces")(x)
    x = ops.max(x, axis=-1)  # (S/2 * S/2,)
    x = layers.Dense(positions, name="output")(x)
    saliency = layers.Reshape((side // 2, side // 2, 1), name="map")(x)  # (S/2, S/2, 1)
    return keras.Model(pixels, saliency, name="juntingnet")


def salicon(height=1200, width=1600):
    """SALICON: VGG-16 on the picture and on the picture at half size, concatenated, one 1x1 convolution.

        layer                              fine            coarse
        pixels, BGR, mean off         1200x1600x3       600x800x3
        block1   64,  64, pool         600x800x64       300x400x64
        block2  128, 128, pool         300x400x128      150x200x128
        block3  256 three times, pool  150x200x256       75x100x256
        block4  512 three times, pool   75x100x512       38x50x512
        block5  512 three times, pool   38x50x512        19x25x512
        to the fine size                                 38x50x512
        concatenated                            38x50x1024
        saliency  1, 1x1                        38x50x1

    29,430,401 weights: two VGG-16 without dense layers (14,714,688 each) and 1,025. The two columns have their own
    weights, as in OpenSALICON, which also keeps the fifth pooling; Huang et al. print no table. We depart from
    OpenSALICON in one place: it divides by 255 after subtracting the mean, we do not, because VGG-16's weights expect
    it so.

    Args:
        height: Height of the picture in pixels, even, at least 64. The full size costs 734 billion multiply-adds.
        width: Width of the picture in pixels, even, at least 64.

    Returns:
        A `keras.Model` from pixels `(batch, height, width, 3)` to logits of a map `(batch, ceil(height / 32),
        ceil(width / 32), 1)`.

    Raises:
        ValueError: If a size is odd or below 64.
    """
    if height % 2 or width % 2 or min(height, width) < 64:
        raise ValueError(f"SALICON's sizes must be even and at least 64. Received: height={height}, width={width}")
    pixels = keras.Input((height, width, 3), name="image")  # (H, W, 3)
    fine = to_bgr(pixels, CAFFE_MEAN_RGB)
    coarse = layers.AveragePooling2D(2, name="half_size")(fine)  # (H/2, W/2, 3)
    fine = vgg16_features(fine, "fine")  # (H/32, W/32, 512)
    coarse = vgg16_features(coarse, "coarse")  # (H/64, W/64, 512)
    coarse = resized(coarse, *fine.shape[1:3], "coarse_resized")
    x = layers.Concatenate(name="concatenate")([coarse, fine])  # (H/32, W/32, 1024)
    saliency = layers.Conv2D(1, 1, name="saliency")(x)  # (H/32, W/32, 1)
    return keras.Model(pixels, saliency, name="salicon")


def vgg16_features(x, branch):
    """The thirteen convolutions and five poolings of VGG-16: `(h, w, 3) -> (ceil(h / 32), ceil(w / 32), 512)`.

    Pooled sizes are rounded up, as in Caffe. Layers are named `{branch}_block1_conv1` and so on, after Keras' VGG-16.
    """
    for block, (convolutions, filters) in enumerate(((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)), 1):
        for convolution in range(1, convolutions + 1):
            x = _relu_convolution(x, f"{branch}_block{block}_conv{convolution}", filters, 3)
        x = layers.MaxPooling2D(2, 2, "same", name=f"{branch}_block{block}_pool")(x)
    return x


def to_bgr(pixels, mean_rgb, scale=1.0):
    """Caffe's preprocessing: RGB pixels 0..255 -> BGR, the mean subtracted, times `scale`; the shape stays."""
    x = layers.Rescaling(scale, [-scale * mean for mean in mean_rgb], name="mean_subtracted")(pixels)
    return ops.flip(x, axis=-1)


def local_response_normalisation(x, size=5, alpha=1e-4, beta=0.75):
    """Caffe's normalisation across channels: `x / (1 + alpha / size * sum of squares over size channels) ** beta`.

    Channels beyond the ends count as zero. `(h, w, c) -> (h, w, c)`.
    """
    channels = x.shape[-1]
    squares = ops.pad(ops.square(x), [[0, 0], [0, 0], [0, 0], [size // 2, size // 2]])
    total = sum(squares[:, :, :, start : start + channels] for start in range(size))
    return x * ops.power(1.0 + alpha / size * total, -beta)


def bilinear_kernel(size, strides):
    """Kernel `(size, size, 1, 1)` with which a transposed convolution of that stride interpolates bilinearly."""
    centre = (size - 1) / 2
    ramp = ops.maximum(1.0 - ops.abs(ops.arange(size, dtype="float32") - centre) / strides, 0.0)
    return ops.reshape(ramp[:, None] * ramp[None, :], (size, size, 1, 1))


def _relu_convolution(x, name, filters, size):
    return layers.Conv2D(filters, size, padding="same", activation="relu", name=name)(x)


def copy_vgg16(vgg16, model):
    """Fills both columns of a SALICON network with the convolutions of `keras.applications.VGG16`; returns names."""
    filled = []
    for layer in vgg16.layers:
        if layer.weights:
            for branch in "fine", "coarse":
                target = model.get_layer(f"{branch}_{layer.name}")
                target.set_weights(layer.get_weights())
                filled.append(target.name)
    return filled
