"""Runs of a plan that are trained at once: in order, each in its own process, ended together."""

import dataclasses
import os
import time
from pathlib import Path

import pytest

from saliency_keras.console import UserError
from saliency_keras.tables.plan import Unfit
from saliency_keras.tables.side_by_side import train_side_by_side


@dataclasses.dataclass(frozen=True)
class Made:
    """A run that notes when it began and ended, on which cores; it may fail."""

    folder: Path
    needs: tuple = ()
    seconds: float = 0.5
    error: Exception | None = None

    def train(self, features=None):
        began = time.time()
        print("epoch 1/1  loss 0.1")
        time.sleep(self.seconds)
        if self.error:
            raise self.error
        self.folder.mkdir()
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        (self.folder / "summary.json").write_text(f"{began} {time.time()} {os.getpid()} {cores}")

    def span(self):
        began, ended, *_ = (self.folder / "summary.json").read_text().split()
        return float(began), float(ended)

    def __str__(self):
        return f"run {self.folder.name}"


def trained(runs, jobs, unfit=None):
    finished = []
    train_side_by_side(runs, jobs, {} if unfit is None else unfit, lambda run: None, lambda run: finished.append(run))
    return finished


def test_runs_overlap_and_those_that_start_from_others_wait_for_them(tmp_path, capfd):
    base = Made(tmp_path / "base", seconds=1.0)
    child = Made(tmp_path / "child", needs=(base.folder,), seconds=0.1)
    other = Made(tmp_path / "other", seconds=3.0)
    assert set(trained([base, child, other], 2)) == {base, child, other}
    assert child.span()[0] >= base.span()[1]
    assert other.span()[0] < base.span()[1], "both at once"
    printed = capfd.readouterr().out.splitlines()
    assert "other: epoch 1/1  loss 0.1" in printed
    assert "base: run base; 2 of 3 runs left after it" in printed


def test_each_run_has_its_share_of_the_cores(tmp_path):
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core, or a system that does not share them out")
    runs = [Made(tmp_path / name, seconds=2.0) for name in "ab"]
    trained(runs, 2)
    first, second = (set(eval((run.folder / "summary.json").read_text().split(" ", 3)[3])) for run in runs)
    assert first
    assert not first & second


def test_what_needs_a_run_that_diverged_is_missing_and_the_others_go_on(tmp_path):
    base = Made(tmp_path / "base", seconds=0.0, error=Unfit("the loss is not finite."))
    child, other = Made(tmp_path / "child", needs=(base.folder,)), Made(tmp_path / "other", seconds=0.0)
    unfit = {}
    assert trained([base, child, other], 2, unfit) == [other]
    assert [(run, sentence) for run, sentence in unfit.values()] == [
        (base, "the loss is not finite."),
        (child, f"{base.folder} is missing"),
    ]


@pytest.mark.parametrize(
    ("error", "sentence"), [(UserError("the disk is full."), "the disk is full"), (SystemExit(3), "ended with 3")]
)
def test_a_run_that_fails_ends_the_others_with_its_sentence(tmp_path, error, sentence):
    runs = [Made(tmp_path / "slow", seconds=600), Made(tmp_path / "fails", seconds=0.0, error=error)]
    with pytest.raises(UserError, match=sentence):
        trained(runs, 2)
    assert not (tmp_path / "slow").exists()
