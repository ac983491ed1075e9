"""Networks that learn where people look: fixation maps as targets, scores on held-out pictures at the end.

A fixed fifth of the pictures is held out with all its observers (`data.fixation_split`) and judged after every epoch,
at the size of the pictures, in NSS, CC and AUC-Judd. Training pictures are mirrored at random, and their fixation maps
with them: blurred by one degree of visual angle, or, for a loss of `models.losses.COUNTED`, counts of the fixations at
each position of the network's map. Where the backbone is frozen, it sees every picture and its mirror image once; its
features are kept (`training.features`), and epochs train the head alone.
"""

import functools
import itertools

import keras
import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import tell
from saliency_keras.data.arrays import digest, kept_arrays
from saliency_keras.data.fixation_set import read_fixation_set, readable
from saliency_keras.data.fixation_split import parts_of
from saliency_keras.data.stream import Stream
from saliency_keras.figures.table import write_csv
from saliency_keras.metrics.fixation_metrics import auc_judd, cc, nss
from saliency_keras.metrics.points import Density, SaliencyMap
from saliency_keras.models.backbones import BACKBONES
from saliency_keras.models.frozen import in_two
from saliency_keras.models.losses import COUNTED, LOSSES
from saliency_keras.models.readouts import keep_statistics
from saliency_keras.models.registry import build_saliency
from saliency_keras.saliency.controls import Center
from saliency_keras.saliency.run import NetworkMaps, maps_of, seen
from saliency_keras.scoring.fixation_scores import make_maps
from saliency_keras.training.features import KeptFeatures
from saliency_keras.training.tasks.joint import check_loss
from saliency_keras.training.tasks.task import Term

METRICS = {"nss": "NSS", "cc": "CC", "auc_judd": "AUC-Judd"}
BATCH = 8  # pictures predicted at once


class FixationMaps:
    """A network that learns where people look, on a fixation set; a `Task`.

    Args:
        experiment: The `Experiment`.
        fixation_set: The `FixationSet`.
        seed: Seed of order and mirroring.
        folder: Folder for what is computed once before the first epoch, `training.features.shared` or the run's own.
        augment: Not used: pictures are seen whole.
        start: `Network` of the run to start from, or `None`.

    Raises:
        UserError: If the loss is unknown, the set has too few pictures, or weights do not fit.
    """

    best, smaller_is_better = "val_nss", False
    one_machine = True
    uncropped, classes = None, ()

    @staticmethod
    def check(experiment):
        """As `Task.check`."""
        check_loss(experiment)

    def __init__(self, experiment, fixation_set, seed, folder, augment="host", start=None):
        self.check(experiment)
        self._learned, self._held_out = parts_of(fixation_set)
        self._experiment, self._seed = experiment, seed
        arguments, frozen = experiment.arguments, "backbone" in experiment.start.frozen
        weights = "" if start else experiment.start.weights
        self.network = build_saliency(experiment.network, arguments, weights, frozen)
        model = self.network.model
        if not frozen and (start or weights or arguments.get("backbone") not in (None, *BACKBONES)):
            keep_statistics(model)
        front, self.fed = in_two(model, [layer.name for layer in self.network.layers_of(experiment.start.frozen)])
        options = self.fed, experiment.loss, folder, model.input_shape[1:3], front
        self._train, self._val = Part(self._learned, "train", *options), Part(self._held_out, "val", *options)
        self._batch = min(experiment.schedule.batch, len(self._learned.images))
        self.steps = len(self._learned.images) // self._batch
        self.pictures = self.steps * self._batch
        self.terms = {"map": Term(LOSSES[experiment.loss])}
        self._plan = functools.lru_cache(2)(self._plan_of)

    @staticmethod
    def open(experiment, folder):
        """The `FixationSet` in a folder; prints what was left out; a `UserError` if it is not there or damaged."""
        fixation_set = readable(read_fixation_set(folder))
        for note in fixation_set.notes:
            tell(note)
        return fixation_set

    def _plan_of(self, epoch):
        generator = np.random.default_rng([self._seed, epoch])
        pictures = len(self._learned.images)
        return generator.permutation(pictures), generator.random(pictures) < 0.5

    def _batch_of(self, step):
        order, mirrored = self._plan(step // self.steps + 1)
        chosen = order[step % self.steps * self._batch :][: self._batch]
        return self._train.batch(chosen, mirrored[chosen])

    def training(self, first_epoch, last_epoch):
        """The batches of several epochs: pictures or features, and fixation maps."""
        self._train.prepare()
        return Stream(self._batch_of, range((first_epoch - 1) * self.steps, last_epoch * self.steps))

    def validation(self):
        """`None`: `measure` judges the held-out pictures at their own size."""

    def measure(self):
        """What the network is worth on the held-out pictures."""
        return self._val.measure()

    def finish(self, folder):
        """Writes `scores.csv`; returns what the summary adds."""
        return finish(self.network.model, self._experiment.loss, self._learned, self._held_out, folder)


class Part:
    """One side of the split as a network takes it.

    Args:
        fixation_set: `FixationSet` whose pictures all have fixations.
        name: `"train"` or `"val"`; of training pictures the mirror images are seen too.
        head: The network from inputs to the map.
        loss: Name of its loss.
        folder: As for `kept_arrays`.
        size: Height and width in pixels that pictures are resized to.
        front: From those pictures to `head`'s inputs by name, run once for each picture and, for training, its mirror
            image; or `None`, where `head` takes pictures.
    """

    def __init__(self, fixation_set, name, head, loss, folder, size, front=None):
        self.set, self.head, self.loss = fixation_set, head, loss
        self.folder, self.size = folder, size
        self._turns = (False, True) if name == "train" else (False,)
        self._seen_of = digest(fixation_set), size
        count, of = len(fixation_set.images) * len(self._turns), (self._seen_of, self._turns)
        self._features = KeptFeatures(front, folder, count, self._batches, of) if front else None

    def prepare(self):
        """Makes what is kept on disk, unless it is there."""
        return self._features.arrays if self._features else self.pixels, self.maps

    def batch(self, places, mirrored):
        """Inputs and fixation maps of the pictures at `places`; mirrored where the bool array says so."""
        turned = mirrored[:, None, None, None]
        maps = self.maps[places]
        maps = np.where(turned, maps[:, :, ::-1], maps)
        if self._features:
            return self._features.at(np.where(mirrored, places + len(self.set.images), places)), maps
        pixels = self.pixels[places]
        return np.where(turned, pixels[:, :, ::-1], pixels).astype(np.float32), maps

    def measure(self):
        """What the network is worth on these pictures: `{"val_loss": …, "val_nss": …, …}`, means over pictures."""
        self.prepare()
        losses, scores = [], []
        for first in range(0, len(self.set.images), BATCH):
            places = np.arange(first, min(first + BATCH, len(self.set.images)))
            inputs, maps = self.batch(places, np.zeros(len(places), bool))
            outputs = self.head.predict_on_batch(inputs)
            losses.extend(keras.ops.convert_to_numpy(LOSSES[self.loss](maps, outputs)))
            scores += [
                score(maps_of(outputs[row : row + 1], self.loss, *self._picture_size(place))[0], self.set, place)
                for row, place in enumerate(places)
            ]
        return {
            "val_loss": np.mean(losses),
            **{f"val_{m}": v for m, v in zip(METRICS, np.mean(scores, 0), strict=True)},
        }

    @functools.cached_property
    def pixels(self):
        """Pixels uint8 `(pictures, height, width, 3)`."""
        return self._kept("pixels", self._seen_of, self._seen(), "pictures")

    @functools.cached_property
    def maps(self):
        """Fixation maps, blurred or counted, in the size of the network's, float32 `(pictures, h, w, 1)`."""
        of = self._seen_of[0], self.head.output_shape[1:3], self.loss in COUNTED
        return self._kept("maps", of, map(self._map, self.set.images), "fixation maps")

    def _kept(self, name, of, rows, label):
        kept = kept_arrays(self.folder, (name, of), [name], zip(rows, strict=True), len(self.set.images), label)
        return kept[name]

    def _seen(self):
        for image in self.set.images:
            pixels = seen(self.set.read(image)[None], *self.size)
            yield keras.ops.convert_to_numpy(pixels)[0].astype(np.uint8)

    def _batches(self):
        """The pictures in batches, then, for training, their mirror images."""
        for turned in self._turns:
            pixels = self._seen()
            while waiting := list(itertools.islice(pixels, BATCH)):
                pictures = np.stack(waiting).astype(np.float32)
                yield pictures[:, :, ::-1] if turned else pictures

    def _map(self, image):
        points, size = self.set.points(image), self.head.output_shape[1:3]
        if self.loss in COUNTED:
            return points.counts_in_cells(*size)[..., None].astype(np.float32)
        density = Density.of(points, self.set.sigma(image)).values[None, :, :, None]
        density = keras.ops.convert_to_tensor(density, "float32")
        return keras.ops.convert_to_numpy(keras.ops.image.resize(density, size, "bilinear", antialias=True))[0]

    def _picture_size(self, place):
        return self.set.size(self.set.images[place])[::-1]


def score(saliency, fixation_set, place):
    """NSS, CC and AUC-Judd, in the standard convention, of a map of one picture.

    Args:
        saliency: Array `(height, width)`, not negative.
        fixation_set: `FixationSet`.
        place: Index of the picture in it.

    Returns:
        Three floats in the order of `METRICS`.
    """
    image = fixation_set.images[place]
    points, saliency = fixation_set.points(image), SaliencyMap(saliency)
    density = Density.of(points, fixation_set.sigma(image))
    return [nss(saliency, points), cc(saliency, density), auc_judd(saliency, points)]


def finish(model, loss, learned, held_out, folder):
    """Writes `scores.csv`: the run and the control `center` on every held-out picture.

    Args:
        model: The trained network, from pixels.
        loss: Name of its loss.
        learned: `FixationSet` it was trained on.
        held_out: `FixationSet` it is judged on.
        folder: The run folder.

    Returns:
        What the summary adds: numbers of pictures, mean scores of both with standard errors, and whether the run
        beats `center` in all three metrics.
    """
    sources = NetworkMaps("run", model, loss), Center()
    scores = {source.name: [] for source in sources}
    for place, image in enumerate(held_out.images):
        for name, (one,) in make_maps(held_out, sources, [image]).items():
            scores[name].append(score(one, held_out, place))
    rows = [[name, image, *row] for name in scores for image, row in zip(held_out.images, scores[name], strict=True)]
    write_csv(folder / run_folder.SCORES, ["predictor", "image", *METRICS.values()], rows)
    return {
        "pictures": {"train": len(learned.images), "validation": len(held_out.images)},
        "held_out": {name: _means(values) for name, values in scores.items()},
        "beats_center": bool((np.mean(scores["run"], axis=0) > np.mean(scores["center"], axis=0)).all()),
    }


def _means(scores):
    """`{metric: {"mean": …, "standard_error": …}}` over pictures; the error is `None` with a single one."""
    scores = np.asarray(scores)
    errors = scores.std(axis=0, ddof=1) / len(scores) ** 0.5 if len(scores) > 1 else [None] * len(METRICS)
    columns = zip(METRICS.values(), scores.mean(axis=0).tolist(), list(errors), strict=True)
    return {
        name: {"mean": mean, "standard_error": error if error is None else float(error)}
        for name, mean, error in columns
    }
