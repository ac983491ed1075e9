"""What is read from a run folder as text: its history, and its files of named fields."""

import csv
import json
from pathlib import Path

import numpy as np

from saliency_keras.console import UserError


def read_json(path):
    """Reads a JSON file of named fields.

    Args:
        path: The file.

    Returns:
        The dictionary.

    Raises:
        UserError: If it is missing, or holds something else.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {error}.") from None
    if not isinstance(content, dict):
        raise UserError(f"{path} is damaged: it holds no named fields.")
    return content


def read_history(path):
    """Reads a `history.csv`, one row an epoch, finished or not.

    Args:
        path: The file.

    Returns:
        `{column: float64 array (epochs,)}` in the file's order; NaN for an empty cell.

    Raises:
        UserError: If it is missing, has no epoch, or is not a table of numbers.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path.parent} has no {path.name}, so it is no whole run folder.")
    with open(path, newline="", encoding="utf-8") as file:
        try:
            header, *rows = csv.reader(file)
            table = np.array([[float(cell or "nan") for cell in row] for row in rows], dtype="float64")
        except (ValueError, csv.Error):
            raise UserError(f"{path} is damaged: it is not a table of numbers with a line of names above.") from None
    if not rows:
        raise UserError(f"{path} has no epoch yet.")
    if table.shape[1:] != (len(header),) or len(set(header)) != len(header) or "epoch" not in header:
        raise UserError(f"{path} is damaged: its rows do not fit its column names, or it has no column epoch.")
    history = dict(zip(header, table.T, strict=True))
    if not np.array_equal(history["epoch"], np.arange(1, len(rows) + 1)):
        raise UserError(f"{path} is damaged: its epochs do not count from 1.")
    return history
