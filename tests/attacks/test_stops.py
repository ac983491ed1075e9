"""A training that loses its reader, its channels or its time: it goes on, or stops in a sentence and goes on later."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.trainings import run_command, what_counts

SECONDS = 5  # after a signal; a busy machine is given more below


def started(processes, small_training, out, **options):
    words = [*small_training, "--out", str(out), "--resume"]
    process = processes.Process(target=run_command, args=(words,), kwargs=options)
    process.start()
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_training_after_its_step_and_it_goes_on_to_the_same_bytes(
    processes, small_training, undisturbed, tmp_path, number
):
    out, said = tmp_path / "run", tmp_path / "said"
    process = started(processes, small_training, out, stderr=str(said))
    while not (out / "history.csv").exists():
        assert process.is_alive()
        time.sleep(0.002)
    begun = time.monotonic()
    os.kill(process.pid, number)
    process.join()
    seconds, busy = time.monotonic() - begun, max(1, os.getloadavg()[0] / os.cpu_count())
    if process.exitcode:  # it may have ended by itself just before
        assert process.exitcode == 128 + number
        assert said.read_text().strip().startswith("stopped")
        assert said.read_text().strip().endswith("; go on with --resume")
        assert not (out / "summary.json").exists()
        assert seconds < SECONDS * busy
    last = started(processes, small_training, out)
    last.join()
    assert last.exitcode == 0
    assert what_counts(out) == what_counts(undisturbed[0])


SLOW_STEP = """
import ctypes, time
from saliency_keras import console
def main():
    with console.resumable("go on with --resume"), console.StopAfterStep() as stop:
        stop.where = "stopped in epoch 4"
        print("begun", flush=True)
        for step in range(1000):
            {step}
            stop.check()
console.run(main)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("step", ["time.sleep(0.01)", "ctypes.CDLL(None).sleep(60), ctypes.CDLL(None).sleep(60)"])
def test_a_step_that_takes_minutes_in_a_library_does_not_keep_the_process(number, step):
    """C's `sleep` stands for a library: Python's own handlers wait until it is back."""
    words = [sys.executable, "-c", SLOW_STEP.format(step=step)]
    with subprocess.Popen(words, cwd=Path(__file__).parents[2], stdout=-1, stderr=-1, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        begun = time.monotonic()
        process.send_signal(number)
        _, said = process.communicate()
        assert time.monotonic() - begun < SECONDS
    assert process.returncode == 128 + number
    assert said == "\nstopped in epoch 4; go on with --resume\n"


def test_a_training_whose_reader_is_gone_after_one_line_trains_to_the_end(
    processes, small_training, undisturbed, tmp_path
):
    """`train … | head -1`."""
    out, pipe = tmp_path / "run", tmp_path / "pipe"
    os.mkfifo(pipe)
    process = started(processes, small_training, out, stdout=str(pipe))
    with open(pipe) as file:
        assert file.readline().startswith("epoch 1/4")
    process.join()
    assert process.exitcode == 0
    assert what_counts(out) == what_counts(undisturbed[0])


def test_closed_channels_end_nothing_and_no_file_gets_their_numbers(processes, small_training, undisturbed, tmp_path):
    """`train … >&- 2>&-`: what is opened later would be written to by every library that logs."""
    out = tmp_path / "run"
    process = started(processes, small_training, out, stdout="closed", stderr="closed")
    process.join()
    assert process.exitcode == 0
    assert what_counts(out) == what_counts(undisturbed[0])


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("words", ["--help", "--list", "nothing"])
def test_a_command_with_closed_channels_ends_with_its_own_code(closed, words):
    command = f"{sys.executable} -m saliency_keras.train {words} {closed}"
    ended = subprocess.run(["sh", "-c", command], cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert ended.returncode == (2 if words == "nothing" else 0), ended.stderr
    assert "Traceback" not in ended.stderr
    assert bool(ended.stderr) == (words == "nothing" and "2>&-" not in closed)
