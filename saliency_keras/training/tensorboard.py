"""The history for TensorBoard: `RUN/tensorboard`, the columns of `history.csv` as scalars.

Training and validation lie in folders of their own, so that TensorBoard draws `top1` and `val_top1` in one chart. As
`history.csv` does, the files follow from the state: a resumed run writes them again up to its last state and goes on
from there, so that no epoch is there twice. Written by the package `tensorboard` alone, whatever the Keras backend.
"""

import importlib.util
import shutil
from pathlib import Path

from saliency_keras.console import UserError

FOLDER = "tensorboard"
VALIDATION = "val_"


def check_tensorboard():
    """Refuses `--tensorboard` where the package is absent."""
    if importlib.util.find_spec("tensorboard") is None:
        raise UserError("--tensorboard needs the package of that name; install it by `pip install tensorboard`.")


class Events:
    """Event files of a run, written epoch by epoch.

    Args:
        folder: The run folder; what an interrupted run left in its `tensorboard` is removed.
        history: Rows of the epochs there are already.
    """

    def __init__(self, folder, history=()):
        from tensorboard.summary import Writer

        folder = Path(folder) / FOLDER
        shutil.rmtree(folder, ignore_errors=True)
        self._writers = {part: Writer(str(folder / part)) for part in ("training", "validation")}
        for row in history:
            self.epoch_ended(row, last=False)

    def epoch_ended(self, row, last):
        """Writes one row of the history, to disk."""
        for column, value in row.items():
            if column != "epoch":
                part = "validation" if column.startswith(VALIDATION) else "training"
                self._writers[part].add_scalar(column.removeprefix(VALIDATION), value, row["epoch"])
        for writer in self._writers.values():
            writer.flush()

    def close(self):
        """Closes the files."""
        for writer in self._writers.values():
            writer.close()
