"""What runs of `classifier_attention` attend to, scale after scale: in a photograph, and in the pictures of a set."""

import dataclasses

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data.boxes import read_boxes
from saliency_keras.data.second_look import RunLook, Seen, attended, looks_of
from saliency_keras.data.stored import Records
from saliency_keras.metrics.classification import first_classes
from saliency_keras.runs.classifier import BEST, Classifier
from saliency_keras.runs.run import network_in


@dataclasses.dataclass(frozen=True)
class Look:
    """One scale: what a network saw, and what it attended to.

    Attributes:
        picture: uint8 `(side, side, 3)`, the picture as the network sees it.
        saliency: float32 `(side, side)`, its attention.
        box: `(left, top, right, bottom)` in pixels of `picture`, the attended box, or `None` where nothing stands out.
        true: The same of the object, or `None` where it is not known.
        title: What it is, in words.
    """

    picture: np.ndarray
    saliency: np.ndarray
    box: tuple | None
    true: tuple | None = None
    title: str = ""


@dataclasses.dataclass(frozen=True)
class LookedAt:
    """A photograph after all looks.

    Attributes:
        photo: uint8 `(height, width, 3)`.
        boxes: The attended boxes in its pixels, one a scale; `None` where nothing stands out.
        looks: The `Look`s, one a scale.
        classes: Names of the best classes, best first.
        probabilities: Theirs, the mean over the scales.
    """

    photo: np.ndarray
    boxes: tuple
    looks: tuple
    classes: tuple[str, ...]
    probabilities: np.ndarray


class Looker:
    """Runs of one scale after another, applied to photographs.

    Args:
        folders: Their run folders, in the order of the scales.

    Raises:
        UserError: If one is no finished run of `classifier_attention`, or they do not follow each other.
    """

    def __init__(self, folders):
        self._looks = looks_of("+".join(map(str, folders)))
        self._classifiers = [Classifier(folder) for folder in folders]
        self.classes = self._classifiers[0].classes
        for folder, classifier in zip(folders, self._classifiers, strict=True):
            if classifier.classes != self.classes:
                raise UserError(f"{folder} was trained on other classes than {folders[0]}.")

    def __call__(self, pixels):
        """Looks at a photograph.

        Args:
            pixels: uint8 array `(height, width, 3)`, RGB.

        Returns:
            `LookedAt`.
        """
        found = attended(self._looks, [Seen(pixels)])[0]
        crops = [(0, 0, *pixels.shape[1::-1]), *(one.crop for one in found[:-1])]
        looks, every = [], []
        for number, (crop, look, classifier) in enumerate(
            zip(crops, self._looks, self._classifiers, strict=True), 1
        ):
            left, top, right, bottom = crop
            classified = classifier(pixels[top:bottom, left:right])
            every.append(classified.every)
            box = _box_seen(look, look.run(classified.picture[None])[0])
            best = f"{classified.classes[0]} {100 * classified.probabilities[0]:.1f} %"
            looks.append(Look(classified.picture, classified.saliency, box, title=f"scale {number}: {best}"))
        mean = np.mean(every, axis=0)
        first = first_classes(mean[None], BEST)[0]
        boxes = tuple(None if one.whole else one.box for one in found)
        return LookedAt(pixels, boxes, tuple(looks), tuple(self.classes[index] for index in first), mean[first])


def scales_of(runs, count):
    """The first val pictures of a set, as the networks of one scale after another see them.

    Args:
        runs: `Run`s of `classifier_attention`, in the order of the scales.
        count: Number of pictures.

    Returns:
        A list with one list of `Look`s a picture, one for each scale.

    Raises:
        UserError: If a set or a network is gone.
    """
    found, ids = [], None
    for number, run in enumerate(runs, 1):
        manifest, look, network = run.data_set(), RunLook(run.folder), network_in(run.folder)
        records = Records(manifest, "val")
        all_ids = np.asarray(records.ids(np.arange(len(records))))
        ids = all_ids[:count] if ids is None else ids
        places = np.array([int(np.flatnonzero(all_ids == one)[0]) for one in ids])
        side, start = look.run.side, (manifest.side - look.run.side) // 2
        crop = np.s_[start : start + side, start : start + side]
        shape = (manifest.side, manifest.side, 4)
        # Copied one by one: each is good until the next one is read.
        pictures = np.stack([one.view(np.uint8).reshape(shape)[..., :3][crop].copy() for one in records.words(places)])
        maps, masks = network.map_as_used({"image": pictures}, (side, side)), look.run(pictures)
        true, labels = read_boxes(manifest.folder, "val"), records.labels(places)
        of_scale = []
        for one, saliency, mask, identifier, label in zip(pictures, maps, masks, ids, labels, strict=True):
            box = true.get(identifier)
            box = None if box is None else tuple(np.clip(np.multiply(box, manifest.side) - start, 0, side))
            title = f"{manifest.classes[label]}, scale {number}"
            of_scale.append(Look(one, saliency, _box_seen(look, mask), box, title))
        found.append(of_scale)
    return [list(of_picture) for of_picture in zip(*found, strict=True)]


def _box_seen(look, mask):
    """The box around a mask in the picture that the network sees, or `None`."""
    places = look.places(mask)
    rows, columns = look.run.edges
    return places and (columns[places[0]], rows[places[1]], columns[places[2]], rows[places[3]])
