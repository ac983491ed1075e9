"""Top-1 and Top-5, the figures of every classification table (thesis §4.1), ranked so that ties cannot flatter.

The rank of the true class counts the classes that come before it: those with a higher score, and those with an equal
score and a smaller index. A model that gives every class the same score thus has exactly 1/C and min(5, C)/C on a
set with equally many pictures of each class, where counting only higher scores would give 1. Pure numpy functions
first; `Top1` and `Top5` are the same for `model.compile`, on any Keras backend. Comparing two runs is `comparison`'s.
"""

import keras
import numpy as np
from keras import ops


def rank_of_true_class(scores, labels):
    """How many classes come before the true one: 0 where the model is right.

    `rank_of_true_class([[0.1, 0.7, 0.2]], [2])` is `[1]`; with three equal scores the ranks of the classes are 0, 1, 2.

    A NaN comes after every number. Where the score of the true class itself is NaN it comes last of all, so that a
    model gone astray is not counted right.

    Args:
        scores: Float array `(pictures, classes)`, logits or probabilities; compared as float32.
        labels: Integer array `(pictures,)`, 0 to classes - 1.

    Returns:
        int32 array `(pictures,)`, 0 to classes - 1.

    Raises:
        ValueError: If the shapes do not fit or a label is no index of a class.
    """
    scores = np.asarray(scores, dtype="float32")
    labels = np.asarray(labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        shapes = f"scores of shape {scores.shape} and labels of shape {labels.shape}"
        raise ValueError(f"scores must be (pictures, classes), labels (pictures,). Received: {shapes}")
    if not np.issubdtype(labels.dtype, np.integer) or np.any((labels < 0) | (labels >= scores.shape[1])):
        raise ValueError(f"labels must be integers from 0 to {scores.shape[1] - 1}. Received: labels={labels}")
    true_scores = np.take_along_axis(scores, labels[:, None], axis=1)
    ties_before = (scores == true_scores) & (np.arange(scores.shape[1]) < labels[:, None])
    ranks = np.count_nonzero((scores > true_scores) | ties_before, axis=1)
    return np.where(np.isnan(true_scores[:, 0]), scores.shape[1] - 1, ranks).astype("int32")


def top_k_accuracy(scores, labels, k):
    """The part of the pictures whose true class is among the first `k`.

    Args:
        scores: Float array `(pictures, classes)`.
        labels: Integer array `(pictures,)`.
        k: 1 or more. From the number of classes on, the accuracy is 1.

    Returns:
        A float, 0 to 1.

    Raises:
        ValueError: As `rank_of_true_class`; also without pictures or for `k` below 1.
    """
    ranks = rank_of_true_class(scores, labels)
    if k < 1 or not ranks.size:
        raise ValueError(f"k must be 1 or more, and there must be pictures. Received: {k=}, pictures={ranks.size}")
    return float(np.mean(ranks < k))


def mean_class_accuracy(correct, labels):
    """Mean class accuracy: the accuracy of each class, averaged over the classes that have pictures.

    Where classes have equally many pictures it is the accuracy over pictures.

    Args:
        correct: Whether each picture is right, or the share of runs in which it is: array `(pictures,)`.
        labels: Integer array `(pictures,)`.

    Returns:
        A float, 0 to 1.
    """
    _, place = np.unique(labels, return_inverse=True)
    return float(np.mean(np.bincount(place, np.asarray(correct, "float64")) / np.bincount(place)))


def first_classes(scores, k=5):
    """The `k` classes with the highest scores, best first, in the order that `rank_of_true_class` counts.

    Args:
        scores: Float array `(pictures, classes)`; compared as float32, NaN last.
        k: How many; fewer where there are fewer classes.

    Returns:
        int32 array `(pictures, min(k, classes))`.
    """
    order = np.argsort(-np.asarray(scores, dtype="float32"), axis=1, kind="stable")
    return order[:, :k].astype("int32")


def softmax(scores):
    """Probabilities, float32 `(pictures, classes)`, of logits of any float type."""
    scores = np.asarray(scores, dtype="float32")
    with np.errstate(invalid="ignore"):
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _true_class_is_among_first(labels, scores, k):
    """`rank_of_true_class(scores, labels) < k` in `keras.ops`: float32 `(pictures,)` of 0 and 1."""
    scores = ops.cast(scores, "float32")
    labels = ops.reshape(ops.cast(labels, "int32"), (-1, 1))
    true_scores = ops.take_along_axis(scores, labels, axis=1)
    # TensorFlow's `==` forgets the rank where the size of the batch is unknown; `ops.equal` keeps it.
    ties_before = ops.logical_and(ops.equal(scores, true_scores), ops.arange(scores.shape[1], dtype="int32") < labels)
    before = ops.logical_or(scores > true_scores, ties_before)
    ranks = ops.sum(ops.cast(before, "int32"), axis=1)
    ranks = ops.where(ops.isnan(true_scores[:, 0]), scores.shape[1] - 1, ranks)
    return ops.cast(ranks < k, "float32")


class _TopK(keras.metrics.Mean):
    """Mean over pictures of "the true class is among the first `k`"; a subclass sets `k`."""

    k = None

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(_true_class_is_among_first(y_true, y_pred, self.k), sample_weight)


@keras.saving.register_keras_serializable("saliency_keras")
class Top1(_TopK):
    """Top-1 accuracy, 0 to 1, of logits `(batch, classes)` and integer labels `(batch,)`, as `top_k_accuracy(…, 1)`."""

    k = 1

    def __init__(self, name="top1", dtype=None):
        super().__init__(name, dtype)


@keras.saving.register_keras_serializable("saliency_keras")
class Top5(_TopK):
    """Top-5 accuracy, 0 to 1, of logits `(batch, classes)` and integer labels `(batch,)`, as `top_k_accuracy(…, 5)`."""

    k = 5

    def __init__(self, name="top5", dtype=None):
        super().__init__(name, dtype)
