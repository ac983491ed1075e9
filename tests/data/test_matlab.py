"""The reader of MATLAB files, against a file that SciPy wrote in the form of ImageNet's meta.mat."""

import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from saliency_keras.data import matlab

# scipy.io.savemat(path, {"synsets": ...}, do_compression=True), a struct array of four rows.
META = Path(__file__).parents[1] / "data_prep" / "sources" / "meta.mat"


@pytest.fixture
def meta():
    """The bytes of a small meta.mat."""
    return META.read_bytes()


def test_reads_the_rows_that_scipy_wrote(meta):
    rows = matlab.read_structs(meta, "synsets")
    assert [row["ILSVRC2012_ID"] for row in rows] == [1, 2, 3, 1001]
    assert [row["WNID"] for row in rows] == ["n02119789", "n01440764", "n02012849", "n00001740"]
    assert rows[0]["words"] == "kit fox, Vulpes macrotis"
    assert rows[3]["gloss"] == "that which is perceived"
    assert rows[3]["children"] == [1, 2, 3]
    assert rows[0]["children"] == []


def test_another_name_and_another_format_are_refused(meta):
    with pytest.raises(ValueError, match="no struct array 'classes'"):
        matlab.read_structs(meta, "classes")
    with pytest.raises(ValueError, match="no MATLAB 5 file"):
        matlab.read_structs(b"\x89HDF" + bytes(200), "synsets")


def test_a_small_file_that_unpacks_to_a_huge_one_is_refused(meta):
    bomb = zlib.compress(bytes(matlab.LARGEST + 1), 9)
    content = meta[:128] + struct.pack("<II", matlab.COMPRESSED, len(bomb)) + bomb
    assert len(content) < 100_000
    with pytest.raises(ValueError, match="more than 64 MiB"):
        matlab.read_structs(content, "synsets")


def test_a_map_of_either_order_of_bytes_is_read_and_one_that_unpacks_to_too_much_is_refused(meta, monkeypatch):
    values = np.arange(6, dtype=">f8").reshape(2, 3)
    name = struct.pack(">HH4s", 3, 1, b"map\0")  # a small element: its size, its type, its bytes
    flags, sizes = struct.pack(">IIII", 6, 8, 6, 0), struct.pack(">IIii", 5, 8, 2, 3)  # an array of doubles, 2x3
    body = flags + sizes + name + struct.pack(">II", 9, 48) + values.tobytes("F")
    content = b"MATLAB 5.0".ljust(124) + b"\1\0MI" + struct.pack(">II", 14, len(body)) + body
    np.testing.assert_array_equal(matlab.read_arrays(content)["map"], values)
    assert "synsets" in matlab.read_arrays(meta)
    monkeypatch.setattr(matlab, "LARGEST_MAP", 1 << 20)
    bomb = zlib.compress(bytes((1 << 20) + 1), 9)
    with pytest.raises(ValueError, match="more than 1 MiB"):
        matlab.read_arrays(meta[:128] + struct.pack("<II", matlab.COMPRESSED, len(bomb)) + bomb)


def test_objects_and_functions_of_a_file_are_no_structs_and_nothing_is_called(tmp_path):
    with (tmp_path / "other.mat").open("wb") as file:
        scipy.io.savemat(file, {"synsets": np.array([1, "print", {"a": 2}], dtype=object)})
    with pytest.raises(ValueError, match="no struct array 'synsets'"):
        matlab.read_structs((tmp_path / "other.mat").read_bytes(), "synsets")


def test_a_damaged_file_is_refused_by_a_value_error_or_read_as_it_was(meta):
    """The rows are compressed with a checksum, so no damage to them may go unseen."""
    intact, moments, refused = matlab.read_structs(meta, "synsets"), random.Random(0), 0
    for _ in range(300):
        damaged = bytearray(meta)
        damaged[moments.randrange(120, len(meta))] = moments.randrange(256)
        damaged = bytes(damaged[: moments.choice([len(meta), moments.randrange(len(meta))])])
        try:
            assert matlab.read_structs(damaged, "synsets") == intact
        except ValueError:
            refused += 1
    assert 250 < refused < 300
