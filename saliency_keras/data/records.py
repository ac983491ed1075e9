"""One record of a compact data set: a picture, its saliency map, its label and its id.

Codec `raw` keeps one RGBS string (side x side x 4 bytes, map last), so that picture and map cannot drift apart and a
pixel is one 32-bit word. Codec `jpeg` keeps two JPEG strings. These two are `tf.train.Example`s in TFRecord files;
codec `npy` keeps what `raw` does as one element of a structured array, written without TensorFlow. A side shard holds
one further map a record, in the order of the pictures' shards. `shards` finds the records again.
"""

import contextlib
import errno
import io
import os

import numpy as np

from saliency_keras.console import UserError

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
        UserError: If the codec needs TensorFlow and there is none.
    """
    if codec == "npy":
        with open(path, "wb") as file:
            yield (writer := _NpyWriter(file, np.dtype(dtype)))
            writer.finish()
        return
    try:
        import tensorflow as tf
    except ModuleNotFoundError:
        raise UserError(
            f"codec {codec} is written by TensorFlow, which is not installed; --codec npy needs none."
        ) from None

    try:
        with tf.io.TFRecordWriter(str(path)) as writer:
            yield writer
    except tf.errors.OpError as error:
        code = errno.ENOSPC if isinstance(error, tf.errors.ResourceExhaustedError) else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from None


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
        The bytes of a `tf.train.Example`, or of one element of a npy shard; the same arguments give the same bytes.
    """
    if codec == "npy":
        record = np.zeros((), dtype)
        record["rgbs"][..., :3], record["rgbs"][..., 3] = image, saliency
        record["label"], record["id"] = label, identifier.encode()
        return record.tobytes()
    if codec == "raw":
        pixels = {"rgbs": np.concatenate([image, saliency[..., None]], axis=-1).tobytes()}
    else:
        pixels = {"image": _jpeg(image), "saliency": _jpeg(saliency)}
    return _example({**pixels, "label": int(label), "id": identifier.encode()})


def encode_side_record(codec, saliency):
    """Serialises one further map, uint8 `(side, side)`, for a side shard."""
    if codec == "npy":
        return saliency.tobytes()
    return _example({"saliency": saliency.tobytes() if codec == "raw" else _jpeg(saliency)})


def _example(values):
    import tensorflow as tf

    feature = {
        name: tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        if isinstance(value, int)
        else tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        for name, value in values.items()
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)


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
