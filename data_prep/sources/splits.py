"""Which pictures are learned from and which are for validation, where a source does not say so in the usual words.

What a folder or a column calls its splits is understood: `train` or `training`, and `val`, `valid`, `validation`,
`test` or `testing`, the first of them that is there. Where nothing is set apart, a share of each class is held out by a
hash of the pictures' ids: the draw is the same on every machine, and stays when pictures are added.
"""

import hashlib

from saliency_keras.console import UserError

NAMES = {"train": ("train", "training"), "val": ("val", "valid", "validation", "test", "testing")}


def check_share(share):
    """Refuses a share that holds out nothing or everything."""
    if not 0 < share < 1:
        raise UserError(f"--hold-out is a share of the pictures, more than 0 and less than 1; received {share}.")


def named_split(there, split):
    """The name of a split among those that are there, whatever their case; `None` if none is."""
    if exact := next((name for name in NAMES[split] if name in there), None):
        return exact
    by_name = {str(name).strip().lower(): name for name in there}
    return next((by_name[name] for name in NAMES[split] if name in by_name), None)


def held_out(pictures, share):
    """The pictures that are held out from learning.

    Args:
        pictures: `Picture`s.
        share: About which share of them.

    Returns:
        Their ids, a set. Each class of two or more pictures has at least one in it and one out of it.
    """
    chosen, of_class = set(), {}
    for picture in pictures:
        place = int.from_bytes(hashlib.sha256(f"hold-out/{picture.id}".encode()).digest()[:8]) / 2**64
        if place < share:
            chosen.add(picture.id)
        least, greatest, out = of_class.get(picture.label, (None, None, [0, 0]))
        out[place < share] += 1
        least = min(least or (place, picture.id), (place, picture.id))
        greatest = max(greatest or (place, picture.id), (place, picture.id))
        of_class[picture.label] = (least, greatest, out)
    for (_, first), (_, last), (within, without) in of_class.values():
        if not without and within > 1:
            chosen.add(first)
        elif not within and without > 1:
            chosen.discard(last)
    return chosen
