"""The training loop: epochs of a task, resumable at any moment.

The order is: resume, then the weights of other runs, then random ones. After an epoch the state is written, and
`history.csv` follows from it, so that a kill between the two leaves no odd row. `curves.png` is drawn from that every
few seconds, and at the end.
"""

import contextlib
import math
import statistics
import time
from pathlib import Path

import keras
import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import StopAfterStep, UserError, duration, progress
from saliency_keras.data.stream import CORES
from saliency_keras.models.weights import load_network
from saliency_keras.training.devices import OneDevice, SeveralDevices, first_process
from saliency_keras.training.listeners import Kept, Told, draw_curves, figures_in_words, write_history
from saliency_keras.training.optimizer import optimizer_of, rate_at
from saliency_keras.training.resident import resident
from saliency_keras.training.state import check_best, load_state
from saliency_keras.training.steps import Steps, has_accelerator, steps_together
from saliency_keras.training.tasks.task import best_epoch
from saliency_keras.training.tensorboard import Events

SHARES = ("device_busy", "waiting", "waiting_for_host", "validating", "saving", "host_idle")
BAR = "{desc} {percentage:3.0f}%|{bar}| {rate_noinv_fmt}{postfix}"
SHOWN_EVERY = 0.5  # seconds at least between two figures in the bar, which are fetched from the device
LESS = "lower the learning rate (--set learning_rate=…) or train in float32"


class Diverged(UserError):
    """A training whose loss is not finite any more; with the same settings it would come to the same again."""


def fit(task, schedule, folder, tensorboard=False, devices=1, steps_per_execution=None):
    """Trains a task to the end of its schedule, from the newest state in the run folder if there is one.

    Args:
        task: The `Task`.
        schedule: The `Schedule`.
        folder: The run folder, with its `config.json` written.
        tensorboard: Whether to write event files for TensorBoard too.
        devices: How many devices share each batch.
        steps_per_execution: Steps in one call of the device; `None` to choose. It changes no figure.

    Returns:
        The history, a list of one dictionary an epoch; and what this call measured: `"images_per_second"` of its
        median epoch, validation aside, `"steps_per_execution"`, and shares of its time: `"device_busy"`, in which the
        device trained; `"waiting"`, in which it stood still for want of pictures at the most; `"waiting_for_host"`, in
        which it stood still for another reason; `"validating"`; `"saving"`; and `"host_idle"`, in which the host's
        cores did nothing. A share that was not measured is `None`: all, where no epoch was left (images are counted
        over whole epochs then), and the device's, where the device is the processor or there are several.

    Raises:
        Diverged: If the loss is not finite; the sentence names epoch and step.
    """
    folder = Path(folder)
    spread = SeveralDevices(devices) if devices > 1 else OneDevice()
    model = keras.Model(task.fed.input, task.fed.output)  # compiled; the task's own stays free of what a file lacks
    compile_model(model, task, schedule)
    trained = spread.copy_of(model, lambda copy: compile_model(copy, task, schedule))
    history = load_state(folder / run_folder.STATE, trained)
    listeners, ending = [], contextlib.ExitStack()
    if first_process():
        write_history(folder, history)
        kept = Kept(folder, task, trained, history, behind=has_accelerator())
        told = Told(schedule.epochs, len(task.classes))
        listeners = [kept, told, *([Events(folder, history)] if tensorboard else [])]
        for listener in listeners:
            ending.callback(listener.close)
    seconds, measured = [row["seconds"] for row in history], dict.fromkeys(SHARES)
    together = steps_together(task.steps, steps_per_execution) if devices == 1 else 1
    if not _is_over(task, schedule, history):
        held = resident(task.uncropped) if devices == 1 and task.uncropped else None
        batches = spread.part((held or task).training(len(history) + 1, schedule.epochs))
        steps = _steps(trained, task, together, held)
        recorder = _Recorder(task, schedule, history, listeners, spread, stop := StopAfterStep(), steps)
        if together > 1:
            batches = batches.grouped(together, task.steps)
        clock, processor = time.perf_counter(), time.process_time()
        with ending, spread.training(), stop, steps or contextlib.nullcontext():
            trained.fit(
                batches,
                initial_epoch=len(history),
                epochs=schedule.epochs,
                steps_per_epoch=-(-task.steps // together),
                validation_data=task.validation() if devices == 1 else None,
                callbacks=[recorder],
                shuffle=False,
                verbose=0,
            )
        clock, processor = time.perf_counter() - clock, time.process_time() - processor
        seconds = recorder.training_seconds
        measured = recorder.shares(clock, batches.waited) | {"host_idle": max(0.0, 1 - processor / (clock * CORES))}
    ending.close()
    if first_process():
        draw_curves(folder, history)
    spread.bring_home()
    if schedule.keep == "best" and best_epoch(task, history) is not history[-1]:
        task.network.model.set_weights(load_network(check_best(folder / run_folder.STATE)).get_weights())
    measured |= {"images_per_second": task.pictures / statistics.median(seconds), "steps_per_execution": together}
    return history, measured


def _steps(model, task, together, held):
    """The `Steps` of a model on one device; `None` where Keras' own step does the same."""
    if together > 1 or held is not None:
        return Steps(model, _one_batch(task), together, held)
    if isinstance(model.output, dict) and keras.backend.backend() == "tensorflow":
        build_metrics(model, _one_batch(task)[1])
    return None


def _one_batch(task):
    return (task.validation() or task.training(1, 1))[0]


def build_metrics(model, targets):
    """Makes the variables in which several losses are averaged: made in a traced step, they have it traced again."""
    outputs = {name: np.zeros((1, *one.shape[1:]), np.float32) for name, one in model.output.items()}
    targets = {name: target[:1] for name, target in targets.items()}
    model.compute_loss(y=targets, y_pred=outputs)
    model.compute_metrics(None, targets, outputs)
    model.reset_metrics()


def _is_over(task, schedule, history):
    """Whether all epochs are there, or so many without a better one that the schedule's patience is at its end."""
    if len(history) >= schedule.epochs:
        return True
    best = best_epoch(task, history)
    return bool(schedule.patience and best and history[-1]["epoch"] - best["epoch"] >= schedule.patience)


def compile_model(model, task, schedule):
    """Compiles a model with a task's losses and metrics and a schedule's optimizer, and builds the optimizer."""
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

    def __init__(self, task, schedule, history, listeners, spread, stop, steps):
        super().__init__()
        self.task, self.schedule, self.history = task, schedule, history
        self.listeners, self.spread, self.stop, self.steps = listeners, spread, stop, steps
        self.together = steps.number if steps else 1
        self.training_seconds, self.validating, self.saving = [], 0.0, 0.0
        self.first = self.shown = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.started, self.ended, self.last_loss = epoch + 1, time.perf_counter(), False, None
        self.stop.where = f"stopped in epoch {self.epoch}"
        if self.steps:
            self.steps.bad.clear()
        self.model.optimizer.learning_rate = self.schedule.rate(self.epoch)
        self.done, label = 0, f"epoch {self.epoch}/{self.schedule.epochs}"
        self.bar = progress(total=self.task.pictures, label=label, unit="img", form=BAR)

    def on_train_batch_end(self, batch, logs=None):
        self.stop.check()
        self._stop_if_not_finite(batch)
        self.last_loss = logs["loss"]
        self.done = min(self.done + self.together, self.task.steps)
        if not self.bar.disable:
            self._show(logs)

    def _show(self, logs):
        """Moves the bar, and now and then says how long the whole training may last and what the figures are."""
        now, total = time.perf_counter(), self.task.steps * self.schedule.epochs
        steps = (self.epoch - 1) * self.task.steps + self.done
        if self.first is None:  # what is compiled in the first step does not count
            self.first, self.shown = (now, steps), now
        begun, before = self.first
        if steps > before and now - self.shown > SHOWN_EVERY:
            figures = {name: float(value) for name, value in _columns(logs, self.task).items() if "cross" not in name}
            left = duration((now - begun) / (steps - before) * (total - steps))
            told = figures_in_words(figures).replace("  ", ", ")
            self.bar.set_postfix_str(f"{left} left, {told}", refresh=False)
            self.shown = now
        self.bar.update(self.task.pictures * self.done // self.task.steps - self.bar.n)

    def on_test_begin(self, logs=None):
        self._end_training()

    def on_test_batch_end(self, batch, logs=None):
        self.stop.check()

    def on_epoch_end(self, epoch, logs=None):
        self._end_training()
        self._stop_if_not_finite(-(-self.task.steps // self.together))
        with self.spread.alone():
            self._record({**logs, **self.spread.validated(self.task.validation)})

    def shares(self, clock, waited):
        """How the seconds of the clock were spent, as shares: a dictionary, as `fit` returns it."""
        training = sum(self.training_seconds)
        spent = {"waiting": waited, "validating": self.validating, "saving": self.saving}
        if self.steps:
            idle = max(0.0, training - self.steps.busy)
            spent |= {"device_busy": self.steps.busy, "waiting_for_host": max(0.0, idle - waited)}
        return dict.fromkeys(SHARES) | {name: seconds / clock for name, seconds in spent.items()}

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
        validated = time.perf_counter()
        for listener in self.listeners:
            listener.epoch_ended(row, last)
        self.validating += validated - self.started - self.training_seconds[-1]
        self.saving += time.perf_counter() - validated
        self.model.stop_training = last

    def _stop_if_not_finite(self, calls):
        """Keras' loss is the mean of the epoch so far: once not finite, it stays so. Looks at the last call's."""
        if self.last_loss is not None and not math.isfinite(float(self.last_loss)):
            step = calls
            if self.steps and self.together > 1:
                step = (calls - 1) * self.together + int(self.steps.bad[calls - 1]) + 1
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
