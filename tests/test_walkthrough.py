"""The notebooks' small runs: trained once, told in one line, one that starts from another of its own choice."""

import pytest

from saliency_keras.experiments.tables.row import Row
from saliency_keras.notebook import small_runs
from tests.small_sets import write_small_set

SETTINGS = ("dense_units=8", "batch=8", "epochs=1", "batch_norm=true", "conv2_padding=valid", "side=128")
SETTINGS += ("subtract_mean=false", "width_multiplier=0.125")


@pytest.mark.slow
def test_runs_are_trained_once_and_told_alike(tmp_path, capsys):
    (tmp_path / "set").mkdir()
    write_small_set(tmp_path / "set", side=128, classes=2, train=(16,), val=(12,), separable=True)
    rows = [Row("rgb"), Row("hallucination_step1_alexnet", init="rgb")]
    results = small_runs(rows, tmp_path / "set", SETTINGS, tmp_path / "runs")
    first = capsys.readouterr().out
    assert first.count("Top-1") == first.count("\n") == 2
    models = {name: (runs[0].folder / "model.keras").stat().st_mtime_ns for name, runs in results.runs.items()}
    again = small_runs(rows, tmp_path / "set", SETTINGS, tmp_path / "runs")
    assert capsys.readouterr().out == first
    assert models == {name: (runs[0].folder / "model.keras").stat().st_mtime_ns for name, runs in again.runs.items()}
    step1 = again.runs["hallucination_step1_alexnet"][0]
    assert step1.config["init"] == {"network": str(again.runs["rgb"][0].folder)}
    assert step1.settings["parents"] == {"network": "rgb"}
