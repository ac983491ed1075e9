"""Simulated fixations: a set that can be read, named as simulated, and looked at where the object is."""

import numpy as np

from data_prep.sources.popout import make
from data_prep.sources.simulated_fixations import write_simulated_fixations
from saliency_keras.data.fixation_set import read_fixation_set
from saliency_keras.data.pictures import read_picture


def test_most_simulated_fixations_lie_on_the_object_and_the_first_near_the_middle(tmp_path):
    found = read_fixation_set(write_simulated_fixations(tmp_path / "set", pictures=12, observers=4, fixations=6))
    assert len(found.images) == 12
    assert (len(found.x), found.outside) == (12 * 4 * 6, 0)
    assert all(name.startswith("simulated-") for name in found.subjects)
    on_object, first = [], []
    for index, image in enumerate(found.images):
        pixels, mask, _ = make("val", index)
        np.testing.assert_array_equal(read_picture(found.path(image)), pixels)
        points = found.points(image, only="simulated-0")
        first.append((points.x[0], points.y[0]))
        on_object += [mask[round(y), round(x)] > 0 for x, y in zip(points.x[1:], points.y[1:], strict=True)]
    assert 0.7 < np.mean(on_object) < 0.95
    assert np.abs(np.mean(first, axis=0) - 127.5).max() < 25
    assert 5 < np.std(first) < 50


def test_same_seed_gives_the_same_set(tmp_path):
    texts = [
        (write_simulated_fixations(tmp_path / name, pictures=3, seed=seed) / "fixations.csv").read_text()
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    assert texts[0] == texts[1] != texts[2]
