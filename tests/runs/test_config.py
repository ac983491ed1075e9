"""What `--resume` compares: the same run goes on, another one is refused with what differs."""

import json

import pytest

from saliency_keras.console import UserError
from saliency_keras.runs.config import check_same, threads
from tests.runs_fixture import write_run

DEVICE = {"machine": "x86_64", "cores": 2, "accelerators": [], "threads": 2}


@pytest.fixture
def run(tmp_path):
    """A run that was begun with two threads, and is not finished."""
    agreed = {"init": None, "started_from": {}, "backend": "tensorflow", "devices": 1, "command": "train fanin3"}
    folder = write_run(tmp_path / "run", device=DEVICE, **agreed)
    (folder / "summary.json").unlink()
    return folder


def config_of(run, **device):
    config = json.loads((run / "config.json").read_text())
    return {**config, "device": {**DEVICE, **device}}


def test_an_unfinished_run_goes_on_with_as_many_threads_as_it_was_begun_with(run):
    check_same(config_of(run), run)
    with pytest.raises(UserError, match=r"started with 2 threads, here are 1, .*TF_NUM_INTRAOP_THREADS=2"):
        check_same(config_of(run, threads=1), run)
    check_same(config_of(run, threads=1, accelerators=["GPU"]), run)  # processors do not compute there


def test_a_finished_run_and_one_that_recorded_no_threads_are_the_same_on_any_machine(run):
    config = config_of(run)
    del config["device"]["threads"]
    (run / "config.json").write_text(json.dumps(config))
    check_same(config_of(run, threads=1), run)
    (run / "config.json").write_text(json.dumps(config_of(run)))
    (run / "summary.json").write_text("{}")
    check_same(config_of(run, threads=1), run)


def test_a_run_goes_on_where_a_later_version_words_its_paper_otherwise_but_not_with_other_settings(run):
    config = config_of(run)
    config["experiment"] |= {"popout": {"epochs": 3}, "row": "Table 4.1, Fan-in3", "published": {"top1": 0.49}}
    check_same(config, run)
    config["experiment"]["schedule"]["epochs"] = 3
    with pytest.raises(UserError, match=r"another epochs \(12, now 3\)"):
        check_same(config, run)


def test_what_differs_is_told_with_both_values_and_a_way_on(run):
    config = config_of(run)
    config |= {"seed": 1, "init": {"network": "runs/rgb"}}
    config["data"] |= {"folder": "compact/other", "digest": "0" * 64}
    with pytest.raises(UserError) as told:
        check_same(config, run)
    folder = config_of(run)["data"]["folder"]
    differing = f"seed (0, now 1), init (None, now runs/rgb), data ({folder}, now compact/other)"
    assert f"was started with another {differing}; it was started by" in str(told.value)
    assert str(told.value).endswith(f"Choose another --out, or delete {run} to begin again.")


def test_threads_are_those_that_tensorflow_uses(monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    assert threads() == 3
