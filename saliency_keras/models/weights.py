"""Networks from `.keras` files, weights from one network to another, and weights that stay.

The thesis widens pre-trained kernels (§3.4); Figueroa-Flores et al. 2020 take a saliency branch from another run and
keep parts of the network frozen (§III-D).
"""

import contextlib
import json
import tempfile
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.files import absent, only_process


def load_network(path):
    """Loads a saved network, in safe mode, not compiled.

    Args:
        path: A `.keras` file.

    Returns:
        The Keras model.

    Raises:
        UserError: If it is not there, damaged, another file than the run's training wrote, or asks for code that safe
            mode does not run.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{absent(path, 'network')}.")
    run_folder.checked(path.parent, path.name)
    try:
        _check_size(path)
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except MemoryError:
        raise
    except Exception as error:  # Keras, zip and HDF5 raise whatever they stumble over
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"{path} cannot be loaded: {reason}") from None


def _check_size(path):
    """Refuses, before any memory is taken, a file whose layers are larger than the weights that it stores.

    Raises:
        ValueError: If one is, or a member is compressed, which Keras leaves out.
    """
    widths = set()
    with zipfile.ZipFile(path) as archive:
        if any(member.file_size != member.compress_size for member in archive.infolist()):
            raise ValueError("a part of it is compressed, which no saved network is")
        config = json.loads(archive.read("config.json"))
        with archive.open("model.weights.h5") as member, h5py.File(member, "r") as weights:

            def look(name, one):
                if isinstance(one, h5py.Dataset):
                    if one.nbytes > one.id.get_storage_size():
                        raise ValueError(f"{name} claims more than is in the file")
                    widths.update(one.shape)

            weights.visititems(look)
    for width in _widths(config):
        if width not in widths:
            raise ValueError(f"it has a layer of {width} units, and no weights for them")


def _widths(config):
    """What the layers of a network's configuration say of their width."""
    if isinstance(config, dict):
        yield from (config[name] for name in ("units", "filters") if isinstance(config.get(name), int))
    for inner in config.values() if isinstance(config, dict) else config if isinstance(config, list) else ():
        yield from _widths(inner)


@contextlib.contextmanager
def imagenet_weights(name, instead=""):
    """Lets one process at a time fetch the ImageNet weights of a network, in the block, and says so if it could not.

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


def carry_weights(source, target, parts=(), fresh=(), new_weights="uniform01", seed=0, skip_misfits=False):
    """Fills a network with the weights of another, layer by layer.

    Layers belong together by their names; where two networks share no name, by their order. A variable of the same
    shape is copied. Where the new network has one more input channel (or a longer batch-normalisation vector), the old
    values come first and the new channel, which is last, is drawn. A layer that the source lacks keeps its initial
    weights; one that the target lacks is left behind.

    Args:
        source: The `Network` that gives, for example the baseline of an earlier run.
        target: The `Network` to fill.
        parts: The parts of the target to fill; empty for all. They take from the parts of the same names, or, where
            the source has no such part, from all of it.
        fresh: Parts of the target that are left as they are.
        new_weights: What a new channel gets: `"uniform01"`, the uniform distribution on 0..1 as in the thesis, for
            kernels and all four batch-normalisation vectors; `"glorot"`, Glorot's uniform one for kernels; or
            `"zeros"`. The latter two leave new entries of batch-normalisation vectors as initialised.
        seed: Seed of the draws.
        skip_misfits: Whether layers of other shapes keep their initial weights instead of being refused.

    Returns:
        Names of the layers that took weights over.

    Raises:
        UserError: If no layer fits, or one has a shape that cannot be carried over; nothing is changed then.
    """
    rng = np.random.default_rng([seed, 0x5A11E])
    kept = set(fresh_layers(target, fresh))
    wanted = [layer for layer in target.layers_of(parts or target.parts) if layer not in kept]
    given = source.layers_of([part for part in parts if part in source.parts] or source.parts)
    pairs = _pairs(given, wanted)
    if skip_misfits:
        pairs = [(old, new) for old, new in pairs if isinstance(new, keras.Model) or _same_shapes(old, new)]
    if not pairs:
        what = f"the part {', '.join(parts)} of " if parts else ""
        raise UserError(f"no layer of {source.model.name} fits {what}{target.model.name}; choose another --init.")
    filled = {}
    for old_layer, layer in pairs:
        if isinstance(layer, keras.Model):
            filled[layer] = _whole(old_layer, layer)
            continue
        old_values = {variable.name: variable.numpy() for variable in old_layer.weights}
        for variable in layer.weights:
            old = old_values.get(variable.name)
            if old is None or not _widens(old.shape, tuple(variable.shape)):
                raise UserError(
                    f"the layer {layer.name!r} does not fit: {variable.name} is "
                    f"{'absent' if old is None else 'x'.join(map(str, old.shape))} in the network it starts from and "
                    f"{'x'.join(map(str, variable.shape))} here; start from a run that fits (--init)"
                    f"{_way_out(layer, target)}."
                )
            filled.setdefault(layer, []).append(_widened(old, variable.numpy(), new_weights, rng))
    for layer, values in filled.items():
        give_weights(layer, values)
    return [layer.name for layer in filled]


def _pairs(given, wanted):
    """Pairs of a layer that gives and one that takes: by name, or by order where no name is shared."""
    by_name = {layer.name: layer for layer in given}
    shared = [(by_name[layer.name], layer) for layer in wanted if layer.name in by_name]
    if shared or len(given) != len(wanted):
        return shared
    fit = all(
        len(old.weights) == len(new.weights)
        and all(_widens(tuple(a.shape), tuple(b.shape)) for a, b in zip(old.weights, new.weights, strict=True))
        for old, new in zip(given, wanted, strict=True)
    )
    return list(zip(given, wanted, strict=True)) if fit else []


def _same_shapes(old, new):
    return [tuple(one.shape) for one in old.weights] == [tuple(one.shape) for one in new.weights]


def _whole(old, new):
    """The weights of a network within the network, all or none."""
    if not _same_shapes(old, new):
        raise UserError(
            f"the {new.name} of the two networks differ, so that it would keep random weights; start from a run that "
            "fits (--init)."
        )
    return old.get_weights()


def fresh_layers(network, fresh):
    """The layers that get new weights: those with weights in the parts that the network has.

    Args:
        network: The `Network`.
        fresh: Names of parts.

    Returns:
        A list of Keras layers in the model's order.

    Raises:
        UserError: If the network has none of these parts.
    """
    found = [part for part in fresh if part in network.parts]
    if fresh and not found:
        network.layers_of(fresh)  # says which parts there are
    return network.layers_of(found)


def draw_anew(network, fresh, seed):
    """Gives the kernels of some parts new values, the last layer first.

    Args:
        network: The `Network`.
        fresh: Names of parts.
        seed: Seed of the draws.
    """
    rng = np.random.default_rng([seed, 0x70B])
    for layer in reversed(fresh_layers(network, fresh)):
        if hasattr(layer, "kernel_initializer"):
            _draw_kernel(layer, rng)


def _way_out(layer, network):
    part = next(name for name, names in network.parts.items() if layer.name in names)
    if part == "top":
        return ", or draw a new top layer (--set fresh=top)"
    return ", or draw new dense layers (--set fresh=dense,top)" if part == "dense" else ""


def _draw_kernel(layer, rng):
    """Draws a new kernel: by the same seed, a network built like its source began with the source's first top."""
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
