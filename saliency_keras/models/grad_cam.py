"""Grad-CAM: which places of a picture a classifier's choice rests on.

Selvaraju et al. 2017, §3: the feature maps A of a convolutional layer are added up, each weighted by the mean gradient
of the class's logit over its positions (Eq. 1), and what is negative is dropped (Eq. 2). The layer is the last
convolutional one unless told otherwise, "the best compromise between high-level semantics and detailed spatial
information". Its positions are laid over the picture where their receptive fields have their centres: in a network
with unpadded layers they do not spread over the whole picture (AlexNet at 128 px: four positions, 16 pixels apart,
from pixel 33 to 81), and a map that is simply stretched would point beside the object. Drawing is `figures`'.
"""

import keras
import numpy as np
from keras import layers, ops

WINDOWS = (layers.Conv2D, layers.DepthwiseConv2D, layers.MaxPooling2D, layers.AveragePooling2D)
POOLINGS = (layers.MaxPooling2D, layers.AveragePooling2D, layers.GlobalMaxPooling2D, layers.GlobalAveragePooling2D)


class GradCam:
    """Grad-CAM of one network at one layer.

    Args:
        model: A Functional classifier with an input `image` `(batch, side, side, 3)`, perhaps others, and logits as
            output.
        layer: Name of the layer whose features are weighted, or `None` for the last convolutional one, its activation
            included.

    Raises:
        ValueError: If there is no such layer, it has no positions, or part of what the classifier sees passes it by.
    """

    def __init__(self, model, layer=None):
        self.layer = layer or last_convolution(model)
        self._features, self._classifier = _cut(model, self.layer)
        self._centres = receptive_centres(model, self.layer)
        self.side = model.input["image"].shape[1]

    def __call__(self, inputs, classes):
        """Maps of a batch.

        Args:
            inputs: What the model takes: a dictionary of uint8 arrays.
            classes: int array `(pictures,)`, the class to explain of each picture.

        Returns:
            float32 array `(pictures, side, side)`, not negative; zero everywhere where nothing speaks for the class.
        """
        features = ops.cast(self._features(inputs, training=False), "float32")
        chosen = ops.one_hot(ops.convert_to_tensor(np.asarray(classes, "int32")), self._classifier.output.shape[-1])

        def score(x):
            return ops.sum(self._classifier(x, training=False) * chosen)

        weights = ops.mean(_gradient(score, features), axis=(1, 2), keepdims=True)  #  (B, 1, 1, c)
        small = ops.relu(ops.sum(weights * features, axis=-1))  #                      (B, h, w)
        return laid_out(ops.convert_to_numpy(small), self._centres, (self.side, self.side))


def last_convolution(model):
    """Name of the last layer with positions, poolings aside, that everything the classifier uses passes through."""
    for layer in reversed(model.layers):
        positions = np.prod(layer.output.shape[1:3]) if len(layer.output.shape) == 4 else 0
        if positions > 1 and not isinstance(layer, (*POOLINGS, layers.InputLayer)):
            try:
                _cut(model, layer.name)
            except ValueError:
                continue
            return layer.name
    raise ValueError(f"the network {model.name} has no convolutional layer that all goes through")


def receptive_centres(model, layer):
    """Where the receptive fields of a layer's positions have their centres.

    Args:
        model: A Functional model with an input `image`.
        layer: Name of a layer with positions.

    Returns:
        Two float arrays, `(height,)` and `(width,)`: for each row and column of the layer the picture's row and
        column, in pixels from 0. A layer on the way that is no convolution, pooling or padding but changes the size
        is taken to spread evenly over it.
    """
    makers = {id(one.output): one for one in model.operations}
    size = model.input["image"].shape[1:3]
    centres = [np.arange(length, dtype="float64") for length in size]
    for operation in _way(model.get_layer(layer), makers):
        centres = [_centres_after(operation, axis, centres[axis]) for axis in (0, 1)]
    return centres


def laid_out(small, centres, size, to_the_border=False):
    """Spreads maps over a picture: linearly between the centres of their positions.

    Args:
        small: float array `(pictures, height, width)`.
        centres: Rows and columns of the picture that its positions stand for, ascending.
        size: Height and width of the picture.
        to_the_border: Whether the outermost values go on to the picture's border; else they fade to nothing within one
            step.

    Returns:
        float32 array `(pictures, *size)`.
    """
    tents = []
    for at, length in zip(centres, size, strict=True):
        step = at[1] - at[0] if len(at) > 1 else length
        pixels = np.arange(length)
        if to_the_border:
            pixels = np.clip(pixels, at[0], at[-1])
        tents.append(np.clip(1 - abs(pixels - at[:, None]) / step, 0, None))
    return np.einsum("bhw,hy,wx->byx", small, *tents).astype("float32")


def _cut(model, name):
    """The network up to a layer, and from there to the logits."""
    if name not in {layer.name for layer in model.layers}:
        raise ValueError(f"the network {model.name} has no layer {name!r}; it has {_names_of_layers(model)}")
    output = model.get_layer(name).output
    if len(output.shape) != 4:
        raise ValueError(f"the layer {name} has no positions; choose one of {_names_of_layers(model)}")
    try:
        return keras.Model(model.input, output), keras.Model(output, model.output)
    except ValueError:
        raise ValueError(f"part of what the classifier sees passes the layer {name} by; choose a later one") from None


def _names_of_layers(model):
    kinds = (layers.InputLayer, layers.Rescaling)
    return ", ".join(one.name for one in model.layers if len(one.output.shape) == 4 and not isinstance(one, kinds))


def _gradient(function, x):
    """Gradient of a scalar function at `x`, in the shape of `x`; the one thing here that each backend does its way."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        return tape.gradient(value, x)
    if backend == "jax":
        import jax

        return jax.grad(function)(x)
    import torch

    x = x.detach().requires_grad_()
    return torch.autograd.grad(function(x), x)[0].detach()


def _way(layer, makers):
    """The operations from the picture to a layer, in order; the saliency map's branch is not followed."""
    if isinstance(layer, layers.InputLayer):
        return [] if layer.name == "image" else None
    for tensor in layer.input if isinstance(layer.input, list) else [layer.input]:
        before = _way(makers[id(tensor)], makers)
        if before is not None:
            return [*before, layer]
    return None


def _centres_after(operation, axis, centres):
    """Centres along an axis after one operation; beyond the border the pixels count on."""
    before, after = len(centres), operation.output.shape[1 + axis]
    if isinstance(operation, layers.ZeroPadding2D):
        first = -operation.padding[axis][0]
    elif isinstance(operation, WINDOWS):
        strides = _pair(operation.strides)[axis]
        size = _pair(getattr(operation, "kernel_size", None) or operation.pool_size)[axis]
        reach = (size - 1) * _pair(getattr(operation, "dilation_rate", 1))[axis] + 1
        padded = max((after - 1) * strides + reach - before, 0) // 2 if operation.padding == "same" else 0
        return _at(centres, np.arange(after) * strides - padded + (reach - 1) / 2)
    elif before == after:
        return centres
    else:
        return _at(centres, (np.arange(after) + 0.5) * before / after - 0.5)
    return _at(centres, first + np.arange(after))


def _pair(value):
    return (value, value) if isinstance(value, int) else tuple(value)


def _at(centres, places):
    """Centres at fractional places of an evenly spaced row, also outside it."""
    step = centres[1] - centres[0] if len(centres) > 1 else 0.0
    return centres[0] + places * step
