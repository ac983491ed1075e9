"""Runs as a user starts them: whole folders, exact resume, honest figures, one sentence for every mistake."""

import csv
import dataclasses
import gc
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest

from saliency_keras.data.stream import Stream
from saliency_keras.experiments import EXPERIMENTS, experiment
from saliency_keras.train import _print_large
from saliency_keras.training import loop
from tests.small_sets import write_small_set

SMALL = ["--set", "dense_units=16", "--set", "width_multiplier=0.125", "--set", "dropout=0.5", "--batch", "16"]
FILES = {"config.json", "history.csv", "curves.png", "model.keras", "best.keras", "predictions.h5", "summary.json"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    write_small_set(folder, side=136, classes=3, train=(20, 17), val=(11,), separable=True)
    return folder


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the other backends keep nothing")
def test_nothing_is_left_of_trained_networks_that_are_forgotten():
    from saliency_keras.training.train import forget_networks

    def graphs():
        return sum(type(one).__name__ == "FuncGraph" and one.name == "one_step_on_data" for one in gc.get_objects())

    def trained():
        network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        network.compile("sgd", "mse")
        network.fit(np.zeros((4, 3)), np.zeros((4, 2)), verbose=0)

    forget_networks()
    assert graphs() == 0
    trained()
    assert graphs()
    forget_networks()
    assert graphs() == 0


def command(*words, **environment):
    root = Path(__file__).parents[2]
    return subprocess.Popen(
        [sys.executable, "-m", "saliency_keras.train", *map(str, words)],
        cwd=root, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def train(*words):
    """Runs the command in this process; raises what it raises."""
    from saliency_keras.train import main

    main([str(word) for word in words])


def rows(folder):
    with open(folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def arrays(path):
    return keras.saving.load_model(path, compile=False).get_weights()


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "fanin2"
    train("fanin2", "--data", data, "--out", folder, "--epochs", 3, *SMALL)
    return folder


def test_run_folder_is_whole_and_says_what_was_run(finished):
    assert {path.name for path in finished.iterdir()} == FILES
    config = json.loads((finished / "config.json").read_text())
    assert config["experiment"]["name"] == "fanin2"
    assert config["experiment"]["published"] == {"top1": 0.366, "top5": 0.614}
    assert config["experiment"]["schedule"]["drops"] == [1, 2, 2]
    assert (config["maps"], config["seed"]) == ("own", 0)
    header = "epoch,learning_rate,loss,cross_entropy,top1,top5,val_loss,val_cross_entropy,val_top1,val_top5,seconds"
    assert (finished / "history.csv").read_text().splitlines()[0] == header
    assert [row["epoch"] for row in rows(finished)] == ["1", "2", "3"]


def test_predictions_give_the_accuracies_of_the_last_epoch(finished):
    last = rows(finished)[-1]
    with h5py.File(finished / "predictions.h5") as file:
        assert len(file["id"]) == 11
        assert np.mean(file["rank"][:] < 1) == pytest.approx(float(last["val_top1"]), abs=1e-6)
        assert np.mean(file["rank"][:] < 5) == 1 == float(last["val_top5"])  # three classes
        assert np.array_equal(file["top5"][:, 0] == file["label"][:], file["rank"][:] == 0)
        assert file["top5"].shape == (11, 3)
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["last"]["val_top1"] == float(last["val_top1"])
    assert 0 <= summary["waiting"] < 0.5, "batches are prepared before they are asked for"
    assert 0 <= summary["host_idle"] < 1
    assert summary["parameters"]["total"] == keras.saving.load_model(finished / "model.keras").count_params()


def test_time_spent_waiting_for_a_slow_reader_is_told(data, tmp_path, monkeypatch):
    begin = Stream.__init__

    def slow(self, batch_of, steps):
        begin(self, lambda step: time.sleep(1) or batch_of(step), steps)

    monkeypatch.setattr(Stream, "__init__", slow)
    train("rgb", "--data", data, "--out", tmp_path / "run", "--epochs", 4, *SMALL)
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["waiting"] > 0.02


def test_optimizer_has_momentum_and_the_rate_of_the_schedule(data, tmp_path, monkeypatch):
    """§3.3.1: SGD, momentum 0.9, a rate of 0.01 divided by ten at each drop."""
    record, rates = loop._Recorder._record, []

    def look(self, logs):
        assert isinstance(self.model.optimizer, keras.optimizers.SGD)
        assert self.model.optimizer.momentum == 0.9
        rates.append(float(self.model.optimizer.learning_rate))
        record(self, logs)

    monkeypatch.setattr(loop._Recorder, "_record", look)
    train("rgb", "--data", data, "--out", tmp_path / "run", "--epochs", 3, *SMALL, "--set", "drops=[1,2]")
    assert rates == pytest.approx([0.01, 0.001, 0.0001])


def test_seed_decides_weights_and_crops_and_nothing_else_does(data, finished, tmp_path):
    words = ["fanin2", "--data", data, "--epochs", 3, *SMALL]
    train(*words, "--out", tmp_path / "again")
    train(*words, "--out", tmp_path / "other", "--seed", 1)
    ours, again, other = (arrays(one / "model.keras") for one in (finished, tmp_path / "again", tmp_path / "other"))
    assert all(np.array_equal(one, two) for one, two in zip(ours, again, strict=True))
    kernels = [number for number, one in enumerate(ours) if one.ndim > 1]
    assert kernels
    assert not any(np.array_equal(ours[number], other[number]) for number in kernels)


def test_bfloat16_computes_in_bfloat16_and_tells_scores_in_float32(data, tmp_path):
    train("fanin2", "--data", data, "--out", tmp_path / "run", "--epochs", 1, *SMALL, "--precision", "bfloat16")
    network = keras.saving.load_model(tmp_path / "run" / "model.keras", compile=False)
    assert {layer.compute_dtype for layer in network.layers if layer.name.startswith("conv")} == {"bfloat16"}
    assert network.get_layer("fc3").compute_dtype == "float32"
    assert {str(variable.dtype) for variable in network.trainable_variables} == {"float32"}
    assert json.loads((tmp_path / "run" / "config.json").read_text())["precision"] == "bfloat16"


def test_cropping_on_the_device_trains_and_its_network_takes_crops_as_any_other(data, finished, tmp_path):
    train("fanin2", "--data", data, "--out", tmp_path / "run", "--epochs", 3, *SMALL, "--augment", "device")
    assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
    ours, theirs = (keras.saving.load_model(one / "model.keras", compile=False) for one in (tmp_path / "run", finished))
    assert [one.shape for one in ours.inputs] == [one.shape for one in theirs.inputs]
    assert all(np.isfinite(float(row["loss"])) for row in rows(tmp_path / "run"))


def test_without_data_the_built_in_pictures_are_made_once_and_trained_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SALIENCY_KERAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("data_prep.sources.popout.COUNTS", {"train": 20, "val": 10})
    monkeypatch.chdir(tmp_path)
    for seed in "0", "1":
        train("rgb", "--epochs", 1, "--seed", seed, "--set", "dense_units=4")
    printed = capsys.readouterr().out
    assert printed.count("making the built-in pictures, once") == 1
    assert "no --data: training on the built-in pictures `popout`" in printed
    told = "this is the small rgb (dense_units=4, width_multiplier=0.25), quick on a processor; "
    assert told + "--set dense_units=4096 --set width_multiplier=1.0 gives the paper's" in " ".join(printed.split())
    assert {path.name for path in Path("runs").iterdir()} == {"popout-rgb", "popout-rgb-seed1"}
    config = json.loads(Path("runs", "popout-rgb", "config.json").read_text())
    assert config["data"]["source"]["kind"] == "popout"
    assert config["experiment"]["schedule"]["batch"] == EXPERIMENTS["rgb"].popout["batch"]
    assert config["experiment"]["arguments"]["width_multiplier"] == 0.25
    assert config["experiment"]["arguments"]["dense_units"] == 4


def test_a_training_of_hours_on_a_processor_says_so_and_one_of_minutes_does_not(data, monkeypatch, capsys):
    """`rgb` on 37 pictures is 3 x 37 x 164 million multiply-adds an epoch (test_reproduce.py): 18.2 billion."""
    monkeypatch.setattr("saliency_keras.data.stream.CORES", 2)
    paper = experiment("rgb")
    _print_large(paper.lasting(90), paper, data)
    assert not capsys.readouterr().out
    _print_large(paper.lasting(47_400), paper, data)  # 8.63e14 at 8e10 a second
    small = "--epochs 10 --set dense_units=512 --set width_multiplier=0.25 trains a small rgb"
    told = f"47400 epochs of the paper's whole network may take about 3 hours here; {small}"
    assert told in " ".join(capsys.readouterr().out.split())


def test_list_of_one_experiment_prints_the_paper_s_figure(capsys):
    train("--list", "fanin3")
    assert "Top-1 48.99 %, Top-5 72.80 %" in capsys.readouterr().out


def test_network_learns_to_tell_bright_from_dark(data, tmp_path):
    train("rgb", "--data", data, "--out", tmp_path / "run", "--epochs", 14, "--batch", 12,
          "--set", "dense_units=64", "--set", "width_multiplier=0.25", "--set", "drops=[7]",
          "--set", "learning_rate=0.003")  # fmt: skip
    assert float(rows(tmp_path / "run")[-1]["val_top1"]) > 0.9


@pytest.mark.slow
def test_killed_run_resumes_to_identical_weights_and_history(data, finished, tmp_path):
    out = tmp_path / "killed"
    words = ["fanin2", "--data", data, "--out", out, "--epochs", 3, *SMALL]
    for wanted in ("config.json", "state/epoch-00001.npz"):
        resume = ["--resume"] if (out / "config.json").exists() else []
        process = command(*words, *resume)
        deadline = time.monotonic() + 240
        while not (out / wanted).exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (out / "summary.json").exists()
    _, errors = command(*words, "--resume").communicate()
    assert {path.name for path in out.iterdir()} == FILES, errors
    for name in ("model.keras", "best.keras"):
        pairs = list(zip(arrays(out / name), arrays(finished / name), strict=True))
        assert all(np.array_equal(resumed, whole) for resumed, whole in pairs)
    began = json.loads((out / "config.json").read_text())["command"]
    assert began == shlex.join(["python", "-m", "saliency_keras.train", *map(str, words)])
    without_seconds = [[{**row, "seconds": ""} for row in rows(folder)] for folder in (out, finished)]
    assert without_seconds[0] == without_seconds[1]
    with h5py.File(out / "predictions.h5") as resumed, h5py.File(finished / "predictions.h5") as whole:
        assert np.array_equal(resumed["scores"][:], whole["scores"][:])


def test_images_per_second_leave_validation_out(finished):
    summary = json.loads((finished / "summary.json").read_text())
    whole_epochs = [float(row["seconds"]) for row in rows(finished)]
    assert summary["images_per_second"] > 37 // 16 * 16 / np.median(whole_epochs)


def test_a_run_folder_is_one_process_s(data, tmp_path):
    from saliency_keras.console import UserError
    from saliency_keras.files import claimed

    words = ["rgb", "--data", data, "--out", tmp_path / "run", "--epochs", 1, *SMALL]
    with claimed(tmp_path / "run"):
        with pytest.raises(UserError, match="another process is writing"):
            train(*words)
        assert not list((tmp_path / "run").iterdir())
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").touch()
    with pytest.raises(UserError, match="is not empty and holds no run"):  # there is none to go on with
        train(*words, "--resume")
    (tmp_path / "run" / "notes.txt").unlink()
    train(*words, "--resume")  # where nothing was begun, it begins: a job that is requeued has one command
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["epochs"] == 1


def test_resuming_a_finished_run_changes_nothing(data, finished):
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    train("fanin2", "--data", data, "--out", finished, "--epochs", 3, *SMALL, "--resume")
    assert before == {path.name: path.read_bytes() for path in finished.iterdir()}


def test_weights_are_carried_into_the_next_run(data, tmp_path):
    small = ["--data", data, "--epochs", 1, "--batch", 16, "--set", "dense_units=16", "--set", "width_multiplier=0.125"]
    train("rgb", *small, "--out", tmp_path / "rgb")
    train("rgbs_pretrained", *small, "--out", tmp_path / "rgbs", "--init", tmp_path / "rgb",
          "--set", "learning_rate=1e-30", "--set", "weight_decay=0.0")  # fmt: skip
    old, new = (keras.saving.load_model(tmp_path / name / "model.keras", compile=False) for name in ("rgb", "rgbs"))
    np.testing.assert_array_equal(new.get_layer("conv1").kernel[:, :, :3], old.get_layer("conv1").kernel)
    np.testing.assert_array_equal(new.get_layer("fc3").kernel, old.get_layer("fc3").kernel)


def test_constant_model_scores_chance_on_every_batch_size(data):
    from saliency_keras.data.manifest import Manifest
    from saliency_keras.data.reader import Reader
    from saliency_keras.metrics.classification import Top1, Top5

    manifest = Manifest.load(data)
    constant = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(3, kernel_initializer="zeros")])
    for batch in (1, 4, 11, 64):
        top1, top5 = Top1(), Top5()
        reader = Reader(manifest, "val", 128, batch, shown=None)
        for inputs, labels in reader.validation():
            scores = constant(inputs["image"])
            top1.update_state(labels, scores)
            top5.update_state(labels, scores)
        assert float(top1.result()) == pytest.approx(4 / 11)  # labels 0, 1, 2, 0, …: four of eleven are class 0
        assert float(top5.result()) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["fanin4"], "there is no experiment 'fanin4'"),
        (["rgbs_pretrained"], "train rgb first"),
        (["rgb", "--init", "nowhere"], "no run folder nowhere"),
        (["rgb", "--epochs", "0"], "at least 1"),
        (["rgb", "--devices", "0"], "at least 1"),
        (["rgb", "--seed", "-1"], "0 or more"),
        (["rgb", "--maps", "shuffled"], "sees no map"),
        (["fanin2", "--maps", "mine"], "no map named 'mine'"),
        (["rgbs", "--set", "at_input=add"], "one of concatenate, multiply"),
        (["rgb", "--set", "side=227"], "larger --side"),
        (["rgb", "--set", "side=20"], "cannot be built at 20 px"),
        (["rgb", "--set", "dense_units=-1"], r"with .*dense_units=-1.*: [^\n]+$"),
    ],
)
def test_mistake_is_one_sentence_and_writes_nothing(data, tmp_path, words, says):
    from saliency_keras.console import UserError

    with pytest.raises(UserError, match=says):
        train(*words, "--data", data, "--out", tmp_path / "run", *([] if "--epochs" in words else ["--epochs", 1]))
    assert not (tmp_path / "run").exists()


def test_init_from_a_run_with_other_classes_is_refused_before_anything_is_written(data, tmp_path):
    from saliency_keras.console import UserError

    small = ["--epochs", 1, "--batch", 16, "--set", "dense_units=16", "--set", "width_multiplier=0.125"]
    other = tmp_path / "set"
    other.mkdir()
    write_small_set(other, side=128, classes=2, train=(16,), val=(4,))
    train("rgb", "--data", other, "--out", tmp_path / "two", *small)
    with pytest.raises(UserError, match="'fc3' does not fit"):
        train("rgb", "--data", data, "--out", tmp_path / "three", "--init", tmp_path / "two", *small)
    assert not (tmp_path / "three").exists()


def test_init_from_as_many_other_classes_is_refused_unless_the_last_layer_is_new(data, tmp_path):
    from saliency_keras.console import UserError
    from saliency_keras.data.manifest import Manifest

    small = ["--epochs", 1, "--batch", 16, "--set", "dense_units=16", "--set", "width_multiplier=0.125"]
    other = tmp_path / "set"
    other.mkdir()
    manifest, _ = write_small_set(other, side=128, classes=3, train=(16,), val=(4,))
    dataclasses.replace(manifest, classes=("class0", "classes 1", "class2")).save(other)
    assert Manifest.load(other).classes[1] == "classes 1"
    train("rgb", "--data", other, "--out", tmp_path / "first", *small)
    words = ["rgb", "--data", data, "--init", tmp_path / "first", *small]
    with pytest.raises(UserError, match=r"other classes \(classes 1 where this set has class1\).*--set fresh=top"):
        train(*words, "--out", tmp_path / "second")
    assert not (tmp_path / "second").exists()
    train(*words, "--out", tmp_path / "second", "--set", "fresh=top")
    assert (tmp_path / "second" / "model.keras").is_file()


def test_resuming_with_other_settings_is_refused(data, finished):
    from saliency_keras.console import UserError

    with pytest.raises(UserError, match=r"another epochs \(3, now 4\)"):
        train("fanin2", "--data", data, "--out", finished, "--epochs", 4, *SMALL, "--resume")


def test_a_set_made_by_another_processors_kernels_is_told_from_another_set(data, tmp_path):
    """By `--resume`, and by what reads the run's data set later (`evaluate` shows pictures of it)."""
    from saliency_keras.console import UserError
    from saliency_keras.data.manifest import Manifest
    from saliency_keras.runs.run import Run

    def made_by(kernels, sha256=None, **changed):
        """The set, as if such kernels had made its maps, and other bytes where a checksum is given."""
        manifest = Manifest.load(data)
        maps = tuple(dataclasses.replace(one, kernels=kernels) for one in manifest.maps)
        val = manifest.splits["val"]
        shards = tuple(dataclasses.replace(one, sha256=sha256 or one.sha256) for one in val.shards)
        splits = {**manifest.splits, "val": dataclasses.replace(val, shards=shards)}
        dataclasses.replace(manifest, maps=maps, splits=splits, **changed).save(folder)

    folder = tmp_path / "set"
    shutil.copytree(data, folder)
    made_by("kernel A")
    words = ["fanin3", "--data", folder, "--out", tmp_path / "run", "--epochs", 1, *SMALL]
    train(*words)
    run = Run.load(tmp_path / "run")
    assert run.data_set().maps[0].kernels == run.config["data"]["kernels"] == "kernel A"
    made_by("kernel B")
    run.data_set()  # the same bytes: the same data
    made_by("kernel B", "b" * 64)
    made = r"the same set, made by another processor's kernels: kernel A, now kernel B"
    with pytest.raises(UserError, match=made):
        train(*words, "--resume")
    with pytest.raises(UserError, match=r"kernels \(kernel B; the run was trained on maps of kernel A"):
        run.data_set()
    made_by("kernel B", "b" * 64, seed=9)
    with pytest.raises(UserError, match=r"started with another data \(its files have changed\);"):
        train(*words, "--resume")
    with pytest.raises(UserError, match="no longer the one that the run was trained on"):
        run.data_set()


def test_a_network_that_sees_no_map_says_so_and_runs_that_said_own_can_be_resumed(data, tmp_path):
    words = ["rgb", "--data", data, "--out", tmp_path / "run", "--epochs", 1, *SMALL]
    train(*words)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["maps"] is None
    (tmp_path / "run" / "config.json").write_text(json.dumps({**config, "maps": "own"}))
    (tmp_path / "run" / "summary.json").unlink()
    train(*words, "--resume")
    assert (tmp_path / "run" / "summary.json").is_file()


def test_folder_with_a_run_is_not_trained_over(data, finished):
    from saliency_keras.console import UserError

    with pytest.raises(UserError, match=r"holds a finished run; choose another --out, or delete .* to begin again"):
        train("fanin2", "--data", data, "--out", finished, "--epochs", 3, *SMALL)


@pytest.mark.parametrize("finished", [False, True])
def test_a_folder_with_a_run_says_what_its_run_has_otherwise_and_how_to_get_on(tmp_path, finished):
    from saliency_keras.console import UserError
    from saliency_keras.experiments import experiment
    from saliency_keras.training.start import check_start

    begun = experiment("fanin3").replace(epochs=12, row="a row that was worded otherwise")
    (tmp_path / "config.json").write_text(json.dumps({"experiment": begun.as_json()}))
    if finished:
        (tmp_path / "summary.json").write_text("{}")
    with pytest.raises(UserError) as same:
        check_start(begun, tmp_path)
    assert ("go on with it by --resume" in str(same.value)) != finished
    assert "another" not in str(same.value).partition(";")[0]
    with pytest.raises(UserError) as other:
        check_start(begun.replace(epochs=3, dense_units=8), tmp_path)
    kind = "a finished" if finished else "an unfinished"
    assert str(other.value) == (
        f"{tmp_path} holds {kind} run, which was begun with another dense_units (4096, now 8), epochs (12, now 3); "
        f"choose another --out, or delete {tmp_path} to begin again."
    )
    (tmp_path / "config.json").write_text('{"experiment": {"schedule": 3}}')  # damaged
    with pytest.raises(UserError, match=r"run; .*or delete"):
        check_start(begun, tmp_path)


def test_loss_that_is_not_finite_stops_with_epoch_and_step(data, tmp_path):
    from saliency_keras.console import UserError

    with pytest.raises(UserError, match=r"epoch \d+, step \d+"):
        train("rgb", "--data", data, "--out", tmp_path / "run", "--epochs", 3, *SMALL, "--set", "learning_rate=1e30")


def test_damaged_shard_is_named(tmp_path):
    from saliency_keras.console import UserError

    write_small_set(tmp_path, side=128, classes=2, train=(8,), val=(4,))
    shard = next(tmp_path.glob("train-*-of-00001.tfrecord"))
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(UserError, match=f"{shard.name} is damaged"):
        train("rgb", "--data", tmp_path, "--out", tmp_path / "run", "--epochs", 1)
    assert not (tmp_path / "run").exists()


def test_command_ends_with_code_2_and_one_sentence(data, tmp_path):
    process = command("rgb", "--data", tmp_path / "nowhere", "--out", tmp_path / "run")
    out, errors = process.communicate()
    assert process.returncode == 2
    assert f"there is no data set {tmp_path / 'nowhere'}" in errors
    assert errors.count("\n") == 1
    assert "Traceback" not in errors + out


def test_a_further_map_does_not_keep_a_run_from_being_resumed(data, finished):
    from saliency_keras.data.manifest import Manifest

    manifest = Manifest.load(data)
    fewer = dataclasses.replace(manifest, maps=manifest.maps[:1])
    assert fewer.digest() == manifest.digest() == json.loads((finished / "config.json").read_text())["data"]["digest"]
    assert manifest.digest("other") != manifest.digest()


def test_a_validation_loss_that_is_not_finite_stops_before_anything_of_the_epoch_is_kept():
    from types import SimpleNamespace

    from saliency_keras.console import StopAfterStep
    from saliency_keras.experiments.experiment import Schedule

    term = SimpleNamespace(metrics=())
    task = SimpleNamespace(terms={"logits": term}, measure=dict, steps=3, best="val_loss", smaller_is_better=True)
    history, kept = [], []
    listener = SimpleNamespace(epoch_ended=lambda row, last: kept.append(row))
    recorder = loop._Recorder(task, Schedule(), history, [listener], None, StopAfterStep(), None)
    recorder.epoch, recorder.started = 2, time.perf_counter()
    with pytest.raises(loop.Diverged, match="val_loss is not finite in epoch 2; lower the learning rate"):
        recorder._record({"loss": 1.0, "val_loss": float("nan")})
    assert not history + kept
