"""Classifiers that make a map and are taught it: cross-entropy on the classes, the map's loss on the maps of the set.

The sum of both losses is minimised, each with its weight (`loss_weights` of the experiment; Murabito et al. 2017,
Eq. 1: alpha = 0.2 for the cross-entropy, 1 for the map). The maps of the compact set are targets here, not inputs, so
that `--maps` chooses what is taught: people's gaze, a predictor's maps, or those of other pictures. Nobody looked at a
picture whose map is zero everywhere: the map's loss is the mean over the other pictures of the batch.
"""

import keras
import numpy as np
from keras import ops

from saliency_keras.console import UserError
from saliency_keras.data.shown import swapped_maps
from saliency_keras.data.stored import Records
from saliency_keras.models.losses import LOSSES
from saliency_keras.training.tasks.classification import Classification
from saliency_keras.training.tasks.task import Term

LOGITS, MAP = "logits", "map"


class Joint(Classification):
    """A classifier with the outputs `logits` and `map`; a `Task`. Arguments and errors as `Classification`."""

    @staticmethod
    def check(experiment):
        """As `Task.check`."""
        check_loss(experiment)
        weights = experiment.loss_weights
        for name in weights:
            if name not in (LOGITS, MAP):
                raise UserError(f"loss_weights are of the outputs {LOGITS} and {MAP}. Received: {name}")
        if not weights.get(LOGITS, 1.0):
            raise UserError(
                f"with loss_weights {LOGITS}=0 (alpha = 0) the classifier of {experiment.name} would learn nothing; "
                "for the map alone train salclassnet_detector, for the classes alone give the map the weight 0."
            )

    def __init__(self, experiment, manifest, seed, folder, augment="host", start=None):
        check_cropped_on_host(experiment, augment)
        super().__init__(experiment, manifest, seed, folder, augment, start)
        self.training, self.validation = (
            with_targets(batches, (LOGITS, MAP)) for batches in (self.training, self.validation)
        )

    def _terms(self):
        weights, terms = self._experiment.loss_weights, super()._terms()
        classes = Term(terms[LOGITS].loss, weights.get(LOGITS, 1.0), terms[LOGITS].metrics)
        return {LOGITS: classes, MAP: Term(map_loss(self._experiment.loss), weights.get(MAP, 1.0))}

    def finish(self, folder):
        """As `Classification.finish`; the summary also has the loss of the maps."""
        reader = self._reader(*self._parts["validation"])
        return super().finish(folder) | map_loss_of(self.network, self._experiment.loss, reader)

    def _taught(self, parts):
        parts = super()._taught(parts)
        for name in ("train", "validation") if self._experiment.loss_weights.get(MAP, 1.0) else ():
            places_with_maps(self._manifest, *parts[name], self._shown, self._seed, only_one=True)
        return parts


def check_loss(experiment, losses=LOSSES):
    """Refuses, as a `UserError`, a loss of the map that there is not."""
    if experiment.loss not in losses:
        raise UserError(f"the loss is one of {', '.join(losses)}. Received: loss={experiment.loss}")


def check_cropped_on_host(experiment, augment):
    """Refuses, as a `UserError`, crops on the device, which would be of the picture alone."""
    if augment != "host":
        raise UserError(f"{experiment.name} is taught maps, which are cropped on the host: leave --augment out.")


def map_loss(name, losses=LOSSES):
    """The loss of the map by its name in `models.losses`, for maps 0 to 255, zero for pictures without a map.

    Args:
        name: Name of the loss.
        losses: From names to losses.

    Returns:
        Function `(maps, outputs)` to one number a picture, float32 `(pictures,)`: 0 for a picture without a map, and
        for the others so much more that the mean over all is the mean over those with a map.
    """
    loss = losses[name]

    def of_pictures_with_maps(maps, outputs):
        there = ops.cast(ops.any(ops.greater(maps, 0), axis=(1, 2, 3)), "float32")
        return there * loss(maps, outputs) / ops.maximum(ops.mean(there), 1e-6)

    of_pictures_with_maps.__name__ = f"{name}_map"
    return keras.losses.get(of_pictures_with_maps)


def map_loss_of(network, name, reader):
    """The loss of the maps that a network makes, the mean over all pictures of a reader that have a map.

    Keras' own column `val_map_loss` is a mean over batches.

    Args:
        network: The `Network`.
        name: Name of the loss.
        reader: The `Reader`, its maps the targets.

    Returns:
        `{"map_loss": float}`; empty where no picture has a map.
    """
    loss, losses = LOSSES[name], []
    for inputs, _ in reader.validation():
        there = inputs["saliency"].any(axis=(1, 2, 3))
        if there.any():
            outputs = network.map.predict_on_batch(network.taken({name: one[there] for name, one in inputs.items()}))
            losses.append(ops.convert_to_numpy(loss(inputs["saliency"][there].astype("float32"), outputs)))
    return {"map_loss": float(np.concatenate(losses).mean())} if losses else {}


def places_with_maps(manifest, split, places, shown, seed, only_one=False):
    """The places of the pictures whose map is not zero everywhere.

    Args:
        manifest: The `Manifest`.
        split: `"train"` or `"val"`.
        places: Places in the split, or `None` for all.
        shown: The `Shown`.
        seed: Seed of the swap.
        only_one: Whether the first such picture is enough.

    Returns:
        int64 array.

    Raises:
        UserError: If there is none.
    """
    places = np.arange(manifest.split(split).records) if places is None else places
    swap = swapped_maps(manifest, split, shown, seed)
    if swap is None:
        maps = Records(manifest, split).maps(places)
    else:
        maps = (swap.stored[one] for one in swap.of_picture[places])
    found = []
    for place, one in zip(places, maps, strict=True):
        if one.any():
            found.append(place)
            if only_one:
                break
    if not found:
        name = shown.map or manifest.maps[0].name
        others = ", ".join(one for one in manifest.map_names if one != name)
        choose = f"choose another map (--maps {others}) or add one" if others else "add another map"
        raise UserError(
            f"the map {name} of {manifest.folder} is zero for every picture of {split}, so there is nothing to learn "
            f"from; {choose} (data_prep.add_map)."
        )
    return np.array(found, np.int64)


def with_targets(batches, outputs):
    """The batches of a function with the map as a target instead of an input.

    Args:
        batches: Function that gives a `Stream` of a reader's batches.
        outputs: Names of the outputs that are taught.

    Returns:
        Such a function.
    """

    def apart(batch):
        inputs, labels = batch
        targets = {LOGITS: labels, MAP: inputs["saliency"].astype("float32")}
        inputs = {name: values for name, values in inputs.items() if name != "saliency"}
        return inputs, {name: targets[name] for name in outputs}

    return lambda *epochs: batches(*epochs).mapped(apart)
