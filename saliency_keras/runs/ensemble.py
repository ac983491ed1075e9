"""Several runs as one classifier: the mean of their probabilities, as Shen and Liu average scales (section 4.4.3).

`metrics.classification` brings Keras with it, so it is imported where several runs are averaged: one run needs no
Keras.
"""

import dataclasses
import functools
from pathlib import Path

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.metrics.digits import is_worth_telling
from saliency_keras.runs.run import Run


def probabilities(run, like=None, level=""):
    """The probabilities that a run gives to each class of each picture.

    Args:
        run: A `Run`.
        like: `Predictions` whose order of pictures they shall have, or `None` for the run's own.
        level: As for `Run.scores`.

    Returns:
        float32 array `(pictures, classes)`.

    Raises:
        UserError: If the run was tested on other pictures or classes, or has no such level.
    """
    from saliency_keras.metrics.classification import softmax

    found, own = softmax(run.scores(level)), run.predictions
    if like is None:
        return found
    own.in_order_of(like)  # says what differs
    order = np.argsort(own.ids)
    return found[order[np.searchsorted(own.ids[order], like.ids)]]


def together(runs, level=""):
    """What several runs say as one: the `Predictions` of the mean of their probabilities.

    Args:
        runs: `Run`s that were tested on the same pictures, in any order and cropped in any way.
        level: Name of a further output that is a prediction, such as `"local"`, or `""`.

    Returns:
        `Predictions`, in the order of the first run. Those of one run alone are its own, where no level is asked for.

    Raises:
        UserError: If the runs do not fit each other.
    """
    first = runs[0].predictions
    if len(runs) == 1 and not level:
        return first
    from saliency_keras.metrics.classification import first_classes, rank_of_true_class

    mean = np.mean([probabilities(run, first, level) for run in runs], axis=0)
    return dataclasses.replace(first, ranks=rank_of_true_class(mean, first.labels), first=first_classes(mean, 5))


@dataclasses.dataclass(frozen=True)
class Ensemble(Run):
    """Several finished runs that are judged as one classifier.

    Attributes:
        runs: The `Run`s.
    """

    runs: tuple = ()

    @classmethod
    def of_runs(cls, runs):
        """The ensemble of some `Run`s; a `UserError` if one is given twice or they were tested on other pictures."""
        folders = [run.folder.resolve() for run in runs]
        for folder in folders:
            if folders.count(folder) > 1:
                raise UserError(f"the run {folder} is given twice.")
        name, first = " + ".join(run.folder.name for run in runs), runs[0]
        config = {**first.config, "experiment": {**first.config["experiment"], "name": name}}
        folder = first.folder.parent / name.replace(" ", "")
        found = cls(folder, config, first.history, first.summary, runs=tuple(runs))
        _ = found.predictions
        return found

    @functools.cached_property
    def predictions(self):
        """The `Predictions` of the mean of the runs' probabilities."""
        return together(self.runs)

    def scores(self, level=""):
        """The logarithm of the mean probabilities: float32 array `(pictures, classes)`."""
        first = self.runs[0].predictions
        mean = np.mean([probabilities(run, first, level) for run in self.runs], axis=0)
        return np.log(np.maximum(mean, np.finfo("float32").tiny))

    def network(self):
        """There is no single network of several runs."""
        raise UserError(f"{self.name} are {len(self.runs)} networks; take one of them.")

    @property
    def top1(self):
        """Top-1 accuracy on the validation pictures, 0 to 1."""
        return float(self.predictions.correct(1).mean())

    @property
    def top5(self):
        """Top-5 accuracy on the validation pictures, 0 to 1."""
        return float(self.predictions.correct(5).mean())

    def figures(self):
        """The figures in a line, for a reader."""
        parameters = sum(run.summary["parameters"]["total"] for run in self.runs)
        has_top5 = is_worth_telling("top5", len(self.predictions.classes))
        top5 = f", Top-5 {100 * self.top5:.2f} %" if has_top5 else ""
        return (
            f"Top-1 {100 * self.top1:.2f} %{top5}, the mean of {len(self.runs)} networks' probabilities, "
            f"{parameters:,} parameters"
        )


def classifier_of(word):
    """A run, or several as one classifier.

    Args:
        word: A `Run`, a run folder, or several joined by `+`.

    Returns:
        The `Run`, an `Ensemble` where there are several.

    Raises:
        UserError: If one is no finished run, or they do not fit each other.
    """
    if isinstance(word, Run):
        return word
    folders = parts_of(word)
    return Run.load(folders[0]) if len(folders) == 1 else Ensemble.of_runs([Run.load(folder) for folder in folders])


def parts_of(word):
    """The run folders that a word names, joined by `+`: a list of `Path`s; a folder whose own name has a + is one."""
    names = [str(word)] if Path(word).is_dir() else str(word).split("+")
    if not all(names):
        raise UserError(f"runs that are judged as one are joined by +: RUN+RUN. Received: {word}")
    return [Path(name) for name in names]
