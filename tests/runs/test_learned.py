"""A network that learned nothing is called so: counted and worked out by hand."""

import json

import numpy as np
import pytest

from saliency_keras.figures.evaluation import comparison, verdict
from saliency_keras.runs.labels import labels_of
from saliency_keras.runs.learned import is_at_chance, learned, warnings
from saliency_keras.runs.run import Run
from tests.runs_fixture import write_predictions, write_run

TEN = tuple(f"class {index}" for index in range(10))


def run_that_says(folder, first, labels, classes=TEN, steps=(31, 12), name="fanin3"):
    """A run whose first choices are given; of `steps` an epoch, times epochs."""
    write_run(folder, name, classes=classes)
    write_predictions(folder / "predictions.h5", np.eye(len(classes))[first], labels, classes)
    summary = json.loads((folder / "summary.json").read_text())
    summary |= {"epochs": steps[1], "pictures": {"train": 128 * steps[0], "validation": len(labels)}}
    (folder / "summary.json").write_text(json.dumps(summary))
    return Run.load(folder)


def test_one_class_for_all_pictures_after_a_few_steps_is_said_in_three_sentences(tmp_path):
    """12 of 120 right: Wilson's interval is (12 + 1.92 ∓ 1.96 sqrt(10.8 + 0.96)) / 123.84, 5.8 to 16.7 %."""
    run = run_that_says(tmp_path / "run", np.zeros(120, int), np.arange(120) % 10, steps=(6, 2))
    assert warnings(run) == [
        "fanin3 is at chance: Top-1 10.0 % (95 % interval 5.8 to 16.7) is no better than guessing one of 10 classes "
        "(10.0 %).",
        "fanin3 predicts 1 of 10 classes.",
        "fanin3 was trained for 12 steps in all, which are too few: try --batch 16 or more epochs.",
    ]


def test_always_the_largest_class_is_chance_however_high_it_is(tmp_path):
    labels = np.where(np.arange(100) < 60, 0, np.arange(100) % 10)  # 60 to 64 of class 0
    run = run_that_says(tmp_path / "run", np.zeros(100, int), labels)
    share = np.mean(labels == 0)
    assert learned(run).guess == pytest.approx(share)
    assert f"no better than always naming the largest class ({100 * share:.0f} %)." in warnings(run)[0]
    better = run_that_says(tmp_path / "better", np.where(np.arange(100) < 85, labels, 0), labels)
    assert not is_at_chance(better)


def test_a_run_above_chance_has_no_warning_unless_it_leaves_out_most_classes(tmp_path):
    labels = np.arange(200) % 10
    assert warnings(run_that_says(tmp_path / "all", np.where(np.arange(200) < 60, labels, 0), labels)) == []
    three = run_that_says(tmp_path / "three", np.where(labels < 3, labels, 0), labels)  # 30 % right
    assert warnings(three) == ["fanin3 predicts 3 of 10 classes."]


def test_a_comparison_with_a_network_at_chance_carries_the_warning(tmp_path):
    labels = np.arange(200) % 10
    nothing = run_that_says(tmp_path / "nothing", np.zeros(200, int), labels, name="rgb")
    good = run_that_says(tmp_path / "good", labels, labels)
    assert labels_of([good, nothing]) == ["fanin3", "rgb (at chance)"]
    assert str(comparison(good, nothing, "fanin3", "rgb")[0]).startswith("Caution: rgb learned nothing")
    told = verdict(good, nothing)
    assert told.startswith("fanin3 is 90.0 points above rgb (95 % interval 85.5 to 94.0 above)")
    assert told.endswith("says nothing about the strategies, for rgb learned nothing.")
    assert "Caution" not in str(comparison(good, good, "one", "two")[0])


def test_the_verdict_says_whether_two_runs_can_be_told_apart(tmp_path):
    """Right on 150 and 148 of 200, 146 of them the same: the paired interval holds zero."""
    labels = np.arange(200) % 10
    right = np.arange(200)
    ours = run_that_says(tmp_path / "a", np.where(right < 150, labels, (labels + 1) % 10), labels)
    wrong = (right >= 146) & (right != 190) & (right != 191)
    theirs = run_that_says(tmp_path / "b", np.where(wrong, (labels + 1) % 10, labels), labels, name="rgb")
    assert verdict(ours, theirs).startswith("fanin3 and rgb cannot be told apart: fanin3 is 1.0 points above rgb (95 %")
    assert "which holds zero" in verdict(ours, theirs)
    assert verdict(ours).startswith("fanin3: Top-1 75.0 % (95 % interval 68.6 to 80.5) on 200 pictures of 10 classes")


def test_a_run_that_was_shown_maps_of_the_true_class_gives_the_label_away(tmp_path):
    """As `--maps shuffled_in_class` shows them; as a target for the network's own map they are not shown in testing."""
    for maps, shown, told in (
        ("readout:shuffled_in_class", {"as_": "input"}, True),
        ("shuffled_in_class", None, True),
        ("shuffled_in_class", {"as_": "target"}, False),
        ("readout:shuffled", None, False),
        ("own", None, False),
        (None, None, False),
    ):
        run = Run.load(write_run(tmp_path / str((maps, shown)), skill=3.0, maps=maps))
        run.config["experiment"]["shown"] = shown
        found = [one for one in warnings(run) if "gives the label away" in one]
        assert len(found) == told, maps
