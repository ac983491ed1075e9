"""Tensors in another size."""

from keras import layers


def resized(x, height, width, name):
    """Resizes a tensor bilinearly, with half-pixel centres: `(h, w, c) -> (height, width, c)`.

    Keras' layer takes itself to be in training where nobody says otherwise, and so do all layers after it: `network(x)`
    would normalise by the batch and change the moving statistics. So it is told that it is not; `fit` says otherwise.
    """
    return layers.Resizing(height, width, interpolation="bilinear", name=name)(x, training=False)
