"""The maps of a trained run: of a network that predicts saliency, or of one that hallucinates it to classify.

A network with a layer `saliency_map` (Figueroa-Flores et al. 2020; `models.hallucination`) gives that layer's output:
"Our approach (step I)" of their Table III. Any other network must end in a map of one channel, which the loss it was
trained with turns into saliency (`models.losses.saliency_of`). The picture is resized to what the network
sees, its sides' ratio given up where the network has another, and the map bilinearly back to the picture. A
hallucinated map lies where its positions' receptive fields have their centres (without padding, AlexNet sees the middle
of the picture), its border's values beyond them. A network that was trained on fixations and does not beat `center` on
pictures it has not seen is called `NAME-untrained`.
"""

from pathlib import Path

import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.files import read_json, sha256_of
from saliency_keras.saliency.per_picture import batches_of_one_size

UNTRAINED = "-untrained"


class NetworkMaps:
    """The maps of a network.

    Args:
        name: What they are called.
        network: From pixels to a map of one channel.
        loss: Name of the loss that it was trained with, or `""` where its outputs are maps already.
        centres: Where a hallucinated map's places lie, as `models.receptive_fields.receptive_centres` says it, or
            `None` for a map of the whole picture.
    """

    on_device = True

    def __init__(self, name, network, loss, centres=None):
        self.name, self._network, self._loss, self._centres = name, network, loss, centres

    def __call__(self, images):
        """Maps of a batch.

        Args:
            images: uint8 array `(pictures, height, width, 3)`.

        Returns:
            float32 array `(pictures, height, width)`, not negative.
        """
        import keras

        from saliency_keras.models.receptive_fields import laid_out

        images = np.asarray(images)
        height, width = images.shape[1:3]
        side = [given or own for given, own in zip(self._network.input_shape[1:3], (height, width), strict=True)]
        maps = []
        for first, batch in batches_of_one_size(images):
            pixels = keras.ops.cast(seen(batch, *side), self._network.inputs[0].dtype)
            # As one graph: layer by layer, a deep network's intermediate maps would all stay in memory.
            outputs = self._network.predict_on_batch(pixels)
            if self._centres:
                outputs = laid_out(np.asarray(outputs)[..., 0], self._centres, side, to_the_border=True)[..., None]
            maps.append(maps_of(outputs, self._loss, height, width)[: len(images) - first])
        return np.concatenate(maps)


class RunPredictor(NetworkMaps):
    """The predictor that a finished run is.

    Args:
        folder: The run folder.

    Raises:
        UserError: If it is no finished run, or its network makes no map from a picture alone.
    """

    version = 2  # 1 stretched hallucinated maps over the whole picture

    def __init__(self, folder):
        folder = Path(folder)
        name = folder.resolve().name
        try:
            if not all((folder / name).is_file() for name in (run_folder.CONFIG, run_folder.SUMMARY, run_folder.MODEL)):
                raise KeyError
            summary = run_folder.read_summary(folder)
            experiment = read_json(run_folder.checked(folder, run_folder.CONFIG))["experiment"]
            trained = experiment["name"]
            weights = sha256_of(run_folder.checked(folder, run_folder.MODEL))
        except (OSError, KeyError, TypeError):
            lacking = "it lacks config.json, model.keras or summary.json"
            raise UserError(f"{folder} is no finished run: {lacking}.") from None
        if summary.get("beats_center") is False:
            name += UNTRAINED
        self.parameters = {"experiment": trained, "weights": weights[:16]}
        network, centres = _map_network(folder / run_folder.MODEL)
        super().__init__(name, network, experiment.get("loss"), centres)


def seen(images, height, width):
    """What a network of that size sees of pictures: bilinear, anti-aliased, rounded.

    Args:
        images: uint8 array `(pictures, h, w, 3)`.
        height: Height in pixels.
        width: Width in pixels.

    Returns:
        Float tensor `(pictures, height, width, 3)` of whole numbers, 0 to 255.
    """
    import keras

    pixels = keras.ops.convert_to_tensor(images, "float32")
    return keras.ops.round(keras.ops.image.resize(pixels, (height, width), interpolation="bilinear", antialias=True))


def maps_of(outputs, loss, height, width):
    """Saliency maps from a network's outputs, in the size of the pictures.

    Args:
        outputs: Tensor or array `(pictures, h, w, 1)`.
        loss: Name of the loss that the network was trained with, or `""` where the outputs are maps already.
        height: Height of the pictures in pixels.
        width: Width of the pictures in pixels.

    Returns:
        float32 array `(pictures, height, width)`, not negative.
    """
    import keras

    from saliency_keras.models.losses import saliency_of

    outputs = keras.ops.cast(outputs, "float32")
    small = saliency_of(loss, outputs) if loss else outputs
    large = keras.ops.image.resize(small, (height, width), interpolation="bilinear")
    return np.maximum(keras.ops.convert_to_numpy(large)[..., 0], 0)


def _map_network(path):
    """The part of a saved network that goes from the picture to the map, and where a hallucinated map's places lie."""
    import keras

    from saliency_keras.models.network import MAP_LAYER
    from saliency_keras.models.receptive_fields import receptive_centres
    from saliency_keras.models.weights import load_network

    model = load_network(path)
    layer = next((one for one in model.layers if one.name == MAP_LAYER), None)
    output = model.outputs[0] if layer is None else layer.output
    if len(model.inputs) != 1:
        raise UserError(f"the network of {path.parent} wants a saliency map beside the picture, so it predicts none.")
    if len(output.shape) != 4 or output.shape[-1] != 1:
        raise UserError(f"the network of {path.parent} makes no saliency map; it has no layer {MAP_LAYER!r}.")
    return keras.Model(model.inputs[0], output), layer and receptive_centres(model, MAP_LAYER)
