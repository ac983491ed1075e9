"""Grad-CAM: which places of a picture a classifier's choice rests on.

Selvaraju et al. 2017, §3: the feature maps A of a convolutional layer are added up. The weight of each is the mean
gradient of the class's logit over its positions (Eq. 1). Negative sums are set to zero (Eq. 2). The layer is the last
convolutional one by default, "the best compromise between high-level semantics and detailed spatial
information". Its positions are laid over the picture where their receptive fields have their centres
(`receptive_fields`). Drawing is `figures`'.
"""

import keras
import numpy as np
from keras import layers, ops

from saliency_keras.models.receptive_fields import laid_out, receptive_centres

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
    """Name of the last layer with positions, except for poolings, that all features of the classifier pass through."""
    for layer in reversed(model.layers):
        positions = np.prod(layer.output.shape[1:3]) if len(layer.output.shape) == 4 else 0
        if positions > 1 and not isinstance(layer, (*POOLINGS, layers.InputLayer)):
            try:
                _cut(model, layer.name)
            except ValueError:
                continue
            return layer.name
    raise ValueError(f"the network {model.name} has no convolutional layer that all goes through")


def _cut(model, name):
    """The network up to a layer, and from there to the logits."""
    if name not in {layer.name for layer in model.layers}:
        raise ValueError(f"the network {model.name} has no layer {name!r}; it has {_names_of_layers(model)}")
    output = model.get_layer(name).output
    if len(output.shape) != 4 or isinstance(model.get_layer(name), layers.InputLayer):
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
