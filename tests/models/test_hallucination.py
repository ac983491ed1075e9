"""Modulated networks: sizes of §III-B, Eq. 2 forward, Eq. 3 backward, and a base network that is left as it was."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.models.count import parameters
from saliency_keras.models.hallucination import RESNETS, modulate
from saliency_keras.models.registry import build, shows_map

ALEXNET = {"batch_norm": False, "conv2_padding": "same", "weight_decay": 0.005, "saliency_branch": "rgb"}
MEAN = (0.4, 0.4, 0.3, 0.2)


@pytest.fixture(autouse=True)
def forget_graphs():
    yield
    keras.backend.clear_session()


def alexnet(side=227, classes=10, mean=MEAN, **changes):
    small = {"dense_units": 8} if side < 227 else {}
    return build("modulated_alexnet", {**ALEXNET, **small, **changes}, side, classes, mean).model


def resnet(backbone="ResNet50", side=64, classes=5, **changes):
    arguments = {**ALEXNET, "backbone": backbone, **changes}
    return build("modulated_resnet", arguments, side, classes).model


def output_sizes(model, *names):
    return [tuple(model.get_layer(name).output.shape[1:]) for name in names]


def pictures(side, count=2, channels=3, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), np.uint8)


def test_branch_turns_13x13x384_into_a_13x13_map_that_is_enlarged_to_27x27():
    model = alexnet(classes=1000)
    names = ("relu4_saliency", "saliency_map", "saliency_map_enlarged", "relu2", "modulation", "pool2", "pool5")
    assert output_sizes(model, *names) == [
        (13, 13, 384), (13, 13, 1), (27, 27, 1), (27, 27, 256), (27, 27, 256), (13, 13, 256), (6, 6, 256),
    ]  # fmt: skip


def test_parameters_agree_with_the_count_by_hand():
    counted = parameters(alexnet(classes=1000))["layers"]
    branch = sum(count for name, count in counted.items() if name.endswith("_saliency"))
    assert branch == 2_862_593
    assert sum(counted.values()) == 65_240_937
    assert sum(parameters(alexnet(classes=1000, saliency_branch=""))["layers"].values()) == 62_378_344


@pytest.mark.parametrize("skip", [True, False])
def test_modulation_multiplies_every_feature_by_the_map_as_in_equations_1_and_2(skip):
    model = alexnet(side=128, skip=skip)
    parts = keras.Model(model.input, [model.get_layer(name).output for name in ("relu2", "saliency_map", "modulation")])
    features, small, modulated = map(np.asarray, parts({"image": pictures(128)}))
    enlarged = np.stack([_bilinear(one[..., 0], 14) for one in small])[..., None]
    assert small.max() > 0
    np.testing.assert_allclose(modulated, features * (enlarged + skip), rtol=1e-4, atol=1e-5)


def _bilinear(values, side):
    """Half-pixel bilinear interpolation, written from its definition."""
    centres = (np.arange(side) + 0.5) * len(values) / side - 0.5
    low = np.clip(np.floor(centres).astype(int), 0, len(values) - 1)
    high = np.clip(low + 1, 0, len(values) - 1)
    part = np.clip(centres - low, 0, 1)
    rows = values[low] * (1 - part)[:, None] + values[high] * part[:, None]
    return rows[:, low] * (1 - part) + rows[:, high] * part


def test_gradient_of_the_features_is_that_of_the_product_times_s_plus_1_as_in_equation_3():
    import tensorflow as tf

    rng = np.random.default_rng(0)
    features, saliency = keras.Input((6, 6, 4)), keras.Input((6, 6, 1))
    model = keras.Model([features, saliency], modulate(features, saliency))
    values = tf.constant(rng.normal(size=(2, 6, 6, 4)), tf.float32)
    where = tf.constant(rng.uniform(0, 3, (2, 6, 6, 1)), tf.float32)
    weights = tf.constant(rng.normal(size=(2, 6, 6, 4)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch([values, where])
        product = model([values, where])
        loss = tf.reduce_sum(weights * product**2)
    of_features, of_map, of_product = tape.gradient(loss, [values, where, product])
    np.testing.assert_allclose(of_features, of_product * (where + 1), rtol=1e-5)
    np.testing.assert_allclose(of_map, np.sum(of_product * values, axis=-1, keepdims=True), rtol=1e-4, atol=1e-4)
    step = 1e-3 * rng.normal(size=values.shape).astype("float32")  # the same numerically
    up, down = (float(tf.reduce_sum(weights * model([values + sign * step, where]) ** 2)) for sign in (1, -1))
    assert (up - down) / 2 == pytest.approx(float(np.sum(of_features * step)), rel=2e-2)


def test_map_of_zeros_leaves_the_baseline_to_the_bit():
    from saliency_keras.models.network import network_of
    from saliency_keras.models.weights import carry_weights

    baseline, model = alexnet(side=128, saliency_branch=""), alexnet(side=128)
    carry_weights(network_of(baseline), network_of(model))
    before = np.asarray(model({"image": pictures(128)}))
    for variable in model.get_layer("score_saliency").weights:
        variable.assign(np.zeros(variable.shape))
    expected = np.asarray(baseline({"image": pictures(128)}))
    assert np.array_equal(np.asarray(model({"image": pictures(128)})), expected)
    assert not np.array_equal(before, expected)


def test_smic_sees_the_given_map_in_place_of_the_picture():
    model = alexnet(side=128, saliency_branch="map")
    assert {one.name for one in model.inputs} == {"image", "saliency"}
    assert shows_map("modulated_alexnet", {"saliency_branch": "map"})
    assert not shows_map("modulated_alexnet", {"saliency_branch": "rgb"})
    assert model.get_layer("conv1_saliency").kernel.shape == (11, 11, 1, 96)
    inputs = {"image": pictures(128), "saliency": pictures(128, channels=1)}
    other = {**inputs, "saliency": 255 - inputs["saliency"]}
    assert np.abs(np.asarray(model(inputs)) - np.asarray(model(other))).max() > 1e-6


@pytest.mark.parametrize("seed", [3, 10])
def test_branch_is_alive_at_birth_where_a_bias_of_zero_would_leave_maps_of_zeros(seed):
    smooth = np.kron(np.random.default_rng(0).integers(0, 256, (4, 4, 4, 3)), np.ones((1, 32, 32, 1))).astype("uint8")
    dead = {}
    for bias in (0.1, 0.0):
        keras.utils.set_random_seed(seed)
        model = alexnet(side=128, saliency_bias=bias)
        maps = keras.Model(model.input, model.get_layer("saliency_map").output)({"image": smooth})
        dead[bias] = float((np.asarray(maps) == 0).mean())
    assert dead[0.1] == 0
    assert dead[0.0] > 0.5


@pytest.mark.parametrize("stage", ["conv1", "conv3", "conv5"])
def test_stage_of_fusion_is_an_argument(stage):
    model = alexnet(side=128, fuse_at=stage)
    assert model.get_layer("modulation").output.shape == model.get_layer(f"relu{stage[-1]}").output.shape


@pytest.mark.parametrize(
    ("network", "changes", "says"),
    [
        (alexnet, {"fuse_at": "fc1"}, "conv1, .*Received: fc1"),
        (alexnet, {"saliency_branch": "depth"}, "rgb, map or empty"),
        (alexnet, {"saliency_activation": "tanh"}, "relu, softplus"),
        (resnet, {"backbone": "VGG16"}, "ResNet50, .*Received: VGG16"),
        (resnet, {"fuse_at": "conv6"}, "Received: conv6"),
        (resnet, {"fuse_at": "conv3_block9"}, "Received: conv3_block9"),
        (resnet, {"fuse_at": ".*"}, "Received"),
    ],
)
def test_argument_without_meaning_is_refused_with_those_that_have(network, changes, says):
    with pytest.raises(UserError, match=says):
        network(side=128, **changes)


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["ResNet50", "ResNet50V2"])
def test_unmodulated_resnet_is_that_of_keras_applications(backbone):
    from saliency_keras.models.network import network_of
    from saliency_keras.models.weights import carry_weights

    theirs = getattr(keras.applications, backbone)(
        weights=None, input_shape=(64, 64, 3), classes=5, classifier_activation=None
    )
    ours = resnet(backbone, saliency_branch="")
    names = carry_weights(network_of(theirs), network_of(ours))
    assert set(names) == {layer.name for layer in theirs.layers if layer.weights}
    module = keras.applications.resnet_v2 if backbone.endswith("V2") else keras.applications.resnet
    expected = theirs(module.preprocess_input(pictures(64).astype("float32")))
    np.testing.assert_allclose(ours({"image": pictures(64)}), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fuse_at", "size"), [("conv4", (14, 14, 1024)), ("conv5", (7, 7, 2048)), ("conv3_block1", (28, 28, 512))]
)
def test_resnet_is_modulated_after_a_stage_or_a_block_by_a_map_of_its_size(fuse_at, size):
    model = resnet(side=224, fuse_at=fuse_at)
    assert output_sizes(model, "modulation", "saliency_map") == [size, (12, 12, 1)]
    assert model.get_layer("saliency_map_enlarged").output.shape[1:3] == size[:2]


def test_resnet_152_with_its_branch_can_be_built():
    assert "ResNet152" in RESNETS
    model = resnet("ResNet152", side=227)
    assert output_sizes(model, "modulation", "saliency_map") == [(15, 15, 1024), (13, 13, 1)]


def test_saved_network_loads_after_a_bare_import_of_keras(tmp_path):
    model = alexnet(side=128)
    model.save(tmp_path / "model.keras")
    code = "import sys, keras; print(keras.saving.load_model(sys.argv[1], safe_mode=True).count_params())"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.keras"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.strip() == str(model.count_params()), done.stderr
