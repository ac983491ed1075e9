"""Whether a classifier learned anything, which a reader must know before any other figure of it.

At chance is a test, not an impression: a run is at chance where the 95 % interval (Wilson) of its Top-1 does not lie
wholly above what a guess without looking gets right, the larger of 1 / classes and the share of the largest class among
the tested pictures. A difference to a run at chance says nothing about a strategy.
"""

import dataclasses

import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.data.shown import Shown
from saliency_keras.metrics.digits import accuracy_in_words, percent
from saliency_keras.metrics.statistics import wilson_interval

FEW_STEPS = 200  # trainings of fewer steps in all are called too short
SMALLEST_BATCH = 16  # that is advised


@dataclasses.dataclass(frozen=True)
class Learned:
    """What a run's predictions say about whether it learned.

    Attributes:
        name: Name of the experiment.
        top1: Top-1, 0 to 1.
        low: Lower end of its 95 % interval (Wilson).
        high: Upper end.
        pictures: How many were tested.
        classes: How many classes there are.
        tested: How many of them have a picture among the tested.
        predicted: How many classes are the first choice for at least one picture.
        largest: Share of the largest class among the tested pictures, 0 to 1.
        steps: Steps of the whole training, or `None` where the run does not say.
        batch: Pictures in a batch, or `None`.
    """

    name: str
    top1: float
    low: float
    high: float
    pictures: int
    classes: int
    tested: int
    predicted: int
    largest: float
    steps: int | None
    batch: int | None

    @property
    def guess(self):
        """What guessing without looking gets right, 0 to 1: one class at random, or always the largest."""
        return max(1 / self.classes, self.largest)

    @property
    def at_chance(self):
        """Whether the interval of Top-1 covers `guess` or lies below it."""
        return self.low <= self.guess

    def warnings(self):
        """Sentences that a reader must see beside the figures: a list, empty for a run that learned."""
        told = []
        if self.at_chance:
            largest = self.largest > 1 / self.classes
            guess = "always naming the largest class" if largest else f"guessing one of {self.classes:,} classes"
            top1 = accuracy_in_words(self.top1, self.low, self.high, self.pictures)
            guess += f" ({percent(self.guess, self.pictures)} %)"
            told.append(f"{self.name} is at chance: Top-1 {top1} is no better than {guess}.")
        if self.predicted < self.tested / 2 and self.pictures >= 2 * self.tested:
            told.append(f"{self.name} predicts {self.predicted:,} of {self.tested:,} classes.")
        if told and self.steps is not None and self.steps < FEW_STEPS:
            steps = "1 step in all, which is" if self.steps == 1 else f"{self.steps} steps in all, which are"
            told.append(f"{self.name} was trained for {steps} too few: {self._advice()}.")
        return told

    def _advice(self):
        smaller = self.batch
        while smaller > SMALLEST_BATCH and self.steps * self.batch / smaller < FEW_STEPS:
            smaller //= 2
        smaller = max(smaller, min(self.batch, SMALLEST_BATCH))
        return f"try --batch {smaller} or more epochs" if smaller < self.batch else "try more epochs (--epochs)"


def learned(run):
    """Looks whether a run learned anything.

    Args:
        run: A `runs.run.Run`.

    Returns:
        `Learned`; `None` where the run is that of no classifier, or its predictions cannot be read.
    """
    if not (run.folder / run_folder.PREDICTIONS).is_file():
        return None
    try:
        predictions = run.predictions
    except UserError:  # damaged: whoever needs them says so
        return None
    pictures, right = predictions.ids.size, int(predictions.correct().sum())
    counts = np.bincount(predictions.labels, minlength=len(predictions.classes))
    low, high = wilson_interval(right, pictures)
    trained_on, batch = (run.summary.get("pictures") or {}).get("train"), run.settings.get("batch")
    steps = run.summary.get("epochs", 0) * max(1, trained_on // batch) if trained_on and batch else None
    return Learned(
        name=run.name,
        top1=right / pictures,
        low=low,
        high=high,
        pictures=pictures,
        classes=len(predictions.classes),
        tested=int((counts > 0).sum()),
        predicted=np.unique(predictions.first[:, 0]).size,
        largest=float(counts.max() / pictures),
        steps=steps,
        batch=batch,
    )


def warnings(run):
    """What a reader must know before a run's figures: `Learned.warnings`, `label_given_away`; of no classifier none."""
    found = learned(run)
    return [*found.warnings(), *label_given_away(run)] if found else []


def label_given_away(run):
    """A sentence where a classifier was tested with maps that were chosen by the true class: a list of one, or none."""
    shown = run.config["experiment"].get("shown") or {}
    if not run.maps or shown.get("as_") == "target" or Shown.parse(run.maps).swap != "shuffled_in_class":
        return []
    return [
        f"{run.name} was tested with the map of another picture of each picture's true class. That gives the label "
        "away: its accuracy bounds what a map says about the class, and is no fair test accuracy."
    ]


def is_at_chance(run):
    """Whether a run is a classifier that is at chance (see above)."""
    found = learned(run)
    return bool(found and found.at_chance)
