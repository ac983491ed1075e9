"""What a training needs of each picture, as arrays on disk: each decoded, resized or computed once.

An array is a `.npy` file that is mapped into memory, so that a set may be larger than the memory. What a row holds is
the caller's.
"""

import contextlib
import hashlib
from pathlib import Path

import numpy as np

from saliency_keras.console import progress
from saliency_keras.files import only_process, sha256_of, whole_file


def kept_arrays(folder, of, names, rows, count, label):
    """Arrays that are made once, by the first training that asks for them, and read from disk from then on.

    Args:
        folder: Folder that holds a folder for each `of`; the one above it exists. Trainings may share it.
        of: All that the arrays depend on; its `repr` tells them from others.
        names: Names of the arrays, also of their files.
        rows: As for `arrays_on_disk`.
        count: As for `arrays_on_disk`.
        label: As for `arrays_on_disk`.

    Returns:
        As `arrays_on_disk`.

    Raises:
        ValueError: If there are more or fewer rows.
    """
    own = Path(folder) / hashlib.sha256(repr(of).encode()).hexdigest()[:16]
    own.parent.mkdir(exist_ok=True)
    own.mkdir(exist_ok=True)
    with only_process(own, wait=True):  # another training may be making them
        return arrays_on_disk({name: own / f"{name}.npy" for name in names}, rows, count, label)


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
