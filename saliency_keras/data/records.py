"""One record of a compact data set: a picture, its saliency map, its label and its id.

Codec `raw` keeps one RGBS string (side x side x 4 bytes, map last), so that picture and map cannot drift apart and a
pixel is one 32-bit word. Codec `jpeg` keeps two JPEG strings. A side shard holds one further map a record,
in the order of the pictures' shards. `encode_*` write what `*_features` describe to `tf.io.parse_example`.
"""

import io

import numpy as np

JPEG_QUALITY = 95


def encode_record(codec, image, saliency, label, identifier):
    """Serialises one picture with its map.

    Args:
        codec: `"raw"` or `"jpeg"`.
        image: uint8 array `(side, side, 3)`, RGB.
        saliency: uint8 array `(side, side)`.
        label: Index of the class.
        identifier: The picture's id, a string that is unique in its split.

    Returns:
        The bytes of a `tf.train.Example`; the same arguments give the same bytes.
    """
    if codec == "raw":
        pixels = {"rgbs": np.concatenate([image, saliency[..., None]], axis=-1).tobytes()}
    else:
        pixels = {"image": _jpeg(image), "saliency": _jpeg(saliency)}
    return _example({**pixels, "label": int(label), "id": identifier.encode()})


def encode_side_record(codec, saliency):
    """Serialises one further map, uint8 `(side, side)`, for a side shard."""
    return _example({"saliency": saliency.tobytes() if codec == "raw" else _jpeg(saliency)})


def picture_features(codec):
    """What `tf.io.parse_example` finds in a record of the pictures' shards."""
    import tensorflow as tf

    pixels = ("rgbs",) if codec == "raw" else ("image", "saliency")
    features = {name: tf.io.FixedLenFeature([], tf.string) for name in (*pixels, "id")}
    return {**features, "label": tf.io.FixedLenFeature([], tf.int64)}


def side_features():
    """What `tf.io.parse_example` finds in a record of a side shard."""
    import tensorflow as tf

    return {"saliency": tf.io.FixedLenFeature([], tf.string)}


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
