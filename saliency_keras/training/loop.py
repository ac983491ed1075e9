"""The training loop: epochs of a task, resumable at any moment.

The order is: resume, then the weights of other runs, then random ones. After an epoch the state is written, and
`history.csv` follows from it, so that a kill between the two leaves no odd row; `curves.png` is drawn from that.
"""

import math
import statistics
import time
from pathlib import Path

import keras

from saliency_keras import run_folder
from saliency_keras.console import StopAfterStep, UserError, progress
from saliency_keras.data.stream import CORES
from saliency_keras.models.weights import load_network
from saliency_keras.training.devices import OneDevice, SeveralDevices, first_process
from saliency_keras.training.listeners import Kept, Told, draw_curves, write_history
from saliency_keras.training.optimizer import optimizer_of, rate_at
from saliency_keras.training.state import check_best, load_state
from saliency_keras.training.tasks.task import best_epoch
from saliency_keras.training.tensorboard import Events

LESS = "lower the learning rate (--set learning_rate=…) or train in float32"


class Diverged(UserError):
    """A training whose loss is not finite any more; with the same settings it would come to the same again."""


def fit(task, schedule, folder, tensorboard=False, devices=1):
    """Trains a task to the end of its schedule, from the newest state in the run folder if there is one.

    Args:
        task: The `Task`.
        schedule: The `Schedule`.
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
    model = keras.Model(task.fed.input, task.fed.output)  # compiled; the task's own stays free of what a file lacks
    _compile(model, task, schedule)
    trained = spread.copy_of(model, lambda copy: _compile(copy, task, schedule))
    history = load_state(folder / run_folder.STATE, trained)
    listeners = []
    if first_process():
        write_history(folder, history)
        draw_curves(folder, history)
        listeners = [Kept(folder, task, trained, history), Told(schedule.epochs)]
        if tensorboard:
            listeners.append(Events(folder, history))
    seconds, shares = [row["seconds"] for row in history], {"waiting": None, "host_idle": None}
    if not _is_over(task, schedule, history):
        recorder = _Recorder(task, schedule, history, listeners, spread, stop := StopAfterStep())
        batches = spread.part(task.training(len(history) + 1, schedule.epochs))
        clock, processor = time.perf_counter(), time.process_time()
        with spread.training(), stop:
            trained.fit(
                batches,
                initial_epoch=len(history),
                epochs=schedule.epochs,
                steps_per_epoch=task.steps,
                validation_data=task.validation() if devices == 1 else None,
                callbacks=[recorder],
                shuffle=False,
                verbose=0,
            )
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        seconds = recorder.training_seconds
        shares = {"waiting": batches.waited / clock, "host_idle": max(0.0, 1 - processor / (clock * CORES))}
    spread.bring_home()
    for listener in listeners:
        if isinstance(listener, Events):
            listener.close()
    if schedule.keep == "best" and best_epoch(task, history) is not history[-1]:
        task.network.model.set_weights(load_network(check_best(folder / run_folder.STATE)).get_weights())
    return history, {"images_per_second": task.pictures / statistics.median(seconds), **shares}


def _is_over(task, schedule, history):
    """Whether all epochs are there, or so many without a better one that the schedule's patience is at its end."""
    if len(history) >= schedule.epochs:
        return True
    best = best_epoch(task, history)
    return bool(schedule.patience and best and history[-1]["epoch"] - best["epoch"] >= schedule.patience)


def _compile(model, task, schedule):
    by_name = isinstance(task.fed.output, dict)
    # A metric counts for one model: its variables live where that model does.
    metrics = {
        name: [type(metric).from_config(metric.get_config()) for metric in term.metrics]
        for name, term in task.terms.items()
    }
    losses = {name: term.loss for name, term in task.terms.items()}
    (only,) = (None,) if by_name else task.terms
    model.compile(
        optimizer_of(schedule, task.network, task.steps),
        loss=losses if by_name else losses[only],
        loss_weights={name: term.weight for name, term in task.terms.items()} if by_name else None,
        metrics=metrics if by_name else metrics[only],
        jit_compile=_compiles(),
    )
    model.optimizer.build(model.trainable_variables)


def _compiles():
    """XLA is for accelerators: on a CPU, TensorFlow's own kernels train AlexNet twice as fast. One device at a time."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return bool(tf.config.list_physical_devices("GPU")) and not tf.distribute.has_strategy()
    return "auto"


class _Recorder(keras.callbacks.Callback):
    """Sets the learning rate, watches the loss, and calls the listeners after each epoch."""

    async_safe = True  # losses are looked at one step late, so that a device never waits for it

    def __init__(self, task, schedule, history, listeners, spread, stop):
        super().__init__()
        self.task, self.schedule, self.history = task, schedule, history
        self.listeners, self.spread, self.stop = listeners, spread, stop
        self.training_seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.started, self.ended, self.last_loss = epoch + 1, time.perf_counter(), False, None
        self.stop.where = f"stopped in epoch {self.epoch}"
        self.model.optimizer.learning_rate = self.schedule.rate(self.epoch)
        self.bar = progress(total=self.task.steps, label=f"epoch {self.epoch}/{self.schedule.epochs}", unit="step")

    def on_train_batch_end(self, batch, logs=None):
        self.stop.check()
        self._stop_if_not_finite(batch)
        self.last_loss = logs["loss"]
        self.bar.update()

    def on_test_begin(self, logs=None):
        self._end_training()

    def on_test_batch_end(self, batch, logs=None):
        self.stop.check()

    def on_epoch_end(self, epoch, logs=None):
        self._end_training()
        self._stop_if_not_finite(self.task.steps)
        with self.spread.alone():
            self._record({**logs, **self.spread.validated(self.task.validation)})

    def _end_training(self):
        """Training of an epoch ends where its validation begins, inside `fit` or after it."""
        self.bar.close()
        if not self.ended:
            self.training_seconds.append(time.perf_counter() - self.started)
            self.ended = True

    def _record(self, logs):
        row = {"epoch": self.epoch, "learning_rate": rate_at(self.schedule, self.epoch, self.task.steps)}
        figures = {**_columns(logs, self.task), **self.task.measure()}
        row |= {name: float(value) for name, value in figures.items()}
        losses = [name for name in row if name.endswith(("loss", "cross_entropy"))]
        if lost := [name for name in losses if not math.isfinite(row[name])]:
            raise Diverged(f"{lost[0]} is not finite in epoch {self.epoch}; {LESS}.")
        row["seconds"] = round(time.perf_counter() - self.started, 3)
        self.history.append(row)
        last = _is_over(self.task, self.schedule, self.history)
        for listener in self.listeners:
            listener.epoch_ended(row, last)
        self.model.stop_training = last

    def _stop_if_not_finite(self, step):
        """Keras' loss is the mean of the epoch so far: once not finite, it stays so."""
        if self.last_loss is not None and not math.isfinite(float(self.last_loss)):
            raise Diverged(f"the loss is not finite in epoch {self.epoch}, step {step}; {LESS}.")


def _columns(logs, task):
    """Keras' figures by the names of the history's columns: the loss, then the metrics, of training and of validation.

    With several outputs, the first one's metrics go without its name.
    """
    first, several = next(iter(task.terms)), len(task.terms) > 1
    metrics = [f"{name}_{metric.name}" for name, term in task.terms.items() for metric in term.metrics]
    losses = [f"{name}_loss" for name in task.terms] if several else []
    columns = {}
    for side in ("", "val_"):
        for name in ("loss", *losses, *metrics):
            told = name if several or name == "loss" else name.removeprefix(f"{first}_")
            if side + told in logs:
                column = told if told.endswith("_loss") else told.removeprefix(f"{first}_")
                columns[side + column] = logs[side + told]
    return columns
