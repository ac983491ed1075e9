"""`reproduce accuracy-vs-saliency`: one measure for every backbone, correlations, one sentence for every mistake."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.metrics.statistics import correlation
from saliency_keras.reproduce import main
from saliency_keras.tables.backbones import Backbone, linear_probe, named_backbones, own_worth
from tests.small_sets import write_fixation_set, write_small_set

SMALL = ["--set", "dense_units=4", "--set", "rgb_quarter:batch=16", "--set", "rgb_quarter:epochs=1",
         "--set", "height=96", "--set", "width=128", "--set", "readout_bi:epochs=2"]  # fmt: skip


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    (folder / "compact").mkdir()
    write_small_set(folder / "compact", side=128, classes=2, train=(32,), val=(21,), separable=True)
    write_fixation_set(folder / "fixations")
    return folder


@pytest.fixture(scope="module")
def classifier(tmp_path_factory):
    """A run's network: two channels that depend on brightness."""
    return write_classifier(tmp_path_factory.mktemp("given") / "bright", 1 / 255)


@pytest.fixture(scope="module")
def dim(tmp_path_factory):
    """The same, hardly seeing anything: its read-out learns next to nothing, and its linear classifier nothing."""
    return write_classifier(tmp_path_factory.mktemp("given") / "dim", 0.0)


def write_classifier(folder, scale):
    folder.mkdir()
    keras.utils.set_random_seed(0)
    image = keras.Input((32, 32, 3), dtype="uint8", name="image")
    x = keras.layers.AveragePooling2D(8, padding="same", name="pool")(keras.layers.Rescaling(scale)(image))
    x = keras.layers.Conv2D(2, 1, activation="relu", name="conv")(x)
    keras.Model({"image": image}, keras.layers.Dense(2)(keras.layers.Flatten()(x))).save(folder / "model.keras")
    return folder


@pytest.fixture(scope="module")
def reproduced(sets, dim, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    words = ["--data", sets / "compact", "--fixations", sets / "fixations", "--out", out, "--only", "rgb_quarter"]
    words = ["accuracy-vs-saliency", *map(str, words), "--backbones", f"ours,{dim}", *SMALL]
    words += ["--readouts", "readout_bi,readout_dc", "--set", "readout_dc:epochs=2"]
    main(words)
    return out, words


def table_of(out):
    with open(out / "accuracy-vs-saliency" / "table.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_every_backbone_has_its_accuracy_and_the_scores_of_its_own_read_outs(reproduced):
    rows = table_of(reproduced[0])
    backbones = {"rgb_quarter-untrained", "rgb_quarter", "dim"}
    assert {(row["backbone"], row["readout"]) for row in rows} == {
        (backbone, readout) for backbone in backbones for readout in ("readout_bi", "readout_dc")
    }
    for row in rows:
        folder = reproduced[0] / "runs" / f"{row['readout']}-{row['backbone']}"
        summary = json.loads((folder / "summary.json").read_text())
        for metric, column in ("NSS", "nss"), ("CC", "cc"), ("AUC-Judd", "auc_judd"):
            assert float(row[column]) == pytest.approx(summary["held_out"]["run"][metric]["mean"], abs=1e-4)
        assert 0 <= float(row["auc_borji"]) <= 1
        assert 0 <= float(row["sauc"]) <= 1
        assert float(row["linear_low"]) <= float(row["linear_top1"]) <= float(row["linear_high"])
    linear = {row["backbone"]: float(row["linear_top1"]) for row in rows}
    assert min(linear, key=linear.get) == "dim"
    assert linear["dim"] < 0.6 < max(linear.values())


def test_a_finished_classifier_stands_with_its_own_top_1(reproduced):
    own = {row["backbone"]: row["top1"] for row in table_of(reproduced[0])}
    summary = json.loads((reproduced[0] / "runs" / "rgb_quarter" / "summary.json").read_text())
    assert float(own["rgb_quarter"]) == pytest.approx(summary["last"]["val_top1"], abs=1e-6)
    assert own["dim"] == own["rgb_quarter-untrained"] == ""  # no run, or no predictions
    assert table_of(reproduced[0])[0]["backbone"] == "rgb_quarter"  # the one with a Top-1 of its own comes first


def test_predictions_of_other_pictures_are_no_top_1_of_this_set(reproduced, tmp_path):
    run = Backbone("rgb_quarter", str(reproduced[0] / "runs" / "rgb_quarter"))
    write_small_set(tmp_path, side=128, classes=2, train=(32,), val=(20,), separable=True)
    assert own_worth(run, Manifest.load(tmp_path)) is None
    write_small_set(tmp_path, side=128, classes=3, train=(32,), val=(21,), separable=True)
    assert own_worth(run, Manifest.load(tmp_path)) is None


def test_correlations_are_those_of_the_table(reproduced):
    rows = table_of(reproduced[0])
    with open(reproduced[0] / "accuracy-vs-saliency" / "correlations.csv", newline="") as file:
        found = {
            (row["axis"], row["readout"], row["metric"], row["kind"]): float(row["coefficient"] or "nan")
            for row in csv.DictReader(file)
        }
    assert {axis for axis, *_ in found} == {"linear"}  # a single classifier has a Top-1 of its own
    for readout in "readout_bi", "readout_dc":
        of_it = [row for row in rows if row["readout"] == readout]
        top1 = [float(row["linear_top1"]) for row in of_it]
        columns = {"NSS": "nss", "CC": "cc", "AUC-Judd": "auc_judd", "AUC-Borji": "auc_borji", "sAUC": "sauc"}
        for metric, column in columns.items():
            for kind, ranks in ("Pearson", False), ("Spearman", True):
                expected = correlation(top1, [float(row[column]) for row in of_it], ranks)
                assert found["linear", readout, metric, kind] == pytest.approx(expected, nan_ok=True)
    assert (reproduced[0] / "accuracy-vs-saliency" / "scatter-linear.png").stat().st_size > 20_000
    text = (reproduced[0] / "accuracy-vs-saliency" / "table.md").read_text()
    assert "Pearson" in text
    assert "not independent" in text


def test_made_again_it_trains_nothing_and_says_the_same(reproduced, capsys):
    out, words = reproduced
    before = table_of(out)
    times = {path: path.stat().st_mtime_ns for path in out.glob("runs/*/model.keras")}
    capsys.readouterr()
    main(words)
    assert table_of(out) == before
    assert times == {path: path.stat().st_mtime_ns for path in out.glob("runs/*/model.keras")}
    assert not [line for line in capsys.readouterr().out.splitlines() if line.startswith(("linear", "epoch", "["))]


def test_linear_classifier_is_right_where_the_features_tell_the_class_and_at_chance_where_they_do_not(sets):
    manifest = Manifest.load(sets / "compact")
    pixels = keras.Input((None, None, 3))
    bright = keras.Model(pixels, keras.layers.AveragePooling2D(8)(pixels))
    blind = keras.Model(pixels, keras.layers.Rescaling(0.0)(keras.layers.AveragePooling2D(8)(pixels)))
    assert linear_probe(bright, manifest) == (21, 21)
    labels = np.arange(21) % 2
    right, pictures = linear_probe(blind, manifest)
    assert (right, pictures) == (max((labels == 0).sum(), (labels == 1).sum()), 21)


def test_backbones_are_named_by_network_and_weights(tmp_path, classifier):
    (tmp_path / "mine.weights.h5").write_bytes(b"")
    words = ["ours", "ResNet50", "ResNet50=none", f"DenseNet121={tmp_path / 'mine.weights.h5'}", str(classifier)]
    found = named_backbones(words)
    assert [one.name for one in found] == ["ResNet50-imagenet", "ResNet50-none", "DenseNet121-mine", "bright"]
    assert [one.weights for one in found] == ["imagenet", "", str(tmp_path / "mine.weights.h5"), ""]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--backbones", "ResNet51"], "'ResNet51' is neither a finished run nor one of"),
        (["--backbones", "ResNet50=nothing.h5"], r"no weights file nothing\.h5"),
        (["--backbones", f"ours,EfficientNetB0={__file__}"], "a file of weights does not tell how EfficientNetB0"),
        (["--backbones", "ours,DPN92"], "no ImageNet weights of DPN92"),
        (["--backbones", "ResNet50=none,ResNet50=none"], "two backbones would be called 'ResNet50-none'"),
        (["--backbones", ""], "say which backbones"),
        (["--readouts", "readout"], "read-outs are of readout_bi, readout_spc, readout_dc. Received: readout"),
        (["--whole", "ResNet51"], "'ResNet51' is neither a finished run nor one of"),
        (["--epochs", "3"], "--epochs and --repeats do not apply"),
        (["--set", "wide=1"], "fits no experiment"),
    ],
)
def test_mistakes_are_told_in_a_sentence(sets, tmp_path, words, says):
    places = ["--data", sets / "compact", "--fixations", sets / "fixations", "--out", tmp_path / "out"]
    with pytest.raises(UserError, match=says):
        main(["accuracy-vs-saliency", *map(str, places), *words])
    assert not (tmp_path / "out").exists()


def test_channels_that_sub_pixel_convolution_cannot_spread_out_are_told_and_the_table_is_written(sets, dim, tmp_path):
    """Networks of `keras.applications` and our AlexNets have multiples of 64; this one has two channels."""
    words = ["--data", sets / "compact", "--fixations", sets / "fixations", "--out", tmp_path, "--backbones", dim]
    readouts = ["--readouts", "readout_spc,readout_bi", *SMALL[-6:]]
    with pytest.raises(UserError, match=r"lacks .*readout_spc.*a multiple of 64 channels, and dim has 2 channels"):
        main(["accuracy-vs-saliency", *map(str, words), *readouts])
    assert [row["readout"] for row in table_of(tmp_path)] == ["readout_bi"]


def test_fixations_are_asked_for(sets):
    with pytest.raises(UserError, match="give a set: --fixations DIR"):
        main(["accuracy-vs-saliency", "--data", str(sets / "compact")])


def test_a_finished_run_of_another_length_is_told_not_taken(sets, reproduced, tmp_path):
    shutil.copytree(reproduced[0], tmp_path / "out")
    words = [str(tmp_path / "out") if word == str(reproduced[0]) else word for word in reproduced[1]]
    with pytest.raises(UserError, match="was started with another epochs"):
        main([*words, "--set", "rgb_quarter:epochs=2"])
