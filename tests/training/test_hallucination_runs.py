"""The two steps of hallucinated saliency as two runs: what stays frozen, what is carried over, what is refused."""

import csv
import hashlib
import json

import h5py
import keras
import numpy as np
import pytest
from keras.src.applications import resnet

from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.experiments import EXPERIMENTS
from saliency_keras.training import listeners
from tests.small_sets import write_small_set

# The branch has all its filters: a narrow one is not born as alive.
SMALL = ["--set", "side=128", "--set", "dense_units=8"]
SMALL += ["--batch", "8", "--epochs", "1"]


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """A large set of two classes, and a target set of three."""
    folders = {}
    for name, classes in {"large": 2, "target": 3}.items():
        folders[name] = tmp_path_factory.mktemp(name)
        write_small_set(folders[name], side=132, classes=classes, train=(9, 9), val=(12 * classes + 1,))
    return folders


def train(name, *words):
    from saliency_keras.train import main

    main([name, *SMALL, *map(str, words)])
    keras.backend.clear_session()


@pytest.fixture(scope="module")
def runs(sets, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    train("pretrain_alexnet", "--data", sets["large"], "--out", folder / "pretrained", "--set", "learning_rate=0.0001")
    train("hallucination_step1_alexnet", "--data", sets["large"], "--out", folder / "step1",
          "--init", folder / "pretrained", "--set", "learning_rate=1e-6")  # fmt: skip
    return folder


def summary(run):
    return json.loads((run / "summary.json").read_text())


def weights(run):
    model = keras.saving.load_model(run / "model.keras", compile=False)
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def same(first, second):
    return all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))


def test_step_1_trains_the_branch_and_moves_nothing_else_by_a_bit(runs):
    before, after = weights(runs / "pretrained"), weights(runs / "step1")
    assert set(after) - set(before) == {f"{name}_saliency" for name in ("conv1", "conv2", "conv3", "conv4", "score")}
    assert all(same(before[name], after[name]) for name in before)
    assert np.any(after["score_saliency"][1] != np.float32(0.1))


def test_step_1_with_a_map_of_zeros_is_the_network_that_it_started_from_bit_for_bit(runs):
    files = (runs / name / "model.keras" for name in ("pretrained", "step1"))
    base, step1 = (keras.saving.load_model(file, compile=False) for file in files)
    pictures = np.random.default_rng(0).integers(0, 256, (4, 128, 128, 3), np.uint8)
    plain, with_map = (model.predict_on_batch({"image": pictures}) for model in (base, step1))
    assert not np.array_equal(plain, with_map)
    step1.get_layer("score_saliency").set_weights([np.zeros((1, 1, 384, 1)), -np.ones(1)])  # ReLU makes it 0
    assert np.array_equal(plain, step1.predict_on_batch({"image": pictures}))


def test_what_is_frozen_stands_in_config_and_summary(runs):
    config, found = json.loads((runs / "step1" / "config.json").read_text()), summary(runs / "step1")
    base = {"conv1", "conv2", "conv3", "conv4", "conv5", "fc1", "fc2", "fc3"}
    assert set(config["frozen"]) == set(found["frozen"]) == base == set(config["carried"])
    branch = sum(count for name, count in found["parameters"]["layers"].items() if name.endswith("_saliency"))
    assert found["parameters"]["trainable"] == branch
    assert summary(runs / "pretrained")["frozen"] == []


def test_step_1_trains_on_the_val_split_and_holds_a_part_of_it_out(runs):
    assert summary(runs / "step1")["pictures"] == {"train": 20, "validation": 5, "tested": 5}
    with h5py.File(runs / "step1" / "predictions.h5") as file:
        assert len(file["id"]) == 5
        assert all("/val" in name for name in file["id"].asstr()[:])


def test_summary_describes_the_hallucinated_maps(runs):
    found = summary(runs / "step1")["hallucinated_maps"]
    assert found["pictures"] == 5
    assert found["mean"] > 0
    parts = [found[f"variance_of_{part}"] for part in ("strength", "place", "pattern")]
    assert min(parts) > 0
    assert sum(parts) == pytest.approx(found["variance"])
    assert (found["all_zero"], found["positive"]) == (0, 1)  # born alive: the bias starts from 0.1
    assert (runs / "step1" / "maps.png").read_bytes().startswith(b"\x89PNG")
    assert "hallucinated_maps" not in summary(runs / "pretrained")
    assert not (runs / "pretrained" / "maps.png").exists()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({}, ""),
        ({"all_zero": 0.6}, "dead: 60% of its maps"),
        ({"variance_of_strength": 1e-7, "variance_of_pattern": 1e-7}, "constant: from picture to picture"),
        ({"all_zero": 1.0, "mean": 0.0, "variance_of_strength": 0.0, "variance_of_pattern": 0.0}, "dead: 100%"),
    ],
)
def test_a_dead_and_a_constant_branch_are_told(capsys, changed, says):
    from saliency_keras.training.train import tell_if_dead

    lively = {"all_zero": 0.1, "mean": 1.0, "variance_of_strength": 0.01, "variance_of_pattern": 0.01}
    tell_if_dead({**lively, **changed})
    printed = capsys.readouterr().out
    assert says in printed
    assert bool(printed) == bool(says)


def test_approach_a_keeps_the_branch_to_the_bit_and_trains_the_rest_with_a_new_top(sets, runs, tmp_path):
    train("approach_a_alexnet", "--data", sets["target"], "--out", tmp_path / "a", "--init", runs / "step1")
    before, after = weights(runs / "step1"), weights(tmp_path / "a")
    assert all(same(before[name], after[name]) for name in before if name.endswith("_saliency"))
    assert not any(same(before[name], after[name]) for name in ("conv1", "conv5", "fc1"))
    assert after["fc3"][0].shape == (8, 3)


def test_what_is_carried_over_sees_pictures_less_the_means_it_was_trained_with(sets, runs, tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    other, _ = write_small_set(folder, side=132, classes=3, train=(9, 9), val=(37,), seed=1)
    train("approach_a_alexnet", "--data", folder, "--out", tmp_path / "a", "--init", runs / "step1")
    large = Manifest.load(sets["large"])
    assert other.mean_rgb != large.mean_rgb
    for run in (runs / "step1", tmp_path / "a"):
        model = keras.saving.load_model(run / "model.keras", compile=False)
        assert model.get_layer("image_scaled").offset == [-mean for mean in large.mean_rgb]


def test_approach_b_trains_everything_and_few_shot_tests_what_it_did_not_see(sets, runs, tmp_path):
    train("approach_b_alexnet", "--data", sets["target"], "--out", tmp_path / "b", "--init", runs / "step1",
          "--set", "few_shot=2")  # fmt: skip
    before, after = weights(runs / "step1"), weights(tmp_path / "b")
    assert not any(same(before[name], after[name]) for name in before if name != "fc3")
    found = summary(tmp_path / "b")  # of 18 and 37 pictures
    assert found["pictures"] == {"train": 6, "validation": 15, "test": 15, "unused": 19, "tested": 34}
    assert found["test"]["pictures"] == 15
    with h5py.File(tmp_path / "b" / "predictions.h5") as file:
        assert len(file["rank"]) == 34
        assert found["test"]["right"] + found["unused"]["right"] == (file["rank"][:] == 0).sum()
        tested = set(file["id"].asstr()[:])
    listed = tmp_path / "b" / "few_shot.csv"
    rows = list(csv.DictReader(listed.read_text().splitlines()))
    assert {f"{row['split']}/{row['id']}" for row in rows if row["part"] == "test"} < tested
    assert len(rows) == 55
    of_list = tmp_path / "seed{seed}.csv"
    (tmp_path / "seed0.csv").write_bytes(listed.read_bytes())
    train("approach_b_alexnet", "--data", sets["target"], "--out", tmp_path / "again", "--init", runs / "step1",
          "--set", f"few_shot_list={of_list}", "--set", "few_shot=2")  # fmt: skip
    assert all(same(values, weights(tmp_path / "again")[name]) for name, values in after.items())
    config = json.loads((tmp_path / "again" / "config.json").read_text())
    assert config["started_from"]["few_shot_list"] == hashlib.sha256(listed.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["approach_a_alexnet"], "train hallucination_step1_alexnet first"),
        (["approach_a_alexnet", "--init", "pretrained"], "lacks conv1_saliency.*hallucination_step1_alexnet"),
        (["approach_b_alexnet", "--init", "pretrained"], "lacks conv1_saliency.*hallucination_step1_alexnet"),
        (["approach_a_alexnet", "--init", "step1", "--set", "saliency_branch=map"], "'conv1_saliency' does not fit"),
        (["approach_a_alexnet", "--init", "step1", "--set", "skip=false"], "trained with skip=true: --set skip=true"),
        (["hallucination_step1_alexnet", "--init", "step1"], "'fc3' does not fit"),
        (["hallucination_step1_resnet", "--set", "weights="], "freezes conv1_conv .* random weights"),
        (["baseline_rgb_resnet", "--set", "weights=nowhere.h5"], "no weights file nowhere.h5"),
        (["approach_b_alexnet", "--init", "step1", "--set", "few_shot=9"], "'class1' has 8 pictures to train on"),
        (
            ["approach_b_alexnet", "--init", "step1", "--set", "few_shot=7", "--set", "few_shot_splits=official"],
            "'class0' has 6 pictures to train on, and 7",
        ),
        (["approach_b_alexnet", "--init", "step1", "--set", "few_shot_splits=all"], "one of pooled, official"),
        (["approach_b_alexnet", "--init", "step1", "--set", "few_shot=0"], "Received: 0"),
        (["approach_b_alexnet", "--init", "step1", "--set", "train_on=test"], "train_on is one of train, val"),
        (["rgb", "--set", "frozen=saliency"], "has no part 'saliency'"),
        (["rgb", "--set", "optimizer=lion"], "optimizer is one of sgd, adam"),
        (["rgb", "--set", "weights=imagenet"], "Keras has no ImageNet weights of AlexNet; give a file"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_writes_nothing(sets, runs, tmp_path, words, says):
    from saliency_keras.train import main

    known = {"pretrained": runs / "pretrained", "step1": runs / "step1"}
    words = [str(known.get(word, word)) for word in words]
    small = [word for pair in zip(SMALL[::2], SMALL[1::2], strict=True) for word in pair]
    if "resnet" in words[0]:
        small = ["--epochs", "1", "--set", "side=64", "--set", "backbone=ResNet50"]
    with pytest.raises(UserError, match=says):
        main([words[0], *small, *words[1:], "--data", str(sets["target"]), "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


def test_every_method_of_the_paper_is_there_on_both_base_networks():
    methods = ("baseline_rgb", "scratch_sal", "smic", "approach_a", "approach_b", "hallucination_step1")
    assert {f"{one}_{base}" for one in methods for base in ("alexnet", "resnet")} <= set(EXPERIMENTS)
    one = EXPERIMENTS["approach_a_alexnet"]
    assert (one.schedule.epochs, one.schedule.learning_rate) == (70, 1e-4)
    assert (one.pictures.side, one.arguments["weight_decay"]) == (227, 5e-3)


def shallow_resnet(**options):
    """ResNet-50 with 1, 2, 1 and 1 blocks in its stages in place of 3, 4, 6 and 3, and the same names and widths."""

    def stages(x):
        x = resnet.stack_residual_blocks_v1(x, 64, 1, stride1=1, name="conv2")
        for name, filters, blocks in (("conv3", 128, 2), ("conv4", 256, 1), ("conv5", 512, 1)):
            x = resnet.stack_residual_blocks_v1(x, filters, blocks, name=name)
        return x

    return resnet.ResNet(stages, preact=False, use_bias=True, **options)


@pytest.mark.slow
def test_resnet_starts_from_a_weights_file_and_step_1_keeps_it_to_the_bit_moving_statistics_too(
    sets, tmp_path, monkeypatch
):
    from saliency_keras.train import main

    # The networks are built, traced, saved and loaded again and again, which takes minutes with all sixteen blocks.
    monkeypatch.setattr(keras.applications, "ResNet50", shallow_resnet)
    file = tmp_path / "resnet.weights.h5"
    keras.utils.set_random_seed(0)
    source = keras.applications.ResNet50(weights=None)
    source.save_weights(file)

    def train_resnet(name, data, *words):
        small = ["--epochs", "1", "--batch", "9", "--set", "backbone=ResNet50", "--set", "side=64"]
        main([name, "--data", str(sets[data]), "--out", str(tmp_path / name), *small, *map(str, words)])
        keras.backend.clear_session()
        return weights(tmp_path / name)

    base = train_resnet("baseline_rgb_resnet", "large", "--set", f"weights={file}",
                        "--set", "learning_rate=1e-30", "--set", "weight_decay=0.0")  # fmt: skip
    for name in ("conv1_conv", "conv3_block2_2_conv", "conv5_block1_3_conv"):
        assert np.array_equal(base[name][0], source.get_layer(name).get_weights()[0])
    assert base["predictions"][0].shape == (2048, 2)
    with pytest.raises(UserError, match=r"'predictions' does not fit: .*fresh=top"):
        train_resnet("hallucination_step1_resnet", "large", "--set", f"weights={file}")
    step1 = train_resnet("hallucination_step1_resnet", "large", "--init", tmp_path / "baseline_rgb_resnet")
    assert all(same(base[name], step1[name]) for name in base)
    branch = [name for name in step1 if name.endswith("_saliency")]
    taught = train_resnet("approach_a_resnet", "target", "--init", tmp_path / "hallucination_step1_resnet")
    assert all(same(step1[name], taught[name]) for name in branch)
    assert not same(step1["conv5_block1_3_bn"], taught["conv5_block1_3_bn"])
    assert taught["predictions"][0].shape == (2048, 3)


def test_run_that_was_stopped_between_two_states_repeats_the_epochs_after_the_first(sets, tmp_path, monkeypatch):
    from saliency_keras.train import main

    words = ["pretrain_alexnet", *SMALL[:-1], "4", "--set", "width_multiplier=0.125"]
    words += ["--data", str(sets["large"]), "--out"]
    monkeypatch.setattr(listeners, "PAUSE", 1e9)
    write, written = listeners.save_state, []

    def stop_at_the_second(folder, model, history):
        if written:
            raise KeyboardInterrupt
        written.append(len(history))
        write(folder, model, history)

    monkeypatch.setattr(listeners, "save_state", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        main([*words, str(tmp_path / "stopped")])
    monkeypatch.setattr(listeners, "save_state", write)
    assert written == [1]
    assert len((tmp_path / "stopped" / "history.csv").read_text().splitlines()) == 2
    main([*words, str(tmp_path / "stopped"), "--resume"])
    main([*words, str(tmp_path / "whole")])
    for name in ("model.keras", "best.keras"):
        loaded = [keras.saving.load_model(tmp_path / run / name).get_weights() for run in ("stopped", "whole")]
        assert same(*loaded)
