"""The seam between the loop and what is trained: a `Task`.

The loop knows batches, outputs, losses and epochs. A task knows pictures, labels, fixations and what a good epoch is.
"""

import dataclasses
from collections.abc import Callable
from typing import Protocol

import keras

from saliency_keras.data.reader import Reader
from saliency_keras.models.network import Network


@dataclasses.dataclass(frozen=True)
class Term:
    """What one output of a network is trained with.

    Attributes:
        loss: A Keras loss, or a function `(targets, outputs)` to one number a picture.
        weight: Factor of the loss in the sum of all terms.
        metrics: Keras metrics of that output.
    """

    loss: Callable
    weight: float = 1.0
    metrics: tuple = ()


class Task(Protocol):
    """One training of one network: an object that is made from an experiment and its data.

    Attributes:
        network: The `Network`, built; its weights are given to it before the training begins.
        terms: From the name of each trained output to its `Term`.
        steps: Batches in an epoch.
        pictures: Pictures in an epoch.
        best: Column of the history that says which epoch is the best one.
        smaller_is_better: Whether the best epoch has the smallest value there.
        fed: The model that the batches go into: the network's own, or one that shares its weights (behind crops that
            are made on the device, or after features that were computed once).
        classes: Names of the classes that are told apart; none for a network that learns maps alone.
        uncropped: The `Reader` of training pictures that the device crops, which may lie in the device's memory; `None`
            where it crops none.
    """

    network: Network
    terms: dict[str, Term]
    steps: int
    pictures: int
    best: str
    smaller_is_better: bool
    fed: keras.Model
    classes: tuple[str, ...]
    uncropped: Reader | None

    @staticmethod
    def check(experiment):
        """Refuses, as a `UserError`, settings of an experiment that it cannot be trained with, before data are read."""

    def training(self, first_epoch, last_epoch):
        """A `Stream` of the batches `(inputs, targets)` of both epochs and all between."""

    def validation(self):
        """A `Stream` of the validation batches, or `None` where `measure` does it all."""

    def measure(self):
        """Further columns of the history after an epoch, a dictionary."""

    def finish(self, folder):
        """Writes what this kind of run has besides into the run folder; returns what the summary adds."""


def better(task, value, other):
    """Whether a value of the task's column `best` is better than another."""
    return value < other if task.smaller_is_better else value > other


def best_epoch(task, history):
    """The row of the best epoch, the first of several; `None` of an empty history."""
    best = None
    for row in history:
        if best is None or better(task, row[task.best], best[task.best]):
            best = row
    return best
