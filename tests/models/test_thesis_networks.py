"""The thesis's networks: sizes of Table 3.2, counts worked out by hand, maps where the text says they enter."""

import keras
import numpy as np
import pytest

from saliency_keras.experiments import EXPERIMENTS
from saliency_keras.experiments.thesis import EXPERIMENTS as THESIS
from saliency_keras.models.count import multiply_adds, parameters
from saliency_keras.models.registry import build, shows_map

MEAN = (0.4, 0.4, 0.3, 0.2)


@pytest.fixture(autouse=True)
def forget_graphs():
    yield
    keras.backend.clear_session()


def network(name, side=128, classes=1000, **changes):
    experiment = EXPERIMENTS[name]
    mean = MEAN if experiment.pictures.subtract_mean else None
    return build(experiment.network, {**experiment.arguments, **changes}, side, classes, mean).model


def output_sizes(model, *names):
    return [tuple(model.get_layer(name).output.shape[1:]) for name in names]


def test_kernels_of_every_kind_are_counted_where_they_are_applied():
    x = inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, padding="same")(x)  # 4x4
    x = keras.layers.DepthwiseConv2D(3, padding="same")(x)
    x = keras.layers.SeparableConv2D(5, 3, padding="same", depth_multiplier=2)(x)
    x = keras.layers.Conv2DTranspose(6, 4, 2, padding="same")(x)  # 8x8
    x = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    network = keras.Model(inputs, x)
    kernels = [9 * 3 * 4, 9 * 4, 9 * 4 * 2 + 8 * 5, 16 * 5 * 6, 6 * 2]
    assert parameters(network)["convolution_kernels"] == sum(kernels[:-1])
    assert parameters(network)["kernels"] == sum(kernels)
    assert multiply_adds(network) == 16 * sum(kernels[:-1]) + kernels[-1]


@pytest.mark.parametrize("name", ["rgb", "fanin3"])
def test_kernels_alone_decay_and_moving_statistics_and_dropout_are_as_asked_for(name):
    """§3.3.1: L2 of 0.0005, Keras' meaning (no half), on kernels; batch normalisation's momentum of 0.9."""
    model = network(name, classes=3, dense_units=8, dropout=0.25)
    kernels = [layer.kernel.numpy() for layer in model.layers if hasattr(layer, "kernel")]
    assert len(kernels) == 8  # Fan-in3 has a second conv1 instead of conv2
    expected = sum(5e-4 * np.square(kernel, dtype=np.float64).sum() for kernel in kernels)
    assert float(sum(model.losses)) == pytest.approx(expected, rel=1e-4)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert norms
    assert {layer.momentum for layer in norms} == {0.9}
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.25, 0.25]
    assert not [layer for layer in network(name, classes=3, dense_units=8).layers if "dropout" in layer.name]


def test_baseline_has_the_output_sizes_of_table_3_2():
    sizes = output_sizes(network("rgb"), "conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5")
    spatial = [size[0] for size in sizes]
    assert spatial == [30, 14, 10, 4, 4, 4, 4, 1]
    assert [size[2] for size in sizes] == [96, 96, 256, 256, 384, 384, 256, 256]


def test_padded_conv2_gives_alexnets_classic_sizes_at_227_px():
    model = network("rgb", 227, conv2_padding="same")
    assert output_sizes(model, "conv2", "pool2", "pool5") == [(27, 27, 256), (13, 13, 256), (6, 6, 256)]


# FACTS of the thesis: kernels alone, with biases, Keras' total; worked out by hand from the layer table.
COUNTS = {
    ("rgb", 128): (25_667_616, 25_679_592, 0.164),
    ("rgb_mean", 128): (25_667_616, 25_679_592, 0.164),
    ("rgbs", 128): (25_679_232, 25_691_208, 0.175),
    ("rgb_1s2s", 128): (25_677_472, 25_689_456, 0.165),
    ("rgbs_pretrained", 128): (25_679_232, 25_691_208, 0.175),
    ("rgb_1s2s_pretrained", 128): (25_677_472, 25_689_456, 0.165),
    ("rgbs_1s2s_pretrained", 128): (25_689_088, 25_701_072, 0.175),
    ("rgbxs_pretrained", 128): (25_667_616, 25_679_592, 0.164),
    ("rgb_1xs2xs_pretrained", 128): (25_667_616, 25_679_592, 0.164),
    ("rgbxs_1xs2xs_pretrained", 128): (25_667_616, 25_679_592, 0.164),
    ("fanin1", 128): (26_293_632, 26_307_368, 0.236),
    ("fanin2", 128): (25_679_232, 25_691_688, 0.175),
    ("fanin3", 128): (61_212_032, 61_223_208, 0.599),
    ("noconv2", 128): (61_200_416, 61_211_112, 0.589),
    ("rgb", 227): (50_833_440, 50_845_416, None),
    ("rgbs", 227): (50_845_056, 50_857_032, None),
    ("fanin1", 227): (51_459_456, 51_473_192, None),
    ("fanin3", 227): (200_672_640, 200_683_816, None),
}


@pytest.mark.parametrize(("name", "side"), COUNTS)
def test_parameters_agree_with_the_count_by_hand(name, side):
    model = network(name, side)
    kernels, total, giga_multiply_adds = COUNTS[name, side]
    counted = parameters(model)
    assert (counted["kernels"], counted["total"]) == (kernels, total)
    assert sum(counted["layers"].values()) == total
    if giga_multiply_adds:
        assert multiply_adds(model) / 1e9 == pytest.approx(giga_multiply_adds, abs=5e-4)


def test_fan_in_branches_add_the_kernels_that_the_thesis_prints():
    fanin1, fanin3 = network("fanin1"), network("fanin3")
    assert np.prod(fanin1.get_layer("conv1_saliency").kernel.shape) == 11_616
    assert np.prod(fanin1.get_layer("conv2_saliency").kernel.shape) == 614_400
    assert np.prod(fanin3.get_layer("conv3").kernel.shape) == 331_776  # printed 332,776 in §3.6.3, a slip


def test_fan_in_3_is_small_only_if_it_keeps_pool2():
    assert parameters(network("fanin3", keep_pool2=True))["kernels"] == 27_657_600


def test_pooled_control_has_alexnets_dense_layers():
    model = network("noconv2_pooled")
    assert output_sizes(model, "conv5", "pool5") == [(14, 14, 256), (1, 1, 256)]
    assert model.get_layer("fc1").kernel.shape == network("rgb").get_layer("fc1").kernel.shape


@pytest.mark.parametrize("experiment", THESIS, ids=lambda one: one.name)
def test_network_has_an_input_for_the_map_only_if_it_uses_it(experiment):
    mean = MEAN if experiment.pictures.subtract_mean else None
    model = build(experiment.network, experiment.arguments, 128, 7, mean).model
    names = {tensor.name for tensor in model.inputs}
    assert names == ({"image", "saliency"} if shows_map(experiment.network, experiment.arguments) else {"image"})
    assert model.output.shape == (None, 7)


@pytest.mark.parametrize("name", ["rgbs", "rgb_1s2s", "rgb_1xs2xs_pretrained", "fanin1", "fanin2", "fanin3"])
def test_map_changes_what_the_network_says(name):
    keras.utils.set_random_seed(0)
    model = network(name, classes=5)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 4), np.uint8)
    inputs = {"image": pixels[..., :3], "saliency": pixels[..., 3:]}
    said, otherwise = (np.asarray(model(one)) for one in (inputs, {**inputs, "saliency": 255 - inputs["saliency"]}))
    assert np.abs(said - otherwise).max() > 1e-3 * np.abs(said).max()


def test_maps_meet_the_output_of_the_relu_before_batch_normalisation_at_30_and_10_px():
    model = network("rgb_1s2s")
    assert output_sizes(model, "saliency1", "saliency2") == [(30, 30, 97), (10, 10, 257)]
    order = [layer.name for layer in model.layers]
    for number in "12":
        stages = [order.index(name + number) for name in ("conv", "relu", "saliency", "bn", "pool")]
        assert stages == sorted(stages)


def test_concatenated_map_is_the_last_channel_and_in_0_to_1():
    model = network("rgbs_pretrained", classes=5)
    joined = keras.Model(model.input, model.get_layer("saliency0").output)
    pixels = np.random.default_rng(1).integers(0, 256, (1, 128, 128, 4), np.uint8)
    out = np.asarray(joined({"image": pixels[..., :3], "saliency": pixels[..., 3:]}))
    np.testing.assert_allclose(out, pixels / 255, atol=1e-6)


def test_mean_is_subtracted_from_each_channel_and_from_the_map():
    model = network("rgbs", classes=5)
    joined = keras.Model(model.input, model.get_layer("saliency0").output)
    pixels = np.full((1, 128, 128, 4), 255, np.uint8)
    out = np.asarray(joined({"image": pixels[..., :3], "saliency": pixels[..., 3:]}))
    np.testing.assert_allclose(out[0, 0, 0], 1 - np.array(MEAN), atol=1e-6)


def test_fan_in_multiplies_the_branches_feature_by_feature():
    model = network("fanin3", classes=5)
    branches = keras.Model(model.input, [model.get_layer(name).output for name in ("pool1", "pool1_saliency", "fanin")])
    pixels = np.random.default_rng(2).integers(0, 256, (1, 128, 128, 4), np.uint8)
    rgb, where, product = branches({"image": pixels[..., :3], "saliency": pixels[..., 3:]})
    np.testing.assert_allclose(np.asarray(rgb) * np.asarray(where), product, rtol=1e-5)


def test_saved_network_loads_after_a_bare_import_of_keras(tmp_path):
    import subprocess
    import sys

    model = network("rgb_1s2s", classes=4)
    model.save(tmp_path / "model.keras")
    code = "import sys, keras; print(keras.saving.load_model(sys.argv[1], safe_mode=True).count_params())"
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model.keras"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.stdout.strip() == str(model.count_params()), done.stderr


def test_a_narrower_network_has_a_share_of_every_convolution_s_filters():
    filters = [network("rgb_quarter", classes=10).get_layer(f"conv{number}").filters for number in range(1, 6)]
    assert filters == [24, 64, 96, 96, 64]
    assert network("rgb_half", classes=10).get_layer("conv2").kernel.shape == (5, 5, 48, 128)
