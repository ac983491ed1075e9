"""Networks from `.keras` files, and weights from one network to another."""

import contextlib
import tempfile
from pathlib import Path

import keras

from saliency_keras.console import UserError, only_process


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
