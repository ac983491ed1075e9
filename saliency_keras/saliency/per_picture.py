"""What predictors share: a map depends on its picture alone; how many pictures a network sees at once, and on what."""

import dataclasses

import numpy as np

from saliency_keras.blas import one_thread


def pictures_at_once():
    """How many pictures a network sees in one call: one on the processor, 8 on an accelerator.

    On the processor, the libraries behind Keras round a picture otherwise by its neighbours and its place in the batch,
    and a call of one picture costs about a tenth more. An accelerator needs the batch, and promises no bytes.
    """
    return 8 if accelerators() else 1


def accelerators():
    """Names of what the backend computes on besides the processor."""
    import keras

    if keras.backend.backend() == "torch":  # Keras lists no devices there
        import torch

        return [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return [name for name in keras.distribution.list_devices() if "cpu" not in name.lower()]


def many_at_once():
    """Whether several threads may call a network at the same time, once a first call has built and compiled it.

    True for TensorFlow on the processor: the layers of one picture do not fill many cores.
    """
    import keras

    return keras.backend.backend() == "tensorflow" and pictures_at_once() == 1


def batches_of_one_size(images):
    """Cuts pictures into batches of `pictures_at_once`, so that a network is compiled for one size of batch.

    Args:
        images: uint8 array `(pictures, height, width, 3)`.

    Yields:
        Where a batch begins, and the batch; the last one is filled up with its last picture.
    """
    size = pictures_at_once()
    for start in range(0, len(images), size):
        batch = images[start : start + size]
        lacking = size - len(batch)
        yield start, np.concatenate([batch, np.repeat(batch[-1:], lacking, axis=0)]) if lacking else batch


class PerPicture:
    """A predictor that looks at one picture at a time.

    A subclass is a dataclass whose fields are its parameters, and says in `map_of` how it looks.
    """

    @property
    def parameters(self):
        """The fields by their names, in JSON's types: what a manifest records."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @one_thread
    def __call__(self, images):
        """Maps of a batch.

        Args:
            images: uint8 array `(pictures, height, width, 3)`, RGB.

        Returns:
            float32 array `(pictures, height, width)`, not negative. A picture without any contrast gets ones. The map
            of a picture is the same to the last bit in every batch and on any number of threads.
        """
        maps = np.empty(images.shape[:3], np.float32)
        for image, one in zip(images, maps, strict=True):
            one[...] = self.map_of(image)
        return maps

    def map_of(self, image):
        """The map of one picture: uint8 `(height, width, 3)` -> float32 `(height, width)`."""
        raise NotImplementedError
