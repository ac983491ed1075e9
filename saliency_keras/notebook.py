"""Small runs for `notebooks/`: trained once, kept beside the repository's other runs, shared by all notebooks.

They are the papers' networks with a quarter of the filters, dense layers an eighth as wide and a schedule of a few
epochs, so that a notebook takes a minute or two on a laptop. Nothing they show is evidence about photographs.
"""

import contextlib
import dataclasses
import io
from pathlib import Path

import numpy as np

from saliency_keras.data.manifest import Manifest
from saliency_keras.experiments.experiment import WHOLE
from saliency_keras.experiments.tables.row import PaperTable
from saliency_keras.figures import style
from saliency_keras.figures.document import markdown
from saliency_keras.metrics.digits import percent
from saliency_keras.runs.run import Run
from saliency_keras.tables.plan import Choices, carry_out, check_missing, plan
from saliency_keras.tables.results import Results

RUNS = Path("../runs/notebooks")
SETTINGS = ("dense_units=512", "width_multiplier=0.25", "batch=32", "epochs=5", "drops=[4]", "subtract_mean=false")


def small_runs(rows, data, settings=(), folder=RUNS):
    """Trains what is not there yet, loads it and prints the accuracies.

    Args:
        rows: `experiments.tables.row.Row`s; one that starts from another comes after it, and may start from any.
        data: Folder of a compact data set.
        settings: `KEY=VALUE` settings of all experiments that have the key; they add to `SETTINGS` or replace them.
        folder: Where the runs are kept, in a folder for each data set.

    Returns:
        `tables.results.Results`; its `runs` hold a list of one run for each row's name.

    Raises:
        UserError: As `training.train.train`.
    """
    table = PaperTable("notebook", "accuracy", tuple(rows))
    here = Path(folder) / f"{Path(data).name}-{Manifest.load(data).digest()[:6]}"
    planned = [_from_any(one) for one in plan(table, Choices(data, here, settings=(*SETTINGS, *settings)))]
    runs = {}
    for one in planned:
        print(f"{one}: ", end="", flush=True)
        with contextlib.redirect_stdout(io.StringIO()):
            missing = carry_out([one])
        check_missing(missing, "the notebook")
        run = runs.setdefault(one.row.name, [Run.load(one.folder)])[0]
        if one.experiment.task == "maps":
            print(run.figures())
            continue
        correct = run.predictions.correct()
        print(f"Top-1 {percent(correct.mean(), correct.size)} %")
    return Results(table, runs)


def _from_any(planned):
    if not planned.row.init:
        return planned
    parents = {WHOLE: planned.row.init, **dict(planned.row.parents)}
    return dataclasses.replace(planned, experiment=planned.experiment.replace(parents=parents))


SHOWN = 80  # pixels of the page for one inch of a figure
STORED = 100  # pixels of the picture for the same inch, so that it is sharp on a good screen
# Lines and letters stay exact as PNG. Photographs as JPEG take a sixth of the bytes, and look the same.
LINES = {"format": "png", "metadata": {"Software": None}}
PHOTOGRAPHS = {"format": "jpeg", "pil_kwargs": {"quality": 90, "subsampling": 0}}


def show(thing, alt=""):
    """Displays a figure, or a document.

    Args:
        thing: A `matplotlib.figure.Figure`, Markdown text, or a list of `figures.document` blocks.
        alt: What a figure shows, for those who do not see it; by default what its titles, axes and legends say.
    """
    from IPython.display import Image, Markdown, display

    if isinstance(thing, str | list):
        display(Markdown(thing if isinstance(thing, str) else markdown(thing)))
        return
    file = io.BytesIO()
    of_photographs = any(np.ndim(image.get_array()) == 3 for ax in thing.axes for image in ax.images)
    with style.look():
        thing.savefig(file, dpi=STORED, **(PHOTOGRAPHS if of_photographs else LINES))
    width = round(SHOWN * thing.get_figwidth())
    display(Image(file.getvalue(), width=width, alt=alt or style.in_words(thing)))
