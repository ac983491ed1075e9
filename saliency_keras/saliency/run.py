"""The maps of a trained run: of a network that predicts saliency, or of one that hallucinates it to classify.

A network with a layer `saliency_map` (Figueroa-Flores et al. 2020; `models.hallucination`) gives that layer's output:
"Our approach (step I)" of their Table III. Any other network must end in a map of one channel, which the loss it was
trained with turns into saliency (`training.saliency_losses.saliency_of`). The picture is resized to what the network
sees, its sides' ratio given up where the network wants a square, and the map bilinearly back to the picture.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from saliency_keras.console import UserError

MAP_LAYER = "saliency_map"
BATCH = 16


class RunPredictor:
    """The predictor that a finished run is.

    Args:
        folder: The run folder.

    Raises:
        UserError: If it is no finished run, or its network makes no map from a picture alone.
    """

    version = 1

    def __init__(self, folder):
        folder = Path(folder)
        self.name = folder.resolve().name
        try:
            experiment = json.loads((folder / "config.json").read_text(encoding="utf-8"))["experiment"]
            content = (folder / "model.keras").read_bytes()
        except (OSError, ValueError, KeyError, TypeError):
            raise UserError(f"{folder} is no finished run: it lacks config.json or model.keras.") from None
        self.parameters = {"experiment": experiment["name"], "weights": hashlib.sha256(content).hexdigest()[:16]}
        self._loss = experiment.get("loss")
        self._network = _map_network(folder / "model.keras")

    def __call__(self, images):
        """Maps of a batch.

        Args:
            images: uint8 array `(pictures, height, width, 3)`.

        Returns:
            float32 array `(pictures, height, width)`, not negative.
        """
        import keras

        images = np.asarray(images)
        height, width = images.shape[1:3]
        side = [given or own for given, own in zip(self._network.input_shape[1:3], (height, width), strict=True)]
        maps = []
        for first in range(0, len(images), BATCH):
            pixels = keras.ops.convert_to_tensor(images[first : first + BATCH], "float32")
            pixels = keras.ops.image.resize(pixels, side, interpolation="bilinear", antialias=True)
            pixels = keras.ops.cast(keras.ops.round(pixels), self._network.inputs[0].dtype)
            small = keras.ops.cast(self._saliency(self._network(pixels, training=False)), "float32")
            large = keras.ops.image.resize(small, (height, width), interpolation="bilinear")
            maps.append(keras.ops.convert_to_numpy(large)[..., 0])
        return np.maximum(np.concatenate(maps), 0)

    def _saliency(self, outputs):
        if not self._loss:
            return outputs
        from saliency_keras.training.saliency_losses import saliency_of

        return saliency_of(self._loss, outputs)


def _map_network(path):
    """The part of a saved network that goes from the picture to the map."""
    import keras

    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise UserError(f"{path} cannot be loaded: {str(error).splitlines()[0]}") from None
    layer = next((one for one in model.layers if one.name == MAP_LAYER), None)
    output = model.outputs[0] if layer is None else layer.output
    if len(model.inputs) != 1:
        raise UserError(f"the network of {path.parent} wants a saliency map beside the picture, so it predicts none.")
    if len(output.shape) != 4 or output.shape[-1] != 1:
        raise UserError(f"the network of {path.parent} makes no saliency map; it has no layer {MAP_LAYER!r}.")
    return keras.Model(model.inputs[0], output)
