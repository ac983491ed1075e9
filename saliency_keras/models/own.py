"""A network of one's own as an experiment's: a function that builds a Keras model, by the name `module:function`.

    def build(classes, side, filters=32):
        image, saliency = keras.Input((side, side, 3), name="image"), keras.Input((side, side, 1), name="saliency")
        …
        return keras.Model([image, saliency], logits)

The model takes plain pixels, 0 to 255, as the inputs `image` and, if it is to be shown the map, `saliency`; it gives
logits `(classes,)`, or a dictionary with an output `logits`. The function's further arguments, which have defaults, are
settings of the experiment (`--set filters=64`). Layers whose names end in `_saliency` are the part `saliency`.

The module is imported where its user names it; a run folder never makes a program import anything. A trained network
of Keras' own layers is loaded without it.
"""

import importlib
import importlib.util
import inspect
import json
import os
import sys
from pathlib import Path

import keras
from keras import layers

from saliency_keras.console import UserError, did_you_mean
from saliency_keras.models.network import Network, parts_by_name

GIVEN = ("classes", "side", "mean")  # what the program tells the function, as far as it asks
PROBED = (128, 224, 96, 64, 32)  # sides at which a network is built to see which inputs it has
FUNCTIONS = {}  # from `module:function` to the function
_shows_map = {}  # from a name and arguments to whether the network has an input for the map


def is_own(network):
    """Whether a network's name, or what is given in its place, is one's own."""
    return callable(network) or (isinstance(network, str) and ":" in network)


def register(given):
    """Makes a function known as a network.

    Args:
        given: The function, or `"module:function"`; the module may be the path of a `.py` file.

    Returns:
        Its name, `"module:function"`, and its arguments with their defaults, a dictionary.

    Raises:
        UserError: If there is no such function, or it cannot be called with the number of classes and the side.
    """
    function = given if callable(given) else _imported(given)
    name = f"{function.__module__}:{getattr(function, '__qualname__', type(function).__name__)}"
    parameters = inspect.signature(function).parameters.values()
    named = [one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    missing = {"classes", "side"} - {one.name for one in named}
    needed = [one.name for one in named if one.default is one.empty and one.name not in GIVEN]
    if missing or needed or len(named) < len(list(parameters)):
        raise UserError(
            f"{name} must take `classes` and `side`, and defaults for all else. Received: {inspect.signature(function)}"
        )
    arguments = {one.name: one.default for one in named if one.name not in GIVEN}
    try:
        json.dumps(arguments)
    except TypeError:
        raise UserError(f"the defaults of {name} must be numbers, texts, lists or None, to be settings.") from None
    FUNCTIONS[name] = function
    return name, arguments


def build(network, arguments, side, classes, mean=None):
    """Builds a network of one's own; arguments and result are those of `registry.build`.

    Raises:
        UserError: If what the function gives is no network that can be trained here.
    """
    if network not in FUNCTIONS:
        raise UserError(f"the network {network} is not known here; name it to `train`, or give it to `sk.fit`.")
    function = FUNCTIONS[network]
    asked = inspect.signature(function).parameters
    given = {name: value for name, value in {"classes": classes, "side": side, "mean": mean}.items() if name in asked}
    if mean is not None and "mean" not in asked:
        raise UserError(f"{network} takes no `mean`, so nothing would subtract it; leave subtract_mean=false.")
    model = function(**given, **arguments)
    if not isinstance(model, keras.Model) or not hasattr(model, "operations"):
        raise UserError(f"{network} must give a Functional keras.Model. Received: {type(model).__name__}")
    inputs = {tensor.name: tensor for tensor in model.inputs}
    shapes = {"image": 3, "saliency": 1}
    if "image" not in inputs or set(inputs) - set(shapes):
        raise UserError(f"the inputs of {network} are `image` and perhaps `saliency`. Received: {', '.join(inputs)}")
    for name, tensor in inputs.items():
        wanted = (side, side, shapes[name])
        if any(have not in (None, want) for have, want in zip(tensor.shape[1:], wanted, strict=True)):
            raise UserError(
                f"the input `{name}` of {network} must have the shape {wanted}. Received: {tuple(tensor.shape[1:])}"
            )
    logits = _logits(network, model, classes)
    _check_layers(network, model)
    wrapped = keras.Model(inputs, logits, name=model.name)
    return Network(wrapped, parts_by_name(wrapped))


def shows_map(network, arguments):
    """Whether a network of one's own has an input for the map; it is built once to see that."""
    key = network, json.dumps(arguments, sort_keys=True)
    if key not in _shows_map:
        _shows_map[key] = _probe(network, arguments).shows_map
    return _shows_map[key]


def _probe(network, arguments):
    """The network, built at the first of some sides at which it can be."""
    for side in PROBED[:-1]:
        try:
            return build(network, arguments, side, 10)
        except UserError:
            raise
        except Exception:  # whatever Keras raises of a layer that does not fit
            continue
    return build(network, arguments, PROBED[-1], 10)


def _logits(network, model, classes):
    outputs = model.output
    if isinstance(outputs, dict):
        if "logits" not in outputs:
            raise UserError(f"one output of {network} must be called `logits`. Received: {', '.join(outputs)}")
        outputs = outputs["logits"]
    if isinstance(outputs, list | tuple) or tuple(outputs.shape[1:]) != (classes,):
        shape = [tuple(one.shape[1:]) for one in model.outputs]
        raise UserError(f"{network} must give one logit for each of {classes} classes. Received: outputs of {shape}")
    last = next(one for one in model.operations if any(out is outputs for out in keras.tree.flatten(one.output)))
    softmax = isinstance(last, layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax
    if softmax:
        raise UserError(f"{network} must give logits: leave the softmax of {last.name} out.")
    if keras.backend.standardize_dtype(outputs.dtype) != "float32":
        outputs = layers.Activation("linear", dtype="float32", name="logits_float32")(outputs)
    return outputs


def _check_layers(network, model):
    """Refuses what could be trained and never be loaded again."""
    for one in model.layers:
        if isinstance(one, keras.Model):
            _check_layers(network, one)
        elif isinstance(one, layers.Lambda):
            raise UserError(
                f"{network} has the Lambda layer {one.name}, with which a saved network cannot be loaded safely; use "
                "keras.ops, or a class of layer with `keras.saving.register_keras_serializable`."
            )


def _imported(word):
    """The function that `module:function` or `file.py:function` names."""
    place, _, function = word.rpartition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as `python -m` does, for the entry point
    try:
        module = _from_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name != place.partition(".")[0] and error.name != place:
            raise
        raise UserError(f"there is no module {place}; name it as Python imports it, or as a file {place}.py.") from None
    if not callable(getattr(module, function, None)):
        functions = [name for name, one in vars(module).items() if callable(one)]
        raise UserError(f"{place} has no function {function}{did_you_mean(function, functions)}")
    return getattr(module, function)


def _from_file(path):
    if not path.is_file():
        raise UserError(f"there is no file {path}.")
    name = path.stem
    loaded = sys.modules.get(name)
    if loaded is not None and Path(getattr(loaded, "__file__", None) or "").resolve() == path.resolve():
        return loaded
    found = loaded or importlib.util.find_spec(name)
    if found is not None and Path(getattr(found, "origin", None) or "").resolve() != path.resolve():
        raise UserError(f"the name of {path} is that of another module; give the file another name.")
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
