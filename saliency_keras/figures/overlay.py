"""Pictures beside their saliency maps: what a map says of a picture, seen at a glance.

A contact sheet shows each picture three times: as it is, its map as heat, and the map laid over the picture in grey.
The heat is Matplotlib's `inferno`, whose lightness rises with the value, so that it reads in grey print too.
"""

import numpy as np

from saliency_keras.figures import style


def heat(saliency_map):
    """A map as an RGB picture, dark where nobody looks.

    Args:
        saliency_map: Array `(height, width)` or `(height, width, 1)`, not negative; its maximum becomes the brightest.

    Returns:
        uint8 array `(height, width, 3)`.
    """
    import matplotlib

    return matplotlib.colormaps["inferno"](_unit(saliency_map), bytes=True)[..., :3]


def overlay(picture, saliency_map, strength=0.65):
    """The map's heat laid over the picture, which is made grey so that colour belongs to the map alone.

    Args:
        picture: uint8 array `(height, width, 3)`, RGB.
        saliency_map: Array `(height, width)` or `(height, width, 1)`, not negative.
        strength: How much the brightest place of the map covers, 0 to 1; a place without saliency stays uncovered.

    Returns:
        uint8 array `(height, width, 3)`.

    Raises:
        ValueError: If picture and map have other sizes.
    """
    cover = strength * _unit(saliency_map)[..., None]
    if cover.shape[:2] != picture.shape[:2]:
        raise ValueError(f"picture and map must have one size. Received: {picture.shape}, {saliency_map.shape}")
    grey = picture.mean(axis=-1, keepdims=True)
    return np.round((1 - cover) * grey + cover * heat(saliency_map)).astype("uint8")


def contact_sheet(pictures, maps, captions=None, pictures_in_row=3):
    """Pictures with their maps: picture, map and overlay side by side, several such triples in a row.

    Args:
        pictures: uint8 arrays `(height, width, 3)`, a list or a batch; sizes may differ.
        maps: Arrays `(height, width)` or `(height, width, 1)`, one a picture.
        captions: One text a picture, such as its class and id; `None` for none.
        pictures_in_row: Triples in a row.

    Returns:
        A `matplotlib.figure.Figure`.

    Raises:
        ValueError: If there are no pictures, or not one map and caption for each.
    """
    captions = [""] * len(pictures) if captions is None else captions
    if not len(pictures) or not len(pictures) == len(maps) == len(captions):
        counts = f"{len(pictures)} pictures, {len(maps)} maps, {len(captions)} captions"
        raise ValueError(f"one map and one caption for each of some pictures expected. Received: {counts}")
    columns = min(pictures_in_row, len(pictures))
    rows = -(-len(pictures) // columns)
    with style.look():
        figure = style.new_figure(4.2 * columns, 1.62 * rows)
        named = ", ".join(filter(None, captions))
        figure.set_label("pictures, their saliency maps, and the maps over them" + (f": {named}" if named else ""))
        triples = figure.subfigures(rows, columns, squeeze=False, wspace=0.02).flat
        for triple, picture, saliency_map, caption in zip(triples, pictures, maps, captions, strict=False):
            shown = np.asarray(picture), heat(saliency_map), overlay(np.asarray(picture), saliency_map)
            triple.suptitle(style.shortened(caption, 72), fontsize=7, x=0.01, ha="left")
            for ax, image in zip(triple.subplots(1, 3, gridspec_kw={"wspace": 0.02}), shown, strict=True):
                ax.imshow(image)
                ax.set_axis_off()
    return figure


def _unit(saliency_map):
    values = np.asarray(saliency_map, dtype="float32").reshape(np.shape(saliency_map)[:2])
    return values / max(values.max(), np.finfo("float32").tiny)
