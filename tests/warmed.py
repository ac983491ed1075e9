"""What the processes of `trainings` have done before they are copied: imported all, and drawn a figure."""

import gc

import matplotlib as mpl

import saliency_keras.training.tasks.classification
import saliency_keras.training.train  # noqa: F401
from saliency_keras.figures.curves import run_figure

mpl.use("Agg")
COLUMNS = ("loss", "cross_entropy", "top1", "top5")
HISTORY = {"epoch": [1.0, 2.0], "learning_rate": [0.1, 0.01]}
HISTORY |= {side + name: [0.5, 0.4] for side in ("", "val_") for name in COLUMNS}
run_figure({"experiment": {"name": "rgb"}}, HISTORY).savefig("/dev/null", format="png")

# A garbage collection would write to each object, and so copy most of the memory that the processes share.
gc.collect()
gc.freeze()
