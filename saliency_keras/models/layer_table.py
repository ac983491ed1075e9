"""The layers of a network as rows: what each one is, what it sees, what it gives, its weights, and where a map enters.

As the thesis's Table 3.2, for any network. `symbolic` builds a network without the memory of its weights, so that the
rows of the largest one are there in seconds.
"""

import dataclasses
import math

import keras
from keras import layers

from saliency_keras.models.count import multiply_adds, parameters
from saliency_keras.models.network import MAP_LAYER

MANY = 80  # layers, from which on those that only rectify, pad or normalise are left out
MAP, PICTURE = "map", "picture"


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One layer.

    Attributes:
        name: Its name.
        kind: What it is: `"96, 11x11 / 4, valid"` for a convolution, else a word or two.
        sees: Names of the rows whose output it sees.
        output: Size of its output, `"30x30x96"`.
        parameters: Its weights, moving statistics included.
        map_enters: Whether a saliency map, or features of one, meets features of the picture here.
    """

    name: str
    kind: str
    sees: tuple[str, ...]
    output: str
    parameters: int
    map_enters: bool


def symbolic():
    """A scope in which networks are built without any weights: sizes and counts are right, values are not there."""
    return keras.StatelessScope(initialize_variables=False)


def layer_rows(model):
    """The layers of a model.

    Args:
        model: A functional Keras model.

    Returns:
        A list of `LayerRow`s in the order of computation. A large network's activations and the like are left out, and
        a network within the network is one row.
    """
    rows, listed, contents = [], {}, {}
    for operation in model.operations:
        node = operation._inbound_nodes[0]
        inputs, outputs = node.input_tensors, node.outputs
        seen = tuple(dict.fromkeys(name for tensor in inputs for name in listed.get(id(tensor), ())))
        of_inputs = [contents.get(id(tensor), frozenset()) for tensor in inputs]
        mixed = frozenset().union(*of_inputs)
        if isinstance(operation, layers.InputLayer):
            mixed = frozenset([MAP if operation.name == "saliency" else PICTURE])
        enters = mixed == {MAP, PICTURE} and frozenset([MAP]) in of_inputs
        if operation.name == MAP_LAYER:
            mixed = frozenset([MAP])
        elif enters:
            mixed = frozenset([PICTURE])
        row = LayerRow(operation.name, _kind(operation), seen, _size(outputs[0]), _weights(operation), enters)
        kept = len(model.operations) <= MANY or _is_told(row, operation, inputs, outputs)
        if kept:
            rows.append(row)
        for tensor in outputs:
            listed[id(tensor)] = (operation.name,) if kept else seen
            contents[id(tensor)] = mixed
    return rows


def totals(model):
    """Counts of the whole network: `{"parameters": …, "kernels": …, "convolution kernels": …, "multiply-adds": …}`."""
    found = parameters(model)
    return {
        "parameters": found["total"],
        "kernels": found["kernels"],
        "convolution kernels": found["convolution_kernels"],
        "multiply-adds a picture": multiply_adds(model),
    }


def _is_told(row, operation, inputs, outputs):
    """Whether a layer of a large network is a row: the ends, kernels, changes of size, and where a map enters."""
    if row.map_enters or not inputs or row.name == MAP_LAYER or isinstance(operation, keras.Model):
        return True
    if any(len(variable.shape) > 1 for variable in getattr(operation, "weights", ())):
        return True
    same = _size(outputs[0]) in map(_size, inputs)
    return len(inputs) == 1 and not same and not isinstance(operation, layers.ZeroPadding2D)


def _kind(operation):
    if isinstance(operation, layers.Conv2D | layers.Conv2DTranspose):
        size, strides = ("x".join(map(str, pair)) for pair in (operation.kernel_size, operation.strides))
        stride = "" if strides == "1x1" else f" / {operation.strides[0]}"
        groups = f", {operation.groups} groups" if getattr(operation, "groups", 1) > 1 else ""
        transposed = "transposed, " if isinstance(operation, layers.Conv2DTranspose) else ""
        return f"{transposed}{operation.filters}, {size}{stride}, {operation.padding}{groups}"
    if isinstance(operation, layers.MaxPooling2D | layers.AveragePooling2D):
        word = "maximum" if isinstance(operation, layers.MaxPooling2D) else "mean"
        return f"{word}, {'x'.join(map(str, operation.pool_size))} / {operation.strides[0]}"
    if isinstance(operation, layers.Dense):
        return f"dense, {operation.units}"
    if isinstance(operation, keras.Model):
        return f"network of {len(operation.layers)} layers"
    return type(operation).__name__


def _size(tensor):
    return "x".join("?" if side is None else str(side) for side in tensor.shape[1:])


def _weights(operation):
    return sum(math.prod(variable.shape) for variable in getattr(operation, "weights", ()))
