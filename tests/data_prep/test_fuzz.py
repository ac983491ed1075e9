"""Damaged bytes of every kind: refused in a sentence or read rightly, never a crash, a hang or another record."""

import io
import json
import random
import shutil

import numpy as np
import pytest
from PIL import Image

from data_prep.verify import check_records
from saliency_keras.console import UserError
from saliency_keras.data import prepare
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.pictures import UnreadablePicture, read_picture
from saliency_keras.data.shards import Records
from tests.small_sets import write_small_set

MUTATIONS = 150
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
    file = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype="uint8")
    Image.fromarray(pixels).resize((40, 30)).save(file, kind, **FORMATS[kind])
    refusals = []
    for content in mutations(file.getvalue(), MUTATIONS, seed=kind):
        try:
            picture = read_picture(io.BytesIO(content))
        except UnreadablePicture as error:
            refusals.append(str(error))
            continue
        assert (picture.dtype, picture.ndim, picture.shape[2]) == (np.uint8, 3, 3)
        if picture.size < 10**7:
            assert prepare.square(picture).shape == (256, 256, 3)
    assert refusals
    assert not [text for text in refusals if "\n" in text or "read as a picture: ." in text]


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


def test_a_damaged_shard_is_refused_with_its_name(small_set, tmp_path):
    manifest, _ = small_set
    for number, path in enumerate((*manifest.shard_files("train"), *manifest.shard_files("val", "other"))):
        for folder in damaged_sets(manifest, path, tmp_path / str(number), MUTATIONS // 3):
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


def test_records_of_a_shard_damaged_since_its_checksum_was_looked_at_end_in_a_sentence(small_set, tmp_path):
    refusals = []
    for path, damaged in shards_damaged_in_place(small_set[0], tmp_path, 2 * MUTATIONS):
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
            for inputs, labels in Reader(damaged, "val", 12, 2, maps="other").validation():
                assert inputs["image"].shape == (*labels.shape, 12, 12, 3)
        except UserError:
            refused += 1
    assert refused


def test_a_damaged_manifest_is_refused_or_gives_the_same_records(small_set, tmp_path):
    manifest, whole = small_set
    refused = 0
    for folder in damaged_sets(manifest, manifest.folder / "manifest.json", tmp_path, 3 * MUTATIONS):
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
    assert refused > 2 * MUTATIONS


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
