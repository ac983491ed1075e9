"""Classifiers as backbones: what each is worth for classification and, with the same read-out on it, for saliency.

The claim of the notes (Oyama & Yamanaka 2018; FACTS §5.2) is that the two go together. Both sides are measured here in
one way for all backbones: accuracy as the Top-1 of a linear classifier on the backbone's last features, averaged over
positions, fitted to a compact set's train split and tested on its val split; saliency by a run of `readout_bi` over
the frozen backbone, scored on the pictures held out of a fixation set. Backbones are the table's own runs, an untrained
network, finished runs of a user's, and networks of `keras.applications`. Table and figure are
`tables/correlation.py`.
"""

import dataclasses
import json
from pathlib import Path

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.experiments import experiment
from saliency_keras.experiments.tables import Row
from saliency_keras.files import whole_file
from saliency_keras.runs.config import started_from
from saliency_keras.tables.plan import PlannedRun, carry_out, with_choices

OURS = "ours"
UNTRAINED = "untrained"
PICTURES = 10_000  # of a split that a linear classifier sees at most: the first, which are in random order on disk
STEPS = 300
PENALTY = 1e-4


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A classifier whose features are read out.

    Attributes:
        name: What it is called in the table and in run folders.
        source: A name in `models.readouts.BACKBONES`, or a folder with `model.keras`.
        weights: Of a named one: `"imagenet"`, the path of a file, or `""` for random ones.
    """

    name: str
    source: str
    weights: str = ""


@dataclasses.dataclass(frozen=True)
class Measured:
    """A backbone with both its worths.

    Attributes:
        name: What it is called.
        right: Pictures of the compact set's val split that the linear classifier has right.
        pictures: Of so many.
        parameters: Of the backbone.
        run: The finished `runs.run.Run` of its read-out; `run.summary["held_out"]` has the scores.
    """

    name: str
    right: int
    pictures: int
    parameters: int
    run: object

    @property
    def top1(self):
        """Top-1 of the linear classifier, 0 to 1."""
        return self.right / self.pictures


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
    from saliency_keras.models.backbones import BACKBONES, check_weights

    found = []
    for word in words:
        name, _, weights = word.partition("=")
        if word == OURS:
            continue
        if name in BACKBONES:
            weights = weights or "imagenet"
            if weights not in ("imagenet", "none") and not Path(weights).is_file():
                raise UserError(f"there is no weights file {weights} for the backbone {name}.")
            if weights != "none":
                check_weights(name, weights)
            called = f"{name}-{weights if weights in ('imagenet', 'none') else Path(weights).name.partition('.')[0]}"
            found.append(Backbone(called, name, "" if weights == "none" else weights))
        elif run_folder.has_network(word):
            found.append(Backbone(Path(word).resolve().name, word))
        else:
            raise UserError(f"{word!r} is neither a finished run nor one of {', '.join(BACKBONES)}.")
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two backbones would be called {name!r}; give them apart.")
    return found


def measure(table, choices, runs, named, fixations, limit=PICTURES):
    """Trains and measures whatever is not yet measured.

    Args:
        table: The `PaperTable`, with its `readout` row.
        choices: The `tables.plan.Choices`.
        runs: The table's own `PlannedRun`s; empty where they are not asked for.
        named: Further `Backbone`s.
        fixations: Folder of the fixation set.
        limit: Pictures of each split that linear classifiers see at most.

    Returns:
        A list of `Measured`, in the order of the table, then of `named`, and what is missing, as `carry_out` says it.

    Raises:
        UserError: If something cannot be trained or loaded.
    """
    from saliency_keras.data.manifest import Manifest
    from saliency_keras.runs.run import Run

    manifest = Manifest.load(choices.data)
    missing = carry_out(runs)
    runs = [run for run in runs if run.finished]
    backbones = [Backbone(run.row.name, str(run.folder)) for run in runs]
    if runs:
        backbones.insert(0, _untrained(runs[0], manifest, choices.out / "runs"))
    taken = [one.name for one in backbones]
    backbones += [one if one.name not in taken else dataclasses.replace(one, name=f"{one.name}-given") for one in named]
    readouts = [_readout(table.readout, choices, one, fixations) for one in backbones]
    missing += carry_out(readouts)
    measured = [
        Measured(one.name, *_probe(one, manifest, limit, run), Run.load(run.folder))
        for one, run in zip(backbones, readouts, strict=True)
        if run.finished
    ]
    return measured, missing


def _readout(row, choices, backbone, fixations):
    """The planned run of a read-out over a backbone."""
    row = Row(row.experiment, settings=row.settings, called=f"readout-{backbone.name}")
    chosen = with_choices(experiment(row.experiment), row, choices)
    chosen = chosen.replace(backbone=backbone.source, weights=backbone.weights)
    folder = choices.out / "runs" / row.name
    return PlannedRun(row, chosen, fixations, folder, 0, precision=choices.precision)


def _untrained(run, manifest, folder):
    """The first run's network with its initial weights, saved as a run's is."""
    import keras

    from saliency_keras.models.registry import build
    from saliency_keras.training.listeners import save_model

    name = f"{run.experiment.name}-{UNTRAINED}"
    path = folder / name / run_folder.MODEL
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        keras.utils.set_random_seed(run.seed)
        one = run.experiment
        save_model(build(one.network, one.arguments, one.pictures.side, len(manifest.classes)).model, path)
    return Backbone(name, str(path.parent))


def _probe(backbone, manifest, limit, run):
    """`(right, pictures, parameters)` of a linear classifier on the backbone, kept in a file beside its read-out."""
    path = run.folder / "probe.json"
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
    import keras
    import numpy as np

    (train, labels), (val, val_labels) = (_averages(extractor, manifest, split, limit) for split in ("train", "val"))
    mean, deviation = train.mean(axis=0), train.std(axis=0) + 1e-6
    keras.utils.set_random_seed(0)
    penalty = keras.regularizers.L2(PENALTY)
    top = keras.layers.Dense(len(manifest.classes), kernel_initializer="zeros", kernel_regularizer=penalty)
    model = keras.Sequential([keras.Input((train.shape[1],)), top])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    train = (train - mean) / deviation
    for _ in range(STEPS):  # all pictures at once: a convex problem, no order to choose
        model.train_on_batch(train, labels)
    scores = model.predict_on_batch((val - mean) / deviation)
    return int((np.argmax(scores, axis=1) == val_labels).sum()), len(val_labels)


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
