"""Where people look, learned: a small head over a frozen ResNet-50 that was trained on ImageNet.

After DeepGaze II (Kümmerer, Wallis & Bethge 2016): features of a classifier, left as they are, and a few 1x1
convolutions that were trained on fixations (`models.readouts.pointwise_readout`). The head's weights lie beside this
file; the backbone's are Keras' ImageNet weights. How the head was trained, what it scores and where it fails is in
`docs/readout.md`: a run of the experiment `readout_pointwise`, whose head the command `pack_readout` writes.
"""

import os
from pathlib import Path

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.files import sha256_of
from saliency_keras.saliency.per_picture import batches_of_one_size

BACKBONE = "ResNet50"
LEVELS = ("conv3_block4_out", "conv4_block6_out", "conv5_block3_out")
HEAD = Path(__file__).with_name("readout.npz")
ENVIRONMENT = "SALIENCY_KERAS_RESNET50"
# The coarsest level has one position for 32x32 pixels, and the levels have to fit onto each other.
GRID = 32
SMALLEST = 64


class Readout:
    """The learned predictor.

    Args:
        side: Longer side, in pixels, to which pictures are resized before they are looked at, a multiple of 32. The
            head was trained at 512; the cost grows with the square.
        weights: Path of a `.weights.h5` file of `keras.applications.ResNet50(weights=None)` with its classifier, or
            `None`: the file that the environment variable `SALIENCY_KERAS_RESNET50` names, else Keras' own ImageNet
            weights, fetched once.
        head: Path of the head's weights.

    Raises:
        UserError: If a file is not there or `side` is no multiple of 32 of at least 64.
    """

    name = "readout"
    version = 1
    on_device = True

    def __init__(self, side=512, weights=None, head=HEAD):
        if side % GRID or side < SMALLEST:
            raise UserError(f"the side of readout is a multiple of {GRID} pixels from {SMALLEST} up, not {side}.")
        self._weights = str(weights or os.environ.get(ENVIRONMENT) or "imagenet")
        self._head = Path(head)
        for path in (self._head, *([] if self._weights == "imagenet" else [Path(self._weights)])):
            if not path.is_file():
                raise UserError(f"the predictor readout needs the file {path}, which is not there.")
        self.parameters = {
            "side": side,
            "backbone": BACKBONE,
            "backbone_weights": "imagenet" if self._weights == "imagenet" else sha256_of(self._weights)[:16],
            "head": sha256_of(self._head)[:16],
        }
        self._network = None
        self._functions = {}

    def __getstate__(self):
        # A worker process builds its own network: one with live variables cannot be sent.
        return {**self.__dict__, "_network": None, "_functions": {}}

    def __call__(self, images):
        """Maps of a batch.

        Args:
            images: uint8 array `(pictures, height, width, 3)`, RGB.

        Returns:
            float32 array `(pictures, height, width)`: densities of fixations with their peak at 1, positive everywhere.

        Raises:
            UserError: If the backbone's weights cannot be had.
        """
        if self._network is None:
            self._network = self._built()
        height, width = np.shape(images)[1:3]
        maps = np.empty(np.shape(images)[:3], np.float32)
        for start, batch in batches_of_one_size(np.asarray(images)):
            pixels = resized(batch, *working_size(height, width, self.parameters["side"]))
            logits = resized(self._logits(pixels), height, width)[: len(images) - start, ..., 0]
            maps[start : start + len(batch)] = np.exp(logits - logits.max(axis=(1, 2), keepdims=True))
        return maps

    def _logits(self, pixels):
        # After a second size Keras would compile for any size, in which TensorFlow cannot enlarge the levels' features
        # bilinearly; so each size keeps the function that was compiled for it.
        size = pixels.shape[1:3]
        self._network.predict_function = self._functions.get(size)
        logits = self._network.predict_on_batch(pixels)
        self._functions[size] = self._network.predict_function
        return logits

    def _built(self):
        try:
            network = readout_network(self._weights)
        except UserError as error:
            raise UserError(f"{str(error).rstrip('.')}; {ENVIRONMENT} may name a file of them.") from None
        load_head(network, self._head)
        return network


def readout_network(weights="imagenet"):
    """The whole network: pixels `(batch, height, width, 3)`, sizes multiples of 32, to logits `(batch, h/8, w/8, 1)`.

    Args:
        weights: `"imagenet"`, the path of a weights file of ResNet-50, or `None` for random ones.

    Returns:
        A `keras.Model` whose head has random weights.

    Raises:
        UserError: If the weights cannot be had.
    """
    from saliency_keras.models.readouts import readout_pointwise

    # Strides 8, 16, 32; 512, 1024, 2048 channels.
    return readout_pointwise(BACKBONE, None, None, LEVELS, weights)


def save_head(network, path):
    """Writes the weights of a network's head, float16, as an `.npz` file, whole or not at all."""
    from saliency_keras.files import whole_file

    arrays = {
        f"{layer.name}/{index}": values.astype(np.float16)
        for layer in _head_layers(network)
        for index, values in enumerate(layer.get_weights())
    }
    with whole_file(path) as file:
        np.savez(file, **arrays)


def load_head(network, path):
    """Fills the head of a network from a file that `save_head` wrote.

    Raises:
        UserError: If the file is no such file, or its arrays do not fit.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            for layer in _head_layers(network):
                layer.set_weights([arrays[f"{layer.name}/{index}"] for index in range(len(layer.weights))])
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{path} has no weights of the read-out's head: {error}.") from None


def working_size(height, width, side):
    """Size at which a picture is looked at: its longer side `side`, both sides multiples of 32, as near as can be."""
    scale = side / max(height, width)
    return tuple(max(SMALLEST, round(size * scale / GRID) * GRID) for size in (height, width))


def resized(images, height, width):
    """Resizes a batch, bilinear and anti-aliased: `(n, h, w, c)` -> float32 `(n, height, width, c)`."""
    from keras import ops

    images = np.asarray(images, np.float32)
    if images.shape[1:3] == (height, width):
        return images
    return ops.convert_to_numpy(ops.image.resize(images, (height, width), interpolation="bilinear", antialias=True))


def _head_layers(network):
    """The layers with weights that are the head's own; the backbone is a model within the network."""
    import keras

    return [layer for layer in network.layers if layer.weights and not isinstance(layer, keras.Model)]
