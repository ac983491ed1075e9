"""Batches against the arrays that were written, for every codec."""

import dataclasses
import hashlib
import io
import json
import shutil
import tracemalloc

import numpy as np
import pytest
from PIL import Image

from saliency_keras.console import UserError
from saliency_keras.data import stored as reading
from saliency_keras.data.device import crops as crops_on_device
from saliency_keras.data.manifest import Manifest
from saliency_keras.data.order import epoch_plan
from saliency_keras.data.reader import Reader
from tests.small_sets import as_version_1, write_small_set

CODECS = ("npy", "raw", "jpeg")
SIDE = 31  # crops of pictures stored at 36


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """The same pictures in every codec: `{codec: (manifest, written)}`."""
    return {codec: write_small_set(tmp_path_factory.mktemp(codec), codec=codec) for codec in CODECS}


def everything(stream):
    """The batches of a stream, joined: images, maps, labels."""
    batches = list(stream)
    images, maps = (np.concatenate([inputs[name] for inputs, _ in batches]) for name in ("image", "saliency"))
    return images, maps, np.concatenate([labels for _, labels in batches])


def expected(written, counts, seed, epoch):
    """An epoch made by plain slicing, from the plan and what was written."""
    plan = epoch_plan(counts, seed, epoch, 36 - SIDE)
    for place, top, left, flip in zip(plan.index, plan.top, plan.left, plan.flip, strict=True):
        both = np.concatenate([written["image"][place], written["saliency"][place][..., None]], axis=-1)
        both = both[top : top + SIDE, left : left + SIDE]
        yield (both[:, ::-1] if flip else both), written["label"][place]


@pytest.mark.parametrize("codec", ["npy", "raw"])
def test_training_is_the_plan_s_crops_pixel_by_pixel_for_picture_and_map(sets, codec):
    manifest, written = sets[codec]
    images, maps, labels = everything(Reader(manifest, "train", SIDE, 5, seed=3).training(2, 3))
    wanted = [*expected(written["train"], (8, 7, 9), 3, 2)][:20] + [*expected(written["train"], (8, 7, 9), 3, 3)][:20]
    assert len(images) == 40
    for image, saliency, label, (pixels, true) in zip(images, maps, labels, wanted, strict=True):
        np.testing.assert_array_equal(np.concatenate([image, saliency], axis=-1), pixels)
        assert label == true


def drawn_five(seed, epoch, records):
    """Places and flips of an epoch's five crops for a set of one shard, from the generator's definition on."""
    raw = np.random.Philox(key=[seed, epoch]).random_raw
    raw(1)  # the order of the one shard
    order = sorted(range(records), key=list(map(int, raw(records))).__getitem__)
    for place, word in zip(order, map(int, raw(records)), strict=True):
        yield place, ["top left", "top right", "bottom left", "bottom right", "centre"][word % 2**20 % 5], word >= 2**63


@pytest.mark.parametrize("augment", ["host", "device"])
def test_five_crops_are_the_drawn_corners_and_centres_of_picture_and_map_alike(tmp_path, augment):
    manifest, written = write_small_set(tmp_path, codec="npy", train=(40,), val=(3,))
    reader = Reader(manifest, "train", SIDE, 8, seed=5, crops="five", augment=augment)
    slices = {"top": slice(0, 31), "bottom": slice(5, 36), "left": slice(0, 31), "right": slice(5, 36)}
    seen = set()
    for epoch in (1, 2):
        shown = []
        for inputs, labels in reader.training(epoch, epoch):
            if augment == "device":
                image, saliency = (np.asarray(one) for one in crops_on_device(inputs["words"], inputs["box"], SIDE))
            else:
                image, saliency = inputs["image"], inputs["saliency"]
            shown += zip(image, saliency[..., 0], labels, strict=True)
        for (image, saliency, label), (place, where, flip) in zip(shown, drawn_five(5, epoch, 40), strict=True):
            rows, columns = (slice(2, 33),) * 2 if where == "centre" else (slices[one] for one in where.split())
            turn = slice(None, None, -1 if flip else 1)
            np.testing.assert_array_equal(image, written["train"]["image"][place][rows, columns][:, turn])
            np.testing.assert_array_equal(saliency, written["train"]["saliency"][place][rows, columns][:, turn])
            assert label == written["train"]["label"][place]
            seen.add((where, flip))
    assert len(seen) == 10


def test_five_crops_leave_validation_at_the_centre(sets):
    manifest, written = sets["npy"]
    images, _, _ = everything(Reader(manifest, "val", 30, 4, crops="five").validation())
    np.testing.assert_array_equal(images, written["val"]["image"][:, 3:33, 3:33])


def test_crops_of_an_unknown_kind_are_refused(sets):
    with pytest.raises(ValueError, match=r"crops is one of random, five, center\. Received: ten"):
        Reader(sets["npy"][0], "train", SIDE, 4, crops="ten")


def test_every_codec_gives_the_same_records_in_the_same_order(sets):
    npy, raw, jpeg = (
        list(Reader(sets[codec][0], "train", SIDE, 5, seed=1).training(1, 2)) for codec in ("npy", "raw", "jpeg")
    )
    for (of_npy, npy_labels), (of_raw, raw_labels), (of_jpeg, jpeg_labels) in zip(npy, raw, jpeg, strict=True):
        np.testing.assert_array_equal(of_npy["image"], of_raw["image"])
        np.testing.assert_array_equal(of_npy["saliency"], of_raw["saliency"])
        np.testing.assert_array_equal(npy_labels, raw_labels)
        np.testing.assert_array_equal(npy_labels, jpeg_labels)
        assert of_jpeg["image"].shape == of_npy["image"].shape


def test_jpeg_is_what_pillow_decodes(sets):
    manifest, written = sets["jpeg"]
    images, maps, _ = everything(Reader(manifest, "val", 36, 4).validation())
    for stored, shown in ((written["val"]["image"], images), (written["val"]["saliency"], maps[..., 0])):
        for before, after in zip(stored, shown, strict=True):
            file = io.BytesIO()
            Image.fromarray(before).save(file, "JPEG", quality=95)
            decoded = np.asarray(Image.open(file)).astype(int)
            assert np.abs(decoded - after).max() <= 1


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("batch", [1, 4, 9, 64])
def test_validation_counts_every_picture_once_for_any_batch_size(sets, codec, batch):
    manifest, written = sets[codec]
    batches = list(Reader(manifest, "val", 30, batch).validation())
    assert [len(labels) for _, labels in batches] == [batch] * (9 // batch) + ([9 % batch] if 9 % batch else [])
    images, _, labels = everything(batches)
    np.testing.assert_array_equal(labels, written["val"]["label"])
    if codec != "jpeg":
        np.testing.assert_array_equal(images, written["val"]["image"][:, 3:33, 3:33])


def test_training_epoch_shows_each_picture_once_but_for_the_last_partial_batch(sets):
    manifest, written = sets["npy"]
    reader = Reader(manifest, "train", 36, 5)
    assert reader.steps == 4
    places = {image.tobytes(): place for place, image in enumerate(written["train"]["image"])}
    places |= {np.ascontiguousarray(image[:, ::-1]).tobytes(): place for place, image in
               enumerate(written["train"]["image"])}  # fmt: skip
    left_out = []
    for epoch in range(1, 6):
        images, _, _ = everything(reader.training(epoch, epoch))
        shown = {places[image.tobytes()] for image in images}
        assert len(shown) == len(images) == 20
        left_out.append(frozenset(range(24)) - shown)
    assert len(set(left_out)) > 1, "the pictures left out change from epoch to epoch"


def test_set_smaller_than_a_batch_is_one_batch(sets):
    manifest, _ = sets["npy"]
    (_, labels), *more = Reader(manifest, "train", SIDE, 100).training(1, 1)
    assert len(labels) == 24
    assert not more


def test_resuming_at_an_epoch_replays_the_stream(sets):
    manifest, _ = sets["npy"]
    whole = list(Reader(manifest, "train", SIDE, 5, seed=2).training(1, 4))
    resumed = list(Reader(manifest, "train", SIDE, 5, seed=2).training(3, 4))
    for (before, labels), (after, labels_again) in zip(whole[8:], resumed, strict=True):
        np.testing.assert_array_equal(before["image"], after["image"])
        np.testing.assert_array_equal(before["saliency"], after["saliency"])
        np.testing.assert_array_equal(labels, labels_again)


def test_streams_of_other_seeds_and_epochs_differ(sets):
    manifest, _ = sets["npy"]
    streams = [
        everything(Reader(manifest, "train", SIDE, 5, seed=seed).training(epoch, epoch))[0].tobytes()
        for seed in (0, 1)
        for epoch in (1, 2)
    ]
    assert len(set(streams)) == 4


def test_abandoned_stream_can_be_read_anew(sets):
    manifest, _ = sets["npy"]
    stream = Reader(manifest, "val", SIDE, 2).validation()
    first, _ = next(iter(stream))
    again, _ = next(iter(stream))
    np.testing.assert_array_equal(first["image"], again["image"])
    assert len(list(stream)) == len(stream) == 5


def test_memory_stays_flat_over_twenty_epochs(tmp_path):
    manifest, _ = write_small_set(tmp_path, codec="npy", side=144, train=(60, 60), val=(3,))
    reader = Reader(manifest, "train", 128, 40)
    held = []
    tracemalloc.start()  # numpy's arrays count
    try:
        for epoch in range(1, 21):
            assert len(list(reader.training(epoch, epoch))) == 3
            held.append(tracemalloc.get_traced_memory()[0])
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most > 3 * 40 * 128 * 128 * 4, "the batches themselves were not counted"
    assert max(held[10:]) - max(held[:10]) < 1 << 20, "twenty epochs read 190 MB"


def test_network_without_maps_gets_none(sets):
    for codec in CODECS:
        for inputs, _ in Reader(sets[codec][0], "val", SIDE, 4, shown=None).validation():
            assert set(inputs) == {"image"}
    images = np.concatenate([i["image"] for i, _ in Reader(sets["raw"][0], "val", 36, 4, shown=None).validation()])
    np.testing.assert_array_equal(images, sets["raw"][1]["val"]["image"])


@pytest.mark.parametrize("codec", CODECS)
def test_where_a_read_moves_the_file_s_position_threads_take_turns_and_read_the_same(sets, codec, monkeypatch):
    manifest, _ = sets[codec]
    by_position = everything(Reader(manifest, "train", SIDE, 1).training(1, 4))
    monkeypatch.setattr(reading, "POSITIONAL", False)  # as on Windows, which has none of these
    monkeypatch.delattr("os.preadv")
    monkeypatch.delattr("os.pread")
    for ours, theirs in zip(everything(Reader(manifest, "train", SIDE, 1).training(1, 4)), by_position, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("codec", CODECS)
def test_subset_is_read_alone_and_in_the_order_on_disk(sets, codec):
    manifest, written = sets[codec]
    reader = Reader(manifest, "train", SIDE, 3, subset=[20, 3, 9, 8])
    ids, labels = reader.ids_and_labels()
    assert ids == [written["train"]["id"][place] for place in (3, 8, 9, 20)]
    np.testing.assert_array_equal(labels, written["train"]["label"][[3, 8, 9, 20]])
    np.testing.assert_array_equal(np.concatenate([labels for _, labels in reader.validation()]), labels)
    assert reader.steps == 1


@pytest.mark.parametrize("codec", CODECS)
def test_ids_and_labels_are_those_written(sets, codec):
    manifest, written = sets[codec]
    for split in ("train", "val"):
        ids, labels = Reader(manifest, split, SIDE, 4).ids_and_labels()
        assert ids == written[split]["id"].tolist()
        np.testing.assert_array_equal(labels, written[split]["label"])


def test_side_larger_than_the_stored_one_is_refused(sets):
    with pytest.raises(UserError, match=r"the network wants 128 px, the data set .* stores 36 px"):
        Reader(sets["npy"][0], "train", 128, 4)


@pytest.mark.parametrize("codec", CODECS)
def test_shard_that_shrinks_or_vanishes_while_it_is_read_is_told_in_a_sentence(tmp_path, codec):
    manifest, _ = write_small_set(tmp_path, codec=codec, train=(40,), val=(6,))
    (path,) = manifest.shard_files("train")
    batches = iter(Reader(manifest, "train", SIDE, 2).training(1, 1))
    next(batches)
    with open(path, "r+b") as file:
        file.truncate(5000)
    with pytest.raises(UserError, match="has changed while it was read"):
        list(batches)
    path.unlink()
    with pytest.raises(UserError, match="is gone"):
        list(Reader(manifest, "train", SIDE, 2).training(1, 1))


@pytest.mark.parametrize("codec", CODECS)
def test_shard_whose_bytes_are_no_records_is_refused(tmp_path, codec):
    manifest, _ = write_small_set(tmp_path, codec=codec, train=(3,), val=(3,))
    (path,) = manifest.shard_files("val")
    path.write_bytes(bytes(path.stat().st_size))
    with pytest.raises(UserError, match="is damaged"):
        list(Reader(manifest, "val", SIDE, 2).validation())


def test_manifest_that_does_not_fit_its_folder_is_refused(tmp_path):
    manifest, _ = write_small_set(tmp_path, codec="npy")
    text = (tmp_path / "manifest.json").read_text()
    path = manifest.shard_files("val")[1]
    content = path.read_bytes()

    path.write_bytes(content[:-1])
    with pytest.raises(UserError, match=f"{path.name} has {len(content) - 1} bytes, the manifest says {len(content)}"):
        Manifest.load(tmp_path)
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=f"{path.name} is damaged"):
        Manifest.load(tmp_path).check_sums()
    path.unlink()
    with pytest.raises(UserError, match=f"{path.name} is missing"):
        Manifest.load(tmp_path)
    path.write_bytes(content)
    (tmp_path / "manifest.json").write_text(json.dumps({**json.loads(text), "version": 3}))
    with pytest.raises(UserError, match="has format version 3, this program reads versions 1 and 2"):
        Manifest.load(tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(UserError, match="has no manifest"):
        Manifest.load(tmp_path)


def test_manifests_of_one_set_have_one_digest_whichever_kernels_made_its_bytes(sets, tmp_path):
    """That of the manifest's text before it named kernels, so that runs of then and of now can be compared."""
    manifest, _ = sets["raw"]
    shutil.copy(manifest.folder / "manifest.json", tmp_path)  # the text was that of version 1 then
    text = json.loads((as_version_1(tmp_path) / "manifest.json").read_text())
    assert "kernels" not in text["maps"][0]
    text["maps"] = text["maps"][:1]
    digest = hashlib.sha256((json.dumps(text, indent=1, ensure_ascii=False) + "\n").encode()).hexdigest()
    assert manifest.digest() == digest
    first, other = manifest.maps
    known = dataclasses.replace(manifest, maps=(dataclasses.replace(first, kernels="some"), other))
    assert known.digest() == digest
    assert known.described()["recipe"] == manifest.described()["recipe"]
    assert known.described()["kernels"] == "some"
    assert known.described("other")["recipe"] != known.described()["recipe"]


def test_npy_shard_is_an_array_that_numpy_loads(sets):
    manifest, written = sets["npy"]
    for path, shard, first in zip(manifest.shard_files("train"), manifest.shards_of("train"), (0, 8, 15), strict=True):
        array = np.load(path, mmap_mode="r")
        rows = slice(first, first + len(array))
        np.testing.assert_array_equal(array["rgbs"][..., :3], written["train"]["image"][rows])
        np.testing.assert_array_equal(array["rgbs"][..., 3], written["train"]["saliency"][rows])
        np.testing.assert_array_equal(array["label"], written["train"]["label"][rows])
        assert hashlib.sha256(path.read_bytes()).hexdigest() == shard.sha256
