"""Small runs for `notebooks/`: trained once, kept beside the repository's other runs, shared by all notebooks.

They are the papers' networks with dense layers an eighth as wide and a schedule of a few epochs, so that a notebook
takes a minute or two on a laptop. Nothing they show is evidence about photographs.
"""

import contextlib
import dataclasses
import io
from pathlib import Path

from saliency_keras.data.manifest import Manifest
from saliency_keras.experiments.tables import PaperTable
from saliency_keras.figures.reproduction import Results
from saliency_keras.figures.table import percent
from saliency_keras.training.reproduction import Choices, carry_out, check_missing, plan
from saliency_keras.training.runs import Run

RUNS = Path("../runs/notebooks")
SETTINGS = ("dense_units=512", "batch=32", "epochs=4", "drops=[3]", "subtract_mean=false")


def small_runs(rows, data, settings=SETTINGS, folder=RUNS):
    """Trains what is not there yet, loads it and prints the accuracies.

    Args:
        rows: `experiments.tables.Row`s; one that starts from another comes after it, and may start from any.
        data: Folder of a compact data set.
        settings: `KEY=VALUE` settings of all experiments that have the key.
        folder: Where the runs are kept, in a folder for each data set.

    Returns:
        `figures.reproduction.Results`; its `runs` hold a list of one run for each row's name.

    Raises:
        UserError: As `training.train.train`.
    """
    table = PaperTable("notebook", "accuracy", tuple(rows))
    here = Path(folder) / f"{Path(data).name}-{Manifest.load(data).digest()[:6]}"
    planned = [_from_any(one) for one in plan(table, Choices(data, here, settings=tuple(settings)))]
    runs = {}
    for one in planned:
        print(f"{one}: ", end="", flush=True)
        with contextlib.redirect_stdout(io.StringIO()):
            missing = carry_out([one])
        check_missing(missing, "the notebook")
        run = Run.load(one.folder)
        correct = run.predictions.correct()
        print(f"Top-1 {percent(correct.mean(), correct.size)} %")
        runs[one.row.name] = [run]
    return Results(table, runs)


def _from_any(planned):
    if not planned.row.init:
        return planned
    return dataclasses.replace(planned, experiment=planned.experiment.replace(starts_from=planned.row.init))
