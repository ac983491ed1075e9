"""The read-outs against the notes, the peer's depth to space and counts worked out by hand."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.models import backbones, readouts, registry
from saliency_keras.models.frozen import in_two

BUILDERS = {"dc": readouts.readout_dc, "spc": readouts.readout_spc, "bi": readouts.readout_bi}


def numbers(shape, seed=0, scale=1.0):
    return (np.random.default_rng(seed).random(shape) * scale).astype("float32")


def classifier_of_ours():
    pixels = keras.Input((48, 48, 3), dtype="uint8", name="image")
    x = keras.layers.Rescaling(1 / 255)(pixels)
    x = keras.layers.Conv2D(64, 3, 4, activation="relu", padding="same", name="conv1")(x)
    x = keras.layers.Conv2D(128, 3, 2, activation="relu", padding="same", name="conv2")(x)
    x = keras.layers.Flatten()(x)
    return keras.Model(pixels, keras.layers.Dense(10, name="fc")(x), name="ours")


def head_weights(model):
    return sum(layer.count_params() for layer in model.layers if not isinstance(layer, keras.Model))


def test_transposed_convolutions_have_128_64_and_32_channels():
    model = BUILDERS["dc"](classifier_of_ours(), 48, 64, levels=("conv2",))
    assert [model.get_layer(f"deconv{number}").output.shape[1:] for number in (1, 2, 3)] == [
        *((12, 16, 128), (24, 32, 64), (48, 64, 32)),
    ]
    expected = (16 * 128 * 128 + 128) + (16 * 128 * 64 + 64) + (16 * 64 * 32 + 32) + (32 + 1)
    assert head_weights(model) == expected


def test_sub_pixel_convolutions_keep_the_quarter():
    model = BUILDERS["spc"](classifier_of_ours(), 48, 64, levels=("conv2",))
    assert [model.get_layer(f"subpixel{number}").output.shape[1:] for number in (1, 2, 3)] == [
        *((12, 16, 32), (24, 32, 8), (48, 64, 2)),
    ]
    assert head_weights(model) == (9 * 32 * 32 + 32) + (9 * 8 * 8 + 8) + (9 * 2 * 2 + 2) + (2 + 1)


def test_bilinear_readout_has_one_weight_a_channel():
    model = BUILDERS["bi"](classifier_of_ours(), 48, 64, levels=("conv2",))
    assert head_weights(model) == 128 + 1
    assert model.output.shape == (None, 48, 64, 1)


def test_bilinear_before_or_after_the_convolution_is_the_same():
    features = numbers((2, 3, 4, 7))
    tensor = keras.Input(features.shape[1:])
    model = keras.Model(tensor, readouts.bilinear_readout(tensor))
    model.get_layer("saliency").set_weights([numbers((1, 1, 7, 1), 1), numbers((1,), 2)])
    x = features
    for _ in range(3):
        x = keras.layers.UpSampling2D(2, interpolation="bilinear")(x)
    np.testing.assert_allclose(model(features), model.get_layer("saliency")(x), atol=1e-5)


def test_sub_pixel_convolution_moves_quarters_of_the_channels_into_squares():
    features, tensor = numbers((2, 3, 5, 64)), keras.Input((3, 5, 64))
    model = keras.Model(tensor, readouts.sub_pixel_readout(tensor))
    x = features
    for number in 1, 2, 3:
        height, width, channels = x.shape[1:]
        squares = np.zeros((2, 2 * height, 2 * width, channels // 4), "float32")
        for row, column in np.ndindex(2, 2):
            part = (2 * row + column) * channels // 4
            squares[:, row::2, column::2] = x[..., part : part + channels // 4]
        x = np.asarray(model.get_layer(f"subpixel{number}")(squares))
    np.testing.assert_allclose(model(features), model.get_layer("saliency")(x), atol=1e-6)


def test_sub_pixel_convolution_refuses_channels_it_cannot_divide():
    with pytest.raises(ValueError, match="multiple of 64"):
        readouts.sub_pixel_readout(keras.Input((4, 4, 96)))


def test_levels_are_taken_by_name_and_brought_to_the_first_ones_size():
    pixels = keras.Input((48, 64, 3))
    features = backbones.features_of(pixels, classifier_of_ours(), levels=("conv1", "conv2"))
    assert features.shape == (None, 12, 16, 64 + 128)


def test_a_classifier_without_named_levels_gives_its_last_maps_before_any_pooling():
    ours = classifier_of_ours()
    pooled = keras.layers.MaxPooling2D(2)(ours.get_layer("conv2").output)
    model = keras.Model(ours.input, keras.layers.Dense(3)(keras.layers.Flatten()(pooled)))
    assert backbones.feature_extractor(model).output_shape == (None, None, None, 128)
    assert backbones.features_of(keras.Input((48, 64, 3)), model).shape == (None, 6, 8, 128)


def test_kept_statistics_do_not_move_in_training_while_the_kernels_do():
    pixels = keras.Input((8, 8, 3))
    x = keras.layers.BatchNormalization(name="norm")(keras.layers.Conv2D(2, 3, name="conv")(pixels))
    inner = keras.Model(pixels, x, name="inner")
    own = keras.layers.BatchNormalization(name="features_normalised")
    model = keras.Model(pixels, own(inner(pixels)))
    readouts.keep_statistics(model)
    model.compile("sgd", "mse")
    kept = [inner.get_layer("conv"), inner.get_layer("norm"), own]
    before = [layer.get_weights()[-1].copy() for layer in kept]
    model.fit(numbers((4, 8, 8, 3)), numbers((4, 6, 6, 2)), verbose=0)
    after = [layer.get_weights()[-1] for layer in kept]
    moved = [not np.array_equal(*pair) for pair in zip(before, after, strict=True)]
    assert moved == [True, False, True]  # the read-out's own normalisation learns


def test_normalised_features_make_the_head_blind_to_a_backbone_s_scale():
    model = BUILDERS["bi"](classifier_of_ours(), 48, 64, levels=("conv2",), frozen=True, normalised=True)
    _, head = in_two(model, ["ours"])
    features = numbers((4, 6, 8, 128))
    found, expected = (np.asarray(head({"features1": scale * features}, training=True)) for scale in (1000.0, 20.0))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert len(model.trainable_variables) == 2


def test_pointwise_readout_ends_at_the_size_of_its_first_level_and_wants_each_level_half_as_large():
    model = readouts.readout_pointwise(classifier_of_ours(), 48, 64, levels=("conv1", "conv2"))
    assert model.output_shape == (None, 12, 16, 1)
    with pytest.raises(ValueError, match=r"half the size of the one before.*: 6x8, then 12x16"):
        readouts.readout_pointwise(classifier_of_ours(), 48, 64, levels=("conv2", "conv1"))


def test_scales_share_the_backbones_weights():
    one = BUILDERS["bi"](classifier_of_ours(), 48, 64, levels=("conv2",))
    two = BUILDERS["bi"](classifier_of_ours(), 48, 64, levels=("conv2",), scales=(1.0, 0.5))
    assert two.count_params() == one.count_params() + 128


def test_several_networks_side_by_side_give_their_features_at_the_size_of_the_first():
    pixels = keras.Input((64, 64, 3))
    names = ("MobileNet", "MobileNetV2")
    both = keras.Model(pixels, backbones.features_of(pixels, "ResNet50", backbones=names))
    alone = [keras.Model(pixels, backbones.features_of(pixels, name)) for name in names]
    assert both.output_shape == (None, 2, 2, 1024 + 1280)
    inner = [layer for layer in both.layers if isinstance(layer, keras.Model)]
    for one, other in zip(alone, inner, strict=True):
        other.set_weights(next(layer for layer in one.layers if isinstance(layer, keras.Model)).get_weights())
    shown = numbers((1, 64, 64, 3), scale=255)
    expected = np.concatenate([np.asarray(one(shown)) for one in alone], axis=-1)
    np.testing.assert_allclose(np.asarray(both(shown)), expected, rtol=1e-4, atol=1e-5)
    for wrong, told in ((("MobileNet", "MobileNet"), "each network once"), (("rgb",), "Received: 'rgb'")):
        with pytest.raises(ValueError, match=told):
            backbones.features_of(pixels, "ResNet50", backbones=wrong)
    with pytest.raises(ValueError, match=r"beside its name, MobileNet=weights\.h5"):
        backbones.features_of(pixels, "ResNet50", backbones=names, weights="weights.h5")


def test_networks_side_by_side_have_weights_of_their_own(tmp_path):
    pixels, file = keras.Input((32, 32, 3)), tmp_path / "mobile.weights.h5"
    classifier = keras.applications.MobileNetV2(weights=None)
    classifier.save_weights(file)
    words = {"height": 32, "width": 32, "backbones": f"MobileNet=none,MobileNetV2={file}", "levels": ""}
    network = registry.build_saliency("readout_bi", words, weights="imagenet").model
    inner = [layer for layer in network.layers if isinstance(layer, keras.Model)]
    kernel = inner[1].layers[-1].get_layer("Conv1").kernel
    np.testing.assert_array_equal(kernel, classifier.get_layer("Conv1").kernel)
    with pytest.raises(UserError, match=r"no weights file gone\.h5 for the backbone MobileNet"):
        backbones.features_of(pixels, "ResNet50", backbones=("MobileNet=gone.h5",))
    with pytest.raises(UserError, match="DPN92=FILE where several networks are named"):
        backbones.features_of(pixels, "ResNet50", backbones=("DPN92",), weights="imagenet")


def test_a_classifier_of_ours_gives_the_same_features_as_in_its_own_network(tmp_path):
    ours = classifier_of_ours()
    ours.save(tmp_path / "model.keras")
    extractor = backbones.feature_extractor(str(tmp_path / "model.keras"), ("conv2",))
    pixels = numbers((1, 48, 48, 3), scale=255).astype("uint8")
    expected = keras.Model(ours.input, ours.get_layer("conv2").output)(pixels)
    np.testing.assert_allclose(extractor(pixels.astype("float32")), expected, atol=1e-5)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_features_of_an_unpadded_network_are_laid_out_over_the_whole_picture(padding):
    """Each feature is the mean of its window; of a ramp across the picture that is the ramp at the window's centre."""
    image = keras.Input((160, 160, 3), dtype="uint8", name="image")
    mean = keras.layers.Conv2D(1, 16, 16, padding, kernel_initializer="ones", name="mean")
    inner = keras.layers.Conv2D(1, 3, 1, padding, kernel_initializer="ones", name="inner")
    x = keras.layers.Rescaling(1 / (3 * 16 * 16 * 9))(image)
    ours = keras.Model({"image": image}, inner(mean(x)))
    pixels = keras.Input((96, 160, 3))
    features = keras.Model(pixels, backbones.features_of(pixels, ours))
    ramp = np.broadcast_to(np.arange(160, dtype="float32")[None, None, :, None], (1, 96, 160, 3))
    found = np.asarray(features(ramp))[0, features.output_shape[1] // 2, :, 0]
    places = (np.arange(len(found)) + 0.5) * 160 / len(found) - 0.5
    # Beyond the outermost windows' centres, at 23.5 and 135.5, nothing was seen: their values go on to the border.
    seen = np.clip(places, 23.5, 135.5) if padding == "valid" else places
    middle = slice(None) if padding == "valid" else slice(1, -1)  # padding darkens the border
    np.testing.assert_allclose(found[middle], seen[middle], rtol=1e-4)
    assert len(found) == (8 if padding == "valid" else 10)


def test_a_frozen_backbone_does_not_train():
    model = BUILDERS["dc"](classifier_of_ours(), 48, 64, levels=("conv2",), frozen=True)
    assert {variable.path.split("/")[0] for variable in model.trainable_variables} == {
        *("deconv1", "deconv2", "deconv3", "saliency"),
    }


@pytest.mark.parametrize("name", sorted(backbones.BACKBONES))
def test_every_backbone_is_a_network_of_keras_or_dpn92(name):
    assert name == "DPN92" or callable(getattr(keras.applications, name))


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["EfficientNetV2B0", "InceptionV3", "MobileNetV3Small", "ConvNeXtTiny", "NASNetMobile"]
)
def test_weights_file_of_a_classifier_fills_networks_whose_layers_keras_only_numbers(name, tmp_path):
    classifier = getattr(keras.applications, name)(weights=None, classifier_activation=None)
    classifier.save_weights(tmp_path / "classifier.weights.h5")
    pixels = keras.Input((192, 256, 3))
    features = backbones.features_of(pixels, name, weights=str(tmp_path / "classifier.weights.h5"))
    assert features.shape[1:3] == ((4, 6) if name == "InceptionV3" else (6, 8))
    found = keras.Model(pixels, features).layers[-1].get_weights()
    expected = classifier.get_weights()[: len(found)]
    assert all(np.array_equal(one, other) for one, other in zip(found, expected, strict=True))


def test_a_file_of_efficientnet_is_refused_for_it_does_not_tell_the_scale_of_pixels(tmp_path):
    (tmp_path / "e.weights.h5").touch()
    with pytest.raises(UserError, match="EfficientNetB0 was shown its pixels"):
        backbones.classifier_features("EfficientNetB0", str(tmp_path / "e.weights.h5"))


def test_a_clone_for_any_size_normalises_as_its_network_was_adapted():
    pixels = keras.Input((16, 16, 3))
    scaling = keras.layers.Normalization(axis=-1, name="scaling")
    network = keras.Model(pixels, keras.layers.Conv2D(4, 3, name="conv")(scaling(pixels)))
    scaling.adapt(numbers((8, 16, 16, 3), scale=255))
    clone = backbones._part(network, ("conv",), any_size=True)
    shown = numbers((2, 16, 16, 3), scale=255)
    np.testing.assert_allclose(clone(shown), network(shown), atol=1e-5)


def test_imagenet_weights_are_asked_for_under_the_names_that_keras_has_for_them(monkeypatch):
    """Some of Keras' networks look their weights up by their own names."""
    asked = []

    def fetch(name, *rest, **options):
        asked.append(name)
        raise OSError("no network")

    for module in ("efficientnet_v2", "convnext"):
        monkeypatch.setattr(f"keras.src.applications.{module}.file_utils.get_file", fetch)
        backbone = {"efficientnet_v2": "EfficientNetV2B0", "convnext": "ConvNeXtTiny"}[module]
        with pytest.raises(UserError, match="could not fetch"):
            backbones.classifier_features(backbone, "imagenet")
    assert asked == ["efficientnetv2-b0_notop.h5", "convnext_tiny_notop.h5"]


def test_no_scales_are_refused():
    with pytest.raises(ValueError, match="scales"):
        backbones.features_of(keras.Input((48, 64, 3)), classifier_of_ours(), scales=())


@pytest.mark.parametrize(
    ("name", "module"),
    [
        *(("VGG16", "vgg16"), ("ResNet50", "resnet"), ("ResNet50V2", "resnet_v2"), ("DenseNet121", "densenet")),
        *(("InceptionV3", "inception_v3"), ("Xception", "xception"), ("MobileNetV2", "mobilenet_v2")),
        *(("NASNetMobile", "nasnet"), ("EfficientNetB0", "efficientnet"), ("ConvNeXtTiny", "convnext")),
    ],
)
def test_pixels_are_preprocessed_as_keras_does(name, module):
    pixels = numbers((1, 3, 4, 3), scale=255)
    expected = getattr(keras.applications, module).preprocess_input(pixels.copy())
    np.testing.assert_allclose(backbones.BACKBONES[name](pixels), expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "channels"), [("ResNet50", 2048), ("DenseNet121", 1024), ("DPN92", 2688)])
def test_the_last_features_of_a_backbone_are_read_out_at_a_quarter_of_the_size(name, channels):
    model = readouts.readout_bi(name, 64, 96)
    assert model.output.shape == (None, 16, 24, 1)
    assert head_weights(model) == channels + 1


@pytest.mark.slow
@pytest.mark.shared_data
def test_a_weights_file_of_the_whole_classifier_fills_the_backbone(shared_data):
    path = shared_data.parent / "weights" / "resnet50_imagenet_float16.weights.h5"
    if not path.is_file():
        pytest.skip("the weights of ResNet-50 are absent")
    classifier = keras.applications.ResNet50(weights=None)
    classifier.load_weights(path)
    extractor = backbones.feature_extractor("ResNet50", ("conv3_block4_out", "conv5_block3_out"), str(path))
    pixels = numbers((1, 224, 224, 3), scale=255)
    found = extractor(pixels)
    whole = keras.Model(classifier.input, classifier.get_layer("conv5_block3_out").output)
    expected = whole(keras.applications.resnet.preprocess_input(pixels.copy()))
    np.testing.assert_allclose(found[1], expected, atol=1e-3)
    assert found[0].shape == (1, 28, 28, 512)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"backbone": "ResNet51"}, "Received: 'ResNet51'"),
        ({"backbone": classifier_of_ours, "levels": ("conv9",)}, "no layer conv9"),
        ({"backbone": classifier_of_ours, "levels": ("fc",)}, "stack of maps"),
    ],
)
def test_what_is_no_backbone_is_refused(options, sentence):
    backbone = options.pop("backbone")
    with pytest.raises(ValueError, match=sentence):
        backbones.feature_extractor(backbone() if callable(backbone) else backbone, **options)


def test_missing_weights_are_told_in_a_sentence(tmp_path):
    with pytest.raises(UserError, match=r"none\.keras"):
        backbones.feature_extractor(str(tmp_path / "none.keras"))
    with pytest.raises(UserError, match="DPN92"):
        backbones.feature_extractor("DPN92", weights="imagenet")


def test_the_prior_sees_the_same_place_in_a_picture_of_any_size():
    x = keras.Input((None, None, 2))
    model = keras.Model(x, readouts.centre_prior(x))
    model.get_layer("prior").set_weights([np.array([1, 0, 10, 0, 0], "float32").reshape(1, 1, 5, 1)])
    found = np.asarray(model(numbers((1, 2, 4, 2))))[0, :, :, 0]
    across, down = np.array([-0.75, -0.25, 0.25, 0.75]), np.array([-0.5, 0.5])
    np.testing.assert_allclose(found, across**2 + 10 * down[:, None], atol=1e-5)


def test_the_blur_is_a_gaussian_and_keeps_a_constant():
    x = keras.Input((None, None, 1))
    model = keras.Model(x, readouts.gaussian_blur(x, 1.2))
    np.testing.assert_allclose(model(np.full((1, 9, 8, 1), 3.0)), np.full((1, 9, 8, 1), 3.0), rtol=1e-5)
    spot = np.zeros((1, 21, 21, 1), "float32")
    spot[0, 10, 10] = 1
    blurred = np.asarray(model(spot))[0, :, :, 0]
    np.testing.assert_allclose(blurred[10, 12] / blurred[10, 10], np.exp(-0.5 * (2 / 1.2) ** 2), rtol=1e-5)


def test_the_pointwise_head_reads_levels_of_falling_size():
    inputs = [keras.Input((None, None, channels)) for channels in (4, 8, 16)]
    model = keras.Model(inputs, readouts.pointwise_readout(inputs, width=6))
    logits = model([numbers((2, 16, 12, 4)), numbers((2, 8, 6, 8)), numbers((2, 4, 3, 16))])
    assert logits.shape == (2, 16, 12, 1)


@pytest.mark.slow
def test_saved_readouts_load_after_a_bare_import_of_keras(tmp_path):
    options = {"height": 48, "width": 64, "levels": ("conv1", "conv2"), "scales": (1.0, 0.5)}
    models = {name: build(classifier_of_ours(), **options) for name, build in BUILDERS.items()}
    pixels = keras.Input((None, None, 3))
    levels = backbones.feature_extractor(classifier_of_ours(), ("conv1", "conv2"))(pixels)
    models["pointwise"] = keras.Model(pixels, readouts.pointwise_readout(levels))
    models["dpn92"] = readouts.readout_bi("DPN92", 48, 64)
    for name, model in models.items():
        picture = numbers((1, 48, 64, 3), scale=255)
        model.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.npz", pixels=picture, expected=np.asarray(model(picture)))
    script = (
        "import sys, keras, numpy as np\n"
        "for name in sys.argv[1:]:\n"
        "    saved = np.load(name + '.npz')\n"
        "    model = keras.models.load_model(name + '.keras', safe_mode=True)\n"
        "    np.testing.assert_allclose(model(saved['pixels']), saved['expected'], atol=1e-4)\n"
    )
    subprocess.run([sys.executable, "-c", script, *(str(tmp_path / name) for name in models)], check=True)
