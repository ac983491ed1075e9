"""Pictures that lie in the device's memory for a whole training, so that an epoch is a list of places and crops.

With `--augment device` a batch is whole pictures and where to crop them. Where the whole split has room on the device,
it is copied there once, and a batch says which pictures it has. Pixels, order and figures are those of the host. JAX
alone: TensorFlow does not say how much memory its device has.
"""

import functools

import keras
import numpy as np

from saliency_keras.data.stream import Stream

ROOM = 0.6  # of the device's free memory, what pictures may take
CHUNK = 256  # pictures that are copied at once


def resident(reader):
    """Copies a reader's pictures to the device, if there is room.

    Args:
        reader: A `Reader` with `augment="device"`.

    Returns:
        The `Resident`, or `None` where there is not enough room.
    """
    size = reader.records * reader.manifest.side**2 * 4
    return Resident(reader) if size <= ROOM * free_memory() else None


def free_memory():
    """Bytes of the device that are free; 0 where the backend does not say, or the device is the processor."""
    if keras.backend.backend() != "jax":
        return 0
    import jax

    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get("bytes_limit", 0) - stats.get("bytes_in_use", 0)


class Resident:
    """A split's pictures on the device.

    Args:
        reader: A `Reader` with `augment="device"`.

    Attributes:
        pictures: int32 array on the device, `(pictures, S, S)`, words as `data.device.crops` takes them.
    """

    def __init__(self, reader):
        import jax
        from jax import numpy as jnp

        self._reader = reader
        side = reader.manifest.side

        def put_at(first, pictures, some):
            return jax.lax.dynamic_update_slice(pictures, some, (first, 0, 0))

        put = jax.jit(put_at, donate_argnums=1)  # in place: the device never has to hold the pictures twice
        self.pictures = jnp.zeros((reader.records, side, side), "int32")
        for first in range(0, reader.records, CHUNK):
            words = reader.whole(reader.places[first : first + CHUNK])
            self.pictures = put(first, self.pictures, words)

    def training(self, first_epoch, last_epoch):
        """A `Stream` as `Reader.training`, of `{"places": int32 (B,), "box": int32 (B, 3)}` and labels."""
        reader = self._reader
        steps = range((first_epoch - 1) * reader.steps, last_epoch * reader.steps)
        return Stream(functools.partial(_batch_of, reader), steps)

    @staticmethod
    def look_up(pictures, inputs):
        """The inputs of a model behind crops, `{"words", "box"}`, on the device."""
        return {"words": keras.ops.take(pictures, inputs["places"], axis=0), "box": inputs["box"]}


def _batch_of(reader, step):
    places, box = reader.drawn(step)
    return {"places": np.searchsorted(reader.places, places).astype("int32"), "box": box}, reader.labels(places)
