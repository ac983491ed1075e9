"""Resume state: everything that the rest of a training depends on, whole or absent.

`state/epoch-00012.npz` holds the model's state tree (weights, optimizer slots, the counters of its random numbers) and
the history up to that epoch. The two newest are kept. Keras' own `BackupAndRestore` restores weights and epoch but not
the seeds of dropout.
"""

import contextlib
import json
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np

from saliency_keras.console import UserError
from saliency_keras.files import whole_file

KEPT = 2
HISTORY = "history"


def save_state(folder, model, history):
    """Writes the state after the last epoch of `history` and forgets all but the two newest.

    Args:
        folder: The run's `state` folder; made if absent.
        model: A compiled model whose optimizer is built.
        history: List of one dictionary an epoch.
    """
    folder = Path(folder)
    folder.mkdir(exist_ok=True)
    arrays = _state_of(model)
    with whole_file(folder / f"epoch-{len(history):05d}.npz") as file:
        np.savez(file, **arrays, **{HISTORY: np.array(json.dumps(history))})
    for path in _newest_first(folder)[KEPT:]:
        path.unlink()


def load_state(folder, model):
    """Sets the model to the newest state.

    Args:
        folder: The run's `state` folder; may be absent.
        model: A compiled model of the same experiment whose optimizer is built.

    Returns:
        The history up to that state; empty where there is none.

    Raises:
        UserError: If the newest state is damaged or belongs to another network.
    """
    newest = _newest_first(Path(folder))
    if not newest:
        return []
    try:
        with np.load(newest[0], allow_pickle=False) as file:
            history = json.loads(str(file[HISTORY]))
            arrays = {name: file[name] for name in file.files if name != HISTORY}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{newest[0]} is damaged ({error}); remove it to resume from an earlier epoch.") from None
    expected = _state_of(model)
    if {name: a.shape for name, a in arrays.items()} != {name: a.shape for name, a in expected.items()}:
        raise UserError(f"{newest[0]} does not fit the network of {Path(folder).parent}.")
    model.set_state_tree(_nested(arrays))
    return history


def drop_state(folder):
    """Removes the states of a finished run."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


def _newest_first(folder):
    paths = folder.glob("epoch-*.npz") if folder.is_dir() else []
    return sorted((path for path in paths if re.fullmatch(r"epoch-\d{5}\.npz", path.name)), reverse=True)


def _state_of(model):
    """The model's state tree without its metrics, which start again in every epoch."""
    tree = model.get_state_tree(value_format="numpy_array")
    del tree["metrics_variables"]
    return _flat(tree)


def _flat(tree, prefix=""):
    """`{"a": {"b": array}}` -> `{"a|b": array}`; the names of variables hold slashes already."""
    flat = {}
    for name, value in tree.items():
        flat |= _flat(value, f"{prefix}{name}|") if isinstance(value, dict) else {f"{prefix}{name}": np.asarray(value)}
    return flat


def _nested(flat):
    tree = {}
    for name, value in flat.items():
        *path, leaf = name.split("|")
        branch = tree
        for step in path:
            branch = branch.setdefault(step, {})
        branch[leaf] = value
    return tree
