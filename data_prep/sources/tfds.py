"""An image-classification set of TensorFlow Datasets: `tfds:NAME`, with a configuration or version where it has one.

Its split `train` is learned from; `test`, or `validation` where the set has no test split or one without labels, is
`val`. Where it has boxes of objects, they come along. The set is downloaded and prepared by TFDS if it is not there yet
(`TFDS_DATA_DIR`, else `~/tensorflow_datasets`). Its records are then read where they lie, by offset, and their encoded
pictures decoded as those of a folder are.
"""

import os
import struct

from data_prep.sources.source import Picture, Source, changed_at
from saliency_keras.console import UserError, progress
from saliency_keras.data.manifest import SPLITS
from saliency_keras.data.tfrecord import masked_checksum

# Results are published on `test`; TFDS has that split also where its publishers kept the labels to themselves.
WANTED = {"train": ("train",), "val": ("test", "validation")}


class TfdsSource(Source):
    """The pictures of a TFDS set; ids are `class/split-number`."""

    def __init__(self, name):
        builder = _prepared(name)
        info = builder.info
        self._image, self._label, self.classes = _features(name, info.features)
        self._boxes = _box_features(info.features)
        files = {split: [os.fspath(path) for path in info.splits[split].filepaths] for split in info.splits}
        self._splits = {split: _first_labelled(name, WANTED[split], files, self._label) for split in SPLITS}
        self._files = {split: files[wanted] for split, wanted in self._splits.items()}
        self.description = {
            "kind": "tfds",
            "name": info.full_name,
            "splits": self._splits,
        }

    def pictures(self, split):
        """Every picture of a split. The label stands behind the picture, so this reads the split's files once."""
        import tensorflow as tf

        found = []
        for file in progress(self._files[split], label=f"listing {split}", unit="file"):
            for offset, payload in _payloads(file):
                feature = tf.train.Example.FromString(payload).features.feature
                label = feature[self._label].int64_list.value[0]
                if not 0 <= label < len(self.classes):
                    raise UserError(f"record {len(found)} of {split} of {self.description['name']} has no label.")
                identifier = f"{self.classes[label]}/{self._splits[split]}-{len(found):07d}"
                boxes = [box for key in self._boxes for box in _boxes(feature[key].float_list.value)]
                found.append(Picture(identifier, label, (file, offset, tuple(boxes)), len(payload)))
        return found

    def content(self, picture):
        """The encoded picture of one record."""
        import tensorflow as tf

        file, offset, _ = picture.place
        with open(file, "rb") as opened:
            opened.seek(offset)
            example = tf.train.Example.FromString(opened.read(picture.bytes))
        return example.features.feature[self._image].bytes_list.value[0]

    def changed(self, picture):
        """When the file that has the record was last changed."""
        return changed_at(picture.place[0])

    def boxes(self, picture):
        """The boxes that the set has of a picture."""
        return picture.place[2]


def _prepared(name):
    """The builder of a set whose files are on the disk."""
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise UserError("tfds: sources need the package tensorflow-datasets; install it.") from None
    try:
        builder = tfds.builder(name)
        builder.download_and_prepare()
    except Exception as error:
        # TFDS and what it calls raise anything at all when a name is unknown or a network or file is missing.
        reason = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise UserError(f"TFDS cannot prepare {name!r}: {reason.strip().rstrip('.')[:300]}.") from None
    if builder.info.file_format is not None and builder.info.file_format.value != "tfrecord":
        raise UserError(
            f"{name} was prepared as {builder.info.file_format.value} and is read as tfrecord, TFDS's default; "
            f"prepare it again: `import tensorflow_datasets as tfds; tfds.builder({name!r}).download_and_prepare("
            'file_format="tfrecord")` in another TFDS_DATA_DIR.'
        )
    return builder


def _features(name, features):
    """Names of the picture and the label in a record, and the classes' names."""
    import tensorflow_datasets as tfds

    kinds = {key: type(feature) for key, feature in features.items()}
    images = [key for key, kind in kinds.items() if kind is tfds.features.Image]
    labels = [key for key, kind in kinds.items() if kind is tfds.features.ClassLabel]
    image = "image" if "image" in images else images[0] if len(images) == 1 else None
    label = "label" if "label" in labels else labels[0] if len(labels) == 1 else None
    if image is None or label is None:
        raise UserError(f"{name} is no set for image classification: one picture and one label are needed in a record.")
    classes = tuple(features[label].names)
    if len(classes) < 2:
        raise UserError(f"{name} has {len(classes)} class(es); a classifier needs two or more.")
    return image, label, classes


def _box_features(features):
    """Names in a record of the boxes of a picture's objects, one of them or a sequence."""
    import tensorflow_datasets as tfds

    found = []
    for key, feature in features.items():
        inner = getattr(feature, "feature", None)  # of a sequence
        named = {f"{key}/{part}": one for part, one in inner.items()} if hasattr(inner, "items") else {key: feature}
        for path, one in named.items():
            form = getattr(one, "bbox_format", None)
            if isinstance(one, tfds.features.BBoxFeature) and getattr(form, "name", "REL_YXYX") == "REL_YXYX":
                found.append(path)
    return found


def _boxes(values):
    """TFDS's numbers, four a box, as `(xmin, ymin, xmax, ymax)`."""
    for start in range(0, len(values) - 3, 4):
        ymin, xmin, ymax, xmax = values[start : start + 4]
        yield xmin, ymin, xmax, ymax


def _first_labelled(name, wanted, files, label):
    """The first of the wanted splits that is there and whose first record, if it has any, has a label."""
    import tensorflow as tf

    for split in wanted:
        if split in files:
            first = next((payload for file in files[split] for _, payload in _payloads(file)), None)
            if first is None or tf.train.Example.FromString(first).features.feature[label].int64_list.value[0] >= 0:
                return split
    raise UserError(f"{name} has no split {' or '.join(wanted)} with labels; it has {', '.join(files)}.")


def _payloads(path):
    """Offset and bytes of each record of a TFRecord file: length (8 bytes), checksum (4), data, checksum (4)."""
    with open(path, "rb") as file:
        while header := file.read(12):
            offset = file.tell()
            length, checksum = struct.unpack("<QI", header) if len(header) == 12 else (0, None)
            whole = checksum == masked_checksum(header[:8])  # before its length is believed
            payload, end = (file.read(length), file.read(4)) if whole else (b"", b"")
            if len(end) < 4 or struct.unpack("<I", end)[0] != masked_checksum(payload):
                raise UserError(f"{path} is damaged or cut off; have TFDS prepare the set again.")
            yield offset, payload
