"""What is read from a run folder as text: its history."""

import csv
from pathlib import Path

import numpy as np

from saliency_keras.console import UserError


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
