"""Networks from `.keras` files, weights from one network to another, and weights that stay.

The thesis widens pre-trained kernels (§3.4); Figueroa-Flores et al. 2020 take a saliency branch from another run and
keep parts of the network frozen (§III-D).
"""

import contextlib
import tempfile
from pathlib import Path

import keras
import numpy as np

from saliency_keras.console import UserError
from saliency_keras.files import only_process
from saliency_keras.models.fanin import SALIENCY


def load_network(path):
    """Loads a saved network, in safe mode, not compiled.

    Args:
        path: A `.keras` file.

    Returns:
        The Keras model.

    Raises:
        UserError: If it is not there, damaged, or asks for code that safe mode does not run.
    """
    if not Path(path).is_file():
        raise UserError(f"there is no network {path}.")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be loaded: {str(error).splitlines()[0]}") from None


@contextlib.contextmanager
def imagenet_weights(name, instead=""):
    """Lets one process at a time fetch the ImageNet weights of a network, in the block, and tells if it could not.

    Keras downloads to one place without a lock: several processes at once would read what another one is writing. The
    block builds one network; it cannot be entered a second time inside.

    Args:
        name: What the network is called in `keras.applications`.
        instead: What the person can do about it, as the end of the sentence.

    Raises:
        UserError: If Keras could not fetch them.
    """
    try:
        with only_process(tempfile.gettempdir(), wait=True):
            yield
    except Exception as error:
        if type(error) is not Exception and not isinstance(error, OSError | ValueError):  # keras raises a bare one
            raise
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"Keras could not fetch the ImageNet weights of {name} ({reason}){instead}.") from error


def give_weights(layer, weights):
    """Sets the weights of a layer or model, and the constants that Keras' adapted `Normalization` computes with.

    `set_weights` alone leaves those as they were, so that such a layer (EfficientNet has one) would go on with a mean
    of 0 and a variance of 1.

    Args:
        layer: A built layer or model.
        weights: Arrays as of `get_weights`.
    """
    layer.set_weights(weights)
    _renew_constants(layer)


def _renew_constants(layer):
    if isinstance(layer, keras.layers.Normalization):
        layer.finalize_state()
    for inner in getattr(layer, "layers", ()):
        _renew_constants(inner)


def carry_weights(source, model, new_weights="uniform01", new_top=False, seed=0, new_dense=False):
    """Fills `model` with the weights of `source`, layer by layer, by name.

    A variable of the same shape is copied. Where the new network has more input channels (or a longer
    batch-normalisation vector), the old values come first and the new channels, which are last, are drawn. A layer
    that the source lacks keeps its initial weights; one the target lacks is left behind.

    Args:
        source: A built Keras model, for example the baseline of an earlier run.
        model: The built Keras model to fill.
        new_weights: What new channels get: `"uniform01"`, the uniform distribution on 0..1 as in the thesis, for
            kernels and all four batch-normalisation vectors; `"glorot"`, Glorot's uniform one for kernels; or
            `"zeros"`. The latter two leave new entries of batch-normalisation vectors as initialised.
        new_top: Whether the last layer with weights gets new ones instead, drawn by its own initialiser.
        seed: Seed of the draws.
        new_dense: Whether all dense layers get new weights: for pictures of another side.

    Returns:
        Names of the layers that took weights over.

    Raises:
        UserError: If no layer fits, or one has a shape that cannot be carried over; nothing is changed then.
    """
    rng = np.random.default_rng([seed, 0x5A11E])
    sources = {layer.name: layer for layer in source.layers if layer.weights}
    drawn = new_layers(model, new_top, new_dense)
    targets = [layer for layer in model.layers if layer.weights and layer not in drawn]
    shared = [layer for layer in targets if layer.name in sources]
    if not shared:
        raise UserError(f"no layer of {source.name} has the name of a layer of {model.name}; choose another --init.")
    filled = {}
    for layer in shared:
        old_values = {variable.name: variable.numpy() for variable in sources[layer.name].weights}
        for variable in layer.weights:
            old = old_values.get(variable.name)
            if old is None or not _widens(old.shape, tuple(variable.shape)):
                raise UserError(
                    f"the layer {layer.name!r} does not fit: {variable.name} is "
                    f"{'absent' if old is None else 'x'.join(map(str, old.shape))} in the network it starts from and "
                    f"{'x'.join(map(str, variable.shape))} here; start from a run that fits (--init)"
                    f"{_way_out(layer, model)}."
                )
            filled[variable.path] = _widened(old, variable.numpy(), new_weights, rng)
    for layer in shared:
        for variable in layer.weights:
            variable.assign(filled[variable.path])
    top_rng = np.random.default_rng([seed, 0x70B])
    for layer in reversed(drawn):
        _draw_kernel(layer, top_rng)
    return [layer.name for layer in shared]


def new_layers(model, new_top=False, new_dense=False):
    """Layers that are drawn anew where a network starts from another: the last, all dense ones, or none."""
    weighted = [layer for layer in model.layers if layer.weights]
    if new_dense:
        return [layer for layer in weighted if isinstance(layer, keras.layers.Dense)]
    return weighted[-1:] if new_top else []


def freeze(model, which):
    """Freezes layers: they take no gradient, and batch normalisation uses and keeps its moving statistics.

    Args:
        model: A built Keras model.
        which: `"saliency_branch"`, `"all_but_saliency_branch"` or `""`.

    Returns:
        Names of the frozen layers that have weights.

    Raises:
        UserError: If nothing or everything with weights would be frozen where something should be.
    """
    if not which:
        return []
    weighted = [layer for layer in model.layers if layer.weights]
    branch = [layer for layer in weighted if layer.name.endswith(SALIENCY)]
    if not branch:
        raise UserError(f"{model.name} has no saliency branch, so freeze={which} has no meaning; leave it out.")
    frozen = branch if which == "saliency_branch" else [layer for layer in weighted if layer not in branch]
    for layer in frozen:
        layer.trainable = False
    return [layer.name for layer in frozen]


def _way_out(layer, model):
    if layer in new_layers(model, new_top=True):
        return ", or --set new_top=true for a new top layer"
    return ", or --set new_dense=true for new dense layers" if isinstance(layer, keras.layers.Dense) else ""


def _draw_kernel(layer, rng):
    """Draws anew: built like the source and by the same seed, the layer began as the source's own top once did."""
    initializer = layer.kernel_initializer
    drawn = type(initializer).from_config({**initializer.get_config(), "seed": int(rng.integers(2**31))})
    layer.kernel.assign(drawn(layer.kernel.shape, layer.kernel.dtype))


def _channel_axis(shape):
    """Input channels are the second last axis of a convolution's kernel, and all of a vector."""
    return -2 if len(shape) == 4 else 0


def _widens(old, new):
    if len(old) != len(new):
        return False
    if old == new:
        return True
    axis = _channel_axis(new) % len(new)
    rest_is_equal = all(a == b for place, (a, b) in enumerate(zip(old, new, strict=True)) if place != axis)
    return len(new) in (1, 4) and rest_is_equal and new[axis] == old[axis] + 1


def _widened(old, initial, new_weights, rng):
    if old.shape == initial.shape:
        return old
    axis = _channel_axis(initial.shape) % initial.ndim
    new = initial.take(range(old.shape[axis], initial.shape[axis]), axis)
    is_kernel = initial.ndim > 1
    if new_weights == "uniform01":
        new = rng.uniform(0, 1, new.shape)
    elif new_weights == "zeros" and is_kernel:
        new = np.zeros(new.shape)
    return np.concatenate([old, new.astype(old.dtype)], axis)
