"""Classifier attention as a user runs it: training, the second look, several runs as one, tables, bad input."""

import csv
import json
import pickle
import shutil

import h5py
import keras
import numpy as np
import pytest
from PIL import Image

from data_prep import compact
from data_prep.sources.source import FolderSource
from data_prep.zoom import ZoomedSource
from saliency_keras.classify import main as classify
from saliency_keras.console import UserError
from saliency_keras.data.geometry import Framing
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.reader import Reader
from saliency_keras.data.second_look import RunLook, Seen
from saliency_keras.evaluate import main as evaluate
from saliency_keras.files import only_process
from saliency_keras.metrics.boxes import iou
from saliency_keras.predict import main as predict
from saliency_keras.reproduce import main as reproduce
from saliency_keras.runs.ensemble import classifier_of
from saliency_keras.runs.looks import scales_of
from saliency_keras.runs.run import Run, network_in
from saliency_keras.saliency import predictor
from saliency_keras.train import main as train
from saliency_keras.training import listeners

SIDE, STORED = 96, 104
SMALL = ["--set", f"side={SIDE}", "--set", "backbone=alexnet", "--set", "weights=none", "--set", "width_multiplier=0.1",
         "--set", "classifiers=2", "--set", "cells=receptive_fields", "--set", "learning_rate=0.003",
         "--batch", "8", "--epochs", "2"]  # fmt: skip
TABLE = ["attention-2", "--scales", 2, "--epochs", 2, "--set", "batch=8", *SMALL[:-4]]
TRAIN_FILES, VAL_FILES = 19, 9
# A table limits its sets to as many files as the first one has, and the limit is part of what a set is.
FRAMING = ["--side", STORED, "--square", STORED, "--shorter", STORED, "--limit", TRAIN_FILES, "--workers", 0]
CLASSES = ("red", "green", "blue")


def words(*given):
    return [str(word) for word in given]


def train_on(data, out, *more, experiment="classifier_attention"):
    train(words(experiment, "--data", data, "--out", out, *SMALL, *more))
    return out


def compact_to(photos, out, *more):
    compact.main(words(photos, out, "--saliency", "uniform", *FRAMING, *more))
    return out


def contents(folder, without=()):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in without}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Grey pictures of 130x110 pixels with a disc of their class's colour; boxes of the discs; one broken picture."""
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    lines, gaze = ["image,x,y,width,height"], ["image,subject,x,y"]
    for split, count in (("train", 18), ("val", 9)):
        for number in range(count):
            label = number % 3
            pixels = random.integers(90, 140, (110, 130, 1)).repeat(3, axis=2)
            x, y = random.integers(25, 105), random.integers(20, 90)
            rows, columns = np.ogrid[:110, :130]
            disc = (rows - y) ** 2 + (columns - x) ** 2 < 14**2
            pixels[disc] = 40
            pixels[..., label][disc] = 250
            path = folder / split / CLASSES[label] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(path)
            name = f"{split}/{CLASSES[label]}/{number}.png"
            lines.append(f"{name},{x - 14},{y - 14},28,28")
            gaze += [f"{name},s{one},{x + one},{y}" for one in range(3)]
    (folder / "train" / "red" / "broken.png").write_bytes(b"no picture")
    (folder / "bounding_boxes.csv").write_text("\n".join(lines) + "\n")
    (folder / "gaze.csv").write_text("\n".join(gaze) + "\n")
    return folder


@pytest.fixture(scope="module")
def scales(photos, tmp_path_factory):
    """A folder with the set of scale 1, `set1`, and what a table makes of it: `runs` of two scales, and `sets`."""
    folder = tmp_path_factory.mktemp("scales")
    compact_to(photos, folder / "set1")
    reproduce(words(*TABLE, "--data", folder / "set1", "--out", folder, "--source", photos))
    return folder


def test_a_run_has_both_losses_both_levels_and_its_boxes_against_the_true_ones(scales):
    run = Run.load(scales / "runs" / "scale1")
    last = run.summary["last"]
    assert list(last)[2:5] == ["loss", "object_loss", "locations_loss"]
    assert last["loss"] == pytest.approx(last["object_loss"] + last["locations_loss"], rel=1e-4)
    local, of_object = (np.asarray(run.scores(level), "float32") for level in ("local", "object"))
    softmax = np.exp(of_object) / np.exp(of_object).sum(1, keepdims=True)
    np.testing.assert_allclose(np.exp(run.scores().astype("float32")), (np.exp(local) + softmax) / 2, atol=2e-3)
    attention = run.summary["attention"]
    assert attention["boxes"] == 9
    assert (scales / "runs" / "scale1" / "maps.png").is_file()
    # The mean IoU again, box by box: from the masks of the saved network and the boxes as they were written.
    manifest, look = Manifest.load(scales / "set1"), RunLook(scales / "runs" / "scale1")
    reader, scores = Reader(manifest, "val", SIDE, 4), []
    with open(scales / "set1" / "boxes.csv", newline="") as file:
        true = {row["id"]: [float(row[name]) for name in ("xmin", "ymin", "xmax", "ymax")]
                for row in csv.DictReader(file) if row["split"] == "val"}  # fmt: skip
    masks = np.concatenate([look.run(inputs["image"]) for inputs, _ in reader.validation()])
    rows, columns = look.run.edges
    for identifier, mask in zip(reader.ids_and_labels()[0], masks, strict=True):
        down, across = np.where(mask)
        box = columns[across.min()], rows[down.min()], columns[across.max() + 1], rows[down.max() + 1]
        crop = (STORED - SIDE) // 2
        scores.append(iou(box, [min(max(STORED * edge - crop, 0), SIDE) for edge in true[identifier]]))
    assert attention["iou"] == pytest.approx(np.mean(scores), abs=1e-6)
    assert attention["attended_share"] == pytest.approx(masks.mean(), abs=1e-6)


def test_a_killed_run_resumes_to_the_same_bits(scales, monkeypatch):
    save = listeners.save_state

    def stop_after_the_first(folder, model, history):
        save(folder, model, history)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(listeners, "save_state", stop_after_the_first)
        with pytest.raises(KeyboardInterrupt):
            train_on(scales / "set1", scales / "runs" / "killed")
    train_on(scales / "set1", scales / "runs" / "killed", "--resume")
    whole, resumed = (network_in(scales / "runs" / name).model.get_weights() for name in ("scale1", "killed"))
    for one, other in zip(whole, resumed, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_second_set_holds_what_the_run_attends_to_cropped_from_the_originals(photos, scales):
    manifest = Manifest.load(scales / "sets" / "scale1")
    assert manifest.framing.boxes is not None
    assert manifest.source["zoom"][0]["experiment"] == "classifier_attention"
    with open(scales / "sets" / "scale1" / "attended.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == TRAIN_FILES + VAL_FILES
    broken = [row for row in rows if row["right"] == "0"]
    assert [row["id"] for row in broken] == ["red/broken.png"], "it is not looked at"
    assert "broken" in (scales / "sets" / "scale1" / "skipped.csv").read_text()
    look = RunLook(scales / "runs" / "scale1")
    for row in [row for row in rows if row not in broken][:5]:
        picture = np.asarray(Image.open(photos / row["split"] / row["id"]))
        found = look.boxes([Seen(picture)])[0]
        crop = [int(row[name]) for name in ("left", "top", "right", "bottom")]
        if row["whole"] == "1":
            assert crop == [0, 0, 130, 110]
            continue
        assert [float(row[name]) for name in ("xmin", "ymin", "xmax", "ymax")] == pytest.approx(found, abs=1e-3)
        assert crop[0] <= found[0] + 1e-3
        assert crop[2] >= found[2] - 1e-3
        stored = np.asarray(Image.fromarray(picture[crop[1] : crop[3], crop[0] : crop[2]]))
        assert min(stored.shape[:2]) > 0


def test_it_has_the_same_bytes_with_workers_and_after_a_stop(photos, scales, tmp_path):
    whole = contents(scales / "sets" / "scale1", ("attended.csv",))
    lines = (scales / "sets" / "scale1" / "attended.csv").read_bytes().splitlines(keepends=True)
    stopped = tmp_path / "stopped"
    stopped.mkdir()
    (stopped / "attended.csv").write_bytes(b"".join(lines[:9]) + lines[9][:11])  # killed while it wrote a line
    more = ["--zoom", scales / "runs" / "scale1", "--workers", 2]
    compact_to(photos, stopped, *more)
    assert contents(stopped, ("attended.csv",)) == whole
    assert sorted((stopped / "attended.csv").read_bytes().splitlines(keepends=True)) == sorted(lines)


def test_a_finished_set_is_known_without_looking_again(photos, scales, monkeypatch, capsys):
    monkeypatch.setattr(RunLook, "boxes", lambda *_: pytest.fail("it looks again"))
    compact_to(photos, scales / "sets" / "scale1", "--zoom", scales / "runs" / "scale1")
    assert "nothing to do" in capsys.readouterr().out


def test_pictures_in_which_nothing_stands_out_are_used_whole_and_counted(photos, tmp_path, capsys):
    compact_to(photos, tmp_path / "set", "--zoom", "uniform")
    assert "in 27 of 28 pictures nothing stands out: they are used whole" in capsys.readouterr().out
    with open(tmp_path / "set" / "attended.csv", newline="") as file:
        crops = {row["id"]: [row[name] for name in ("left", "top", "right", "bottom")] for row in csv.DictReader(file)}
    assert crops.pop("red/broken.png") == ["0"] * 4
    assert {tuple(crop) for crop in crops.values()} == {("0", "0", "130", "110")}


def test_a_worker_elsewhere_finds_the_boxes_in_the_folder_while_the_set_is_written(photos, scales):
    framing = Framing(STORED, STORED, STORED)
    source = ZoomedSource(FolderSource(photos), str(scales / "runs" / "scale1"), scales / "sets" / "scale1", framing)
    with only_process(scales / "sets" / "scale1"):
        sent = pickle.loads(pickle.dumps(source))
        assert sent.pictures("val") == source.pictures("val")
    assert all(picture.box for picture in sent.pictures("val"))


def test_true_boxes_gaze_and_the_centre_crop_too(photos, scales, tmp_path):
    for name, who in (("boxes", "boxes"), ("gaze", f"gaze={photos / 'gaze.csv'}"),
                      ("center", f"center={scales / 'runs' / 'scale1'}")):  # fmt: skip
        compact_to(photos, tmp_path / name, "--zoom", who)
    rows = {}
    for name in ("boxes", "gaze", "center"):
        with open(tmp_path / name / "attended.csv", newline="") as file:
            rows[name] = {row["id"]: row for row in csv.DictReader(file) if row["split"] == "val"}
    with open(photos / "bounding_boxes.csv", newline="") as file:
        true = {row["image"]: row for row in csv.DictReader(file)}
    with open(scales / "sets" / "scale1" / "attended.csv", newline="") as file:
        attended = {row["id"]: row for row in csv.DictReader(file) if row["split"] == "val"}
    for identifier, row in rows["boxes"].items():
        one = true[f"val/{identifier}"]
        x, y = float(one["x"]), float(one["y"])
        assert (float(row["xmin"]), float(row["ymin"])) == pytest.approx((max(x, 0), max(y, 0)))
        gaze = rows["gaze"][identifier]
        assert float(gaze["xmin"]) < x + 14 < float(gaze["xmax"])
        center, here = rows["center"][identifier], attended[identifier]
        if here["whole"] == "0":
            assert (float(center["xmin"]) + float(center["xmax"])) / 2 == pytest.approx(65, abs=1e-2)
            widths = [float(each["xmax"]) - float(each["xmin"]) for each in (center, here)]
            assert widths[0] == pytest.approx(widths[1], abs=1e-2)


def test_two_runs_are_judged_by_the_mean_of_their_probabilities(scales, capsys):
    one, other = (Run.load(scales / "runs" / name) for name in ("scale1", "scale2"))
    both = classifier_of(f"{scales / 'runs' / 'scale1'}+{scales / 'runs' / 'scale2'}")
    scores = {}
    for run in (one, other):
        logits = np.asarray(run.scores(), "float64")
        probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        for identifier, row in zip(run.predictions.ids, probabilities, strict=True):
            scores[identifier] = scores.get(identifier, 0) + row / 2
    labels = dict(zip(one.predictions.ids, one.predictions.labels, strict=True))
    right = np.mean([scores[name].argmax() == labels[name] for name in scores])
    assert both.top1 == pytest.approx(right)
    np.testing.assert_allclose(np.exp(both.scores()), [scores[name] for name in both.predictions.ids], atol=1e-3)
    evaluate(words(f"{one.folder}+{other.folder}", "--against", one.folder))
    printed = capsys.readouterr().out
    assert "McNemar" in printed
    assert (scales / "runs" / "scale1+scale2" / "evaluation.md").is_file()
    shutil.rmtree(scales / "runs" / "scale1+scale2")
    with pytest.raises(UserError, match="given twice"):
        classifier_of(f"{scales / 'runs' / 'scale1'}+{scales / 'runs' / 'scale1'}")
    with pytest.raises(UserError, match=r"joined by \+"):
        classifier_of(f"{scales / 'runs' / 'scale1'}+")


def test_the_figure_of_scales_has_the_pictures_that_the_networks_see(scales):
    runs = [Run.load(scales / "runs" / name) for name in ("scale1", "scale2")]
    shown = scales_of(runs, 4)
    sets = scales / "set1", scales / "sets" / "scale1"
    readers = [Reader(Manifest.load(folder), "val", SIDE, 9) for folder in sets]
    ids = list(readers[0].ids_and_labels()[0])[:4]
    for scale, (run, reader) in enumerate(zip(runs, readers, strict=True)):
        seen = dict(zip(reader.ids_and_labels()[0], reader.validation()[0][0]["image"], strict=True))
        look = RunLook(run.folder)
        for identifier, of_picture in zip(ids, shown, strict=True):
            np.testing.assert_array_equal(of_picture[scale].picture, seen[identifier])
            places = look.places(look.run(seen[identifier][None])[0])
            rows, columns = look.run.edges
            if places is not None:
                left, top, right, bottom = places
                assert of_picture[scale].box == (columns[left], rows[top], columns[right], rows[bottom])
    assert len({look.picture.tobytes() for look, _ in shown}) == 4


def test_classify_looks_at_a_photograph_and_draws_the_boxes(photos, scales, tmp_path, capsys):
    photo = photos / "val" / "red" / "0.png"
    classify(words(f"{scales / 'runs' / 'scale1'}+{scales / 'runs' / 'scale2'}", photo, "--out", tmp_path))
    assert "looks: 2" in capsys.readouterr().out
    assert (tmp_path / "0.png").is_file()
    classify(words(scales / "runs" / "scale1", photo, "--out", tmp_path / "one"))
    classify(words(scales / "runs" / "scale1", photo, "--out", tmp_path / "cam", "--layer", "relu5"))
    assert "made by the network itself" in capsys.readouterr().out
    with pytest.raises(UserError, match="make their own maps"):
        classify(words(f"{scales / 'runs' / 'scale1'}+{scales / 'runs' / 'scale2'}", photo, "--predictor", "gbvs"))


def test_the_attention_is_a_predictor(photos, scales, tmp_path):
    maps = predictor(scales / "runs" / "scale1")(np.stack([np.asarray(Image.open(photos / "val" / "red" / "0.png"))]))
    assert maps.shape == (1, 110, 130)
    assert maps.min() >= 0
    assert maps.max() > 0
    predict(words(scales / "runs" / "scale1", photos / "val", tmp_path / "maps"))
    assert len(list((tmp_path / "maps").rglob("*.png"))) == 9
    compact_to(photos, tmp_path / "set", "--saliency", scales / "runs" / "scale1")
    assert Manifest.load(tmp_path / "set").maps[1].made_of == "run"


def test_a_table_makes_its_sets_and_judges_scales_together(photos, scales, capsys):
    before, table = contents(scales / "sets" / "scale1"), [*TABLE, "--data", scales / "set1", "--out", scales]
    with pytest.raises(UserError, match="--source SOURCE"):
        reproduce(words(*table))
    reproduce(words(*table, "--source", photos))
    printed = capsys.readouterr().out
    assert "0 left" in printed
    assert "scale1 and scale2" in printed
    assert contents(scales / "sets" / "scale1") == before
    with open(scales / "attention-2" / "table.csv", newline="") as file:
        rows = {row["row"]: row for row in csv.DictReader(file)}
    assert list(rows)[:6] == ["max_pooled1", "scale1", "scale2", "max_pooled2", "max_pooled1 and max_pooled2",
                              "scale1 and scale2"]  # fmt: skip
    both = classifier_of(f"{scales / 'runs' / 'scale1'}+{scales / 'runs' / 'scale2'}")
    assert float(rows["scale1 and scale2"]["top1"]) == pytest.approx(both.top1, abs=1e-6)
    assert rows["scale1 and scale2"]["against"] == "max_pooled1 and max_pooled2"
    assert float(rows["published, CUB-200-2011: ours, three scales"]["top1"]) == 0.879
    assert rows["max_pooled1"]["local"] == ""
    assert 0 <= float(rows["scale2"]["iou"]) <= 1
    sets = [Manifest.load(path) for path in (scales / "sets").iterdir()]
    assert [one.source["zoom"][0]["experiment"] for one in sets] == ["classifier_attention"]
    assert (scales / "attention-2" / "looks.png").is_file()


def test_controls_without_gaze_have_no_row_of_it(photos, scales, tmp_path):
    from saliency_keras.experiments.tables import table
    from saliency_keras.tables.attention import Attention
    from saliency_keras.tables.plan import Choices

    choices = Choices(scales / "set1", tmp_path, compact=print)
    planned = Attention(str(photos)).plan(table("attention-controls"), choices)
    rows = [run.row.name for run in planned if not run.makes_set]
    assert rows == ["scale1", "scale1_again", "scale2", "crop_center", "crop_gbvs", "crop_boxes"]
    assert [run.seed for run in planned if run.row.name == "scale1_again"] == [1000]
    zooms = [run.zoom for run in planned if run.makes_set]
    scale = tmp_path / "runs" / "scale1"
    assert zooms == [str(scale), f"center={scale}", "gbvs", "boxes"]
    with_gaze = Attention(str(photos), gaze=str(photos / "gaze.csv")).plan(table("attention-controls"), choices)
    assert f"gaze={photos / 'gaze.csv'}" in [run.zoom for run in with_gaze if run.makes_set]


def refused(*given):
    with pytest.raises(UserError) as error:
        compact.main(words(*given))
    return str(error.value)


def test_bad_input_is_one_sentence_and_leaves_nothing(photos, scales, tmp_path):
    out = tmp_path / "out"
    start = (photos, out, "--saliency", "uniform", *FRAMING, "--zoom")
    assert "no finished run" in refused(*start, tmp_path)
    unfinished = shutil.copytree(scales / "runs" / "scale1", tmp_path / "unfinished")
    (unfinished / "summary.json").unlink()
    assert "no finished run" in refused(*start, unfinished)
    assert "not as many; name all runs in order" in refused(*start, scales / "runs" / "scale2")
    assert "can look" in refused(*start, "nobody")
    other = shutil.copytree(scales / "runs" / "scale1", tmp_path / "other")
    with h5py.File(other / "predictions.h5", "r+") as file:
        file.attrs["classes"] = np.array([b"blue", b"green", b"violet"])
    assert "trained on other classes" in refused(*start, other)
    assert not out.exists()
    assert "without --zoom" in refused(photos, scales / "set1", *start[2:], scales / "runs" / "scale1")
    assert "another --zoom" in refused(photos, scales / "sets" / "scale1", *start[2:], "boxes")
    damaged = shutil.copytree(scales / "sets" / "scale1", tmp_path / "damaged")
    text = (damaged / "attended.csv").read_text().replace(",0,", ",x,")
    (damaged / "attended.csv").write_text(text)
    assert "damaged" in refused(photos, damaged, *start[2:], scales / "runs" / "scale1")
    assert "--zoom" in refused(scales / "set1", out, "--zoom", scales / "runs" / "scale1")
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("picture,x\n", "its columns are picture, x"),
        ("image,x,y,width,height\nval/red/0.png,1,2,-3,4\n", "line 2"),
        ("image,x,y,width,height\nval/red/0.png,1,2,nan,4\n", "line 2"),
        ("image,xmin,ymin,xmax,ymax\nval/red/0.png,1,2,3,4\nval/red/3.png,1,2,three,4\n", "line 3"),
    ],
)
def test_damaged_boxes_of_a_folder_are_one_sentence(photos, tmp_path, text, sentence):
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    (folder / "boxes.csv").write_text(text)
    with pytest.raises(UserError, match=sentence):
        FolderSource(folder)


def test_a_set_of_one_class_and_a_run_without_a_mask_are_refused(photos, scales, tmp_path):
    for split in ("train", "val"):
        shutil.copytree(photos / split / "red", tmp_path / "photos" / split / "red")
    assert "one class only" in refused(tmp_path / "photos", tmp_path / "out")
    with pytest.raises(UserError, match=r"leaves 1 of the 3 classes of .*; a classifier tells two or more apart"):
        train_on(scales / "set1", tmp_path / "run", "--exclude-classes", "red,green")
    assert not (tmp_path / "run" / "config.json").exists()
    max_pooled = scales / "runs" / "max_pooled1"
    words_ = (photos, tmp_path / "out", "--saliency", "uniform", *FRAMING, "--zoom", max_pooled)
    assert "is no run of classifier_attention" in refused(*words_)


def test_it_starts_from_a_file_of_weights_and_keeps_the_lower_stages(scales, tmp_path):
    source = keras.applications.MobileNet(weights=None)
    source.save_weights(tmp_path / "mobilenet.weights.h5")
    more = ["--set", "backbone=MobileNet", "--set", f"weights={tmp_path / 'mobilenet.weights.h5'}", "--epochs", 1]
    more += ["--set", "width_multiplier=1"]
    train_on(scales / "set1", tmp_path / "run", *more, "--set", "frozen=stride2,stride4,stride8")
    model, config = network_in(tmp_path / "run").model, json.loads((tmp_path / "run" / "config.json").read_text())
    assert set(config["frozen"]) < set(config["carried"])
    for name in config["frozen"]:
        for one, other in zip(model.get_layer(name).get_weights(), source.get_layer(name).get_weights(), strict=True):
            np.testing.assert_array_equal(one, other)
    assert not np.array_equal(
        model.get_layer("conv_pw_13").get_weights()[0], source.get_layer("conv_pw_13").get_weights()[0]
    )
