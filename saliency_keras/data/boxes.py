"""Boxes of objects in the pictures of a compact set, from the file `boxes.csv` beside its manifest."""

import csv
from pathlib import Path

from saliency_keras.console import UserError

FILE = "boxes.csv"
COLUMNS = ("xmin", "ymin", "xmax", "ymax")


def read_boxes(folder, split):
    """Reads the boxes of a split.

    Args:
        folder: Folder of the compact set.
        split: `"train"` or `"val"`.

    Returns:
        From a picture's id to the box around all its objects, `(xmin, ymin, xmax, ymax)` as shares of the stored
        picture; empty where the set has no boxes.

    Raises:
        UserError: If the file is damaged.
    """
    path, boxes = Path(folder) / FILE, {}
    if not path.is_file():
        return boxes
    try:
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["split"] == split:
                    box = tuple(float(row[name]) for name in COLUMNS)
                    if not (0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1):
                        raise ValueError(f"{box} is no box")
                    there = boxes.get(row["id"], box)
                    boxes[row["id"]] = (*map(min, there[:2], box[:2]), *map(max, there[2:], box[2:]))
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(f"{path} is damaged ({error}); make the set again.") from None
    return boxes
