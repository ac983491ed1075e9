"""Boxes around masks and their overlap, worked out by hand and against scikit-image."""

import numpy as np
import pytest

from saliency_keras.metrics.boxes import box_of_mask, iou, largest_component


def test_the_box_holds_all_ones_of_a_mask_and_nothing_more():
    mask = np.zeros((5, 7), bool)
    mask[1, 2] = mask[3, 5] = True
    assert box_of_mask(mask) == (2, 1, 6, 4)
    assert mask[1:4, 2:6].sum() == 2
    assert box_of_mask(~np.zeros((2, 3), bool)) == (0, 0, 3, 2)
    assert box_of_mask(np.zeros((2, 3), bool)) is None


def test_the_largest_component_is_scikit_images():
    measure = pytest.importorskip("skimage.measure", reason="scikit-image is not installed")
    random = np.random.default_rng(0)
    for _ in range(50):
        mask = random.random((12, 12)) < 0.45
        labels = measure.label(mask, connectivity=1)
        sizes = np.bincount(labels.ravel())[1:]
        found = largest_component(mask)
        assert found.sum() == sizes.max()
        assert len(np.unique(labels[found])) == 1


def test_intersection_over_union_by_hand():
    assert iou((0, 0, 2, 2), (1, 1, 3, 3)) == pytest.approx(1 / 7)
    assert iou((0, 0, 2, 2), (0, 0, 2, 2)) == 1
    assert iou((0, 0, 1, 1), (1, 0, 2, 1)) == 0
    assert iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0
