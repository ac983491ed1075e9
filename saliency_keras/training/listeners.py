"""What happens after each epoch: a line is printed, the best weights are kept, the run folder follows.

The loop calls each `Listener` after every epoch, and knows nothing else about it.
"""

import concurrent.futures
import csv
import functools
import json
import shutil
import time
import zipfile
from pathlib import Path
from typing import Protocol

import keras

from saliency_keras import console, run_folder
from saliency_keras.figures.curves import NOT_METRICS, run_figure
from saliency_keras.figures.style import save
from saliency_keras.files import whole_file, whole_path
from saliency_keras.metrics.digits import figure_in_words, is_worth_telling
from saliency_keras.runs.folder import read_history
from saliency_keras.training.state import save_state, state_of
from saliency_keras.training.tasks.task import best_epoch

WEIGHTS = "model.weights.h5"  # as Keras names it
SAVED = "1980-01-01@00:00:00"  # when networks are said to have been saved, which is the first time that a zip knows
DRAWN_EVERY = 10  # seconds at least between two drawings of the curves, which take one second of a processor
PAUSE = 3  # times that a state must have taken to write before the next one: writing takes a quarter of the time


class Listener(Protocol):
    """What the loop calls after each epoch."""

    def epoch_ended(self, row, last):
        """Takes note of an epoch.

        Args:
            row: The epoch's row of the history, a dictionary.
            last: Whether the training ends with it.
        """

    def close(self):
        """Called at the end of a training, however it ends."""


class Told:
    """Prints a line an epoch: the loss, a metric, and what the validation pictures say.

    Args:
        epochs: Epochs of the schedule.
        classes: Number of classes of a classifier, 0 for another network.
    """

    def __init__(self, epochs, classes=0):
        self._epochs, self._classes, self._seconds = epochs, classes, []

    def epoch_ended(self, row, last):
        """Prints the epoch's figures; where nobody watches a bar, also how long the training may still take."""
        self._seconds.append(row["seconds"])
        took = f"{row['seconds']:.0f} s"
        if not (last or console.is_watched()):
            left = sum(self._seconds) / len(self._seconds) * (self._epochs - row["epoch"])
            took += f", {console.duration(left)} left"
        print(f"epoch {row['epoch']}/{self._epochs}  {figures_in_words(row, self._classes)}  {took}", flush=True)

    def close(self):
        """Does nothing."""


def figures_in_words(row, classes=0, validation_metrics=2):
    """The figures of a row of the history that one looks at while a training lasts.

    Args:
        row: From the names of columns to figures.
        classes: Number of classes of a classifier, 0 for another network.
        validation_metrics: How many metrics of the validation pictures are printed.

    Returns:
        `"loss 2.31  Top-1 18.3 %  val Top-1 24.6 %, Top-5 71.2 %"`; all figures are in `history.csv`.
    """
    words = {name: figure_in_words(name.removeprefix("val_"), value) for name, value in row.items()}
    metrics = [name for name in row if name not in NOT_METRICS and not name.endswith(("loss", "cross_entropy"))]
    metrics = [name for name in metrics if is_worth_telling(name, classes)]
    trained = ["loss", *[name for name in metrics if not name.startswith("val_")][:1]]
    validated = [name for name in metrics if name.startswith("val_")][:validation_metrics] or ["val_loss"]
    told = [words[name] for name in trained if name in row]
    if held_out := ", ".join(words[name] for name in validated if name in row):
        told.append(f"val {held_out}")
    return "  ".join(told)


class Kept:
    """Keeps the run folder up to date: best weights, state, history and curves.

    Where an epoch takes less time than writing all that, several epochs share one state; a resumed run repeats those
    after its last. Curves are drawn every few seconds; the loop draws them at the end.

    Args:
        folder: The run folder.
        task: The `Task`.
        trained: The compiled model whose state is kept.
        history: The list of rows, which the loop appends to.
        behind: Whether files are written while the next epochs are trained: worth it where a device trains and the
            host is free. A training then waits for its arrays to be copied only.
    """

    def __init__(self, folder, task, trained, history, behind=False):
        self._folder, self._task, self._trained, self._history = Path(folder), task, trained, history
        self._best_weights, self._saved, self._saving = None, float("-inf"), 0.0
        self._pool = concurrent.futures.ThreadPoolExecutor(1) if behind else None
        self._writing = None
        # What is written behind the training is not the network that is trained meanwhile.
        self._network = keras.models.clone_model(task.network.model) if behind else task.network.model
        self._drawn = time.perf_counter()

    def epoch_ended(self, row, last):
        """Remembers the weights of a best epoch, and writes all when it is time."""
        if best_epoch(self._task, self._history) is row:
            self._best_weights = self._task.network.model.get_weights()
        writing = self._writing and not self._writing.done()
        if last or (not writing and time.perf_counter() - self._saved > PAUSE * self._saving):
            self._save(last)

    def close(self):
        """Waits until all is written, and raises what went wrong with it."""
        if self._writing:
            writing, self._writing = self._writing, None
            writing.result()

    def _save(self, last):
        self.close()
        state, history = state_of(self._trained), list(self._history)
        write = functools.partial(self._write, self._best_weights, state, history, last)
        self._best_weights = None
        if self._pool:
            self._writing = self._pool.submit(write)
        else:
            write()

    def _write(self, best_weights, state, history, last):
        started = time.perf_counter()
        if best_weights is not None:
            current = self._network.get_weights()
            self._network.set_weights(best_weights)
            save_model(self._network, self._folder / run_folder.BEST)
            self._network.set_weights(current)
        save_state(self._folder / run_folder.STATE, state, history)
        write_history(self._folder, history)
        self._saved = time.perf_counter()
        self._saving = self._saved - started
        if not last and self._saved - self._drawn > DRAWN_EVERY:
            draw_curves(self._folder, history)
            self._drawn = time.perf_counter()


def save_model(model, path):
    """Saves a model as a `.keras` file, whole or not at all, such that equal networks are equal files.

    `Model.save` writes the time, and addresses in memory by which it tells objects from one another.
    """
    members = {
        "metadata.json": json.dumps({"keras_version": keras.__version__, "date_saved": SAVED}),
        "config.json": json.dumps(keras.saving.serialize_keras_object(model)),
    }
    complete = path.with_name(f".{path.stem}.incomplete.keras")
    try:
        with whole_path(path) as temporary:
            model.save(complete)  # makes the weights' file in memory: HDF5 does not take a full disk well
            with zipfile.ZipFile(complete) as saved, zipfile.ZipFile(temporary, "w") as archive:
                for name, text in members.items():
                    archive.writestr(zipfile.ZipInfo(name), text)
                large = archive.open(zipfile.ZipInfo(WEIGHTS), "w", force_zip64=True)
                with large, saved.open(WEIGHTS) as written:
                    shutil.copyfileobj(written, large, 1 << 20)
    finally:
        complete.unlink(missing_ok=True)


def write_history(folder, history):
    """Writes `history.csv`, one row an epoch, unless there is none yet."""
    if not history:
        return
    with whole_file(Path(folder) / run_folder.HISTORY, "w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)


def draw_curves(folder, history):
    """Draws `curves.png` from the run's `history.csv`, unless the history is empty."""
    if not history:
        return
    folder = Path(folder)
    config = json.loads((folder / run_folder.CONFIG).read_text(encoding="utf-8"))
    save(run_figure(config, read_history(folder / run_folder.HISTORY)), folder / run_folder.CURVES)
