"""Resume state: everything that the rest of a training depends on, whole or absent.

`state/epoch-00012.npz` holds the model's state tree (weights, optimizer slots, the counters of its random numbers) and
the history up to that epoch. The two newest are kept. `state/index.json` has size and sha256 of each, and of the best
epoch's network; it is written before the file that it names, so that no state lacks its line. Keras' own
`BackupAndRestore` restores weights and epoch but not the seeds of dropout.
"""

import contextlib
import json
import math
import re
import shutil
import zipfile
from pathlib import Path

import numpy as np

from saliency_keras import run_folder
from saliency_keras.console import UserError
from saliency_keras.files import check_claims, described, read_json, whole_file

KEPT = 2
HISTORY = "history"
INDEX = "index.json"


def save_state(folder, arrays, history):
    """Writes the state after the last epoch of `history` and forgets all but the two newest.

    Args:
        folder: The run's `state` folder; made if absent.
        arrays: What `state_of` made of the model then.
        history: List of one dictionary an epoch.
    """
    folder = Path(folder)
    check_claims(folder)
    folder.mkdir(exist_ok=True)
    path = folder / f"epoch-{len(history):05d}.npz"
    kept = [path, *(one for one in _newest_first(folder) if one != path)]
    with whole_file(path) as file:
        np.savez(file, **arrays, **{HISTORY: np.array(json.dumps(history))})
        file.flush()
        index = {name: said for name, said in _index(folder).items() if name in {one.name for one in kept[:KEPT]}}
        index[path.name] = described(file.name)
        best = folder.parent / run_folder.BEST
        _write_index(folder, index | ({best.name: described(best)} if best.is_file() else {}))
    for one in kept[KEPT:]:
        one.unlink()


def check_best(folder):
    """The path of the best epoch's network beside a `state` folder, after a look at its size and checksum.

    Args:
        folder: The run's `state` folder.

    Returns:
        The `Path`.

    Raises:
        UserError: If it is another file than the training wrote.
    """
    path = Path(folder).parent / run_folder.BEST
    if _index(Path(folder)).get(path.name, described(path)) != described(path):
        raise UserError(f"{path} is damaged; delete the run folder and train the run again.")
    return path


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
    index = _index(Path(folder))
    if index and index.get(newest[0].name) != described(newest[0]):
        raise UserError(_DAMAGED.format(newest[0], "it is not the file that was written"))
    try:
        history, arrays = _read(newest[0])
    except MemoryError:
        raise
    except Exception as error:  # numpy and zip raise whatever they stumble over
        raise UserError(_DAMAGED.format(newest[0], error)) from None
    expected = state_of(model)
    if {name: a.shape for name, a in arrays.items()} != {name: a.shape for name, a in expected.items()}:
        raise UserError(f"{newest[0]} does not fit the network of {Path(folder).parent}.")
    model.set_state_tree(_nested(arrays))
    return history


def drop_state(folder):
    """Removes the states of a finished run."""
    check_claims(folder)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)


_DAMAGED = "{} is damaged ({}); remove it to resume from an earlier epoch, or from the first one if it is the last."


def _read(path):
    """History and arrays of a state, none of which takes more memory than it has bytes in the file."""
    with zipfile.ZipFile(path) as archive:
        if any(member.file_size != member.compress_size for member in archive.infolist()):
            raise ValueError("it is compressed, which no state is")
        for member in archive.infolist():
            with archive.open(member) as file:
                _check_header(file, member.file_size)
    with np.load(path, allow_pickle=False) as file:
        history = json.loads(str(file[HISTORY]))
        return history, {name: file[name] for name in file.files if name != HISTORY}


def _check_header(file, size):
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if math.prod(shape) * dtype.itemsize != size - file.tell():
        raise ValueError(f"an array claims the shape {shape}, which is not what is there")


def _index(folder):
    path = folder / INDEX
    return read_json(path) if path.is_file() else {}


def _write_index(folder, index):
    with whole_file(folder / INDEX, "w", encoding="utf-8") as file:
        json.dump(index, file, indent=1)


def _newest_first(folder):
    paths = folder.glob("epoch-*.npz") if folder.is_dir() else []
    return sorted((path for path in paths if re.fullmatch(r"epoch-\d{5}\.npz", path.name)), reverse=True)


def state_of(model):
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
