"""A run folder: the names of its files, whether its training is begun or finished, and whether a file is whole.

This is the one place that knows the names. It stands on the ground floor, for predictors and backbones may be runs.
`summary.json` has size and sha256 of every other file, and a sha256 of its own fields. Runs of version 0.2 and earlier
have none: their files are read as they are.
"""

import hashlib
import json
from pathlib import Path

from saliency_keras.console import UserError
from saliency_keras.files import described, read_json

CONFIG = "config.json"  # the whole experiment, written first
HISTORY = "history.csv"  # one row an epoch
CURVES = "curves.png"
MODEL = "model.keras"  # the network that counts: the last epoch, or the best one where the schedule says so
BEST = "best.keras"  # the best epoch on the validation pictures
PREDICTIONS = "predictions.h5"  # of a classifier
FEW_SHOT = "few_shot.csv"  # the drawn pictures of a few-shot run
SCORES = "scores.csv"  # of a network that predicts saliency; `score` writes one of the same form
HEAD = "readout.npz"  # of a read-out, where `pack_readout` is asked for it
PROBE = "probe.json"  # of a read-out in a table: what a linear classifier on its backbone has right
HELD_OUT = "held_out.csv"  # of a read-out in a table: all its scores on every held-out picture
MAPS = "maps.png"  # of a network that makes a map
SUMMARY = "summary.json"  # written last: a run with it is finished
STATE = "state"  # what `--resume` needs; gone when the run is finished
TENSORBOARD = "tensorboard"


def is_begun(folder):
    """Whether a training has begun in a folder."""
    return (Path(folder) / CONFIG).is_file()


def is_finished(folder):
    """Whether the training in a folder is finished."""
    return (Path(folder) / SUMMARY).is_file()


def has_network(folder):
    """Whether a folder holds a trained network; results that were kept without weights are finished and have none."""
    return (Path(folder) / MODEL).is_file()


def sealed(folder, summary):
    """A run's summary with the checksums of its files and of itself.

    Args:
        folder: The run folder, whose other files are written.
        summary: The summary's fields, as JSON takes them.

    Returns:
        The fields, then `files` (size and sha256 of each file) and `sha256` (of all fields before it).
    """
    there = sorted(path for path in Path(folder).iterdir() if path.is_file() and not path.name.startswith("."))
    files = {path.name: described(path) for path in there if path.name != SUMMARY}
    fields = {**summary, "files": files}
    return {**fields, "sha256": _sum_of(fields)}


def read_summary(folder):
    """Reads a finished run's `summary.json`.

    Args:
        folder: The run folder.

    Returns:
        The fields.

    Raises:
        UserError: If it is missing or damaged.
    """
    path = Path(folder) / SUMMARY
    fields = read_json(path)
    figures = {name: value for name, value in fields.items() if name != "sha256"}
    if ("files" in fields or "sha256" in fields) and fields.get("sha256") != _sum_of(figures):
        raise UserError(f"{path} is damaged: its figures are not those that its checksum names; {AGAIN}.")
    return fields


def checked(folder, name):
    """The path of a run's file, after a look at its size and checksum if the run is finished and names them.

    Args:
        folder: The run folder.
        name: Name of the file.

    Returns:
        The `Path`; the file need not exist.

    Raises:
        UserError: If the file is another one than the training wrote, or `summary.json` is damaged.
    """
    path = Path(folder) / name
    if not (path.is_file() and is_finished(folder)):
        return path
    files = read_summary(folder).get("files", {})
    if name in files and files[name] != described(path):
        raise UserError(f"{path} is damaged or belongs to another run: it is not the file that was written; {AGAIN}.")
    return path


AGAIN = "take the file from a copy of the run, or train the run again"


def _sum_of(fields):
    return hashlib.sha256(json.dumps(fields, ensure_ascii=True).encode()).hexdigest()
