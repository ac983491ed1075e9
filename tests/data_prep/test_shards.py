"""The order on disk and the number of shards."""

import hashlib

import pytest

from data_prep import shards
from data_prep.sources.source import Picture


def pictures(count):
    return [Picture(f"cat/{index}.jpg", 0, None, 1) for index in range(count)]


def test_order_is_by_the_hash_of_seed_and_id_whatever_the_order_of_the_listing():
    ordered = shards.keyed_order(pictures(50), seed=3)
    assert ordered == shards.keyed_order(pictures(50)[::-1], seed=3)
    keys = [hashlib.sha256(b"3/" + picture.id.encode()).hexdigest() for picture in ordered]
    assert keys == sorted(keys)
    assert sorted(ordered) == sorted(pictures(50))


def test_another_seed_gives_another_order():
    assert shards.keyed_order(pictures(50), seed=0) != shards.keyed_order(pictures(50), seed=1)


@pytest.mark.parametrize(("count", "parts"), [(10, 3), (7, 7), (1, 1), (1000, 8)])
def test_stretches_cover_everything_once_and_evenly(count, parts):
    cut = shards.stretches(list(range(count)), parts)
    assert [number for part in cut for number in part] == list(range(count))
    assert len(cut) == parts
    assert max(map(len, cut)) - min(map(len, cut)) <= 1


def test_imagenet_shards_stay_below_128_mib():
    each = shards.record_bytes(144, "raw")
    count = shards.shard_count("train", 1_281_167, each)
    assert 1_281_167 * each / count <= 128 * 2**20
    assert 1_281_167 * each / (count - 1) > 128 * 2**20


def test_a_small_set_has_few_shards_and_a_thousand_pictures_have_eight():
    assert shards.shard_count("train", 5, 100) == 1
    assert shards.shard_count("train", 1000, 100) == 8
    assert shards.shard_count("val", 500, 100) == 2


def test_raw_imagenet_at_144_pixels_is_106_gigabytes_as_the_design_says():
    assert round(1_281_167 * shards.record_bytes(144, "raw") / 1e9) == 106
