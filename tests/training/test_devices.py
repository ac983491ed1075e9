"""Training on several devices is the training of one: the same losses, whole run folders, exact resume; or a sentence.

A backend makes its devices when it starts, so runs are processes of their own: two processors of TensorFlow's or
JAX's making stand for two GPUs, and two processes on one machine for two machines.
"""

import csv
import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.data.stream import Stream
from saliency_keras.training import devices
from tests.scripts import DIE_AFTER_A_STATE, TRAIN
from tests.small_sets import write_small_set

ROOT = Path(__file__).parents[2]
SMALL = ["pretrain_alexnet", "--epochs", 2, "--batch", 12]
SMALL += ["--set", "dense_units=16", "--set", "width_multiplier=0.125", "--set", "train_on=train", "--set", "side=128"]

TWO_DEVICES = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"  # of JAX
TENSORFLOW = """
import sys
from saliency_keras.console import quiet_tensorflow
quiet_tensorflow()
import tensorflow as tf
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
"""
# Each prints, while it trains, what a device has of a batch.
WATCHED = {
    "tensorflow": """
from saliency_keras.training import loop
compiled = loop.compile_model
def watched(model, *rest):
    compiled(model, *rest)
    step = model.train_step
    def train_step(data):
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        where = tf.constant(0).device.rpartition("device:")[2]
        tf.print("replica", replica, "on", where, "has", tf.shape(data[1])[0], output_stream=sys.stdout)
        return step(data)
    model.train_step = train_step
loop.compile_model = watched
""",
    "jax": """
import jax
from saliency_keras.training import loop
compiled = loop.compile_model
def watched(model, *rest):
    compiled(model, *rest)
    compute_loss = model.compute_loss
    def told(x, y, y_pred, *rest, training=True):
        if training:
            def tell(sharding):
                for device, (rows, _) in sharding.devices_indices_map(y_pred.shape).items():
                    print("device", device.id, "has", len(range(*rows.indices(len(y_pred)))), flush=True)
            jax.debug.inspect_array_sharding(y_pred, callback=tell)
        return compute_loss(x, y, y_pred, *rest, training=training)
    model.compute_loss = told
loop.compile_model = watched
""",
}
NORMALISED = """
import keras, numpy as np
from saliency_keras.data.stream import Stream
from saliency_keras.training.devices import OneDevice, SeveralDevices
draw = np.random.default_rng(0)
pictures, labels = draw.normal(draw.normal(size=(64, 1)), size=(64, 5)), draw.integers(0, 3, 64)
def rows(step):
    part = slice(step % 4 * 16, step % 4 * 16 + 16)
    return pictures[part], labels[part]
def compiled(model):
    model.compile(keras.optimizers.SGD(0.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.build(model.trainable_variables)
for spread in (OneDevice(), SeveralDevices(2)):
    keras.utils.set_random_seed(0)
    given = keras.Input((5,))
    normal = keras.layers.BatchNormalization(momentum=0.9)
    model = keras.Model(given, keras.layers.Dense(3)(normal(given)))
    compiled(model)
    copy = spread.copy_of(model, compiled)
    with spread.training():
        copy.fit(Stream(rows, range(4)), steps_per_epoch=4, verbose=0, shuffle=False)
    spread.bring_home()
    print(*np.concatenate([np.array(normal.moving_mean), np.array(normal.moving_variance)]))
"""
TOLD = {
    "tensorflow": {"replica 0 on CPU:0 has 6", "replica 1 on CPU:1 has 6"},
    "jax": {"device 0 has 6", "device 1 has 6"},
}


@pytest.fixture(scope="module", params=["tensorflow", pytest.param("jax", marks=pytest.mark.backend)])
def backend(request):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    write_small_set(folder, side=136, codec="npy", train=(20, 17), val=(11,), separable=True)
    return folder


def started(backend, script, *words, **environment):
    before = TENSORFLOW if backend == "tensorflow" else ""
    environment = {"KERAS_BACKEND": backend, "XLA_FLAGS": TWO_DEVICES, **environment}
    return subprocess.Popen(
        [sys.executable, "-c", before + script + TRAIN, *map(str, words)],
        cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def watched(backend, *words, **environment):
    """A process that prints what `told` returns; JAX has to compile for that, and not to read what was compiled."""
    return started(backend, WATCHED[backend], *words, JAX_ENABLE_COMPILATION_CACHE="false", **environment)


def finished(process, code=0):
    """What a process printed."""
    printed, errors = process.communicate(timeout=900)
    assert process.returncode == code, errors
    return printed


def told(printed):
    return {line for line in printed.splitlines() if line.startswith(("replica", "device"))}


def rows(folder):
    with open(folder / "history.csv", newline="") as file:
        return [{**row, "seconds": None} for row in csv.DictReader(file)]


def weights(path):
    return keras.saving.load_model(path, compile=False).get_weights()


def assert_same_losses(one, other):
    for row, expected in zip(rows(one), rows(other), strict=True):
        for name in ("loss", "val_loss"):
            assert float(row[name]) == pytest.approx(float(expected[name]), rel=1e-5)
        assert (row["top1"], row["val_top1"]) == (expected["top1"], expected["val_top1"])


@pytest.mark.slow
def test_two_devices_share_each_batch_and_give_the_losses_of_one(backend, data, tmp_path):
    words = [*SMALL, "--data", data, "--set", "dropout=0.0"]
    finished(started(backend, "", *words, "--out", tmp_path / "one"))
    printed = finished(watched(backend, *words, "--out", tmp_path / "two", "--devices", 2))
    assert told(printed) == TOLD[backend]
    assert_same_losses(tmp_path / "two", tmp_path / "one")
    assert json.loads((tmp_path / "two" / "config.json").read_text())["devices"] == 2
    assert {path.name for path in (tmp_path / "two").iterdir()} == {path.name for path in (tmp_path / "one").iterdir()}
    with h5py.File(tmp_path / "two" / "predictions.h5") as file:
        assert len(file["id"]) == 11
        last = json.loads((tmp_path / "two" / "summary.json").read_text())["last"]
        assert np.mean(file["rank"][:] == 0) == pytest.approx(last["val_top1"])


@pytest.mark.slow
def test_moving_averages_are_those_of_all_devices(backend):
    before = TENSORFLOW if backend == "tensorflow" else ""
    done = subprocess.run(
        [sys.executable, "-c", before + NORMALISED], cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "KERAS_BACKEND": backend, "XLA_FLAGS": TWO_DEVICES},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, two = (np.array(line.split(), float) for line in done.stdout.splitlines())
    np.testing.assert_allclose(two[:5], one[:5], rtol=1e-5, atol=1e-6)
    # The mean of two halves' variances is not the variance of the whole, which takes in how the halves' means differ.
    assert np.allclose(two[5:], one[5:], rtol=1e-5) == (backend == "jax")


@pytest.mark.slow
def test_killed_on_two_devices_and_resumed_it_ends_bit_identical(backend, data, tmp_path):
    words = ["rgb", *SMALL[1:], "--set", "dropout=0.5", "--data", data, "--devices", 2, "--out"]
    finished(started(backend, "", *words, tmp_path / "whole"))
    finished(started(backend, DIE_AFTER_A_STATE, *words, tmp_path / "killed"), code=9)
    assert not (tmp_path / "killed" / "summary.json").exists()
    finished(started(backend, "", *words, tmp_path / "killed", "--resume"))
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    for name in ("model.keras", "best.keras"):
        pairs = zip(weights(tmp_path / "killed" / name), weights(tmp_path / "whole" / name), strict=True)
        assert all(np.array_equal(resumed, whole) for resumed, whole in pairs)
    process = started(backend, "", *words[:-3], "--out", tmp_path / "killed", "--resume")
    _, errors = process.communicate(timeout=900)
    assert process.returncode == 2
    assert "another devices" in errors


@pytest.mark.slow
@pytest.mark.backend
def test_two_processes_of_jax_train_one_run(data, tmp_path):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    words = [*SMALL, "--data", data, "--set", "dropout=0.0", "--out"]
    finished(started("jax", "", *words, tmp_path / "one"))
    with socket.socket() as free:
        free.bind(("localhost", 0))
        address = f"localhost:{free.getsockname()[1]}"
    cluster = {
        "XLA_FLAGS": os.environ["XLA_FLAGS"],  # each process has one device
        "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
        "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
    }
    both = [
        watched("jax", *words, tmp_path / "two", "--devices", 2, KERAS_DISTRIBUTION_PROCESS_ID=number, **cluster)
        for number in "01"
    ]
    first, second = [finished(process) for process in both]
    assert "epoch 2/2" in first
    assert "epoch" not in second
    assert len(told(first)) == 2
    assert_same_losses(tmp_path / "two", tmp_path / "one")


def test_a_batch_that_cannot_be_shared_is_refused_with_those_that_can():
    devices.check_batch(12, 3)
    with pytest.raises(UserError, match="use --batch 32 or 36"):
        devices.check_batch(33, 4)
    with pytest.raises(UserError, match=r"use --batch 4\."):
        devices.check_batch(3, 4)


@pytest.mark.parametrize(
    ("number", "backend", "sentence"),
    [
        (99, "tensorflow", "more than there are"),
        (2, "torch", "KERAS_BACKEND=tensorflow or jax"),
    ],
)
def test_devices_that_are_not_there_are_refused(monkeypatch, number, backend, sentence):
    monkeypatch.setattr(keras.backend, "backend", lambda: backend)
    with pytest.raises(UserError, match=sentence):
        devices.check_devices(number)


def test_several_machines_on_tensorflow_are_refused_with_what_to_use(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "tensorflow")
    monkeypatch.setenv(devices.PROCESSES, "2")
    with pytest.raises(UserError, match="KERAS_BACKEND=jax"):
        devices.check_devices(2)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UserError, match="on one machine"):
        devices.check_devices(2, one_machine=True)


def test_each_process_contributes_its_part_of_every_batch(monkeypatch):
    batches = Stream(lambda step: ({"image": np.arange(6) + 10 * step}, np.arange(6)), range(3))
    several = object.__new__(devices.SeveralDevices)
    parts = []
    for number in range(3):
        monkeypatch.setattr(devices, "_process", lambda number=number: (number, 3))
        part = several.part(batches)
        assert len(part) == 3
        parts.append(part[2])
    assert np.concatenate([inputs["image"] for inputs, _ in parts]).tolist() == [20, 21, 22, 23, 24, 25]
    assert [labels.tolist() for _, labels in parts] == [[0, 1], [2, 3], [4, 5]]
