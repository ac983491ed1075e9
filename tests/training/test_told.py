"""What one reads while a training lasts: lines that fit 80 columns, durations, megabytes, and a mistake at once."""

import dataclasses
import io
import logging
import shlex
import sys

import pytest

from saliency_keras import console
from saliency_keras.console import UserError
from saliency_keras.experiments import experiment
from saliency_keras.runs.run import Run
from saliency_keras.train import fit
from saliency_keras.training.listeners import Told, figures_in_words
from tests.runs_fixture import write_run

train = sys.modules[fit.__module__]

ROW = {
    "epoch": 9, "learning_rate": 0.01, "loss": 2.3456, "cross_entropy": 1.9, "top1": 0.18349, "top5": 0.5,
    "val_loss": 2.2, "val_cross_entropy": 1.8, "val_top1": 0.246, "val_top5": 0.7125, "seconds": 38.4,
}  # fmt: skip


def test_an_epoch_is_one_line_of_80_columns_with_accuracies_in_percent_and_the_time_left(capsys):
    told = Told(12)
    told.epoch_ended(ROW, last=False)
    told.epoch_ended({**ROW, "epoch": 12}, last=True)
    first, second = capsys.readouterr().out.splitlines()
    figures = "loss 2.35  Top-1 18.3 %  val Top-1 24.6 %, Top-5 71.2 %"
    assert first == f"epoch 9/12  {figures}  38 s, 2 min left"  # three epochs of 38.4 s
    assert second == f"epoch 12/12  {figures}  38 s"
    assert len(second) < 80


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"loss": 1.0, "val_loss": 0.5}, "loss 1.00  val loss 0.500"),
        ({"loss": 100.4, "val_nss": 1.5, "val_cc": 0.25}, "loss 100  val NSS 1.50, CC 0.250"),
        ({"loss": 1.0, "object_top1": 0.5, "val_top1": 0.25}, "loss 1.00  object Top-1 50.0 %  val Top-1 25.0 %"),
    ],
    ids=["no metric", "a map's metrics", "two outputs"],
)  # fmt: skip
def test_other_trainings_tell_what_they_have(row, told):
    assert figures_in_words(row) == told


@pytest.mark.parametrize(("classes", "told"), [(5, "val Top-1 24.6 %"), (6, "val Top-1 24.6 %, Top-5 71.2 %")])
def test_top5_is_told_where_more_than_five_classes_can_be_confused(classes, told, capsys):
    Told(12, classes).epoch_ended(ROW, last=True)
    assert capsys.readouterr().out == f"epoch 9/12  loss 2.35  Top-1 18.3 %  {told}  38 s\n"


def test_a_typo_in_data_is_told_with_the_folder_that_is_meant(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(UserError, match=r"there is no data set .*photo; did you mean .*photos\?$"):
        fit("fanin3", data=str(tmp_path / "photo"), out=tmp_path / "run")
    with pytest.raises(UserError, match=r"there is no data set .*cars\.$"):
        fit("fanin3", data=str(tmp_path / "cars"), out=tmp_path / "run")


DURATIONS = [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (5999, "100 min"), (6000, "1.7 h"), (36000, "10.0 h")]


@pytest.mark.parametrize(("seconds", "told"), DURATIONS)
def test_a_duration_has_the_unit_that_fits(seconds, told):
    assert console.duration(seconds) == told


def test_a_bar_of_bytes_counts_in_megabytes_and_fits_80_columns(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys, "stderr", Terminal())
    with console.progress(total=259_532_250, label="checking", unit="byte") as bar:
        bar.update(168_159_752)
        bar.refresh()
    lines = sys.stderr.getvalue().split("\r")
    assert any("168M/260M" in line for line in lines)
    assert max(map(len, lines)) <= 80


def test_the_next_command_changes_the_baseline_as_the_run_was_changed(tmp_path):
    chosen = experiment("fanin3").lasting(10).replace(batch=32, dense_units=512, keep_pool2=True)
    config = {"experiment": dataclasses.asdict(chosen), "data_folder": "compact/photos", "seed": 3}
    run = Run.load(write_run(tmp_path / "run", **config))
    told = train._next_step(run).removeprefix("next: ").partition("  # ")[0].replace(" \\\n", "")
    assert shlex.split(told)[3:] == [
        "rgb", "--data", "compact/photos", "--seed", "3", "--epochs", "10", "--batch", "32", "--set", "dense_units=512",
    ]  # fmt: skip


def test_the_next_command_after_a_detector_makes_maps_and_after_a_joined_run_trains_its_baseline(tmp_path):
    detector = dataclasses.asdict(experiment("salclassnet_detector"))
    run = Run.load(write_run(tmp_path / "detector", experiment=detector, data_folder="compact/birds"))
    assert " predict " in (told := train._next_step(run).replace(".predict", " predict"))
    assert str(tmp_path / "detector") in told
    classifier = experiment("resnet_rgbs").lasting(10).replace(weights="", factors={"top": 5.0})
    began = {"network": "runs/pretrain"}
    folder = write_run(tmp_path / "rgbs", experiment=dataclasses.asdict(classifier), init=began)
    joined = dataclasses.asdict(experiment("salclassnet_resnet").lasting(3))
    began = {"network": str(folder), "saliency": "gone"}
    run = Run.load(write_run(tmp_path / "joined", experiment=joined, data_folder="compact/birds", init=began))
    told = train._next_step(run).removeprefix("next: ").partition("  # ")[0].replace(" \\\n", "")
    assert shlex.split(told)[3:] == [
        *("resnet_rgb", "--data", "compact/birds", "--epochs", "10"),
        *("--set", 'factors={"top": 5.0}', "--set", "weights=", "--init", "runs/pretrain"),
    ]


def test_a_person_who_watches_sees_what_a_silence_is_for_and_a_file_does_not(monkeypatch, capsys):
    with console.waiting("loading TensorFlow"):
        pass
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr(console, "is_watched", lambda: True)
    with console.waiting("loading TensorFlow"):
        assert capsys.readouterr().err == "loading TensorFlow …"
    assert capsys.readouterr().err == "\r\x1b[K"


def test_tensorflow_does_not_warn_of_several_networks_and_warns_of_the_rest():
    console.quiet_tensorflow()
    pytest.importorskip("tensorflow")
    logger = logging.getLogger("tensorflow")
    retraced = "5 out of the last 5 calls to <function> triggered tf.function retracing. Tracing is expensive"
    for message, told in ((retraced, False), ("the disk is full", True)):
        record = logger.makeRecord(logger.name, logging.WARNING, "", 0, message, (), None)
        assert bool(logger.filter(record)) == told


def test_a_mistyped_data_set_is_told_before_anything_about_the_run_folder(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "other.txt").write_text("")
    with pytest.raises(UserError, match=r"there is no data set .*photoz\."):
        fit("fanin3", data=tmp_path / "photoz", out=tmp_path / "run")
    with pytest.raises(UserError, match=r"there is no data set .*photoz\."):
        fit("salnet", data=tmp_path / "photoz", out=tmp_path / "run")
