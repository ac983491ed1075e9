"""Guided networks: losses and gradients against numpy, what is guided where, and branches that meet at any stage."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.models.guidance import guided, taught
from saliency_keras.models.losses import GUIDING
from saliency_keras.models.receptive_fields import laid_out, receptive_centres, seen_at
from saliency_keras.models.registry import build
from tests.models import guidance_by_hand

SMALL = {"width_multiplier": 0.05, "dense_units": 8}


@pytest.mark.parametrize(("method", "loss"), guidance_by_hand.CASES)
def test_a_step_follows_the_gradient_of_both_losses_written_out_in_numpy(method, loss):
    guidance_by_hand.check_against_numpy(method, loss)


@pytest.mark.backend
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_losses_gradients_and_statistics_are_the_same_on_each_backend(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    subprocess.run(
        [sys.executable, "-m", "tests.models.guidance_by_hand", backend],
        cwd=Path(__file__).parents[2], env={**os.environ, "KERAS_BACKEND": backend}, check=True,
    )  # fmt: skip


def test_losses_of_guidance_are_those_of_their_definitions():
    random = np.random.default_rng(0)
    maps = random.integers(0, 256, (3, 4, 5, 1)).astype("float32")
    outputs = random.random((3, 4, 5, 1)).astype("float32")
    t = maps / maps.max(axis=(1, 2, 3), keepdims=True)
    low, high = (function(outputs, axis=(1, 2, 3), keepdims=True) for function in (np.min, np.max))
    norms = [np.sqrt((one**2).sum(axis=(1, 2, 3), keepdims=True)) for one in (outputs, maps)]
    expected = {
        "spanned": (((outputs - low) / (high - low) - t) ** 2).mean(axis=(1, 2, 3)),
        "outside": ((1 - t) * outputs).sum(axis=(1, 2, 3)) / outputs.sum(axis=(1, 2, 3)),
        "right_reasons": ((1 - t) * outputs).mean(axis=(1, 2, 3)),
        "transfer": ((outputs / norms[0] - maps / norms[1]) ** 2).sum(axis=(1, 2, 3)),
    }
    for name, values in expected.items():
        found = keras.ops.convert_to_numpy(GUIDING[name](maps, outputs))
        np.testing.assert_allclose(found, values, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("name", ["spanned", "outside", "right_reasons", "transfer"])
def test_a_map_or_an_output_that_is_the_same_everywhere_has_a_finite_loss(name):
    flat, varied = np.ones((1, 3, 3, 1), "float32"), np.arange(9, dtype="float32").reshape(1, 3, 3, 1)
    for maps, outputs in ((255 * flat, varied), (varied, flat), (varied, 0 * flat), (255 * flat, 0 * flat)):
        assert np.isfinite(keras.ops.convert_to_numpy(GUIDING[name](maps, outputs))).all()
    # Where the map says nothing about the place, no gradient lies outside of it.
    if name in ("outside", "right_reasons"):
        assert float(GUIDING[name](255 * flat, varied)[0]) == 0


def test_a_map_seen_at_positions_is_the_map_there_and_a_spot_is_seen_where_it_is():
    centres = receptive_centres(build("alexnet", SMALL, 128, 3).model, "relu5")
    np.testing.assert_allclose(centres[0], [33, 49, 65, 81])
    ramp = np.broadcast_to(np.arange(128.0), (1, 128, 128))
    np.testing.assert_allclose(seen_at(ramp, centres)[0], np.tile([33, 49, 65, 81], (4, 1)), rtol=1e-5)
    np.testing.assert_allclose(seen_at(np.full((1, 128, 128), 7.0), centres), 7, rtol=1e-6)
    spot = np.zeros((1, 128, 128))
    spot[0, 64:67, 32:35] = 255
    assert np.unravel_index(seen_at(spot, centres)[0].argmax(), (4, 4)) == (2, 0)
    back = laid_out(seen_at(spot, centres), centres, (128, 128))[0]
    assert np.unravel_index(back.argmax(), back.shape) == (65, 33)


def test_each_method_says_what_it_cannot_guide():
    plain, branched = (
        build("classifier", SMALL, 100, 3),
        build("classifier", {**SMALL, "attention_branch": True}, 100, 3),
    )
    with pytest.raises(ValueError, match="no attention branch to guide"):
        guided(plain, "branch")
    with pytest.raises(ValueError, match=r"conv9 is no layer of it\. There are image_scaled, conv1"):
        guided(plain, "cam", ("conv9",))
    with pytest.raises(ValueError, match="fc1 has no positions"):
        guided(plain, "activation", ("relu2", "fc1"))
    with pytest.raises(ValueError, match=r"one stage\. Received: relu1, relu2"):
        guided(plain, "cam", ("relu1", "relu2"))
    with pytest.raises(ValueError, match="gradient has no stage to choose"):
        guided(plain, "gradient", ("relu1",))
    with pytest.raises(ValueError, match="passes the layer attention_saliency by"):
        guided(branched, "cam", ("attention_saliency",))


def test_a_network_of_keras_is_not_said_to_be_narrow():
    for network in "classifier", "classifier_attention", "max_pooled":
        with pytest.raises(UserError, match=r"MobileNet is as wide as it is; --set width_multiplier=1 goes with it"):
            build(network, {"width_multiplier": 0.5, "backbone": "MobileNet"}, 64, 3)


def test_a_guided_network_can_be_copied_for_several_devices_and_several_stages_are_guided_at_their_positions():
    plain = build("classifier", SMALL, 100, 3)
    _, explained, _ = guided(plain, "cam")
    copy = keras.models.clone_model(explained)
    copy.set_weights(explained.get_weights())
    random = np.random.default_rng(0)
    inputs = {"image": random.integers(0, 256, (2, 100, 100, 3), np.uint8), "label": np.array([0, 2], "int32")}
    for name, values in explained.predict_on_batch(inputs).items():
        np.testing.assert_allclose(copy.predict_on_batch(inputs)[name], values, rtol=1e-5, atol=1e-7)
    assert not {id(one) for one in copy.weights} & {id(one) for one in explained.weights}
    _, model, centres = guided(plain, "activation", ("relu2", "relu5"))
    assert list(model.output) == ["logits", "map1", "map2"]
    assert [tuple(model.output[name].shape[1:3]) for name in centres] == [
        tuple(map(len, at)) for at in centres.values()
    ]


def test_a_teacher_s_activations_are_the_target_and_the_teacher_stays_as_it_is():
    keras.utils.set_random_seed(1)
    plain = build("classifier", SMALL, 100, 3)
    pixels = keras.Input((50, 50, 3), name="image")
    teacher = keras.Model(
        pixels, keras.layers.Conv2D(1, 5, name="last")(keras.layers.Conv2D(2, 5, name="first")(pixels))
    )
    _, model, _ = guided(plain, "activation", ("relu1",), teacher, ("first",))
    random = np.random.default_rng(0)
    pictures = np.repeat(np.repeat(random.integers(0, 256, (2, 50, 50, 3), np.uint8), 2, axis=1), 2, axis=2)
    found = model.predict_on_batch({"image": pictures})["map"]
    own = keras.Model(plain.model.input, plain.model.get_layer("relu1").output).predict_on_batch({"image": pictures})
    np.testing.assert_allclose(found[..., 0], (own**2).sum(axis=-1), rtol=1e-4, atol=1e-6)
    seen = keras.Model(pixels, teacher.get_layer("first").output).predict_on_batch(
        pictures[:, ::2, ::2].astype("float32")
    )
    activity = (seen**2).sum(axis=-1, keepdims=True)
    small = np.asarray(keras.ops.image.resize(activity, own.shape[1:3], antialias=True))
    np.testing.assert_allclose(found[..., 1:], small, rtol=1e-3)
    expected = GUIDING["transfer"](small, found[..., :1])
    np.testing.assert_allclose(taught(np.zeros((2, 1)), found), expected, rtol=1e-3)
    before = teacher.get_weights()
    losses = {"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "map": taught}
    model.compile(keras.optimizers.SGD(0.1), losses)
    model.train_on_batch({"image": pictures}, {"logits": np.array([0, 1]), "map": np.zeros((2, 1, 1, 1))})
    assert all(np.array_equal(one, other) for one, other in zip(before, teacher.get_weights(), strict=True))
    for wrong, told in (
        (("cam", (), teacher), "teaches activations, not cam"),
        (("activation", ("relu1", "relu2"), teacher, ("first",)), "1 layers for 2 stages"),
        (("activation", ("relu1",), build("fanin1", SMALL, 128, 3).model), "the teacher sees image, saliency"),
        (("activation", ("relu1",), teacher, ("conv9",)), "teacher_stages name layers with positions; conv9"),
    ):
        with pytest.raises(ValueError, match=told):
            guided(plain, *wrong)


def shapes(network, arguments):
    model = build(network, {**SMALL, **arguments}, 128, 3).model
    return sorted(tuple(one.shape) for one in model.weights)


@pytest.mark.parametrize(("network", "at"), [("fanin2", (1,)), ("fanin1", (2,))])
def test_branches_that_meet_once_early_are_the_fan_in_networks(network, at):
    merged = shapes("merged", {"at": at})
    assert merged == shapes(network, {})


def test_a_branch_that_is_added_leaves_the_network_as_it_was_and_then_learns():
    keras.utils.set_random_seed(0)
    plain = build("alexnet", SMALL, 100, 3).model
    added = build("merged", {**SMALL, "at": (2,), "merge": "gain", "branch": "fixed"}, 100, 3).model
    for layer in plain.layers:
        if layer.weights:
            added.get_layer(layer.name).set_weights(layer.get_weights())
    random = np.random.default_rng(0)
    inputs = {name: random.integers(0, 256, (2, 100, 100, c), np.uint8) for name, c in (("image", 3), ("saliency", 1))}
    expected = plain.predict_on_batch({"image": inputs["image"]})
    np.testing.assert_allclose(added.predict_on_batch(inputs), expected, rtol=1e-6)
    added.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    added.train_on_batch(inputs, np.array([0, 1]))
    assert np.abs(added.get_layer("gain2_saliency").get_weights()[0]).max() > 0


def convolved(x, kernel, bias, strides=1, padded=False):
    """A convolution and its ReLU: `(h, w, c)` to `(h', w', filters)`."""
    side, margin = len(kernel), len(kernel) // 2 if padded else 0
    x = np.pad(x, ((margin, margin), (margin, margin), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(0, 1))[::strides, ::strides]
    return np.maximum(np.einsum("yxcij,ijcf->yxf", windows, kernel) + bias, 0)


def maxima(x):
    return np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(0, 1))[::2, ::2].max(axis=(-2, -1))


def enlarged(x, size):
    """Bilinear: `(h, w, c)` to `(size, size, c)`."""
    for axis in (0, 1):
        before = x.shape[axis]
        places = (np.arange(size) + 0.5) * before / size - 0.5
        x = np.apply_along_axis(lambda one: np.interp(places, np.arange(before), one), axis, x)  # noqa: B023
    return x


def logits_of_merged(weights, x, s, at, merge, fixed):
    """Two branches that meet at some stages, by numpy.

    Args:
        weights: From a layer's name to its weights.
        x: What the first branch sees, `(side, side, channels)`.
        s: What the second one sees.
        at: The stages where they meet.
        merge: Function of both branches' features.
        fixed: Whether the second branch has two stages only.
    """

    def stage(x, number, branch=""):
        if number > 5:
            kernel, bias = weights[f"fc{number - 5}{branch}"]
            return np.maximum(x.reshape(-1) @ kernel + bias, 0)
        x = convolved(x, *weights[f"conv{number}{branch}"], 4 if number == 1 else 1, padded=number > 2)
        if number < 3:
            gamma, beta, mean, variance = weights[f"bn{number}{branch}"]
            x = (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta
        return maxima(x) if number in (1, 2, 5) else x

    if fixed:
        s = stage(stage(s, 1, "_saliency"), 2, "_saliency")
    for number in range(1, 8):
        x = stage(x, number)
        if not fixed and number <= max(at):
            s = stage(s, number, "_saliency")
        if number in at:
            other = convolved(enlarged(s, len(x)), *weights[f"fitted{number}_saliency"]) if fixed else s
            x = merge(x, other)
    kernel, bias = weights["fc3"]
    return x @ kernel + bias


@pytest.mark.parametrize(
    ("at", "arguments"),
    [
        ((3, 1), {"merge": "add"}),
        ((1, 6), {"merge": "multiply", "doubled": True}),
        ((1, 3), {"merge": "multiply", "branch": "fixed"}),
    ],
)
def test_branches_that_meet_twice_do_what_numpy_does_and_a_doubled_one_sees_the_picture(at, arguments):
    model = build("merged", {**SMALL, "at": at, **arguments}, 100, 3).model
    random = np.random.default_rng(0)
    for one in model.weights:
        vector = len(one.shape) == 1
        scale = 1 if vector else np.sqrt(2 / np.prod(one.shape[:-1]))
        one.assign(random.uniform(0.5, 1.5, one.shape) if vector else scale * random.normal(size=one.shape))
    inputs = {"image": random.integers(0, 256, (1, 100, 100, 3), np.uint8)}
    if not arguments.get("doubled"):
        inputs["saliency"] = random.integers(0, 256, (1, 100, 100, 1), np.uint8)
    assert set(model.input) == set(inputs)
    weights = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
    first, second = (inputs[name][0] / 255 for name in ("image", list(inputs)[-1]))
    merge = {"add": np.add, "multiply": np.multiply}[arguments["merge"]]
    expected = logits_of_merged(weights, first, second, at, merge, arguments.get("branch") == "fixed")
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(inputs))[0], expected, rtol=1e-4)


def test_every_stage_can_be_where_branches_meet_and_others_are_refused():
    for at, branch in (((1, 3, 5), "identical"), ((6,), "identical"), ((7,), "identical"), ((5, 1), "fixed")):
        model = build("merged", {**SMALL, "at": at, "branch": branch}, 100, 3).model
        assert {f"merged{stage}" for stage in at} <= {layer.name for layer in model.layers}
    for arguments in ({"at": (8,)}, {"at": ()}, {"at": (1.5,)}, {"at": (6,), "branch": "fixed"}, {"merge": "max"}):
        with pytest.raises(UserError, match="cannot be built at 100 px"):
            build("merged", {**SMALL, **arguments}, 100, 3)
