"""What came out of several runs, in a sentence or two: what a page begins with, and a command ends with."""

from saliency_keras.figures.evaluation import compared, difference_sentence, verdict
from saliency_keras.figures.intervals import pooled, rows_of_seeds
from saliency_keras.runs.labels import labels_of

VERDICTS = 3  # rows that are each compared with the first in a sentence; of more, the best one is


def conclusion(runs):
    """What came out, in a sentence or two: what each further run, or row of runs that differ by seed, is to the first.

    Args:
        runs: `runs.run.Run`s of classifiers, one or more.

    Returns:
        The sentences.
    """
    first, *others = runs
    if not others:
        return verdict(first)
    baseline, found = against_first(runs)
    if not found:  # nothing was trained with the first one's seed
        best = max(others, key=lambda run: run.predictions.correct().mean())
        return f"The best: {verdict(best, first)}" if len(others) > 1 else verdict(best, first)
    told = []
    for row, one in found if len(found) <= VERDICTS else [max(found, key=lambda pair: pair[1].value)]:
        over = f"over {one.pictures:,} pictures" + f" and {len(one.seeds)} seeds" * (len(one.seeds) > 1)
        two = {row.label: row.first, baseline.label: baseline.first}
        told.append(difference_sentence(two, (one.value, one.low, one.high, one.pictures), over))
    return " ".join(told) if len(found) <= VERDICTS else f"The best of {len(found)}: {told[0]}"


def what_is_compared(runs):
    """What a page on some runs compares with what, in a sentence; `""` for one run.

    Runs that differ by seed are one row, which is compared with that of the first run. Where all are one row, each run
    is compared with the first one.
    """
    rows = rows_of_seeds(runs)
    labels = [row.label for row in rows] if len(rows) > 1 else labels_of(runs)
    return compared(*labels[1:], labels[0]) if len(labels) > 1 else ""


def against_first(runs):
    """Compares the rows of some runs, runs that differ by seed being one row, with that of the first run.

    Args:
        runs: `runs.run.Run`s of classifiers.

    Returns:
        The first run's `intervals.Seeds`, and a list of the others, each with its difference at Top-1, an `Estimate`;
        a row that shares no seed with the first is left out.
    """
    baseline, *rows = rows_of_seeds(runs)
    pairs = [(row, row.less(baseline)) for row in rows]
    pairs = [(row, difference) for row, difference in pairs if difference is not None]
    if not pairs:
        return baseline, []
    found = pooled([difference for _, difference in pairs])
    return baseline, [(row, one) for (row, _), one in zip(pairs, found, strict=True)]
