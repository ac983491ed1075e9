"""A run's best and worst cases: the pictures it was surest of, rightly and wrongly, with the maps it was shown.

The pictures come from the compact data set the run was trained on, if that is still where it was; without it the
cases are described in words alone.
"""

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.figures.document import Case, Gallery, Heading, photograph
from saliency_keras.figures.overlay import heat, overlay
from saliency_keras.metrics.classification import softmax

CASES = 6


def case_blocks(run):
    """Best and worst cases of a run.

    Args:
        run: `runs.run.Run`.

    Returns:
        A document's blocks.
    """
    predictions = run.predictions
    probabilities = softmax(run.scores())
    of_true = _of_class(probabilities, predictions.labels)
    right, wrong = best_and_worst(of_true, predictions.correct())
    try:
        pictures, note = pictures_shown(run, set(predictions.ids[[*right, *wrong]])), []
    except UserError as error:
        pictures, note = {}, [f"The pictures themselves are not shown: {error}"]

    def case(index):
        first = predictions.first[index, 0]
        lines = [
            f"true: {predictions.classes[predictions.labels[index]]}, {_in_percent(of_true[index])}",
            f"first: {predictions.classes[first]}, {_in_percent(probabilities[index, first])}",
            str(predictions.ids[index]),
        ]
        return Case(pictures.get(predictions.ids[index], []), lines if index in wrong else [lines[0], lines[2]])

    blocks = list(note)
    for title, chosen in (("Surest and right", right), ("Most wrong", wrong)):
        blocks += [Heading(title, level=3), Gallery([case(index) for index in chosen]) if chosen else "None."]
    return blocks


def probability_of_true(run):
    """The probability that a run gives the true class of each picture: float32 `(pictures,)`."""
    return _of_class(softmax(run.scores()), run.predictions.labels)


def _of_class(probabilities, classes):
    return np.take_along_axis(probabilities, classes[:, None], axis=1)[:, 0]


def best_and_worst(of_true, correct, count=CASES):
    """Chooses the cases: right with the highest, and wrong with the lowest probability of the true class.

    Args:
        of_true: Float array `(pictures,)`, probability of the true class.
        correct: bool array `(pictures,)`.
        count: How many of each, at most.

    Returns:
        Two lists of indices, the most extreme first.
    """
    right, wrong = np.flatnonzero(correct), np.flatnonzero(~correct)
    best = right[np.argsort(-of_true[right], kind="stable")[:count]]
    worst = wrong[np.argsort(of_true[wrong], kind="stable")[:count]]
    return best.tolist(), worst.tolist()


def pictures_shown(run, ids):
    """The pictures of those ids as the run's validation saw them, each with the map it was shown and the overlay.

    Args:
        run: `runs.run.Run`.
        ids: Set of ids.

    Returns:
        `{id: [picture, map, overlay]}`, `document.Picture`s; the picture alone where the network sees no map.

    Raises:
        UserError: If the data set is no longer there, or is another one.
    """
    from saliency_keras.data.reader import Reader
    from saliency_keras.data.shown import Shown
    from saliency_keras.data.stored import Records

    manifest, split = run.data_set(), run.predictions.split
    stored = Records(manifest, split)
    # Predictions of a whole split are in its order on disk, so that not every shard has to be looked through.
    places = np.flatnonzero(np.isin(run.predictions.ids, list(ids)))
    if len(stored) != run.predictions.ids.size or set(stored.ids(places)) != set(ids):
        places = np.flatnonzero(np.isin(stored.ids(np.arange(len(stored))), list(ids)))
    side = run.settings["side"]
    reader = Reader(manifest, split, side, len(ids), run.maps and Shown.parse(run.maps), run.seed, subset=places)
    ((inputs, _),) = reader.validation()
    found = {}
    for index, picture in enumerate(stored.ids(reader.places)):
        pixels = inputs["image"][index]
        found[picture] = [photograph(pixels, "picture")]
        if "saliency" in inputs:
            saliency_map = inputs["saliency"][index]
            found[picture].append(photograph(heat(saliency_map), "saliency map"))
            found[picture].append(photograph(overlay(pixels, saliency_map), "map over picture"))
    return found


def _in_percent(probability):
    return f"{100 * probability:.2g} %" if probability < 0.1 else f"{100 * probability:.1f} %"
