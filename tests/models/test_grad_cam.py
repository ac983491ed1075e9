"""Grad-CAM against the paper's equations written out in numpy, and its place on the picture against what is seen."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from saliency_keras.models.grad_cam import GradCam, grad_cam, last_convolution
from saliency_keras.models.receptive_fields import laid_out, receptive_centres
from saliency_keras.models.registry import build

SIDE = 9


def tiny_network():
    """3x3 convolution of stride 2, ReLU, and a classifier that is not linear in the features."""
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255)(image)
    x = layers.ReLU(name="relu1")(layers.Conv2D(2, 3, strides=2, name="conv1")(x))
    x = layers.Dense(5, activation="tanh", name="fc1")(layers.Flatten()(x))
    model = keras.Model({"image": image}, layers.Dense(3, name="fc2")(x))
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=weight.shape) for weight in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(1).integers(0, 256, (4, SIDE, SIDE, 3), np.uint8)


def by_hand(model, picture, label):
    """Equations 1 and 2 for the tiny network, derivative of the classifier worked out on paper."""
    kernel, bias, kernel1, bias1, kernel2, _ = model.get_weights()
    pixels = picture / 255
    features = np.zeros((4, 4, 2))
    for row in range(4):
        for column in range(4):
            window = pixels[2 * row : 2 * row + 3, 2 * column : 2 * column + 3]
            features[row, column] = np.tensordot(window, kernel, 3) + bias
    features = np.maximum(features, 0)
    hidden = np.tanh(features.reshape(-1) @ kernel1 + bias1)
    gradient = (kernel1 @ ((1 - hidden**2) * kernel2[:, label])).reshape(4, 4, 2)
    weights = gradient.mean(axis=(0, 1))
    return np.maximum((weights * features).sum(-1), 0)


def test_map_is_that_of_the_equations(pictures):
    model, labels = tiny_network(), [0, 1, 2, 1]
    found = GradCam(model)({"image": pictures}, labels)
    assert found.shape == (4, SIDE, SIDE)
    centres = [1, 3, 5, 7]  # of the 3x3 windows
    for one, picture, label in zip(found, pictures, labels, strict=True):
        expected = by_hand(model, picture, label)
        np.testing.assert_allclose(one[np.ix_(centres, centres)], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(one[3, 2], (expected[1, 0] + expected[1, 1]) / 2, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(one[0, 0], expected[0, 0] / 4, rtol=1e-4, atol=1e-5)
    assert found.max() > 0


def test_map_depends_on_the_class_and_not_on_the_other_pictures(pictures):
    grad_cam = GradCam(tiny_network())
    both = grad_cam({"image": pictures[:2]}, [0, 0])
    np.testing.assert_allclose(grad_cam({"image": pictures[1:2]}, [0])[0], both[1], rtol=1e-5, atol=1e-6)
    assert not np.allclose(grad_cam({"image": pictures[:2]}, [1, 1]), both)


def test_centres_are_where_a_lone_pixel_is_felt():
    image = keras.Input((40, 40, 1), name="image")
    x = layers.ZeroPadding2D(((2, 1), (0, 3)))(image)
    x = layers.Conv2D(1, 5, strides=2, kernel_initializer="ones")(x)
    x = layers.AveragePooling2D(2, strides=2, padding="same")(x)
    x = layers.Conv2D(1, 3, padding="same", kernel_initializer="ones", name="last")(x)
    model = keras.Model({"image": image}, x)
    # Pixel by pixel: which positions of the last layer feel it.
    lone = np.eye(40 * 40, dtype="float32").reshape(-1, 40, 40, 1)
    felt = model.predict({"image": lone}, verbose=0)[..., 0].reshape(40, 40, *model.output.shape[1:3]) > 0
    rows, columns = receptive_centres(model, "last")
    for row, column in ((3, 4), (4, 3), (5, 5)):  # their fields lie inside the picture
        where = np.argwhere(felt[:, :, row, column])
        np.testing.assert_allclose((where.min(0) + where.max(0)) / 2, [rows[row], columns[column]])


def test_unpadded_alexnet_looks_at_the_places_worked_out_by_hand():
    arguments = {"dense_units": 8}
    model = build("alexnet", arguments, 128, 3).model
    assert last_convolution(model) == "relu5"
    # conv1 sees 5 + 4i, pool1 9 + 8i, conv2 25 + 8i, pool2 33 + 16i; the padded ones leave that alone.
    for centres in receptive_centres(model, "relu5"):
        np.testing.assert_allclose(centres, [33, 49, 65, 81])
    for centres in receptive_centres(build("noconv2", arguments, 128, 3).model, "relu5"):
        np.testing.assert_allclose(centres, 9 + 8 * np.arange(14))


@pytest.mark.parametrize(("network", "arguments"), [("fanin1", {}), ("modulated_alexnet", {"saliency_branch": "map"})])
def test_networks_of_two_branches_have_a_last_convolution_of_the_picture(network, arguments):
    model = build(network, {"dense_units": 8, **arguments}, 128, 3).model
    grad_cam = GradCam(model)
    assert grad_cam.layer == "relu5"
    random = np.random.default_rng(0)
    inputs = {name: random.integers(0, 256, (2, *tensor.shape[1:]), np.uint8) for name, tensor in model.input.items()}
    found = grad_cam(inputs, [0, 2])
    assert np.isfinite(found).all()
    assert found.min() >= 0
    with pytest.raises(ValueError, match="passes the layer conv1 by"):
        GradCam(model, "conv1")


def test_layer_that_is_absent_or_without_positions_is_refused():
    with pytest.raises(ValueError, match="no layer 'conv9'; it has conv1, relu1"):
        GradCam(tiny_network(), "conv9")
    with pytest.raises(ValueError, match="no positions"):
        GradCam(tiny_network(), "fc1")


def nested(name):
    pixels = keras.Input((None, None, 3))
    x = layers.ReLU(name="relu")(layers.Conv2D(2, 3, padding="same", name="conv")(pixels))
    return keras.Model(pixels, layers.Add(name="add")([x, layers.Conv2D(2, 1, name="conv2")(x)]), name=name)


def of_two_networks():
    """Two inputs, each with a network whose layers are called as the other's; and pictures."""
    keras.utils.set_random_seed(0)
    left, right = (keras.Input((None, None, 3), name=name) for name in ("left", "right"))
    x = layers.Concatenate(name="both")([nested("first")(left), nested("second")(right)])
    x = layers.Conv2D(3, 3, strides=2, activation="relu", name="last")(layers.Dropout(0.5, name="dropped")(x))
    model = keras.Model([left, right], layers.Dense(4, name="top")(layers.GlobalAveragePooling2D()(x)))
    random = np.random.default_rng(0)
    return model, [random.random((5, 9, 11, 3)).astype("float32") for _ in range(2)]


def test_any_functional_model_with_networks_in_it_and_several_inputs_is_explained_as_the_equations_say():
    """The classifier is linear, so that the gradient is its kernel."""
    model, pictures = of_two_networks()
    found = grad_cam(model, pictures, batch=2)
    assert found.shape == (5, 9, 11)
    features = np.asarray(keras.Model(model.inputs, model.get_layer("last").output)(pictures))  # 4x5x3
    chosen = np.asarray(model(pictures)).argmax(axis=1)
    kernel = np.asarray(model.get_layer("top").get_weights()[0])
    expected = np.maximum(np.einsum("bhwc,cb->bhw", features, kernel[:, chosen]) / 20, 0)
    np.testing.assert_allclose(found[:, 1:9:2, 1:11:2], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(grad_cam(model, pictures, chosen, "last"), found, atol=1e-7)
    assert grad_cam(model, pictures, layer="dropped").shape == (5, 9, 11)
    for name, told in {
        "conv": "uses 2 layers called 'conv': first/conv, second/conv",
        "second/add": "part of what the classifier sees passes the layer second/add by",
        "conv9": "it has first/conv, first/relu",
    }.items():
        with pytest.raises(ValueError, match=told):
            grad_cam(model, pictures, layer=name)
    with pytest.raises(ValueError, match="2 classes, 5 pictures"):
        grad_cam(model, pictures, [0, 1])
    row = keras.Sequential([keras.Input((9, 9, 3)), nested("inside"), layers.Flatten(), layers.Dense(2)])
    assert GradCam(row).layer == "add"


def test_laid_out_map_has_its_values_at_the_centres_and_fades_within_a_step():
    small = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    large = laid_out(small, (np.array([2.0, 6.0]), np.array([4.0, 8.0])), (16, 16))[0]
    assert [large[2, 4], large[2, 8], large[6, 4], large[6, 8]] == [1, 2, 3, 4]
    assert large[4, 6] == 2.5
    assert not large[10:].any() and not large[:, 12:].any()  # noqa: PT018


ON_ANOTHER_BACKEND = """
import sys
import keras, numpy as np
from saliency_keras.models.grad_cam import grad_cam
folder, backend = sys.argv[1:]
assert keras.backend.backend() == backend
arrays = np.load(f"{folder}/pictures.npz")
flat, nested = (keras.saving.load_model(f"{folder}/{name}.keras", compile=False) for name in ("flat", "nested"))
of_flat = grad_cam(flat, {"image": arrays["image"]}, [0, 1, 2, 1])
of_nested = {name: grad_cam(nested, [arrays["left"], arrays["right"]], layer=name) for name in ("last", "dropped")}
np.savez(f"{folder}/maps.npz", flat=of_flat, **of_nested)
"""


@pytest.mark.backend
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends_give_the_same_maps_of_a_flat_network_and_of_nested_ones_with_two_inputs(
    backend, pictures, tmp_path
):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    flat, (nested, (left, right)) = tiny_network(), of_two_networks()
    flat.save(tmp_path / "flat.keras")
    nested.save(tmp_path / "nested.keras")
    np.savez(tmp_path / "pictures.npz", image=pictures, left=left, right=right)
    subprocess.run(
        [sys.executable, "-c", ON_ANOTHER_BACKEND, str(tmp_path), backend],
        cwd=Path(__file__).parents[2], env={**os.environ, "KERAS_BACKEND": backend}, check=True,
    )  # fmt: skip
    found = np.load(tmp_path / "maps.npz")
    expected = {
        "flat": GradCam(flat)({"image": pictures}, [0, 1, 2, 1]),
        "last": grad_cam(nested, [left, right]),
        "dropped": grad_cam(nested, [left, right], layer="dropped"),
    }
    for name, maps in expected.items():
        np.testing.assert_allclose(found[name], maps, rtol=1e-4, atol=1e-5, err_msg=name)
