"""Every file becomes RGB, or is refused with a reason."""

import csv
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from saliency_keras.data.pictures import UnreadablePicture, picture_files, read_picture


def _stored(picture, kind, **options):
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return io.BytesIO(file.getvalue())


@pytest.mark.shared_data
def test_odd_files_are_read_or_refused_as_their_index_says(shared_data):
    """The index was made by hand: which files load and at what size, as stored, orientation ignored."""
    folder = shared_data / "nasty"
    with open(folder / "index.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        if row["load"].startswith("ok"):
            picture = read_picture(folder / row["file"])
            assert picture.dtype == np.uint8
            assert picture.shape == (int(row["height"]), int(row["width"]), 3), row["file"]
        else:
            with pytest.raises(UnreadablePicture, match=row["file"]):
                read_picture(folder / row["file"])


def test_the_reason_of_a_refusal_is_told(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not a picture")
    whole = _stored(Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)), "PNG").read()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    bomb = b"\x89PNG\r\n\x1a\n"
    for kind, content in ((b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)), (b"IDAT", b"")):
        bomb += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    (tmp_path / "bomb.png").write_bytes(bomb)
    reasons = {"empty": "empty", "text": "not a picture", "cut": "truncated", "bomb": "bomb", "absent": "no such file"}
    for stem, reason in reasons.items():
        path = next(tmp_path.glob(f"{stem}.*"), tmp_path / "absent.jpg")
        with pytest.raises(UnreadablePicture) as caught:
            read_picture(path)
        assert reason in caught.value.reason
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(mode):
    kind = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    white = read_picture(_stored(Image.new("RGB", (5, 3), "white").convert(mode), kind))
    assert white.shape == (3, 5, 3)
    assert (white == 255).all()


def test_a_transparent_pixel_keeps_its_colour():
    assert read_picture(_stored(Image.new("RGBA", (1, 1), (10, 20, 30, 0)), "PNG")).tolist() == [[[10, 20, 30]]]


def test_sixteen_bits_are_scaled_not_clipped():
    grey = Image.fromarray(np.array([[0, 257, 32896, 65535]], np.uint16))
    assert read_picture(_stored(grey, "PNG"))[0, :, 0].tolist() == [0, 1, 128, 255]


def test_floats_are_scaled_to_their_greatest_value():
    grey = Image.fromarray(np.array([[-1, 0, 0.25, 0.5]], np.float32))
    assert read_picture(_stored(grey, "TIFF"))[0, :, 1].tolist() == [0, 0, 128, 255]


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_orientation_is_ignored_in_every_format(kind, turn):
    pixels = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    orientation = Image.Exif()
    orientation[274] = turn
    options = {"lossless": True} if kind == "WEBP" else {}
    stored = _stored(Image.fromarray(pixels), kind, exif=orientation, **options)
    np.testing.assert_array_equal(read_picture(stored), pixels)


def test_the_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    animation = _stored(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert read_picture(animation)[0, 0].tolist() == [255, 0, 0]


def test_picture_files_lists_pictures_in_order(tmp_path):
    for name in ("b.JPEG", "a.png", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    assert [path.name for path in picture_files(tmp_path)] == ["a.png", "b.JPEG"]
