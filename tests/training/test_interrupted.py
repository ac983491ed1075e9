"""Trainings that are killed, or whose disk fills up: they go on, and end with the same bytes."""

import csv
import multiprocessing
import random
import signal
import time
import zipfile

import h5py
import numpy as np
import pytest

from saliency_keras import console, train
from tests.small_sets import write_small_set

WORDS = ["--epochs", "4", "--batch", "8", "--set", "side=112", "--set", "dense_units=8", "--set", "dropout=0.5"]
WORDS += ["--set", "width_multiplier=0.125"]
FILES = {"config.json", "history.csv", "curves.png", "model.keras", "best.keras", "predictions.h5", "summary.json"}


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """The command's words, `--out` and what follows aside, for a small network on a small set."""
    folder = tmp_path_factory.mktemp("set")
    write_small_set(folder, side=120, codec="npy", classes=2, train=(20, 12), val=(6,), separable=True)
    return ["fanin2", "--data", str(folder), *WORDS]


@pytest.fixture(scope="module")
def processes():
    """Starts processes that are copies of one that has loaded Keras: to load it twenty times would take minutes."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["saliency_keras.training.train", "saliency_keras.training.tasks.classification"])
    return context


def trained(processes, words, out, seconds=None, until=None):
    """Trains in a process of its own, and kills it after some seconds or once a file is there.

    Returns:
        Whether it came to its end.
    """
    resume = ["--resume"] * (out / "config.json").exists()
    process = processes.Process(target=train.main, args=([*words, "--out", str(out), *resume],))
    process.start()
    while until and process.is_alive() and not (out / until).exists():
        time.sleep(0.002)
    process.join(0 if until else seconds)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0


@pytest.fixture(scope="module")
def undisturbed(processes, words, tmp_path_factory):
    """A run that nothing happened to, and how many seconds it took."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert trained(processes, words, folder / "first")  # its time has the loading of Keras in it
    begun = time.monotonic()
    assert trained(processes, words, folder / "run")
    seconds = time.monotonic() - begun
    assert what_counts(folder / "first") == what_counts(folder / "run")
    return folder / "run", seconds


def what_counts(run):
    """The bytes of the weights, the history without its seconds, the predictions; and that nothing else is there."""
    assert {path.name for path in run.iterdir()} == FILES
    weights = {}
    for name in ("model.keras", "best.keras"):
        with zipfile.ZipFile(run / name) as archive:
            weights[name] = archive.read("model.weights.h5")
    with open(run / "history.csv", newline="") as file:
        history = [{**row, "seconds": None} for row in csv.DictReader(file)]
    with h5py.File(run / "predictions.h5") as file:
        predictions = {name: np.asarray(values).tobytes() for name, values in file.items() if name != "id"}
        predictions["id"] = file["id"].asstr()[:].tolist()
    return weights, history, predictions


def killed(processes, words, undisturbed, folder, times):
    """Kills trainings at random moments, goes on with each, and compares it with the undisturbed one at its end.

    Returns:
        How many epochs were saved at each of the kills.
    """
    whole, seconds = undisturbed
    draw, found, number = random.Random(0), [], 0
    while True:
        out = folder / f"run{number}"
        last = len(found) == times
        if trained(processes, words, out, None if last else draw.uniform(0, seconds)):
            assert what_counts(out) == what_counts(whole)
            number += 1
            if last:
                return found
        else:
            states = sorted(out.glob("state/epoch-*.npz"))
            found.append(int(states[-1].stem[-5:]) if states else 0)


def test_killed_twice_a_training_ends_with_the_same_bytes(processes, words, undisturbed, tmp_path):
    assert len(killed(processes, words, undisturbed, tmp_path, times=2)) == 2


def test_killed_after_an_epoch_a_training_goes_on_from_there_and_ends_with_the_same_bytes(
    processes, words, undisturbed, tmp_path
):
    for attempt in range(5):  # a kill may come late, on a busy machine
        out = tmp_path / f"run{attempt}"
        if not trained(processes, words, out, until="history.csv"):
            before = (out / "history.csv").read_text().splitlines()
            if len(before) < 5:
                break
    assert 2 <= len(before) < 5, "no kill met a run at work"
    assert trained(processes, words, out)
    assert (out / "history.csv").read_text().splitlines()[: len(before)] == before  # seconds too: not trained again
    assert what_counts(out) == what_counts(undisturbed[0])


@pytest.mark.slow
def test_killed_at_twenty_random_moments_a_training_ends_with_the_same_bytes(processes, words, undisturbed, tmp_path):
    found = killed(processes, words, undisturbed, tmp_path, times=20)
    assert len(found) == 20
    assert sum(0 < epochs < 4 for epochs in found) >= 3, "hardly a kill met a run at work"


def test_a_run_killed_between_its_summary_and_the_end_is_cleared_up(processes, words, undisturbed, tmp_path):
    whole, _ = undisturbed
    out = tmp_path / "run"
    out.mkdir()
    for path in whole.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    (out / "state").mkdir()
    (out / "state" / "epoch-00004.npz").write_bytes(b"left over")
    assert trained(processes, words, out)
    assert what_counts(out) == what_counts(whole)


@pytest.mark.slow
def test_on_a_disk_that_fills_up_a_training_stops_in_a_sentence_and_goes_on_with_room(
    words, undisturbed, small_disk, capsys
):
    out = small_disk.folder / "run"
    weights = (undisturbed[0] / "model.keras").stat().st_size
    # A state has the weights and the optimizer's as many: best.keras, the first state, the next one, model.keras.
    for room in (0.001, 0.5, 2, 4, 5.5):
        small_disk.resize(max(room * weights, small_disk.used))
        resume = ["--resume"] * (out / "config.json").exists()
        with pytest.raises(SystemExit) as stopped:
            console.run(lambda resume=resume: train.main([*words, "--out", str(out), *resume]))
        sentence = capsys.readouterr().err
        assert stopped.value.code == 2, sentence
        assert sentence.count("\n") == 1
        assert "o space left on device" in sentence or "no room left" in sentence, sentence
        assert str(out) in sentence
        assert not [path.name for path in out.rglob("*incomplete*")]
        assert not (out / "summary.json").exists()
    small_disk.resize(10 * weights)
    train.main([*words, "--out", str(out), "--resume"])
    for one, other in zip(what_counts(out), what_counts(undisturbed[0]), strict=True):
        assert one == other
