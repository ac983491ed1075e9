"""The fixed split of a fixation set into pictures to learn from and pictures to be judged on.

A picture's name alone decides, by its hash, so that the split stays the same when pictures are added, and everything
that learns from fixations holds out the same ones. It goes by pictures, with all their observers.
"""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from saliency_keras.console import UserError

EVERY = 5


def is_held_out(image):
    """Whether the picture of that name is held out from learning: about every fifth is.

    Args:
        image: File name of the picture, without folder; its suffix does not matter.

    Returns:
        A bool, the same on every machine.
    """
    digest = hashlib.sha256(Path(image).stem.encode()).hexdigest()
    return int(digest[:8], 16) % EVERY == 0


def split(fixation_set):
    """Splits a fixation set.

    Args:
        fixation_set: `FixationSet`.

    Returns:
        Two `FixationSet`s: to learn from, and held out.
    """
    held_out = [image for image in fixation_set.images if is_held_out(image)]
    learned = [image for image in fixation_set.images if not is_held_out(image)]
    return subset(fixation_set, learned), subset(fixation_set, held_out)


def parts_of(fixation_set):
    """Splits a fixation set by its pictures' names, those that nobody looked at left out.

    Args:
        fixation_set: `FixationSet`.

    Returns:
        Two `FixationSet`s: to learn from, and held out.

    Raises:
        UserError: If one of them is empty.
    """
    fixated = [image for image in fixation_set.images if len(fixation_set.points(image))]
    learned, held_out = split(subset(fixation_set, fixated))
    if not learned.images or not held_out.images:
        raise UserError(
            f"{fixation_set.folder} has too few pictures with fixations: {len(learned.images)} to learn from, "
            f"{len(held_out.images)} held out by their names (about every fifth is)."
        )
    return learned, held_out


def subset(fixation_set, images):
    """The same fixation set with some of its pictures only.

    Args:
        fixation_set: `FixationSet`.
        images: Names of pictures it has, sorted.

    Returns:
        A `FixationSet`.
    """
    place_of = {image: place for place, image in enumerate(fixation_set.images)}
    places = [place_of[image] for image in images]
    starts = fixation_set.starts
    taken = [np.arange(starts[place], starts[place + 1]) for place in places]
    rows = np.concatenate([np.arange(0), *taken])
    return dataclasses.replace(
        fixation_set,
        images=tuple(images),
        sizes=tuple(fixation_set.sizes[place] for place in places),
        x=fixation_set.x[rows],
        y=fixation_set.y[rows],
        subjects=fixation_set.subjects[rows],
        starts=np.cumsum([0, *map(len, taken)]),
        outside=0,
        notes=(),
    )
