"""Top-1 and Top-5: against sorting by hand, on ties, NaN and constant models, and the Keras classes against numpy."""

import keras
import numpy as np
import pytest

from saliency_keras.metrics.classification import Top1, Top5, first_classes, rank_of_true_class, softmax, top_k_accuracy


def ranks_by_sorting(scores, labels):
    """An independent second implementation: Python's sort on (score downwards, index upwards)."""
    ranks = []
    for row, label in zip(np.asarray(scores, "float32").tolist(), labels, strict=True):
        order = sorted(range(len(row)), key=lambda index, row=row: (-row[index], index))
        ranks.append(order.index(label))
    return ranks


@pytest.fixture
def scores_with_ties():
    """Scores of few levels, so that most rows have ties, and labels."""
    draw = np.random.default_rng(3)
    return draw.integers(0, 4, (200, 7)).astype("float32"), draw.integers(0, 7, 200)


def test_rank_is_the_place_in_a_stable_sort(scores_with_ties):
    scores, labels = scores_with_ties
    ranks = rank_of_true_class(scores, labels)
    assert ranks.dtype == np.int32
    assert ranks.tolist() == ranks_by_sorting(scores, labels)


def test_rank_of_k_means_the_class_stands_at_place_k_of_the_first_classes(scores_with_ties):
    scores, labels = scores_with_ties
    order = first_classes(scores, k=7)
    ranks = rank_of_true_class(scores, labels)
    np.testing.assert_array_equal(order[np.arange(len(labels)), ranks], labels)


@pytest.mark.parametrize("classes", [2, 3, 5, 6, 10, 1000])
def test_constant_model_scores_one_and_five_out_of_the_classes(classes):
    labels = np.arange(classes)
    scores = np.full((classes, classes), 0.25)
    assert top_k_accuracy(scores, labels, 1) == 1 / classes
    assert top_k_accuracy(scores, labels, 5) == min(5, classes) / classes


def test_top_5_of_three_classes_is_one():
    assert top_k_accuracy([[3.0, 2.0, 1.0]], [2], 5) == 1.0
    assert first_classes([[3.0, 2.0, 1.0]]).tolist() == [[0, 1, 2]]


def test_scores_are_ranked_as_float32():
    # 1 + 1e-12 and 1 are one number in float32: a tie, which the smaller index wins.
    assert rank_of_true_class(np.array([[1.0, 1.0 + 1e-12]]), [0]).tolist() == [0]


def test_nan_comes_last_and_a_nan_true_score_last_of_all():
    nan, infinity = np.nan, np.inf
    scores = [[nan, -infinity, 1.0], [nan, -infinity, 1.0], [nan, nan, nan], [infinity, infinity, nan]]
    assert rank_of_true_class(scores, [1, 0, 0, 1]).tolist() == [1, 2, 2, 1]
    assert first_classes(scores[:1]).tolist() == [[2, 1, 0]]


@pytest.mark.parametrize(
    ("scores", "labels"),
    [([[1.0, 2.0]], [2]), ([[1.0, 2.0]], [-1]), ([[1.0, 2.0]], [0, 1]), ([1.0, 2.0], [0, 1]), ([[1.0, 2.0]], [0.0])],
)
def test_labels_that_do_not_fit_are_refused_with_what_was_received(scores, labels):
    with pytest.raises(ValueError, match="Received"):
        rank_of_true_class(scores, labels)


def test_accuracy_of_nothing_or_of_the_first_zero_is_refused():
    with pytest.raises(ValueError, match="Received"):
        top_k_accuracy(np.zeros((0, 3)), np.zeros(0, int), 1)
    with pytest.raises(ValueError, match="Received"):
        top_k_accuracy([[1.0]], [0], 0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_keras_metrics_agree_with_numpy_over_uneven_batches(scores_with_ties, dtype):
    scores, labels = scores_with_ties
    scores = scores.copy()
    scores[::9, 2] = np.nan
    top1, top5 = Top1(), Top5()
    for start, stop in [(0, 64), (64, 65), (65, 200)]:
        batch = keras.ops.cast(scores[start:stop], dtype)
        top1.update_state(labels[start:stop], batch)
        top5.update_state(labels[start:stop, None], batch)
    assert float(top1.result()) == pytest.approx(top_k_accuracy(scores, labels, 1), abs=1e-7)
    assert float(top5.result()) == pytest.approx(top_k_accuracy(scores, labels, 5), abs=1e-7)


def test_keras_metrics_of_a_constant_model_are_chance_and_weights_count():
    labels = np.arange(8)
    top1, top5 = Top1(), Top5()
    top1.update_state(labels, np.zeros((8, 8), "float32"))
    top5.update_state(labels, np.zeros((8, 8), "float32"), sample_weight=[1, 1, 1, 1, 1, 1, 0, 0])
    assert float(top1.result()) == 1 / 8
    assert float(top5.result()) == pytest.approx(5 / 6)


def test_keras_metrics_survive_serialisation_and_work_within_fit():
    restored = keras.metrics.deserialize(keras.metrics.serialize(Top5()))
    assert isinstance(restored, Top5)
    assert restored.name == "top5"
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(6, kernel_initializer="zeros")])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=[Top1(), Top5()])
    result = model.evaluate(np.ones((12, 3)), np.arange(12) % 6, batch_size=5, verbose=0, return_dict=True)
    assert result["top1"] == pytest.approx(1 / 6)
    assert result["top5"] == pytest.approx(5 / 6)


def test_softmax_is_the_textbooks_and_does_not_overflow():
    scores = np.array([[1.0, 2.0, 3.0], [-4.0, 0.0, 4.0]])
    np.testing.assert_allclose(softmax(scores), np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(softmax(np.array([[60000.0, 0.0]], "float16")), [[1, 0]])
