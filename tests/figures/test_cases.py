"""Best and worst cases: the right pictures, with the pixels the network was shown, or words where the set is gone."""

import json
from pathlib import Path

import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.stored import Records
from saliency_keras.figures.cases import best_and_worst, case_blocks, disagreement_blocks, pictures_shown
from saliency_keras.figures.document import Gallery, photograph
from saliency_keras.figures.overlay import heat, overlay
from saliency_keras.runs.run import Run
from tests.runs_fixture import write_predictions, write_run
from tests.small_sets import write_small_set


def test_best_are_right_and_surest_worst_are_wrong_and_least_true():
    of_true = np.array([0.9, 0.2, 0.99, 0.01, 0.5, 0.3])
    correct = np.array([True, False, True, False, True, False])
    assert best_and_worst(of_true, correct, count=2) == ([2, 0], [3, 1])
    assert best_and_worst(of_true, np.zeros(6, bool))[0] == []


@pytest.fixture
def run_with_pictures(tmp_path):
    """A run on a small compact set of 9 validation pictures at 36 px, shown at 32, and what was written to the set."""
    (tmp_path / "set").mkdir()
    manifest, written = write_small_set(tmp_path / "set")
    val, where = written["val"], {"data": manifest.digest(), "data_folder": manifest.folder}
    folder = write_run(tmp_path / "run", classes=manifest.classes, pictures=9, side=32, **where)
    scores = np.zeros((9, 3))
    scores[:, 1] = np.arange(9)
    write_predictions(
        folder / "predictions.h5", scores, val["label"], manifest.classes, val["id"].tolist(), where["data"]
    )
    return Run.load(folder), val


def test_pictures_are_the_centre_crops_of_those_ids_with_their_maps(run_with_pictures):
    run, val = run_with_pictures
    wanted = set(val["id"][[3, 7]])
    shown = pictures_shown(run, wanted)
    assert set(shown) == wanted
    picture, saliency_map = val["image"][7, 2:34, 2:34], val["saliency"][7, 2:34, 2:34]
    expected = [picture, heat(saliency_map), overlay(picture, saliency_map)]
    assert [one.data for one in shown[val["id"][7]]] == [photograph(image, "").data for image in expected]


def test_of_a_whole_split_only_the_pictures_that_are_shown_are_looked_for(run_with_pictures, monkeypatch):
    run, val = run_with_pictures
    asked, ids = [], Records.ids
    monkeypatch.setattr(Records, "ids", lambda self, places: asked.append(len(places)) or ids(self, places))
    assert set(pictures_shown(run, {val["id"][7]})) == {val["id"][7]}
    assert max(asked) == 1


def test_a_network_that_sees_no_map_is_shown_with_the_picture_alone(run_with_pictures):
    run, val = run_with_pictures
    run.config["maps"] = None
    shown = pictures_shown(run, {val["id"][7]})
    picture = val["image"][7, 2:34, 2:34]
    assert [one.data for one in shown[val["id"][7]]] == [photograph(picture, "").data]


def test_a_further_map_that_was_replaced_meanwhile_is_not_shown(run_with_pictures):
    """The pictures are the same, but not the map that the network was shown."""
    run, val = run_with_pictures
    run.config.update(maps="other")
    run.config["data"]["digest"] = Manifest.load(run.config["data"]["folder"]).digest("other")
    assert pictures_shown(run, {val["id"][7]})
    path = Path(run.config["data"]["folder"]) / "manifest.json"
    manifest = json.loads(path.read_text())
    (further,) = (one for one in manifest["maps"] if one["name"] == "other")
    further["predictor"] = {"name": "another"}
    path.write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="no longer the one"):
        pictures_shown(run, {val["id"][7]})


def test_cases_show_three_pictures_each_and_say_what_was_true_and_what_came_first(run_with_pictures):
    run, val = run_with_pictures
    right, wrong = (block for block in case_blocks(run) if isinstance(block, Gallery))
    # Class 1 has the highest score everywhere but in picture 0, where all are equal and the first index wins.
    assert [case.lines[-1] for case in right.cases] == val["id"][[7, 4, 1, 0]].tolist()
    assert [case.lines[-1] for case in wrong.cases] == val["id"][[8, 6, 5, 3, 2]].tolist()
    assert wrong.cases[0].lines[:2] == ["true: class2, 0.034 %", "first: class1, 99.9 %"]
    assert {len(case.pictures) for case in (*right.cases, *wrong.cases)} == {3}


def test_pictures_on_which_two_runs_disagree_are_those_that_only_one_has_right(run_with_pictures, tmp_path):
    """`run` says class 1 of all pictures but the first; the other one says class 2 of all."""
    run, val = run_with_pictures
    data = run.config["data"]
    folder = write_run(tmp_path / "other", "rgb", classes=run.predictions.classes, pictures=9, side=32, maps=None,
                       data=data["digest"], data_folder=data["folder"])  # fmt: skip
    order = np.arange(9)[::-1]  # its pictures are in another order
    scores = np.zeros((9, 3))
    scores[:, 2] = 5
    ids = val["id"][order].tolist()
    write_predictions(
        folder / "predictions.h5", scores, val["label"][order], run.predictions.classes, ids, data["digest"]
    )
    first, ours, second, theirs = disagreement_blocks(run, Run.load(folder), "ours", "theirs")
    assert (first.text, second.text) == ("ours is right, theirs is wrong", "theirs is right, ours is wrong")
    # Labels are 0, 1, 2, 0, 1, 2 …; ours is right of 1, 4, 7 and of 0, theirs of 2, 5, 8.
    assert [case.lines[-1] for case in ours.cases] == val["id"][[7, 4, 1]].tolist()
    assert [case.lines[-1] for case in theirs.cases] == val["id"][[8, 5, 2]].tolist()
    assert theirs.cases[0].lines[:3] == ["true: class2", "ours: class1, 99.9 %", "theirs: class2, 98.7 %"]
    shown = theirs.cases[0].pictures  # no weights were kept, so there is no Grad-CAM; `other` sees no map
    assert [one.caption for one in shown] == ["picture", "map, ours"]
    assert shown[1].data == photograph(heat(val["saliency"][8, 2:34, 2:34]), "").data


def test_two_runs_that_disagree_on_no_picture_have_none_to_show(run_with_pictures):
    """As two networks that learned nothing and say one class of all pictures."""
    run, _ = run_with_pictures
    blocks = disagreement_blocks(run, run, "ours", "theirs")
    assert [blocks[1], blocks[3]] == ["None.", "None."]


def test_without_the_data_set_the_cases_are_told_in_words(tmp_path):
    blocks = case_blocks(Run.load(write_run(tmp_path / "run")))
    assert "not shown: the data set compact/imagenette is not there" in blocks[0]
    galleries = [block for block in blocks if isinstance(block, Gallery)]
    assert galleries
    assert all(case.pictures == [] and case.lines for gallery in galleries for case in gallery.cases)


def test_another_data_set_in_the_same_place_is_not_shown(tmp_path):
    (tmp_path / "set").mkdir()
    write_small_set(tmp_path / "set")
    run = Run.load(write_run(tmp_path / "run", data_folder=tmp_path / "set"))
    assert "no longer the one" in case_blocks(run)[0]
