"""Guided classifiers on a tiny set: the plain network at weight 0, what is taught, what is told, and mistakes."""

import csv

import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.reader import Reader
from saliency_keras.data.stored import Records
from saliency_keras.experiments import experiment
from saliency_keras.experiments.tables.guidance import GUIDED
from saliency_keras.models.grad_cam import grad_cam
from saliency_keras.runs.run import Run, network_in
from saliency_keras.training import listeners
from saliency_keras.training.loop import compile_model
from saliency_keras.training.tasks import task_named
from saliency_keras.training.train import train
from tests.small_sets import write_small_set

SIDE, STORED = 100, 104
SMALL = {"width_multiplier": 0.05, "dense_units": 8, "dropout": 0.2, "side": SIDE, "batch": 4, "epochs": 1}


def small(name, maps="own", **changes):
    chosen = experiment(name).showing(maps) if maps != "own" else experiment(name)
    return chosen.replace(**{**SMALL, **changes})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_small_set(folder, side=STORED, train=(8,), val=(5,), separable=True)
    return folder


@pytest.fixture(scope="module")
def baseline(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("baseline") / "rgb"
    train(small("rgb"), data, folder)
    return {"network": folder}


def what_is_left(folder):
    with open(folder / "history.csv", newline="") as file:
        history = [{**row, "seconds": None} for row in csv.DictReader(file)]
    return network_in(folder).model.get_weights(), history, Run.load(folder).scores()


def test_with_weight_0_it_is_the_plain_network_to_the_bit(data, baseline, tmp_path):
    train(small("guided_cam", guidance_weight=0.0), data, tmp_path / "guided")
    (weights, history, scores), (ours, our_history, our_scores) = map(
        what_is_left, (baseline["network"], tmp_path / "guided")
    )
    assert all(np.array_equal(one, other) for one, other in zip(ours, weights, strict=True))
    assert our_history == history
    np.testing.assert_array_equal(our_scores, scores)


def trained_step_by_step(chosen, data, folder):
    """The weights after one epoch of an experiment, without a run folder and without a graph to be compiled."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    task = task_named(chosen.task)(chosen, Manifest.load(data), 0, folder)
    model = keras.Model(task.fed.input, task.fed.output)
    compile_model(model, task, chosen.schedule)
    model.run_eagerly = True
    for inputs, targets in task.training(1, 1):
        model.train_on_batch(inputs, targets)
    return task.network.model.get_weights()


def test_the_other_methods_with_weight_0_are_their_unguided_networks_to_the_bit(data, tmp_path):
    unguided = {
        name: trained_step_by_step(small(name), data, tmp_path) for name in ("unguided", "unguided_attention")
    }
    for name in ("guided_gradient", "attention_transfer", "guided_attention"):
        found = trained_step_by_step(small(name, guidance_weight=0.0), data, tmp_path)
        assert all(np.array_equal(one, other) for one, other in zip(found, unguided[GUIDED[name]], strict=True)), name


def test_a_guided_network_is_taught_the_map_sees_none_and_says_how_well_grad_cam_agrees(data, tmp_path, monkeypatch):
    chosen, save = small("guided_cam", epochs=2), listeners.save_state
    step, traced = keras.Model.train_step, []
    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "train_step", lambda model, batch: traced.append(None) or step(model, batch))
        train(chosen, data, tmp_path / "whole")
    assert len(traced) == 1, "the step is traced once, which is most of a short training's time"
    run = Run.load(tmp_path / "whole")
    assert {"map_loss", "val_map_loss"} <= run.history.keys()
    assert run.maps == "own"
    model = run.network()
    assert list(model.input) == ["image"]
    reader = Reader(Manifest.load(data), "val", SIDE, 4)
    correlations = []
    for inputs, labels in reader.validation():
        explained = grad_cam(model, {"image": inputs["image"]}, labels)
        for one, other in zip(explained, inputs["saliency"][..., 0], strict=True):
            correlations.append(np.corrcoef(one.ravel(), other.ravel())[0, 1] if np.ptp(one) else 0.0)
    told = run.summary["agreement"]
    assert told["pictures"] == 5
    assert told["cc"] == pytest.approx(np.mean(correlations), abs=1e-5)

    def stop(*arguments):
        save(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(listeners, "save_state", stop)
    with pytest.raises(KeyboardInterrupt):
        train(chosen, data, tmp_path / "killed")
    monkeypatch.setattr(listeners, "save_state", save)
    train(chosen, data, tmp_path / "killed", resume=True)
    whole, resumed = what_is_left(tmp_path / "whole"), what_is_left(tmp_path / "killed")
    assert all(np.array_equal(one, other) for one, other in zip(resumed[0], whole[0], strict=True))
    assert resumed[1] == whole[1]


@pytest.mark.parametrize("name", ["guided_cam", "guided_attention", "attention_transfer", "unguided_attention"])
def test_on_features_that_are_computed_once_it_is_taught_the_same(name, data, baseline, tmp_path):
    chosen = small(name, crops="center", frozen=("trunk:conv1",), dropout=0.0)
    if name == "attention_transfer":
        chosen = chosen.replace(stages=("relu5",))
    train(chosen, data, tmp_path / "each_time", parents=baseline)
    train(chosen.replace(keep_features=True), data, tmp_path / "once", parents=baseline)
    each_time, once = (Run.load(tmp_path / one) for one in ("each_time", "once"))
    assert ("map_loss" in once.history) == (name != "unguided_attention")
    for column, values in each_time.history.items():
        if "loss" in column:
            np.testing.assert_allclose(once.history[column], values, rtol=1.5e-2, err_msg=column)  # half precision
    np.testing.assert_allclose(once.scores(), each_time.scores(), atol=0.02)


def test_a_gradient_at_the_picture_cannot_be_taught_on_features(data, tmp_path):
    kept = small("guided_gradient", crops="center", frozen=("trunk:conv1",), keep_features=True)
    with pytest.raises(UserError, match="goes through all layers: leave keep_features out"):
        train(kept, data, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_every_other_method_trains_on_maps_of_some_pictures_and_on_a_constant_one(data, tmp_path, monkeypatch):
    read = Records.maps

    def some(self, places):
        return (one if place % 2 else 0 * one for place, one in zip(places, read(self, places), strict=True))

    monkeypatch.setattr(Records, "maps", some)
    columns = {
        "guided_gradient": ["map_loss"],
        "guided_attention": ["map_loss"],
        "attention_transfer": ["map1_loss", "map2_loss"],
    }
    for name, maps in (("guided_gradient", "uniform"), ("guided_attention", "shuffled"), ("attention_transfer", "own")):
        train(small(name, maps), data, tmp_path / name)
        run = Run.load(tmp_path / name)
        assert set(columns[name]) < set(run.history)
        assert all(np.isfinite(values).all() for values in run.history.values())
    assert (tmp_path / "guided_attention" / "maps.png").is_file()
    uniform = Run.load(tmp_path / "guided_gradient").history
    assert uniform["map_loss"][-1] == uniform["val_map_loss"][-1] == 0, "nothing lies outside of the whole picture"


def test_maps_of_zeros_a_missing_stage_and_what_passes_by_are_refused_in_a_sentence(data, tmp_path, monkeypatch):
    mistakes = {
        "conv9 is no layer of it": {"stages": ("conv9",)},
        "no attention branch to guide": {"method": "branch"},
        "guidance_weight must be 0 or more": {"guidance_weight": -1.0},
        "method is one of cam, gradient": {"method": "cams"},
        "the loss is one of": {"loss": "squares"},
        "no frozen layer before those that are trained": {"keep_features": True, "crops": "center"},
    }
    for told, changes in mistakes.items():
        with pytest.raises(UserError, match=told):
            train(small("guided_cam", **changes), data, tmp_path / "run")
    monkeypatch.setattr(Records, "maps", lambda self, places: (np.zeros((STORED, STORED), np.uint8) for _ in places))
    with pytest.raises(UserError, match="zero for every picture of train"):
        train(small("guided_cam"), data, tmp_path / "run")
    assert not (tmp_path / "run").exists()
