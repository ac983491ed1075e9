"""The training loop: epochs into a run folder, resumable at any moment.

What is trained is a `Job`; `classification.py` and its neighbours make one. The order is: resume, then init from, then
scratch. After an epoch the state is written, and `history.csv` and `curves.png` follow from it, so that a kill between
the two leaves no odd row. Where an epoch takes less time than writing all that, several epochs share one state; a
resumed run repeats those after its last.
"""

import csv
import dataclasses
import json
import math
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import keras

from saliency_keras.console import UserError, progress
from saliency_keras.data.stream import CORES
from saliency_keras.figures.curves import run_figure
from saliency_keras.figures.style import save
from saliency_keras.files import whole_file
from saliency_keras.runs.folder import read_history
from saliency_keras.training.devices import OneDevice, SeveralDevices, first_process
from saliency_keras.training.state import load_state, save_state
from saliency_keras.training.tensorboard import Events

PATIENCE = 3  # times that a state must have taken to write before the next one: writing takes a quarter of the time


class Diverged(UserError):
    """A training whose loss is not finite any more; with the same settings it would come to the same again."""


@dataclasses.dataclass
class Job:
    """What a run trains.

    Attributes:
        model: The built network, with its initial weights.
        loss: A Keras loss.
        metrics: Keras metrics.
        best: Column of the history that says which epoch is the best, such as `"val_top1"`; larger is better.
        steps: Batches in an epoch.
        pictures: Pictures in an epoch.
        training: Function of a first and a last epoch that gives the batches of both and all between.
        validation: Function without arguments that gives the validation batches, or `None` where `measure` does it.
        finish: Function of the trained model and the run folder that writes what its kind of run has besides and
            returns what it adds to the summary.
        fed: What is trained in place of `model`, with which it shares its weights: the model behind the crops that it
            makes on the device, or the part of it behind features that are computed once.
        measure: Function without arguments, called after each epoch, that gives further columns of the history.
    """

    model: keras.Model
    loss: Callable
    metrics: list
    best: str
    steps: int
    pictures: int
    training: Callable
    validation: Callable | None
    finish: Callable
    fed: keras.Model | None = None
    measure: Callable | None = None


def fit(job, experiment, folder, tensorboard=False, devices=1):
    """Trains a job to the end of its experiment, from the newest state in the run folder if there is one.

    Args:
        job: The `Job`.
        experiment: The `Experiment` with its schedule.
        folder: The run folder, with its `config.json` written.
        tensorboard: Whether to write event files for TensorBoard too.
        devices: How many devices share each batch.

    Returns:
        The history, a list of one dictionary an epoch; and what this call measured: `"images_per_second"` of its
        median epoch, validation aside, and of its time the shares `"waiting"`, in which the device stood still for
        want of pictures at the most, and `"host_idle"`, in which the host's cores did nothing. Where no epoch was left
        the shares are `None`, and images are counted over whole epochs.

    Raises:
        Diverged: If the loss is not finite; the sentence names epoch and step.
    """
    folder = Path(folder)
    spread = SeveralDevices(devices) if devices > 1 else OneDevice()
    fed = job.fed or job.model
    model = keras.Model(fed.input, fed.output)  # compiled; the job's own stays free of what a file lacks
    _compile(model, job, experiment)
    trained = spread.copy_of(model, lambda copy: _compile(copy, job, experiment))
    history = load_state(folder / "state", trained)
    if first_process():
        write_history(folder, history)
    events = Events(folder, history) if tensorboard and first_process() else None
    seconds, shares = [row["seconds"] for row in history], {"waiting": None, "host_idle": None}
    if len(history) < experiment.epochs:
        recorder = _Recorder(job, experiment, folder, history, events, spread)
        batches = spread.part(job.training(len(history) + 1, experiment.epochs))
        clock, processor = time.perf_counter(), time.process_time()
        with spread.training():
            trained.fit(
                batches,
                initial_epoch=len(history),
                epochs=experiment.epochs,
                steps_per_epoch=job.steps,
                validation_data=job.validation() if job.validation and devices == 1 else None,
                callbacks=[recorder],
                shuffle=False,
                verbose=0,
            )
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        seconds = recorder.training_seconds
        shares = {"waiting": batches.waited / clock, "host_idle": max(0.0, 1 - processor / (clock * CORES))}
    spread.bring_home()
    if events:
        events.close()
    return history, {"images_per_second": job.pictures / statistics.median(seconds), **shares}


def _compile(model, job, experiment):
    model.compile(
        _optimizer(experiment),
        loss=job.loss,
        # A metric counts for one model: its variables live where that model does.
        metrics=[type(metric).from_config(metric.get_config()) for metric in job.metrics],
        jit_compile=_compiles(),
    )
    model.optimizer.build(model.trainable_variables)


def _optimizer(experiment):
    if experiment.optimizer == "adam":
        return keras.optimizers.Adam(experiment.learning_rate)
    return keras.optimizers.SGD(experiment.learning_rate, experiment.momentum)


def save_model(model, path):
    """Saves a model as a `.keras` file, whole or not at all."""
    temporary = path.with_name(f".{path.stem}.incomplete.keras")
    try:
        model.save(temporary)
        os.replace(temporary, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk does not say which file it refused
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_history(folder, history):
    """Writes `history.csv`, one row an epoch, and draws `curves.png` from it."""
    if not history:
        return
    folder = Path(folder)
    with whole_file(folder / "history.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]))
        writer.writeheader()
        writer.writerows(history)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    save(run_figure(config, read_history(folder / "history.csv")), folder / "curves.png")


def _compiles():
    """XLA is for accelerators: on a CPU, TensorFlow's own kernels train AlexNet twice as fast. One device at a time."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU")) and not tf.distribute.has_strategy()
    return "auto"


class _Recorder(keras.callbacks.Callback):
    """Sets the learning rate, watches the loss, and records each finished epoch."""

    async_safe = True  # losses are looked at one step late, so that a device never waits for it

    def __init__(self, job, experiment, folder, history, events, spread):
        super().__init__()
        self.spread = spread
        self.best_weights, self.saved, self.saving = None, -math.inf, 0.0
        self.training_seconds = []
        self.job, self.experiment, self.folder, self.history, self.events = job, experiment, folder, history, events

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.started, self.ended, self.last_loss = epoch + 1, time.perf_counter(), False, None
        self.learning_rate = self.experiment.learning_rate_of(self.epoch)
        self.model.optimizer.learning_rate = self.learning_rate
        self.bar = progress(total=self.job.steps, label=f"epoch {self.epoch}/{self.experiment.epochs}", unit="step")

    def on_train_batch_end(self, batch, logs=None):
        self._stop_if_not_finite(batch)
        self.last_loss = logs["loss"]
        self.bar.update()

    def on_test_begin(self, logs=None):
        self._end_training()

    def on_epoch_end(self, epoch, logs=None):
        self._end_training()
        self._stop_if_not_finite(self.job.steps)
        with self.spread.alone():
            self._record({**logs, **self.spread.validated(self.job.validation)})

    def _end_training(self):
        """Training of an epoch ends where its validation begins, inside `fit` or after it."""
        self.bar.close()
        if not self.ended:
            self.training_seconds.append(time.perf_counter() - self.started)
            self.ended = True

    def _record(self, logs):
        row = {"epoch": self.epoch, "learning_rate": self.learning_rate}
        figures = {**logs, **(self.job.measure() if self.job.measure else {})}
        row |= {name: float(value) for name, value in figures.items()}
        row["seconds"] = round(time.perf_counter() - self.started, 3)
        best = max((past[self.job.best] for past in self.history), default=-math.inf)
        self.history.append(row)
        if self.events:
            self.events.add(row)
        if row[self.job.best] > best:
            self.best_weights = self.job.model.get_weights()
        if not first_process():
            return
        if self.epoch == self.experiment.epochs or time.perf_counter() - self.saved > PATIENCE * self.saving:
            self._save()
        told = "  ".join(f"{name} {row[name]:.4f}" for name in figures)
        print(f"epoch {self.epoch}/{self.experiment.epochs}  {told}  {row['seconds']:.0f} s", flush=True)

    def _save(self):
        started = time.perf_counter()
        if self.best_weights is not None:
            current = self.job.model.get_weights()
            self.job.model.set_weights(self.best_weights)
            save_model(self.job.model, self.folder / "best.keras")
            self.job.model.set_weights(current)
            self.best_weights = None
        save_state(self.folder / "state", self.model, self.history)
        write_history(self.folder, self.history)
        self.saved = time.perf_counter()
        self.saving = self.saved - started

    def _stop_if_not_finite(self, step):
        """Keras' loss is the mean of the epoch so far: once not finite, it stays so."""
        if self.last_loss is not None and not math.isfinite(float(self.last_loss)):
            raise Diverged(
                f"the loss is not finite in epoch {self.epoch}, step {step}; lower the learning rate "
                "(--set learning_rate=…) or train in float32."
            )
