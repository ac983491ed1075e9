"""Networks in `.keras` files."""

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
