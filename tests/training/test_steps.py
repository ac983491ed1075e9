"""Several steps in one call of the device, and pictures that lie on it, change no figure."""

import json
import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.data.stream import Stream
from saliency_keras.experiments import experiment
from saliency_keras.training import listeners, loop, resident, steps
from saliency_keras.training.train import train
from tests.small_sets import write_small_set

BATCH = 4
SMALL = ("dense_units=8", "width_multiplier=0.05", "dropout=0.5", f"batch={BATCH}")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "set"
    folder.mkdir()
    write_small_set(folder, side=136, classes=3, train=(17, 12), val=(9,))  # 7 steps an epoch
    return folder


def trained(data, out, **options):
    """Weights and history of a small run."""
    summary = train(experiment("fanin2").with_settings(SMALL).lasting(2), data, out, **options)
    history = [row.split(",")[:-1] for row in (out / "history.csv").read_text().splitlines()]  # without seconds
    return keras.saving.load_model(out / "model.keras").get_weights(), history, summary


@pytest.fixture(scope="module")
def one_step(data, tmp_path_factory):
    return trained(data, tmp_path_factory.mktemp("runs") / "one")


def is_the_same(run, other):
    assert run[1] == other[1]
    assert all(np.array_equal(one, two) for one, two in zip(run[0], other[0], strict=True))


@pytest.mark.parametrize("number", [3, 32])
def test_the_number_of_steps_in_a_call_changes_no_bit(data, one_step, tmp_path, number):
    run = trained(data, tmp_path / "run", steps_per_execution=number)
    is_the_same(run, one_step)
    assert run[2]["steps_per_execution"] == min(number, 7)
    assert 0 < run[2]["device_busy"] <= 1


def test_killed_and_resumed_with_another_number_it_ends_alike(data, one_step, tmp_path, monkeypatch):
    save, saved = listeners.save_state, []

    def stop_after_the_first(*arguments):
        save(*arguments)
        saved.append(arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(listeners, "save_state", stop_after_the_first)
    with pytest.raises(KeyboardInterrupt):
        trained(data, tmp_path / "run", steps_per_execution=3)
    monkeypatch.setattr(listeners, "save_state", save)
    is_the_same(trained(data, tmp_path / "run", steps_per_execution=5, resume=True), one_step)


def test_a_loss_that_is_not_finite_is_told_by_its_epoch_and_step(data, tmp_path):
    sentences = []
    small = experiment("fanin2").with_settings([*SMALL, "learning_rate=1e20"]).lasting(2)
    for number in (1, 3):
        with pytest.raises(loop.Diverged) as raised:
            train(small, data, tmp_path / str(number), steps_per_execution=number)
        sentences.append(str(raised.value))
    assert re.match(r"the loss is not finite in epoch 1, step [2-7];", sentences[0])
    assert sentences[0] == sentences[1]


def test_files_written_behind_the_training_are_those_written_in_it(data, one_step, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "has_accelerator", lambda: True)
    run = trained(data, tmp_path / "run")
    is_the_same(run, one_step)
    best = keras.saving.load_model(tmp_path / "run" / "best.keras").get_weights()
    assert [weights.shape for weights in best] == [weights.shape for weights in one_step[0]]


def test_trouble_with_a_file_behind_the_training_ends_it(data, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "has_accelerator", lambda: True)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(listeners, "save_state", full)
    with pytest.raises(OSError, match="No space left"):
        trained(data, tmp_path / "run")


@pytest.mark.parametrize("number", [0, -1])
def test_less_than_one_step_is_refused(number):
    from saliency_keras.train import main

    with pytest.raises(UserError, match="--steps-per-execution must be at least 1"):
        main(["rgb", "--steps-per-execution", str(number)])


def test_a_number_that_divides_the_epoch_is_preferred(monkeypatch):
    monkeypatch.setattr(steps, "has_accelerator", lambda: True)
    assert [steps.steps_together(epoch) for epoch in (7, 32, 60, 64, 10009)] == [7, 32, 30, 32, 32]
    monkeypatch.setattr(steps, "has_accelerator", lambda: False)
    assert [steps.steps_together(60), steps.steps_together(60, 32)] == [1, 32]


ON_JAX = """
import sys
from unittest import mock
from saliency_keras.experiments import experiment
from saliency_keras.training import resident
from saliency_keras.training.train import train
data, out, settings = sys.argv[1], sys.argv[2], sys.argv[3:]
small = experiment("fanin2").with_settings(settings).lasting(2)
train(small, data, out + "/one", augment="device")
train(small, data, out + "/several", augment="device", steps_per_execution=3)
with mock.patch.object(resident, "free_memory", lambda: 1e9), mock.patch.object(resident, "CHUNK", 5):
    for maps, name in (("own", "resident"), ("shuffled", "resident-shuffled")):
        train(small.showing(maps), data, out + "/" + name, augment="device", steps_per_execution=3)
train(small.showing("shuffled"), data, out + "/shuffled", augment="device")
"""


@pytest.mark.backend
def test_on_jax_pictures_in_the_devices_memory_give_the_same_bits(data, tmp_path):
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    subprocess.run([sys.executable, "-c", ON_JAX, str(data), str(tmp_path), *SMALL], env=environment, check=True)
    weights = {
        folder.name: keras.saving.load_model(folder / "model.keras").get_weights() for folder in tmp_path.iterdir()
    }
    for name, other in (("several", "one"), ("resident", "one"), ("resident-shuffled", "shuffled")):
        assert all(np.array_equal(a, b) for a, b in zip(weights[name], weights[other], strict=True)), name
    assert not all(np.array_equal(a, b) for a, b in zip(weights["one"], weights["shuffled"], strict=True))
    assert json.loads((tmp_path / "resident" / "summary.json").read_text())["steps_per_execution"] == 3


def test_a_compiled_loop_of_steps_learns_what_single_steps_learn():
    r = np.random.default_rng(0)
    batches = [({"image": r.integers(0, 256, (8, 6, 6, 3), "uint8")}, r.integers(0, 10, 8)) for _ in range(7)]
    found = []
    for in_a_loop in (False, True):
        keras.utils.set_random_seed(0)
        image = keras.Input((6, 6, 3), dtype="uint8", name="image")
        x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(image))
        x = keras.layers.Dropout(0.5)(keras.layers.Dense(16, activation="relu")(x))
        model = keras.Model({"image": image}, keras.layers.Dense(10)(x))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.1, 0.9), loss, jit_compile=False)
        with steps.Steps(model, batches[0], 3, in_a_loop=in_a_loop) as made:
            stream = Stream(lambda step: batches[step % 7], range(14)).grouped(3, 7)
            history = model.fit(stream, steps_per_epoch=3, epochs=2, verbose=0, shuffle=False).history["loss"]
        assert [int(bad) for bad in made.bad] == [3, 3, 1] * 2
        found.append((history, model.get_weights()))
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-5)
    for one, two in zip(found[0][1], found[1][1], strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)


def test_groups_hold_the_batches_in_order_and_the_last_of_an_epoch_is_shorter():
    def batch_of(step):
        return {"image": np.full((2, 3), step)}, np.array([step, step])

    groups = list(Stream(batch_of, range(10, 20)).grouped(2, 5))
    steps_in = [inputs["image"][:, 0, 0].tolist() for inputs, _ in groups]
    assert steps_in == [[10, 11], [12, 13], [14], [15, 16], [17, 18], [19]]
    assert [labels.shape for _, labels in groups] == [(2, 2), (2, 2), (1, 2)] * 2


def test_pictures_without_room_stay_on_the_host(monkeypatch, data):
    from saliency_keras.data.manifest import Manifest
    from saliency_keras.data.reader import Reader

    reader = Reader(Manifest.load(data), "train", 128, BATCH, augment="device")
    monkeypatch.setattr(resident, "free_memory", lambda: reader.records * 136**2 * 4)
    assert resident.resident(reader) is None
