"""Reading a run folder: what a training wrote, as `evaluate`, `plot`, `report` and the tables of papers need it.

A run folder is finished once `summary.json` is there. Whatever is no run, is not finished or is damaged is refused in
one sentence. `predictions.h5` holds the rank of the true class of every validation picture; it is read when it is
asked for. Nothing here needs Keras, and nothing that is read is ever executed. Writing a run folder is the training's.
"""

import dataclasses
import functools
import html
import json
from pathlib import Path

import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest, made_by_other_kernels
from saliency_keras.data.shown import Shown
from saliency_keras.experiments.experiment import flat_settings
from saliency_keras.metrics.digits import accuracy_in_words, percent
from saliency_keras.metrics.statistics import wilson_interval
from saliency_keras.runs.folder import read_history, read_json
from saliency_keras.runs.labels import of_strategy, published_of, title_of

# How the command line of a training begins; that of a table goes on without a further word.
TRAINS = ("python -m saliency_keras.train ", "python -m saliency_keras train ", "saliency-keras train ")


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What the last epoch's model said of each picture of a split.

    Attributes:
        ids: str array `(pictures,)`, unique.
        labels: int32 array `(pictures,)`, indices into `classes`.
        ranks: int32 array `(pictures,)`: the rank of the true class, 0 where the model is right.
        first: int32 array `(pictures, min(5, classes))`: the first classes, best first.
        classes: Class names.
        split: Name of the split, `"val"`.
        data: Digest of the data set's manifest.
    """

    ids: np.ndarray
    labels: np.ndarray
    ranks: np.ndarray
    first: np.ndarray
    classes: tuple[str, ...]
    split: str
    data: str

    def correct(self, k=1):
        """Whether the true class is among the first `k`: bool array `(pictures,)`."""
        return self.ranks < k

    def in_order_of(self, other):
        """The same predictions in the order of another run's pictures, so that the two can be compared in pairs.

        Args:
            other: `Predictions` of the other run. Its data set may be another compaction (another predictor, say)
                of the same pictures: they are matched by id.

        Returns:
            `Predictions` with `ids`, `labels` and `classes` equal to the other's.

        Raises:
            UserError: If the pictures, their classes or the class names are not the same.
        """
        sets = f"data sets {self.data[:12]} and {other.data[:12]}"
        if self.classes != other.classes:
            raise UserError(f"the two runs cannot be compared: their classes differ ({sets}).")
        order, order_of_other = np.argsort(self.ids), np.argsort(other.ids)
        if not np.array_equal(self.ids[order], other.ids[order_of_other]):
            shared = np.intersect1d(self.ids, other.ids).size
            counts = f"{shared} pictures in common of {self.ids.size} and {other.ids.size}"
            raise UserError(f"the two runs cannot be compared: they were tested on other pictures ({counts}; {sets}).")
        place = np.empty_like(order)
        place[order_of_other] = order
        if not np.array_equal(self.labels[place], other.labels):
            raise UserError(f"the two runs cannot be compared: the same pictures have other labels ({sets}).")
        rows = {name: getattr(self, name)[place] for name in ("ids", "labels", "ranks", "first")}
        return dataclasses.replace(self, **rows)


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run folder.

    Attributes:
        folder: Where it is.
        config: What was run: `config["experiment"]`, `config["data"]`, `config["maps"]`, `config["seed"]` and so on.
        history: `{column: float64 array (epochs,)}` in the order of `history.csv`; NaN where a cell is empty.
        summary: Last and best figures, parameter counts, wall time.
    """

    folder: Path
    config: dict
    history: dict[str, np.ndarray]
    summary: dict

    @property
    def name(self):
        """Name of the experiment."""
        return self.config["experiment"]["name"]

    @property
    def maps(self):
        """The saliency maps that were used: `"own"`, `"shuffled"` and so on, `None` where the network sees none."""
        return self.config.get("maps", "own")

    @property
    def seed(self):
        """The run's seed."""
        return self.config.get("seed", 0)

    @property
    def published(self):
        """The paper's figures by metric, `{"top1": 0.4899}`, if this run repeats the paper's; else empty."""
        return published_of(self.config)

    @property
    def of_strategy(self):
        """What the paper prints for this strategy by metric, on its own pictures and schedule; empty for none."""
        return of_strategy(self.config)

    def data_set(self):
        """The `Manifest` of the compact set that it was trained on, its map included.

        Raises:
            UserError: If the set is not there any more, is another one by now, or was made again on a processor with
                other kernels, which gave other bytes.
        """
        folder = Path(str(self.config["data"]["folder"]))
        if not folder.is_dir():
            raise UserError(f"the data set {folder} is not there any more.")
        manifest = Manifest.load(folder)
        there, here = self.config["data"], manifest.described(Shown.parse(self.maps or "own").map)
        if made_by_other_kernels(there, here):
            raise UserError(
                f"the data set {folder} was made again by another processor's kernels ({here['kernels']}; the run was "
                f"trained on maps of {there['kernels']}), so that its maps may differ by grey levels."
            )
        if here["digest"] != there["digest"]:
            raise UserError(f"the data set {folder} is no longer the one that the run was trained on.")
        return manifest

    @functools.cached_property
    def predictions(self):
        """The `Predictions` of `predictions.h5`; a `UserError` if the file is missing or damaged."""
        return _read_predictions(self.folder / run_folder.PREDICTIONS)

    def scores(self):
        """The logits of `predictions.h5`: float16 array `(pictures, classes)` in the predictions' order.

        They are read again at each call, because they may be large.

        Raises:
            UserError: If they are missing or do not fit.
        """
        import h5py

        path, shape = self.folder / run_folder.PREDICTIONS, (self.predictions.ids.size, len(self.predictions.classes))
        try:
            with h5py.File(path, "r") as file:
                scores = _dataset(file, "scores")[:]
            if scores.shape != shape or scores.dtype.kind != "f":
                raise ValueError(f"the scores have shape {scores.shape}, not {shape}")
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path} is damaged: {error}.") from None
        return scores

    @property
    def settings(self):
        """The experiment's settings side by side: the fields of its records, and the network's arguments."""
        return flat_settings(self.config["experiment"])

    def network(self):
        """The trained network, a Keras model that takes uint8 pixels, not compiled."""
        return network_in(self.folder).model

    @property
    def top1(self):
        """Top-1 accuracy of the last epoch on the validation pictures, 0 to 1."""
        return self._last("val_top1")

    @property
    def top5(self):
        """Top-5 accuracy of the last epoch on the validation pictures, 0 to 1."""
        return self._last("val_top5")

    def _last(self, metric):
        if metric not in self.summary["last"]:
            raise UserError(f"{self.folder} is the run of no classifier: its history has no {metric}.")
        return self.summary["last"][metric]

    def figures(self):
        """The run's figures in a line, for a reader."""
        last, best, count = self.summary["last"], self.summary["best"], self.summary["parameters"]["total"]
        if "held_out" in self.summary:
            run, center = (
                ", ".join(f"{metric} {value['mean']:.3f}" for metric, value in self.summary["held_out"][who].items())
                for who in ("run", "center")
            )
            verdict = "" if self.summary["beats_center"] else ", which it does not beat: it counts as untrained"
            pictures = self.summary["pictures"]["validation"]
            return f"{run} on {pictures} held-out pictures (center: {center}{verdict})"
        pictures = self.summary["pictures"]["validation"]
        interval = wilson_interval(round(last["val_top1"] * pictures), pictures)
        top5, best_top1 = percent(last["val_top5"], pictures), percent(best["val_top1"], pictures)
        return (
            f"Top-1 {accuracy_in_words(last['val_top1'], *interval, pictures)}, Top-5 {top5} % after "
            f"{self.summary['epochs']} epochs (best epoch {best['epoch']}: {best_top1} %), "
            f"{count:,} parameters, {self.summary['images_per_second']:.0f} images/s"
        )

    def __str__(self):
        return f"{title_of(self.config)}: {self.figures()}"

    def _repr_html_(self):
        title, figures, folder = map(html.escape, (title_of(self.config), self.figures(), str(self.folder)))
        return f"<p><b>{title}</b><br>{figures}<br><code>{folder}</code></p>"

    @classmethod
    def of(cls, run):
        """The run itself, or that in a folder."""
        return run if isinstance(run, cls) else cls.load(run)

    @classmethod
    def load(cls, folder):
        """Reads a finished run.

        Args:
            folder: The run folder.

        Returns:
            The `Run`.

        Raises:
            UserError: If it is no run folder, the run is not finished, or a file is damaged.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(f"there is no run folder {folder}.")
        if not run_folder.is_begun(folder):
            raise UserError(f"{folder} is no run folder: it has no config.json.")
        config = read_json(folder / run_folder.CONFIG)
        experiment = config.get("experiment")
        if not isinstance(experiment, dict) or not isinstance(experiment.get("name"), str):
            raise UserError(f"{folder / 'config.json'} is not that of a run: it names no experiment.")
        if not run_folder.is_finished(folder):
            command = str(config.get("command", "its command")).removesuffix(" --resume")
            command += " --resume" * command.startswith(TRAINS)
            raise UserError(f"the run {folder} is not finished (no summary.json); go on by `{command}`.")
        return cls(folder, config, read_history(folder / run_folder.HISTORY), read_json(folder / run_folder.SUMMARY))


def _read_predictions(path):
    import h5py

    if not path.is_file():
        raise UserError(f"{path.parent} has no {path.name}: it is not the finished run of a classifier.")
    try:
        with h5py.File(path, "r") as file:
            predictions = Predictions(
                ids=np.array(_dataset(file, "id").asstr()[:], dtype=str),
                labels=_dataset(file, "label")[:],
                ranks=_dataset(file, "rank")[:],
                first=_dataset(file, "top5")[:],
                classes=tuple(_text(name) for name in file.attrs["classes"]),
                split=_text(file.attrs["split"]),
                data=_text(file.attrs["data"]),
            )
        _check_predictions(predictions)
    except (OSError, KeyError, TypeError, ValueError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is damaged: {error}.") from None
    return predictions


def _dataset(file, name):
    import h5py

    # A run may come from elsewhere: its file shall not make us read another one.
    if not isinstance(file.get(name, getlink=True), h5py.HardLink) or file[name].external or file[name].is_virtual:
        raise ValueError(f"{name} is not stored in the file itself")
    return file[name]


def _text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _check_predictions(predictions):
    pictures, classes = predictions.ids.size, len(predictions.classes)
    if predictions.ids.shape != (pictures,) or np.unique(predictions.ids).size != pictures or not pictures:
        raise ValueError("no pictures, or the ids are not unique")
    for name in ("labels", "ranks"):
        values = getattr(predictions, name)
        if values.shape != (pictures,) or values.dtype.kind not in "iu":
            raise ValueError(f"{name} are not one whole number a picture")
        if values.min() < 0 or values.max() >= classes:
            raise ValueError(f"{name} do not fit the {classes} classes")
    if predictions.first.shape != (pictures, min(5, classes)):
        raise ValueError(f"the first classes have shape {predictions.first.shape}")


def network_in(folder):
    """Loads the network of a finished run.

    Args:
        folder: A run folder.

    Returns:
        The `models.network.Network`, not compiled.

    Raises:
        UserError: If the folder is no finished run, or its network is damaged.
    """
    from saliency_keras.models.network import network_of
    from saliency_keras.models.weights import load_network

    if not run_folder.has_network(folder):
        raise UserError(f"{folder} is no finished run: it has no model.keras.")
    try:
        model = load_network(Path(folder) / run_folder.MODEL)
    except UserError as error:
        module, colon, _ = _network_name(folder).rpartition(":")
        if not colon:
            raise
        raise UserError(
            f"the network of {folder} has layers of its own; in Python, `import {module}` before it is loaded. {error}"
        ) from None
    return network_of(model, _parts_in(folder))


def _parts_in(folder):
    """The parts that a run's `config.json` names, or `None`."""
    parts = _config_in(folder).get("parts")
    return parts if isinstance(parts, dict) else None


def _network_name(folder):
    """The name of the network that a run's `config.json` names, or `""`."""
    experiment = _config_in(folder).get("experiment")
    return str(experiment.get("network", "")) if isinstance(experiment, dict) else ""


def _config_in(folder):
    """A run's `config.json` as a dictionary, empty where it cannot be read."""
    try:
        config = json.loads((Path(folder) / run_folder.CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return config if isinstance(config, dict) else {}
