"""Classifier attention: Otsu's mask, both losses and the prediction, against plain numpy and scikit-image."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from saliency_keras.console import UserError
from saliency_keras.models.attention import MASK_LAYER, local_loss, otsu_mask
from saliency_keras.models.network import MAP_LAYER
from saliency_keras.models.registry import build

SMALL = {"backbone": "alexnet", "conv2_padding": "same", "width_multiplier": 0.1, "weight_decay": 0.0}
SIDE, CLASSES = 96, 3
LABELS = np.array([0, 1, 2, 0, 1])


def network(**arguments):
    keras.utils.set_random_seed(0)
    return build("classifier_attention", {**SMALL, "classifiers": 2, **arguments}, SIDE, CLASSES)


def pictures(count=5, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)


def said(found, images):
    return {name: np.asarray(values) for name, values in found.model({"image": images}).items()}


def inner(found, images, *names):
    model = keras.Model(found.model.input, [found.model.get_layer(name).output for name in names])
    return [np.asarray(one) for one in model({"image": images})]


def softmax(values):
    values = np.exp(values - values.max(-1, keepdims=True))
    return values / values.sum(-1, keepdims=True)


def mask_of(values):
    return np.asarray(otsu_mask(np.asarray(values, "float32")[None, ..., None]))[0, ..., 0]


def test_otsus_mask_is_scikit_images():
    filters = pytest.importorskip("skimage.filters", reason="scikit-image is not installed")
    random = np.random.default_rng(1)
    for size in ((4, 4), (7, 7), (14, 14), (14, 9)):
        powers, factors = random.uniform(0.3, 6, (40, 1, 1)), random.uniform(1e-3, 50, (40, 1, 1))
        maps = (random.random((40, *size)) ** powers * factors).astype("float32")
        found = np.asarray(otsu_mask(maps[..., None]))[..., 0] > 0
        np.testing.assert_array_equal(found, [values > filters.threshold_otsu(values) for values in maps])


def test_a_map_without_a_threshold_has_a_mask_of_ones():
    for value in (0.0, 0.25, -3.0):
        assert mask_of(np.full((4, 4), value)).min() == 1
    two = np.array([[0.1, 0.1], [0.9, 0.1]])
    np.testing.assert_array_equal(mask_of(two), two > 0.5)


def numpy_local_loss(labels, logarithms, mask):
    """Equation 2, place by place."""
    found = []
    for label, of_picture, seen in zip(labels, logarithms, mask, strict=True):
        share, attended, background = seen.mean(), 0.0, 0.0
        for row, column in np.ndindex(seen.shape):
            if seen[row, column]:
                attended -= of_picture[row, column, label]
            else:
                background -= of_picture[row, column, -1]
        found.append(((1 - share) * attended + share * background) / seen.size)
    return found


def test_the_local_loss_is_equation_2_and_0_for_an_empty_and_a_full_mask():
    random = np.random.default_rng(0)
    logarithms = np.log(softmax(random.normal(size=(4, 3, 5, CLASSES + 1)))).astype("float32")
    mask = (random.random((4, 3, 5)) < 0.4).astype("float32")
    mask[2], mask[3] = 0, 1
    labels = np.array([0, 2, 1, 1])
    found = np.asarray(local_loss(labels, np.concatenate([logarithms, mask[..., None]], axis=-1)))
    np.testing.assert_allclose(found, numpy_local_loss(labels, logarithms, mask), rtol=1e-5)
    np.testing.assert_array_equal(found[2:], 0)
    assert found[:2].min() > 0


@pytest.mark.parametrize("aggregate", ["logits", "probs"])
@pytest.mark.parametrize("attention_from", ["probs", "logits"])
def test_outputs_are_those_of_plain_numpy(aggregate, attention_from):
    found, images = network(aggregate=aggregate, attention_from=attention_from), pictures()
    outputs = said(found, images)
    features, of_each, attention, mask = inner(found, images, "relu5", "by_classifier", MAP_LAYER, MASK_LAYER)
    kernel, bias = found.model.get_layer("local_classifiers").get_weights()
    volumes = (features @ kernel[0, 0] + bias).reshape(*features.shape[:3], 2, CLASSES + 1)
    np.testing.assert_allclose(of_each, volumes, atol=1e-4)
    activations = volumes.max(3) if aggregate == "logits" else softmax(volumes).max(3)
    probs = softmax(activations) if aggregate == "logits" else activations
    shown = (probs if attention_from == "probs" else activations)[..., :CLASSES].max(-1)
    np.testing.assert_allclose(attention[..., 0], shown, atol=1e-4)
    for one, seen in zip(attention[..., 0], mask[..., 0], strict=True):
        np.testing.assert_array_equal(seen, mask_of(one))
    np.testing.assert_allclose(outputs["locations"][..., :-1], np.log(probs), atol=1e-4)
    np.testing.assert_array_equal(outputs["locations"][..., -1], mask[..., 0])
    local = probs[..., :CLASSES].mean((1, 2))
    local /= local.sum(1, keepdims=True)
    kernel, bias = found.model.get_layer("object_classifier").get_weights()
    logits = (features * mask).max((1, 2)) @ kernel + bias
    np.testing.assert_allclose(outputs["object"], logits, atol=1e-4)
    np.testing.assert_allclose(np.exp(outputs["local"]), local, atol=1e-5)
    np.testing.assert_allclose(np.exp(outputs["logits"]), (local + softmax(logits)) / 2, atol=1e-5)
    np.testing.assert_allclose(found.probabilities(outputs), (local + softmax(logits)) / 2, atol=1e-5)


@pytest.mark.parametrize(("levels", "output"), [("local", "local"), ("object", "object")])
def test_a_prediction_can_rest_on_one_level_alone(levels, output):
    outputs = said(network(levels=levels), pictures())
    np.testing.assert_allclose(np.exp(outputs["logits"]), softmax(outputs[output]), atol=1e-6)


def test_the_mean_of_logits_is_another_local_prediction():
    found, images = network(local_prediction="mean_of_logits"), pictures()
    activations = inner(found, images, "by_classifier", MAP_LAYER)[0].max(3)
    expected = softmax(activations[..., :CLASSES].mean((1, 2)))
    np.testing.assert_allclose(np.exp(said(found, images)["local"]), expected, atol=1e-5)


def test_one_local_classifier_without_a_mask_is_a_plain_classifier():
    attending, plain = network(classifiers=1, mask="none", levels="object"), build("max_pooled", SMALL, SIDE, CLASSES)
    for layer in plain.model.layers:
        if layer.weights:
            layer.set_weights(attending.model.get_layer(layer.name).get_weights())
    logits = np.asarray(plain.model({"image": pictures()}))
    outputs = said(attending, pictures())
    np.testing.assert_allclose(outputs["object"], logits, atol=1e-5)
    np.testing.assert_allclose(np.exp(outputs["logits"]), softmax(logits), atol=1e-6)
    assert plain.outputs == ("logits",)
    assert plain.map is None
    np.testing.assert_array_equal(local_loss(np.zeros(5, int), outputs["locations"]), 0)


def test_no_gradient_goes_through_the_mask():
    """The object's loss does not move the local classifiers, whose mask it uses."""
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        pytest.skip("the gradient is taken by TensorFlow")
    found = network()
    with tf.GradientTape() as tape:
        outputs = found.model({"image": pictures()})
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(LABELS, outputs["object"])
    wanted = [found.model.get_layer(name).kernel.value for name in ("local_classifiers", "object_classifier", "conv1")]
    local, of_object, first = tape.gradient(loss, wanted)
    assert local is None
    assert np.abs(of_object).max() > 0
    assert np.abs(first).max() > 0


def test_features_that_are_the_same_everywhere_give_no_nan():
    outputs = said(network(), np.zeros((2, SIDE, SIDE, 3), np.uint8))
    assert all(np.isfinite(values).all() for values in outputs.values())


def test_parts_are_strides_and_both_classifiers():
    parts = network().parts
    assert set(parts["top"]) == {"local_classifiers", "object_classifier"}
    assert [name for name in parts if name.startswith("stride")] == ["stride4", "stride8", "stride16"]
    resnet = build("classifier_attention", {"backbone": "ResNet50", "classifiers": 1}, 64, 2)
    assert [name for name in resnet.parts if name.startswith("stride")] == [f"stride{2**n}" for n in range(1, 6)]
    for stride, stage in ((2, "conv1"), (4, "conv2"), (8, "conv3"), (16, "conv4"), (32, "conv5")):
        assert all(name.startswith(stage) for name in resnet.parts[f"stride{stride}"])
    heads = 2 * (2048 * 3 + 3) // 2 + 2048 * 2 + 2
    assert resnet.model.count_params() == 23_587_712 + heads


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"mask": "round"}, "mask is otsu or none"),
        ({"classifiers": 0}, "classifiers must be 1 or more"),
        ({"margin": 1.5}, "margin"),
        ({"backbone": "ResNet51"}, "backbone is alexnet or one of VGG16"),
    ],
)
def test_arguments_that_it_cannot_have_are_refused_in_a_sentence(arguments, sentence):
    with pytest.raises(UserError, match=sentence):
        network(**arguments)


@pytest.mark.backend
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_it_is_so_on_other_backends(backend):
    pytest.importorskip(backend)
    if keras.backend.backend() == backend:
        pytest.skip("this is the backend that the other tests run on")
    tests = "scikit or equation or (numpy and logits) or plain"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__, "-k", tests]
    done = subprocess.run(command, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
