"""The photographs of the package: what they are, and that each says who took it and under which licence."""

import re

import numpy as np
from PIL import Image

import saliency_keras as sk
from saliency_keras.data.photographs import FOLDER


def test_there_are_twelve_and_they_have_the_pixels_of_their_files():
    pictures, names = sk.photographs()
    assert (pictures.shape, pictures.dtype) == ((12, 160, 160, 3), np.uint8)
    assert names == sorted(path.stem for path in FOLDER.glob("*.jpg"))
    for picture, name in zip(pictures, names, strict=True):
        with Image.open(FOLDER / f"{name}.jpg") as file:
            np.testing.assert_array_equal(picture, file)


def test_each_has_an_author_a_free_licence_and_a_source():
    rows = re.findall(r"^\| (\w+)\.jpg \| (.+) \|$", (FOLDER / "LICENCES.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == sk.photographs()[1]
    for name, row in rows:
        shows, author, licence, source = row.split(" | ")
        assert all((shows, author, source)), name
        assert licence in ("CC0 1.0", "public domain"), name


def test_no_two_are_the_same_photograph():
    small = sk.photographs()[0].reshape(12, 10, 16, 10, 16, 3).mean(axis=(2, 4)).reshape(12, -1)
    alike = np.corrcoef(small) - np.eye(12)
    assert alike.max() < 0.8


def test_the_package_stays_small():
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.is_file()) < 200_000
