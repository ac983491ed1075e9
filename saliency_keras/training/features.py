"""The one cache of frozen features: what frozen layers make of each picture, computed once and kept on disk.

Features are kept in half precision, 11 bits of each number, in the run's `state/`, and go with it. They serve trainings
that show each picture in the same way, or in a few ways, in all epochs.
"""

import functools

import numpy as np

from saliency_keras.data.arrays import arrays_on_disk
from saliency_keras.data.stream import Stream

GREATEST = float(np.finfo(np.float16).max)


class KeptFeatures:
    """What a model makes of pictures, a row of each array for each picture.

    Args:
        front: `keras.Model` from inputs to a dictionary of features, the first one of `models.frozen.in_two`.
        folder: Folder of the arrays; it need not exist.
        name: What the pictures are called, for the files' names.
        count: Number of pictures.
        batches: Function without arguments to an iterable of batches of inputs: as `front` takes them, or by name.
        beside: Names of inputs that `front` does not take and that are kept beside the features, as they are.
    """

    def __init__(self, front, folder, name, count, batches, beside=()):
        self._front, self._count, self._batches, self._beside = front, count, batches, beside
        self._paths = {one: folder / f"{one}-{name}.npy" for one in (*front.output, *beside)}

    def at(self, places):
        """Features of the pictures at those places, float32, by name; and the inputs beside them."""
        rows = {name: array[places] for name, array in self.arrays.items()}
        return {name: row if name in self._beside else row.astype(np.float32) for name, row in rows.items()}

    @functools.cached_property
    def arrays(self):
        """The arrays by name, memory-mapped; computed if they are not on disk."""
        next(iter(self._paths.values())).parent.mkdir(exist_ok=True)
        return arrays_on_disk(self._paths, self._rows(), self._count, "features")

    def _rows(self):
        own = self._front.input
        for batch in self._batches():
            taken = {name: batch[name] for name in own} if isinstance(own, dict) else batch
            outputs = self._front.predict_on_batch(taken)
            features = (np.asarray(one, np.float32).clip(-GREATEST, GREATEST) for one in outputs.values())
            beside = (batch[name] for name in self._beside)
            yield from zip(*(one.astype(np.float16) for one in features), *beside, strict=True)


class FeaturesOfReader(KeptFeatures):
    """The features of a `Reader`'s pictures, in the batches and the order of the reader.

    Args:
        front: As in `KeptFeatures`.
        folder: As in `KeptFeatures`.
        name: As in `KeptFeatures`.
        reader: The `Reader`; its training shows each picture as its validation does (`crops="center"`).
    """

    def __init__(self, front, folder, name, reader):
        beside = ("saliency",) if reader.shown and "saliency" not in front.input else ()
        pictures = lambda: (inputs for inputs, _ in reader.validation())  # noqa: E731
        super().__init__(front, folder, name, reader.records, pictures, beside)
        self._reader = reader

    def training(self, first_epoch, last_epoch):
        """As `Reader.training`, with features in place of pixels."""
        steps = range((first_epoch - 1) * self._reader.steps, last_epoch * self._reader.steps)
        return self._stream(self._reader.training_places, steps)

    def validation(self):
        """As `Reader.validation`, with features in place of pixels."""
        return self._stream(self._reader.validation_places, range(len(self._reader)))

    def _stream(self, places_of, steps):
        self.arrays  # noqa: B018 - computed here, before threads ask for rows

        def batch_of(step):
            places = places_of(step)
            rows = np.searchsorted(self._reader.places, places)
            return self.at(rows), self._reader.labels(places)

        return Stream(batch_of, steps)
