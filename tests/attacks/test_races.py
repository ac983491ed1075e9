"""Two trainings and one run folder: stopped at the worst moment, they never mix, and the later one is refused."""

import os
import shutil
import signal
import time

import pytest

from saliency_keras import train
from saliency_keras.console import UserError
from tests.trainings import run_command, what_counts


@pytest.fixture
def begin(processes, small_training, tmp_path):
    """Starts a small training in a process; its standard error goes to `sentence` beside the run folder."""
    begun = []

    def start(out, *words, **options):
        said = tmp_path / f"said{len(begun)}"
        arguments = [*small_training, "--out", str(out), *words]
        process = processes.Process(target=run_command, args=(arguments,), kwargs={"stderr": str(said), **options})
        process.start()
        process.said = said
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.join()


def wait_until(process, ready):
    """Waits until something is so, while a process is at work."""
    end = time.monotonic() + 300
    while not ready():
        assert process.is_alive(), process.said.read_text()
        assert time.monotonic() < end
        time.sleep(0.002)


def is_stopped(process):
    with open(f"/proc/{process.pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


def stop(process):
    os.kill(process.pid, signal.SIGSTOP)
    wait_until(process, lambda: is_stopped(process))


def go_on(process):
    """Lets a stopped process end; its exit code and what it printed as an error."""
    os.kill(process.pid, signal.SIGCONT)
    process.join()
    return process.exitcode, process.said.read_text()


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_while_a_training_builds_its_network_another_one_is_refused(begin, small_training, undisturbed, tmp_path):
    out = tmp_path / "run"
    first = begin(out, stops="within")
    wait_until(first, lambda: is_stopped(first))
    with pytest.raises(UserError, match=f"another process is writing {out} just now"):
        train.main([*small_training, "--out", str(out), "--seed", "1"])
    assert go_on(first) == (0, "")
    assert what_counts(out) == what_counts(undisturbed[0])
    for name in ("model.keras", "best.keras", "predictions.h5"):  # equal runs are equal files
        assert (out / name).read_bytes() == (undisturbed[0] / name).read_bytes()


def test_who_looked_before_the_other_wrote_looks_again_inside_its_claim(begin, undisturbed, tmp_path):
    out = tmp_path / "run"
    late = begin(out, "--seed", "1", stops="before")
    wait_until(late, lambda: is_stopped(late))  # it has seen that the folder is free
    shutil.copytree(undisturbed[0], out)  # meanwhile another one has trained there
    before = contents(out)
    code, said = go_on(late)
    assert (code, said.count("\n")) == (2, 1)
    assert f"{out} holds a finished run" in said
    assert contents(out) == before


def test_a_resumed_training_looks_again_whose_run_it_is(begin, undisturbed, tmp_path):
    out = tmp_path / "run"
    late = begin(out, "--seed", "1", "--resume", stops="before")
    wait_until(late, lambda: is_stopped(late))
    shutil.copytree(undisturbed[0], out)
    (out / "summary.json").unlink()  # another one has begun there, with another seed
    before = contents(out)
    code, said = go_on(late)
    assert (code, said.count("\n")) == (2, 1)
    assert "was started with another seed" in said
    assert contents(out) == before


def test_a_training_whose_folder_was_replaced_stops_in_a_sentence_and_writes_nothing_there(
    begin, undisturbed, tmp_path
):
    """`rm -rf run` and a new `train --out run`, while the old training is at work."""
    out = tmp_path / "run"
    old = begin(out, "--seed", "1")
    wait_until(old, (out / "history.csv").exists)
    stop(old)
    shutil.rmtree(out)
    shutil.copytree(undisturbed[0], out)
    before = contents(out)
    code, said = go_on(old)
    assert (code, said.count("\n")) == (2, 1), said
    assert f"the folder {out} was removed or replaced while this process worked on it" in said
    assert contents(out) == before


def test_a_training_whose_folder_was_moved_away_stops_and_goes_on_where_it_is(begin, undisturbed, tmp_path):
    out, moved = tmp_path / "run", tmp_path / "moved"
    training = begin(out)
    wait_until(training, (out / "history.csv").exists)
    stop(training)
    out.rename(moved)
    code, said = go_on(training)
    assert (code, said.count("\n")) == (2, 1), said
    assert "was removed or replaced" in said
    assert not out.exists()
    resumed = begin(moved, "--resume")
    resumed.join()
    assert resumed.exitcode == 0, resumed.said.read_text()
    assert what_counts(moved) == what_counts(undisturbed[0])
