"""Saliency runs as a user starts them: whole folders, exact resume, held-out scores, runs that are predictors."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.data.fixation_set import read_fixation_set
from saliency_keras.data.fixation_split import is_held_out, split
from saliency_keras.metrics.fixation_metrics import all_metrics
from saliency_keras.metrics.points import Density
from saliency_keras.models.network import network_of
from saliency_keras.models.registry import build_saliency
from saliency_keras.models.weights import carry_weights
from saliency_keras.runs.labels import labels_of
from saliency_keras.runs.run import Run
from saliency_keras.saliency import predictor
from saliency_keras.train import main
from saliency_keras.training import listeners
from saliency_keras.training.tasks.fixation_maps import Part
from tests.small_sets import write_fixation_set, write_small_set

SMALL = ["--set", "height=24", "--set", "width=24", "--set", "units=144", "--batch", "4"]
READOUT = ["--set", "height=32", "--set", "width=48", "--batch", "4", "--set", "learning_rate=0.1",
           "--set", "loss=divergence"]  # fmt: skip
FILES = {"config.json", "history.csv", "curves.png", "model.keras", "best.keras", "scores.csv", "summary.json"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "spots"
    write_fixation_set(folder)
    return folder


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    """A classifier as a run folder has one: three convolutions, 64 channels, batch normalisation."""
    folder = tmp_path_factory.mktemp("runs") / "classifier"
    folder.mkdir()
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 255)(image)
    for number, filters in enumerate((16, 32, 64), 1):
        x = keras.layers.Conv2D(filters, 3, 2, "same", activation="relu", name=f"conv{number}")(x)
        x = keras.layers.BatchNormalization(name=f"norm{number}")(x)
    logits = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x))
    keras.Model({"image": image}, logits).save(folder / "model.keras")
    return folder


def train(*words):
    main([str(word) for word in words])


def rows(folder):
    with open(folder / "history.csv", newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "juntingnet"
    train("juntingnet", "--data", data, "--out", folder, "--epochs", 3, *SMALL)
    return folder


@pytest.fixture(scope="module")
def frozen(data, backbone, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "frozen"
    words = ["--set", f"backbone={backbone}", "--set", "frozen=backbone", "--set", "weights=none"]
    train("readout_bi", "--data", data, "--out", folder, "--epochs", 8, *READOUT, *words)
    return folder


def test_run_folder_is_whole_and_has_the_metrics_of_its_task(finished):
    assert {path.name for path in finished.iterdir()} == FILES
    header = "epoch,learning_rate,loss,val_loss,val_nss,val_cc,val_auc_judd,seconds"
    assert (finished / "history.csv").read_text().splitlines()[0] == header
    config = json.loads((finished / "config.json").read_text())
    assert (config["experiment"]["task"], config["experiment"]["loss"]) == ("fixation_maps", "euclidean")
    assert config["data"]["pictures"] == 20


def test_pictures_are_held_out_by_their_names(data, finished):
    summary = json.loads((finished / "summary.json").read_text())
    held_out = [f"{number}.png" for number in range(20) if is_held_out(f"{number}.png")]
    assert summary["pictures"] == {"train": 20 - len(held_out), "validation": len(held_out)}
    with open(finished / "scores.csv", newline="") as file:
        scored = [(row["predictor"], row["image"]) for row in csv.DictReader(file)]
    assert scored == [(who, image) for who in ("run", "center") for image in sorted(held_out)]


@pytest.fixture(scope="module")
def salicon(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "salicon"
    words = ["--set", "height=64", "--set", "width=64", "--set", "weights=none"]
    train("salicon", "--data", data, "--out", folder, "--epochs", 1, "--batch", 4, *words)
    return folder


@pytest.mark.parametrize("run", ["finished", "frozen", pytest.param("salicon", marks=pytest.mark.slow)])
def test_run_is_a_predictor_whose_scores_are_those_of_its_summary(data, run, request):
    folder = request.getfixturevalue(run)
    summary = json.loads((folder / "summary.json").read_text())
    fixation_set = split(read_fixation_set(data))[1]
    predict, found = predictor(str(folder)), []
    for image in fixation_set.images:
        saliency = predict(np.asarray(_picture(fixation_set.path(image)))[None])[0]
        points = fixation_set.points(image)
        scores = all_metrics(saliency, points, Density.of(points, fixation_set.sigma(image)), None, None)
        found.append([scores[name] for name in ("NSS", "CC", "AUC-Judd")])
    told = [summary["held_out"]["run"][name]["mean"] for name in ("NSS", "CC", "AUC-Judd")]
    np.testing.assert_allclose(np.mean(found, axis=0), told, rtol=1e-4)
    # The history of a frozen backbone's run is that of features kept in half precision.
    last = [summary["last"][f"val_{name}"] for name in ("nss", "cc", "auc_judd")]
    np.testing.assert_allclose(told, last, rtol=0.02, atol=0.01)


def _picture(path):
    from PIL import Image

    return Image.open(path)


def test_readout_of_a_frozen_backbone_finds_the_spots_and_leaves_the_backbone_alone(frozen, backbone):
    summary = json.loads((frozen / "summary.json").read_text())
    assert summary["beats_center"]
    assert summary["held_out"]["run"]["NSS"]["mean"] > 2 * summary["held_out"]["center"]["NSS"]["mean"]
    assert predictor(str(frozen)).name == "frozen"
    model = keras.saving.load_model(frozen / "model.keras", compile=False)
    ours = keras.saving.load_model(backbone / "model.keras", compile=False)
    inner = next(layer for layer in model.layers if isinstance(layer, keras.Model))
    for name in "conv1", "norm3":
        for kept, before in zip(inner.get_layer(name).get_weights(), ours.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(kept, before)
    # Three padded strides move the features by 3.5 pixels of 8: constant layers lay them out evenly.
    assert summary["frozen"] == [inner.name, "features1_rows", "features1_columns"]
    assert summary["parameters"]["trainable"] == 65


def test_a_backbone_that_the_run_to_start_from_lacks_is_refused(data, backbone, tmp_path):
    words = ["readout_dc", "--data", data, "--epochs", 1, *READOUT, "--set", f"backbone={backbone}"]
    first = build_saliency("readout_dc", {"height": 32, "width": 48, "backbone": str(backbone), "levels": ""})
    (tmp_path / "first").mkdir()
    first.model.save(tmp_path / "first" / "model.keras")
    (tmp_path / "first" / "config.json").write_text('{"experiment": {"name": "readout_dc"}}')
    with pytest.raises(UserError, match="would keep random weights"):
        train(*words, "--out", tmp_path / "run", "--set", "levels=conv2", "--init", tmp_path / "first")


def test_a_file_that_weights_came_from_may_not_change_between_a_run_and_its_resumption(data, backbone, tmp_path):
    other = tmp_path / "classifier"
    shutil.copytree(backbone, other)
    words = ["readout_bi", "--data", data, "--out", tmp_path / "run", "--epochs", 1, *READOUT]
    words += ["--set", f"backbone={other}", "--set", "frozen=backbone", "--set", "weights=none"]
    train(*words)
    train(*words, "--resume")
    model = keras.saving.load_model(other / "model.keras", compile=False)
    model.get_layer("conv1").set_weights([0 * values for values in model.get_layer("conv1").get_weights()])
    model.save(other / "model.keras")
    with pytest.raises(UserError, match="another started_from"):
        train(*words, "--resume")


def test_run_that_does_not_beat_the_centre_says_so_wherever_it_appears(finished):
    assert not json.loads((finished / "summary.json").read_text())["beats_center"]
    assert predictor(str(finished)).name == "juntingnet-untrained"
    assert labels_of([Run.load(finished)]) == ["juntingnet, untrained"]


@pytest.mark.parametrize("settings", [["frozen=backbone"], []])
def test_run_that_is_broken_off_resumes_to_the_same_weights_and_history(
    data, backbone, tmp_path, settings, monkeypatch
):
    words = ["readout_spc", "--data", data, "--epochs", 3, *READOUT, "--set", f"backbone={backbone}"]
    words += ["--set", "weights=none", *(word for setting in settings for word in ("--set", setting))]
    write, states = listeners.write_history, []

    def copy_after_two(folder, history):
        write(folder, history)
        states.extend(path.name for path in (folder / "state").glob("epoch-*"))
        if len(history) == 2:  # what a kill at this moment would leave
            shutil.copytree(folder, tmp_path / "broken", dirs_exist_ok=True)

    monkeypatch.setattr(listeners, "write_history", copy_after_two)
    monkeypatch.setattr(listeners, "PAUSE", 0)
    train(*words, "--out", tmp_path / "whole")
    assert "epoch-00002.npz" in states
    assert len(rows(tmp_path / "broken")) == 2
    monkeypatch.setattr(listeners, "write_history", write)
    train(*words, "--out", tmp_path / "broken", "--resume")
    assert {path.name for path in (tmp_path / "broken").iterdir()} == FILES
    assert rows(tmp_path / "broken") == rows(tmp_path / "whole")
    pairs = [keras.saving.load_model(tmp_path / one / "model.keras").get_weights() for one in ("broken", "whole")]
    assert all(np.array_equal(*pair) for pair in zip(*pairs, strict=True))


def test_mirrored_pictures_come_with_mirrored_maps(data, tmp_path):
    pixels = keras.Input((32, 48, 3))
    model = keras.Model(pixels, keras.layers.Conv2D(1, 1)(keras.layers.AveragePooling2D(2)(pixels)))
    part = Part(split(read_fixation_set(data))[0], "train", model, "squared", tmp_path, (32, 48))
    part.prepare()
    pictures, maps = part.batch(np.array([3, 5, 3]), np.array([False, False, True]))
    np.testing.assert_array_equal(pictures[2], pictures[0][:, ::-1])
    np.testing.assert_array_equal(maps[2], maps[0][:, ::-1])
    assert maps.shape == (3, 16, 24, 1)
    for picture, one in zip(pictures, maps, strict=True):  # the spot is where people look
        bright = np.argwhere(picture.mean(-1) > 150).mean(0)
        assert np.abs(bright / 2 - np.unravel_index(one.argmax(), (16, 24))).max() < 3


def test_another_run_s_weights_are_taken_where_they_fit(data, finished, tmp_path):
    train("juntingnet", "--data", data, "--out", tmp_path / "next", "--epochs", 1, *SMALL, "--init", finished)
    config = json.loads((tmp_path / "next" / "config.json").read_text())
    assert config["carried"] == ["conv1", "conv2", "conv3", "hidden4", "output"]
    assert float(rows(tmp_path / "next")[0]["loss"]) < float(rows(finished)[0]["loss"])


def test_layers_of_other_shapes_keep_their_own_weights():
    def network(filters):
        x = keras.Input((8, 8, 3))
        return keras.Model(x, keras.layers.Conv2D(filters, 1, name="b")(keras.layers.Conv2D(4, 1, name="a")(x)))

    source, model = network(1), network(2)
    before = model.get_layer("b").get_weights()[0]
    assert carry_weights(network_of(source), network_of(model), skip_misfits=True) == ["a"]
    np.testing.assert_array_equal(model.get_layer("a").get_weights()[0], source.get_layer("a").get_weights()[0])
    np.testing.assert_array_equal(model.get_layer("b").get_weights()[0], before)


def test_a_set_of_the_wrong_kind_is_told_in_a_sentence(data, tmp_path):
    (tmp_path / "compact").mkdir()
    write_small_set(tmp_path / "compact")
    with pytest.raises(UserError, match="is a compact data set; salnet learns from a fixation set"):
        train("salnet", "--data", tmp_path / "compact", "--out", tmp_path / "run")
    with pytest.raises(UserError, match="is a fixation set; rgb learns from a compact data set"):
        train("rgb", "--data", data, "--out", tmp_path / "run")
    with pytest.raises(UserError, match="salnet learns from fixations: --data DIR"):
        train("salnet")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("name", "words", "says"),
    [
        ("juntingnet", ["--set", "height=48"], "square"),
        ("juntingnet", ["--set", "weights=imagenet"], "no weights of juntingnet"),
        ("salnet", ["--set", "height=30"], "multiples of 4"),
        ("salnet", ["--set", "loss=hinge"], "Received: loss=hinge"),
        ("salnet", ["--maps", "center"], "--maps and --augment do not apply"),
        ("readout_bi", ["--set", "backbone=ResNet51"], "Received: 'ResNet51'"),
        ("readout_bi", ["--set", "weights=none.weights.h5"], r"no weights file none\.weights\.h5"),
        ("readout_bi", ["--set", "side=64"], "fits no setting of readout_bi"),
        ("readout_bi", ["--init", "nowhere"], "no run folder nowhere"),
    ],
)
def test_settings_that_do_not_fit_are_told_in_a_sentence(data, tmp_path, name, words, says):
    with pytest.raises(UserError, match=says):
        train(name, "--data", data, "--out", tmp_path / "run", *words)
    assert not (tmp_path / "run").exists()


def test_a_set_with_too_few_pictures_is_refused(tmp_path):
    write_fixation_set(tmp_path / "one", pictures=1)
    with pytest.raises(UserError, match=r"too few pictures with fixations: 1 to learn from, 0 held out"):
        train("juntingnet", "--data", tmp_path / "one", "--out", tmp_path / "run", *SMALL)


def test_a_run_whose_network_has_no_fitting_layer_is_no_start(data, backbone, tmp_path):
    shutil.copytree(backbone, tmp_path / "other")
    (tmp_path / "other" / "config.json").write_text('{"experiment": {"name": "other"}}')
    with pytest.raises(UserError, match=r"no layer of .* fits salnet"):
        train("salnet", "--data", data, "--out", tmp_path / "run", "--init", tmp_path / "other",
              "--set", "height=16", "--set", "width=16")  # fmt: skip
