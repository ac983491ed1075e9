"""A run folder: the names of its files, and whether its training is begun or finished.

This is the one place that knows the names. It stands on the ground floor, for predictors and backbones may be runs.
"""

from pathlib import Path

CONFIG = "config.json"  # the whole experiment, written first
HISTORY = "history.csv"  # one row an epoch
CURVES = "curves.png"
MODEL = "model.keras"  # the network that counts: the last epoch, or the best one where the schedule says so
BEST = "best.keras"  # the best epoch on the validation pictures
PREDICTIONS = "predictions.h5"  # of a classifier
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
