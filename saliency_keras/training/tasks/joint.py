"""Classifiers that make a map and are taught it: cross-entropy on the classes, the map's loss on the maps of the set.

The sum of both losses is minimised, each with its weight (`loss_weights` of the experiment). The maps of the compact
set are targets here, not inputs, so that `--maps` chooses what is taught: people's gaze, a predictor's maps, or those
of other pictures. Nobody looked at a picture whose map is zero everywhere: its map's loss does not count.
"""

import keras
from keras import ops

from saliency_keras.console import UserError
from saliency_keras.models.losses import LOSSES
from saliency_keras.training.tasks.classification import Classification
from saliency_keras.training.tasks.task import Term

MAP = "map"


class Joint(Classification):
    """A classifier with the outputs `logits` and `map`; a `Task`. Arguments and errors as `Classification`."""

    def __init__(self, experiment, manifest, seed, folder, augment="host", start=None):
        if augment != "host":
            raise UserError(f"{experiment.name} is taught maps, which are cropped on the host: leave --augment out.")
        super().__init__(experiment, manifest, seed, folder, augment, start)
        weights = experiment.loss_weights
        self.terms = {
            name: Term(term.loss, weights.get(name, 1.0), term.metrics) for name, term in self.terms.items()
        } | {MAP: Term(map_loss(experiment.loss), weights.get(MAP, 1.0))}
        self.training, self.validation = (_with_targets(batches) for batches in (self.training, self.validation))


def map_loss(name):
    """The loss of the map by its name in `models.losses`, for maps 0 to 255, zero for pictures without a map.

    Args:
        name: Name of the loss.

    Returns:
        Function `(maps, outputs)` to one number a picture, float32 `(pictures,)`.
    """
    loss = LOSSES[name]

    def of_pictures_with_maps(maps, outputs):
        there = ops.cast(ops.any(ops.greater(maps, 0), axis=(1, 2, 3)), "float32")
        return there * loss(maps, outputs)

    of_pictures_with_maps.__name__ = f"{name}_map"
    return keras.losses.get(of_pictures_with_maps)


def _with_targets(batches):
    """The batches of a function with the map as a target instead of an input."""

    def taught(*epochs):
        return batches(*epochs).mapped(_apart)

    return taught


def _apart(batch):
    inputs, labels = batch
    maps = inputs["saliency"].astype("float32")
    return {name: values for name, values in inputs.items() if name != "saliency"}, {"logits": labels, MAP: maps}
