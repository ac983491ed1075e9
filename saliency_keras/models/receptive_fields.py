"""Where the positions of a layer lie in the picture: the centres of their receptive fields.

In a network with unpadded layers they do not cover the whole picture: AlexNet at 128 px has four positions, 16 pixels
apart, from pixel 33 to 81. A map that is stretched over the picture would point beside the object.
"""

import numpy as np
from keras import layers

WINDOWS = (layers.Conv2D, layers.DepthwiseConv2D, layers.MaxPooling2D, layers.AveragePooling2D)


def receptive_centres(model, layer):
    """Where the receptive fields of a layer's positions have their centres.

    Args:
        model: A Functional model with an input `image`, and perhaps an input `saliency` of the same size.
        layer: Name of a layer with positions.

    Returns:
        Two float arrays, `(height,)` and `(width,)`: for each row and column of the layer the picture's row and
        column, in pixels from 0; the map's, of a layer that sees nothing but the map. A layer on the way that is no
        convolution, pooling or padding but changes the size is taken to spread evenly over it. A map that was enlarged
        to the picture's size lies on it pixel by pixel.
    """
    makers = {id(one.output): one for one in model.operations}
    size = model.get_layer("image").output.shape[1:3]
    centres = [np.arange(length, dtype="float64") for length in size]
    layer = model.get_layer(layer)
    if isinstance(layer, layers.Resizing) and layer.output.shape[1:3] == size:
        return centres
    for operation in _way(layer, makers, "image") or _way(layer, makers, "saliency"):
        centres = [_centres_after(operation, axis, centres[axis]) for axis in (0, 1)]
    return centres


def laid_out(small, centres, size, to_the_border=False):
    """Spreads maps over a picture: linearly between the centres of their positions.

    Args:
        small: float array `(pictures, height, width)`.
        centres: Rows and columns of the picture at which its positions lie, ascending.
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


def _way(layer, makers, start):
    """The operations from an input to a layer, in order, or `None`; branches of other inputs are not followed."""
    if isinstance(layer, layers.InputLayer):
        return [] if layer.name == start else None
    for tensor in layer.input if isinstance(layer.input, list) else [layer.input]:
        before = _way(makers[id(tensor)], makers, start)
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
