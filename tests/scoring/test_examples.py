"""The figure of maps: pictures in columns, humans second, models in rows."""

import itertools

import numpy as np
import pytest

from saliency_keras.scoring.examples import map_figure


def test_rows_are_picture_humans_and_models_and_columns_are_pictures():
    pictures = [np.full((6, 8, 3), level, np.uint8) for level in (10, 200)]
    human = [np.random.default_rng(seed).random((6, 8)) for seed in range(2)]
    models = {"gbvs": [1 - one for one in human], "uniform": [np.ones((6, 8))] * 2}
    axes = np.array(map_figure(pictures, human, models, ["one", "two"]).axes).reshape(4, 2)
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["picture", "humans", "gbvs", "uniform"]
    assert [ax.get_title() for ax in axes[0]] == ["one", "two"]
    np.testing.assert_array_equal(axes[0, 1].images[0].get_array(), pictures[1])
    np.testing.assert_array_equal(axes[1, 0].images[0].get_array(), human[0])
    np.testing.assert_array_equal(axes[2, 1].images[0].get_array(), models["gbvs"][1])


def test_scores_are_written_above_the_maps_they_belong_to():
    pictures, maps = [np.zeros((6, 8, 3), np.uint8)] * 2, [np.ones((6, 8))] * 2
    models = {"gbvs": maps, "uniform": maps}
    figure = map_figure(pictures, maps, models, scores={"gbvs": ["NSS 1.50", "NSS -0.20"], "uniform": ["NSS 0.00"] * 2})
    axes = np.array(figure.axes).reshape(4, 2)
    assert [ax.get_title() for ax in axes[2]] == ["NSS 1.50", "NSS -0.20"]
    assert [ax.get_title() for ax in axes[3]] == ["NSS 0.00"] * 2
    with pytest.raises(ValueError, match="gbvs"):
        map_figure(pictures, maps, models, scores={"gbvs": ["NSS 1.50"]})


def test_a_row_with_a_map_too_few_is_refused():
    picture = np.zeros((6, 8, 3), np.uint8)
    with pytest.raises(ValueError, match="gbvs"):
        map_figure([picture, picture], [picture[..., 0]] * 2, {"gbvs": [picture[..., 0]]})
    with pytest.raises(ValueError, match="0 pictures"):
        map_figure([], [], {})


def test_long_names_of_rows_do_not_lie_over_each_other():
    picture = np.zeros((60, 100, 3), np.uint8)
    names = [f"salclassnet_resnet-shuffled-seed{seed}" for seed in range(3)]
    figure = map_figure([picture], [picture[..., 0]], {name: [picture[..., 0]] for name in names})
    figure.draw_without_rendering()
    boxes = [axes.yaxis.label.get_window_extent() for axes in figure.axes]
    assert all(lower.y1 <= upper.y0 for upper, lower in itertools.pairwise(boxes))
