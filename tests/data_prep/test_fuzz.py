"""Damaged bytes of every kind: refused in a sentence or read rightly, never a crash, a hang or another record."""

import csv
import io
import json
import random
import shutil

import numpy as np
import pytest
from PIL import Image

from data_prep.compaction import compact
from data_prep.sources.source import FolderSource
from data_prep.verify import check_records
from saliency_keras.console import UserError
from saliency_keras.data import geometry
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.pictures import UnreadablePicture, read_picture
from saliency_keras.data.shown import Shown
from saliency_keras.data.stored import Records
from tests.small_sets import write_small_set

MUTATIONS = 150
MANY = pytest.param(2000, marks=pytest.mark.slow)
FORMATS = {
    "JPEG": {"quality": 80},
    "PNG": {},
    "GIF": {},
    "TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
    "WEBP": {},
    "PPM": {},
}


def mutations(content, count, seed):
    """The content cut off, with bits flipped, with bytes overwritten, and random bytes instead."""
    draw = random.Random(seed)
    for number in range(count):
        damaged = bytearray(content)
        if number % 4 == 0:
            del damaged[draw.randrange(len(damaged)) :]
        elif number % 4 == 1:
            for _ in range(draw.randint(1, 8)):
                damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        elif number % 4 == 2:
            start = draw.randrange(len(damaged))
            for place in range(start, min(len(damaged), start + draw.randint(1, 40))):
                damaged[place] = draw.randrange(256)
        else:
            kept = draw.choice([0, 4, 16, 64])
            damaged = damaged[:kept] + draw.randbytes(draw.choice([0, 1, 10, 300]))
        yield bytes(damaged)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_picture_is_unreadable_or_becomes_a_square(kind):
    refusals = []
    for content in mutations(picture(kind), MUTATIONS, seed=kind):
        try:
            pixels = read_picture(io.BytesIO(content))
        except UnreadablePicture as error:
            refusals.append(str(error))
            continue
        assert (pixels.dtype, pixels.ndim, pixels.shape[2]) == (np.uint8, 3, 3)
        if pixels.size < 10**7:
            assert geometry.square(pixels, geometry.Framing()).shape == (256, 256, 3)
    assert refusals
    assert not [text for text in refusals if "\n" in text or "read as a picture: ." in text]


def picture(kind, seed=0):
    """A small picture as a file of some format."""
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype="uint8")
    Image.fromarray(pixels).resize((40, 30)).save(file, kind, **FORMATS[kind])
    return file.getvalue()


@pytest.mark.parametrize("count", [70, MANY])
def test_damaged_pictures_go_through_compaction_as_what_they_decode_to_or_are_skipped(request, tmp_path, count):
    """Beside them the 40 files of `nasty`, where they are there."""
    tree, damaged = tmp_path / "pictures", tmp_path / "pictures" / "train" / "damaged"
    for name in ("train/damaged", "train/whole", "val/damaged", "val/whole"):
        (tree / name).mkdir(parents=True)
        (tree / name / "good.png").write_bytes(picture("PNG"))
    for place, kind in enumerate(FORMATS):
        for number, content in enumerate(mutations(picture(kind, place), -(-count // len(FORMATS)), seed=kind)):
            (damaged / f"{kind}{number}.jpg").write_bytes(content)
    nasty = {}
    if count == 2000:
        folder = request.getfixturevalue("shared_data") / "nasty"
        with open(folder / "index.csv", newline="", encoding="utf-8") as file:
            nasty = {row["file"]: row["load"].startswith("ok") for row in csv.DictReader(file)}
        for name in nasty:
            shutil.copy(folder / name, damaged / name)
    manifest = compact(FolderSource(tree), tmp_path / "set", ("uniform",), side=32, codec="npy", workers=2)
    check_records(manifest)
    stored = Records(manifest, "train")
    places = np.arange(len(stored))
    used = {}
    for name, words in zip(stored.ids(places), stored.words(places), strict=True):
        used[name] = words.copy().view(np.uint8).reshape(32, 32, 4)[..., :3]
    with open(manifest.folder / "skipped.csv", newline="", encoding="utf-8") as file:
        skipped = {row["id"]: row["reason"] for row in csv.DictReader(file)}
    everything = {f"damaged/{path.name}" for path in damaged.iterdir()} | {"whole/good.png"}
    assert used.keys() | skipped.keys() == everything
    assert not used.keys() & skipped.keys()
    assert all(skipped.values())
    for name, pixels in used.items():
        expected = geometry.shrink(geometry.square(read_picture(tree / "train" / name), geometry.Framing()), 32)
        np.testing.assert_array_equal(pixels, expected, err_msg=name)
    for name, good in nasty.items():
        assert (f"damaged/{name}" in used) == good, name


@pytest.fixture(scope="module", params=["npy", "raw", "jpeg"])
def small_set(request, tmp_path_factory):
    """A set of a few tiny pictures, whole, with everything that can be read of it."""
    folder = tmp_path_factory.mktemp(request.param)
    manifest, _ = write_small_set(folder, side=16, codec=request.param, classes=2, train=(3, 2), val=(2,))
    return manifest, everything(manifest)


def everything(manifest):
    """All records as they come out of the readers."""
    found = []
    for split, content in manifest.splits.items():
        stored, places = Records(manifest, split), np.arange(content.records)
        found += [one.tobytes() for one in stored.words(places)]
        found += [one.tobytes() for one in Records(manifest, split, manifest.map_names[-1]).maps(places)]
        found += [stored.ids(places), stored.labels(places).tolist()]
    return found


def damaged_sets(manifest, path, tmp_path, count):
    """Copies of a set, one after the other, in which one file has been damaged."""
    folder = tmp_path / "set"
    shutil.copytree(manifest.folder, folder)
    content = (folder / path.name).read_bytes()
    for damaged in mutations(content, count, seed=path.name):
        if damaged != content:
            (folder / path.name).write_bytes(damaged)
            yield folder


@pytest.mark.parametrize("count", [2 * MUTATIONS // 3, MANY])
def test_a_damaged_shard_is_refused_with_its_name(small_set, tmp_path, count):
    manifest, _ = small_set
    for number, path in enumerate((*manifest.shard_files("train"), *manifest.shard_files("val", "other"))):
        for folder in damaged_sets(manifest, path, tmp_path / str(number), count // 2):
            with pytest.raises(UserError, match=path.name):
                Manifest.load(folder).check_sums()


def shards_damaged_in_place(manifest, tmp_path, count):
    """Path of a damaged shard and the set it is in: of the same size, so that the manifest accepts it."""
    for number, path in enumerate((*manifest.shard_files("val"), *manifest.shard_files("val", "other"))):
        size = path.stat().st_size
        for folder in damaged_sets(manifest, path, tmp_path / str(number), count):
            content = (folder / path.name).read_bytes()
            (folder / path.name).write_bytes(content[:size].ljust(size, b"\0"))
            yield path, Manifest.load(folder)


@pytest.mark.parametrize("count", [2 * MUTATIONS, MANY])
def test_records_of_a_shard_damaged_since_its_checksum_was_looked_at_end_in_a_sentence(small_set, tmp_path, count):
    refusals = []
    for path, damaged in shards_damaged_in_place(small_set[0], tmp_path, count // 2):
        try:
            everything(damaged)
        except UserError as error:
            refusals.append((path.name, str(error)))
    assert refusals
    assert not [text for name, text in refusals if name not in text]


def test_batches_of_a_damaged_shard_have_their_shape_or_end_in_a_sentence(small_set, tmp_path):
    from saliency_keras.data.reader import Reader

    refused = 0
    for _, damaged in shards_damaged_in_place(small_set[0], tmp_path, MUTATIONS // 3):
        try:
            for inputs, labels in Reader(damaged, "val", 12, 2, shown=Shown.parse("other")).validation():
                assert inputs["image"].shape == (*labels.shape, 12, 12, 3)
        except UserError:
            refused += 1
    assert refused


@pytest.mark.parametrize("count", [2 * MUTATIONS, MANY])
def test_a_damaged_manifest_is_refused_or_gives_the_same_records(small_set, tmp_path, count):
    manifest, whole = small_set
    refused = 0
    for folder in damaged_sets(manifest, manifest.folder / "manifest.json", tmp_path, count):
        try:
            damaged = Manifest.load(folder)
            damaged.check_sums()
            check_records(damaged)
        except UserError:
            refused += 1
            continue
        assert everything(damaged) == whole
        assert damaged.splits == manifest.splits
        assert len(damaged.classes) == len(manifest.classes)
    assert refused > count / 2


@pytest.mark.parametrize("value", [None, -1, 10**30, float("inf"), float("nan"), "", "\0", "../x", [], [[]], {}, True])
def test_any_field_of_a_manifest_with_another_value_is_refused_or_gives_the_same_records(small_set, tmp_path, value):
    manifest, whole = small_set
    folder = tmp_path / "set"
    shutil.copytree(manifest.folder, folder)
    fields = json.loads((folder / "manifest.json").read_text())
    for place in list(places_in(fields)):
        changed = json.loads((manifest.folder / "manifest.json").read_text())
        inner = changed
        for key in place[:-1]:
            inner = inner[key]
        inner[place[-1]] = value
        (folder / "manifest.json").write_text(json.dumps(changed))
        try:
            damaged = Manifest.load(folder)
            damaged.check_sums()
            check_records(damaged)
        except UserError:
            continue
        assert everything(damaged) == whole, place


def places_in(fields, before=()):
    """The path of every value inside nested dicts and lists."""
    pairs = fields.items() if isinstance(fields, dict) else enumerate(fields) if isinstance(fields, list) else ()
    for key, value in pairs:
        yield (*before, key)
        yield from places_in(value, (*before, key))
