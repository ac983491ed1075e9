"""Tables of guided networks and of the thesis's outlook, from made-up runs, worked out by hand."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from saliency_keras.data.boxes import FILE
from saliency_keras.experiments import EXPERIMENTS, experiment
from saliency_keras.experiments.tables import TABLES
from saliency_keras.experiments.tables.guidance import GUIDED, with_further_maps
from saliency_keras.runs.run import Run
from saliency_keras.tables.further_maps import extended
from saliency_keras.tables.guidance import GuidanceTable, predicted
from saliency_keras.tables.outlook import Outlook, by_depth, per_minute
from saliency_keras.tables.plan import Choices, plan
from saliency_keras.tables.results import Results
from tests.runs_fixture import write_predictions, write_run
from tests.small_sets import write_small_set

CLASSES = ("class0", "class1", "class2")
PICTURES = 60


def made_up(folder, row, skill, seed=0, agreement=None, arguments=None, seconds=61.5):
    """A run of a table's row."""
    chosen = experiment(row.experiment)
    write_run(folder, chosen.name, seed=seed, classes=CLASSES, pictures=PICTURES, skill=skill, maps=None)
    config = json.loads((folder / "config.json").read_text())
    config["experiment"]["arguments"] = arguments or {}
    (folder / "config.json").write_text(json.dumps(config))
    summary = json.loads((folder / "summary.json").read_text()) | {"seconds": seconds}
    if agreement is not None:
        summary["agreement"] = {"cc": agreement, "pictures": PICTURES}
    (folder / "summary.json").write_text(json.dumps(summary))
    return Run.load(folder)


def rows_of(text):
    return {row["row"]: row for row in csv.DictReader(text.open())}


def test_guidance_has_every_method_under_every_map_beside_its_unguided_network():
    table = TABLES["guidance"]
    runs = {run.folder.name: run for run in plan(table, Choices(Path("set"), Path("out"), repeats=1))}
    assert len(runs) == 2 + 5 * len(GUIDED)
    for method, baseline in GUIDED.items():
        for maps in ("", "-shuffled", "-shuffled_in_class", "-center", "-uniform"):
            run = runs[method + maps]
            assert str(run.experiment.shown) == (maps[1:] or "own")
            assert run.experiment.shown.as_ == "target"
            assert run.experiment.guidance.guidance_weight > 0
            assert run.row.baseline == baseline
            assert run.experiment.arguments == runs[baseline].experiment.arguments
    assert runs["unguided"].experiment.guidance is None
    rgb = EXPERIMENTS["rgb"]
    assert {name: runs["unguided"].experiment.arguments[name] for name in rgb.arguments} == rgb.arguments


def test_guidance_table_has_agreement_before_and_after_and_pictures_off_the_centre(tmp_path):
    table = TABLES["guidance"]
    rows = {name: table.row(name) for name in ("unguided", "guided_cam", "guided_cam-shuffled")}
    skills = {"unguided": 0.5, "guided_cam": 3.0, "guided_cam-shuffled": 0.5}
    agreements = {"unguided": (0.1, 0.3), "guided_cam": (0.5, 0.6), "guided_cam-shuffled": (0.0, 0.1)}
    runs = {
        name: [made_up(tmp_path / f"{name}{seed}", row, skills[name], seed, agreements[name][seed]) for seed in (0, 1)]
        for name, row in rows.items()
    }
    data = tmp_path / "data"
    data.mkdir()
    ids = runs["unguided"][0].predictions.ids
    with open(data / FILE, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["split", "id", "xmin", "ymin", "xmax", "ymax"])
        for place, one in enumerate(ids[:40]):  # the others have no box
            left = 0.4 if place % 4 else 0.0
            writer.writerow(["val", one, left, 0.4, left + 0.2, 0.6])
    text = GuidanceTable().write(Results(table, runs, data=data), tmp_path / "table")
    assert "those whose box lies farther" in " ".join(text.split())
    assert "10 of the 40 pictures" in " ".join(text.split())
    found = rows_of(tmp_path / "table" / "table.csv")
    own, right = found["guided_cam"], {}
    for name, of_row in runs.items():
        right[name] = np.array([run.predictions.correct() for run in of_row])
    assert float(own["top1"]) == pytest.approx(right["guided_cam"].mean(), abs=1e-5)
    assert float(own["gain"]) == pytest.approx((right["guided_cam"] - 1.0 * right["unguided"]).mean(), abs=1e-5)
    less = (right["guided_cam"] - 1.0 * right["guided_cam-shuffled"]).mean()
    assert float(own["less_shuffled"]) == pytest.approx(less, abs=1e-5)
    assert (float(own["agreement_before"]), float(own["agreement"])) == (0.2, 0.55)
    away = right["guided_cam"][:, :40:4]
    assert float(own["top1_off_centre"]) == pytest.approx(away.mean(), abs=1e-5)
    gain = (away - 1.0 * right["unguided"][:, :40:4]).mean()
    assert float(own["gain_off_centre"]) == pytest.approx(gain, abs=1e-5)
    assert (tmp_path / "table" / "gains.png").is_file()
    assert "The set has no boxes" in " ".join(GuidanceTable().write(Results(table, runs), tmp_path / "other").split())


def test_another_set_without_a_common_class_is_refused_before_anything_is_trained(tmp_path):
    from saliency_keras.console import UserError

    for name, classes in (("here", 3), ("there", 3)):
        (tmp_path / name).mkdir()
        write_small_set(tmp_path / name, side=144, classes=classes, train=(3,), val=(3,))
    choices = Choices(tmp_path / "here", tmp_path / "out", only=("guided_cam",), repeats=1)
    assert GuidanceTable(tmp_path / "there").plan(TABLES["guidance"], choices)
    manifest = tmp_path / "there" / "manifest.json"
    manifest.write_text(re.sub(r'"class(\d)"', r'"kind\1"', manifest.read_text()))
    with pytest.raises(UserError, match="has no class of the set that the networks learn"):
        GuidanceTable(tmp_path / "there").plan(TABLES["guidance"], choices)


def logits_of(weights, images):
    """What the network of `with_network` says of stored pictures, 144 px, of which it sees the inner 128: by numpy."""
    kernel, bias = weights
    return images[:, 71:73, 71:73].reshape(len(images), -1) / 255 @ kernel + bias


def with_network(folder, row, seed, pictures):
    """A run of a table's row with the predictions of its network, which sees four pixels; and the network's weights."""
    import keras

    made_up(folder, row, 1.0)
    image = keras.Input((128, 128, 3), dtype="uint8", name="image")
    x = keras.layers.Cropping2D(63)(keras.layers.Rescaling(1 / 255)(image))
    model = keras.Model({"image": image}, keras.layers.Dense(3, name="top")(keras.layers.Flatten()(x)))
    random = np.random.default_rng(seed)
    weights = [random.normal(size=one.shape) for one in model.get_weights()]
    model.set_weights(weights)
    model.save(folder / "model.keras")
    scores = logits_of(weights, pictures["image"])
    write_predictions(folder / "predictions.h5", scores, pictures["label"], CLASSES, pictures["id"].tolist())
    return Run.load(folder), weights


def test_another_set_is_tested_on_the_classes_that_both_have_whatever_their_order_there(tmp_path):
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    _, here = write_small_set(tmp_path / "here", side=144, classes=3, train=(3,), val=(9,))
    _, there = write_small_set(tmp_path / "there", side=144, classes=4, train=(4,), val=(13, 12), seed=1)
    manifest = tmp_path / "there" / "manifest.json"
    fields = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**fields, "classes": ["class2", "cat", "class0", "dog"]}))
    labels = np.array([2, -1, 0, -1])[there["val"]["label"]]
    common = labels >= 0
    table, runs, right = TABLES["guidance"], {}, {}
    for seed, name in enumerate(("unguided", "guided_cam")):
        run, weights = with_network(tmp_path / name, table.row(name), seed, here["val"])
        own, other = predicted(run, tmp_path / "here"), predicted(run, tmp_path / "there")
        for field in ("ids", "labels", "ranks", "first"):
            np.testing.assert_array_equal(getattr(own, field), getattr(run.predictions, field))
        order = np.argsort(-logits_of(weights, there["val"]["image"][common]), axis=1)
        np.testing.assert_array_equal(other.ids, there["val"]["id"][common])
        np.testing.assert_array_equal(other.labels, labels[common])
        np.testing.assert_array_equal(other.ranks, np.argmax(order == labels[common, None], axis=1))
        assert (set(other.labels), other.classes) == ({0, 2}, CLASSES)
        runs[name], right[name] = [run], np.mean(order[:, 0] == labels[common])
    GuidanceTable(tmp_path / "there").write(Results(table, runs), tmp_path / "table")
    found = rows_of(tmp_path / "table" / "table.csv")["guided_cam"]
    assert float(found["top1_elsewhere"]) == pytest.approx(right["guided_cam"], abs=1e-5)
    assert float(found["gain_elsewhere"]) == pytest.approx(right["guided_cam"] - right["unguided"], abs=1e-5)
    assert right["guided_cam"] != right["unguided"]


def test_a_further_map_of_the_set_is_taught_beside_the_interleaved_one(tmp_path):
    from saliency_keras.console import UserError

    (tmp_path / "set").mkdir()
    manifest, _ = write_small_set(tmp_path / "set", side=144, classes=3, train=(3,), val=(3,))

    def rows(*maps, only=()):
        choices = Choices(tmp_path / "set", tmp_path / "out", only=only, repeats=1)
        return {run.row.name: run for run in GuidanceTable(maps=maps).plan(TABLES["guidance"], choices)}

    before, after = rows(), rows("other")
    added = {name: run for name, run in after.items() if name not in before}
    assert set(added) == {f"{method}-other{swap}" for method in GUIDED for swap in ("", "-shuffled")}
    assert set(before) < set(after)
    shuffled = added["guided_cam-other-shuffled"]
    assert str(shuffled.experiment.shown) == "other:shuffled"
    assert shuffled.experiment.shown.as_ == "target"
    asked = rows("other", only=("guided_cam-other",))
    assert list(asked) == ["unguided", "guided_cam-other", "guided_cam-other-shuffled"]
    with pytest.raises(UserError, match="has no map named 'gaze'; it has"):
        rows("gaze")
    with pytest.raises(UserError, match=r"is interleaved with the pictures of .*; leave it out of --maps"):
        rows(manifest.maps[0].name)


def test_further_maps_have_rows_and_are_compared_with_other_pictures(tmp_path):
    table = with_further_maps(TABLES["guidance"], ("readout",))
    skills = {"unguided": 0.5, "guided_cam-readout": 3.0, "guided_cam-readout-shuffled": 1.0}
    runs = {name: [made_up(tmp_path / name, table.row(name), skill)] for name, skill in skills.items()}
    asked = GuidanceTable(maps=("readout",))
    results = Results(extended(TABLES["guidance"], asked), runs)
    assert results.conclusion().startswith("Of 2 rows,")
    asked.write(results, tmp_path / "table")
    own = rows_of(tmp_path / "table" / "table.csv")["guided_cam-readout"]
    right = {name: one[0].predictions.correct().mean() for name, one in runs.items()}
    assert float(own["gain"]) == pytest.approx(right["guided_cam-readout"] - right["unguided"], abs=1e-5)
    less = right["guided_cam-readout"] - right["guided_cam-readout-shuffled"]
    assert float(own["less_shuffled"]) == pytest.approx(less, abs=1e-5)


def test_the_row_that_is_called_like_its_experiment_can_be_asked_for_alone(tmp_path):
    def rows(asked):
        choices = Choices(tmp_path, tmp_path / "out", only=(asked,), repeats=1)
        return [run.row.name for run in GuidanceTable().plan(TABLES["guidance"], choices)]

    assert rows("guided_cam-own") == ["unguided", "guided_cam", "guided_cam-shuffled"]
    assert set(rows("guided_cam")) > set(rows("guided_cam-own"))


def test_outlook_has_gains_per_minute_of_the_tuning_alone(tmp_path):
    table = TABLES["thesis-outlook"]
    rows = {name: table.row(name) for name in ("rgb", "rgb_tuned", "branch_added")}
    skills, seconds = (
        {"rgb": 0.5, "rgb_tuned": 1.0, "branch_added": 2.0},
        {"rgb": 600, "rgb_tuned": 60, "branch_added": 90},
    )
    runs = {name: [made_up(tmp_path / name, row, skills[name], seconds=seconds[name])] for name, row in rows.items()}
    results = Results(table, runs)
    minutes, rate = per_minute(results, rows["branch_added"])
    gain = np.mean(runs["branch_added"][0].predictions.correct()) - np.mean(runs["rgb_tuned"][0].predictions.correct())
    assert minutes == 1.5
    assert rate == pytest.approx(gain / 1.5)
    Outlook().write(results, tmp_path / "table")
    found = rows_of(tmp_path / "table" / "table.csv")
    assert float(found["branch_added"]["gain_per_minute"]) == pytest.approx(gain / 1.5, abs=1e-6)
    assert found["rgb"]["gain_per_minute"] == ""


def test_outlook_holds_attention_transfer_against_other_pictures_maps(tmp_path):
    table = TABLES["thesis-outlook"]
    skills = {"rgb": 0.5, "attention_transfer": 2.0, "attention_transfer-shuffled": 1.0}
    runs = {name: [made_up(tmp_path / name, table.row(name), skill)] for name, skill in skills.items()}
    Outlook().write(Results(table, runs), tmp_path / "table")
    found = rows_of(tmp_path / "table" / "table.csv")["attention_transfer"]
    own, shuffled = (runs[name][0].predictions.correct() for name in list(skills)[1:])
    assert found["twin"] == "attention_transfer-shuffled"
    assert float(found["less_twin"]) == pytest.approx(own.mean() - shuffled.mean(), abs=1e-5)
    assert float(found["less_twin_low"]) <= float(found["less_twin"]) <= float(found["less_twin_high"])


def test_depth_is_drawn_of_branches_that_meet_once(tmp_path):
    table = TABLES["thesis-depth"]
    names = ("merged-1", "merged-3", "merged-3-doubled", "merged_fixed-3", "merged-1+2")
    runs = {}
    for name in names:
        row = table.row(name)
        chosen = experiment("merged").with_settings(row.settings)
        runs[name] = [made_up(tmp_path / name, row, 1.0, arguments=chosen.arguments)]
    runs["rgb"] = [made_up(tmp_path / "rgb", table.row("rgb"), 0.5)]
    lines = by_depth(Results(table, runs))
    assert {name: [stage for stage, *_ in points] for name, points in lines.items()} == {
        "map": [1, 3], "picture": [3], "map, fixed branch": [3],
    }  # fmt: skip
    Outlook().write(Results(table, runs), tmp_path / "table")
    assert (tmp_path / "table" / "depth.png").is_file()


def test_every_row_of_the_outlook_is_an_experiment_with_its_twins_in_the_table():
    for name in ("thesis-outlook", "thesis-depth"):
        names = {row.name for row in TABLES[name].rows}
        assert len(names) == len(TABLES[name].rows)
        for row in TABLES[name].rows:
            assert {*row.twins, *row.begins_with, *filter(None, [row.baseline])} <= names, row.name
            experiment(row.experiment).with_settings(row.settings)
