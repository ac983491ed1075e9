"""AlexNet as the thesis trains it, and the strategies that put a saliency map into it.

Arazo Sánchez 2017, §2.1.2, §3.3.2 and Table 3.2: ungrouped, unpadded conv2, batch normalisation in place of local
response normalisation, three dense layers. The map S (one channel, 0 to 1) enters by concatenation or multiplication,
at the input, at the outputs of conv1 and conv2, or at both (§3.4, Fig. 3.1). The two-branch networks are in
`fanin.py`.

    layer                              128 px        227 px
    image                             128x128x3     227x227x3
    conv1  96, 11x11 / 4, ReLU         30x30x96      55x55x96
    bn1, pool1  3x3 / 2                14x14x96      27x27x96
    conv2  256, 5x5, ReLU             10x10x256     23x23x256
    bn2, pool2  3x3 / 2                 4x4x256     11x11x256
    conv3  384, 3x3 padded, ReLU        4x4x384     11x11x384
    conv4  384, 3x3 padded, ReLU        4x4x384     11x11x384
    conv5  256, 3x3 padded, ReLU        4x4x256     11x11x256
    pool5  3x3 / 2                      1x1x256       5x5x256
    fc1, fc2  4096, ReLU                   4096          4096
    fc3  logits                         classes       classes
"""

import dataclasses
import random

import keras
from keras import layers

from saliency_keras.models.resized import resized


def concatenate_map(x, saliency, name):
    """Appends the map, resized to `x` bilinearly, as its last channel: `(h, w, c) -> (h, w, c + 1)`."""
    return layers.Concatenate(name=name)([x, _resized(saliency, x, name)])


def multiply_map(x, saliency, name):
    """Multiplies every channel of `x` by the map, resized to `x` bilinearly: `(h, w, c) -> (h, w, c)`."""
    return layers.Multiply(name=name)([x, _resized(saliency, x, name)])


JOIN = {"concatenate": concatenate_map, "multiply": multiply_map}


def _resized(saliency, x, name):
    height, width = x.shape[1:3]
    if saliency.shape[1:3] == (height, width):
        return saliency
    return resized(saliency, height, width, f"{name}_resized")


@dataclasses.dataclass(frozen=True)
class Layers:
    """The layers that the thesis's networks share, each `x -> x`, all made with the same options.

    Attributes:
        weight_decay: Factor of Keras' `L2` on the kernels of convolutions and dense layers (§3.3.3).
        batch_norm: Whether there is batch normalisation; the original AlexNet of the other papers has none.
        batch_norm_momentum: Momentum of the moving mean and variance.
        batch_norm_before_relu: `False` for convolution, ReLU, normalisation, pooling: the order in which maps
            meet the output of a ReLU (§4.5).
        conv2_padding: `"valid"` as Table 3.2's sizes demand, or `"same"`.
        dropout: Share of fc1's and fc2's outputs dropped; the thesis uses none.
        dense_units: Width of fc1 and fc2.
        width_multiplier: Factor of every convolution's filters; 1 is AlexNet's own.
        kernel_initializer: Initialiser of every kernel.
    """

    weight_decay: float = 5e-4
    batch_norm: bool = True
    batch_norm_momentum: float = 0.9
    batch_norm_before_relu: bool = False
    conv2_padding: str = "valid"
    dropout: float = 0.0
    dense_units: int = 4096
    width_multiplier: float = 1.0
    kernel_initializer: str = "glorot_uniform"

    def convolution(self, x, name, filters, size, strides=1, padding="same", bias=0.0):
        """A convolution without its ReLU; `bias` is what its biases start from."""
        start = keras.initializers.Constant(bias)
        filters = max(1, round(filters * self.width_multiplier))
        return layers.Conv2D(filters, size, strides, padding, name=name, bias_initializer=start, **self._kernel())(x)

    def normalised(self, x, number, join=None, branch=""):
        """ReLU, the map where `join` brings it in, and batch normalisation, in the order asked for."""
        relu = layers.ReLU(name=f"relu{number}{branch}")
        join = join or _unchanged
        if not self.batch_norm:
            return join(relu(x))
        norm = layers.BatchNormalization(momentum=self.batch_norm_momentum, name=f"bn{number}{branch}")
        return join(relu(norm(x))) if self.batch_norm_before_relu else norm(join(relu(x)))

    def block1(self, x, join=None, branch=""):
        """conv1, ReLU, bn1, pool1: 128 px -> 14x14x96, 227 px -> 27x27x96."""
        x = self.convolution(x, f"conv1{branch}", 96, 11, strides=4, padding="valid")
        return pool(self.normalised(x, 1, join, branch), f"pool1{branch}")

    def block2(self, x, join=None, branch=""):
        """conv2, ReLU, bn2, pool2: 14x14x96 -> 4x4x256, 27x27x96 -> 11x11x256."""
        x = self.convolution(x, f"conv2{branch}", 256, 5, padding=self.conv2_padding)
        return pool(self.normalised(x, 2, join, branch), f"pool2{branch}")

    def blocks345(self, x):
        """conv3, conv4, conv5, each with its ReLU: `(h, w, c) -> (h, w, 256)`."""
        for number in 3, 4, 5:
            x = self.rectified(x, number)
        return x

    def rectified(self, x, number, branch=""):
        """conv3, conv4 or conv5 with its ReLU: `(h, w, c) -> (h, w, 384)`, 256 for conv5."""
        x = self.convolution(x, f"conv{number}{branch}", {3: 384, 4: 384, 5: 256}[number], 3)
        return layers.ReLU(name=f"relu{number}{branch}")(x)

    def classifier(self, x, classes):
        """fc1, fc2, fc3: `(h, w, c)` -> float32 logits `(classes,)`."""
        x = layers.Flatten(name="flatten")(x)
        for name in "fc1", "fc2":
            x = self.dense(x, name)
        return self.logits(x, classes)

    def dense(self, x, name):
        """fc1 or fc2: `(n,)` -> `(dense_units,)`."""
        x = layers.Dense(self.dense_units, activation="relu", name=name, **self._kernel())(x)
        return self.dropped(x, f"{name}_dropout")

    def logits(self, x, classes):
        """fc3: `(n,)` -> float32 logits `(classes,)`."""
        return layers.Dense(classes, name="fc3", dtype="float32", **self._kernel())(x)

    def dropped(self, x, name):
        """Dropout, where there is any.

        The seed is the one that Keras would draw, but given: without one PyTorch draws from its own generator, which a
        resumed run cannot set.
        """
        return layers.Dropout(self.dropout, seed=random.randint(1, 10**9), name=name)(x) if self.dropout else x

    def _kernel(self):
        return {
            "kernel_initializer": self.kernel_initializer,
            "kernel_regularizer": keras.regularizers.L2(self.weight_decay) if self.weight_decay else None,
        }


def _unchanged(x):
    return x


def pool(x, name):
    """Maximum over 3x3, every second pixel, unpadded."""
    return layers.MaxPooling2D(3, 2, name=name)(x)


def alexnet(image, saliency, classes, layer, at_input=None, at_convolutions=None):
    """The base network, or one with the map concatenated or multiplied at one or both places.

    Args:
        image: Tensor `(side, side, 3)`, scaled.
        saliency: Tensor `(side, side, 1)`, scaled; may be `None` where no strategy is given.
        classes: Number of classes.
        layer: The `Layers` to build with.
        at_input: `None`, `"concatenate"` (RGBS) or `"multiply"` (RGBxS).
        at_convolutions: The same for the outputs of conv1 and conv2 (RGB-1S-2S, RGB-1xS-2xS).

    Returns:
        Logits `(classes,)`.

    Raises:
        ValueError: If a strategy is none of these.
    """
    for strategy in at_input, at_convolutions:
        if strategy and strategy not in JOIN:
            raise ValueError(f"a strategy is one of {', '.join(JOIN)}. Received: {strategy}")

    def join(number):
        return at_convolutions and (lambda x: JOIN[at_convolutions](x, saliency, f"saliency{number}"))

    x = JOIN[at_input](image, saliency, "saliency0") if at_input else image  # 128x128x3, x4 where concatenated
    x = layer.block1(x, join(1))  #  14x14x96, x97
    x = layer.block2(x, join(2))  #   4x4x256, x257
    x = layer.blocks345(x)  #         4x4x256
    x = pool(x, "pool5")  #           1x1x256
    return layer.classifier(x, classes)
