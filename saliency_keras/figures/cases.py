"""A run's best and worst cases: the pictures it was surest of, rightly and wrongly, with the maps it was shown.

The pictures come from the compact data set the run was trained on, if that is still where it was; without it the
cases are described in words alone.
"""

import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.figures.document import Case, Gallery, Heading, photograph
from saliency_keras.figures.overlay import heat, overlay
from saliency_keras.metrics.classification import softmax

CASES = 6
DISAGREEMENTS = 3  # pictures shown of each kind


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
    found = {}
    for picture, (pixels, saliency_map) in inputs_shown(run, ids).items():
        found[picture] = [photograph(pixels, "picture")]
        if saliency_map is not None:
            found[picture].append(photograph(heat(saliency_map), "saliency map"))
            found[picture].append(photograph(overlay(pixels, saliency_map), "map over picture"))
    return found


def disagreement_blocks(run, other, label, label_other):
    """Pictures that one of two runs has right and the other wrong, with the map and Grad-CAM of both.

    Those are shown for which the two differ most in the probability of the true class. Grad-CAM is that of the class
    that each run chooses, over the picture in grey.

    Args:
        run: `runs.run.Run`.
        other: Another one, tested on the same pictures.
        label: What `run` is called.
        label_other: What `other` is called.

    Returns:
        A document's blocks; without the data set or the trained networks, what is there of it.
    """
    ours, theirs = run.predictions, other.predictions.in_order_of(run.predictions)
    place = {picture: index for index, picture in enumerate(other.predictions.ids)}
    same = np.array([place[picture] for picture in ours.ids])
    chances = [softmax(run.scores()), softmax(other.scores())[same]]
    of_true = [_of_class(one, ours.labels) for one in chances]
    apart = of_true[0] - of_true[1]
    right = ours.correct(), theirs.correct()
    groups = {
        f"{label} is right, {label_other} is wrong": np.flatnonzero(right[0] & ~right[1]),
        f"{label_other} is right, {label} is wrong": np.flatnonzero(right[1] & ~right[0]),
    }
    groups = {
        title: sorted(found, key=lambda index: -abs(apart[index]))[:DISAGREEMENTS] for title, found in groups.items()
    }
    wanted = set(ours.ids[[index for found in groups.values() for index in found]])
    try:
        pictures, note = _seen_by_both(wanted, {label: run, label_other: other}) if wanted else {}, []
    except UserError as error:
        pictures, note = {}, [f"The pictures themselves are not shown: {error}"]
    blocks = list(note)
    for title, found in groups.items():
        cases = []
        for index in found:
            said = [
                f"{name}: {ours.classes[first]}, {_in_percent(chance[index, first])}"
                for name, chance, first in zip(
                    (label, label_other), chances, (ours.first[index, 0], theirs.first[index, 0]), strict=True
                )
            ]
            lines = [f"true: {ours.classes[ours.labels[index]]}", *said, str(ours.ids[index])]
            cases.append(Case(pictures.get(ours.ids[index], []), lines))
        blocks += [Heading(title, level=3), Gallery(cases) if cases else "None."]
    return blocks


def _seen_by_both(ids, runs):
    """Of each picture: itself, and for each run its map and what its choice rests on."""
    from saliency_keras.runs.classifier import Classifier

    found = {}
    for label, run in runs.items():
        classifier = Classifier(run.folder) if run_folder.has_network(run.folder) else None
        for picture, (pixels, saliency_map) in inputs_shown(run, ids).items():
            shown = found.setdefault(picture, [photograph(pixels, "picture")])
            seen = classifier and classifier.classified(pixels, saliency_map)
            saliency_map = seen.saliency if seen else saliency_map
            if saliency_map is not None:
                shown.append(photograph(heat(saliency_map), f"map, {label}"))
            if seen:
                shown.append(photograph(overlay(pixels, seen.grad_cam), f"Grad-CAM, {label}"))
    return found


def inputs_shown(run, ids):
    """What a run's validation showed its network of some pictures.

    Args:
        run: `runs.run.Run`.
        ids: Set of ids.

    Returns:
        From an id to uint8 pixels `(side, side, 3)`, and the map uint8 `(side, side)` or `None`.

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
    maps = inputs["saliency"][..., 0] if "saliency" in inputs else [None] * len(inputs["image"])
    return dict(zip(stored.ids(reader.places), zip(inputs["image"], maps, strict=True), strict=True))


def _in_percent(probability):
    return f"{100 * probability:.2g} %" if probability < 0.1 else f"{100 * probability:.1f} %"
