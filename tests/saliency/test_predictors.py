"""What every predictor keeps to, and how well the classical ones predict people."""

import csv
import json

import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.data.pictures import read_picture
from saliency_keras.saliency import predictor

CLASSICAL = ("gbvs", "itti", "aim", "sdlf")
NAMES = (*CLASSICAL, "center", "uniform")


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 2), (7, 3), (60, 80)])
@pytest.mark.parametrize("name", NAMES)
def test_maps_are_finite_and_of_the_pictures_size(name, shape):
    pictures = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), np.uint8)
    maps = predictor(name)(pictures)
    assert maps.shape == (2, *shape)
    assert maps.dtype == np.float32
    assert np.isfinite(maps).all()
    assert (maps >= 0).all()
    assert maps.max() > 0


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_picture_without_contrast_gets_ones(name):
    for level in (0, 131, 255):
        np.testing.assert_allclose(predictor(name)(np.full((1, 50, 70, 3), level, np.uint8)), 1, atol=1e-5)


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_map_is_the_same_in_every_batch(name):
    """To the last bit, or shards would depend on the number of workers."""
    predict = predictor(name)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 45, 61, 3), np.uint8)
    together = predict(pictures)
    for number in range(3):
        np.testing.assert_array_equal(predict(pictures[[number]])[0], together[number])
    np.testing.assert_array_equal(predictor(name)(pictures[::-1])[::-1], together)


@pytest.mark.parametrize("name", CLASSICAL)
def test_a_mirrored_picture_has_the_mirrored_map(name):
    pictures = np.random.default_rng(0).integers(0, 256, (1, 48, 64, 3), np.uint8)
    found, mirrored = (predictor(name)(batch)[0] for batch in (pictures, pictures[:, :, ::-1]))
    if name == "aim":
        # Its components have a left and a right.
        assert np.corrcoef(found.ravel(), mirrored[:, ::-1].ravel())[0, 1] > 0.5
    else:
        np.testing.assert_allclose(found, mirrored[:, ::-1], rtol=0.02, atol=0.02 * found.max())


@pytest.mark.parametrize("name", CLASSICAL)
def test_what_a_manifest_records_of_a_predictor_makes_the_same_one_again(name):
    made = type(predictor(name))(sigma_blur=0.1)
    recorded = json.loads(json.dumps(made.parameters))
    assert recorded == made.parameters
    assert recorded["sigma_blur"] == 0.1
    pictures = np.random.default_rng(0).integers(0, 256, (1, 40, 50, 3), np.uint8)
    again = type(made)(**recorded)(pictures)
    np.testing.assert_array_equal(again, made(pictures))
    assert not np.array_equal(again, predictor(name)(pictures))


def test_an_unknown_name_is_told_the_known_ones():
    with pytest.raises(UserError, match="gbvs, itti, aim, sdlf"):
        predictor("gvbs")


def _area_under_curve(positives, negatives):
    """Mann-Whitney, ties one half."""
    negatives = np.sort(negatives)
    below, up_to = (np.searchsorted(negatives, positives, side) for side in ("left", "right"))
    return ((below + up_to) / 2).mean() / len(negatives)


@pytest.fixture(scope="module")
def osie(shared_data):
    """Every 35th OSIE photograph, and the pixels people fixated in each."""
    folder = shared_data / "osie"
    fixated = {}
    with open(folder / "fixations.csv", newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            fixated.setdefault(row["image"], []).append((round(float(row["y"])), round(float(row["x"]))))
    names = sorted(fixated)[::35]
    pictures = np.stack([read_picture(folder / "images" / name) for name in names])
    height, width = pictures.shape[1:3]
    points = [np.array([p for p in fixated[name] if 0 <= p[0] < height and 0 <= p[1] < width]) for name in names]
    return pictures, points


@pytest.mark.shared_data
@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("gbvs", 0.79), ("itti", 0.75), ("aim", 0.70), ("sdlf", 0.70)])
def test_people_look_where_it_says(osie, name, least):
    """AUC against all pixels of the picture, and against places fixated in others, where `center` has one half."""
    pictures, points = osie
    maps = predictor(name)(pictures)
    judd, shuffled = [], []
    for number, one in enumerate(maps):
        positives = one[tuple(points[number].T)]
        elsewhere = np.concatenate([other for index, other in enumerate(points) if index != number])
        judd.append(_area_under_curve(positives, one.ravel()))
        shuffled.append(_area_under_curve(positives, one[tuple(elsewhere.T)]))
    assert np.mean(judd) >= least
    assert np.mean(shuffled) > 0.6
