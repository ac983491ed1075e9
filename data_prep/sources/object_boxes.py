"""Boxes of objects in the pictures of a folder, from `boxes.csv` or `bounding_boxes.csv` in it.

The columns are `image` (the picture's path below the folder) and the box in the picture's own pixels, the first pixel
lying between 0 and 1: `x,y,width,height` or `xmin,ymin,xmax,ymax`. A picture may have several lines, or none.
"""

import csv
import math

from saliency_keras.console import UserError
from saliency_keras.data.listing import name_key

FILES = ("boxes.csv", "bounding_boxes.csv")
COLUMNS = (("x", "y", "width", "height"), ("xmin", "ymin", "xmax", "ymax"))


def boxes_of(folder):
    """Reads the boxes.

    Args:
        folder: Folder of pictures.

    Returns:
        From a picture's path below the folder, as `listing.name_key` writes it, to its boxes `(left, top, right,
        bottom)` in pixels; empty where the folder has no such file.

    Raises:
        UserError: If it is no table of boxes.
    """
    path = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if path is None:
        return {}
    boxes, line = {}, 1
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            kind = next((one for one in COLUMNS if {"image", *one} <= set(rows.fieldnames or ())), None)
            if kind is None:
                raise ValueError(f"its columns are {', '.join(rows.fieldnames or ())}")
            for row in rows:
                line = rows.line_num
                box = tuple(float(row[name]) for name in kind)
                if kind == COLUMNS[0]:
                    box = (*box[:2], box[0] + box[2], box[1] + box[3])
                if not all(map(math.isfinite, box)) or box[0] >= box[2] or box[1] >= box[3]:
                    raise ValueError(f"{', '.join(f'{edge:g}' for edge in box)} (left, top, right, bottom) is no box")
                boxes.setdefault(name_key(row["image"]), []).append(box)
    except (ValueError, TypeError, csv.Error) as error:
        raise UserError(
            f"{path}, line {line}, is no box of a picture ({error}); the columns are image,x,y,width,height or "
            "image,xmin,ymin,xmax,ymax, in pixels. Correct it or remove the file."
        ) from None
    return boxes
