"""Classification runs: compact set and experiment in, `Job` out, predictions at the end."""

import h5py
import keras
import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data.device import crops
from saliency_keras.data.few_shot import few_shot, hold_out
from saliency_keras.data.reader import Reader
from saliency_keras.data.stored import Records
from saliency_keras.figures import style
from saliency_keras.figures.overlay import contact_sheet
from saliency_keras.files import whole_file
from saliency_keras.metrics.top_k import Top1, Top5, first_classes, rank_of_true_class
from saliency_keras.models.hallucination import MAP_LAYER
from saliency_keras.models.receptive_fields import laid_out, receptive_centres
from saliency_keras.models.registry import build, subtracted, uses_saliency
from saliency_keras.training.loop import Job

HELD_OUT = 0.2  # of each class, where a run trains on the val split
SHOWN = 12  # pictures in `maps.png`


def classification_job(experiment, manifest, maps, seed, augment="host", start=None):
    """Prepares the training of a classifier.

    Args:
        experiment: The `Experiment`.
        manifest: The compact set's `Manifest`.
        maps: Which maps the network is shown, as `--maps`.
        seed: Seed of order, crops and flips.
        augment: Where pictures are cropped and flipped, `"host"` or `"device"`; the pixels are the same.
        start: The network whose weights it will start from, or `None`. Where that one subtracts means, so does this
            one, the same: carried layers see what they were trained on.

    Returns:
        A `Job`.

    Raises:
        UserError: If maps are chosen for a network that sees none, or network and data set do not fit.
    """
    if maps != "own" and not uses_saliency(experiment.network, experiment.arguments):
        raise UserError(f"{experiment.name} sees no map, so --maps {maps} would change nothing; leave it out.")
    shown = maps if uses_saliency(experiment.network, experiment.arguments) else None
    parts = _parts(experiment, manifest, seed)

    def reader(split, places, augment="host"):
        size = experiment.side, experiment.batch
        return Reader(manifest, split, *size, shown, seed, subset=places, augment=augment)

    train, val = reader(*parts["train"], augment), reader(*parts["validation"])
    mean = None
    if experiment.subtract_mean:
        rgb = subtracted(start, "image") or manifest.mean_rgb
        mean = (*rgb, *(subtracted(start, "saliency") or [train.mean_saliency]))
    model = build(experiment.network, experiment.arguments, experiment.side, len(manifest.classes), mean)

    def finish(model, folder):
        """Writes `predictions.h5` and `maps.png`; returns what the summary adds: few-shot accuracies, what maps are."""
        tested = val if parts["tested"][1] is parts["validation"][1] else reader(*parts["tested"])
        ranks = write_predictions(model, tested, folder)
        summary = {"pictures": {name: _size(manifest, *part) for name, part in parts.items()}}
        for name in ("test", "unused"):
            if name in parts and parts[name][1].size:
                right = ranks[np.searchsorted(tested.places, parts[name][1])] < 1
                summary[name] = {"pictures": int(right.size), "right": int(right.sum()), "top1": float(right.mean())}
        if any(layer.name == MAP_LAYER for layer in model.layers):
            summary["hallucinated_maps"] = describe_maps(model, val)
            style.save(maps_figure(model, val), folder / "maps.png")
        return summary

    return Job(
        model=model,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[Top1(), Top5()],
        best="val_top1",
        steps=train.steps,
        pictures=train.steps * min(experiment.batch, train.records),
        training=train.training,
        validation=val.validation if augment == "host" else reader(*parts["validation"], augment).validation,
        finish=finish,
        fed=None if augment == "host" else _behind_crops(model, manifest.side, experiment.side),
    )


def _behind_crops(model, stored, side):
    """The model fed with whole pictures and where to crop them, as the reader gives them with `augment="device"`."""
    inputs = {
        "words": keras.Input((stored, stored), dtype="int32", name="words"),
        "box": keras.Input((3,), dtype="int32", name="box"),
    }
    cropped = dict(zip(("image", "saliency"), crops(inputs["words"], inputs["box"], side), strict=True))
    return keras.Model(inputs, model({name: cropped[name] for name in model.input}))


def _parts(experiment, manifest, seed):
    """What is trained on, validated on after each epoch and tested at the end: `{part: (split, places or None)}`.

    Of a few-shot run, all of val that it was not validated on is tested: the five test pictures of each class and the
    unused ones.
    """
    if not experiment.few_shot and experiment.train_on == "train":
        return {"train": ("train", None), "validation": ("val", None), "tested": ("val", None)}
    stored = {split: Records(manifest, split) for split in ("train", "val")}
    labels = {split: records.labels(np.arange(len(records))) for split, records in stored.items()}
    if experiment.train_on == "val":
        kept, held = hold_out(labels["val"], HELD_OUT)
        return {"train": ("val", kept), "validation": ("val", held), "tested": ("val", held)}
    drawn = few_shot(labels["train"], labels["val"], manifest.classes, experiment.few_shot, seed)
    return {
        "train": ("train", drawn.train),
        "validation": ("val", drawn.validation),
        "test": ("val", drawn.test),
        "unused": ("val", drawn.unused),
        "tested": ("val", np.union1d(drawn.test, drawn.unused)),
    }


def _size(manifest, split, places):
    return manifest.splits[split].records if places is None else int(places.size)


def describe_maps(model, reader):
    """Describes the maps that a network hallucinates, so that a dead or constant branch is seen.

    Args:
        model: A network with the layer `saliency_map`.
        reader: A `Reader` with its pictures.

    Returns:
        Dictionary: `pictures`; `all_zero`, the share of maps that are zero everywhere; `positive`, the share of
        positions above zero; `mean`; and `variance`, over all positions of all maps, with its three parts, which add
        up to it: `variance_of_strength`, of the maps' means from picture to picture; `variance_of_place`, of the mean
        map from position to position; `variance_of_pattern`, what is left: where each map differs from the others.
    """
    part = _map_part(model)
    batches = [np.asarray(part.predict_on_batch(inputs), np.float64) for inputs, _ in reader.validation()]
    maps = np.concatenate(batches)[..., 0]
    strength, place = maps.mean(axis=(1, 2), keepdims=True), maps.mean(axis=0)
    return {
        "pictures": len(maps),
        "all_zero": float((maps.max(axis=(1, 2)) <= 0).mean()),
        "positive": float((maps > 0).mean()),
        "mean": float(maps.mean()),
        "variance": float(maps.var()),
        "variance_of_strength": float(strength.var()),
        "variance_of_place": float(place.var()),
        "variance_of_pattern": float((maps - strength - place + maps.mean()).var()),
    }


def maps_figure(model, reader):
    """The first pictures of a reader, of one batch at most, with a network's maps of them, laid out where it saw them.

    Each map is drawn from zero to its own maximum; its range stands above it.

    Args:
        model: A network with the layer `saliency_map`.
        reader: A `Reader` with its pictures.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    inputs = {name: values[:SHOWN] for name, values in next(iter(reader.validation()))[0].items()}
    maps = np.asarray(_map_part(model).predict_on_batch(inputs), np.float32)[..., 0]
    pictures = np.asarray(inputs["image"])
    laid = laid_out(maps, receptive_centres(model, MAP_LAYER), pictures.shape[1:3], to_the_border=True)
    labels = reader.stored.labels(reader.places[: len(pictures)])
    names = (reader.manifest.classes[label] for label in labels)
    captions = [f"{name} · map {one.min():.2g} to {one.max():.2g}" for name, one in zip(names, maps, strict=True)]
    return contact_sheet(pictures, laid, captions)


def _map_part(model):
    return keras.Model(model.input, model.get_layer(MAP_LAYER).output)


def write_predictions(model, reader, folder):
    """Writes `predictions.h5`: what the model says of every tested picture.

    Args:
        model: The trained model.
        reader: `Reader` of those pictures.
        folder: The run folder.

    Returns:
        The ranks of the true class, int32 `(pictures,)`, 0 where the model is right.
    """
    scores = np.concatenate([np.asarray(model.predict_on_batch(inputs)) for inputs, _ in reader.validation()])
    ids, labels = reader.ids_and_labels()
    ranks = rank_of_true_class(scores, labels)
    # In the format of HDF5 1.8, an attribute may have more than 64 kB: the names of some thousand classes.
    form = {"libver": ("v108", "latest")}
    with whole_file(folder / "predictions.h5", "w+b") as file, h5py.File(file, "w", **form) as out:
        out["id"] = np.array(ids, dtype=h5py.string_dtype())
        out["label"] = labels.astype("int32")
        out["rank"] = ranks
        out["top5"] = first_classes(scores, 5)
        out["scores"] = scores.astype("float16")
        out.attrs["classes"] = np.array(reader.manifest.classes, dtype=h5py.string_dtype())
        out.attrs["split"] = reader.split
        out.attrs["data"] = reader.manifest.digest()
    return ranks
