"""Weights carried over: old channels to the bit, new ones drawn, misfits refused whole."""

import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.experiments import EXPERIMENTS
from saliency_keras.experiments.experiment import WHOLE
from saliency_keras.models.network import network_of
from saliency_keras.models.registry import build
from saliency_keras.models.weights import carry_weights, draw_anew
from saliency_keras.training.initial_weights import Parent, initial_weights
from tests.runs_fixture import write_run


def network(name, classes=4, side=128, **changes):
    experiment = EXPERIMENTS[name]
    return build(experiment.network, {**experiment.arguments, "dense_units": 8, **changes}, side, classes)


@pytest.fixture(scope="module")
def baseline():
    found = network("rgb")
    rng = np.random.default_rng(0)
    for layer in found.model.layers:
        layer.set_weights([rng.normal(2, 1, weight.shape).astype("float32") for weight in layer.get_weights()])
    return found


def weights(network, layer):
    return {variable.name: variable.numpy() for variable in network.model.get_layer(layer).weights}


def test_input_channel_is_added_last_and_drawn_from_0_to_1(baseline):
    model = network("rgbs_pretrained")
    carry_weights(baseline, model)
    kernel = weights(model, "conv1")["kernel"]
    assert np.array_equal(kernel[:, :, :3], weights(baseline, "conv1")["kernel"])
    new = kernel[:, :, 3]
    assert new.shape == (11, 11, 96)
    assert 0 <= new.min() < 0.01
    assert 0.99 < new.max() < 1
    assert new.mean() == pytest.approx(0.5, abs=0.01)


def test_maps_at_both_convolutions_widen_bn1_conv2_bn2_and_conv3(baseline):
    model = network("rgb_1s2s_pretrained")
    carry_weights(baseline, model)
    for layer, old_channels in [("bn1", 96), ("bn2", 256)]:
        for name, vector in weights(model, layer).items():
            assert np.array_equal(vector[:old_channels], weights(baseline, layer)[name])
            assert 0 <= vector[old_channels] <= 1
    for layer, old_channels in [("conv2", 96), ("conv3", 256)]:
        kernel = weights(model, layer)["kernel"]
        assert np.array_equal(kernel[:, :, :old_channels], weights(baseline, layer)["kernel"])
        assert np.array_equal(weights(model, layer)["bias"], weights(baseline, layer)["bias"])


def test_multiplying_needs_no_new_weights(baseline):
    model = network("rgbxs_1xs2xs_pretrained")
    carry_weights(baseline, model)
    for layer in ("conv1", "bn1", "conv2", "bn2", "conv3", "conv4", "conv5", "fc1", "fc2", "fc3"):
        for name, value in weights(model, layer).items():
            assert np.array_equal(value, weights(baseline, layer)[name])


def test_zeros_leave_the_function_as_it_was(baseline):
    model = network("rgbs_pretrained")
    carry_weights(baseline, model, new_weights="zeros")
    pixels = np.random.default_rng(1).integers(0, 256, (2, 128, 128, 4), np.uint8)
    inputs = {"image": pixels[..., :3], "saliency": pixels[..., 3:]}
    expected = baseline.model({"image": inputs["image"]})
    np.testing.assert_allclose(model.model(inputs), expected, rtol=1e-3, atol=float(np.abs(expected).max()) * 1e-5)


def test_new_top_is_drawn_and_everything_below_is_copied(baseline):
    model = network("rgb", classes=7)
    carried = carry_weights(baseline, model, fresh=("top",))
    draw_anew(model, ("top",), 0)
    assert "fc3" not in carried
    assert np.array_equal(weights(model, "fc2")["kernel"], weights(baseline, "fc2")["kernel"])
    kernel = weights(model, "fc3")["kernel"]
    assert kernel.shape == (8, 7)
    assert 0 < np.abs(kernel).max() <= (6 / (8 + 7)) ** 0.5, "Glorot's limit"


def test_new_top_is_not_the_one_that_the_source_began_with_but_the_same_in_all_networks(baseline):
    tops = []
    for name in "rgb", "fanin2":
        keras.utils.set_random_seed(0)
        model = network(name)
        began = weights(model, "fc3")["kernel"]
        carry_weights(baseline, model, fresh=("top",), seed=0)
        draw_anew(model, ("top",), 0)
        tops.append(weights(model, "fc3")["kernel"])
        assert not np.isin(tops[-1], began).any()
    assert np.array_equal(*tops)
    carry_weights(baseline, model, fresh=("top",), seed=1)
    draw_anew(model, ("top",), 1)
    assert not np.isin(weights(model, "fc3")["kernel"], tops[0]).any()


def test_new_dense_layers_carry_the_convolutions_to_another_side(baseline):
    model = network("rgb", side=227)
    with pytest.raises(UserError, match=r"'fc1' does not fit.*fresh=dense,top"):
        carry_weights(baseline, model)
    carried = carry_weights(baseline, model, fresh=("dense", "top"))
    draw_anew(model, ("dense", "top"), 0)
    assert {"conv1", "conv5"} <= set(carried)
    assert np.array_equal(weights(model, "conv5")["kernel"], weights(baseline, "conv5")["kernel"])
    for name in "fc1", "fc2", "fc3":
        assert name not in carried
        assert not np.isin(weights(model, name)["kernel"], weights(baseline, name)["kernel"]).any()


def test_draws_follow_the_seed(baseline):
    kernels = []
    for seed in (0, 0, 1):
        model = network("rgbs_pretrained")
        carry_weights(baseline, model, seed=seed)
        kernels.append(weights(model, "conv1")["kernel"])
    assert np.array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])


def test_other_number_of_classes_is_refused_and_nothing_is_changed(baseline):
    model = network("rgb", classes=7)
    before = [value.copy() for value in model.model.get_weights()]
    with pytest.raises(UserError, match=r"'fc3' does not fit.*fresh=top"):
        carry_weights(baseline, model)
    assert all(np.array_equal(old, new) for old, new in zip(before, model.model.get_weights(), strict=True))


@pytest.mark.parametrize("subtracts", [False, True])
def test_a_network_goes_on_subtracting_what_it_was_trained_with(tmp_path, subtracts):
    experiment = EXPERIMENTS["rgb_mean" if subtracts else "rgb"]
    arguments = {**experiment.arguments, "dense_units": 8}
    means = (None, (0.4, 0.5, 0.6, 0.5))
    start, model = (build("alexnet", arguments, 128, 4, one) for one in (means if subtracts else means[::-1]))
    parents = {WHOLE: Parent(write_run(tmp_path / "run", "rgb"), start, {"name": "rgb"})}
    sentence = f"--set subtract_mean={'false' if subtracts else 'true'}"
    with pytest.raises(UserError, match=sentence):
        initial_weights(experiment, model, parents, 0)
    assert "fc3" in initial_weights(experiment.replace(subtract_mean=not subtracts), start, parents, 0)


def test_without_a_network_the_way_to_imagenet_s_weights_is_told(monkeypatch):
    def no_network(*arguments, **options):
        raise Exception("URL fetch failure on https://…: None -- no address")

    monkeypatch.setattr("keras.applications.ResNet152", no_network)
    with pytest.raises(UserError, match=r"could not fetch .* --set weights=FILE"):
        initial_weights(EXPERIMENTS["baseline_rgb_resnet"], None, {}, 0)


def test_network_without_a_layer_in_common_is_refused(baseline):
    other = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="elsewhere")])
    with pytest.raises(UserError, match="no layer"):
        carry_weights(baseline, network_of(other))
