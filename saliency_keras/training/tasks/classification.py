"""Classifiers on a compact data set: batches in, predictions of every tested picture at the end."""

import os

import h5py
import keras
import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError, tell
from saliency_keras.data.device import crops
from saliency_keras.data.few_shot import HELD_OUT, draw, hold_out, read_list, write_list
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.reader import Reader
from saliency_keras.data.shown import OWN
from saliency_keras.data.stored import Records, check_pictures
from saliency_keras.figures import style
from saliency_keras.figures.overlay import contact_sheet
from saliency_keras.files import whole_path
from saliency_keras.metrics.classification import Top1, Top5, first_classes, mean_class_accuracy, rank_of_true_class
from saliency_keras.models.frozen import in_two
from saliency_keras.models.registry import build, shows_map, subtracted
from saliency_keras.training.features import FeaturesOfReader
from saliency_keras.training.tasks.task import Term

SHOWN = 12  # pictures in `maps.png`
FINE = 64  # positions of a map, along each side, that its description looks at


class Classification:
    """A classifier on a compact data set; a `Task`.

    Args:
        experiment: The `Experiment`.
        manifest: The compact set's `Manifest`.
        seed: Seed of order, crops and flips.
        folder: The run folder.
        augment: Where pictures are cropped and flipped, `"host"` or `"device"`; the pixels are the same.
        start: The `Network` whose weights it will start from, or `None`. Where that one subtracts means, so does this
            one, the same: carried layers see what they were trained on.

    Raises:
        UserError: If maps are chosen for a network that is shown none, or network and data set do not fit.
    """

    best, smaller_is_better = "val_top1", False
    one_machine = False

    @staticmethod
    def check(experiment):
        """As `Task.check`."""

    def __init__(self, experiment, manifest, seed, folder, augment="host", start=None):
        self.check(experiment)
        sees_map = shows_map(experiment.network, experiment.arguments)
        if experiment.shown != OWN and experiment.shown.as_ == "input" and not sees_map:
            raise UserError(
                f"{experiment.name} sees no map, so --maps {experiment.shown} would change nothing; leave it out."
            )
        self._manifest, self._experiment, self._seed = manifest, experiment, seed
        self._shown = experiment.shown if sees_map or experiment.shown.as_ == "target" else None
        self.classes = manifest.classes_without(experiment.pictures.exclude_classes)
        self._drawn = _drawn(experiment.pictures, manifest, seed)
        self._parts = self._taught(_parts(experiment, manifest, self._drawn))
        self._learned = train = self._reader(*self._parts["train"], augment)
        self._validated = self._reader(*self._parts["validation"], augment)
        self.network = build(
            experiment.network,
            experiment.arguments,
            experiment.pictures.side,
            len(self.classes),
            _means(experiment, manifest, train, start),
        )
        self.terms = self._terms()
        self.steps, self.pictures = train.steps, train.steps * min(experiment.schedule.batch, train.records)
        self.training, self.validation = train.training, self._validated.validation
        self.uncropped = train if augment == "device" else None
        if experiment.pictures.keep_features:
            self.fed = self._keep_features(train, folder, augment)
        else:
            _, self.fed = self._in_two([])
        if self.uncropped:
            self.fed = behind_crops(self.fed, manifest.side, experiment.pictures.side)

    def _in_two(self, frozen):
        """What the named layers make of the pictures, and the model that is trained: as `models.frozen.in_two`."""
        return in_two(self.network.model, frozen)

    def _keep_features(self, train, folder, augment):
        """The model of what is not frozen; has it trained on features that are computed once."""
        if augment != "host":
            raise UserError("keep_features keeps features of pictures that the host crops: leave --augment out.")
        frozen = [layer.name for layer in self.network.layers_of(self._experiment.start.frozen)]
        front, rest = self._in_two(frozen)
        if front is None:
            raise UserError(
                f"keep_features keeps what frozen layers make of the pictures, and {self._experiment.name} has no "
                "frozen layer before those that are trained: --set frozen=PART, or leave keep_features out."
            )
        self.training = FeaturesOfReader(front, folder, train).training
        self.validation = FeaturesOfReader(front, folder, self._validated).validation
        return rest

    @staticmethod
    def open(experiment, folder):
        """The `Manifest` of a compact data set; a `UserError` if it is not there, damaged or lacks a class."""
        manifest = Manifest.load(folder)
        manifest.classes_without(experiment.pictures.exclude_classes)
        return manifest

    def _terms(self):
        """What each output is trained with."""
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        return {"logits": Term(loss, metrics=(_cross_entropy(), Top1(), Top5()))}

    def _taught(self, parts):
        """The pictures of each part without those of excluded classes; prints how many these are."""
        if not self._experiment.pictures.exclude_classes:
            return parts
        kept, found, seen = np.isin(self._manifest.classes, self.classes), {}, {}
        for name, (split, places) in parts.items():
            key = split, id(places)
            if key not in seen:
                places = np.arange(self._manifest.split(split).records) if places is None else places
                seen[key] = places[kept[Records(self._manifest, split).labels(places)]]
                left, count = places.size - seen[key].size, (~kept).sum()
                tell(f"excluded: {count} classes, with them {left:,} of {places.size:,} pictures ({name})")
            if not seen[key].size:
                raise UserError(f"exclude_classes leaves no picture in {split} of {self._manifest.folder}.")
            found[name] = split, seen[key]
        return found

    def _reader(self, split, places, augment="host"):
        pictures, schedule = self._experiment.pictures, self._experiment.schedule
        size = pictures.side, schedule.batch
        return Reader(
            self._manifest,
            split,
            *size,
            self._shown,
            self._seed,
            subset=places,
            augment=augment,
            crops=pictures.crops,
            classes=self.classes,
        )

    def check_pictures(self):
        """Refuses, as a `UserError`, pictures whose ids and labels are not what the manifest says."""
        for split, stored in {reader.split: reader.stored for reader in (self._learned, self._validated)}.items():
            check_pictures(self._manifest, split, stored)

    def measure(self):
        """No further columns."""
        return {}

    def finish(self, folder):
        """Writes `predictions.h5`, `maps.png` and `few_shot.csv`; returns what the summary adds of them."""
        if self._drawn:
            write_list(self._drawn, self._manifest, folder / run_folder.FEW_SHOT)
        val = self._reader(*self._parts["validation"])
        same = self._parts["tested"][1] is self._parts["validation"][1]
        tested = val if same else self._reader(*self._parts["tested"])
        ranks = write_predictions(self.network, tested, folder)
        summary = {
            "pictures": {name: self._size(*part) for name, part in self._parts.items()},
            "mean_class_accuracy": mean_class_accuracy(ranks < 1, tested.ids_and_labels()[1]),
        }
        for name in ("test", "unused"):
            if name in self._parts and self._parts[name][1].size:
                right = ranks[np.searchsorted(tested.places, self._parts[name][1])] < 1
                summary[name] = {"pictures": int(right.size), "right": int(right.sum()), "top1": float(right.mean())}
        return summary | self._maps(val, folder)

    def _size(self, split, places):
        """Number of pictures of a part."""
        return self._manifest.split(split).records if places is None else int(places.size)

    def _maps(self, reader, folder):
        """Writes `maps.png` of a network that makes a map; returns what the summary says about its maps."""
        if not self.network.map:
            return {}
        style.save(maps_figure(self.network, reader), folder / run_folder.MAPS)
        return {"hallucinated_maps": describe_maps(self.network, reader)}


def _cross_entropy():
    """The loss without the weight penalty."""
    return keras.metrics.SparseCategoricalCrossentropy(name="cross_entropy", from_logits=True)


def _means(experiment, manifest, train, start):
    """The means to subtract, of red, green, blue and the shown maps, 0 to 1; `None` for none."""
    if not experiment.pictures.subtract_mean:
        return None
    model = start and start.model
    rgb = subtracted(model, "image") or manifest.mean_rgb
    return (*rgb, *(subtracted(model, "saliency") or [train.mean_saliency]))


def behind_crops(model, stored, side):
    """The model fed with whole pictures and where to crop them, as the reader gives them with `augment="device"`."""
    inputs = {
        "words": keras.Input((stored, stored), dtype="int32", name="words"),
        "box": keras.Input((3,), dtype="int32", name="box"),
    }
    cropped = dict(zip(("image", "saliency"), crops(inputs["words"], inputs["box"], side), strict=True))
    return keras.Model(inputs, model({name: cropped[name] for name in model.input}))


def _drawn(pictures, manifest, seed):
    """The `Draw` of a few-shot run, of its list or by its seed; `None` of another run."""
    if not pictures.few_shot:
        return None
    if path := pictures.list_of(seed):
        return read_list(path, manifest, pictures.few_shot_splits)
    return draw(manifest, seed, pictures.few_shot_splits)


def _parts(experiment, manifest, drawn):
    """What is trained on, validated on after each epoch and tested at the end: `{part: (split, places or None)}`.

    Of a few-shot run, all that it has not touched is tested: the five test pictures of each class and the unused ones.
    """
    if drawn:
        one = drawn.taking(experiment.pictures.few_shot, manifest.classes)
        return {
            "train": (drawn.train_split, one.train),
            "validation": (drawn.test_split, one.validation),
            "test": (drawn.test_split, one.test),
            "unused": (drawn.test_split, one.unused),
            "tested": (drawn.test_split, np.union1d(one.test, one.unused)),
        }
    if experiment.pictures.train_on == "val":
        stored = Records(manifest, "val")
        kept, held = hold_out(stored.labels(np.arange(len(stored))), HELD_OUT)
        return {"train": ("val", kept), "validation": ("val", held), "tested": ("val", held)}
    return {"train": ("train", None), "validation": ("val", None), "tested": ("val", None)}


def describe_maps(network, reader):
    """Describes the maps that a network hallucinates, so that a dead or constant branch is seen.

    Args:
        network: A `Network` that makes a map.
        reader: A `Reader` with its pictures.

    Returns:
        Dictionary: `pictures`; `all_zero`, the share of maps that are zero everywhere; `positive`, the share of
        positions above zero; `mean`; and `variance`, over all positions of all maps, with its three parts, which add
        up to it: `variance_of_strength`, of the maps' means from picture to picture; `variance_of_place`, of the mean
        map from position to position; `variance_of_pattern`, what is left: where each map differs from the others.
    """
    step = -(-max(network.map.output.shape[1:3]) // FINE)  # an enlarged map has no more to say than its positions
    taken = (network.taken(inputs) for inputs, _ in reader.validation())
    batches = [np.asarray(network.map.predict_on_batch(inputs))[:, ::step, ::step, 0] for inputs in taken]
    maps = np.concatenate(batches).astype(np.float64)
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


def maps_figure(network, reader):
    """The first pictures of a reader, of one batch at most, with a network's maps of them, laid out where it saw them.

    Each map is drawn from zero to its own maximum; its range stands above it.

    Args:
        network: A `Network` that makes a map.
        reader: A `Reader` with its pictures.

    Returns:
        A `matplotlib.figure.Figure`.
    """
    inputs = {name: values[:SHOWN] for name, values in next(iter(reader.validation()))[0].items()}
    maps = np.asarray(network.map.predict_on_batch(network.taken(inputs)), np.float32)[..., 0]
    pictures = np.asarray(inputs["image"])
    laid = network.maps_on(maps, pictures.shape[1:3], to_the_border=True)
    names = (reader.classes[label] for label in reader.labels(reader.places[: len(pictures)]))
    captions = [f"{name} · map {one.min():.2g} to {one.max():.2g}" for name, one in zip(names, maps, strict=True)]
    return contact_sheet(pictures, np.maximum(laid, 0), captions)


def write_predictions(network, reader, folder):
    """Writes `predictions.h5`: what the network says of every tested picture.

    Args:
        network: The trained `Network`.
        reader: `Reader` of those pictures.
        folder: The run folder.

    Returns:
        The ranks of the true class, int32 `(pictures,)`, 0 where the model is right.
    """
    taken = (network.taken(inputs) for inputs, _ in reader.validation())
    outputs = (network.named(network.model.predict_on_batch(inputs)) for inputs in taken)
    # Of further levels too, such as `local` and `object`; an output with positions is no level.
    by_batch = [{name: np.asarray(one) for name, one in of.items() if len(one.shape) == 2} for of in outputs]
    levels = {name: np.concatenate([of[name] for of in by_batch]) for name in by_batch[0]}
    scores = levels.pop("logits")
    ids, labels = reader.ids_and_labels()
    ranks = rank_of_true_class(scores, labels)
    with whole_path(folder / run_folder.PREDICTIONS) as path, h5py.File(_created(path)) as out:
        out["id"] = _texts(ids)
        out["label"] = labels.astype("int32")
        out["rank"] = ranks
        out["top5"] = first_classes(scores, 5)
        out["scores"] = scores.astype("float16")
        for name, of_level in levels.items():
            out[f"scores_{name}"] = of_level.astype("float16")
        out.attrs["classes"] = _texts(reader.classes)
        out.attrs["split"] = reader.split
        out.attrs["data"] = reader.manifest.digest()
    return ranks


def _created(path):
    """A new HDF5 file without time stamps: equal predictions are equal files.

    In the format of HDF5 1.8, an attribute may have more than 64 kB: the names of some thousand classes.
    """
    created = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    created.set_obj_track_times(False)
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V18, h5py.h5f.LIBVER_LATEST)
    return h5py.h5f.create(os.fsencode(path), h5py.h5f.ACC_TRUNC, created, access)


def _texts(texts):
    """Texts as an array of fixed length in UTF-8."""
    encoded = [text.encode() for text in texts]
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", max(map(len, encoded))))
