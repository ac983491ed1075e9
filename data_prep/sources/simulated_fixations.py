"""Simulated fixations on the built-in pictures: something to try the fixation metrics on, and nothing else.

Nobody has looked at `popout`. An observer is simulated who looks near the middle of the screen first, as people do
(Tatler 2007), then mostly at the object and now and then anywhere. Scores on such a set say whether a map finds the
drawn object. They say nothing about people; never report them as if they did.
"""

import csv
from pathlib import Path

import numpy as np

from data_prep.sources.popout import SQUARE, make
from saliency_keras.files import whole_file

MIDDLE = 0.1  # standard deviation of the first fixation around the middle, as share of the side
ASTRAY = 0.2  # share of the further fixations that are anywhere


def write_simulated_fixations(folder, pictures=30, observers=5, fixations=5, seed=0):
    """Writes a fixation set of built-in pictures and simulated observers.

    Args:
        folder: Where to; made if absent. Its `images/` and `fixations.csv` are replaced.
        pictures: The first so many pictures of `popout`'s val split.
        observers: Simulated observers of each picture.
        fixations: Fixations of each observer on each picture, the first one near the middle.
        seed: Seed of the fixations.

    Returns:
        The folder, a fixation set as `saliency_keras.data.fixation_set` reads it.
    """
    from PIL import Image

    folder = Path(folder)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for index in range(pictures):
        pixels, mask, _ = make("val", index)
        name = f"popout-{index:04d}.png"
        Image.fromarray(pixels).save(folder / "images" / name)
        random = np.random.default_rng([seed, index])
        for observer in range(observers):
            places = _places(random, mask, fixations)
            rows += [[name, f"simulated-{observer}", f"{x:.1f}", f"{y:.1f}"] for x, y in places]
    with whole_file(folder / "fixations.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["image", "subject", "x", "y"], *rows])
    return folder


def _places(random, mask, fixations):
    """What one simulated observer looks at: float `(fixations, 2)`, x and y inside the picture."""
    first = random.normal((SQUARE - 1) / 2, MIDDLE * SQUARE, (1, 2))
    on_object = np.argwhere(mask > 0.5)[:, ::-1]
    places = on_object[random.integers(len(on_object), size=fixations - 1)].astype("float64")
    astray = random.uniform(size=fixations - 1) < ASTRAY
    places[astray] = random.uniform(0, SQUARE - 1, (astray.sum(), 2))
    return np.concatenate([first, places]).clip(0, SQUARE - 1)
