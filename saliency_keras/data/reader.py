"""Batches from a compact data set, by numpy, the same for every codec and every Keras backend.

A batch is `({"image": uint8 (B, s, s, 3), "saliency": uint8 (B, s, s, 1)}, int64 labels (B,))`. Casting and scaling
happen inside the model, so a quarter of the bytes travel. A pixel of picture and map is one 32-bit word, so a crop
with its flip is one copy of words; with `augment="device"` whole pictures travel as words, and `device` crops them
there. Order and draws are `order`'s, finding records in their files is `stored`'s.
"""

import dataclasses
import functools

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.order import CROPS, WINDOW, epoch_plan
from saliency_keras.data.shown import OWN, Shown, swapped_maps
from saliency_keras.data.stored import WORD, Records
from saliency_keras.data.stream import Stream

AUGMENT = ("host", "device")
TOGETHER = 16  # crops that are parted from their maps at once: few turns at Python's lock, and still in the cache


@dataclasses.dataclass(frozen=True)
class Reader:
    """Reads one split.

    Attributes:
        manifest: The compact set's `Manifest`.
        split: `"train"`, `"val"`, or `"train+val"` for both.
        side: Width and height of the crops, at most the stored side.
        batch: Pictures in a batch.
        shown: Which maps are shown, a `Shown`, or `None` to leave maps out.
        seed: Seed of order, crops, flips and swaps.
        window: Records that are permuted together.
        subset: Places in the split, in the order on disk, of the only pictures to read; `None` for all of them. The
            others are not touched, unless their maps are shown: any `shown` but the interleaved ones are read whole.
        augment: `"host"` for batches of crops, or `"device"` for whole pictures and where to crop them:
            `{"words": int32 (B, S, S), "box": int32 (B, 3)}`, the box being first row, first column, and 1 for a flip.
        crops: `"random"` for training crops anywhere in the stored picture, or `"five"` for one of its four corners or
            its centre, drawn for each picture and epoch. Both are flipped at random. `"center"` shows each picture in
            every epoch as validation does: its centre, not flipped.
        classes: Names of the classes that labels are indices into, those of the pictures that are read; `None` for all.
    """

    manifest: Manifest
    split: str
    side: int
    batch: int
    shown: Shown | None = OWN
    seed: int = 0
    window: int = WINDOW
    subset: np.ndarray | None = None
    augment: str = "host"
    crops: str = "random"
    classes: tuple[str, ...] | None = None

    def __post_init__(self):
        if self.augment not in AUGMENT:
            raise ValueError(f"augment is one of {', '.join(AUGMENT)}. Received: {self.augment}")
        if self.crops not in CROPS:
            raise ValueError(f"crops is one of {', '.join(CROPS)}. Received: {self.crops}")
        self.manifest.check_side(self.side)
        swap = swapped_maps(self.manifest, self.split, self.shown, self.seed) if self.shown else None
        object.__setattr__(self, "swap", swap)
        object.__setattr__(self, "stored", Records(self.manifest, self.split))
        object.__setattr__(self, "label_of", self._label_of())
        object.__setattr__(self, "classes", self.classes or self.manifest.classes)
        object.__setattr__(self, "places", self._places())
        object.__setattr__(self, "plan", functools.lru_cache(2)(self._plan))

    def _label_of(self):
        """From the label that is stored to an index into `classes`, int64."""
        if self.classes is None:
            return np.arange(len(self.manifest.classes))
        numbers = {name: number for number, name in enumerate(self.classes)}
        return np.array([numbers.get(name, -1) for name in self.manifest.classes], np.int64)

    def _places(self):
        """Places in the split of the pictures that are read, int64, ascending."""
        records = len(self.stored)
        if self.subset is None:
            return np.arange(records)
        places = np.unique(np.asarray(self.subset, np.int64))
        if not len(places) or places[0] < 0 or places[-1] >= records:
            raise ValueError(f"a subset holds places 0 to {records - 1} of {self.split}. Received: {self.subset}")
        return places

    @property
    def records(self):
        """Number of pictures that are read."""
        return len(self.places)

    @property
    def steps(self):
        """Batches in a training epoch; the pictures of a last, smaller batch wait for another epoch's order."""
        return max(1, self.records // self.batch)

    def __len__(self):
        return -(-self.records // self.batch)

    def __getitem__(self, place):
        """One batch of `validation()`, read at once."""
        if not 0 <= place < len(self):
            raise IndexError(place)
        return self._validation_batch(place)

    @property
    def mean_saliency(self):
        """Mean of the maps that are shown, 0 to 1."""
        return self.manifest.maps[0].mean if self.swap is None else float(self.swap.stored.mean()) / 255

    def training(self, first_epoch, last_epoch):
        """The batches of several epochs: shuffled, cropped as `crops` says, flipped at random.

        Args:
            first_epoch: The first epoch to read; epochs count from 1.
            last_epoch: The last one.

        Returns:
            A `Stream` of `steps` batches an epoch. An epoch's batches depend on (seed, epoch) alone.
        """
        return Stream(self._training_batch, range((first_epoch - 1) * self.steps, last_epoch * self.steps))

    def validation(self):
        """A `Stream` of every picture once, in the order on disk, cropped at the centre; the last may be smaller."""
        return Stream(self._validation_batch, range(len(self)))

    def ids_and_labels(self):
        """Ids (list of str) and labels (int64 array) of the pictures that are read, in the order on disk."""
        return self.stored.ids(self.places), self.labels(self.places)

    def labels(self, places):
        """Labels, int64 `(B,)`, for places in the split: indices into `classes`, -1 for another class."""
        labels, known = self.stored.labels(places), len(self.label_of)
        if labels.size and not 0 <= labels.min() <= labels.max() < known:
            wrong = labels.min() if labels.min() < 0 else labels.max()
            raise UserError(
                f"{self.split} of {self.manifest.folder} has the label {wrong}, and {known} classes; it was damaged "
                "after it was checked. Check the set with data_prep.verify."
            )
        return self.label_of[labels]

    def _plan(self, epoch):
        counts = np.diff(np.searchsorted(self.places, self.stored.first))
        margin = self.manifest.side - self.side
        plan = epoch_plan(counts, self.seed, epoch, margin, self.window, self.crops)
        return dataclasses.replace(plan, index=self.places[plan.index])

    def training_places(self, step):
        """Places in the split of the pictures of a training step, steps counting from 0 over all epochs."""
        return self._planned(step)[0]

    def validation_places(self, step):
        """Places in the split of the pictures of a step of `validation()`."""
        return self.places[step * self.batch : (step + 1) * self.batch]

    def _planned(self, step):
        plan = self.plan(step // self.steps + 1)
        first = step % self.steps * self.batch
        rows = slice(first, first + self.batch)
        return plan.index[rows], plan.top[rows], plan.left[rows], plan.flip[rows]

    def drawn(self, step):
        """What is drawn for a training step, without reading pictures.

        Args:
            step: The step, counting from 0 over all epochs.

        Returns:
            Places in the split, int64 `(B,)`, and boxes, int32 `(B, 3)`, as `augment="device"` has them.
        """
        places, *box = self._planned(step)
        return places, np.stack(box, axis=1).astype(np.int32)

    def whole(self, places):
        """The pictures at those places uncropped, with the maps that are shown: words, int32 `(pictures, S, S)`."""
        words = np.empty((len(places), self.manifest.side, self.manifest.side), WORD)
        for row, whole in enumerate(self.stored.words(places, bool(self.shown) and self.swap is None)):
            words[row] = whole
        if self.shown and self.swap:
            words.view(np.uint8).reshape(*words.shape, 4)[..., 3] = self.swap.stored[self.swap.of_picture[places]]
        return words.view("<i4")

    def _training_batch(self, step):
        return self._batch(*self._planned(step))

    def _validation_batch(self, step):
        places = self.validation_places(step)
        middle = np.full(len(places), (self.manifest.side - self.side) // 2)
        return self._batch(places, middle, middle, np.zeros(len(places), bool))

    def _batch(self, places, top, left, flip):
        """A batch of the pictures at those places, each with its crop and flip."""
        inputs = (self._whole if self.augment == "device" else self._crops)(places, top, left, flip)
        return inputs, self.labels(places)

    def _whole(self, places, top, left, flip):
        return {"words": self.whole(places), "box": np.stack([top, left, flip], axis=1).astype(np.int32)}

    def _crops(self, places, top, left, flip):
        side, pictures = self.side, len(places)
        interleaved = bool(self.shown) and self.swap is None
        # One byte more than the pictures have: the last pixel's word ends in it.
        packed = np.empty(pictures * side * side * 3 + 1, np.uint8)
        saliency = np.empty((pictures, side, side, 1), np.uint8)
        boxes = list(zip(top.tolist(), left.tolist(), flip.tolist(), strict=True))
        wholes = self.stored.words(places, interleaved)
        for first in range(0, pictures, TOGETHER):
            part = slice(first, first + TOGETHER)
            words = np.empty((len(boxes[part]), side, side), WORD)
            _cut(wholes, boxes[part], words)
            # Pixels are written as overlapping words, in order: the byte that is the map's is covered by the next
            # pixel's red. That is four times as fast as copying three bytes of four.
            np.ndarray((words.size,), WORD, packed, first * side * side * 3, (3,))[...] = words.reshape(-1)
            if interleaved:
                words >>= 24
                saliency[part, ..., 0] = words
        if self.shown and self.swap:
            _cut(self.swap.stored[self.swap.of_picture[places]], boxes, saliency[..., 0])
        inputs = {"image": packed[:-1].reshape(pictures, side, side, 3)}
        if self.shown:
            inputs["saliency"] = saliency
        return inputs


def _cut(wholes, boxes, crops):
    """Fills `crops` with parts of the next of `wholes`, each from its box's row and column on, mirrored or not."""
    side = crops.shape[1]
    for crop, (top, left, turned), whole in zip(crops, boxes, wholes, strict=False):
        cut = whole[top : top + side, left : left + side]
        crop[...] = cut[:, ::-1] if turned else cut
