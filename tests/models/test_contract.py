"""What every registered network keeps to, whichever paper it is from: one contract for all."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from saliency_keras.experiments import EXPERIMENTS
from saliency_keras.models.network import parts_by_name
from saliency_keras.models.registry import NETWORKS, SALIENCY_NETWORKS, build, build_saliency, shows_map

SMALL = {
    **{"dense_units": 8, "width_multiplier": 0.05, "units": 32, "height": 64, "width": 64},
    **{"classifier_size": 0, "detector": "VGG16"},
}
BACKBONES = {"modulated_resnet": "ResNet50"}  # the smallest there is
AS_THEY_ARE = ("classifier", "classifier_attention", "max_pooled")  # a backbone of Keras has its own width there
OTHERS = {
    "salnet": {"height": 96, "width": 128},
    "juntingnet": {"height": 96, "width": 96, "units": 2304},
    "readout_pointwise": {"levels": "conv_pw_5_relu,conv_pw_11_relu,conv_pw_13_relu"},  # of MobileNet
}
SIDE = 128

# Loads the saved networks in a program that knows Keras alone, and compares what they say.
LOAD = """
import sys, keras, numpy as np
# What the file holds replaces what a network begins with: zeros do, and JAX compiles none of them.
keras.initializers.VarianceScaling.__call__ = lambda self, shape, dtype=None: np.zeros(shape, dtype)
for name in sys.argv[1:]:
    pixels = dict(np.load(f"{name}.npz"))
    said = pixels.pop("said")
    model = keras.saving.load_model(f"{name}.keras", compile=False, safe_mode=True)
    inputs = pixels if isinstance(model.input, dict) else pixels["image"]
    # TensorFlow would compile each network for longer than it computes.
    eager = keras.backend.backend() == "tensorflow"
    found = model(inputs) if eager else model.predict_on_batch(inputs)
    found = found.get("logits", found.get("map")) if isinstance(found, dict) else found
    np.testing.assert_allclose(np.asarray(found), said, rtol=1e-3, atol=1e-4)
print("loaded", len(sys.argv) - 1)
"""


def arguments_of(name):
    """A small network's arguments: those of the first experiment that has it."""
    chosen = next(one for one in EXPERIMENTS.values() if one.network == name)
    given = {**chosen.arguments, **{key: value for key, value in SMALL.items() if key in chosen.arguments}}
    if "backbone" in given:
        given["backbone"] = BACKBONES.get(name, "MobileNet")
    if name in AS_THEY_ARE:
        given["width_multiplier"] = 1.0
    return {**given, **OTHERS.get(name, {})}


def network(name):
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    if name in SALIENCY_NETWORKS:
        return build_saliency(name, arguments_of(name))
    return build(name, arguments_of(name), SIDE, 3, (0.5, 0.4, 0.3, 0.2))


def inputs_of(found, pictures=2):
    random = np.random.default_rng(0)
    if isinstance(found.model.input, dict):
        return {
            name: random.integers(0, 256, (pictures, *tensor.shape[1:]), np.uint8)
            for name, tensor in found.model.input.items()
        }
    return random.integers(0, 256, (pictures, *found.model.input_shape[1:])).astype("float32")


NAMES = [*NETWORKS, *SALIENCY_NETWORKS]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder that collects the saved networks."""
    return tmp_path_factory.mktemp("networks")


@pytest.mark.parametrize("name", NAMES)
def test_a_network_keeps_to_the_contract(name, saved):
    found, again = network(name), network(name)
    parts_of = NETWORKS[name].parts if name in NETWORKS else parts_by_name
    names = [layer.name for layer in found.model.layers]
    assert len(set(names)) == len(names), "names are unique"
    ours = [[one.name for one in model.layers if one.weights] for model in (found.model, again.model)]
    assert ours[0] == ours[1], "the same names whenever it is built"
    assert sum(len(part) for part in found.parts.values()) == len(ours[0]), "parts cover all weights, each once"
    assert {name: set(part) for name, part in found.parts.items()} == {
        part: set(names) for part, names in parts_of(found.model).items()
    }, "a saved run tells the same parts"
    model = found.model  # of several outputs the logits alone
    if isinstance(model.output, dict):
        model = keras.Model(model.input, model.output.get("logits", model.output.get("map")))
    if name in NETWORKS:
        assert found.shows_map == shows_map(name, arguments_of(name))
    inputs = inputs_of(found)
    before = [value.copy() for value in found.model.get_weights()]
    said, classifies = np.asarray(model(inputs)), "logits" in found.outputs
    np.testing.assert_array_equal(said, np.asarray(model(inputs, training=False)), "called so, it is not in training")
    assert all(map(np.array_equal, before, found.model.get_weights()))
    targets = np.array([0, 1]) if classifies else np.random.default_rng(1).random(said.shape)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True) if classifies else "mse"
    trained = keras.Model(model.input, model.output)
    trained.compile(keras.optimizers.SGD(0.01), loss)
    trained.optimizer.build(trained.trainable_variables)  # or the step is traced twice
    assert np.isfinite(trained.train_on_batch(inputs, targets)).all()
    assert any((one != other).any() for one, other in zip(before, found.model.get_weights(), strict=True))
    found.model.save(saved / f"{name}.keras")
    given = inputs if isinstance(inputs, dict) else {"image": inputs}
    np.savez(saved / f"{name}.npz", said=np.asarray(model.predict_on_batch(inputs)), **given)


@pytest.mark.backend
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_saved_networks_load_after_a_bare_import_of_keras(saved, backend):
    pytest.importorskip(backend)
    there = sorted(path.stem for path in saved.glob("*.keras"))
    if not there:
        pytest.skip("the networks are saved by the tests above, which were not chosen")
    done = subprocess.run(
        [sys.executable, "-c", LOAD, *there],
        cwd=saved,
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip().endswith(f"loaded {len(there)}"), done.stderr[-2000:]
