"""Kept features: the same training as without them, computed once, refused where pictures do not stay the same."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest

from saliency_keras import reproduce
from saliency_keras.console import UserError
from saliency_keras.files import only_process
from saliency_keras.train import main
from saliency_keras.training import features, listeners
from saliency_keras.training.features import KeptFeatures, shared
from tests.small_sets import write_small_set

SMALL = ["--set", "side=104", "--set", "dense_units=8", "--set", "width_multiplier=0.1", "--batch", "5"]
KEPT = ["--set", "frozen=trunk", "--set", "crops=center", "--set", "keep_features=true", "--set", "learning_rate=0.02"]
PLAIN = [*KEPT[:4], *KEPT[6:]]


def train(*words):
    main([str(word) for word in words])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_small_set(folder, side=108, classes=3, train=(8, 8, 8), val=(7,), separable=True)
    return folder


@pytest.fixture(scope="module")
def base(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "base"
    train("rgbs", "--data", data, "--out", folder, "--epochs", 1, *SMALL)
    return folder


@pytest.fixture(scope="module")
def kept(data, base, tmp_path_factory):
    """A run with kept features; beside it, `killed` is the folder as it was after the first epoch, `computed` a list
    with an entry for each row of features that was computed."""
    folder, computed = tmp_path_factory.mktemp("runs") / "kept", []
    write = listeners.write_history

    def copy_after_one(out, history):
        write(out, history)
        if len(history) == 1:  # what a kill at this moment would leave
            shutil.copytree(out, folder.with_name("killed"), dirs_exist_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listeners, "write_history", copy_after_one)
        patch.setattr(listeners, "PAUSE", 0)
        patch.setattr(KeptFeatures, "_rows", counted(KeptFeatures._rows, computed))
        train("rgbs", "--data", data, "--init", base, "--out", folder, "--epochs", 3, *SMALL, *KEPT)
    return folder, computed


def counted(rows_of, computed):
    def rows_and_count(self):
        for row in rows_of(self):
            computed.append(None)
            yield row

    return rows_and_count


def rows(folder):
    with open(folder / "history.csv", newline="") as file:
        found = list(csv.DictReader(file))
    return [{name: float(value) for name, value in row.items() if name != "seconds"} for row in found]


def weights(folder):
    return keras.saving.load_model(folder / "model.keras", compile=False).get_weights()


def test_a_training_with_kept_features_is_that_without_to_half_precision(data, base, kept, tmp_path):
    kept, _ = kept
    train("rgbs", "--data", data, "--init", base, "--out", tmp_path / "plain", "--epochs", 3, *SMALL, *PLAIN)
    for with_, without in zip(rows(kept), rows(tmp_path / "plain"), strict=True):
        assert with_ == pytest.approx(without, rel=2e-3), "11 bits of each feature are kept"
    before = weights(base)
    for with_, without, start in zip(weights(kept), weights(tmp_path / "plain"), before, strict=True):
        np.testing.assert_allclose(with_, without, rtol=2e-3, atol=2e-4)
        if np.array_equal(without, start):
            np.testing.assert_array_equal(with_, start)
    moved = [not np.array_equal(*pair) for pair in zip(weights(kept), before, strict=True)]
    assert any(moved), "the dense layers have learned"
    assert not all(moved), "the trunk has not"
    assert json.loads((kept / "config.json").read_text())["experiment"]["pictures"]["keep_features"] is True
    assert not (kept / "state").exists()


def test_each_picture_goes_through_the_frozen_layers_once_even_if_a_run_is_resumed(data, base, kept, monkeypatch):
    whole, computed = kept
    assert len(computed) == 24 + 7
    killed = whole.with_name("killed")
    assert len(rows(killed)) == 1
    monkeypatch.setattr(KeptFeatures, "_rows", counted(KeptFeatures._rows, computed))
    train("rgbs", "--data", data, "--init", base, "--out", killed, "--epochs", 3, *SMALL, *KEPT, "--resume")
    assert len(computed) == 24 + 7
    assert rows(killed) == rows(whole)
    assert all(np.array_equal(*pair) for pair in zip(weights(killed), weights(whole), strict=True))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--set", "crops=random"], "cropped and mirrored at random here: --set crops=center"),
        (["--set", "frozen=[]"], "no frozen layer before those that are trained: --set frozen=PART"),
        (["--set", "frozen=top"], "no frozen layer before those that are trained"),
        (["--augment", "device"], "features of pictures that the host crops: leave --augment out"),
    ],
)
def test_features_are_not_kept_where_they_would_not_stay_the_same(data, base, tmp_path, words, says):
    crops = KEPT[2:4] if words[1] != "crops=random" else words
    with pytest.raises(UserError, match=says):
        train("rgbs", "--data", data, "--init", base, "--out", tmp_path / "run", *SMALL, *KEPT[:2], *crops,
              *KEPT[4:], *words)  # fmt: skip
    assert not (tmp_path / "run").exists()


def test_inputs_that_the_frozen_layers_do_not_take_are_kept_beside_the_features(tmp_path):
    image = keras.Input((2, 2, 1), name="image")
    front = keras.Model({"image": image}, {"features1": keras.layers.Rescaling(1e6)(image)})
    pictures = np.arange(12, dtype="uint8").reshape(3, 2, 2, 1)
    batches = [{"image": pictures[part], "saliency": pictures[part] + 1} for part in (slice(2), slice(2, 3))]
    found = KeptFeatures(front, tmp_path, 3, lambda: batches, "three", ("saliency",)).at(np.array([2, 0]))
    np.testing.assert_array_equal(found["saliency"], pictures[[2, 0]] + 1)
    assert found["saliency"].dtype == np.uint8
    assert found["features1"].dtype == np.float32
    np.testing.assert_array_equal(found["features1"], np.minimum(pictures[[2, 0]] * 1e6, features.GREATEST))


def test_runs_of_a_table_share_features_and_end_with_the_same_bits_as_without(tmp_path, monkeypatch, capsys):
    (tmp_path / "data").mkdir()
    write_small_set(tmp_path / "data", side=66, classes=2, train=(6, 6), val=(5,), separable=True)
    weights_file = tmp_path / "mobilenet.weights.h5"
    keras.applications.MobileNet(weights=None).save_weights(weights_file)
    settings = ["backbone=MobileNet", f"weights={weights_file}", "side=64", "batch=4", "frozen=trunk"]
    settings += ["keep_features=true", "crops=center"]
    words = ["guidance", "--data", tmp_path / "data", "--epochs", 1, "--repeats", 1]
    words += [word for setting in settings for word in ("--set", setting)]
    computed = []
    monkeypatch.setattr(KeptFeatures, "_rows", counted(KeptFeatures._rows, computed))

    def made(name, row):
        reproduce.main([str(word) for word in (*words, "--out", tmp_path / name, "--only", row)])
        runs = tmp_path / name / "runs"
        return len(computed), {one.name: (rows(one), weights(one)) for one in runs.iterdir()}

    count, together = made("together", "guided_cam-own")
    assert set(together) == {"unguided", "guided_cam", "guided_cam-shuffled"}
    assert count == 2 * (12 + 5), "of the unguided network pooled, of both guided ones at the layer that is guided"
    assert not (tmp_path / "together" / "features").exists()
    taken = tmp_path / "apart" / "features"
    taken.mkdir(parents=True)
    with only_process(taken):
        count, apart = made("apart", "unguided")
    assert count == 3 * (12 + 5)
    history, found = apart.pop("unguided")
    assert not apart
    assert history == together["unguided"][0]
    assert all(np.array_equal(*pair) for pair in zip(found, together["unguided"][1], strict=True))


def test_shared_features_stay_for_the_next_attempt_where_a_table_is_broken_off(tmp_path):
    folder = tmp_path / "out" / "features"
    with shared(folder) as given:
        assert given == folder
    assert not folder.parent.exists(), "nothing was trained"

    def broken_off():
        with shared(folder):
            (folder / "one").mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    with only_process(folder), shared(folder) as given:
        assert given is None, "another process has it"
    with shared(folder):
        assert (folder / "one").is_dir()
    assert not folder.exists()


def test_features_are_those_of_the_layers_the_weights_and_the_pictures(tmp_path):
    def kept(scale, of):
        image = keras.Input((2,), name="image")
        scaled = keras.layers.Dense(2, use_bias=False, name="scaled")
        front = keras.Model(image, {"features1": scaled(image)})
        scaled.set_weights([np.eye(2) * scale])
        found = KeptFeatures(front, tmp_path, 1, lambda: [np.ones((1, 2), "float32") * of], of)
        return found.arrays["features1"][0, 0]

    assert [kept(1, 1), kept(2, 1), kept(1, 3), kept(1, 1)] == [1, 2, 3, 1]
    assert len(list(tmp_path.iterdir())) == 3
