"""Classifiers as backbones: what a user names, networks before any training, and what each is worth as a classifier.

The measure of a finished classifier is its own Top-1. The measure that all backbones have is the Top-1 of a linear
classifier on the backbone's last features, averaged over positions. It is fitted to a compact set's train split and
tested on its val split. Saliency read out of the same backbones, and the table of both, are in `tables.correlation`.
"""

import dataclasses
import json
from pathlib import Path

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.experiments import experiment
from saliency_keras.experiments.tables.row import Row
from saliency_keras.files import whole_file
from saliency_keras.tables.plan import PlannedRun, Unfit, with_choices

OURS = "ours"
UNTRAINED = "untrained"
PICTURES = 10_000  # of a split that a linear classifier sees at most: the first, which are in random order on disk
PENALTY = 1e-4
SUB_PIXELS = 64  # channels that three times depth to space makes one of


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A classifier whose features are read out.

    Attributes:
        name: What it is called in the table and in run folders.
        source: A name in `models.backbones.BACKBONES`, or a folder with a network.
        weights: Of a named one: `"imagenet"`, the path of a file, or `""` for random ones.
    """

    name: str
    source: str
    weights: str = ""


@dataclasses.dataclass(frozen=True)
class UntrainedNetwork(PlannedRun):
    """A run's network with its initial weights, saved as a run's is."""

    trains = False

    @property
    def finished(self):
        """Whether the network is there."""
        return run_folder.has_network(self.folder)

    def train(self, features=None):
        """Draws the weights by seed and saves the network."""
        import keras

        from saliency_keras.data.manifest import Manifest
        from saliency_keras.models.registry import build
        from saliency_keras.training.listeners import save_model

        one, classes = self.experiment, Manifest.load(self.data).classes
        self.folder.mkdir(parents=True, exist_ok=True)
        keras.utils.set_random_seed(self.seed)
        network = build(one.network, one.arguments, one.pictures.side, len(classes))
        save_model(network.model, self.folder / run_folder.MODEL)


@dataclasses.dataclass(frozen=True)
class ReadoutRun(PlannedRun):
    """The run of a read-out over a backbone.

    Attributes:
        backbone: The `Backbone`.
        whole: Whether the backbone is trained too.
    """

    backbone: Backbone | None = None
    whole: bool = False

    def train(self, features=None):
        """As `PlannedRun.train`; refuses a read-out by sub-pixel convolution of channels that it cannot spread out."""
        if self.experiment.name == "readout_spc":
            from saliency_keras.models.backbones import feature_extractor

            one, arguments = self.backbone, self.experiment.arguments
            size = arguments["height"], arguments["width"]
            channels = feature_extractor(one.source, (), one.weights or None, size).output_shape[-1]
            if channels % SUB_PIXELS:
                of = f"{one.name} has {channels} channels"
                raise Unfit(f"sub-pixel convolution needs a multiple of {SUB_PIXELS} channels, and {of}")
        super().train(features)


def readout_over(backbone, row, choices, fixations, reads=None, whole=False):
    """The planned run of a read-out over a backbone.

    Args:
        backbone: The `Backbone`.
        row: The `Row` of the read-out.
        choices: The `tables.plan.Choices`.
        fixations: Folder of the fixation set it learns from.
        reads: Folder of the run that makes the backbone in the same plan, or `None`.
        whole: Whether the backbone is trained too.

    Returns:
        A `ReadoutRun`.
    """
    of_what = f"{row.experiment}-whole" if whole else row.experiment
    row = Row(row.experiment, settings=row.settings, called=f"{of_what}-{backbone.name}")
    chosen = with_choices(experiment(row.experiment), row, choices)
    chosen = chosen.replace(backbone=backbone.source, weights=backbone.weights)
    folder = choices.out / "runs" / row.name
    precision = choices.precision
    return ReadoutRun(
        row, chosen, fixations, folder, 0, precision=precision, reads=reads, backbone=backbone, whole=whole
    )


def untrained(run):
    """The planned network that a planned run starts with."""
    name = f"{run.experiment.name}-{UNTRAINED}"
    row = dataclasses.replace(run.row, init="", preparation=True, called=name)
    return UntrainedNetwork(row, run.experiment, run.data, run.folder.with_name(name), run.seed)


def named_backbones(words):
    """The backbones that a user names beside the table's own.

    Args:
        words: List of `NAME`, `NAME=WEIGHTS` (of `keras.applications`; ImageNet's weights where none are named, `none`
            for random ones) and folders of finished runs; `ours` is passed over.

    Returns:
        A list of `Backbone`s.

    Raises:
        UserError: If a word is neither, a weights file is not there or not for this network, or two backbones would
            have one name.
    """
    from saliency_keras.models.backbones import BACKBONES, check_weights, named_weights

    found = []
    for word in words:
        name, _, weights = word.partition("=")
        if word == OURS:
            continue
        if name in BACKBONES:
            weights = weights or "imagenet"
            source = named_weights(name, weights)
            if source:
                check_weights(name, source)
            called = f"{name}-{weights if weights in ('imagenet', 'none') else Path(weights).name.partition('.')[0]}"
            found.append(Backbone(called, name, source or ""))
        elif run_folder.has_network(word):
            found.append(Backbone(Path(word).resolve().name, word))
        else:
            raise UserError(f"{word!r} is neither a finished run nor one of {', '.join(BACKBONES)}.")
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two backbones would be called {name!r}; give them apart.")
    return found


def own_worth(backbone, manifest):
    """What a backbone's own classifier has right of a compact set.

    Args:
        backbone: The `Backbone`.
        manifest: The compact set's `Manifest`.

    Returns:
        `(right, pictures)`, or `None` where it is no finished classifier that was tested on the set's val split.
    """
    from saliency_keras.data.stored import Records
    from saliency_keras.runs.run import Run

    if not (Path(backbone.source) / run_folder.PREDICTIONS).is_file():
        return None
    tested = Run.load(backbone.source).predictions
    if tested.classes != tuple(manifest.classes):
        return None
    stored = Records(manifest, "val")
    if set(stored.ids(range(len(stored)))) != set(tested.ids):
        return None
    return int(tested.correct().sum()), tested.ids.size


def linear_worth(run, manifest, limit):
    """What a backbone is worth as a classifier, kept in a file beside its read-out.

    Args:
        run: The `ReadoutRun` over it.
        manifest: The compact set's `Manifest`.
        limit: Pictures of each split that the linear classifier sees at most.

    Returns:
        `(right, pictures, parameters)`: val pictures that the linear classifier has right, of how many, and the
        backbone's parameters.
    """
    from saliency_keras.runs.config import started_from

    backbone = run.backbone
    path = run.folder / run_folder.PROBE
    given = {"data": manifest.digest(), "limit": limit, "backbone": started_from(run.experiment, {})}
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if given.items() <= kept.items():
            return kept["right"], kept["pictures"], kept["parameters"]
    from saliency_keras.models.backbones import feature_extractor

    print(f"linear classifier on {backbone.name}", flush=True)
    size = (manifest.side, manifest.side)
    extractor = feature_extractor(backbone.source, (), backbone.weights or None, size)
    right, pictures = linear_probe(extractor, manifest, limit)
    kept = {**given, "right": right, "pictures": pictures, "parameters": extractor.count_params()}
    with whole_file(path, "w", encoding="utf-8") as file:
        json.dump(kept, file)
    return right, pictures, kept["parameters"]


def linear_probe(extractor, manifest, limit=PICTURES):
    """Fits a linear classifier to a backbone's features, averaged over positions, and tests it.

    Args:
        extractor: `keras.Model` from pixels `(batch, height, width, 3)`, 0 to 255, to features `(batch, h, w, c)`.
        manifest: The compact set's `Manifest`; pictures are seen whole, at the stored size.
        limit: Pictures of each split at most.

    Returns:
        How many pictures of the val split it has right, and of how many.
    """
    (train, labels), (val, val_labels) = (_averages(extractor, manifest, split, limit) for split in ("train", "val"))
    return right_of_linear(train, labels, val, val_labels, len(manifest.classes)), len(val_labels)


def right_of_linear(train, labels, val, val_labels, classes, penalty=PENALTY):
    """How many pictures the exact linear classifier on standardised features has right.

    Args:
        train: Features that it is fitted to, array `(pictures, features)`.
        labels: Their labels, int `(pictures,)`.
        val: Features that it is tested on.
        val_labels: Their labels.
        classes: Number of classes.
        penalty: As for `logistic_regression`.

    Returns:
        An int.
    """
    import numpy as np

    mean, deviation = train.mean(axis=0), train.std(axis=0) + 1e-6
    kernel, bias = logistic_regression((train - mean) / deviation, labels, classes, penalty)
    return int((np.argmax((val - mean) / deviation @ kernel + bias, axis=1) == val_labels).sum())


def logistic_regression(features, labels, classes, penalty=PENALTY):
    """The linear classifier with the smallest mean cross-entropy plus `penalty` times the sum of squared weights.

    The problem is convex and has one solution, which SciPy's L-BFGS finds. Nothing depends on a learning rate, a number
    of steps or an order of pictures, as it would in the training loop.

    Args:
        features: Array `(pictures, features)`, standardised.
        labels: Integer array `(pictures,)`.
        classes: Number of classes.
        penalty: Factor of the squared weights; the biases have no penalty.

    Returns:
        Weights, float64 `(features, classes)`, and biases, float64 `(classes,)`.
    """
    import numpy as np
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    pictures, width = features.shape
    targets = np.eye(classes)[labels]

    def loss_and_gradient(parameters):
        kernel, bias = parameters[classes:].reshape(width, classes), parameters[:classes]
        logarithms = log_softmax(features @ kernel + bias, axis=1)
        excess = (np.exp(logarithms) - targets) / pictures
        gradient = features.T @ excess + 2 * penalty * kernel
        loss = -(targets * logarithms).sum() / pictures + penalty * np.square(kernel).sum()
        return loss, np.concatenate([excess.sum(axis=0), gradient.ravel()])

    start = np.zeros((width + 1) * classes)
    found = minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", options={"maxiter": 2000, "gtol": 1e-6}).x
    return found[classes:].reshape(width, classes), found[:classes]


def _averages(extractor, manifest, split, limit):
    """Features averaged over positions, float32 `(pictures, c)`, and labels."""
    import numpy as np

    from saliency_keras.console import progress
    from saliency_keras.data.reader import Reader

    count = min(manifest.splits[split].records, limit)
    reader = Reader(manifest, split, manifest.side, 32, None, subset=np.arange(count))
    features, labels = [], []
    for inputs, batch_labels in progress(reader.validation(), label=f"features of {split}", unit="batch"):
        maps = np.asarray(extractor.predict_on_batch(inputs["image"].astype(np.float32)), np.float32)
        features.append(maps.mean(axis=(1, 2)))
        labels.append(batch_labels)
    return np.concatenate(features), np.concatenate(labels)
