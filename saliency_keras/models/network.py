"""A network as the rest of the program sees it: named inputs and outputs, named parts, and the map that it makes.

Parts say which layers take their weights from which run, keep them, or learn at another rate. They cover all layers
with weights, each once, in the order of the model's layers:

    saliency   layers of a saliency branch (their names end in `_saliency`)
    new_channel   layers that bring a map into a network that saw colours alone (their names end in `_new_channel`)
    backbone   a network within the network, such as the classifier under a read-out
    dense      dense layers before the last
    top        the last layer with weights
    trunk      everything else

A network with other parts says so in `models.registry`. `PART:NAME`, such as `trunk:conv2`, are those layers of a part
whose names begin with NAME.
"""

import dataclasses
import functools

import keras
from keras import layers, ops

from saliency_keras.console import UserError
from saliency_keras.models.receptive_fields import laid_out, receptive_centres

BRANCH = "_saliency"  # the layers of a saliency branch end in it
NEW_CHANNEL = "_new_channel"  # so do those of an input channel that is new
MAP_LAYER = "saliency_map"  # the layer whose output is the map that a network makes
MAP_MEETS_FEATURES = "modulation"  # the layer in which that map is used


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """A built network.

    Attributes:
        model: `keras.Model` from inputs by name (`image`, and `saliency` where it is shown a map) to one output or to
            a dictionary of outputs by name.
        parts: From a part's name to the names of its layers with weights, in the model's order.
        output: Name of the model's output where it has one only.
        given: Names of the layers whose weights were trained before it was built, such as those of a backbone.
    """

    model: keras.Model
    parts: dict[str, tuple[str, ...]]
    output: str = "logits"
    given: tuple[str, ...] = ()

    def __post_init__(self):
        named = [name for part in self.parts.values() for name in part]
        weighted = [layer.name for layer in self.model.layers if layer.weights]
        if sorted(named) != sorted(weighted):
            odd = sorted(set(named) ^ set(weighted)) or sorted({name for name in named if named.count(name) > 1})
            raise ValueError(f"The parts of {self.model.name} must hold each layer with weights once. Odd: {odd}")

    @property
    def outputs(self):
        """Names of the outputs."""
        return tuple(self.model.output) if isinstance(self.model.output, dict) else (self.output,)

    @property
    def shows_map(self):
        """Whether it has an input for the map."""
        return isinstance(self.model.input, dict) and "saliency" in self.model.input

    def layers_of(self, parts):
        """The layers with weights of some parts.

        Args:
            parts: Names of parts, or `PART:NAME` for the layers of a part whose names begin with NAME.

        Returns:
            A list of Keras layers, in the model's order.

        Raises:
            UserError: If there is no part of that name, or it has no such layer.
        """
        names = set()
        for word in parts:
            part, _, begin = word.partition(":")
            if part not in self.parts:
                known = ", ".join(self.parts)
                raise UserError(f"the network {self.model.name} has no part {part!r}; its parts are {known}.")
            found = {name for name in self.parts[part] if name.startswith(begin)}
            if not found:
                raise UserError(f"the part {part} of {self.model.name} has no layer whose name begins with {begin!r}.")
            names |= found
        return [layer for layer in self.model.layers if layer.name in names]

    def freeze(self, parts):
        """Freezes parts: they take no gradient, and batch normalisation uses and keeps its moving statistics.

        Args:
            parts: Names of parts.

        Returns:
            Names of the frozen layers.

        Raises:
            UserError: If there is no part of that name, or nothing would be left to train.
        """
        frozen = self.layers_of(parts)
        for layer in frozen:
            layer.trainable = False
        if frozen and not self.model.trainable_variables:
            raise UserError(f"with frozen={','.join(parts)} nothing of {self.model.name} is left to train.")
        return [layer.name for layer in frozen]

    def freeze_statistics(self):
        """Has batch normalisation keep and use its moving statistics in training too; scale and offset still train.

        Returns:
            Names of the layers with batch normalisation.

        Raises:
            UserError: If the network has none.
        """
        found = [one for one in self.model.layers if isinstance(one, layers.BatchNormalization)]
        if not found:
            raise UserError(f"{self.model.name} has no batch normalisation: leave frozen_statistics out.")
        for layer in found:
            trained = [one for one in (layer.gamma, layer.beta) if one is not None and one.trainable]
            layer.trainable = False  # Keras then uses the moving statistics
            for variable in trained:
                variable.trainable = True
        return [layer.name for layer in found]

    def factors(self, factors):
        """The factors of learning rates, variable by variable.

        Args:
            factors: From a part's name to its factor.

        Returns:
            From a variable's path to its factor.

        Raises:
            UserError: If there is no part of that name.
        """
        return {
            variable.path: factor
            for part, factor in factors.items()
            for layer in self.layers_of([part])
            for variable in layer.variables
            if variable.trainable
        }

    def taken(self, inputs):
        """Those of the named inputs that the model has."""
        return {name: inputs[name] for name in self.model.input}

    def named(self, outputs):
        """Outputs by name, whether the model gives one tensor or a dictionary."""
        return outputs if isinstance(outputs, dict) else {self.output: outputs}

    def probabilities(self, outputs):
        """Probabilities of the classes, `(batch, classes)`, from what the model gives: the softmax of its logits."""
        return ops.softmax(ops.cast(self.named(outputs)["logits"], "float32"))

    @functools.cached_property
    def classifier(self):
        """The model from its inputs to the logits alone, where it has other outputs beside them."""
        outputs = self.model.output
        return keras.Model(self.model.input, outputs["logits"]) if isinstance(outputs, dict) else self.model

    @functools.cached_property
    def map(self):
        """The model of the map that it makes, from its inputs to `(batch, h, w, 1)`; `None` where it makes none."""
        if not any(layer.name == MAP_LAYER for layer in self.model.layers):
            return None
        return keras.Model(self.model.input, self.model.get_layer(MAP_LAYER).output)

    def maps_on(self, maps, size, to_the_border=False):
        """Maps of its map layer as they lie on the picture that the network saw.

        Args:
            maps: float32 array `(pictures, h, w)`.
            size: Height and width of that picture, in pixels.
            to_the_border: Whether the values at the border of the map go on to the border of the picture.

        Returns:
            float32 array `(pictures, height, width)`.
        """
        return laid_out(maps, receptive_centres(self.model, MAP_LAYER), size, to_the_border=to_the_border)

    def map_as_used(self, inputs, size):
        """The map that it makes of one batch, where it meets the features that it changes.

        Args:
            inputs: Dictionary of arrays, as the model takes them.
            size: Height and width of the picture that the network sees, in pixels.

        Returns:
            float32 array `(pictures, height, width)`.
        """
        names = {layer.name for layer in self.model.layers}
        enlarged = f"{MAP_LAYER}_enlarged"
        part = keras.Model(self.model.input, self.model.get_layer(enlarged if enlarged in names else MAP_LAYER).output)
        values = ops.convert_to_numpy(ops.cast(part(inputs, training=False), "float32"))[..., 0]
        where = MAP_MEETS_FEATURES if MAP_MEETS_FEATURES in names else MAP_LAYER
        return laid_out(values, receptive_centres(self.model, where), size)


def network_of(model, parts=None):
    """The `Network` of a model.

    Args:
        model: A built Keras model, perhaps loaded from a run.
        parts: Its parts, as a run's `config.json` has them; `None` for those that the names of the layers tell.

    Returns:
        The `Network`.
    """
    return Network(model, {name: tuple(layers_) for name, layers_ in (parts or parts_by_name(model)).items()})


def parts_by_name(model):
    """The usual parts of a model, from the names and kinds of its layers: `{part: names of layers}`."""
    weighted = [layer for layer in model.layers if layer.weights]
    top = next((layer for layer in reversed(weighted) if not layer.name.endswith(BRANCH)), None)
    parts = {}
    for layer in weighted:
        if layer.name.endswith(BRANCH):
            part = "saliency"
        elif layer.name.endswith(NEW_CHANNEL):
            part = "new_channel"
        elif isinstance(layer, keras.Model):
            part = "backbone"
        elif layer is top:
            part = "top"
        elif isinstance(layer, layers.Dense):
            part = "dense"
        else:
            part = "trunk"
        parts.setdefault(part, []).append(layer.name)
    return {name: tuple(names) for name, names in parts.items()}
