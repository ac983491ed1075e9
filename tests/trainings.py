"""Small trainings in processes of their own, which tests kill, stop and compare.

Each process is a copy of one that has loaded Keras and drawn a figure: to do that for each would take minutes.
"""

import contextlib
import csv
import os
import signal
import sys
import zipfile

import h5py
import numpy as np

WORDS = ["--epochs", "4", "--batch", "8", "--set", "side=112", "--set", "dense_units=8", "--set", "dropout=0.5"]
WORDS += ["--set", "width_multiplier=0.125"]
FILES = {"config.json", "history.csv", "curves.png", "model.keras", "best.keras", "predictions.h5", "summary.json"}


def run_command(words, stdout=None, stderr=None, stops=None):
    """Runs `train` as the program does, in a forked process.

    Args:
        words: The command's words.
        stdout: Path that standard output goes to, a pipe's end, or `"closed"`; `None` for nowhere.
        stderr: As `stdout`.
        stops: Where the process stops itself, by SIGSTOP: `"before"` it claims its folder, or `"within"` its claim,
            when it has written nothing yet.
    """
    from saliency_keras import console, train
    from saliency_keras.training import train as training

    for number, name, place in ((1, "stdout", stdout), (2, "stderr", stderr)):
        getattr(sys, name).flush()
        if place == "closed":
            os.close(number)
            setattr(sys, name, None)
        else:
            path = place or os.devnull
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
            setattr(sys, name, os.fdopen(number, "w", closefd=False))
    if stops:
        claimed = training.claimed

        @contextlib.contextmanager
        def stopping(folder):
            if stops == "before":
                os.kill(os.getpid(), signal.SIGSTOP)
            with claimed(folder) as claim:
                if stops == "within":
                    os.kill(os.getpid(), signal.SIGSTOP)
                yield claim

        training.claimed = stopping
    console.run(lambda: train.main(words))


def what_counts(run):
    """The bytes of the weights, the history without its seconds, the predictions; and that nothing else is there."""
    assert {path.name for path in run.iterdir()} == FILES
    weights = {}
    for name in ("model.keras", "best.keras"):
        with zipfile.ZipFile(run / name) as archive:
            weights[name] = archive.read("model.weights.h5")
    with open(run / "history.csv", newline="") as file:
        history = [{**row, "seconds": None} for row in csv.DictReader(file)]
    with h5py.File(run / "predictions.h5") as file:
        predictions = {name: np.asarray(values).tobytes() for name, values in file.items() if name != "id"}
        predictions["id"] = file["id"].asstr()[:].tolist()
    return weights, history, predictions
