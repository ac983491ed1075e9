"""Reading a run folder: what a training wrote, as `evaluate`, `plot`, `report` and the tables of papers need it.

A run folder is finished once `summary.json` is there. Whatever is no run, is not finished or is damaged is refused in
one sentence. `predictions.h5` holds the rank of the true class of every validation picture; it is read when it is
asked for. Nothing here needs Keras, and nothing that is read is ever executed. Writing a run folder is the training's.
"""

import dataclasses
import functools
import html
from pathlib import Path

import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest, made_by_other_kernels
from saliency_keras.data.shown import Shown
from saliency_keras.experiments.experiment import flat_settings
from saliency_keras.files import is_claimed, not_there, read_json
from saliency_keras.metrics.digits import accuracy_in_words, figure_in_words, is_worth_telling, percent
from saliency_keras.metrics.statistics import wilson_interval
from saliency_keras.runs.folder import read_history
from saliency_keras.runs.labels import classes_of, of_strategy, published_of, title_of
from saliency_keras.runs.predictions import check_against_scores, read_predictions, read_scores

# How the command line of a training begins; that of a table goes on without a further word.
TRAINS = ("python -m saliency_keras.train ", "python -m saliency_keras train ", "saliency-keras train ")


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run folder, or one that is not finished (`load(begun=True)`), which has no predictions.

    Attributes:
        folder: Where it is.
        config: What was run: `config["experiment"]`, `config["data"]`, `config["maps"]`, `config["seed"]` and so on.
        history: `{column: float64 array (epochs,)}` in the order of `history.csv`; NaN where a cell is empty.
        summary: Last and best figures, parameter counts, wall time; of a run that is not finished `last` and `epochs`.
        unfinished: `""` of a finished run, else how far it is: `"epoch 3 of 7, running"`.
    """

    folder: Path
    config: dict
    history: dict[str, np.ndarray]
    summary: dict
    unfinished: str = ""

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
        """The `Predictions` of `predictions.h5`; a `UserError` if the file is missing, damaged or another run's."""
        predictions = read_predictions(run_folder.checked(self.folder, run_folder.PREDICTIONS))
        if "files" not in self.summary:
            check_against_scores(self, predictions)
        return predictions

    def scores(self, level=""):
        """The logits of `predictions.h5`: float16 array `(pictures, classes)` in the predictions' order.

        They are read again at each call, because they may be large.

        Args:
            level: Name of a further output of the network that is a prediction, or `""` for the prediction that counts.

        Raises:
            UserError: If they are missing or do not fit.
        """
        return read_scores(run_folder.checked(self.folder, run_folder.PREDICTIONS), self.predictions, level)

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

    @property
    def classes(self):
        """How many classes its network tells apart; 0 of a run on fixations, which have none."""
        return classes_of(self.config)

    def _last(self, metric):
        if metric not in self.summary["last"]:
            raise UserError(f"{self.folder} is the run of no classifier: its history has no {metric}.")
        return self.summary["last"][metric]

    def figures(self):
        """The run's figures in a line, for a reader."""
        if self.unfinished:
            last = {name: value for name, value in self.summary["last"].items() if name.startswith("val_")}
            told = [name for name in last if not name.endswith(("loss", "cross_entropy"))] or list(last)
            told = [name for name in told if is_worth_telling(name, self.classes)]
            return f"{self.unfinished}: {', '.join(figure_in_words(name[4:], last[name]) for name in told)}"
        last, best, count = self.summary["last"], self.summary["best"], self.summary["parameters"]["total"]
        if "held_out" in self.summary:
            run, center = (
                ", ".join(f"{metric} {value['mean']:.3f}" for metric, value in self.summary["held_out"][who].items())
                for who in ("run", "center")
            )
            verdict = "" if self.summary["beats_center"] else ", which it does not beat: it counts as untrained"
            pictures = self.summary["pictures"]["validation"]
            return f"{run} on {pictures} held-out pictures (center: {center}{verdict})"
        if "val_top1" not in last:
            pictures = self.summary["pictures"]["validation"]
            return f"map's loss {self.summary['map_loss']:.4f} on {pictures} validation pictures, {count:,} parameters"
        # Runs of earlier versions do not say how many pictures they were validated on.
        pictures = (self.summary.get("pictures") or {}).get("validation") or self.predictions.ids.size
        interval = wilson_interval(round(last["val_top1"] * pictures), pictures)
        epochs = self.summary["epochs"]
        best_top1 = percent(best["val_top1"], pictures)
        has_top5 = is_worth_telling("val_top5", self.classes)
        top5 = f", Top-5 {percent(last['val_top5'], pictures)} %" if has_top5 else ""
        return (
            f"Top-1 {accuracy_in_words(last['val_top1'], *interval, pictures)}{top5} after "
            f"{epochs} epoch{'s' * (epochs != 1)} (best epoch {best['epoch']}: {best_top1} %), "
            f"{count:,} parameters, {self.summary['images_per_second']:.0f} images/s"
        )

    def __str__(self):
        return f"{title_of(self.config)}: {self.figures()}"

    def _repr_html_(self):
        title, figures, folder = map(html.escape, (title_of(self.config), self.figures(), str(self.folder)))
        return f"<p><b>{title}</b><br>{figures}<br><code>{folder}</code></p>"

    @classmethod
    def of(cls, run, begun=False):
        """The run itself, or that in a folder, as `load` reads it."""
        return run if isinstance(run, cls) else cls.load(run, begun)

    @classmethod
    def load(cls, folder, begun=False):
        """Reads a run.

        Args:
            folder: The run folder.
            begun: Whether a run that is not finished is read too.

        Returns:
            The `Run`.

        Raises:
            UserError: If it is no run folder, the run is not finished (with `begun`: has no epoch), or a file is
                damaged.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise UserError(not_there(folder, "run folder"))
        if not run_folder.is_begun(folder):
            raise UserError(f"{folder} is no run folder: it has no config.json.")
        config = read_json(run_folder.checked(folder, run_folder.CONFIG))
        experiment = config.get("experiment")
        if not isinstance(experiment, dict) or not isinstance(experiment.get("name"), str):
            raise UserError(f"{folder / 'config.json'} is not that of a run: it names no experiment.")
        if begun and not run_folder.is_finished(folder):
            return cls._not_finished(folder, config)
        if not run_folder.is_finished(folder):
            command = str(config.get("command", "its command")).removesuffix(" --resume")
            command += " --resume" * command.startswith(TRAINS)
            raise UserError(f"the run {folder} is not finished (no summary.json); go on by `{command}`.")
        summary = run_folder.read_summary(folder)
        history = read_history(run_folder.checked(folder, run_folder.HISTORY))
        return cls(folder, config, history, summary)

    @classmethod
    def _not_finished(cls, folder, config):
        if not (folder / run_folder.HISTORY).is_file():
            raise UserError(f"the run {folder} has no epoch yet; wait for the first one.")
        history = read_history(folder / run_folder.HISTORY)
        epochs, of = len(history["epoch"]), flat_settings(config["experiment"]).get("epochs")
        last = {name: float(values[-1]) for name, values in history.items()}
        how = "running" if is_claimed(folder) else "stopped"
        return cls(folder, config, history, {"last": last, "epochs": epochs}, f"epoch {epochs} of {of}, {how}")


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
    """A run's `config.json` as a dictionary, empty where there is none."""
    config = run_folder.checked(folder, run_folder.CONFIG)
    found = read_json(config) if config.is_file() else {}
    return found if isinstance(found, dict) else {}
