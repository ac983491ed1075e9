"""Guided losses and their gradients against numpy in double precision, for whichever backend Keras runs on.

A program of its own, so that the tests run it on each backend: it ends with an error where anything differs.
"""

import sys
from unittest import mock

import keras
import numpy as np
from keras import layers

from saliency_keras.models import guidance
from saliency_keras.models.guidance import LABEL, LOGITS, MAP, guided
from saliency_keras.models.losses import GUIDING
from saliency_keras.models.network import network_of
from saliency_keras.training.tasks.joint import map_loss

SIDE, CLASSES, RATE = 7, 3, 0.01
WEIGHTS = {"right_reasons": 1e4}  # its map's loss is that small here
WEIGHT = 5.0  # of the others
CASES = (
    ("cam", "spanned"),
    ("gradient", "outside"),
    ("gradient", "right_reasons"),
    ("activation", "transfer"),
    ("branch", "squared"),
)


def tiny_network(attention_branch=False):
    """The classifier with global average pooling, on the features of one convolution."""
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255, name="image_scaled")(image)
    stage = layers.Conv2D(2, 3, strides=2, activation="tanh", name="stage")  # 3x3x2
    with mock.patch.object(guidance, "backbone_features", lambda image, *_: stage(image)):
        outputs = guidance.classifier(x, None, CLASSES, None, "one convolution", attention_branch)
    model = keras.Model({"image": image}, outputs)
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=weight.shape) for weight in model.get_weights()])
    return network_of(model)


def attention(features, kernel, bias, kernel2, bias2):
    """The map of the attention branch: `(3, 3, 2)` to `(3, 3)`."""
    padded = np.pad(features, ((1, 1), (1, 1), (0, 0)))
    windows = np.array([[padded[r : r + 3, c : c + 3] for c in range(3)] for r in range(3)])
    hidden = np.maximum(np.tensordot(windows, kernel, 3) + bias, 0)  # (3, 3, 1)
    return 1 / (1 + np.exp(-(hidden @ kernel2[0, 0] + bias2)[..., 0]))


def by_hand(method, loss, weights, pictures, labels, maps):
    """Cross-entropy plus the map's weighted loss, everything written out."""
    kernel, bias, *branch, kernel2, bias2 = weights
    losses, of_maps = [], []
    for picture, label, target in zip(pictures / 255, labels, maps, strict=True):
        windows = np.array([[picture[2 * r : 2 * r + 3, 2 * c : 2 * c + 3] for c in range(3)] for r in range(3)])
        features = np.tanh(np.tensordot(windows, kernel, 3) + bias)  # (3, 3, 2)
        if method == "branch":
            found = attention(features, *branch)
            features = features * (1 + found[..., None])
        logits = features.mean(axis=(0, 1)) @ kernel2 + bias2
        log_p = logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
        losses.append(-log_p[label])
        if not target.any():
            continue
        t = target / target.max()
        if method == "cam":
            found = features @ kernel2[:, label] / 9  # Zhou et al. 2016, up to a factor
            found = (found - found.min()) / (found.max() - found.min())
            of_maps.append(np.mean((found - t) ** 2))
        elif method == "activation":
            found = (features**2).sum(axis=-1)
            of_maps.append(np.sum((found / np.linalg.norm(found) - t / np.linalg.norm(t)) ** 2))
        elif method == "branch":
            of_maps.append(np.mean((found - t) ** 2))
        else:
            towards = (1 - CLASSES * np.exp(log_p)) @ kernel2.T / 9 * (1 - features**2)
            gradient = np.zeros_like(picture)
            for r in range(3):
                for c in range(3):
                    gradient[2 * r : 2 * r + 3, 2 * c : 2 * c + 3] += kernel @ towards[r, c]
            found = (gradient**2).sum(axis=-1)
            missed = (1 - t) * found
            of_maps.append(missed.sum() / found.sum() if loss == "outside" else missed.mean())
    return np.mean(losses) + WEIGHTS.get(loss, WEIGHT) * np.mean(of_maps)


def differences(function, weights, step=1e-6):
    """The gradient of a function of arrays, by differences."""
    found = []
    for place, array in enumerate(weights):
        gradient = np.zeros_like(array)
        for index in np.ndindex(*array.shape):
            ends = []
            for sign in (1, -1):
                moved = [one.copy() for one in weights]
                moved[place][index] += sign * step
                ends.append(function(moved))
            gradient[index] = (ends[0] - ends[1]) / (2 * step)
        found.append(gradient)
    return found


def compiled(model, maps, loss, weight):
    losses = {LOGITS: keras.losses.SparseCategoricalCrossentropy(from_logits=True), **dict.fromkeys(maps, loss)}
    weights = {LOGITS: 1.0, **dict.fromkeys(maps, weight)}
    model.compile(keras.optimizers.SGD(RATE), losses, loss_weights=weights)
    return model


def check_against_numpy(method, loss):
    random = np.random.default_rng(1)
    pictures, labels = random.integers(0, 256, (4, SIDE, SIDE, 3), np.uint8), np.array([0, 2, 1, 1], "int32")
    network = tiny_network(attention_branch=method == "branch")
    _, model, centres = guided(network, method, () if method in ("gradient", "branch") else ("stage",))
    assert list(centres) == [MAP]
    maps = random.integers(0, 256, (4, *((SIDE, SIDE) if method == "gradient" else (3, 3)))).astype("float32")
    maps[2] = 0  # of this one there is none
    start = [one.astype("float64") for one in network.model.get_weights()]

    def whole(weights):
        return by_hand(method, loss, weights, pictures.astype("float64"), labels, maps.astype("float64"))

    compiled(model, centres, map_loss(loss, GUIDING), WEIGHTS.get(loss, WEIGHT))
    inputs = {"image": pictures, **({LABEL: labels} if LABEL in model.input else {})}
    told = model.train_on_batch(inputs, {LOGITS: labels, MAP: maps[..., None]}, return_dict=True)["loss"]
    np.testing.assert_allclose(float(told), whole(start), rtol=1e-5)
    moved = network.model.get_weights()
    for before, after, expected in zip(start, moved, differences(whole, start), strict=True):
        np.testing.assert_allclose((before - after) / RATE, expected, rtol=2e-3, atol=2e-3 * abs(expected).max())
    # What the network says afterwards needs neither a label nor a map.
    assert list(network.model.input) == ["image"]


def network_with_state():
    """Batch normalisation and dropout behind the stage, and a weight penalty."""
    keras.utils.set_random_seed(3)
    image = keras.Input((SIDE, SIDE, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255, name="image_scaled")(image)
    x = layers.Conv2D(2, 3, name="stage", kernel_regularizer=keras.regularizers.L2(0.1))(x)
    x = layers.Dropout(0.4, seed=1, name="dropped")(layers.BatchNormalization(momentum=0.5, name="bn")(x))
    x = layers.GlobalAveragePooling2D(name="pooled")(x)
    return network_of(keras.Model({"image": image}, layers.Dense(CLASSES, name="predictions")(x)))


def check_statistics():
    """Through the explained run, batch normalisation, dropout and penalty do what they do in the plain network."""
    random = np.random.default_rng(2)
    pictures, labels = random.integers(0, 256, (4, SIDE, SIDE, 3), np.uint8), np.array([0, 2, 1, 1], "int32")
    ends = {}
    for method, loss in {"plain": "", "cam": "spanned", "gradient": "outside"}.items():
        network = network_with_state()
        if method == "plain":
            model = keras.Model(network.model.input, network.model.output)
            model.compile(keras.optimizers.SGD(RATE), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
            inputs, targets = {"image": pictures}, labels
        else:
            _, model, centres = guided(network, method, ("stage",) if method == "cam" else ())
            compiled(model, centres, map_loss(loss, GUIDING), 0.0)
            inputs = {"image": pictures, LABEL: labels}
            targets = {LOGITS: labels, MAP: random.random((4, *model.output[MAP].shape[1:])).astype("float32")}
        told = [float(np.ravel(model.train_on_batch(inputs, targets))[0]) for _ in range(2)]
        ends[method] = told, network.model.get_weights()
    for method in ("cam", "gradient"):
        np.testing.assert_allclose(ends[method][0], ends["plain"][0], rtol=1e-5)
        for one, other in zip(ends[method][1], ends["plain"][1], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


if __name__ == "__main__":
    assert keras.backend.backend() == sys.argv[1]
    for case in CASES:
        check_against_numpy(*case)
    check_statistics()
