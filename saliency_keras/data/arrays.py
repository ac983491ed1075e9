"""The pictures of a fixation set as arrays on disk, for training: each decoded, resized or computed once.

An array is a `.npy` file that is mapped into memory, so that a set may be larger than the memory; it lies in the run's
`state/` and goes with it. What a row holds is the caller's. The split is in `fixation_split.py`.
"""

import contextlib
import hashlib
from pathlib import Path

import numpy as np

from saliency_keras.console import progress
from saliency_keras.files import sha256_of, whole_file


def array_on_disk(path, rows, count, label):
    """An array that is made once, row by row, and read from disk from then on.

    Args:
        path: The `.npy` file; its folder exists. If it is there, it is taken as it is.
        rows: Iterable of `count` rows, arrays of one shape and dtype, asked for only if the file is not there.
        count: Number of rows, 1 or more.
        label: What is made, for the progress bar.

    Returns:
        Read-only memory-mapped array `(count, *shape of a row)`.

    Raises:
        ValueError: If there are more or fewer rows.
    """
    return arrays_on_disk({"": path}, ((row,) for row in rows), count, label)[""]


def arrays_on_disk(paths, rows, count, label):
    """Arrays that are made once, together, row by row, and read from disk from then on.

    Args:
        paths: From each array's name to its `.npy` file; the folder exists. If all are there, they are taken as they
            are.
        rows: Iterable of `count` tuples with a row of each array, in the order of `paths`; asked for only if a file is
            not there.
        count: Number of rows, 1 or more.
        label: What is made, for the progress bar.

    Returns:
        From each array's name to a read-only memory-mapped array `(count, *shape of its row)`.

    Raises:
        ValueError: If there are more or fewer rows.
    """
    paths = {name: Path(path) for name, path in paths.items()}
    if not all(path.is_file() for path in paths.values()):
        with contextlib.ExitStack() as opened:
            files = [opened.enter_context(whole_file(path)) for path in paths.values()]
            made = 0
            for values in opened.enter_context(progress(rows, count, label)):
                for file, row in zip(files, map(np.ascontiguousarray, values), strict=True):
                    if not made:
                        _write_header(file, (count, *row.shape), row.dtype)
                    file.write(row.data)
                made += 1
            if made != count:
                raise ValueError(f"{count} rows expected. Received: {made} rows")
    return {name: np.load(path, mmap_mode="r") for name, path in paths.items()}


def digest(fixation_set):
    """SHA-256 of what a training on a fixation set depends on.

    Args:
        fixation_set: `FixationSet`.

    Returns:
        Hexadecimal digest of the pictures' names, sizes and files, and of the fixations.
    """
    content = hashlib.sha256()
    for image in fixation_set.images:
        of_file = sha256_of(fixation_set.path(image))
        content.update(repr((image, fixation_set.size(image), of_file)).encode())
    for values in (fixation_set.x, fixation_set.y, fixation_set.starts):
        content.update(np.ascontiguousarray(values, "<f8").data)
    content.update(repr(fixation_set.pixels_per_degree).encode())
    if fixation_set.upright:
        content.update(b"upright")
    return content.hexdigest()


def _write_header(file, shape, dtype):
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_2_0(file, header)
