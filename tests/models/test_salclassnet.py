"""SalClassNet's networks: sizes and counts worked out by hand, the fourth channel, and a gradient in every part."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from saliency_keras.console import UserError
from saliency_keras.experiments import experiment
from saliency_keras.models.network import MAP_LAYER
from saliency_keras.models.registry import build, build_saliency
from saliency_keras.models.salclassnet import pretrained_trunk
from saliency_keras.models.weights import carry_weights
from saliency_keras.training.loop import build_metrics
from saliency_keras.training.tasks.joint import map_loss

TINY = {"width_multiplier": 0.05, "dense_units": 8, "classifier_size": 0}


def network(name="salclassnet", side=75, classes=3, **arguments):
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    return build(name, arguments, side, classes)


def pictures(side, count=2, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


def said_by(model, inputs):
    """What a model says of one batch, layer by layer: compiling a deep network would take longer."""
    return ops.convert_to_numpy(model(inputs, training=False))


def kernels(convolutions, size=3):
    """Weights of convolutions with biases, from their numbers of channels, in order."""
    return sum(size * size * before * after + after for before, after in convolutions)


VGG16 = [(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), *[(256, 256)] * 2, (256, 512), *[(512, 512)] * 5]
VGG19 = [
    *[(3, 64), (64, 64), (64, 128), (128, 128), (128, 256), *[(256, 256)] * 3],
    *[(256, 512), *[(512, 512)] * 7],
]


def test_the_detector_is_vgg_s_thirteen_convolutions_and_rounds_its_five_poolings_up():
    found = network("salclassnet_detector", side=299, detector="VGG16")
    assert found.model.count_params() == kernels(VGG16) + 512 + 1 == 14_715_201
    assert found.model.get_layer("score_saliency").output.shape == (None, 10, 10, 1)
    assert found.model.output["map"].shape == (None, 299, 299, 1)
    assert len(found.parts["saliency"]) == 14
    sizes = [found.model.get_layer(f"block{block}_pool_saliency").output.shape[1:] for block in range(1, 6)]
    assert sizes == [(150, 150, 64), (75, 75, 128), (38, 38, 256), (19, 19, 512), (10, 10, 512)]


def test_stock_poolings_give_nine_positions_instead_of_ten():
    narrow = {"detector": "VGG16", "width_multiplier": 0.05}
    found = network("salclassnet_detector", side=299, pool_padding="valid", **narrow)
    assert found.model.get_layer("score_saliency").output.shape == (None, 9, 9, 1)


def inception_v3():
    """Branches of Inception-v3 (Szegedy et al. 2016): input channels, and `(filters, height, width)` in a row."""
    yield 3, [(32, 3, 3), (32, 3, 3), (64, 3, 3), (80, 1, 1), (192, 3, 3)]
    for before, pooled in ((192, 32), (256, 64), (288, 64)):
        yield before, [(64, 1, 1)]
        yield before, [(48, 1, 1), (64, 5, 5)]
        yield before, [(64, 1, 1), (96, 3, 3), (96, 3, 3)]
        yield before, [(pooled, 1, 1)]
    yield 288, [(384, 3, 3)]
    yield 288, [(64, 1, 1), (96, 3, 3), (96, 3, 3)]
    for inner in (128, 160, 160, 192):
        yield 768, [(192, 1, 1)]
        yield 768, [(inner, 1, 1), (inner, 1, 7), (192, 7, 1)]
        yield 768, [(inner, 1, 1), (inner, 7, 1), (inner, 1, 7), (inner, 7, 1), (192, 1, 7)]
        yield 768, [(192, 1, 1)]
    yield 768, [(192, 1, 1), (320, 3, 3)]
    yield 768, [(192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3)]
    for before in (1280, 2048):
        yield before, [(320, 1, 1)]
        yield before, [(384, 1, 1), (384, 1, 3)]
        yield 384, [(384, 3, 1)]  # beside 1x3, of the same
        yield before, [(448, 1, 1), (384, 3, 3), (384, 1, 3)]
        yield 384, [(384, 3, 1)]
        yield before, [(192, 1, 1)]


def test_inception_v3_has_the_94_convolutions_of_its_blocks():
    """None has biases; behind each is a batch normalisation of three vectors, without a scale."""
    convolutions, weights = 0, 0
    for before, branch in inception_v3():
        for filters, height, width in branch:
            weights += before * height * width * filters + 3 * filters
            before, convolutions = filters, convolutions + 1
    assert convolutions == 94
    assert weights + (2048 + 1) * 120 == 22_048_664


@pytest.mark.slow
def test_the_papers_joint_network_has_the_parameters_of_its_parts():
    """Inception-v3 of 120 classes has 22,048,664; the fourth channel adds 3x3x32 kernels and four vectors of one."""
    found = network(side=299, classes=120, backbone="InceptionV3", detector="VGG16")
    counts = {part: sum(one.count_params() for one in found.layers_of([part])) for part in found.parts}
    assert counts["trunk"] + counts["top"] == 22_048_664
    assert counts["new_channel"] == 288 + 4
    assert counts["saliency"] == 14_715_201
    assert found.model.get_layer("first_new_channel").kernel.shape == (3, 3, 1, 32)
    assert found.model.output["logits"].shape == (None, 120)
    stem = found.model.get_layer("four_channels").output.shape
    assert stem == (None, 149, 149, 32)


@pytest.mark.slow
def test_vgg_19_keeps_its_dense_layers_and_sees_224_px():
    found = network(side=299, classes=120, backbone="VGG19", fourth_channel="map", classifier_size=224)
    dense = (7 * 7 * 512 + 1) * 4096 + (4096 + 1) * 4096 + (4096 + 1) * 120
    assert found.model.count_params() == kernels(VGG19) + dense + 576 + 4
    assert kernels(VGG19) == 20_024_384
    assert {part: len(names) for part, names in found.parts.items()} == {
        "new_channel": 2,
        "trunk": 16,
        "dense": 2,
        "top": 1,
    }


def bottlenecks(before, width, blocks):
    """Weights of a stage of ResNet: 1x1, 3x3 and 1x1 convolutions and, in the first block, a 1x1 one that is added.

    Each has biases and a batch normalisation of four vectors.
    """
    convolutions = [(before, 4 * width, 1)]
    for block in range(blocks):
        convolutions += [(4 * width if block else before, width, 1), (width, width, 3), (width, 4 * width, 1)]
    return sum(kernels([(one, other)], size) + 4 * other for one, other, size in convolutions)


@pytest.mark.slow
def test_resnet_50_has_the_parameters_of_its_bottlenecks_as_a_trunk_and_as_a_detector():
    """With 120 classes 23,833,592 of three channels; 23,836,732 with a given map, and 38,551,933 with the detector."""
    stages = [bottlenecks(64, 64, 3), bottlenecks(256, 128, 4), bottlenecks(512, 256, 6), bottlenecks(1024, 512, 3)]
    first = kernels([(3, 64)], 7) + 4 * 64
    found = network(side=64, classes=120, **experiment("salclassnet_resnet").arguments)
    counts = {part: sum(one.count_params() for one in found.layers_of([part])) for part in found.parts}
    assert counts["trunk"] == first + sum(stages) == 23_587_712
    assert counts["top"] == (2048 + 1) * 120
    assert counts["new_channel"] == 7 * 7 * 64 + 4
    assert counts["saliency"] == 14_715_201
    assert found.model.count_params() == 23_587_712 + 245_880 + 3_140 + 14_715_201 == 38_551_933
    detector = network("salclassnet_detector", side=64, detector="ResNet50", detector_level="conv3_block4_out")
    assert detector.model.count_params() == first + sum(stages[:2]) + 512 + 1 == 1_460_609


TRUNKS = [
    ("VGG19", 32),
    ("MobileNet", 64),
    ("alexnet", 64),
    pytest.param("ResNet50", 64, marks=pytest.mark.slow),
    pytest.param("InceptionV3", 75, marks=pytest.mark.slow),
    pytest.param("DenseNet121", 64, marks=pytest.mark.slow),
    pytest.param("EfficientNetV2B0", 64, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("backbone", "side"), TRUNKS)
def test_with_a_zero_map_four_channels_give_what_three_give_to_the_bit(backbone, side):
    # EfficientNet's squeezed channels have sizes of their own: it comes at its full width alone.
    tiny = {**TINY, "width_multiplier": 1.0} if backbone.startswith("EfficientNet") else TINY
    three = network(side=side, backbone=backbone, fourth_channel="", **tiny)
    four = network(side=side, backbone=backbone, fourth_channel="map", **tiny)
    carried = carry_weights(three, four)
    assert set(carried) == {name for part, names in four.parts.items() if part != "new_channel" for name in names}
    inputs = {"image": pictures(side), "saliency": np.zeros((2, side, side, 1), np.uint8)}
    said = said_by(three.model, {"image": inputs["image"]})
    np.testing.assert_array_equal(said_by(four.model, inputs), said)
    inputs["saliency"] += 200
    assert not np.array_equal(said_by(four.model, inputs), said), "and another map gives something else"


def test_keras_own_weights_fill_the_trunk_and_leave_the_new_channel_as_it_is():
    """On MobileNet: the features before the last layer are those of keras.applications, given a zero map."""
    found = network(side=64, backbone="MobileNet", fourth_channel="map")
    before = found.model.get_layer("first_new_channel").get_weights()
    source = pretrained_trunk("MobileNet", None)
    carry_weights(source, found, fresh=("top",))
    np.testing.assert_array_equal(found.model.get_layer("first_new_channel").get_weights()[0], before[0])
    plain = keras.applications.MobileNet(include_top=False, weights=None, pooling="avg", input_shape=(64, 64, 3))
    given = {one.name: one.get_weights() for one in source.model.layers}
    for one in plain.layers:
        one.set_weights(given.get(one.name, []))
    expected = said_by(plain, keras.applications.mobilenet.preprocess_input(pictures(64).astype("float32")))
    features = keras.Model(found.model.input, found.model.get_layer("avg_pool").output)
    inputs = {"image": pictures(64), "saliency": np.zeros((2, 64, 64, 1), np.uint8)}
    np.testing.assert_allclose(said_by(features, inputs), expected, rtol=1e-4, atol=1e-5)


def test_the_fourth_channel_is_one_kernel_of_four_channels_cut_in_two():
    """The first layer's sum is what a single convolution of the four stacked channels gives."""
    found = network(side=64, backbone="MobileNet", fourth_channel="map", **TINY)
    model = found.model
    first = next(one for one in model.layers if isinstance(one, layers.Conv2D))
    new = model.get_layer("first_new_channel")
    seen = keras.Model(model.input, [first.input, new.input, model.get_layer("four_channels").output])
    maps = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 1), np.uint8)
    rgb, saliency, found_sum = seen.predict_on_batch({"image": pictures(64), "saliency": maps})
    kernel = np.concatenate([first.get_weights()[0], new.get_weights()[0]], axis=2)
    expected = ops.conv(np.concatenate([rgb, saliency], -1), kernel, first.strides, first.padding)
    np.testing.assert_allclose(found_sum, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("over", ["saliency", "rgbs"])
def test_what_is_normalised_has_mean_zero_and_deviation_one_in_training(over):
    found = network(side=64, backbone="MobileNet", fourth_channel="map", bn_over=over, **TINY)
    channels = {"saliency": 1, "rgbs": 4}[over]
    layer = found.model.get_layer("map_new_channel")
    maps = np.random.default_rng(1).integers(0, 256, (8, 64, 64, 1), np.uint8)
    until = keras.Model(found.model.input, layer.output)
    values = ops.convert_to_numpy(until({"image": pictures(64, 8), "saliency": maps}, training=True))
    assert values.shape[-1] == channels
    np.testing.assert_allclose(values.mean(axis=(0, 1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(values.std(axis=(0, 1, 2)), 1, atol=0.05)


@pytest.mark.parametrize("over", ["saliency", "rgbs"])
@pytest.mark.parametrize("backbone", ["MobileNet", "ResNet50", "DenseNet121", "EfficientNetV2B0", "VGG19", "alexnet"])
def test_the_map_is_as_strong_as_a_colour_of_the_picture_where_the_trunk_sees_both(backbone, over):
    """Pixels of ImageNet's mean and deviation go through each trunk's own scaling; the map comes out like them."""
    small = {"classifier_size": 0} if backbone.startswith("EfficientNet") else TINY  # it cannot be built narrow
    random = np.random.default_rng(0)
    colours = 255 * random.normal((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (8, 64, 64, 3))
    inputs = {"image": np.clip(np.round(colours), 0, 255).astype("uint8")}
    inputs["saliency"] = random.integers(0, 256, (8, 64, 64, 1), np.uint8)
    found = network(side=64, backbone=backbone, fourth_channel="map", bn_over=over, **small)
    first = next(one for one in found.model.layers if isinstance(one, layers.Conv2D) and "new" not in one.name)
    seen = keras.Model(found.model.input, [first.input, found.model.get_layer("first_new_channel").input])
    rgb, saliency = (ops.convert_to_numpy(one) for one in seen(inputs, training=True))
    assert saliency.std() == pytest.approx(rgb.std(axis=(0, 1, 2)).mean(), rel=0.05)
    plain = network(side=64, backbone=backbone, fourth_channel="map", new_channel_range="unit", **small)
    seen = keras.Model(plain.model.input, plain.model.get_layer("first_new_channel").input)
    assert ops.convert_to_numpy(seen(inputs, training=True)).std() == pytest.approx(1, rel=0.1)


def test_the_map_lies_on_the_picture_pixel_by_pixel_as_it_was_taught():
    found = network(side=64, backbone="MobileNet", detector="VGG16", **TINY)
    inputs = {"image": pictures(64)}
    made = said_by(found.map, inputs)
    assert made.shape == (2, 64, 64, 1)
    np.testing.assert_allclose(found.model(inputs, training=False)["map"], made, atol=1e-6)
    for laid in found.maps_on(made[..., 0], (64, 64)), found.map_as_used(inputs, (64, 64)):
        np.testing.assert_allclose(laid, made[..., 0], atol=1e-6)


PAPERS = [
    ("vgg", {"backbone": "VGG19", "classifier_size": 32}),
    pytest.param("resnet", {"backbone": "ResNet50"}, marks=pytest.mark.slow),
    pytest.param("inception", {"backbone": "InceptionV3"}, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("trunk", "arguments"), PAPERS)
def test_every_part_has_a_gradient_and_one_batch_is_learned_by_heart(trunk, arguments):
    """Narrower than the papers' by a factor of eight, but for that they are the experiments' networks."""
    name = {"vgg": "salclassnet_vgg", "inception": "salclassnet", "resnet": "salclassnet_resnet"}[trunk]
    given = {**experiment(name).arguments, "width_multiplier": 0.125, "dense_units": 64, "dropout": 0.0, **arguments}
    found = network(side=75, classes=2, **given)
    maps = np.zeros((4, 75, 75, 1), np.float32)
    for row, column in enumerate((0, 40, 0, 40)):
        maps[row, 20:55, column : column + 30] = 255
    inputs, labels = {"image": pictures(75, 4)}, np.array([0, 1, 1, 0])
    trained = keras.Model(found.model.input, found.model.output)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained.compile(
        keras.optimizers.Adam(0.002),
        {"logits": cross_entropy, "map": map_loss("squared")},
        loss_weights={"logits": 0.2, "map": 1.0},
        jit_compile=False,  # as `training.loop` on a processor: XLA compiles for longer than the steps take
    )
    trained.optimizer.build(trained.trainable_variables)
    before = {one.name: one.get_weights() for one in found.model.layers}
    targets = {"logits": labels, "map": maps}
    build_metrics(trained, targets)
    losses = [trained.train_on_batch(inputs, targets, return_dict=True) for _ in range(2)]
    for part in found.parts:
        moved = [
            any((old != new).any() for old, new in zip(before[one.name], one.get_weights(), strict=True))
            for one in found.layers_of([part])
        ]
        assert np.mean(moved) > 0.9, f"{part} learns"
    losses += [trained.train_on_batch(inputs, targets, return_dict=True) for _ in range(90)]
    assert losses[-1]["logits_loss"] < 0.1 * losses[0]["logits_loss"]
    if trunk != "inception":  # the detector is the same with every trunk; with this one, these steps are too few for it
        assert losses[-1]["loss"] < 0.3 * losses[0]["loss"]


def test_a_part_s_lower_layers_can_be_named_by_the_beginning_of_their_names():
    found = network(side=32, backbone="VGG16", fourth_channel="", **TINY)
    assert found.freeze(["trunk:block1", "trunk:block2"]) == [f"block{b}_conv{c}" for b in (1, 2) for c in (1, 2)]
    assert "block3_conv1" in [one.name for one in found.model.layers if one.trainable]
    with pytest.raises(UserError, match="no layer whose name begins with 'block9'"):
        found.layers_of(["trunk:block9"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"backbone": "ConvNeXtTiny", "fourth_channel": "map"}, "does not begin with a convolution"),
        ({"backbone": "MobileNetV3Small"}, "more than Keras' layers"),
        ({"backbone": "EfficientNetB0"}, r"as wide as it is; --set width_multiplier=1 goes with it"),
        ({"detector": "ConvNeXtTiny", "fourth_channel": "detector"}, "more than Keras' layers"),
        ({"backbone": "AlexNet"}, "InceptionV3"),
        ({"fourth_channel": "rgb"}, "fourth_channel is one of"),
        ({"backbone": "MobileNet", "bn_over": "all"}, "bn_over is one of"),
        ({"backbone": "MobileNet", "detector_level": "block9"}, "has no 'block9'"),
        ({"backbone": "MobileNet", "saliency_activation": "tanh"}, "saliency_activation is one of"),
    ],
)
def test_a_network_that_cannot_be_built_is_told_in_a_sentence(arguments, says):
    with pytest.raises(UserError, match=says):
        network(side=64, **{"detector": "VGG16", **TINY, **arguments})


def test_the_detector_of_free_viewing_gives_its_weights_to_the_one_of_a_compact_set():
    keras.backend.clear_session()
    arguments = {"detector": "VGG16", "width_multiplier": 0.05}
    seen = build_saliency("salclassnet_osie", {"height": 48, "width": 64, **arguments})
    assert seen.model.output_shape == (None, 48, 64, 1)
    target = build("salclassnet_detector", arguments, 64, 3)
    carry_weights(seen, target)
    for name in target.parts["saliency"]:
        for one, other in zip(seen.model.get_layer(name).weights, target.model.get_layer(name).weights, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())
    assert seen.model.get_layer(MAP_LAYER).output.shape == (None, 48, 64, 1)
