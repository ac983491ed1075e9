"""Areas under ROC curves, from the values at fixations and at non-fixations.

Nothing here knows of pictures; the metrics that do are in `saliency_keras.metrics.fixation_metrics`, which also says
what the two conventions are. A map has some hundred thousand pixels and some hundred fixations, so pixels are counted
against the fixations' values instead of being sorted.
"""

import numpy as np

BINS = 2**15
DROPPED_BITS = 44
SORTED_UP_TO = 20_000


class CountedValues:
    """Values that are going to be counted against some thresholds, exactly.

    Few values are sorted. Many are put into bins: those in another bin than any threshold's are counted with their
    bin, and only the rest is looked at again. Bins are as wide as 2^-8 of the distance from the least value (the upper
    bits of a double), so that maps with long tails fill many of them.

    Args:
        values: float64 `(values,)`, at least one, finite.
    """

    def __init__(self, values):
        self.values = values
        self.sorted = np.sort(values) if values.size < SORTED_UP_TO else None
        if self.sorted is None:
            self.low, self.high = values.min(), values.max()
            self.first_key = (self.high - self.low).view(np.int64) >> DROPPED_BITS
            self.bins = self._bins_of(values)
            self.per_bin = np.bincount(self.bins, minlength=BINS)

    def _bins_of(self, values):
        # Values and thresholds go through the same arithmetic. Subtraction rounds monotonely, and the bits of doubles
        # that are not negative are in the order of the doubles: a smaller bin means a smaller value.
        keys = (values - self.low).view(np.int64)
        keys >>= DROPPED_BITS
        keys -= self.first_key - (BINS - 1)
        return np.maximum(keys, 0, out=keys)

    def counts_below(self, thresholds):
        """How many values are below each threshold, and how many up to it.

        Args:
            thresholds: float64 `(thresholds,)`, in any order, without NaN.

        Returns:
            Two int64 arrays `(thresholds,)`: the numbers of values `< t` and `<= t`.
        """
        if self.sorted is not None:
            return _counts_in_sorted(self.sorted, thresholds)
        distinct, place = np.unique(thresholds, return_inverse=True)
        bins = self._bins_of(np.clip(distinct, self.low, self.high))
        thresholds_per_bin = np.minimum(np.bincount(bins, minlength=BINS), 2).astype(np.uint8)
        kinds = thresholds_per_bin[self.bins]
        # Where a bin has one threshold, its values are compared with that; where it has several, they are sorted.
        only_threshold = np.zeros(BINS)
        only_threshold[bins] = distinct
        alone = np.flatnonzero(kinds == 1)
        values, their_bins = self.values[alone], self.bins[alone]
        compared_with = only_threshold[their_bins]
        below = np.bincount(their_bins[values < compared_with], minlength=BINS)[bins]
        equal = np.bincount(their_bins[values == compared_with], minlength=BINS)[bins]
        crowded = thresholds_per_bin == 2
        from_left, from_right = _counts_in_sorted(np.sort(self.values[kinds == 2]), distinct)
        below = np.where(crowded[bins], from_left - _before(np.where(crowded, self.per_bin, 0))[bins], below)
        equal = np.where(crowded[bins], from_right - from_left, equal)
        below = below + _before(self.per_bin)[bins]
        return below[place], (below + equal)[place]


def _counts_in_sorted(values, thresholds):
    return np.searchsorted(values, thresholds, "left"), np.searchsorted(values, thresholds, "right")


def _before(counts):
    return np.cumsum(counts) - counts


def mann_whitney(below, up_to, negatives):
    """Probability that a positive exceeds a negative, ties counting one half.

    Args:
        below: `(positives,)`, the number of negatives below each positive.
        up_to: `(positives,)`, the number of negatives below or equal to it.
        negatives: The number of negatives.

    Returns:
        A float, 0 to 1.
    """
    return float((below + up_to).sum() / (2 * len(below) * negatives))


def count_from(values, thresholds):
    """How many values are at or above each threshold: NaN never is, and nothing is at or above NaN."""
    present = values[~np.isnan(values)]
    if not present.size:
        return np.zeros(len(thresholds), np.int64)
    asked = np.where(np.isnan(thresholds), np.inf, thresholds)
    return len(present) - CountedValues(present).counts_below(asked)[0]


def signed_trapezoids(hits, false_alarms):
    """Area under a ROC curve's points, joined in their order from (0, 0) to (1, 1) by straight lines.

    Where the false alarms run backwards, that part of the area is negative, as in Matlab's `trapz`.
    """
    return float(np.trapezoid(np.concatenate([[0], hits, [1]]), np.concatenate([[0], false_alarms, [1]])))


def grid(step, top):
    """The thresholds `0, step, 2 step, ...` up to `top`, descending, as Octave's range has them.

    They are multiples in double arithmetic (3 * 0.1 is 0.30000000000000004). A last one that exceeds the top by no
    more than rounding belongs to them and becomes the top.
    """
    tolerance = 3 * np.finfo(np.float64).eps
    thresholds = np.arange(int(np.floor(top / step * (1 + tolerance) + tolerance)) + 1) * step
    return np.minimum(thresholds, top)[::-1]


def grid_area(positives, false_alarms, thresholds):
    """Area under the curve of the hits at a grid of thresholds against the false alarms there."""
    return signed_trapezoids(count_from(positives, thresholds) / len(positives), false_alarms)


def mean_over_splits(positives, splits, step):
    """Mean of the areas under the curves of some splits, as AUC-Borji and the shuffled AUC of the MIT code.

    Args:
        positives: `(positives,)`, the map, stretched to [0, 1], at the fixated pixels.
        splits: `(splits, negatives)`, the map at each split's non-fixations.
        step: Step of the grid of thresholds.

    Returns:
        The mean, a float.
    """
    areas = []
    for negatives in splits:
        thresholds = grid(step, np.nanmax(np.concatenate([positives, negatives, [0.0]])))
        areas.append(grid_area(positives, count_from(negatives, thresholds) / len(negatives), thresholds))
    return float(np.mean(areas))
