"""Arrays by name from the files in which others publish weights: `.npy`, `.npz`, `.h5` and `.safetensors`.

A file is data: nothing in it is executed. A `.npy` file of a dictionary is a pickle, of which only numpy's arrays and
Python's own containers are made. What the names mean is `published_weights`'.
"""

import json
import math
import pickle
import struct
from pathlib import Path

import numpy as np

from saliency_keras.console import UserError

MOST_HEADER = 100_000_000  # bytes of a safetensors header, the format's own limit
# The only things that the pickle of a dictionary of arrays is made of, by the numpy version that wrote it.
OF_ARRAYS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *((module, name) for module in ("numpy.core.multiarray", "numpy._core.multiarray")
      for name in ("_reconstruct", "scalar")),
    ("_codecs", "encode"),
}  # fmt: skip


def read_arrays(path):
    """Reads every array of a file of weights.

    Args:
        path: A `.npy` file of a dictionary, a `.npz`, `.h5` or `.hdf5`, or `.safetensors` file.

    Returns:
        From a name to a float32 array; the parts of a nested name are joined by `/`.

    Raises:
        UserError: If there is no such file, it is of another kind, or damaged.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no weights file {path}.")
    if path.suffix not in READERS:
        raise UserError(
            f"{path} is of no kind that weights are read from ({', '.join(READERS)}); save its arrays as one of these."
        )
    try:
        found = READERS[path.suffix](path)
        return {name: np.asarray(array, np.float32) for name, array in found.items()}
    except (OSError, ValueError, TypeError, KeyError, EOFError, AttributeError, OverflowError, struct.error) as error:
        raise UserError(f"the weights {path} cannot be read: {_first_line(error)}.") from None
    except (pickle.UnpicklingError, IndexError, RecursionError, MemoryError) as error:
        raise UserError(f"the weights {path} cannot be read: {_first_line(error)}.") from None


def _first_line(error):
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")


def _npy(path):
    with open(path, "rb") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(file)
        if dtype.kind != "O" or shape != ():
            raise ValueError("it is an array, not a dictionary of arrays")
        found = _Arrays(file, encoding="latin1").load()
    if isinstance(found, np.ndarray) and found.shape == () and found.dtype.kind == "O":
        found = found.item()
    if not isinstance(found, dict):
        raise ValueError("it is no dictionary of arrays")
    return dict(_flat(found))


class _Arrays(pickle.Unpickler):
    """Makes arrays, numbers, texts and containers, and nothing else."""

    def find_class(self, module, name):
        if (module, name) not in OF_ARRAYS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and only arrays are made")
        return super().find_class(module, name)


def _flat(value, name=""):
    """Names and arrays of nested dictionaries and lists."""
    if isinstance(value, dict | list | tuple):
        inner = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in inner:
            key = key.decode("latin1") if isinstance(key, bytes) else key
            yield from _flat(one, f"{name}/{key}" if name else str(key))
    else:
        yield name, np.asarray(value)


def _npz(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _h5(path):
    import h5py

    found = {}
    with h5py.File(path, "r") as file:

        def take(name, one):
            if isinstance(one, h5py.Dataset) and one.dtype.kind == "f":
                if one.external or one.is_virtual:
                    raise ValueError(f"{name} is not stored in the file itself")
                found[name] = one[()]

        file.visititems(take)  # links to other files are not followed
    return found


DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}


def _safetensors(path):
    size = path.stat().st_size
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(size - 8, MOST_HEADER):
            raise ValueError(f"its header would have {length} bytes")
        header = json.loads(file.read(length))
        found = {}
        for name, one in header.items():
            if name == "__metadata__" or one["dtype"] not in DTYPES:  # counters of batch normalisation are integers
                continue
            begin, end = one["data_offsets"]
            dtype, shape = np.dtype(DTYPES[one["dtype"]]), tuple(one["shape"])
            if not 0 <= begin <= end <= size - 8 - length or math.prod(shape) * dtype.itemsize != end - begin:
                raise ValueError(f"{name} has no {'x'.join(map(str, shape))} numbers in the file")
            file.seek(8 + length + begin)
            array = np.frombuffer(file.read(end - begin), dtype).reshape(shape)
            found[name] = (array.astype("<u4") << 16).view("<f4") if one["dtype"] == "BF16" else array
    return found


READERS = {".npy": _npy, ".npz": _npz, ".h5": _h5, ".hdf5": _h5, ".safetensors": _safetensors}
