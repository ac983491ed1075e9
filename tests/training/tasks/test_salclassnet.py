"""SalClassNet's stages on a tiny set: the joint loss, what each stage takes from which run, and its mistakes."""

import csv
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.shown import Shown
from saliency_keras.data.stored import Records
from saliency_keras.experiments import experiment
from saliency_keras.experiments.experiment import flat_settings
from saliency_keras.experiments.tables import TABLES
from saliency_keras.models.losses import squared
from saliency_keras.models.registry import build, build_saliency
from saliency_keras.predict import main as predict
from saliency_keras.runs.classifier import Classifier
from saliency_keras.runs.run import Run, network_in
from saliency_keras.saliency import predictor
from saliency_keras.tables.plan import PlannedRun
from saliency_keras.tables.results import Results
from saliency_keras.tables.top_down import TopDown
from saliency_keras.train import main as train_main
from saliency_keras.training import listeners
from saliency_keras.training.initial_weights import Parent, _check_same_range, initial_weights, load_parents
from saliency_keras.training.optimizer import rate_at
from saliency_keras.training.tasks.joint import map_loss, places_with_maps
from saliency_keras.training.train import train
from tests.small_sets import write_fixation_set, write_small_set

SIDE, STORED, CLASSES = 48, 52, 3
SMALL = {
    "backbone": "VGG16",
    "detector": "VGG16",
    "width_multiplier": 0.05,
    "dense_units": 8,
    "dropout": 0.2,
    "classifier_size": 0,
    "side": SIDE,
    "batch": 4,
    "epochs": 2,
    "weights": "",
}


def small(name, **changes):
    chosen = experiment(name)
    return chosen.replace(**{key: value for key, value in (SMALL | changes).items() if key in chosen.settings})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_small_set(folder, side=STORED, classes=CLASSES, train=(12,), val=(7,), separable=True)
    return folder


@pytest.fixture(scope="module")
def stages(data, tmp_path_factory):
    """The runs of stages (ii) and (iv), to join."""
    out = tmp_path_factory.mktemp("stages")
    train(small("salclassnet_detector", epochs=1), data, out / "detector")
    train(small("resnet_rgbs", epochs=1), data, out / "rgbs")
    return {"network": out / "rgbs", "saliency": out / "detector"}


@pytest.fixture(scope="module")
def joined(data, stages, tmp_path_factory):
    out = tmp_path_factory.mktemp("joined") / "run"
    train(small("salclassnet_resnet"), data, out, parents=stages)
    return out


def test_the_joint_loss_is_alpha_times_cross_entropy_plus_the_squared_error_of_the_map():
    """By numpy, and by differences of that the gradients of both losses at the detector's last kernel."""
    keras.utils.set_random_seed(1)
    chosen = small("salclassnet_resnet", width_multiplier=0.1, dropout=0.0, detector_level="block2_pool")
    random = np.random.default_rng(0)
    inputs = {"image": random.integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)}
    labels = np.array([0, 2, 1])
    maps = random.integers(0, 256, (3, SIDE, SIDE, 1)).astype("float32")
    maps[1] = 0
    model = build(chosen.network, chosen.arguments, SIDE, CLASSES).model
    kernel, weights = model.get_layer("score_saliency").kernel, model.get_weights()
    start = kernel.numpy()

    def by_numpy(alpha):
        outputs = model(inputs, training=True)
        logits, made = (np.asarray(keras.ops.convert_to_numpy(outputs[name]), np.float64) for name in ("logits", "map"))
        shifted = logits - logits.max(axis=1, keepdims=True)
        log_softmax = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        cross_entropy = -log_softmax[np.arange(3), labels].mean()
        errors = [((made[one] - maps[one] / maps[one].max()) ** 2).mean() for one in (0, 2)]
        return alpha * cross_entropy + np.mean(errors)

    def gradient(alpha, step):
        ends = []
        for sign in (1, -1):
            moved = start.copy()
            moved[0, 0, 0, 0] += sign * step
            kernel.assign(moved)
            ends.append(by_numpy(alpha))
        kernel.assign(start)
        return (ends[0] - ends[1]) / (2 * step)

    found = {}
    for alpha in (0.0, 100.0):
        expected, by_differences = by_numpy(alpha), gradient(alpha, 0.002)
        model.set_weights(weights)
        trained = keras.Model(model.input, model.output)
        losses = {"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "map": map_loss("squared")}
        shares = {"logits": alpha, "map": 1.0}
        trained.compile(keras.optimizers.SGD(0.01), losses, loss_weights=shares, run_eagerly=True)
        told = trained.train_on_batch(inputs, {"logits": labels, "map": maps}, return_dict=True)["loss"]
        assert told == pytest.approx(expected, rel=1e-4)
        found[alpha] = (start - kernel.numpy())[0, 0, 0, 0] / 0.01, by_differences
        model.set_weights(weights)
    for one, other in found.values():
        assert one == pytest.approx(other, rel=0.02)
    of_classes = [found[100.0][place] - found[0.0][place] for place in (0, 1)]
    assert of_classes[0] == pytest.approx(of_classes[1], rel=0.1)
    assert abs(of_classes[0]) > 1e-3, "the classification loss reaches the detector"


def test_a_map_without_looks_does_not_count():
    maps = np.zeros((4, 8, 8, 1), np.float32)
    maps[[0, 3], 2, 5] = 255
    outputs = np.random.default_rng(0).normal(size=maps.shape).astype("float32")
    found = keras.ops.convert_to_numpy(map_loss("squared")(keras.ops.convert_to_tensor(maps), outputs))
    expected = [((outputs[one] - maps[one] / 255) ** 2).mean() for one in (0, 3)]
    assert found[1] == found[2] == 0
    assert found.mean() == pytest.approx(np.mean(expected), rel=1e-5)


def test_rates_and_decay_are_the_papers():
    """1/t by the step, the new slice at 0.05, and decay that ends with epoch 29 of 70 (§5.2)."""
    fine = experiment("inception_rgbs").schedule
    for epoch, steps in ((1, 500), (70, 500), (120, 500)):
        assert rate_at(fine, epoch, steps) == pytest.approx(0.001 / (1 + 1e-5 * (epoch - 1) * steps), rel=1e-9)
    pretraining = experiment("vgg_pretrain").schedule
    rates = [pretraining.rate(epoch) for epoch in (1, 18, 19, 29, 30, 43, 44, 52, 53, 70)]
    assert rates == [0.01, 0.01, 0.005, 0.005, 0.001, 0.001, 0.0005, 0.0005, 0.0001, 0.0001]
    assert (pretraining.decay, pretraining.decay_until, pretraining.batch) == (5e-4, 29, 32)
    chosen = small("resnet_rgbs")
    network = build(chosen.network, chosen.arguments, SIDE, CLASSES)
    factors = network.factors(chosen.schedule.factors)
    new = {
        variable.path for layer in network.layers_of(["new_channel", "top"]) for variable in layer.trainable_variables
    }
    assert set(factors) == new
    assert {round(0.001 * one, 6) for one in factors.values()} == {0.05}
    assert experiment("salclassnet").schedule.factors == {}
    assert {experiment(name).loss_weights["logits"] for name in ("salclassnet", "salclassnet_vgg")} == {0.2}


def test_the_joined_network_begins_with_both_runs(stages):
    chosen = small("salclassnet_resnet")
    found = build(chosen.network, chosen.arguments, SIDE, CLASSES)
    initial_weights(chosen, found, load_parents(stages), 0)
    for part in found.parts:
        source = network_in(stages["saliency" if part == "saliency" else "network"]).model
        for layer in found.layers_of([part]):
            for one, other in zip(layer.weights, source.get_layer(layer.name).weights, strict=True):
                np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_a_file_of_keras_weights_fills_the_detector_and_the_trunk(tmp_path):
    whole = keras.applications.MobileNet(weights=None, input_shape=(64, 64, 3), classes=1000)
    file = tmp_path / "mobilenet.weights.h5"
    keras.applications.MobileNet(weights=None).save_weights(file)
    whole.load_weights(file)
    kernel = whole.get_layer("conv_pw_13").get_weights()[0]
    for name, layer in (("salclassnet_detector", "conv_pw_13_saliency"), ("resnet_rgbs", "conv_pw_13")):
        of_mobilenet = {"detector": "MobileNet", "backbone": "MobileNet", "width_multiplier": 1.0}
        chosen = small(name, **of_mobilenet, weights=str(file))
        found = build(chosen.network, chosen.arguments, SIDE, CLASSES)
        carried = initial_weights(chosen, found, {}, 0)
        np.testing.assert_array_equal(found.model.get_layer(layer).get_weights()[0], kernel)
        left = {one.name for one in found.model.layers if one.weights} - set(carried)
        new = {"score_saliency"} if name == "salclassnet_detector" else {"map_new_channel", "first_new_channel"}
        assert left - {"predictions"} == new


def test_the_history_has_both_losses_and_their_sum(joined):
    summary = json.loads((joined / "summary.json").read_text())
    last = summary["last"]
    assert last["loss"] == pytest.approx(0.2 * last["logits_loss"] + last["map_loss"], rel=1e-4)
    correct, labels = Run.load(joined).predictions.correct(), Run.load(joined).predictions.labels
    by_class = [correct[labels == one].mean() for one in range(CLASSES)]
    assert summary["mean_class_accuracy"] == pytest.approx(np.mean(by_class))


def test_the_summary_has_the_map_s_loss_over_pictures(data, joined):
    """Keras averages over batches; the summary's figure is worked out here once more, picture by picture."""
    network = network_in(joined)
    records, margin = Records(Manifest.load(data), "val"), (STORED - SIDE) // 2
    crop = np.s_[margin : margin + SIDE, margin : margin + SIDE]
    losses = []
    for place in range(7):
        ((word,), (one,)) = (list(map(np.copy, read(np.array([place])))) for read in (records.words, records.maps))
        picture = word.view(np.uint8).reshape(STORED, STORED, 4)[crop][..., :3]
        made = np.asarray(network.map.predict_on_batch({"image": picture[None]}))[0, ..., 0]
        losses.append(np.mean((made - one[crop] / one[crop].max()) ** 2))
    summary = json.loads((joined / "summary.json").read_text())
    assert summary["map_loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert (joined / "maps.png").is_file()


def test_a_run_killed_in_the_last_stage_resumes_to_the_same_bits(data, stages, joined, tmp_path, monkeypatch):
    save = listeners.save_state

    def stop(folder, model, history):
        save(folder, model, history)
        raise KeyboardInterrupt

    monkeypatch.setattr(listeners, "save_state", stop)
    with pytest.raises(KeyboardInterrupt):
        train(small("salclassnet_resnet"), data, tmp_path / "run", parents=stages)
    monkeypatch.setattr(listeners, "save_state", save)
    train(small("salclassnet_resnet"), data, tmp_path / "run", parents=stages, resume=True)
    ours, whole = (network_in(folder).model.get_weights() for folder in (tmp_path / "run", joined))
    for one, other in zip(ours, whole, strict=True):
        np.testing.assert_array_equal(one, other)
    rows = [list(csv.DictReader((folder / "history.csv").open())) for folder in (tmp_path / "run", joined)]
    assert [{**row, "seconds": 0} for row in rows[0]] == [{**row, "seconds": 0} for row in rows[1]]


def test_a_joined_run_is_a_predictor_and_shows_its_map(joined, tmp_path):
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    own = np.asarray(network_in(joined).model.predict_on_batch({"image": pictures})["map"])[..., 0]
    np.testing.assert_allclose(predictor(str(joined))(pictures), np.maximum(own, 0), atol=1e-5)
    (tmp_path / "photos").mkdir()
    Image.fromarray(random.integers(0, 256, (60, 80, 3), np.uint8)).save(tmp_path / "photos" / "one.png")
    predict([str(joined), str(tmp_path / "photos"), str(tmp_path / "maps")])
    assert Image.open(tmp_path / "maps" / "one.png").size == (80, 60)
    classifier = Classifier(joined)
    assert classifier.map_source == "made by the network itself (layer saliency_map)"
    np.testing.assert_allclose(classifier.classified(pictures[0]).saliency, np.maximum(own[0], 0), atol=1e-5)


def test_table_4_scores_the_joined_run_beside_the_gaze_itself(data, joined, tmp_path):
    """NSS once more by hand: the standardised map at each fixation, the mean over fixations, then over pictures."""
    looked_at = tmp_path / "set"
    write_fixation_set(looked_at, pictures=3, size=(64, 48))
    table = TABLES["salclassnet-4"]
    (row,) = (row for row in table.rows if row.experiment == "salclassnet")
    planned = (PlannedRun(row, small("salclassnet"), data, joined, 0),)
    TopDown(looked_at, predictors=("fixations",)).write(Results(table, {}, planned, data), tmp_path / "table")
    with open(tmp_path / "table" / "table.csv", newline="") as file:
        found = {row["maps"]: row for row in csv.DictReader(file)}
    assert {"run", "fixations", "human", "SalNet, the paper's"} <= found.keys()
    assert float(found["fixations"]["CC"]) == pytest.approx(1)
    with open(looked_at / "fixations.csv", newline="") as file:
        fixations = list(csv.DictReader(file))
    own, by_picture = predictor(str(joined)), []
    for name in sorted({row["image"] for row in fixations}):
        (made,) = own(np.asarray(Image.open(looked_at / "images" / name))[None])
        made = (made - made.mean()) / made.std()
        places = [(round(float(row["y"])), round(float(row["x"]))) for row in fixations if row["image"] == name]
        by_picture.append(np.mean([made[place] for place in places]))
    assert float(found["run"]["NSS"]) == pytest.approx(np.mean(by_picture), abs=1e-3)


def test_pictures_without_a_map_are_no_pictures_of_the_detector(data, monkeypatch):
    maps = np.zeros((12, STORED, STORED), np.uint8)
    maps[[2, 3, 7], 5, 9] = 255
    monkeypatch.setattr(Records, "maps", lambda self, places: (maps[place] for place in places))
    manifest = Manifest.load(data)
    assert places_with_maps(manifest, "train", None, Shown(), 0).tolist() == [2, 3, 7]
    assert places_with_maps(manifest, "train", np.array([3, 4, 7]), Shown(), 0).tolist() == [3, 7]
    assert places_with_maps(manifest, "train", None, Shown(swap="uniform"), 0).tolist() == list(range(12))


def test_excluded_classes_are_not_learned_and_have_no_output(data, tmp_path, capsys):
    names = tmp_path / "left_out.txt"
    names.write_text("class1\n\n")
    settings = [f"--set={key}={value}" for key, value in SMALL.items() if key not in ("weights", "detector")]
    arguments = ["resnet_pretrain", "--data", str(data), "--out", str(tmp_path / "run"), *settings]
    train_main([*arguments, "--exclude-classes", str(names), "--epochs", "1"])
    assert "excluded: 1 classes, with them 4 of 12 pictures (train)" in capsys.readouterr().out
    run = Run.load(tmp_path / "run")
    assert run.predictions.classes == ("class0", "class2")
    labels = np.arange(7) % CLASSES
    assert run.predictions.ids.size == (labels != 1).sum()
    for picture, label in zip(run.predictions.ids, run.predictions.labels, strict=True):
        assert picture.startswith(run.predictions.classes[label] + "/")
    assert network_in(tmp_path / "run").model.output_shape == (None, 2)
    with pytest.raises(UserError, match=r"no class 'clas1' to exclude; it has 3 classes, such as class1"):
        train_main([*arguments[:3], "--out", str(tmp_path / "other"), *settings, "--exclude-classes", "clas1"])
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("name", "given", "changes", "says"),
    [
        ("salclassnet", ("network",), {}, r"starts from 2 runs.*--init saliency=RUN \(a run of salclassnet_detector\)"),
        ("salclassnet", (), {}, r"give --init RUN \(a run of inception_rgbs\) --init saliency=RUN"),
        ("salclassnet_resnet", ("network", "saliency"), {"loss_weights": {"logits": 0, "map": 1}}, "alpha = 0"),
        ("salclassnet_resnet", ("network", "saliency"), {"loss_weights": {"maps": 1}}, "of the outputs logits and map"),
        (
            "salclassnet_resnet",
            ("network", "saliency"),
            {"detector": "ResNet50"},
            r"the detector of .*detector was trained with detector=VGG16: --set detector=VGG16",
        ),
        (
            "salclassnet_resnet",
            ("network", "saliency"),
            {"new_channel_range": "unit"},
            r"rgbs was trained with new_channel_range=pixels: --set new_channel_range=pixels",
        ),
        ("salclassnet_resnet", ("network", "saliency"), {"new_channel_range": "own"}, "new_channel_range is one of"),
        ("resnet_rgb", (), {"weights": "nowhere.h5"}, "there is no weights file nowhere.h5"),
        ("salclassnet_detector", (), {"loss": "mse"}, "the loss is one of"),
    ],
)
def test_a_mistake_is_a_sentence_and_nothing_is_written(name, given, changes, says, data, stages, tmp_path):
    parents = {part: stages[part] for part in given}
    with pytest.raises(UserError, match=says):
        train(small(name, **changes), data, tmp_path / "run", parents=parents)
    assert not (tmp_path / "run").exists()


def test_a_run_of_the_version_whose_maps_had_a_deviation_of_one_is_told_from_the_others():
    parent = Parent(Path("earlier"), None, {"name": "resnet_rgbs", "fourth_channel": "map"})
    said = "the fourth channel of earlier was trained with new_channel_range=unit: --set new_channel_range=unit"
    with pytest.raises(UserError, match=said):
        _check_same_range(small("salclassnet_resnet"), parent)
    _check_same_range(small("salclassnet_resnet", new_channel_range="unit"), parent)
    _check_same_range(small("resnet_rgb"), parent)  # it has no fourth channel


OSIE, RGBS = ("salclassnet_osie", {"height": SIDE, "width": SIDE}), ("resnet_rgbs", {})
DETECTS = "salclassnet_detector"


@pytest.mark.parametrize(
    ("name", "changes", "given", "says"),
    [
        # VGG-19 has three further convolutions, and MobileNet's last layer alone would fit.
        (DETECTS, {"detector": "VGG19"}, {"network": OSIE}, "the detector of 0 was trained with detector=VGG16"),
        (
            DETECTS,
            {"detector": "MobileNet", "detector_level": "conv_pw_11_relu"},
            {"network": OSIE},
            "the detector of 0 was trained with detector=VGG16",
        ),
        ("resnet_rgb", {"backbone": "VGG19"}, {"network": ("resnet_pretrain", {})}, "trained with backbone=VGG16"),
        ("salclassnet_resnet", {"backbone": "VGG19"}, {"network": RGBS}, "the trunk of 0 was trained with backbone="),
        *(
            (
                "salclassnet_resnet",
                {},
                {"network": RGBS, "saliency": (DETECTS, {name: value})},
                f"the detector of 1 was trained with {name}={value}: --set {name}={value}",
            )
            for name, value in (
                ("loss", "cross_entropy"),
                ("saliency_activation", "sigmoid"),
                ("pool_padding", "valid"),
                ("detector_level", "block4_pool"),
            )
        ),
    ],
)
def test_a_run_of_other_layers_or_of_another_meaning_is_refused_though_some_of_it_fits(name, changes, given, says):
    keras.backend.clear_session()
    chosen = small(name, **changes)
    parents = {
        part: parent_of(small(other, **settings), str(number))
        for number, (part, (other, settings)) in enumerate(given.items())
    }
    found = build(chosen.network, chosen.arguments, SIDE, CLASSES)
    before = [one.numpy() for one in found.model.weights]
    with pytest.raises(UserError, match=says):
        initial_weights(chosen, found, parents, 0)
    if len(parents) == 1:
        assert all(np.array_equal(one, other) for one, other in zip(found.model.get_weights(), before, strict=True))


def parent_of(chosen, folder):
    """A run that is not trained: its network with first weights."""
    if chosen.learns_from_fixations:
        made = build_saliency(chosen.network, chosen.arguments)
    else:
        made = build(chosen.network, chosen.arguments, SIDE, CLASSES)
    return Parent(Path(folder), made, {**flat_settings(chosen.as_json()), "name": chosen.name})


def test_free_viewing_may_have_taught_another_loss():
    """What follows is a training, so that the first weights need not mean the same."""
    chosen = small(DETECTS)
    found = build(chosen.network, chosen.arguments, SIDE, CLASSES)
    before = small("salclassnet_osie", height=SIDE, width=SIDE, loss="divergence", saliency_activation="relu")
    carried = initial_weights(chosen, found, {"network": parent_of(before, "osie")}, 0)
    assert set(carried) == set(found.parts["saliency"])


@pytest.mark.parametrize("turn", [1, -1])
def test_the_run_of_a_part_has_the_last_word_in_either_order(turn):
    chosen = small("salclassnet_resnet")
    found = build(chosen.network, chosen.arguments, SIDE, CLASSES)
    parents = {"network": parent_of(chosen, "joined"), "saliency": parent_of(small(DETECTS), "detector")}
    initial_weights(chosen, found, dict(list(parents.items())[::turn]), 0)
    layer = "block1_conv1_saliency"
    kernel = parents["saliency"].network.model.get_layer(layer).get_weights()[0]
    np.testing.assert_array_equal(found.model.get_layer(layer).get_weights()[0], kernel)


@pytest.mark.parametrize("swapped", [("network", "network"), ("saliency", "saliency"), ("saliency", "network")])
def test_parents_in_the_wrong_places_are_named(swapped, data, stages, tmp_path):
    parents = dict(zip(("network", "saliency"), (stages[part] for part in swapped), strict=True))
    says = r"(rgbs is a run of resnet_rgbs, where salclassnet_resnet takes one of salclassnet_detector: no layer)|"
    says += r"(detector is a run of salclassnet_detector and lacks .* starts from a run of resnet_rgbs)"
    with pytest.raises(UserError, match=says):
        train(small("salclassnet_resnet"), data, tmp_path / "run", parents=parents)
    assert not (tmp_path / "run").exists()


def test_negative_weight_of_a_loss_is_refused():
    with pytest.raises(UserError, match="logits=-1"):
        experiment("salclassnet").with_settings(['loss_weights={"logits": -1, "map": 1}'])


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("name", ["salclassnet_detector", "salclassnet_resnet"])
def test_a_set_in_which_nobody_looked_at_a_split_is_refused(name, split, stages, tmp_path):
    (tmp_path / "set").mkdir()
    write_small_set(tmp_path / "set", side=STORED, classes=CLASSES, train=(12,), val=(7,), blank=(split,))
    with pytest.raises(UserError, match=rf"zero for every picture of {split}.*--maps other"):
        train(small(name), tmp_path / "set", tmp_path / "run", parents=stages if name != DETECTS else {})
    assert not (tmp_path / "run").exists()


def test_the_detector_of_free_viewing_learns_from_a_fixation_set_and_begins_the_next_stage(tmp_path):
    write_fixation_set(tmp_path / "fixations", pictures=12, size=(64, 48))
    train(small("salclassnet_osie", height=48, width=64, epochs=1), tmp_path / "fixations", tmp_path / "osie")
    chosen = small("salclassnet_detector", epochs=1)
    found = build(chosen.network, chosen.arguments, SIDE, CLASSES)
    carried = initial_weights(chosen, found, load_parents({"network": tmp_path / "osie"}), 0)
    assert set(carried) == set(found.parts["saliency"])
    before = network_in(tmp_path / "osie").model.get_layer("score_saliency").get_weights()
    np.testing.assert_array_equal(before[0], found.model.get_layer("score_saliency").get_weights()[0])


def test_free_viewing_leaves_the_frozen_stages_of_a_file_of_weights_as_they_are(tmp_path):
    """The lower stages keep the file's weights, the others learn; frozen layers that no file filled are refused."""
    write_fixation_set(tmp_path / "fixations", pictures=12, size=(64, 48))
    source = keras.applications.MobileNet(weights=None)
    source.save_weights(file := tmp_path / "mobilenet.weights.h5")
    of_mobilenet = {"detector": "MobileNet", "width_multiplier": 1.0, "detector_level": "conv_pw_3_relu"}
    common = {**of_mobilenet, "height": 48, "width": 64, "epochs": 1}
    frozen = ("saliency:conv1", "saliency:conv_pw_1")
    chosen = small("salclassnet_osie", **common, weights=str(file), frozen=frozen)
    train(chosen, tmp_path / "fixations", tmp_path / "run")
    trained = network_in(tmp_path / "run").model
    for name, learns in (("conv1", False), ("conv_pw_1", False), ("conv_pw_3", True)):
        before, after = (one.get_layer(layer).get_weights()[0] for one, layer in
                         ((source, name), (trained, f"{name}_saliency")))  # fmt: skip
        assert np.array_equal(before, after) != learns
    for weights, layers in ((str(file), "saliency:score"), ("", "saliency:conv1")):
        random = small("salclassnet_osie", **common, weights=weights, frozen=(layers,))
        with pytest.raises(UserError, match=r"freezes \w+_saliency.*, which would keep random weights"):
            train(random, tmp_path / "fixations", tmp_path / "random")
        assert not (tmp_path / "random").exists()


def test_the_squared_error_is_taken_at_the_size_of_the_up_sampled_map():
    """§3.3: Y is the output after the last up-sampling, h and w its size; the target has maximum 1."""
    random = np.random.default_rng(0)
    made, target = random.random((1, 30, 30, 1)).astype("float32"), random.random((1, 30, 30, 1)).astype("float32")
    found = keras.ops.convert_to_numpy(squared(target * 7, made))
    assert found == pytest.approx(((made - target / target.max()) ** 2).sum() / (30 * 30), rel=1e-5)
