"""A network in two models: what its frozen layers alone make of the inputs, and everything after them.

Frozen layers make the same features of a picture in every epoch, so that these can be computed once
(`training.features`) and the second model trained on them.
"""

import keras


def in_two(model, frozen):
    """Splits a network where the layers begin that are trained.

    The first model goes as far as it can: layers without weights that follow frozen ones belong to it, except those
    that draw random numbers, such as dropout.

    Args:
        model: A Functional `keras.Model`.
        frozen: Names of layers of it that keep their weights. Layers that are not trainable count as frozen.

    Returns:
        Two `keras.Model`s that share the network's weights: from its inputs to features by name (`features1`,
        `features2`, …), and from those to its outputs. `(None, model)` if none of the named layers comes before all
        trained ones.
    """
    frozen, fixed, features, found = set(frozen), set(), {}, False
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            operation, sources = node.operation, node.input_tensors
            if all(id(one) in fixed for one in sources) and (not sources or _is_fixed(operation, frozen)):
                fixed |= {id(one) for one in node.outputs}
                found |= operation.name in frozen
            else:
                features |= {id(one): one for one in sources if id(one) in fixed}
    features |= {id(one): one for one in model.outputs if id(one) in fixed}
    if not found or not features:
        return None, model
    features = list(features.values())
    names = [f"features{number}" for number in range(1, len(features) + 1)]
    front = keras.Model(model.input, dict(zip(names, features, strict=True)))
    inputs = [
        keras.Input(one.shape[1:], dtype=one.dtype, name=name) for name, one in zip(names, features, strict=True)
    ]
    given = dict(zip(map(id, features), inputs, strict=True))
    computed = [one for one in model.outputs if id(one) not in given]
    if computed:
        given |= dict(zip(map(id, computed), keras.Model(features, computed)(inputs), strict=True))
    outputs = keras.tree.map_structure(lambda one: given[id(one)], model.output)
    return front, keras.Model(dict(zip(names, inputs, strict=True)), outputs)


def _is_fixed(operation, frozen):
    """Whether an operation gives the same outputs for the same inputs throughout a training."""
    if hasattr(operation, "seed_generator"):
        return False
    weights = getattr(operation, "weights", ())
    return not weights or operation.name in frozen or not operation.trainable
