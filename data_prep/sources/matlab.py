"""Reads the struct arrays of a MATLAB 5 file: what ImageNet's devkit keeps its classes in (`meta.mat`).

From MathWorks' "MAT-File Format", version 5: a header of 128 bytes, then elements of type, length and data, padded to
8 bytes, some of them compressed. Numbers, texts, structs and cells are understood; nothing else occurs in that file.
Nothing is evaluated, and whatever does not fit the format raises `ValueError`.
"""

import math
import struct
import zlib

INT8, UINT8, INT16, UINT16, INT32, UINT32, SINGLE, DOUBLE, INT64, UINT64 = 1, 2, 3, 4, 5, 6, 7, 9, 12, 13
MATRIX, COMPRESSED, UTF8, UTF16, UTF32 = 14, 15, 16, 17, 18
LETTERS = {INT8: "b", UINT8: "B", INT16: "h", UINT16: "H", INT32: "i", UINT32: "I", SINGLE: "f", DOUBLE: "d"}
LETTERS |= {INT64: "q", UINT64: "Q"}
ENCODINGS = {UTF8: "utf-8", UTF16: "utf-16-le", UTF32: "utf-32-le"}
CELL, STRUCT, CHARACTERS = 1, 2, 4


def read_structs(content, name):
    """Reads a struct array of a MATLAB 5 file.

    Args:
        content: The file's bytes (little-endian, as every file of the last decades).
        name: Name of the variable.

    Returns:
        A list of dicts from field names to values: a text, a number, a list of numbers, or a nested list.

    Raises:
        ValueError: If the file is no such file or has no struct array of that name.
    """
    if len(content) < 128 or content[126:128] != b"IM":
        raise ValueError("no MATLAB 5 file")
    try:
        for kind, data in _elements(content[128:]):
            if kind == COMPRESSED:
                ((kind, data),) = _elements(zlib.decompress(data))
            if kind == MATRIX:
                found, value = _matrix(data)
                if found == name and isinstance(value, list) and all(isinstance(one, dict) for one in value):
                    return value
    except (struct.error, zlib.error, IndexError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"damaged MATLAB 5 file: {error}") from None
    raise ValueError(f"no struct array {name!r} in the MATLAB file")


def _elements(content):
    """Type and data of one element after the other."""
    found, start = [], 0
    while start < len(content):
        kind, size = struct.unpack_from("<II", content, start)
        if kind >> 16:
            # A small element: four bytes of data or fewer in the place of the length.
            kind, size, data_start, step = kind & 0xFFFF, kind >> 16, start + 4, 8
        else:
            data_start = start + 8
            step = 8 + (size if kind == COMPRESSED else -(-size // 8) * 8)
        if data_start + size > len(content):
            raise ValueError("damaged MATLAB 5 file: an element is cut off")
        found.append((kind, content[data_start : data_start + size]))
        start += step
    return found


def _matrix(data):
    """Name and value of a matrix element."""
    if not data:
        return "", []
    parts = _elements(data)
    kind = parts[0][1][0]
    count = math.prod(_numbers(*parts[1]))
    name = parts[2][1].decode("ascii")
    rest = parts[3:]
    if kind == STRUCT:
        (length,), names = _numbers(*rest[0]), rest[1][1]
        fields = [names[at : at + length].split(b"\0")[0].decode("ascii") for at in range(0, len(names), length)]
        values = [_matrix(part)[1] for _, part in rest[2:]]
        if len(values) != count * len(fields):
            raise ValueError("damaged MATLAB 5 file: a struct lacks fields")
        return name, [
            dict(zip(fields, values[at : at + len(fields)], strict=True)) for at in range(0, len(values), len(fields))
        ]
    if kind == CELL:
        return name, [_matrix(part)[1] for _, part in rest]
    if kind == CHARACTERS:
        return name, _text(*rest[0]) if rest else ""
    values = list(_numbers(*rest[0]))
    return name, values[0] if count == 1 else values


def _numbers(kind, data):
    if kind not in LETTERS:
        raise ValueError(f"damaged MATLAB 5 file: numbers of the type {kind}")
    size = struct.calcsize(LETTERS[kind])
    return struct.unpack(f"<{len(data) // size}{LETTERS[kind]}", data)


def _text(kind, data):
    if kind in ENCODINGS:
        return data.decode(ENCODINGS[kind])
    return "".join(map(chr, _numbers(kind, data)))
