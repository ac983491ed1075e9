"""The one cache of frozen features: what frozen layers make of each picture, computed once and kept on disk.

Features are kept in half precision, 11 bits of each number, in the run's `state/`, and go with it; or in a folder that
the runs of a table share, where those with the same frozen layers and pictures find each other's. They serve trainings
that show each picture in the same way, or in a few ways, in all epochs.
"""

import contextlib
import functools
import hashlib
import json
import shutil

import keras
import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data.arrays import kept_arrays
from saliency_keras.data.stream import Stream
from saliency_keras.files import claimed

GREATEST = float(np.finfo(np.float16).max)


@contextlib.contextmanager
def shared(folder):
    """Claims a folder in which trainings share features while the block lasts.

    It is removed at the end, or stays for the next attempt if the block ends with an exception.

    Args:
        folder: The folder; it is made.

    Yields:
        The folder, or `None` where another process has it or it cannot be made: each training keeps its own then.
    """
    with contextlib.ExitStack() as claim:
        try:
            claim.enter_context(claimed(folder))
        except UserError:
            folder = None
        yield folder
        if folder:
            shutil.rmtree(folder)


class KeptFeatures:
    """What a model makes of pictures, a row of each array for each picture.

    Args:
        front: `keras.Model` from inputs to a dictionary of features, the first one of `models.frozen.in_two`.
        folder: As for `kept_arrays`.
        count: Number of pictures.
        batches: Function without arguments to an iterable of batches of inputs: as `front` takes them, or by name.
        of: What those inputs depend on, by `repr`.
        beside: Names of inputs that `front` does not take and that are kept beside the features, as they are.
        of_beside: What these depend on besides, by `repr`.
    """

    def __init__(self, front, folder, count, batches, of, beside=(), of_beside=()):
        self._front, self._folder, self._count, self._batches = front, folder, count, batches
        self._beside, self._of, self._of_beside = beside, of, of_beside

    def at(self, places):
        """Features of the pictures at those places, float32, by name; and the inputs beside them."""
        rows = {name: array[places] for name, array in self.arrays.items()}
        return {name: row if name in self._beside else row.astype(np.float32) for name, row in rows.items()}

    @functools.cached_property
    def arrays(self):
        """The arrays by name, memory-mapped; computed if they are not on disk."""
        of = "features", _named(self._front), self._of
        arrays = kept_arrays(self._folder, of, self._front.output, self._rows(), self._count, "features")
        if self._beside:
            of = "beside", self._of, self._of_beside
            arrays |= kept_arrays(self._folder, of, self._beside, self._rows_beside(), self._count, "maps")
        return arrays

    def _rows(self):
        own = self._front.input
        for batch in self._batches():
            taken = {name: batch[name] for name in own} if isinstance(own, dict) else batch
            outputs = self._front.predict_on_batch(taken)
            features = (np.asarray(one, np.float32).clip(-GREATEST, GREATEST) for one in outputs.values())
            yield from zip(*(one.astype(np.float16) for one in features), strict=True)

    def _rows_beside(self):
        for batch in self._batches():
            yield from zip(*(batch[name] for name in self._beside), strict=True)


def _named(model):
    """What a model computes, named: its layers and weights, and the backend."""
    layers = json.loads(model.to_json())
    del layers["config"]["name"]  # Keras counts up
    weights = hashlib.sha256()
    for one in model.get_weights():
        weights.update(np.ascontiguousarray(one).data)
    return keras.backend.backend(), json.dumps(layers, sort_keys=True), weights.hexdigest()


class FeaturesOfReader(KeptFeatures):
    """The features of a `Reader`'s pictures, in the batches and the order of the reader.

    Args:
        front: As in `KeptFeatures`.
        folder: As in `KeptFeatures`.
        reader: The `Reader`; its training shows each picture as its validation does (`crops="center"`).
    """

    def __init__(self, front, folder, reader):
        beside = ("saliency",) if reader.shown and "saliency" not in front.input else ()
        pictures = lambda: (inputs for inputs, _ in reader.validation())  # noqa: E731
        read = reader.manifest.digest(), reader.split, reader.places.tobytes(), reader.side, reader.batch
        maps = reader.shown and (reader.shown, reader.manifest.digest(reader.shown.map), reader.seed)
        of = read if beside or not reader.shown else (read, maps)
        super().__init__(front, folder, reader.records, pictures, of, beside, maps)
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
