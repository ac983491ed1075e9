"""The order of an epoch."""

import numpy as np
import pytest

from saliency_keras.data.order import epoch_plan

SHARDS = (5, 3, 8)


def test_every_picture_comes_once_in_an_epoch():
    for window in (1, 4, 100):
        assert sorted(epoch_plan(SHARDS, 0, 1, 16, window).index) == list(range(16))


def test_plan_is_a_function_of_seed_and_epoch_alone():
    for seed, epoch in ((0, 1), (0, 2), (7, 1)):
        once, again = epoch_plan(SHARDS, seed, epoch, 16), epoch_plan(SHARDS, seed, epoch, 16)
        for name in ("index", "top", "left", "flip"):
            np.testing.assert_array_equal(getattr(once, name), getattr(again, name))
    orders = {tuple(epoch_plan(SHARDS, seed, epoch, 16).index) for seed in range(3) for epoch in range(1, 4)}
    assert len(orders) == 9


def test_order_of_the_first_epoch_never_changes():
    # The stream of a run must outlive versions of numpy and of this program: these figures were written down once.
    plan = epoch_plan((4, 4), seed=0, epoch=1, margin=16)
    assert plan.index.tolist() == [7, 5, 1, 2, 4, 6, 0, 3]
    assert plan.top.tolist() == [5, 11, 16, 5, 16, 13, 9, 1]


def test_windows_do_not_mix_so_that_a_disk_reads_ahead():
    counts = (10,) * 6
    index = epoch_plan(counts, 0, 1, 0, window=20).index
    for first in range(0, 60, 20):
        assert len(set(index[first : first + 20] // 10)) == 2


def test_crops_reach_every_place_and_half_are_flipped():
    plan = epoch_plan((20_000,), 0, 1, margin=16)
    for draws in (plan.top, plan.left):
        counts = np.bincount(draws, minlength=17)
        assert len(counts) == 17
        assert counts.min() > 1000
    assert plan.flip.mean() == pytest.approx(0.5, abs=0.02)
    assert abs(np.corrcoef(plan.top, plan.left)[0, 1]) < 0.03
    assert abs(np.corrcoef(plan.top, plan.flip)[0, 1]) < 0.03


def test_picture_stored_at_the_network_s_side_is_not_moved():
    plan = epoch_plan(SHARDS, 0, 1, margin=0)
    assert not plan.top.any()
    assert not plan.left.any()


def test_five_crops_are_the_corners_and_the_centre_each_a_fifth_of_the_time():
    plan = epoch_plan((20_000,), 0, 1, margin=41, crops="five")
    places, counts = np.unique(np.stack([plan.top, plan.left], axis=1), axis=0, return_counts=True)
    assert places.tolist() == [[0, 0], [0, 41], [20, 20], [41, 0], [41, 41]]
    assert counts.min() > 3800
    assert abs(np.corrcoef(plan.top, plan.flip)[0, 1]) < 0.03
    assert plan.flip.mean() == pytest.approx(0.5, abs=0.02)


def test_five_crops_change_neither_order_nor_flips():
    for epoch in (1, 2):
        five, random = (epoch_plan(SHARDS, 7, epoch, 16, crops=crops) for crops in ("five", "random"))
        np.testing.assert_array_equal(five.index, random.index)
        np.testing.assert_array_equal(five.flip, random.flip)
    assert not np.array_equal(epoch_plan(SHARDS, 7, 1, 16, crops="five").top, epoch_plan(SHARDS, 7, 2, 16).top)


def test_five_crops_of_the_first_epoch_never_change():
    plan = epoch_plan((4, 4), seed=0, epoch=1, margin=16, crops="five")
    assert plan.top.tolist() == [0, 0, 16, 0, 0, 0, 16, 8]
    assert plan.left.tolist() == [0, 16, 16, 0, 16, 0, 0, 8]


def test_a_picture_s_five_crops_are_drawn_anew_in_each_epoch():
    found = set()
    for epoch in range(1, 41):
        plan = epoch_plan(SHARDS, 0, epoch, 10, crops="five")
        (row,) = np.flatnonzero(plan.index == 6)
        found.add((int(plan.top[row]), int(plan.left[row]), bool(plan.flip[row])))
    assert len(found) == 10, "five places and their flips"


def test_the_centre_is_shown_in_every_epoch_unmirrored_and_in_the_usual_order():
    center, random = (epoch_plan(SHARDS, 7, 2, 15, crops=crops) for crops in ("center", "random"))
    np.testing.assert_array_equal(center.index, random.index)
    assert set(center.top) == set(center.left) == {7}
    assert not center.flip.any()


def test_crops_of_an_unknown_kind_are_refused():
    with pytest.raises(ValueError, match=r"crops is one of random, five, center\. Received: ten"):
        epoch_plan(SHARDS, 0, 1, 16, crops="ten")
