"""Tensors in another size."""

from keras import layers


def resized(x, height, width, name):
    """Resizes a tensor bilinearly, with half-pixel centres: `(h, w, c) -> (height, width, c)`.

    `layers.Resizing` is in training by default, and hands that on to the layers after it. A network that is called as
    `network(x)` would then normalise by the batch and change its moving statistics. `training=False` here prevents
    that. A call with `training=True`, such as `fit` makes, overrides it.

    Args:
        x: Tensor `(h, w, c)`.
        height: Rows of the result.
        width: Columns of the result.
        name: Name of the layer.

    Returns:
        Tensor `(height, width, c)`.
    """
    return layers.Resizing(height, width, interpolation="bilinear", name=name)(x, training=False)
