"""The seams that new papers use, tried with a toy: two outputs and losses, rates by part, two parents, framings."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from data_prep.compaction import compact
from data_prep.sources.popout import PopoutSource
from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.reader import Reader
from saliency_keras.data.shown import Shown
from saliency_keras.experiments.experiment import Experiment, Pictures, Schedule, Start
from saliency_keras.models import registry
from saliency_keras.models.network import BRANCH, MAP_LAYER
from saliency_keras.runs.run import Run, network_in
from saliency_keras.training import listeners, loop
from saliency_keras.training.tasks.joint import map_loss
from saliency_keras.training.train import train

SIDE = 64


def toy(image, saliency, classes, layer):
    """A detector whose map multiplies the features of a small classifier."""
    where = layers.Conv2D(4, 5, 4, "same", activation="relu", name=f"conv{BRANCH}")(image)
    where = layers.Conv2D(1, 1, name=MAP_LAYER)(where)
    x = layers.Conv2D(8, 5, 4, "same", activation="relu", name="conv")(image)
    x = layers.Dropout(0.2, seed=7, name="dropout")(x)
    x = layers.GlobalMaxPooling2D(name="pool")(layers.Multiply(name="modulation")([x, where]))
    logits = layers.Dense(classes, name="logits", dtype="float32")(x)
    return {"logits": logits, "map": layers.Activation("linear", dtype="float32", name="map")(where)}


def parts(model):
    return {"detector": (f"conv{BRANCH}", MAP_LAYER), "trunk": ("conv",), "top": ("logits",)}


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(registry.NETWORKS, "toy", registry.Blueprint(toy, lambda arguments: False, parts))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """The built-in pictures scaled to 340 px and cut to 299, with the true masks as a further map."""
    folder = tmp_path_factory.mktemp("data") / "set"
    source = PopoutSource(counts={"train": 24, "val": 10})
    compact(source, folder, saliency=("center",), shorter=340, square=299, side=299, workers=0)
    return folder


def experiment(start=Start(), maps="mask", **schedule):  # noqa: B008, a frozen record
    schedule = {"epochs": 3, "batch": 8, "learning_rate": 0.01, "drops": (), "factors": {"detector": 50}, **schedule}
    return Experiment(
        "toy",
        "ours",
        "none",
        "a toy",
        "toy",
        task="joint",
        loss="squared",
        loss_weights={"logits": 0.2},
        pictures=Pictures(side=SIDE, crops="five"),
        shown=Shown.parse(maps, "target"),
        start=start,
        schedule=Schedule(**schedule),
    )


@pytest.fixture(scope="module")
def parents(data, tmp_path_factory):
    """Two runs of one epoch, to take the detector from the one and the trunk from the other."""
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setitem(registry.NETWORKS, "toy", registry.Blueprint(toy, lambda arguments: False, parts))
    folder = tmp_path_factory.mktemp("parents")
    for seed, name in enumerate(("detector", "trunk")):
        train(experiment(epochs=1, factors={}), data, folder / name, seed=seed)
    monkeypatch.undo()
    return {name: folder / name for name in ("detector", "trunk")}


BOTH = Start({"detector": "toy", "trunk": "toy"}, fresh=("top",))


def weights(folder, *names):
    model = network_in(folder).model
    return [values for name in names for values in model.get_layer(name).get_weights()]


def test_a_set_of_299_px_cropped_from_340_is_read_in_five_crops_of_picture_and_map_alike(data):
    manifest = Manifest.load(data)
    assert (manifest.framing.shorter, manifest.framing.square, manifest.framing.stored) == (340, 299, 299)
    reader = Reader(manifest, "train", SIDE, 24, Shown.parse("mask"), seed=3, crops="five")
    ((inputs, _),) = reader.training(1, 1)
    far = 299 - SIDE
    places = {(0, 0), (0, far), (far, 0), (far, far), (far // 2, far // 2)}
    plan = reader.plan(1)
    assert set(zip(plan.top.tolist(), plan.left.tolist(), strict=True)) == places
    whole = dict(zip(range(24), reader.stored.words(np.arange(24)), strict=False))
    assert len(whole) == 24
    assert inputs["image"].shape == (24, SIDE, SIDE, 3)
    assert inputs["saliency"].max() == 255, "the object is in some of the crops"


def test_both_losses_are_those_of_numpy_and_only_pictures_with_a_map_count():
    random = np.random.default_rng(0)
    maps = random.integers(0, 256, (3, 16, 16, 1)).astype("float32")
    maps[1] = 0
    outputs = random.normal(size=(3, 16, 16, 1)).astype("float32")
    peaks = maps.max(axis=(1, 2, 3), keepdims=True)
    # What Keras averages over three pictures is the mean over the two with a map.
    expected = ((outputs - maps / np.maximum(peaks, 1)) ** 2).mean(axis=(1, 2, 3)) * [3 / 2, 0, 3 / 2]
    found = keras.ops.convert_to_numpy(map_loss("squared")(keras.ops.convert_to_tensor(maps), outputs))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_network_starts_from_two_runs_part_by_part(data, parents, tmp_path):
    """With nothing to learn from, the parts are the parents' to the bit, and the top is neither's."""
    summary = train(experiment(BOTH, epochs=1, learning_rate=1e-30), data, tmp_path / "run", parents=parents)
    branch = (f"conv{BRANCH}", MAP_LAYER)
    for found, expected in zip(weights(tmp_path / "run", *branch), weights(parents["detector"], *branch), strict=True):
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(weights(tmp_path / "run", "conv")[0], weights(parents["trunk"], "conv")[0])
    for parent in parents.values():
        assert not np.array_equal(weights(tmp_path / "run", "logits")[0], weights(parent, "logits")[0])
    assert list(summary["last"])[:5] == ["epoch", "learning_rate", "loss", "logits_loss", "map_loss"]
    last = summary["last"]
    assert last["loss"] == pytest.approx(0.2 * last["logits_loss"] + last["map_loss"], rel=1e-4)
    assert last["cross_entropy"] == pytest.approx(last["logits_loss"], rel=1e-4)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["init"] == {name: str(folder) for name, folder in parents.items()}
    assert set(config["started_from"]["init"]) == {"detector", "trunk"}
    assert config["maps"] == "mask"
    assert (tmp_path / "run" / "maps.png").is_file()


def test_one_parent_where_two_are_needed_is_told(data, parents, tmp_path):
    for given in ({"detector": parents["detector"]}, {"network": parents["trunk"]}):
        with pytest.raises(UserError, match=r"starts from 2 runs, part by part; give .*--init trunk=RUN"):
            train(experiment(BOTH), data, tmp_path / "run", parents=given)
    assert not (tmp_path / "run").exists()


def test_a_killed_run_resumes_to_the_same_bits(data, parents, tmp_path, monkeypatch):
    chosen = experiment(BOTH, inverse_time=0.1, decay=1e-3, decay_until=2)
    whole = train(chosen, data, tmp_path / "whole", parents=parents)
    save = listeners.save_state

    def stop_after_the_first(folder, model, history):
        save(folder, model, history)
        raise KeyboardInterrupt

    monkeypatch.setattr(listeners, "save_state", stop_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        train(chosen, data, tmp_path / "killed", parents=parents)
    monkeypatch.setattr(listeners, "save_state", save)
    resumed = train(chosen, data, tmp_path / "killed", parents=parents, resume=True)
    for one, other in zip(
        network_in(tmp_path / "whole").model.get_weights(),
        network_in(tmp_path / "killed").model.get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    for row in (whole["last"], resumed["last"]):
        del row["seconds"]
    assert whole["last"] == resumed["last"]


def test_patience_ends_a_training_and_the_best_epoch_is_kept(data, tmp_path, monkeypatch):
    """Top-1 that only falls: the first epoch is the best, and three more are waited for."""
    fall = iter(range(100))
    columns = loop._columns
    falling = lambda logs, task: columns(logs, task) | {"val_top1": 1.0 - 0.01 * next(fall)}  # noqa: E731
    monkeypatch.setattr(loop, "_columns", falling)
    summary = train(experiment(epochs=50, patience=3, keep="best"), data, tmp_path / "run")
    assert (summary["epochs"], summary["best"]["epoch"], summary["kept"]) == (4, 1, 1)
    best = keras.saving.load_model(tmp_path / "run" / "best.keras", compile=False)
    for one, other in zip(best.get_weights(), network_in(tmp_path / "run").model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_other_maps_are_other_targets(data, tmp_path):
    losses = []
    for maps in ("mask", "uniform"):
        losses.append(train(experiment(maps=maps, epochs=1), data, tmp_path / maps)["last"]["map_loss"])
    assert losses[0] != losses[1]
    assert Run.load(tmp_path / "uniform").maps == "uniform"


@pytest.mark.backend
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_it_is_so_on_other_backends(backend):
    pytest.importorskip(backend)
    if keras.backend.backend() == backend:
        pytest.skip("this is the backend that the other tests run on")
    tests = "two_runs or killed or losses"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", tests]
    done = subprocess.run(command, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
