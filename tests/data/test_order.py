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
