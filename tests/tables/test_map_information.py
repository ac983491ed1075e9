"""`reproduce map-information`: what a linear classifier has right that sees the maps alone."""

import csv
import itertools

import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.reproduce import main
from saliency_keras.tables.backbones import logistic_regression
from saliency_keras.tables.map_information import GRID, PENALTIES, averaged, labels_learned, probe
from tests.small_sets import write_small_set

SIZES = {"train": (300,), "val": (200,)}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """The table of a set whose second map tells the class: whether its left half is the brighter one."""
    folders = [tmp_path_factory.mktemp(name) for name in ("maps", "set", "out")]
    _, arrays = write_small_set(folders[0], classes=2, **SIZES)
    labels = {}
    for split, written in arrays.items():
        halves = written["other"].reshape(-1, 36, 2, 18).mean(axis=(1, 3))
        labels[split] = (halves[:, 0] > halves[:, 1]).astype("int64")
    write_small_set(folders[1], classes=2, labels_of=labels, **SIZES)
    main(["map-information", "--data", str(folders[1]), "--out", str(folders[2])])
    with open(folders[2] / "map-information" / "table.csv", newline="", encoding="utf-8") as file:
        rows = {row["map"]: row for row in csv.DictReader(file)}
    return folders[2] / "map-information", rows, labels


def test_a_map_that_tells_the_class_is_above_chance_and_one_that_does_not_is_not(table):
    _, rows, labels = table
    chance = float(rows["chance"]["top1"])
    assert chance == pytest.approx(max(labels["val"].mean(), 1 - labels["val"].mean()), abs=1e-6)
    assert float(rows["other"]["low"]) > chance + 0.1
    for name in ("first", "first, other pictures'", "center"):
        assert float(rows[name]["low"]) < chance, name


def test_one_map_for_all_pictures_gets_right_what_naming_one_class_does(table):
    _, rows, labels = table
    often = np.bincount(labels["train"]).argmax()
    assert float(rows["center"]["top1"]) == pytest.approx((labels["val"] == often).mean(), abs=1e-6)


def test_the_table_says_what_it_was_fitted_to_and_has_a_figure(table):
    folder, _, _ = table
    text = " ".join((folder / "table.md").read_text(encoding="utf-8").split())
    assert "fitted to 300 pictures of train, tested on 200 of val" in text
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_a_map_is_averaged_over_a_grid_also_where_its_side_is_no_multiple_of_it():
    one = np.random.default_rng(0).integers(0, 256, (37, 37), np.uint8)
    edges = np.linspace(0, 37, GRID + 1).round().astype(int)
    parts = [
        one[top:bottom, left:right].mean() / 255
        for top, bottom in itertools.pairwise(edges)
        for left, right in itertools.pairwise(edges)
    ]
    np.testing.assert_allclose(averaged(one), parts)


def test_the_penalty_that_serves_held_out_pictures_best_is_taken():
    """One telling feature among many random ones, few pictures; the largest of equally good penalties."""
    draw = np.random.default_rng(1)
    labels, val_labels = (draw.integers(0, 2, count) for count in (60, 200))
    train, val = (draw.normal(size=(count.size, 40)) for count in (labels, val_labels))
    train[:, 0] += 3 * labels
    val[:, 0] += 3 * val_labels

    def right(kept, tested, truth, penalty):
        mean, deviation = train[kept].mean(axis=0), train[kept].std(axis=0)
        kernel, bias = logistic_regression((train[kept] - mean) / deviation, labels[kept], 2, penalty)
        return (((tested - mean) / deviation @ kernel + bias).argmax(axis=1) == truth).sum()

    every = np.arange(60)
    held_out, kept = every[::5], np.delete(every, every[::5])
    of_penalty = [right(kept, train[held_out], labels[held_out], one) for one in PENALTIES]
    best = max(one for one, count in zip(PENALTIES, of_penalty, strict=True) if count == max(of_penalty))
    assert probe(train, labels, val, val_labels, 2) == (right(every, val, val_labels, best), best)


def test_the_labels_that_a_predictor_learned_are_named():
    assert labels_learned({"name": "gbvs", "parameters": {"map_side": 32}}) == "none"
    readout = {"backbone": "ResNet50", "backbone_weights": "imagenet"}
    assert labels_learned({"name": "readout", "parameters": readout}) == "ImageNet's"
    assert labels_learned({"name": "mine", "parameters": {"experiment": {}, "weights": "a"}}) == "those of its run"
    assert labels_learned({"name": "from elsewhere"}) == "not known"


def test_what_only_trainings_take_is_refused(tmp_path):
    write_small_set(tmp_path)
    with pytest.raises(UserError, match="map-information trains no run"):
        main(["map-information", "--data", str(tmp_path), "--epochs", "3", "--out", str(tmp_path / "out")])
    with pytest.raises(UserError, match="--limit must be at least 5"):
        main(["map-information", "--data", str(tmp_path), "--limit", "2", "--out", str(tmp_path / "out")])
