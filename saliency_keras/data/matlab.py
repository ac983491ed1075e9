"""The one reader of MATLAB 5 files: maps, ImageNet's devkit (`meta.mat`), labels of published sets.

SciPy reads them; nothing is evaluated. A file may be a stranger's, so its compressed elements are unpacked here first,
up to a bound and against their checksums. Whatever does not fit the format raises `ValueError`.
"""

import io
import struct
import zlib

COMPRESSED = 15  # type of an element, in MathWorks' "MAT-File Format", version 5
LARGEST = 1 << 26  # bytes, packed or unpacked; a thousand classes need far less
LARGEST_MAP = 1 << 29  # the same of a file with a map; 67 million numbers in double precision
ORDERS = {b"IM": "<", b"MI": ">"}  # how a file says the order of its bytes


def read_structs(content, name):
    """Reads a struct array of a MATLAB 5 file.

    Args:
        content: The file's bytes.
        name: Name of the variable.

    Returns:
        A list of dicts from field names to values: a text, a number, a list of numbers, or a nested list.

    Raises:
        ValueError: If the file is no such file or has no struct array of that name.
    """
    array = _load(content, name)
    if array is None or not array.dtype.names:
        raise ValueError(f"no struct array {name!r} in the MATLAB file")
    return [{field: _plain(row[field]) for field in array.dtype.names} for row in array.ravel()]


def read_array(content, name):
    """Reads a variable of a MATLAB 5 file.

    Args:
        content: The file's bytes.
        name: Name of the variable.

    Returns:
        The array as SciPy has it; cells and structs are arrays of objects.

    Raises:
        ValueError: If the file is no such file or has no variable of that name.
    """
    if (array := _load(content, name)) is None:
        raise ValueError(f"no variable {name!r} in the MATLAB file")
    return array


def read_arrays(content):
    """Reads all variables of a MATLAB 5 file, of at most `LARGEST_MAP` bytes.

    Args:
        content: The file's bytes.

    Returns:
        A dict from names to arrays as SciPy has them.

    Raises:
        ValueError: If the file is no such file, damaged or too large.
    """
    return {name: one for name, one in _loaded(content, None, LARGEST_MAP).items() if not name.startswith("__")}


def _load(content, name):
    """The array of that name, or `None`."""
    return _loaded(content, [name], LARGEST).get(name)


def _loaded(content, names, largest):
    import scipy.io

    if len(content) < 128 or content[126:128] not in ORDERS:
        raise ValueError("no MATLAB 5 file")
    _check_sizes(content, largest)
    try:
        return scipy.io.loadmat(io.BytesIO(content), variable_names=names)
    except Exception as error:  # SciPy raises what it stumbles over
        raise ValueError(f"damaged MATLAB 5 file: {error}") from None


def _check_sizes(content, largest):
    """Refuses a file that has more bytes, packed or unpacked, is cut off, or is not what its checksums say."""
    room, start, order = largest - len(content), 128, ORDERS[content[126:128]]
    while start < len(content):
        if start + 8 > len(content):
            raise ValueError("damaged MATLAB 5 file: an element is cut off")
        kind, size = struct.unpack_from(f"{order}II", content, start)
        start += 8
        if kind == COMPRESSED:
            unpacking = zlib.decompressobj()
            try:
                room -= len(unpacking.decompress(content[start : start + size], max(room, 1)))
            except zlib.error as error:
                raise ValueError(f"damaged MATLAB 5 file: {error}") from None
            if not unpacking.eof and not unpacking.unconsumed_tail:
                raise ValueError("damaged MATLAB 5 file: an element is cut off")
        if room <= 0:
            raise ValueError(f"the MATLAB file has more than {largest >> 20} MiB")
        start += size


def _plain(value):
    """A text, a number or a list of what SciPy keeps in an array."""
    if value.dtype.kind == "U":
        return "".join(value.ravel().tolist())
    if value.dtype.kind == "O":
        return [_plain(one) for one in value.ravel()]
    return value.item() if value.size == 1 else value.ravel(order="F").tolist()
