"""Batches from a compact data set, by tf.data.

A batch is `({"image": uint8 (B, s, s, 3), "saliency": uint8 (B, s, s, 1)}, int64 labels (B,))`. Casting and scaling
happen inside the model, so a quarter of the bytes travel. In codec `raw` a pixel of picture and map is one 32-bit
word, and a crop with its flip is two gathers over words, compiled by XLA; in codec `jpeg` both are decoded first.
"""

import dataclasses

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.maps import swapped_maps
from saliency_keras.data.plan import WINDOW, epoch_plan
from saliency_keras.data.records import picture_features, side_features

READ_AHEAD = 8 << 20  # bytes read from a shard at once


@dataclasses.dataclass(frozen=True)
class Reader:
    """Reads one split.

    Attributes:
        manifest: The compact set's `Manifest`.
        split: `"train"` or `"val"`.
        side: Width and height of the crops, at most the stored side.
        batch: Pictures in a batch.
        maps: `"own"`, a swap of `maps.SWAPS`, the name of a map of the set, or `None` to leave maps out.
        seed: Seed of order, crops, flips and swaps.
        window: Records that are permuted together.
        subset: Places in the split, in the order on disk, of the only pictures to read; `None` for all of them. The
            others are passed over while reading, so a subset may be as large as the split.
    """

    manifest: Manifest
    split: str
    side: int
    batch: int
    maps: str | None = "own"
    seed: int = 0
    window: int = WINDOW
    subset: np.ndarray | None = None

    def __post_init__(self):
        if self.side > self.manifest.side:
            raise UserError(
                f"the network wants {self.side} px, the data set {self.manifest.folder} stores "
                f"{self.manifest.side} px; compact it with a larger --side."
            )
        swap = swapped_maps(self.manifest, self.split, self.maps, self.seed) if self.maps else None
        object.__setattr__(self, "swap", swap)
        object.__setattr__(self, "places", self._places())

    def _places(self):
        """Places in the split of the pictures that are read, int64, ascending."""
        records = self.manifest.splits[self.split].records
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

    @property
    def mean_saliency(self):
        """Mean of the maps that are shown, 0 to 1."""
        return self.manifest.maps[0].mean if self.swap is None else float(self.swap.stored.mean()) / 255

    def training(self, first_epoch, last_epoch):
        """The batches of several epochs: shuffled, cropped at random, flipped at random.

        Args:
            first_epoch: The first epoch to read; epochs count from 1.
            last_epoch: The last one.

        Returns:
            A `tf.data.Dataset` of `steps` batches an epoch. An epoch's batches depend on (seed, epoch) alone.
        """
        import tensorflow as tf

        files = tf.constant([str(path) for path in self.manifest.shard_files(self.split)])
        starts = np.cumsum([0, *(shard.records for shard in self.manifest.splits[self.split].shards)])
        counts = np.diff(np.searchsorted(self.places, starts))
        margin = self.manifest.side - self.side
        size = min(self.batch, self.records)

        def plan(epoch):
            planned = epoch_plan(counts, self.seed, epoch, margin, self.window)
            planned = dataclasses.replace(planned, index=self.places[planned.index])
            return [getattr(planned, field.name) for field in dataclasses.fields(planned)]

        def one_epoch(epoch):
            kinds = [tf.int64, tf.int64, tf.int64, tf.int32, tf.int32, tf.bool]
            planned = tf.numpy_function(plan, [epoch], kinds, stateful=False)
            for tensor in planned:
                tensor.set_shape([None])
            shards, within, *draws = planned
            records = self._records(tf.gather(files, shards), shards).batch(self.window)
            places = tf.data.Dataset.from_tensor_slices(within).batch(self.window)
            records = tf.data.Dataset.zip(records, places).map(tf.gather).unbatch()
            draws = tf.data.Dataset.from_tensor_slices(tuple(draws))
            return tf.data.Dataset.zip(records, draws).batch(size, drop_remainder=True)

        epochs = tf.data.Dataset.range(first_epoch, last_epoch + 1)
        batches = epochs.flat_map(one_epoch).map(self._crops(), num_parallel_calls=2, deterministic=True)
        return batches.prefetch(2)

    def validation(self):
        """Every picture once, in the order on disk, cropped at the centre; the last batch may be smaller."""
        import tensorflow as tf

        files = [str(path) for path in self.manifest.shard_files(self.split)]
        offset = (self.manifest.side - self.side) // 2

        def with_draws(serialized, index):
            same = tf.fill(tf.shape(index), offset)
            return serialized, (index, same, same, tf.zeros(tf.shape(index), tf.bool))

        records = self._records(files).batch(self.batch)
        places = tf.data.Dataset.from_tensor_slices(self.places).batch(self.batch)
        batches = tf.data.Dataset.zip(records, places).map(with_draws)
        batches = batches.map(self._crops(), num_parallel_calls=2, deterministic=True)
        return batches.apply(tf.data.experimental.assert_cardinality(-(-self.records // self.batch))).prefetch(2)

    def ids_and_labels(self):
        """Ids (list of str) and labels (int64 array) of the split, in the order on disk."""
        import tensorflow as tf

        described = picture_features(self.manifest.codec)
        features = {name: described[name] for name in ("id", "label")}
        files = [str(path) for path in self.manifest.shard_files(self.split)]
        ids, labels = [], []
        for serialized in self._records(files).batch(1024):
            parsed = tf.io.parse_example(serialized, features)
            ids += [one.decode() for one in parsed["id"].numpy()]
            labels.append(parsed["label"].numpy())
        return ids, np.concatenate(labels)

    def _records(self, files, shards=None):
        """The serialised pictures that are read, in the order of the files; `shards` are their numbers."""
        import tensorflow as tf

        records = tf.data.TFRecordDataset(files, buffer_size=READ_AHEAD)
        if self.subset is None:
            return records
        counts = [shard.records for shard in self.manifest.splits[self.split].shards]
        wanted = tf.RaggedTensor.from_row_lengths(np.isin(np.arange(sum(counts)), self.places), counts)
        wanted = wanted.flat_values if shards is None else tf.gather(wanted, shards).flat_values
        chosen = tf.data.Dataset.zip(records, tf.data.Dataset.from_tensor_slices(wanted))
        return chosen.filter(lambda record, is_wanted: is_wanted).map(lambda record, is_wanted: record)

    def _crops(self):
        """The function from serialised records and draws to a batch."""
        import tensorflow as tf

        codec, stored, side = self.manifest.codec, self.manifest.side, self.side
        features = picture_features(codec)
        del features["id"]
        swap = self.swap

        def stored_swap(index):
            return swap.stored[swap.of_picture[index]]

        @tf.function(jit_compile=True)
        def crop(words, top, left, flip):
            steps = tf.range(side)
            columns = left[:, None] + tf.where(flip[:, None], side - 1 - steps, steps)
            rows = tf.gather(words, top[:, None] + steps, axis=1, batch_dims=1)
            return tf.gather(rows, columns, axis=2, batch_dims=1)

        def batch(serialized, draws):
            index, *box = draws
            parsed = tf.io.parse_example(tf.ensure_shape(serialized, [None]), features)
            if codec == "raw":
                words = tf.reshape(tf.io.decode_raw(parsed["rgbs"], tf.int32), [-1, stored, stored])
                pixels = tf.bitcast(crop(words, *box), tf.uint8)
                pixels = tf.ensure_shape(pixels, [None, side, side, 4])
                image, saliency = pixels[..., :3], pixels[..., 3:]
            else:
                image = crop(_decoded(parsed["image"], stored, 3), *box)
                saliency = crop(_decoded(parsed["saliency"], stored, 1), *box) if self.maps and swap is None else None
            if swap is not None:
                maps = tf.numpy_function(stored_swap, [index], tf.uint8, stateful=False)
                saliency = crop(tf.ensure_shape(maps, [None, stored, stored]), *box)[..., None]
            inputs = {"image": image, "saliency": saliency} if self.maps else {"image": image}
            return inputs, parsed["label"]

        return batch


def stored_maps(manifest, split, name=None):
    """Yields all maps of a split in the order on disk, whole, in batches.

    Args:
        manifest: The compact set's `Manifest`.
        split: `"train"` or `"val"`.
        name: Name of a further map, or `None` for the interleaved one.

    Yields:
        uint8 array `(B, side, side)` and int64 labels `(B,)` (zeros for a further map, whose records have none).
    """
    import tensorflow as tf

    interleaved = name in (None, manifest.maps[0].name)
    features = picture_features(manifest.codec) if interleaved else side_features()
    files = [str(path) for path in manifest.shard_files(split, name)]
    side = manifest.side
    for serialized in tf.data.TFRecordDataset(files, buffer_size=READ_AHEAD).batch(256):
        parsed = tf.io.parse_example(serialized, features)
        if manifest.codec == "jpeg":
            maps = _decoded(parsed["saliency"], side, 1)[..., 0]
        elif interleaved:
            maps = tf.reshape(tf.io.decode_raw(parsed["rgbs"], tf.uint8), [-1, side, side, 4])[..., 3]
        else:
            maps = tf.reshape(tf.io.decode_raw(parsed["saliency"], tf.uint8), [-1, side, side])
        labels = parsed["label"].numpy() if interleaved else np.zeros(len(maps), np.int64)
        yield maps.numpy(), labels


def _decoded(strings, side, channels):
    import tensorflow as tf

    def decode(string):
        pixels = tf.io.decode_jpeg(string, channels=channels, dct_method="INTEGER_ACCURATE")
        return tf.ensure_shape(pixels, [side, side, channels])

    return tf.map_fn(decode, strings, fn_output_signature=tf.TensorSpec([side, side, channels], tf.uint8))
