"""Crop and flip where the network runs: whole pictures as words in, crops out, by `keras.ops` alone.

The host then only copies bytes. The draws travel with the batch, so the crops are those that the reader would have
made, pixel by pixel.
"""

from keras import ops


def crops(words, box, side):
    """Cuts the crops out of whole pictures.

    Args:
        words: int32 tensor `(B, S, S)`: a pixel's bytes are red, green, blue, saliency, red being the lowest.
        box: int32 tensor `(B, 3)`: first row, first column, and 1 where the crop is mirrored.
        side: Width and height of the crops, at most S.

    Returns:
        uint8 tensors `(B, side, side, 3)` and `(B, side, side, 1)`: pictures and maps.
    """
    stored = words.shape[1]
    steps = ops.arange(side, dtype="int32")
    rows = box[:, 0:1] + steps  # (B, side)
    columns = box[:, 1:2] + steps + box[:, 2:3] * (side - 1 - 2 * steps)
    places = ops.expand_dims(rows, 2) * stored + ops.expand_dims(columns, 1)  # (B, side, side)
    flat = ops.reshape(words, (-1, stored * stored))
    chosen = ops.take_along_axis(flat, ops.reshape(places, (-1, side * side)), axis=1)
    chosen = ops.reshape(chosen, (-1, side, side))
    *colours, saliency = (ops.cast(ops.mod(ops.right_shift(chosen, 8 * byte), 256), "uint8") for byte in range(4))
    return ops.stack(colours, axis=-1), ops.expand_dims(saliency, -1)
