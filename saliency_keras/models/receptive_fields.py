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
    layer = model.get_layer(layer)
    if isinstance(layer, layers.Resizing) and layer.output.shape[1:3] == size:
        return [np.arange(length, dtype="float64") for length in size]
    way = _way(layer, makers, "image") or _way(layer, makers, "saliency")
    return centres_along([(operation, operation.output.shape) for operation in way], size)


def centres_along(way, size):
    """Where positions lie in a picture, from what was done to it; otherwise as `receptive_centres`.

    Args:
        way: Pairs of an operation and the shape of what it made, `(batch, height, width, channels)`, in order.
        size: Height and width of the picture.

    Returns:
        Two float arrays, rows and columns.
    """
    centres = [np.arange(length, dtype="float64") for length in size]
    for operation, shape in way:
        if len(shape) != 4:
            continue  # positions that are laid in a row; where they come back, they spread evenly
        centres = [_centres_after(operation, axis, centres[axis], shape[1 + axis]) for axis in (0, 1)]
    return centres


def seen_at(maps, centres):
    """Maps of pictures at the positions of a layer: the way back from `laid_out`.

    Each position has the mean of the map around its centre, the nearer the more, up to the next position.

    Args:
        maps: Array `(pictures, height, width)`.
        centres: Rows and columns of the positions, ascending, as of `receptive_centres`.

    Returns:
        float32 array `(pictures, h, w)`.
    """
    shares = []
    for at, length in zip(centres, maps.shape[1:], strict=True):
        step = max(at[1] - at[0], 1.0) if len(at) > 1 else length
        within = np.clip(at, 0, length - 1)  # a field may have its centre in the padding
        tents = np.clip(1 - abs(np.arange(length) - within[:, None]) / step, 0, None)
        shares.append((tents / tents.sum(axis=1, keepdims=True)).astype("float32"))
    rows, columns = shares
    return np.matmul(np.matmul(rows, maps.astype("float32")), columns.T)


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
    rows, columns = tents
    return np.matmul(np.matmul(rows.T, small), columns).astype("float32")


def _way(layer, makers, start):
    """The operations from an input to a layer, in order, or `None`; branches of other inputs are not followed."""
    if isinstance(layer, layers.InputLayer):
        return [] if layer.name == start else None
    for tensor in layer.input if isinstance(layer.input, list) else [layer.input]:
        before = _way(makers[id(tensor)], makers, start)
        if before is not None:
            return [*before, layer]
    return None


def _centres_after(operation, axis, centres, after):
    """Centres of `after` positions along an axis after one operation; beyond the border the pixels count on."""
    before = len(centres)
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
