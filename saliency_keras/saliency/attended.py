"""Which places a maker of maps attends to: binary masks, what a second look at a picture is cropped by.

The network of Shen and Liu makes its mask itself (`models.attention`). A predictor's map, or any other, is cut off at
Otsu's threshold in the same way.
"""

from pathlib import Path

import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.files import read_json, sha256_of
from saliency_keras.models.attention import MASK_LAYER, otsu_mask
from saliency_keras.models.network import MAP_LAYER
from saliency_keras.models.receptive_fields import receptive_centres
from saliency_keras.models.weights import load_network

NETWORK = "classifier_attention"


class AttentionRun:
    """The masks of a finished run of `classifier_attention`.

    Args:
        folder: The run folder.

    Attributes:
        name: What the run's folder is called.
        identity: What it is, for a manifest: the experiment, its weights and how boxes are drawn.
        side: Width and height of the pictures that the network sees, in pixels.
        data: What `config.json` says of the set that it was trained on.
        classes: Names of its classes.
        box: `"all"` or `"largest_component"`.
        margin: Share of a box's sides that is added on each side.
        edges: `(rows, columns)`, where the places of a mask begin and end in the picture that the network sees.

    Raises:
        UserError: If it is no finished run, or its network makes no mask.
    """

    def __init__(self, folder):
        import keras

        folder = Path(folder)
        if not run_folder.is_finished(folder) or not run_folder.has_network(folder):
            raise UserError(f"{folder} is no finished run: it lacks {run_folder.SUMMARY} or {run_folder.MODEL}.")
        file = run_folder.checked(folder, run_folder.MODEL)
        try:
            config = read_json(run_folder.checked(folder, run_folder.CONFIG))
            arguments, name = config["experiment"]["arguments"], config["experiment"]["name"]
            self.box, self.margin, cells = arguments["box"], float(arguments["margin"]), arguments["cells"]
            self.side, self.data = int(config["experiment"]["pictures"]["side"]), dict(config["data"])
        except (KeyError, TypeError):
            raise UserError(f"{folder} is no run of {NETWORK}: its config.json names no box to draw.") from None
        model = load_network(file)
        if MASK_LAYER not in {layer.name for layer in model.layers}:
            raise UserError(f"the network of {folder} makes no mask; it has no layer {MASK_LAYER!r}.")
        drawn = {"box": self.box, "margin": self.margin, "cells": cells}
        self.identity = {"experiment": name, "weights": sha256_of(file)[:16], **drawn}
        self.name, self.classes = folder.resolve().name, _classes(folder)
        self._model = keras.Model(model.input, model.get_layer(MASK_LAYER).output)
        self.edges = mask_edges(model, cells)

    def __call__(self, images):
        """Masks of a batch.

        Args:
            images: uint8 array `(pictures, side, side, 3)`.

        Returns:
            Bool array `(pictures, h, w)`.
        """
        return np.asarray(self._model.predict_on_batch({"image": images}), np.float32)[..., 0] > 0


def mask_edges(model, cells):
    """Where the places of a network's mask begin and end in the picture that it sees.

    Args:
        model: The network.
        cells: `"even"` for equal shares of the picture, or `"receptive_fields"` for the pixels nearest to each centre.

    Returns:
        Two float arrays, `(rows + 1,)` and `(columns + 1,)`, in pixels from the picture's edge.
    """
    shape, size = model.get_layer(MASK_LAYER).output.shape[1:3], model.inputs[0].shape[1:3]
    if cells == "even":
        return tuple(np.linspace(0, length, count + 1) for count, length in zip(shape, size, strict=True))
    edges = []
    for at, length in zip(receptive_centres(model, MAP_LAYER), size, strict=True):
        middle = (at[1:] + at[:-1]) / 2 + 0.5
        half = (at[1] - at[0]) / 2 if len(at) > 1 else length / 2
        edges.append(np.clip([at[0] + 0.5 - half, *middle, at[-1] + 0.5 + half], 0, length))
    return tuple(edges)


def masks_of(maps):
    """Where maps are above Otsu's threshold, as `models.attention.otsu_mask` has it.

    Args:
        maps: Float array `(pictures, h, w)`.

    Returns:
        Bool array `(pictures, h, w)`; ones everywhere for a map that is the same everywhere.
    """
    # One at a time: the histogram of a large map takes 256 numbers for each of its pixels.
    return np.stack([np.asarray(otsu_mask(one[None, ..., None]))[0, ..., 0] > 0 for one in np.asarray(maps)])


def _classes(folder):
    """Names of the classes, from the predictions."""
    import h5py

    try:
        with h5py.File(folder / run_folder.PREDICTIONS, "r") as file:
            names = file.attrs["classes"]
            return tuple(name.decode("utf-8") if isinstance(name, bytes) else str(name) for name in names)
    except (OSError, KeyError, ValueError):
        raise UserError(f"{folder / run_folder.PREDICTIONS} is missing or damaged; train the run again.") from None
