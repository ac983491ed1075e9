"""Networks and runs on JAX and PyTorch, with TensorFlow out of reach as on a machine that has none.

Keras chooses its backend when it is imported, so everything runs in processes of its own.
"""

import csv
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.scripts import DIE_AFTER_A_STATE, TRAIN
from tests.small_sets import write_small_set

pytestmark = [pytest.mark.backend, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
# `sys.modules["tensorflow"] = None` would not do: Keras takes the mere name there for a loaded TensorFlow.
WITHOUT_TENSORFLOW = """
import sys
from importlib.machinery import PathFinder
find_spec = PathFinder.find_spec
PathFinder.find_spec = lambda name, *more: None if name.partition(".")[0] == "tensorflow" else find_spec(name, *more)
"""
NETWORKS = ("rgb", "rgb_mean", "rgbs", "rgb_1s2s", "rgbxs_1xs2xs_pretrained", "fanin1", "fanin2", "fanin3", "noconv2")

ONE_STEP = """
import keras, numpy as np, tempfile
from saliency_keras.experiments import experiment
from saliency_keras.metrics.classification import Top1, Top5
from saliency_keras.models.registry import build, shows_map
random = np.random.default_rng(0)
for name in sys.argv[1:]:
    chosen = experiment(name).with_settings(["dense_units=16", "width_multiplier=0.125"])
    model = build(chosen.network, chosen.arguments, 128, 3, (0.5, 0.5, 0.5, 0.5)).model
    inputs = {"image": random.integers(0, 256, (4, 128, 128, 3), np.uint8)}
    if shows_map(chosen.network, chosen.arguments):
        inputs["saliency"] = random.integers(0, 256, (4, 128, 128, 1), np.uint8)
    trained = keras.Model(model.input, model.output)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained.compile(keras.optimizers.SGD(0.01, 0.9), loss, metrics=[Top1(), Top5()])
    before = [weight.copy() for weight in model.get_weights()]
    assert np.isfinite(trained.train_on_batch(inputs, np.array([0, 1, 2, 0]))).all(), name
    assert any((one != other).any() for one, other in zip(before, model.get_weights())), name
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        loaded = keras.saving.load_model(f"{folder}/model.keras", compile=False, safe_mode=True)
    np.testing.assert_array_equal(loaded.predict_on_batch(inputs), model.predict_on_batch(inputs))
print(keras.backend.backend(), len(sys.argv) - 1)
"""


SALIENCY = {
    "salnet": ("height=16", "width=24"),
    "juntingnet": ("units=2304",),
    "salicon": ("height=64", "width=64"),
    "readout_dc": ("height=64", "width=64", "backbone=VGG16", "scales=[1.0,0.5]"),
    "readout_spc": ("height=64", "width=64", "backbone=VGG16", "normalised=true"),
    "readout_bi": ("height=64", "width=64", "backbone=VGG16"),
}
# Each network by its own loss, one convolution by every loss: a step's loss is a number, and moves weights.
SALIENCY_STEP = """
import json, keras, numpy as np
from saliency_keras.experiments import experiment
from saliency_keras.models.registry import build_saliency
from saliency_keras.models.losses import LOSSES, saliency_of
random = np.random.default_rng(0)

def step(model, loss):
    height, width = model.input_shape[1:3]
    pixels = random.integers(0, 256, (2, height, width, 3)).astype("float32")
    maps = random.random((2, height, width, 1)).astype("float32")
    model.compile(keras.optimizers.SGD(1e-4), LOSSES[loss])
    before = [weight.copy() for weight in model.get_weights()]
    assert np.isfinite(model.train_on_batch(pixels, maps)).all(), (model.name, loss)
    assert any((one != other).any() for one, other in zip(before, model.get_weights())), (model.name, loss)
    found = keras.ops.convert_to_numpy(saliency_of(loss, model.predict_on_batch(pixels)))
    assert np.isfinite(found).all() and (found >= 0).all(), (model.name, loss)

for name, settings in json.loads(sys.argv[1]).items():
    chosen = experiment(name).with_settings(settings)
    step(build_saliency(chosen.network, chosen.arguments).model, chosen.loss)
for loss in LOSSES:
    pixels = keras.Input((8, 8, 3))
    step(keras.Model(pixels, keras.layers.Conv2D(1, 3)(pixels)), loss)
print(keras.backend.backend())
"""
MODULATED = ("smic_alexnet", "scratch_sal_alexnet", "scratch_sal_resnet")
MODULATED_STEP = """
import keras, numpy as np
from saliency_keras.experiments import experiment
from saliency_keras.models.registry import build, shows_map
random = np.random.default_rng(0)
for name in sys.argv[1:]:
    settings = ["backbone=ResNet50"] if name.endswith("resnet") else ["dense_units=16", "width_multiplier=0.125"]
    chosen = experiment(name).with_settings(settings)
    model = build(chosen.network, chosen.arguments, 96, 3).model
    inputs = {"image": random.integers(0, 256, (2, 96, 96, 3), np.uint8)}
    if shows_map(chosen.network, chosen.arguments):
        inputs["saliency"] = random.integers(0, 256, (2, 96, 96, 1), np.uint8)
    model.compile(keras.optimizers.SGD(1e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert np.isfinite(model.train_on_batch(inputs, np.array([0, 1]))).all(), name
    assert np.isfinite(model.predict_on_batch(inputs)).all(), name
print(keras.backend.backend())
"""


@pytest.fixture(params=["jax", "torch"])
def backend(request):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


def python(backend, script, *words):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT_TENSORFLOW + script, *map(str, words)],
        cwd=ROOT, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_networks_build_train_a_step_save_and_load(backend):
    done = python(backend, ONE_STEP, *NETWORKS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [backend, str(len(NETWORKS))]


def test_saliency_networks_train_a_step(backend):
    done = python(backend, SALIENCY_STEP, json.dumps(SALIENCY))
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [backend]


def test_networks_with_a_saliency_branch_train_a_step(backend):
    done = python(backend, MODULATED_STEP, *MODULATED)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [backend]


def test_run_without_tensorflow_killed_and_resumed_ends_bit_identical(backend, tmp_path):
    (tmp_path / "set").mkdir()
    write_small_set(tmp_path / "set", side=136, codec="npy", train=(20, 17), val=(11,), separable=True)
    words = ["fanin3", "--data", tmp_path / "set", "--epochs", 2, "--batch", 16]
    words += ["--set", "dense_units=16", "--set", "width_multiplier=0.125", "--set", "dropout=0.5", "--out"]
    whole = python(backend, TRAIN, *words, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    killed = python(backend, DIE_AFTER_A_STATE + TRAIN, *words, tmp_path / "killed")
    assert killed.returncode == 9, killed.stderr
    assert not (tmp_path / "killed" / "summary.json").exists()
    resumed = python(backend, TRAIN, *words, tmp_path / "killed", "--resume")
    assert resumed.returncode == 0, resumed.stderr
    compared = python(backend, COMPARE, tmp_path / "whole" / "model.keras", tmp_path / "killed" / "model.keras")
    assert compared.stdout.strip() == "identical", compared.stderr
    rows = []
    for run in ("whole", "killed"):
        with open(tmp_path / run / "history.csv", newline="") as file:
            rows.append([{**row, "seconds": None} for row in csv.DictReader(file)])
    assert len(rows[0]) == 2
    assert rows[0] == rows[1]
    config = json.loads((tmp_path / "whole" / "config.json").read_text())
    assert (config["backend"], config["data"]["codec"]) == (backend, "npy")


COMPACT = """
from data_prep.compact import main
main(sys.argv[1:])
"""


@pytest.mark.parametrize("codec", ["raw", "jpeg"])
def test_from_photographs_to_a_trained_network_without_tensorflow(backend, codec, tmp_path):
    for number, folder in enumerate(("train/cat", "train/dog", "val/cat", "val/dog")):
        (tmp_path / "pictures" / folder).mkdir(parents=True)
        for place in range(4):
            picture = Image.new("RGB", (70, 60), (60 * number, 40 * place, 99))
            picture.save(tmp_path / "pictures" / folder / f"{place}.png")
    words = [tmp_path / "pictures", tmp_path / "set", "--saliency", "gbvs", "--side", 128, "--workers", 0]
    made = python(backend, COMPACT, *words, "--codec", codec)
    assert made.returncode == 0, made.stderr
    words = ["fanin2", "--data", tmp_path / "set", "--out", tmp_path / "run", "--epochs", 1, "--set", "dense_units=4"]
    words += ["--set", "width_multiplier=0.125"]
    done = python(backend, TRAIN, *words)
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["backend"], config["data"]["codec"]) == (backend, codec)
    assert (tmp_path / "run" / "predictions.h5").exists()


COMPARE = """
import keras
one, other = (keras.saving.load_model(path, compile=False).get_weights() for path in sys.argv[1:])
print("identical" if len(one) == len(other) and all((a == b).all() for a, b in zip(one, other)) else "different")
"""
