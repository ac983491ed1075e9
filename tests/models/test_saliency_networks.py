"""The networks' tables and counts against the authors' published code, their parts against independent arithmetic."""

import math
import subprocess
import sys

import keras
import numpy as np
import pytest

from saliency_keras.models import saliency_networks as networks

# Kernel side, channels in, channels out, biases: from the authors' deploy.prototxt and training script.
SALNET = [
    *((7, 3, 96, 1), (5, 96, 256, 1), (3, 256, 512, 1), (5, 512, 512, 1), (5, 512, 512, 1), (7, 512, 256, 1)),
    *((11, 256, 128, 1), (11, 128, 32, 1), (13, 32, 1, 1), (8, 1, 1, 0)),
]
JUNTINGNET = [(5, 3, 32, 1), (3, 32, 64, 1), (3, 64, 64, 1), (1, 10 * 10 * 64, 4608, 1), (1, 2304, 2304, 1)]


def weights_of(table):
    return sum(side * side * inputs * outputs + biases * outputs for side, inputs, outputs, biases in table)


def sizes(model, *names):
    return [tuple(model.get_layer(name).output.shape[1:]) for name in names]


def numbers(shape, seed=0, scale=1.0):
    return (np.random.default_rng(seed).random(shape) * scale).astype("float32")


def test_salnet_has_the_papers_25_8_million_weights():
    count = networks.salnet(32, 40).count_params()
    assert count == weights_of(SALNET)
    assert round(count / 1e6, 1) == 25.8


def test_salnet_follows_its_table():
    model = networks.salnet()
    assert sizes(model, "conv1", "pool1", "conv2", "pool2", "conv3", "conv5", "conv6", "conv7", "conv8", "conv9") == [
        *((240, 320, 96), (120, 160, 96), (120, 160, 256), (60, 80, 256), (60, 80, 512), (60, 80, 512)),
        *((60, 80, 256), (60, 80, 128), (60, 80, 32), (60, 80, 1)),
    ]
    assert model.output.shape == (None, 240, 320, 1)


def test_salnet_enlarges_bilinearly_before_it_is_trained():
    kernel = np.asarray(networks.salnet(16, 16).get_layer("deconv1").kernel)[:, :, 0, 0]
    small = numbers((5, 5))
    large = np.zeros((24, 24))
    for (row, column), value in np.ndenumerate(small):
        large[4 * row : 4 * row + 8, 4 * column : 4 * column + 8] += value * kernel
    # Pixel 8 of the large map (2 cropped) lies at (8 - 2 + 0.5) / 4 - 0.5 = 1.125 of the small one.
    along = 0.875 * small[1] + 0.125 * small[2]
    assert math.isclose(large[8, 8], 0.875 * along[1] + 0.125 * along[2], rel_tol=1e-6)


def test_response_normalisation_is_caffes():
    x = numbers((1, 2, 3, 7), scale=50)
    expected = np.empty_like(x)
    for channel in range(7):
        window = x[..., max(0, channel - 2) : channel + 3]
        expected[..., channel] = x[..., channel] / (1 + 1e-4 / 5 * (window**2).sum(-1)) ** 0.75
    found = networks.local_response_normalisation(keras.ops.convert_to_tensor(x))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_pixels_are_made_bgr_as_in_keras_vgg16():
    pixels = numbers((2, 4, 5, 3), scale=255)
    expected = keras.applications.vgg16.preprocess_input(pixels.copy())
    np.testing.assert_allclose(networks.to_bgr(pixels, networks.CAFFE_MEAN_RGB), expected, atol=1e-4)


def test_juntingnet_has_the_weights_of_the_authors_script():
    model = networks.juntingnet()
    assert model.count_params() == weights_of(JUNTINGNET) == 34_864_384
    assert sizes(model, "conv1", "pool1", "conv2", "pool2", "conv3", "pool3", "hidden4") == [
        *((92, 92, 32), (46, 46, 32), (44, 44, 64), (22, 22, 64), (20, 20, 64), (10, 10, 64), (4608,)),
    ]
    assert model.output.shape == (None, 48, 48, 1)


def test_juntingnet_with_twice_the_hidden_units_has_the_64_4_million_of_the_text():
    assert round(networks.juntingnet(units=9216).count_params() / 1e6, 1) == 64.4


def test_juntingnet_takes_the_maximum_of_each_two_units():
    model = networks.juntingnet(side=24, units=288)
    hidden = keras.Model(model.input, model.get_layer("hidden4").output)
    pixels = numbers((2, 24, 24, 3), scale=255)
    units = np.asarray(hidden(pixels))
    kernel, bias = model.get_layer("output").get_weights()
    expected = np.maximum(units[:, 0::2], units[:, 1::2]) @ kernel + bias
    np.testing.assert_allclose(model(pixels), expected.reshape(2, 12, 12, 1), atol=1e-5)


def test_salicon_follows_its_table():
    model = networks.salicon()
    assert sizes(model, "fine_block1_pool", "fine_block4_pool", "fine_block5_pool", "coarse_block1_pool") == [
        *((600, 800, 64), (75, 100, 512), (38, 50, 512), (300, 400, 64)),
    ]
    assert sizes(model, "coarse_block5_pool", "coarse_resized", "concatenate", "saliency") == [
        *((19, 25, 512), (38, 50, 512), (38, 50, 1024), (38, 50, 1)),
    ]
    assert model.count_params() == 2 * 14_714_688 + 1025


def test_salicons_fine_column_is_keras_vgg16():
    vgg16 = keras.applications.VGG16(include_top=False, weights=None)
    model = networks.salicon(64, 96)
    networks.copy_vgg16(vgg16, model)
    pixels = numbers((1, 64, 96, 3), scale=255)
    fine = keras.Model(model.input, model.get_layer("fine_block5_pool").output)(pixels)
    expected = vgg16(keras.applications.vgg16.preprocess_input(pixels.copy()))
    np.testing.assert_allclose(fine, expected, atol=1e-4)


def test_salicons_coarse_column_sees_the_picture_at_half_size():
    model = networks.salicon(64, 96)
    pixels = np.repeat(np.repeat(numbers((1, 32, 48, 3), scale=255), 2, axis=1), 2, axis=2)
    half = np.asarray(keras.Model(model.input, model.get_layer("half_size").output)(pixels))
    expected = keras.applications.vgg16.preprocess_input(pixels[:, ::2, ::2].copy())
    np.testing.assert_allclose(half, expected, atol=1e-3)


@pytest.mark.parametrize(
    ("build", "arguments"),
    [
        (networks.salnet, {"height": 30}),
        (networks.juntingnet, {"side": 95}),
        (networks.juntingnet, {"units": 4609}),
        (networks.salicon, {"width": 63}),
    ],
)
def test_arguments_that_do_not_fit_are_refused(build, arguments):
    with pytest.raises(ValueError, match="Received"):
        build(**arguments)


@pytest.mark.slow
def test_saved_networks_load_after_a_bare_import_of_keras(tmp_path):
    builders = {"salnet": (networks.salnet, 32, 40), "salicon": (networks.salicon, 64, 64)}
    models = {name: build(*arguments) for name, (build, *arguments) in builders.items()}
    models["juntingnet"] = networks.juntingnet(24, 144)
    for name, model in models.items():
        pixels = numbers((1, *model.input.shape[1:]), scale=255)
        model.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.npz", pixels=pixels, expected=np.asarray(model(pixels)))
    script = (
        "import sys, keras, numpy as np\n"
        "for name in sys.argv[1:]:\n"
        "    saved = np.load(name + '.npz')\n"
        "    model = keras.models.load_model(name + '.keras', safe_mode=True)\n"
        "    np.testing.assert_allclose(model(saved['pixels']), saved['expected'], atol=1e-4)\n"
    )
    subprocess.run([sys.executable, "-c", script, *(str(tmp_path / name) for name in models)], check=True)
