"""One record of a compact data set: a picture, its saliency map, its label and its id.

Codec `raw` keeps one RGBS string (side x side x 4 bytes, map last), so that picture and map cannot drift apart and a
pixel is one 32-bit word. Codec `jpeg` keeps two JPEG strings. These two are `tf.train.Example`s in TFRecord files
(`tfrecord`); codec `npy` keeps what `raw` does as one element of a structured array. A side shard holds one further map
a record, in the order of the pictures' shards. None needs TensorFlow. `shards` finds the records again.
"""

import contextlib
import io

import numpy as np

from saliency_keras.data.tfrecord import example, framed

JPEG_QUALITY = 95


def record_dtype(side, id_bytes):
    """One element of a npy shard: `rgbs` uint8 `(side, side, 4)`, `label`, and `id` in UTF-8, `id_bytes` wide."""
    return np.dtype([("rgbs", "u1", (side, side, 4)), ("label", "<i8"), ("id", f"S{id_bytes}")], align=True)


@contextlib.contextmanager
def record_writer(path, codec, dtype=None):
    """Opens a shard to be written record by record.

    Args:
        path: The file.
        codec: `"raw"`, `"jpeg"` or `"npy"`.
        dtype: What a record of a npy shard is: `record_dtype`, or `("u1", (side, side))` in a side shard.

    Yields:
        An object whose `write` takes what `encode_record` or `encode_side_record` returns.

    Raises:
        OSError: If the file cannot be written.
    """
    with open(path, "wb") as file:
        yield (writer := _NpyWriter(file, np.dtype(dtype)) if codec == "npy" else file)
        if codec == "npy":
            writer.finish()


def encode_record(codec, image, saliency, label, identifier, dtype=None):
    """Serialises one picture with its map.

    Args:
        codec: `"raw"`, `"jpeg"` or `"npy"`.
        image: uint8 array `(side, side, 3)`, RGB.
        saliency: uint8 array `(side, side)`.
        label: Index of the class.
        identifier: The picture's id, a string that is unique in its split.
        dtype: The `record_dtype` of a npy shard.

    Returns:
        The bytes of a TFRecord with a `tf.train.Example`, or of one element of a npy shard; the same arguments give
        the same bytes.
    """
    if codec == "npy":
        record = np.zeros((), dtype)
        record["rgbs"] = _rgbs(image, saliency)
        record["label"], record["id"] = label, identifier.encode()
        return record.tobytes()
    if codec == "raw":
        pixels = {"rgbs": _rgbs(image, saliency).tobytes()}
    else:
        pixels = {"image": _jpeg(image), "saliency": _jpeg(saliency)}
    return framed(example({**pixels, "label": int(label), "id": identifier.encode()}))


def encode_side_record(codec, saliency):
    """Serialises one further map, uint8 `(side, side)`, for a side shard."""
    if codec == "npy":
        return saliency.tobytes()
    return framed(example({"saliency": saliency.tobytes() if codec == "raw" else _jpeg(saliency)}))


def _rgbs(image, saliency):
    """Picture and map in one array, uint8 `(side, side, 4)`."""
    # Three bytes at a time read as overlapping words: a fifth of the time that copying channels takes.
    packed = np.empty(image.size + 1, np.uint8)
    packed[:-1] = image.reshape(-1)
    words = np.ndarray(saliency.shape, "<u4", packed, 0, (3 * saliency.shape[1], 3))
    return (words & 0xFFFFFF | saliency.astype("<u4") << 24).view(np.uint8).reshape(*saliency.shape, 4)


def _jpeg(array):
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(array).save(file, "JPEG", quality=JPEG_QUALITY)
    return file.getvalue()


class _NpyWriter:
    """Writes an array element by element; the header's room for the length is numpy's own, for files that grow."""

    def __init__(self, file, dtype):
        self._file, self._dtype, self._records = file, dtype, 0
        self._write_header()

    def write(self, record):
        self._file.write(record)
        self._records += 1

    def finish(self):
        self._file.seek(0)
        self._write_header()

    def _write_header(self):
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype.base),
            "fortran_order": False,
            "shape": (self._records, *self._dtype.shape),
        }
        np.lib.format.write_array_header_1_0(self._file, header)
