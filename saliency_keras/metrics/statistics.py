"""Is one run better than another, and by how much: paired statistics over pictures and intervals over seeds.

Two networks tested on the same pictures are compared picture by picture. McNemar's test (1947; exact, or mid-p as
advised by Fagerland, Lydersen & Laake 2013) looks at the pictures that only one of them has right. A bootstrap interval
(Efron 1979, percentile) bounds the difference over pictures. Both are about these two trained networks. Student's t
interval over seeds says what another seed would give, and the two-level interval what other seeds and other pictures
would give together. Per-class changes are the thesis's Table 4.2. Correlations are for the notes on accuracy and
saliency. SciPy is imported where it is needed, because that takes a second. Wilson's interval and the bootstrap are
written out: one is two lines, the other far faster than SciPy's. Matching
the pictures of two runs is `runs.run`'.
"""

import math
import statistics

import numpy as np


def mcnemar_p(only_first, only_second, mid_p=False):
    """Two-sided p-value of McNemar's test that two classifiers are equally often right.

    Under the hypothesis, each picture that only one classifier has right is as likely the first's as the second's:
    `only_first` is binomial with probability one half. `mcnemar_p(0, 5)` is 2 / 2**5 = 0.0625.

    Args:
        only_first: Number of pictures that only the first classifier has right.
        only_second: Number of pictures that only the second has right.
        mid_p: Count the observed outcome itself half, which makes the test less conservative.

    Returns:
        A float, 0 to 1; 1 if no picture distinguishes them.

    Raises:
        ValueError: If a count is negative.
    """
    if only_first < 0 or only_second < 0:
        raise ValueError(f"counts must not be negative. Received: {only_first=}, {only_second=}")
    from scipy.special import bdtr

    pictures, fewer = int(only_first + only_second), int(min(only_first, only_second))
    up_to = bdtr(fewer, pictures, 0.5)
    observed = up_to - bdtr(fewer - 1, pictures, 0.5) if fewer else up_to
    return float(min(1.0, 2 * up_to - (observed if mid_p else 0)))


def bootstrap_interval(values, level=0.95, resamples=10_000, seed=0, weights=None):
    """Percentile bootstrap interval of the mean of `values` over pictures.

    With `values` = right or wrong (1, 0) it is the interval of an accuracy; with the difference of two runs' right or
    wrong (1, 0, -1) the paired interval of the difference. Drawing pictures again only changes how often each value
    occurs, so those counts are drawn from their multinomial distribution: the same bootstrap, much faster.

    Args:
        values: Array `(pictures,)` of few different values.
        level: Coverage, 0 to 1.
        resamples: Number of bootstrap draws of the pictures.
        seed: Seed of the draws.
        weights: How many results each value is the sum of, for pictures with several; one each by default.

    Returns:
        `(low, high)`, floats.

    Raises:
        ValueError: If there are no values.
    """
    values = np.asarray(values, dtype="float64")
    if not values.size:
        raise ValueError("an interval over no pictures does not exist. Received: values=[]")
    pairs = np.stack([values, np.ones_like(values) if weights is None else weights])
    (sums, results), counts = np.unique(pairs, axis=1, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(counts.sum(), counts / counts.sum(), size=resamples)
    low, high = np.quantile(drawn @ sums / (drawn @ results), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def wilson_interval(right, pictures, level=0.95):
    """Wilson's score interval (1927) of an accuracy: good for few pictures and near 0 and 1 too.

    Args:
        right: Number of pictures that are right.
        pictures: Number of pictures, 1 or more.
        level: Coverage, 0 to 1.

    Returns:
        `(low, high)`, floats from 0 to 1.

    Raises:
        ValueError: If the counts are impossible.
    """
    if not 0 <= right <= pictures or pictures < 1:
        raise ValueError(f"0 <= right <= pictures and a picture expected. Received: {right=}, {pictures=}")
    z = statistics.NormalDist().inv_cdf((1 + level) / 2)
    centre = (right + z * z / 2) / (pictures + z * z)
    half = z / (pictures + z * z) * math.sqrt(right * (pictures - right) / pictures + z * z / 4)
    # None right or all right: the end is 0 or 1 itself, whatever rounding says.
    return (centre - half if right else 0.0), (centre + half if right < pictures else 1.0)


def seeds_interval(values, level=0.95):
    """Student's t interval of the mean over seeds: what training again would give on the same pictures.

    Args:
        values: One figure a seed (an accuracy, or a difference between two runs of the same seed), three or more.
        level: Coverage, 0 to 1.

    Returns:
        `(low, high)`, floats.

    Raises:
        ValueError: If there are fewer than three: two points tell next to nothing of the spread.
    """
    values = np.asarray(values, dtype="float64")
    if values.ndim != 1 or values.size < 3:
        raise ValueError(f"an interval over seeds needs three runs or more. Received: {values.size} value(s)")
    half = t_quantile(level, values.size - 1) * values.std(ddof=1) / math.sqrt(values.size)
    return float(values.mean() - half), float(values.mean() + half)


def seeds_spread(rows):
    """How much another seed changes a figure, estimated from several rows at once.

    Let d_rs be the figure of row r at its seed s, and S_r the number of the row's seeds. The variance is the sum of
    (d_rs - mean of row r)^2 over all rows and seeds, divided by the degrees of freedom, the sum of (S_r - 1). This
    assumes that seeds vary equally in all rows. Rows that share a baseline share its variation too, so that fewer
    degrees are independent than are counted.

    Args:
        rows: A list of figures a row, one figure a seed, such as differences at Top-1. A row of one seed adds nothing.

    Returns:
        `(spread, degrees)`: the standard deviation between seeds, and its degrees of freedom; `(nan, 0)` where no row
        has two seeds.
    """
    rows = [np.asarray(row, dtype="float64") for row in rows]
    degrees = sum(row.size - 1 for row in rows)
    if not degrees:
        return math.nan, 0
    return math.sqrt(sum(((row - row.mean()) ** 2).sum() for row in rows) / degrees), degrees


def two_level_interval(values, level=0.95, resamples=10_000, seed=0, spread=None):
    """Interval of a mean over seeds and pictures: what other seeds and other pictures would give.

    A hierarchical bootstrap with two crossed levels. Every seed is tested on the same pictures, so `values[s, p]` is
    m + a_s + b_p + e_sp: a common mean, an effect of the seed, of the picture, and of both. One draw is

        mean + c (mean over N pictures drawn with replacement - mean) + T spread / sqrt(S)

    with S seeds, N pictures, and T drawn from Student's t with the spread's degrees of freedom; the interval is the
    percentile interval of the draws. The upper level is drawn from t, because drawing two or three seeds with
    replacement would make the interval far too narrow. The spread between the seeds' means contains e, which varies
    between pictures too. The lower level is shrunk so that e counts once: c^2 = max(0, 1 - E / (S V)). Here V is the
    variance over pictures of the means over seeds. E is the variance of e: the mean square of
    values[s, p] - mean of s - mean of p + mean, with (S - 1)(N - 1) degrees of freedom. The draws' variance is then the
    unbiased one of a mean in a crossed design, spread^2 / S + V / N - E / (S N).

    What few seeds can bound: with two seeds and their own spread, T has one degree of freedom, and the interval
    reaches 12.7 standard errors to each side; with three, 4.3. Two seeds alone can therefore show only differences
    that are many times their spread. A spread that is pooled over more rows (`seeds_spread`) bounds more, at the price
    of taking seeds to vary equally in all of them. With one seed and such a spread c is 1, which is too wide.

    Args:
        values: Array `(seeds, pictures)`: right or wrong (1, 0), or differences of two runs of one seed (1, 0, -1).
        level: Coverage, 0 to 1.
        resamples: Number of draws.
        seed: Seed of the draws.
        spread: `(spread, degrees)` of `seeds_spread`; by default of these seeds alone.

    Returns:
        `(low, high)`, floats.

    Raises:
        ValueError: If there are no pictures, or one seed only and no spread.
    """
    values = np.asarray(values, dtype="float64")
    if values.ndim != 2 or not values.size:
        raise ValueError(f"an array (seeds, pictures) expected. Received: shape {values.shape}")
    seeds, pictures = values.shape
    between, degrees = seeds_spread([values.mean(axis=1)]) if spread is None else spread
    if not degrees:
        raise ValueError("the spread between seeds needs two seeds. Received: 1 seed and no spread")
    mean, of_picture = values.mean(), values.mean(axis=0)
    shrunk = 1.0
    if seeds > 1 and pictures > 1 and of_picture.var() > 0:
        rest = values - values.mean(axis=1, keepdims=True) - of_picture + mean
        both = (rest**2).sum() / ((seeds - 1) * (pictures - 1))
        shrunk = math.sqrt(max(0.0, 1 - both / (seeds * of_picture.var(ddof=1))))
    draw = np.random.default_rng(seed)
    different, counts = np.unique(of_picture, return_counts=True)
    drawn = draw.multinomial(pictures, counts / pictures, size=resamples) @ different / pictures
    draws = mean + shrunk * (drawn - mean) + draw.standard_t(degrees, resamples) * between / math.sqrt(seeds)
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def correlation(first, second, ranks=False):
    """Pearson's correlation coefficient, or Spearman's of the ranks.

    Args:
        first: Numbers, two or more.
        second: As many numbers.
        ranks: Whether to correlate ranks, ties being given their mean rank.

    Returns:
        A float from -1 to 1; NaN where one of them does not vary.

    Raises:
        ValueError: If there are fewer than two pairs.
    """
    pairs = np.array([first, second], dtype="float64")
    if pairs.ndim != 2 or pairs.shape[1] < 2:
        raise ValueError(f"a correlation needs two pairs or more. Received: {pairs.shape}")
    if not np.ptp(pairs, axis=1).all():
        return math.nan
    from scipy import stats

    return float((stats.spearmanr if ranks else stats.pearsonr)(*pairs).statistic)


def correlation_interval(coefficient, pairs, level=0.95, ranks=False):
    """Interval of a correlation by Fisher's z (1915), of Spearman's with Fieller's variance 1.06 / (n - 3) (1957).

    It takes the pairs for independent draws.

    Args:
        coefficient: Of `correlation`.
        pairs: Number of pairs.
        level: Coverage, 0 to 1.
        ranks: Whether the coefficient is Spearman's.

    Returns:
        `(low, high)`, floats; -1 and 1 with fewer than four pairs, which bound nothing; NaN for NaN.
    """
    if math.isnan(coefficient):
        return math.nan, math.nan
    if pairs < 4:
        return -1.0, 1.0
    if abs(coefficient) >= 1:
        return coefficient, coefficient
    half = statistics.NormalDist().inv_cdf((1 + level) / 2) * math.sqrt((1.06 if ranks else 1.0) / (pairs - 3))
    z = math.atanh(coefficient)
    return math.tanh(z - half), math.tanh(z + half)


def t_quantile(level, degrees):
    """The t with P(|T| <= t) = `level` for Student's distribution.

    `t_quantile(0.95, 2)` is 4.3027.

    Args:
        level: Probability, above 0 and below 1.
        degrees: Degrees of freedom, a whole number from 1.

    Returns:
        A float above 0.
    """
    from scipy.special import stdtrit

    return float(stdtrit(degrees, (1 + level) / 2))


def benjamini_hochberg(p_values):
    """Adjusted p-values of many tests at once (Benjamini & Hochberg 1995): the false discovery rate.

    Whoever calls every test with an adjusted value of 0.05 or less a finding has, on average, at most 5 % false ones
    among the findings, where the tests are independent. Sorted upwards, the i-th of m values becomes p m / i, or the
    smallest that follows it. `benjamini_hochberg([0.01, 0.02, 0.9])` is `[0.03, 0.03, 0.9]`.

    Args:
        p_values: Numbers from 0 to 1.

    Returns:
        float64 array of the same length, in the same order.
    """
    p_values = np.asarray(p_values, dtype="float64")
    order = np.argsort(-p_values)
    scaled = p_values[order] * p_values.size / np.arange(p_values.size, 0, -1)
    adjusted = np.empty_like(p_values)
    adjusted[order] = np.minimum.accumulate(np.minimum(scaled, 1))
    return adjusted


def right_per_class(labels, correct, classes):
    """How many pictures each class has, and how many of them are right.

    Args:
        labels: int array `(pictures,)`.
        correct: bool array `(pictures,)`.
        classes: Number of classes.

    Returns:
        Two int64 arrays `(classes,)`: the pictures and those that are right.
    """
    pictures = np.bincount(labels, minlength=classes)
    return pictures, np.bincount(labels, weights=correct, minlength=classes).astype("int64")


def most_improved(pictures, right, right_before):
    """The classes in the order of their gain, as in the thesis's Table 4.2, the largest gain first.

    The extremes among many classes are partly luck: they were chosen because they are extreme.

    Args:
        pictures: int array `(classes,)`, pictures of each class.
        right: int array `(classes,)`, those the run has right.
        right_before: int array `(classes,)`, those the other run has right.

    Returns:
        Class indices, int array; classes without pictures are left out, equal gains stay in the order of the classes.
    """
    tested = np.flatnonzero(pictures)
    gain = (right[tested] - right_before[tested]) / pictures[tested]
    return tested[np.argsort(-gain, kind="stable")]
