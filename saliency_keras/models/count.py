"""How large a network is: parameters and multiply-adds, counted layer by layer.

The thesis counts kernels alone; the usual totals include biases and the four vectors of batch normalisation. A figure
says which it is.
"""

import math

import keras
from keras import layers


def parameters(model):
    """Counts a model's parameters.

    Args:
        model: A built Keras model.

    Returns:
        Dictionary: `total` (Keras' count), `trainable`, `kernels` (convolutions and dense layers, no biases),
        `convolution_kernels`, and `layers`, from each layer's name to its total, layers without weights left out.
    """
    kernels = {one.path: math.prod(one.kernel.shape) for one in _single_layers(model) if _has_kernel(one)}
    convolutions = {one.path for one in _single_layers(model) if isinstance(one, layers.Conv2D)}
    return {
        "total": model.count_params(),
        "trainable": sum(math.prod(variable.shape) for variable in model.trainable_variables),
        "kernels": sum(kernels.values()),
        "convolution_kernels": sum(count for name, count in kernels.items() if name in convolutions),
        "layers": {one.name: one.count_params() for one in model.layers if one.weights},
    }


def multiply_adds(model):
    """Multiply-adds of convolutions and dense layers for one picture; `None` of a network within the network."""
    if any(isinstance(one, keras.Model) for one in model.layers):
        return None  # its layers know no sizes
    total = 0
    for one in model.layers:
        if not _has_kernel(one):
            continue
        positions = math.prod(one.output.shape[1:-1]) if isinstance(one, layers.Conv2D) else 1
        total += positions * math.prod(one.kernel.shape)
    return total


def _single_layers(model):
    """All layers, those of networks within the network instead of these."""
    for one in model.layers:
        yield from _single_layers(one) if isinstance(one, keras.Model) else [one]


def _has_kernel(layer):
    return isinstance(layer, layers.Conv2D | layers.Dense)
