"""The reader of MATLAB files, against a file that SciPy wrote in the form of ImageNet's meta.mat."""

import random
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from data_prep.sources import matlab

# scipy.io.savemat(path, {"synsets": ...}, do_compression=True), a struct array of four rows.
META = Path(__file__).parent / "meta.mat"


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
