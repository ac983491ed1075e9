"""`--tensorboard`: the history read back from the event files, also after a kill and a resumption."""

import csv
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from saliency_keras.console import UserError
from saliency_keras.train import main
from tests.small_sets import write_small_set

ROOT = Path(__file__).parents[2]
WORDS = ["rgb", "--epochs", "3", "--batch", "8", "--set", "dense_units=8", "--set", "width_multiplier=0.125"]
WORDS += ["--tensorboard"]
DIES_AFTER_AN_EPOCH_IS_WRITTEN = """
import os, sys
from saliency_keras.training.tensorboard import Events
ended = Events.epoch_ended
def die(self, row, last):
    ended(self, row, last)
    if row["epoch"] == 2:
        os._exit(9)
Events.epoch_ended = die
from saliency_keras.train import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    write_small_set(folder, side=128, classes=2, train=(16,), val=(6,), separable=True)
    return folder


def events(folder):
    """`{(part, tag): [(step, value)]}` of all event files of a run."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = {}
    for part in ("training", "validation"):
        read = reader.EventAccumulator(str(folder / "tensorboard" / part))
        read.Reload()
        for tag in read.Tags()["tensors"]:
            values = [(event.step, event.tensor_proto.float_val[0]) for event in read.Tensors(tag)]
            found[part, tag] = values
    return found


def history(folder):
    with open(folder / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def check_same(folder):
    found, rows = events(folder), history(folder)
    columns = [column for column in rows[0] if column != "epoch"]
    assert len(found) == len(columns)
    for column in columns:
        part = "validation" if column.startswith("val_") else "training"
        written = found[part, column.removeprefix("val_")]
        assert [step for step, _ in written] == [1, 2, 3]
        assert [value for _, value in written] == pytest.approx([float(row[column]) for row in rows], rel=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_every_column_of_the_history_is_there_once_an_epoch(data, tmp_path):
    main([*WORDS, "--data", str(data), "--out", str(tmp_path / "run")])
    check_same(tmp_path / "run")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed")
def test_a_killed_and_resumed_run_has_each_epoch_once(data, tmp_path):
    words = [*WORDS, "--data", str(data), "--out", str(tmp_path / "run")]
    command = [sys.executable, "-c", DIES_AFTER_AN_EPOCH_IS_WRITTEN, *words]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 9
    assert [step for step, _ in events(tmp_path / "run")["training", "top1"]] == [1, 2]  # the second without a state
    main([*words, "--resume"])
    check_same(tmp_path / "run")


def test_without_the_package_a_sentence_says_what_to_install_before_anything_is_made(data, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        main([*WORDS, "--data", str(data), "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()
