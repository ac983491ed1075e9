"""Trainings that are killed, or whose disk fills up: they go on, and end with the same bytes."""

import random
import signal
import time

import pytest

from saliency_keras import console, train
from tests.trainings import run_command, what_counts


def epochs_written(out):
    """The epochs that a run's `history.csv` has a line for."""
    path = out / "history.csv"
    return max(path.read_text().count("\n") - 1, 0) if path.exists() else 0


def trained(processes, small_training, out, seconds=None, in_epochs=False):
    """Trains in a process of its own, and kills it after some seconds.

    Args:
        in_epochs: Whether the seconds are counted from the moment at which the process has written an epoch.

    Returns:
        Whether it came to its end.
    """
    before = epochs_written(out)
    process = processes.Process(target=run_command, args=([*small_training, "--out", str(out), "--resume"],))
    process.start()
    while in_epochs and process.is_alive() and epochs_written(out) <= before:
        time.sleep(0.002)
    process.join(seconds)
    process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode == 0


def killed(processes, small_training, undisturbed, folder, times):
    """Kills trainings at random moments, goes on with each, and compares it with the undisturbed one at its end.

    Returns:
        How many epochs were saved at each of the kills.
    """
    whole, seconds = undisturbed
    draw, found, number = random.Random(0), [], 0
    while True:
        out = folder / f"run{number}"
        last = len(found) == times
        # A short training spends most of its time before the first epoch: every other moment is drawn after one.
        in_epochs = not last and len(found) % 2 == 1
        moment = None if last else draw.uniform(0, seconds / 100 if in_epochs else seconds)
        if trained(processes, small_training, out, moment, in_epochs):
            assert what_counts(out) == what_counts(whole)
            number += 1
            if last:
                return found
        else:
            states = sorted(out.glob("state/epoch-*.npz"))
            found.append(int(states[-1].stem[-5:]) if states else 0)


def test_killed_twice_a_training_ends_with_the_same_bytes(processes, small_training, undisturbed, tmp_path):
    assert len(killed(processes, small_training, undisturbed, tmp_path, times=2)) == 2


def test_killed_after_an_epoch_a_training_goes_on_from_there_and_ends_with_the_same_bytes(
    processes, small_training, undisturbed, tmp_path
):
    for attempt in range(5):  # a kill may come late, on a busy machine
        out = tmp_path / f"run{attempt}"
        if not trained(processes, small_training, out, 0, in_epochs=True):
            before = (out / "history.csv").read_text().splitlines()
            if len(before) < 5:
                break
    assert 2 <= len(before) < 5, "no kill met a run at work"
    assert trained(processes, small_training, out)
    assert (out / "history.csv").read_text().splitlines()[: len(before)] == before  # seconds too: not trained again
    assert what_counts(out) == what_counts(undisturbed[0])


@pytest.mark.slow
def test_killed_at_twenty_random_moments_a_training_ends_with_the_same_bytes(
    processes, small_training, undisturbed, tmp_path
):
    found = killed(processes, small_training, undisturbed, tmp_path, times=20)
    assert len(found) == 20
    assert sum(0 < epochs < 4 for epochs in found) >= 3, f"hardly a kill met a run at work: {found}"


def test_a_run_killed_between_its_summary_and_the_end_is_cleared_up(processes, small_training, undisturbed, tmp_path):
    whole, _ = undisturbed
    out = tmp_path / "run"
    out.mkdir()
    for path in whole.iterdir():
        (out / path.name).write_bytes(path.read_bytes())
    (out / "state").mkdir()
    (out / "state" / "epoch-00004.npz").write_bytes(b"left over")
    assert trained(processes, small_training, out)
    assert what_counts(out) == what_counts(whole)


@pytest.mark.slow
def test_on_a_disk_that_fills_up_a_training_stops_in_a_sentence_and_goes_on_with_room(
    small_training, undisturbed, small_disk, capsys
):
    out = small_disk.folder / "run"
    weights = (undisturbed[0] / "model.keras").stat().st_size
    # A state has the weights and the optimizer's as many: best.keras, the first state, the next one, model.keras.
    for room in (0.001, 0.5, 2, 4, 5.5):
        small_disk.resize(max(room * weights, small_disk.used))
        with pytest.raises(SystemExit) as stopped:
            console.run(lambda: train.main([*small_training, "--out", str(out), "--resume"]))
        sentence = capsys.readouterr().err
        assert stopped.value.code == 2, sentence
        assert sentence.count("\n") == 1
        assert "o space left on device" in sentence or "no room left" in sentence, sentence
        assert str(out) in sentence
        assert not [path.name for path in out.rglob("*incomplete*")]
        assert not (out / "summary.json").exists()
    small_disk.resize(10 * weights)
    train.main([*small_training, "--out", str(out), "--resume"])
    for one, other in zip(what_counts(out), what_counts(undisturbed[0]), strict=True):
        assert one == other
