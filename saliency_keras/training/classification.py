"""Classification runs: compact set and experiment in, `Job` out, predictions at the end."""

import h5py
import keras
import numpy as np

from saliency_keras.console import UserError, whole_file
from saliency_keras.data.reader import Reader
from saliency_keras.metrics.classification import Top1, Top5, first_classes, rank_of_true_class
from saliency_keras.models.build import build, uses_saliency
from saliency_keras.training.fit import Job


def classification_job(experiment, manifest, maps, seed):
    """Prepares the training of a classifier.

    Args:
        experiment: The `Experiment`.
        manifest: The compact set's `Manifest`.
        maps: Which maps the network is shown, as `--maps`.
        seed: Seed of order, crops and flips.

    Returns:
        A `Job`.

    Raises:
        UserError: If maps are chosen for a network that sees none, or network and data set do not fit.
    """
    if maps != "own" and not uses_saliency(experiment.network, experiment.arguments):
        raise UserError(f"{experiment.name} sees no map, so --maps {maps} would change nothing; leave it out.")
    shown = maps if uses_saliency(experiment.network, experiment.arguments) else None
    train = Reader(manifest, "train", experiment.side, experiment.batch, shown, seed)
    val = Reader(manifest, "val", experiment.side, experiment.batch, shown, seed)
    mean = (*manifest.mean_rgb, train.mean_saliency) if experiment.subtract_mean else None
    model = build(experiment.network, experiment.arguments, experiment.side, len(manifest.classes), mean)
    return Job(
        model=model,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[Top1(), Top5()],
        best="val_top1",
        steps=train.steps,
        training=train.training,
        validation=val.validation,
        finish=lambda model, folder: write_predictions(model, val, folder),
    )


def write_predictions(model, reader, folder):
    """Writes `predictions.h5`: what the model says of every validation picture.

    Args:
        model: The trained model.
        reader: The validation split's `Reader`.
        folder: The run folder.
    """
    scores = np.concatenate([np.asarray(model.predict_on_batch(inputs)) for inputs, _ in reader.validation()])
    ids, labels = reader.ids_and_labels()
    with whole_file(folder / "predictions.h5", "w+b") as file, h5py.File(file, "w") as out:
        out["id"] = np.array(ids, dtype=h5py.string_dtype())
        out["label"] = labels.astype("int32")
        out["rank"] = rank_of_true_class(scores, labels)
        out["top5"] = first_classes(scores, 5)
        out["scores"] = scores.astype("float16")
        out.attrs["classes"] = np.array(reader.manifest.classes, dtype=h5py.string_dtype())
        out.attrs["split"] = reader.split
        out.attrs["data"] = reader.manifest.digest()
