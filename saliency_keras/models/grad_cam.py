"""Grad-CAM: which places of a picture a classifier's choice rests on.

Selvaraju et al. 2017, §3: the feature maps A of a convolutional layer are added up. The weight of each is the mean
gradient of the class's logit over its positions (Eq. 1). Negative sums are set to zero (Eq. 2). The layer is the last
convolutional one by default, "the best compromise between high-level semantics and detailed spatial
information". Its positions are laid over the picture where their receptive fields have their centres
(`receptive_fields`). Drawing is `figures`'.

`grad_cam` is for any Functional model: of several inputs, of any size, with networks within it. Such a model is run
operation by operation here, so that a layer of an inner network is a layer like any other.
"""

import dataclasses

import keras
import numpy as np
from keras import layers, ops

from saliency_keras.models.receptive_fields import centres_along, laid_out

POOLINGS = (layers.MaxPooling2D, layers.AveragePooling2D, layers.GlobalMaxPooling2D, layers.GlobalAveragePooling2D)
NOT_FEATURES = (layers.InputLayer, layers.Rescaling)
OPEN = 96  # pixels along a side for which a network of open size is looked at first


def grad_cam(model, inputs, classes=None, layer=None, output=None, batch=32):
    """Grad-CAM of pictures, for any Functional Keras model.

    Args:
        model: A Functional or Sequential `keras.Model`, perhaps with networks within it, that ends in a score for each
            class.
        inputs: What the model takes: an array, a list or a dictionary of arrays, pictures along the first axis.
        classes: int array `(pictures,)`, the class to explain of each picture; `None` for the one with the highest
            score.
        layer: Name of the layer whose features are weighted, of a layer of an inner network perhaps as `INNER/NAME`;
            `None` for the last convolutional one that all goes through.
        output: Name or place of the output with the scores, where the model has several; `None` for `logits`.
        batch: Pictures that are computed at once.

    Returns:
        float32 array `(pictures, height, width)`, of the size of the input that the layer sees, not negative; zero
        everywhere where nothing speaks for the class.

    Raises:
        ValueError: If there is no such layer or output, the layer has no positions, or part of what the classifier
            sees passes it by.
    """
    found = GradCam(model, layer, output)
    count = len(keras.tree.flatten(inputs)[0])
    if classes is not None and len(classes) != count:
        raise ValueError(f"there must be a class for each picture. Received: {len(classes)} classes, {count} pictures")
    maps = []
    for start in range(0, count, batch):
        part = slice(start, start + batch)
        some = keras.tree.map_structure(lambda array, part=part: array[part], inputs)
        maps.append(found(some, None if classes is None else classes[part]))
    return np.concatenate(maps)


class GradCam:
    """Grad-CAM of one network at one layer.

    Args:
        model: As for `grad_cam`.
        layer: As for `grad_cam`.
        output: As for `grad_cam`.

    Raises:
        ValueError: As `grad_cam`.
    """

    def __init__(self, model, layer=None, output=None):
        self._model, self._scores = model, _output_of(model, output)
        trace = _Trace(model, self._scores, _blank(model))
        self._place = trace.place_of(layer) if layer else trace.last_convolution()
        self._after = trace.after(self._place)
        self.layer = layer or trace.calls[self._place].operation.name
        self._sizes = None

    def __call__(self, inputs, classes=None):
        """Maps of a batch; arguments and result as for `grad_cam`."""
        inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
        self._look_at_sizes(inputs)
        made = []

        def remembered(name, operation, *arguments, **keywords):
            made.append(operation(*arguments, **keywords))
            return made[-1]

        scores = self._scores(_run(self._model, inputs, remembered))
        if classes is None:
            classes = ops.convert_to_numpy(ops.argmax(scores, axis=-1))
        chosen = ops.one_hot(ops.convert_to_tensor(np.asarray(classes, "int32")), scores.shape[-1])
        features = ops.cast(made[self._place], "float32")

        def scores_from(features):
            """The scores if the layer made these features; all that does not see them is taken as it was made."""
            places = iter(range(len(made)))

            def call(name, operation, *arguments, **keywords):
                place = next(places)
                if place == self._place:
                    return ops.cast(features, made[place].dtype)
                return operation(*arguments, **keywords) if place in self._after else made[place]

            return self._scores(_run(self._model, inputs, call))

        _, gradient = outputs_and_gradient(scores_from, features, lambda x: ops.sum(ops.cast(x, "float32") * chosen))
        weights = ops.mean(gradient, axis=(1, 2), keepdims=True)  #  (B, 1, 1, c)
        small = ops.relu(ops.sum(weights * features, axis=-1))  #    (B, h, w)
        return laid_out(ops.convert_to_numpy(small), self._centres, self._size)

    def _look_at_sizes(self, inputs):
        """Finds where the layer's positions lie in pictures of these sizes."""
        sizes = [one.shape[1:] for one in keras.tree.flatten(inputs)]
        if sizes != self._sizes:
            one = keras.tree.map_structure(lambda array: array[:1], inputs)
            self._centres, self._size = _Trace(self._model, self._scores, one).centres(self._place)
            self._sizes = sizes


def last_convolution(model):
    """Name of the last layer with positions, except for poolings, that all features of the classifier pass through."""
    return GradCam(model).layer


@dataclasses.dataclass(frozen=True)
class _Call:
    """One operation of a run: what went in and came out, and its name with the inner networks that it lies in."""

    operation: object
    inputs: list
    outputs: list
    name: str

    @property
    def shape(self):
        return tuple(self.outputs[0].shape)

    @property
    def has_positions(self):
        return len(self.outputs) == 1 and len(self.shape) == 4 and not isinstance(self.operation, NOT_FEATURES)


class _Trace:
    """What a model does with one picture, operation by operation."""

    def __init__(self, model, scores, inputs):
        self.calls, self._model, self._made_by = [], model, {}
        inputs = keras.tree.map_structure(ops.convert_to_tensor, inputs)
        self._inputs = {id(one): one for one in keras.tree.flatten(inputs)}
        self._scores = scores(_run(model, inputs, self._call))

    def _call(self, name, operation, *arguments, **keywords):
        given = [one for one in keras.tree.flatten([arguments, keywords]) if ops.is_tensor(one)]
        outputs = operation(*arguments, **keywords)
        if any(outputs is one for one in given):  # such as dropout: it needs a tensor of its own to be told apart
            outputs = ops.copy(outputs)
        flat = keras.tree.flatten(outputs)
        self._made_by |= {id(one): len(self.calls) for one in flat}
        self.calls.append(_Call(operation, given, flat, name))
        return outputs

    def place_of(self, layer):
        """The place among the calls of the layer of that name."""
        found = [place for place, one in enumerate(self.calls) if layer in (one.name, one.operation.name)]
        if not found and layer in {one.name for one in self._model.inputs}:
            raise ValueError(f"{layer} is an input of the network; choose one of {self._names()}")
        if not found:
            raise ValueError(f"the network {self._model.name} has no layer {layer!r}; it has {self._names()}")
        if len(found) > 1:
            ways = ", ".join(dict.fromkeys(self.calls[place].name for place in found))
            raise ValueError(f"the network {self._model.name} uses {len(found)} layers called {layer!r}: {ways}")
        if not self.calls[found[0]].has_positions:
            raise ValueError(f"the layer {layer} has no positions; choose one of {self._names()}")
        if self._is_passed_by(found[0]):
            raise ValueError(f"part of what the classifier sees passes the layer {layer} by; choose a later one")
        return found[0]

    def last_convolution(self):
        """The place of the last layer with positions, except for poolings, that all goes through."""
        for place, one in reversed(list(enumerate(self.calls))):
            features = isinstance(one.operation, layers.Layer) and not isinstance(one.operation, POOLINGS)
            if features and one.has_positions and np.prod(one.shape[1:3]) > 1 and not self._is_passed_by(place):
                return place
        raise ValueError(f"the network {self._model.name} has no convolutional layer that all goes through")

    def after(self, place):
        """The places of all calls that see what the one at that place makes."""
        found, seen = set(), {id(one) for one in self.calls[place].outputs}
        for later in range(place + 1, len(self.calls)):
            if any(id(one) in seen for one in self.calls[later].inputs):
                found.add(later)
                seen |= {id(one) for one in self.calls[later].outputs}
        return found

    def centres(self, place):
        """Where the positions lie in the picture that a layer sees, and that picture's size."""
        way, tensor = self._way_to_an_input(self.calls[place].outputs[0])
        size = tuple(tensor.shape[1:3])
        return centres_along([(one.operation, one.shape) for one in way], size), size

    def _way_to_an_input(self, tensor):
        """The calls from an input with positions to a tensor, in order, and that input."""
        left, seen = [(tensor, [])], set()
        while left:
            tensor, way = left.pop()
            if id(tensor) in self._inputs and len(tensor.shape) == 4:
                return way, tensor
            if id(tensor) in self._made_by and id(tensor) not in seen:
                seen.add(id(tensor))
                one = self.calls[self._made_by[id(tensor)]]
                left += [(before, [one, *way]) for before in reversed(one.inputs)]
        raise ValueError(f"the network {self._model.name} has no picture among its inputs")

    def _is_passed_by(self, place):
        """Whether a way from an input to the scores goes past a call."""
        left, seen = [self._scores], {id(one) for one in self.calls[place].outputs}
        while left:
            tensor = left.pop()
            if id(tensor) in self._inputs:
                return True
            if id(tensor) in self._made_by and id(tensor) not in seen:
                seen.add(id(tensor))
                left += self.calls[self._made_by[id(tensor)]].inputs
        return False

    def _names(self):
        return ", ".join(one.name for one in self.calls if one.has_positions)


def _run(model, inputs, call, inside=""):
    """Runs a model operation by operation, in the order of its graph, inner networks too.

    Args:
        model: A Functional or Sequential model.
        inputs: What it takes.
        call: Function `(name, operation, *arguments, **keywords)` to what the operation makes of them; its name has
            those of the networks that it lies in before it.
        inside: Names of the networks that this one lies in, each with a slash behind it.

    Returns:
        Its outputs.

    Raises:
        ValueError: If it is another kind of model.
    """

    def of_one(operation, *arguments, **keywords):
        if isinstance(operation, keras.Model):
            return _run(operation, arguments[0], call, f"{inside}{operation.name}/")
        return call(f"{inside}{operation.name}", operation, *arguments, **keywords)

    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            inputs = of_one(layer, inputs)
        return inputs
    if not hasattr(model, "_nodes_by_depth"):
        raise ValueError(f"{model.name} is no Functional model, so its layers are not known")
    if isinstance(inputs, dict) and isinstance(model.input, dict):
        inputs = [inputs[name] for name in model.input]
    known = dict(zip(map(id, keras.tree.flatten(model.input)), keras.tree.flatten(inputs), strict=True))
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            arguments, keywords = node.arguments.fill_in(known)
            made = keras.tree.flatten(of_one(node.operation, *arguments, **keywords))
            known |= dict(zip(map(id, node.outputs), made, strict=True))
    return keras.tree.map_structure(lambda one: known[id(one)], model.output)


def _blank(model):
    """A black picture of each input."""
    return keras.tree.map_structure(
        lambda one: np.zeros([1, *(length or OPEN for length in one.shape[1:])], one.dtype),
        model.inputs[0] if isinstance(model, keras.Sequential) else model.input,
    )


def _output_of(model, name):
    """Function from what a model gives to the scores of its classes."""
    outputs = model.outputs[0] if isinstance(model, keras.Sequential) else model.output
    if isinstance(outputs, dict):
        name = "logits" if name is None else name
        if name not in outputs:
            raise ValueError(f"the network {model.name} has no output {name!r}; it has {', '.join(outputs)}")
        return lambda made: made[name]
    if isinstance(outputs, list | tuple):
        if len(outputs) > 1 and name is None:
            raise ValueError(f"the network {model.name} has {len(outputs)} outputs; say which one: output=0")
        return lambda made: made[name or 0]
    return lambda made: made


def outputs_and_gradient(function, x, score, variables=()):
    """What a function gives at `x`, and the gradient of a score of that; the one thing that each backend does its way.

    Both can be differentiated again, which a loss on gradients needs.

    Args:
        function: Function of a tensor, such as a model.
        x: The tensor.
        score: Function of what `function` gives to a number.
        variables: All variables of a function that changes some, such as a model in training does its statistics.

    Returns:
        The outputs, and the gradient in the shape of `x`.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = function(x)
            value = score(outputs)
        return outputs, tape.gradient(value, x)
    if backend == "jax":
        return _by_jax(function, x, score, variables)
    import torch

    with torch.enable_grad():
        x = x if x.requires_grad else x.detach().requires_grad_()
        outputs = function(x)
        return outputs, torch.autograd.grad(score(outputs), x, create_graph=True)[0]


def _by_jax(function, x, score, variables):
    """JAX differentiates functions without state: the variables' values go in, and come out, by hand."""
    import jax

    changing = [one for one in variables if not one.trainable]

    def scored(x):
        if not variables:
            outputs = function(x)
            return score(outputs), (outputs, [])
        with keras.StatelessScope(state_mapping=[(one, one.value) for one in variables]) as scope:
            outputs = function(x)
        return score(outputs), (outputs, [scope.get_current_value(one) for one in changing])

    gradient, (outputs, values) = jax.grad(scored, has_aux=True)(x)
    for variable, value in zip(changing, values, strict=True):
        variable.assign(value)
    return outputs, gradient
