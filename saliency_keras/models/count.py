"""How large a network is: parameters and multiply-adds, counted layer by layer.

The thesis counts kernels alone; the usual totals include biases and the four vectors of batch normalisation. A figure
says which it is.
"""

import math

import keras
from keras import layers

CONVOLUTIONS = (layers.Conv2D, layers.Conv2DTranspose, layers.DepthwiseConv2D, layers.SeparableConv2D)


def parameters(model):
    """Counts a model's parameters.

    Args:
        model: A built Keras model.

    Returns:
        Dictionary: `total` (Keras' count), `trainable`, `kernels` (convolutions and dense layers, no biases),
        `convolution_kernels`, and `layers`, from each layer's name to its total, layers without weights left out.
    """
    kernels, convolutions = {}, {}
    for one in _single_layers(model):
        found = {variable.path: math.prod(variable.shape) for variable in _kernels(one)}
        kernels |= found
        convolutions |= found if isinstance(one, CONVOLUTIONS) else {}
    return {
        "total": model.count_params(),
        "trainable": sum(math.prod(variable.shape) for variable in model.trainable_variables),
        "kernels": sum(kernels.values()),
        "convolution_kernels": sum(convolutions.values()),
        "layers": {one.name: one.count_params() for one in model.layers if one.weights},
    }


def multiply_adds(model):
    """Multiply-adds of convolutions and dense layers for one picture; `None` of a network within the network."""
    if any(isinstance(one, keras.Model) for one in model.layers):
        return None  # its layers know no sizes
    total = 0
    for one in model.layers:
        at = one.input if isinstance(one, layers.Conv2DTranspose) else one.output  # where its kernel is applied
        positions = math.prod(at.shape[1:-1]) if isinstance(one, CONVOLUTIONS) else 1
        total += positions * sum(math.prod(kernel.shape) for kernel in _kernels(one))
    return total


def _single_layers(model):
    """All layers, those of networks within the network instead of these."""
    for one in model.layers:
        yield from _single_layers(one) if isinstance(one, keras.Model) else [one]


def _kernels(layer):
    kinds = (*CONVOLUTIONS, layers.Dense)
    return [one for one in layer.weights if one.name.endswith("kernel")] if isinstance(layer, kinds) else []
