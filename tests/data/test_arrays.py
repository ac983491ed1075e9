"""Arrays on disk: made once, whole or not at all; the digest knows what a training depends on."""

import concurrent.futures
import time

import numpy as np
import pytest

from saliency_keras.data.arrays import arrays_on_disk, digest, kept_arrays
from saliency_keras.data.fixation_set import read_fixation_set
from tests.small_sets import write_fixation_set

ROWS = np.arange(24, dtype="float16").reshape(4, 2, 3)


def array(folder, rows, count=4):
    return arrays_on_disk({"rows": folder / "rows.npy"}, ((row,) for row in rows), count, "rows")["rows"]


def test_array_is_what_the_rows_were_and_is_not_made_again(tmp_path):
    found = array(tmp_path, ROWS)
    assert isinstance(found, np.memmap)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, ROWS)
    again = array(tmp_path, (1 / 0 for _ in "x"))
    np.testing.assert_array_equal(again, ROWS)


def test_array_whose_making_is_broken_off_leaves_nothing(tmp_path):
    def broken():
        yield ROWS[0]
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        array(tmp_path, broken())
    assert not list(tmp_path.iterdir())


def test_rows_that_are_too_few_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"5 rows expected\. Received: 4 rows"):
        array(tmp_path, ROWS, 5)
    assert not list(tmp_path.iterdir())


def test_kept_arrays_are_made_once_for_all_that_they_depend_on(tmp_path):
    def kept(of, rows):
        return kept_arrays(tmp_path / "kept", of, ["rows"], zip(rows, strict=True), 4, "rows")["rows"]

    np.testing.assert_array_equal(kept(("a", 1), ROWS), ROWS)
    np.testing.assert_array_equal(kept(("a", 2), ROWS + 1), ROWS + 1)
    np.testing.assert_array_equal(kept(("a", 1), (1 / 0 for _ in "x")), ROWS)
    with pytest.raises(ValueError, match="4 rows expected"):
        kept(("a", 3), ROWS[:2])
    np.testing.assert_array_equal(kept(("a", 3), ROWS), ROWS)


def test_trainings_that_ask_at_once_wait_for_the_one_that_makes_the_arrays(tmp_path):
    made = []

    def rows():
        made.append(None)
        for row in ROWS:
            time.sleep(0.05)
            yield (row,)

    def ask(_):
        return kept_arrays(tmp_path / "kept", "a", ["rows"], rows(), 4, "rows")["rows"]

    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for found in pool.map(ask, range(3)):
            np.testing.assert_array_equal(found, ROWS)
    assert len(made) == 1


def test_digest_changes_with_a_fixation_and_with_a_picture_and_not_with_the_folder(tmp_path):
    for name in "first", "second", "moved", "repainted":
        write_fixation_set(tmp_path / name, pictures=3)
    lines = (tmp_path / "moved" / "fixations.csv").read_text().splitlines()
    picture, subject, *_ = lines[1].split(",")
    lines[1] = f"{picture},{subject},3.25,4.5"
    (tmp_path / "moved" / "fixations.csv").write_text("\n".join(lines) + "\n")
    painted = tmp_path / "repainted" / "images" / "1.png"
    painted.write_bytes(painted.read_bytes()[:-1] + b"!")  # a picture of another content may be as long
    digests = [digest(read_fixation_set(tmp_path / name)) for name in ("first", "second", "moved", "repainted")]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
