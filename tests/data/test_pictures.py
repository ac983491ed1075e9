"""Every file becomes RGB, or is refused with a reason."""

import csv
import errno
import io
import os
import struct
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps, PngImagePlugin

from saliency_keras.data.pictures import (
    UnreadablePicture,
    left_out,
    orientation_of,
    picture_header,
    pictures_in,
    read_picture,
)


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


def test_a_folder_s_pictures_are_those_of_its_content_in_order(tmp_path):
    white = Image.new("RGB", (5, 3), "white")
    white.save(tmp_path / "b.JPEG")
    white.save(tmp_path / "a.png")
    white.save(tmp_path / "c.jpg")
    (tmp_path / "c.jpg").rename(tmp_path / "c.jfif")
    white.save(tmp_path / "noext", "PNG")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    white.save(tmp_path / "deep" / "er" / "d.bmp")
    (tmp_path / ".cache").mkdir()
    white.save(tmp_path / ".cache" / "e.png")
    white.save(tmp_path / ".hidden.png")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "broken.jpg").write_bytes(b"")
    found = pictures_in(tmp_path)
    assert found.names == ("a.png", "b.JPEG", "c.jfif", "deep/er/d.bmp", "noext")
    assert set(found.sizes) == {(5, 3)}
    assert [(one.name, one.reason) for one in found.named()] == [(f"{tmp_path}/broken.jpg", "the file is empty")]
    assert left_out(found) == "; 2 files are no pictures and are left out (Thumbs.db, notes.txt)"


def test_links_are_followed_and_circles_entered_once(tmp_path):
    picture, pictures, store = Image.new("RGB", (2, 2)), tmp_path / "pictures", tmp_path / "store"
    (pictures / "cats").mkdir(parents=True)
    store.mkdir()
    picture.save(store / "far.png")
    picture.save(pictures / "cats" / "near.png")
    (pictures / "elsewhere").symlink_to(store)
    (store / "back").symlink_to(pictures)
    (pictures / "cats" / "up").symlink_to("../..")
    (pictures / "cats" / "self.png").symlink_to("self.png")
    (pictures / "cats" / "dead.png").symlink_to("nowhere.png")
    found = pictures_in(pictures)
    assert found.names == ("cats/near.png", "elsewhere/far.png")
    assert {os.path.relpath(one.name, pictures): one.reason for one in found.refused} == {
        "cats/dead.png": "a link to nowhere.png, where nothing is",
        "cats/self.png": "a link in a circle",
        "cats/up": "a link in a circle",
        "elsewhere/back": "a link in a circle",
    }


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_header_and_pixels_follow_one_rule_as_stored_and_upright(kind, tag):
    """Pillow's own `exif_transpose` is the second opinion on what is upright."""
    exif = Image.Exif()
    exif[274] = tag
    stored = _stored(Image.fromarray(np.arange(18, dtype=np.uint8).reshape(2, 3, 3)), kind, exif=exif)
    content = stored.getvalue()
    expected = np.asarray(ImageOps.exif_transpose(Image.open(stored)).convert("RGB"))
    np.testing.assert_array_equal(read_picture(io.BytesIO(content), upright=True), expected)
    for upright in (False, True):
        height, width = read_picture(io.BytesIO(content), upright).shape[:2]
        assert picture_header(io.BytesIO(content), upright) == ((width, height), tag)
    assert orientation_of(content) == tag


def test_what_refuses_to_be_opened_is_no_damage(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.new("RGB", (2, 2)).save(path)

    def forbidden(*words, **options):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", forbidden)
    with pytest.raises(PermissionError):
        read_picture(path)


@pytest.mark.parametrize("number", [errno.EIO, errno.ETIMEDOUT, errno.ENOTCONN, errno.EMFILE])
def test_a_disk_or_network_that_fails_while_reading_is_no_damage(tmp_path, monkeypatch, number):
    path = tmp_path / "a.png"
    Image.new("RGB", (2, 2)).save(path)

    def fail(number):
        def opened(_):
            raise OSError(number, "failed")

        monkeypatch.setattr("PIL.Image.open", opened)

    fail(number)
    with pytest.raises(OSError, match="failed"):
        picture_header(path)
    fail(errno.EINVAL)  # what a damaged file makes Pillow do: seek to an impossible place
    with pytest.raises(UnreadablePicture):
        picture_header(path)


def test_too_little_memory_is_no_damage_and_pillow_s_own_complaint_is(monkeypatch):
    stored = _stored(Image.new("RGB", (64, 64)), "PNG").getvalue()

    def exhausted(picture):
        raise MemoryError

    monkeypatch.setattr(Image.Image, "load", exhausted)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", exhausted)
    with pytest.raises(UnreadablePicture):
        read_picture(io.BytesIO(stored))  # there is room for 64x64 pixels: the file's own fault
    monkeypatch.setattr("saliency_keras.data.pictures.BYTES_A_PIXEL", 1 << 50)
    with pytest.raises(MemoryError, match="too little memory to decode"):
        read_picture(io.BytesIO(stored))


@pytest.mark.parametrize("chunk", ["zTXt", "iTXt", "iCCP", "many"])
def test_texts_and_profiles_of_any_size_are_left_unread(chunk):
    info, options = PngImagePlugin.PngInfo(), {}
    if chunk == "zTXt":
        info.add_text("note", "x" * 3_000_000, zip=True)
    elif chunk == "iTXt":
        info.add_itxt("note", "é" * 3_000_000, zip=True)
    elif chunk == "many":
        for number in range(70):
            info.add_text(f"note{number}", "x" * 1_000_000, zip=True)
    else:
        options = {"icc_profile": bytes(3_000_000)}
    picture = _stored(Image.new("RGB", (5, 3), (1, 2, 3)), "PNG", pnginfo=info, **options)
    assert read_picture(picture)[2, 4].tolist() == [1, 2, 3]
    assert picture_header(io.BytesIO(picture.getvalue())) == ((5, 3), 1)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0, 0], [0, 0, 0]),
        ([-3, -2, -1], [0, 0, 0]),
        ([1, np.inf, 2], [128, 255, 255]),
        ([np.nan, -np.inf, 4], [0, 0, 255]),
        ([np.nan, np.nan, np.inf], [0, 0, 0]),
        ([0, 1e-40, 4e-40], [0, 64, 255]),
    ],
)
def test_floats_of_any_kind_become_defined_pixels(values, expected):
    picture = _stored(Image.fromarray(np.array([values], np.float32)), "TIFF")
    assert read_picture(picture)[0, :, 0].tolist() == expected


@pytest.fixture
def heic():
    """A HEIC picture as a phone writes it: lying on its side, with a tag that says so."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed: pip install '.[heic]'")
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30] = 220, 30, 30
    exif = Image.Exif()
    exif[274] = 6
    content = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(content, quality=95, exif=exif.tobytes())
    return content.getvalue()


def test_heic_is_read_upright_in_header_and_pixels(heic):
    for upright in (False, True):
        size, tag = picture_header(io.BytesIO(heic), upright)
        pixels = read_picture(io.BytesIO(heic), upright)
        assert size == pixels.shape[1::-1] == (40, 60)
        assert tag == 1
        assert np.abs(pixels[:25].mean((0, 1)) - (220, 30, 30)).max() < 12
        assert pixels[35:].mean() < 12


def test_heic_without_its_package_names_the_extra(heic, monkeypatch):
    monkeypatch.setattr(Image, "OPEN", {name: one for name, one in Image.OPEN.items() if name != "HEIF"})
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnreadablePicture) as caught:
        read_picture(io.BytesIO(heic))
    assert caught.value.reason == "a HEIC picture, which needs pillow-heif: `pip install .[heic]`"


@pytest.mark.parametrize("kept", [16, 400])
def test_a_damaged_heic_is_told_as_damaged(heic, kept):
    with pytest.raises(UnreadablePicture):
        read_picture(io.BytesIO(heic[:kept]))
