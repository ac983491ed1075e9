"""Arrays on disk: made once, whole or not at all; the digest knows what a training depends on."""

import numpy as np
import pytest

from saliency_keras.data.arrays import array_on_disk, digest
from saliency_keras.data.fixation_set import read_fixation_set
from tests.small_sets import write_fixation_set

ROWS = np.arange(24, dtype="float16").reshape(4, 2, 3)


def test_array_is_what_the_rows_were_and_is_not_made_again(tmp_path):
    found = array_on_disk(tmp_path / "rows.npy", iter(ROWS), 4, "rows")
    assert isinstance(found, np.memmap)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, ROWS)
    again = array_on_disk(tmp_path / "rows.npy", (1 / 0 for _ in "x"), 4, "rows")
    np.testing.assert_array_equal(again, ROWS)


def test_array_whose_making_is_broken_off_leaves_nothing(tmp_path):
    def broken():
        yield ROWS[0]
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        array_on_disk(tmp_path / "rows.npy", broken(), 4, "rows")
    assert not list(tmp_path.iterdir())


def test_rows_that_are_too_few_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"5 rows expected\. Received: 4 rows"):
        array_on_disk(tmp_path / "rows.npy", iter(ROWS), 5, "rows")
    assert not list(tmp_path.iterdir())


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
