"""Classifiers that are guided by maps: a loss pulls a map of theirs towards the maps of the set, which they never see.

The sum of the cross-entropy and λ times the map's loss is minimised (`models.guidance`). The maps of the compact set
are targets, so that `--maps` chooses what is taught; the network sees the picture alone, in training and afterwards.
Each target is the map as the positions of the guided layer see it. With λ = 0 nothing of this is computed: the network
is trained as a plain one, to the bit.

Afterwards the summary says how well Grad-CAM of the true class agrees with each picture's own map, whatever was taught.
"""

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data.reader import Reader
from saliency_keras.data.shown import OWN
from saliency_keras.metrics.fixation_metrics import cc
from saliency_keras.metrics.points import Density
from saliency_keras.models.frozen import in_two
from saliency_keras.models.grad_cam import GradCam
from saliency_keras.models.guidance import LABEL, LOGITS, guided, taught
from saliency_keras.models.losses import GUIDING
from saliency_keras.models.receptive_fields import seen_at
from saliency_keras.runs.run import network_in
from saliency_keras.training.tasks.classification import Classification
from saliency_keras.training.tasks.joint import check_cropped_on_host, check_loss, map_loss, places_with_maps
from saliency_keras.training.tasks.task import Term


class Guided(Classification):
    """A classifier with a guided map; a `Task`. Arguments and errors as `Classification`."""

    @staticmethod
    def check(experiment):
        """As `Task.check`."""
        guidance = experiment.guidance
        if not guidance:
            return
        check_loss(experiment, GUIDING)
        of_picture = guidance.guidance_weight and guidance.method == "gradient"
        if of_picture and experiment.pictures.keep_features:
            raise UserError(f"{experiment.name} needs the gradient at the picture, which goes through all layers: "
                            "leave keep_features out.")  # fmt: skip

    def __init__(self, experiment, manifest, seed, folder, augment="host", start=None):
        guidance = experiment.guidance
        weight = guidance.guidance_weight if guidance else 0.0
        if guidance:
            check_cropped_on_host(experiment, augment)
        if augment != "host":
            raise UserError(f"{experiment.name} learns from pictures that the host crops: leave --augment out.")
        teacher = network_in(guidance.teacher).model if weight and guidance.teacher else None
        if teacher is not None and experiment.shown.swap != "own":
            raise UserError(f"the teacher of {experiment.name} is a network, so that --maps would change nothing.")
        self._taught_maps, self._teacher = bool(weight) and teacher is None, teacher
        self._centres = {}
        super().__init__(experiment, manifest, seed, folder, augment, start)
        if weight:
            loss = map_loss(experiment.loss, GUIDING) if teacher is None else taught
            self.terms |= {name: Term(loss, weight) for name in self._centres}
        labelled = LABEL in self.fed.input
        self.training, self.validation = (
            _with_targets(batches, self._centres, labelled) for batches in (self.training, self.validation)
        )

    def _in_two(self, frozen):
        guidance = self._experiment.guidance
        if not (guidance and guidance.guidance_weight):
            return in_two(self.network.classifier, frozen)
        choices = guidance.method, guidance.stages, self._teacher, guidance.teacher_stages
        try:
            front, fed, self._centres = guided(self.network, *choices, frozen)
        except ValueError as error:
            raise UserError(f"{self._experiment.name} cannot be guided so: {error}.") from None
        return front, fed

    def finish(self, folder):
        """As `Classification.finish`; the summary also has `agreement`, of Grad-CAM with the pictures' own maps."""
        split, places = self._parts["validation"]
        pictures = self._experiment.pictures
        size = pictures.side, self._experiment.schedule.batch
        own = Reader(self._manifest, split, *size, OWN, self._seed, subset=places, classes=self.classes)
        return super().finish(folder) | agreement(self.network, own)

    def _taught(self, parts):
        parts = super()._taught(parts)
        for name in ("train", "validation") if self._taught_maps else ():
            places_with_maps(self._manifest, *parts[name], self._shown, self._seed, only_one=True)
        return parts


def agreement(network, reader):
    """How well Grad-CAM of the true class agrees with maps.

    Args:
        network: A `Network` that classifies.
        reader: A `Reader` of pictures with the maps.

    Returns:
        `{"agreement": {"cc": …, "pictures": …}}`: the linear correlation of both, the mean over the pictures whose map
        is not the same everywhere; a Grad-CAM that is the same everywhere counts as 0. Empty where there is no picture.
    """
    grad_cam, found = GradCam(network.classifier), []
    for inputs, labels in reader.validation():
        maps = inputs["saliency"][..., 0].astype("float32")
        vary = np.ptp(maps, axis=(1, 2)) > 0
        if vary.any():
            seen = {name: array[vary] for name, array in network.taken(inputs).items()}
            explained = grad_cam(seen, labels[vary])
            found += [cc(one, Density(other)) for one, other in zip(explained, maps[vary], strict=True)]
    return {"agreement": {"cc": float(np.mean(found)), "pictures": len(found)}} if found else {}


def _with_targets(batches, centres, labelled):
    """The batches of a function with the maps as targets.

    Args:
        batches: Function that gives a `Stream` of a reader's batches.
        centres: From the name of each guided map to the rows and columns of its positions; empty where none is guided.
        labelled: Whether the labels are an input too: those of the class whose choice is explained.

    Returns:
        Such a function.
    """

    def apart(batch):
        inputs, labels = batch
        taken = {name: array for name, array in inputs.items() if name != "saliency"}
        if not centres:
            return taken, labels
        maps = inputs["saliency"][..., 0]
        seen = {name: seen_at(maps, at)[..., None] for name, at in centres.items()}
        return taken | ({LABEL: labels.astype("int32")} if labelled else {}), {LOGITS: labels, **seen}

    return lambda *epochs: batches(*epochs).mapped(apart)
