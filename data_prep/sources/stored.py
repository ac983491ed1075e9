"""The pictures of a compact data set as a source: as they are stored, with the ids that they have there."""

import numpy as np

from data_prep.sources.source import Picture, Source
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.stored import Records


class StoredSource(Source):
    """The stored pictures of a compact data set; `place` is the split and the place in it.

    Args:
        folder: Folder of the set.

    Raises:
        UserError: If it is no compact data set, or a shard is damaged.
    """

    def __init__(self, folder):
        self._manifest = Manifest.load(folder, further=())
        self._manifest.check_sums(further=())
        self._records = {}
        self.classes = self._manifest.classes
        self.side = self._manifest.side
        self.description = {
            "kind": "compact data set",
            "name": self._manifest.folder.resolve().name,
            "digest": self._manifest.digest(),
        }

    def pictures(self, split):
        """Every record of a split."""
        records = self._of(split)
        places = np.arange(len(records))
        rows = zip(records.ids(places), records.labels(places).tolist(), strict=True)
        size = 3 * self.side**2
        return [Picture(identifier, label, (split, place), size) for place, (identifier, label) in enumerate(rows)]

    def read(self, picture, content=None):
        """The stored pixels, uint8 `(side, side, 3)`, and no maps."""
        split, place = picture.place
        (words,) = self._of(split).words([place], with_map=False)
        return words.view(np.uint8).reshape(self.side, self.side, 4)[..., :3].copy(), {}

    def _of(self, split):
        if split not in self._records:
            self._records[split] = Records(self._manifest, split)
        return self._records[split]

    def __getstate__(self):
        return {**self.__dict__, "_records": {}}  # a worker opens the shards itself
