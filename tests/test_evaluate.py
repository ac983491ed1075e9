"""`evaluate`: the figures it prints are those of the predictions, counted here by hand, alone and against a run."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.evaluate import main
from saliency_keras.metrics.statistics import two_level_interval
from tests.runs_fixture import CLASSES, write_predictions, write_run


def outcomes_of(folder, k=1):
    with h5py.File(folder / "predictions.h5") as file:
        return file["rank"][:] < k, file["label"][:]


def cells(text, start):
    """The cells of the first table row that starts with `start`."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("| ").split(" | ")]


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "fanin3", "fanin3", skill=1.6, published={"top1": 0.4899, "top5": 0.728})


@pytest.fixture
def baseline(tmp_path):
    return write_run(tmp_path / "rgb", "rgb", skill=1.2, seed=1)


def test_top_1_and_top_5_are_printed_with_interval_count_and_published_value(run, capsys):
    main([str(run)])
    text = capsys.readouterr().out
    right, _ = outcomes_of(run)
    row = cells(text, "Top-1")
    assert row[0:2] == ["Top-1", f"{100 * right.mean():.1f}"]
    assert row[3:] == [f"{right.sum()} of 210"]  # the thesis's 48.99 is of a thousand classes
    low, high = (float(end) for end in row[2].split(" to "))
    assert low < 100 * right.mean() < high
    assert cells(text, "Top-5")[3] == f"{outcomes_of(run, 5)[0].sum()} of 210"


def test_the_printed_text_and_the_classes_are_in_the_run_folder(run, capsys):
    main([str(run)])
    printed = capsys.readouterr().out
    written = (run / "evaluation.md").read_text(encoding="utf-8")
    assert " ".join(written.split()) in " ".join(printed.split())  # a terminal's lines are shorter
    assert max(map(len, printed.splitlines())) <= 100 + len(str(run))
    right, labels = outcomes_of(run)
    with open(run / "per_class.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == list(CLASSES)
    for index, row in enumerate(rows):
        assert int(row["pictures"]) == 30
        assert int(row["right"]) == right[labels == index].sum()
        assert float(row["top1"]) == pytest.approx(right[labels == index].mean(), abs=1e-6)


def test_against_another_run_the_difference_is_paired_over_pictures(run, baseline, capsys):
    main([str(run), "--against", str(baseline)])
    text = capsys.readouterr().out
    (ours, labels), (theirs, _) = outcomes_of(run), outcomes_of(baseline)
    assert f"{100 * (ours.mean() - theirs.mean()):+.1f}" in text
    assert cells(text, "fanin3, seed 0 right")[1:] == [str((ours & theirs).sum()), str((ours & ~theirs).sum())]
    assert cells(text, "fanin3, seed 0 wrong")[1:] == [str((~ours & theirs).sum()), str((~ours & ~theirs).sum())]
    gains = [int(ours[labels == index].sum()) - int(theirs[labels == index].sum()) for index in range(7)]
    with open(run / "per_class.csv", newline="", encoding="utf-8") as file:
        points = [float(row["points"]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(points, [100 * gain / 30 for gain in gains], atol=1e-5)
    best = text.split("gained most")[1].splitlines()[4]
    assert f"{100 * max(gains) / 30:+.0f}" in best


def test_against_a_run_on_the_same_set_made_by_another_processor_that_is_told(run, baseline, capsys):
    for folder, kernel in ((run, "kernel A"), (baseline, "kernel B")):
        config = json.loads((folder / "config.json").read_text())
        config["data"] |= {"digest": kernel, "kernels": kernel, "recipe": "one recipe"}
        (folder / "config.json").write_text(json.dumps(config))
    main([str(run), "--against", str(baseline)])
    told = "the same set, made on two processors (kernels: kernel A, and kernel B)"
    assert told in capsys.readouterr().out
    config["data"]["recipe"] = "another recipe"
    (baseline / "config.json").write_text(json.dumps(config))
    main([str(run), "--against", str(baseline)])
    assert "two processors" not in capsys.readouterr().out


def test_a_run_equal_in_its_outcomes_differs_by_nothing(tmp_path, run, capsys):
    twin = write_run(tmp_path / "twin", "noconv2", skill=1.6)
    main([str(run), "--against", str(twin)])
    text = capsys.readouterr().out
    comparison = cells(text.split("## Against")[1], "Top-1")
    assert comparison[3:] == ["+0.0", "+0.0 to +0.0", "1"]
    assert "No class gained" in text
    assert "No class lost" in text
    assert "extremes" not in text  # there are none to be explained


def test_changes_of_classes_are_tested_for_luck_over_all_classes(tmp_path, capsys):
    """Three classes of ten pictures: one gains 8 and loses none, one gains and loses 1, one stays."""
    before, after = (np.repeat(np.arange(3), 10) for _ in range(2))
    before[:8] = 1  # eight of class 0 are wrong before and right after
    before[10], after[11] = 0, 0
    labels, classes = np.repeat(np.arange(3), 10), ("cat", "dog", "gar")
    for name, first in ("rgb", before), ("fanin3", after):
        folder = write_run(tmp_path / name, name, classes=classes)
        write_predictions(folder / "predictions.h5", np.eye(3)[first], labels, classes)
    main([str(tmp_path / "fanin3"), "--against", str(tmp_path / "rgb")])
    text = capsys.readouterr().out
    # McNemar: 2 / 2**8 = 0.0078, 1, 1; times 3 classes over rank 1: 0.0234.
    assert cells(text.split("gained most")[1], "cat") == ["cat", "2", "10", "10", "+80", "+400 %", "0.023"]
    assert "More than luck: 1 of 3 classes gained, 0 lost." in text


def test_out_takes_the_files_and_leaves_the_run_as_it_was(tmp_path, run):
    before = sorted(path.name for path in run.iterdir())
    main([str(run), "--out", str(tmp_path / "new" / "folder")])
    assert sorted(path.name for path in run.iterdir()) == before
    written = sorted(path.name for path in (tmp_path / "new" / "folder").iterdir())
    assert written == ["evaluation.md", "per_class.csv"]


def test_of_a_thousand_classes_the_text_shows_the_extremes_and_the_file_all(tmp_path, capsys):
    classes = tuple(f"class {index}" for index in range(1000))
    run = write_run(tmp_path / "run", classes=classes, pictures=1500)
    main([str(run)])
    text = capsys.readouterr().out
    assert len(text.splitlines()) < 70
    assert "20 best and the 20 worst of 1,000 classes; all" in text
    assert len((run / "per_class.csv").read_text().splitlines()) == 1001


def test_classes_without_pictures_are_not_the_worst(tmp_path, capsys):
    classes = tuple(f"class {index}" for index in range(1000))
    run = write_run(tmp_path / "run", classes=classes)
    labels = np.arange(100) // 2
    write_predictions(run / "predictions.h5", np.eye(1000)[np.where(labels < 30, labels, 999)], labels, classes)
    main([str(run)])
    text = capsys.readouterr().out
    assert "the 20 worst of 1,000 classes (950 without a picture); all" in text
    assert [cells(text, f"class {index}")[3] for index in (0, 19, 30, 49)] == ["100", "100", "0", "0"]
    assert "class 50" not in text
    write_predictions(run / "predictions.h5", np.eye(1000)[labels // 2], labels // 2, classes)
    main([str(run)])
    assert "All 25 with a picture of 1,000 classes; all" in capsys.readouterr().out


def test_a_class_without_pictures_has_a_dash_and_fewer_classes_than_five_work(tmp_path, capsys):
    run = write_run(tmp_path / "run", classes=("cat", "dog", "never seen"))
    labels = np.arange(40) % 2
    write_predictions(run / "predictions.h5", np.eye(3)[labels], labels, ("cat", "dog", "never seen"))
    main([str(run)])
    text = capsys.readouterr().out
    assert cells(text, "never seen")[1:] == ["0", "0", "–"]
    assert cells(text, "Top-1")[1] == "100"
    assert "Top-5" not in text  # of three classes, all are among the first five


def test_runs_over_other_pictures_are_refused_and_nothing_is_written(tmp_path, run):
    other = write_run(tmp_path / "other", pictures=203, data="ab" * 32)
    with pytest.raises(UserError, match=r"other pictures .*abab.*d1d1"):
        main([str(run), "--against", str(other)])
    assert not (run / "evaluation.md").exists()


def test_a_wrong_folder_ends_with_one_sentence_and_code_2(tmp_path):
    command = [sys.executable, "-m", "saliency_keras.evaluate", str(tmp_path / "nowhere")]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: there is no run folder")
    assert len(ended.stderr.splitlines()) == 1


@pytest.fixture
def rows(tmp_path):
    """Three seeds of two strategies, on the same pictures."""
    return [
        [write_run(tmp_path / f"{name}-{seed}", name, seed=seed, skill=skill) for seed in range(3)]
        for name, skill in (("fanin3", 1.6), ("rgb", 1.2))
    ]


def test_seeds_are_one_row_with_their_mean_each_seed_and_the_interval_over_seeds_and_pictures(rows, tmp_path, capsys):
    main([*map(str, rows[0])])
    text = capsys.readouterr().out
    right = np.stack([outcomes_of(folder)[0] for folder in rows[0]]).astype(float)
    row = cells(text, "Top-1")
    assert row[1] == f"{100 * right.mean():.1f}"
    assert row[3] == ", ".join(f"{100 * one:.1f}" for one in right.mean(axis=1))
    low, high = (float(end) for end in row[2].split(" to "))
    ends = two_level_interval(right)
    assert (low, high) == pytest.approx((100 * ends[0], 100 * ends[1]), abs=0.051)
    with open(tmp_path / "fanin3-0-seeds" / "per_class.csv", newline="", encoding="utf-8") as file:
        classes = [float(one["right"]) for one in csv.DictReader(file)]
    labels = outcomes_of(rows[0][0])[1]
    np.testing.assert_allclose(classes, [right[:, labels == label].sum() / 3 for label in range(7)], atol=1e-5)


def test_rows_are_compared_seed_by_seed(rows, tmp_path, capsys):
    main([*map(str, rows[0]), "--against", *map(str, rows[1][:2]), "--out", str(tmp_path / "out")])
    text = capsys.readouterr().out
    ours, theirs = (np.stack([outcomes_of(folder)[0] for folder in row[:2]]).astype(float) for row in rows)
    row = cells(text.split("Against rgb")[1], "Top-1")
    assert row[1] == f"{100 * (ours - theirs).mean():+.1f}"
    assert row[3] == ", ".join(f"{100 * one:+.1f}" for one in (ours - theirs).mean(axis=1))
    assert "Seeds that both have: 0, 1." in text
    # Two seeds tell next to nothing of their spread: t with one degree of freedom is 12.7 to either side.
    deviation = (ours - theirs).mean(axis=1).std(ddof=1) / 2**0.5
    low, high = (float(end) for end in row[2].split(" to "))
    assert (high - low) / 2 == pytest.approx(100 * 12.7 * deviation, rel=0.2)


def test_a_run_whose_description_was_worded_otherwise_is_of_the_same_row(rows, capsys):
    """A later version may reword what an experiment is, and a table may be finished by it."""
    config = json.loads((rows[0][1] / "config.json").read_text())
    config["experiment"]["what"] = "reworded"
    (rows[0][1] / "config.json").write_text(json.dumps(config))
    main([str(folder) for folder in rows[0][:2]])
    assert "fanin3, 2 seeds" in capsys.readouterr().out


def test_runs_of_other_strategies_or_of_one_seed_are_no_row(rows, tmp_path):
    with pytest.raises(UserError, match="differ by more than their seed; give the second to --against"):
        main([str(rows[0][0]), str(rows[1][1])])
    again = write_run(tmp_path / "again", "fanin3", seed=1)
    with pytest.raises(UserError, match="both have seed 1"):
        main([str(rows[0][1]), str(again)])
    with pytest.raises(UserError, match="share none: fanin3 has 0, 1, rgb has 2"):
        main([*map(str, rows[0][:2]), "--against", str(rows[1][2])])
