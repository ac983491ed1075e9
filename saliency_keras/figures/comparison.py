"""Is one run better than another: what `evaluate --against` says about two runs, as an object with its figures."""

from saliency_keras.figures.document import Document, Heading
from saliency_keras.figures.evaluation import comparison
from saliency_keras.figures.intervals import accuracy, difference
from saliency_keras.metrics.statistics import mcnemar_p
from saliency_keras.runs.labels import labels_of
from saliency_keras.runs.run import Run


class Comparison(Document):
    """Two runs compared picture by picture; in print and in a notebook a text with tables.

    Attributes:
        run: The `Run`.
        twin: The `Run` that it is compared with.
        top1: Top-1 of `run`, an `Estimate`: `value`, and `low` and `high` of its 95 % interval, 0 to 1.
        twin_top1: The same of `twin`.
        difference: Top-1 of `run` less that of `twin`, an `Estimate`; its interval is the paired bootstrap's.
        p: Two-sided p-value of McNemar's exact test.
    """

    def __init__(self, run, twin):
        labels = labels_of([run, twin])
        super().__init__([Heading(f"{labels[0]} against {labels[1]}"), *comparison(run, twin, *labels)])
        self.run, self.twin = run, twin
        ours = run.predictions
        theirs = twin.predictions.in_order_of(ours)
        self.top1, self.twin_top1 = accuracy([ours]), accuracy([theirs])
        self.difference = difference([ours], [theirs])
        right, before = ours.correct(), theirs.correct()
        self.p = mcnemar_p(int((right & ~before).sum()), int((before & ~right).sum()))


def compare(run, twin):
    """Compares two runs that were tested on the same pictures.

    Args:
        run: A `Run`, or the folder of one.
        twin: Another one; differences are positive where `run` is better.

    Returns:
        A `Comparison`.

    Raises:
        UserError: If one is no finished run of a classifier, or the two were not tested on the same pictures.
    """
    return Comparison(Run.of(run), Run.of(twin))
