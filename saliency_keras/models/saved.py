"""Networks from `.keras` files, and weights from one network to another."""

from pathlib import Path

import keras

from saliency_keras.console import UserError


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
