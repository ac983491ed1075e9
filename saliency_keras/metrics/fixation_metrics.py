"""Fixation metrics: how well a saliency map predicts where people looked, as pure numpy functions.

Fixation metrics (AUC-Judd, AUC-Borji, sAUC, NSS, IG) take `FixationPoints`, distribution metrics (CC, SIM, KL) a
`Density`; the wrong type is refused. Every function knows two conventions:

- `"standard"` (the default), statistically sound and deterministic. An AUC is the Mann-Whitney probability that a
  fixation's value exceeds a non-fixation's; ties count one half. Every fixation counts, repeated ones repeatedly. All
  non-fixations are used once. It is what pysaliency 0.2.22 computes: AUC-Judd with `nonfixations="unfixated"`,
  AUC-Borji `"uniform"`, sAUC `"shuffled"`.
- `"mit"`: what the MIT saliency benchmark's code (github cvzoya/saliency, code_forMetrics) computes, with its quirks,
  always in double precision. Published tables were made with it. A pixel fixated twice counts once.

What has no obvious score, by convention (s: the map, q: the density):

| case | mit | standard |
|---|---|---|
| constant map, not zero | NaN; KL finite (a uniform map) | AUCs 0.5, NSS 0, CC 0; SIM, KL, IG of a uniform map |
| zero map | NaN; SIM 0; KL about 24 | as any constant map |
| no fixation | AUCs, NSS, IG NaN | AUCs, NSS, IG NaN |
| one fixation | AUC-Borji NaN | numbers |
| every pixel fixated | AUC-Judd NaN | AUC-Judd NaN |
| no other fixations | sAUC NaN | sAUC NaN |
| zero density | CC NaN, SIM 0, KL 0 | NaN |
| constant density, not zero | CC, SIM NaN | CC NaN |
| a pixel that is NaN | NSS, CC, SIM, KL, IG NaN; AUCs take it as below everything | NaN |
| an infinite pixel | arithmetic decides | NaN |
| negative values | KL means nothing | SIM, KL, IG subtract the minimum first |
| map of another size | `ValueError` | `ValueError` |

Where the table says NaN for `mit`, its code (run in Octave) says so too. Points and densities are in
`saliency_keras.metrics.points`, reading fixations in `saliency_keras.data.fixation_set`, averaging over pictures in
`saliency_keras.scoring.fixation_scores`.
"""

import math

import numpy as np

from saliency_keras.metrics import roc
from saliency_keras.metrics.points import MINIMUM_VALUE, Density, FixationPoints, SaliencyMap, block_sum

CONVENTIONS = ("standard", "mit")
METRICS = ("AUC-Judd", "AUC-Borji", "sAUC", "NSS", "CC", "SIM", "KL", "IG")
EPSILON = 2.0**-52


def auc_judd(saliency_map, points, *, convention="standard", nonfixations="unfixated", jitter=0.0, seed=0):
    """Area under the ROC curve, fixations against the unfixated pixels (Judd et al. 2009).

    The mit convention puts a threshold at each fixated pixel's value, sorts tied ones as if they were distinct and
    joins the points by straight lines. Ties do not count one half there, and lower the score. Without ties the score
    is higher than the exact area by about 1 / (2 fixations).

    Args:
        saliency_map: `(height, width)` array or `SaliencyMap`.
        points: `FixationPoints` of the same size.
        convention: `"standard"` or `"mit"`.
        nonfixations: `"unfixated"` (every pixel without a fixation once) or `"all"` (every pixel once); `mit` knows
            `"unfixated"` only.
        jitter: Height of the uniform noise that is added to the map to break ties, in the map's own units. The
            reference code has 1e-7 by default; 0 is none.
        seed: Seed of the noise.

    Returns:
        A float, 0 to 1 (`mit`: slightly outside is possible with ties), or NaN as in this module's table.

    Raises:
        TypeError: If `points` are no `FixationPoints`.
        ValueError: If the sizes differ or an argument is unknown.

    Example:

    >>> auc_judd(np.array([[1.0, 2.0], [3.0, 4.0]]), FixationPoints([1.0], [1.0], 2, 2))
    1.0
    """
    saliency_map = _checked(saliency_map, points, FixationPoints, convention)
    if nonfixations not in ("unfixated", "all") or (convention == "mit" and nonfixations == "all"):
        raise ValueError(
            f'Non-fixations are "unfixated" or, in the standard convention, "all". Received: {nonfixations!r}'
        )
    if jitter:
        noise = np.random.default_rng(seed).random(saliency_map.shape)
        saliency_map = SaliencyMap(saliency_map.values + jitter * noise)
    if convention == "standard":
        return _mann_whitney_of_pixels(saliency_map, points, leave_out_fixated=nonfixations == "unfixated")
    fixated, pixels = points.fixated, saliency_map.flat.size
    if not 0 < len(fixated) < pixels or not saliency_map.varies:
        return math.nan
    # Octave and Matlab sort NaN before everything in descending order.
    thresholds = np.sort(saliency_map.unit[fixated])[::-1]
    rank = np.arange(1, len(fixated) + 1)
    false_alarms = (roc.count_from(saliency_map.unit, thresholds) - rank) / (pixels - len(fixated))
    return roc.signed_trapezoids(rank / len(fixated), false_alarms)


def auc_borji(saliency_map, points, *, convention="standard", splits=None, step=0.1, seed=0):
    """Area under the ROC curve, fixations against pixels drawn uniformly from the whole picture (Borji et al. 2013).

    Args:
        saliency_map: `(height, width)` array or `SaliencyMap`.
        points: `FixationPoints` of the same size.
        convention: `"standard"`: the exact area against every pixel once, fixated ones included, which is what ever
            more draws tend to. `"mit"`: thresholds on a grid of the map stretched to [0, 1].
        splits: Number of random splits of the mit convention (the reference code has 100), each with as many
            non-fixations as fixated pixels, drawn with replacement; `None` for the limit of ever more splits, in
            closed form. The standard convention has no splits.
        step: Step of the grid of thresholds (`mit`).
        seed: Seed of the splits.

    Returns:
        A float, 0 to 1, or NaN as in this module's table.

    Raises:
        TypeError: If `points` are no `FixationPoints`.
        ValueError: If the sizes differ or an argument is unknown.
    """
    saliency_map = _checked(saliency_map, points, FixationPoints, convention, splits)
    if convention == "standard":
        return _mann_whitney_of_pixels(saliency_map, points, leave_out_fixated=False)
    fixated = points.fixated
    if len(fixated) < 2 or not saliency_map.varies:
        return math.nan
    unit = saliency_map.unit
    if splits is None:
        thresholds = roc.grid(step, 1.0)
        return roc.grid_area(unit[fixated], roc.count_from(unit, thresholds) / unit.size, thresholds)
    draws = np.random.default_rng(seed).integers(0, unit.size, (splits, len(fixated)))
    return roc.mean_over_splits(unit[fixated], unit[draws], step)


def auc_shuffled(saliency_map, points, others, *, convention="standard", splits=None, step=0.1, seed=0):
    """Shuffled AUC (sAUC): fixations against fixations on other pictures (Zhang et al. 2008; Borji et al. 2013).

    What every picture draws to its centre is in both, so a map of the centre bias scores about 0.5.

    Args:
        saliency_map: `(height, width)` array or `SaliencyMap`.
        points: `FixationPoints` of the same size.
        others: `FixationPoints` of other pictures, carried over to this size (`FixationSet.others`). The standard
            convention counts each of them, `mit` each pixel once.
        convention: `"standard"` or `"mit"`, as for `auc_borji`.
        splits: Number of random splits of the mit convention, each with as many of the other fixations as there are
            fixated pixels, without replacement; `None` for the limit in closed form (every other pixel once).
        step: Step of the grid of thresholds (`mit`).
        seed: Seed of the splits.

    Returns:
        A float, 0 to 1, or NaN as in this module's table.

    Raises:
        TypeError: If `points` or `others` are no `FixationPoints`.
        ValueError: If the sizes differ or an argument is unknown.
    """
    saliency_map = _checked(saliency_map, points, FixationPoints, convention, splits)
    _checked(saliency_map, others, FixationPoints, convention)
    if not len(points) or not len(others):
        return math.nan
    if convention == "standard":
        if not saliency_map.finite:
            return math.nan
        positives, negatives = saliency_map.flat[points.pixels], saliency_map.flat[others.pixels]
        return roc.mann_whitney(*roc.CountedValues(negatives).counts_below(positives), len(negatives))
    if not saliency_map.varies:
        return math.nan
    positives, negatives = saliency_map.unit[points.fixated], saliency_map.unit[others.fixated]
    if splits is None:
        thresholds = roc.grid(step, np.nanmax(np.concatenate([positives, negatives, [0.0]])))
        return roc.grid_area(positives, roc.count_from(negatives, thresholds) / len(negatives), thresholds)
    generator, size = np.random.default_rng(seed), min(len(positives), len(negatives))
    draws = np.stack([generator.permutation(len(negatives))[:size] for _ in range(splits)])
    return roc.mean_over_splits(positives, negatives[draws], step)


def nss(saliency_map, points, *, convention="standard"):
    """Normalised scanpath saliency: mean of the map at the fixations, in standard deviations from its mean.

    Args:
        saliency_map: `(height, width)` array or `SaliencyMap`.
        points: `FixationPoints` of the same size.
        convention: `"standard"` (mean over fixations, sd with divisor N) or `"mit"` (mean over fixated pixels, sd with
            divisor N - 1).

    Returns:
        A float without bounds, 0 being chance, or NaN as in this module's table.

    Raises:
        TypeError: If `points` are no `FixationPoints`.
        ValueError: If the sizes differ or the convention is unknown.
    """
    saliency_map = _checked(saliency_map, points, FixationPoints, convention)
    if not len(points) or not saliency_map.finite:
        return math.nan
    if not saliency_map.varies:
        return 0.0 if convention == "standard" else math.nan
    if convention == "standard":
        values, divisor = saliency_map.flat[points.pixels], saliency_map.flat.size
    else:
        values, divisor = saliency_map.flat[points.fixated], saliency_map.flat.size - 1
    return float((values - saliency_map.mean).mean() / (saliency_map.spread / math.sqrt(divisor)))


def cc(saliency_map, density, *, convention="standard"):
    """Pearson's correlation coefficient of map and density over all pixels.

    Args:
        saliency_map: `(height, width)` array or `SaliencyMap`.
        density: `Density` of the same size.
        convention: `"standard"` (a constant map has 0) or `"mit"` (it has NaN).

    Returns:
        A float, -1 to 1, or NaN as in this module's table.

    Raises:
        TypeError: If `density` is no `Density`.
        ValueError: If the sizes differ or the convention is unknown.
    """
    saliency_map = _checked(saliency_map, density, Density, convention)
    if not saliency_map.finite or not density.varies:
        return math.nan
    if not saliency_map.varies:
        return 0.0 if convention == "standard" else math.nan

    def product(values, others):
        return (values - saliency_map.mean) / saliency_map.spread * (others - density.mean)

    return block_sum(product, saliency_map.flat, density.flat) / density.spread


def similarity(saliency_map, density, *, convention="standard"):
    """SIM: the mass that map and density have in common, both divided by their sums.

    Args:
        saliency_map: `(height, width)` array or `SaliencyMap`.
        density: `Density` of the same size.
        convention: `"mit"` subtracts the minimum from map and density alike, `"standard"` only a negative one from
            the map.

    Returns:
        A float, 0 to 1; 1 for equal distributions only; or NaN as in this module's table.

    Raises:
        TypeError: If `density` is no `Density`.
        ValueError: If the sizes differ or the convention is unknown.
    """
    saliency_map = _checked(saliency_map, density, Density, convention)
    if not saliency_map.finite:
        return math.nan
    if convention == "standard":
        if not density.total:
            return math.nan
        # A map without mass is a uniform one.
        total = saliency_map.shifted_total
        values = saliency_map.shifted if total else np.ones_like(density.flat)
        return _shared_mass(values, total or values.size, density.flat, density.total)
    # The reference code leaves a map of zeros as it is, and divides another constant one by zero.
    sides = [(side.varies, bool(side.flat.any())) for side in (saliency_map, density)]
    if any(not varies and nonzero for varies, nonzero in sides):
        return math.nan
    if not all(varies for varies, _ in sides):
        return 0.0
    return _shared_mass(saliency_map.unit, saliency_map.unit_total, density.unit, density.unit_total)


def kl_divergence(saliency_map, density, *, convention="standard", base=math.e):
    """Kullback-Leibler divergence of the map from the density, `sum q log(q / p)`: lower is better.

    No minimum is subtracted, so a map that is zero where people looked scores badly. The standard convention adds
    1e-20 to map and density before dividing by their sums, as pysaliency's `image_based_kl_divergence` does (for a map
    with zeros the value thus depends on its scale); `mit` has `sum q log(eps + q / (p + eps))` with eps = 2^-52.

    Args:
        saliency_map: `(height, width)` array or `SaliencyMap`.
        density: `Density` of the same size.
        convention: `"standard"` or `"mit"`.
        base: Base of the logarithm: e for nats, 2 for bits.

    Returns:
        A float, 0 for equal distributions, or NaN as in this module's table.

    Raises:
        TypeError: If `density` is no `Density`.
        ValueError: If the sizes differ, the convention is unknown or the base is not above 1.
    """
    saliency_map = _checked(saliency_map, density, Density, convention)
    nats = _nats(base)
    if not saliency_map.finite:
        return math.nan
    if convention == "standard":
        if not density.total:
            return math.nan
        return (density.negative_entropy - density.cross_entropy(saliency_map)) / nats
    total, density_total = saliency_map.total if saliency_map.flat.any() else 1.0, density.total or 1.0

    def divergence(values, others):
        q = others / density_total
        # A map with negative values: the real part of what Matlab makes of the logarithm.
        return q * np.log(np.abs(EPSILON + q / (values / total + EPSILON)))

    return block_sum(divergence, saliency_map.flat, density.flat) / nats if total else math.nan


def information_gain(saliency_map, points, baseline, *, convention="standard", base=2.0):
    """IG: how much more likely the map makes a fixation than a baseline does, as a mean of log ratios.

    Args:
        saliency_map: `(height, width)` array or `SaliencyMap`, divided by its sum. In the standard convention 1e-20 is
            added first, so that a zero costs much but not everything; `mit` stretches map and baseline to [0, 1], so
            that their lowest pixels are zero, and adds eps = 2^-52 before the logarithm.
        points: `FixationPoints` of the same size.
        baseline: `Density` of the same size: the centre bias of the other pictures, a centre Gaussian, or uniform.
        convention: `"standard"` or `"mit"`.
        base: Base of the logarithm: 2 for bits.

    Returns:
        A float, 0 for the baseline itself, or NaN as in this module's table.

    Raises:
        TypeError: If `points` are no `FixationPoints` or `baseline` is no `Density`.
        ValueError: If the sizes differ, the convention is unknown or the base is not above 1.
    """
    saliency_map = _checked(saliency_map, points, FixationPoints, convention)
    _checked(saliency_map, baseline, Density, convention)
    nats = _nats(base)
    if not len(points) or not saliency_map.finite:
        return math.nan
    if convention == "standard":
        if not baseline.total:
            return math.nan
        own, other = (
            np.log(side.shifted[points.pixels] + MINIMUM_VALUE) - side.log_total for side in (saliency_map, baseline)
        )
        return float((own - other).mean()) / nats
    if not saliency_map.varies or not baseline.varies:
        return math.nan
    own, other = (side.unit[points.fixated] / side.unit_total for side in (saliency_map, baseline))
    return float((np.log(EPSILON + own) - np.log(EPSILON + other)).mean()) / nats


def all_metrics(saliency_map, points, density, others, baseline, *, convention="standard"):
    """All eight metrics of one map, in closed form and without jitter.

    Args:
        saliency_map: `(height, width)` array or `SaliencyMap`.
        points: `FixationPoints` of the picture.
        density: `Density` of the picture (`Density.of(points, sigma)`).
        others: `FixationPoints` of other pictures, or `None`: then sAUC is NaN.
        baseline: `Density` that IG is measured against, or `None`: then IG is NaN.
        convention: `"standard"` or `"mit"`.

    Returns:
        A dict from the names in `METRICS`, in their order, to floats.
    """
    saliency_map = saliency_map if isinstance(saliency_map, SaliencyMap) else SaliencyMap(saliency_map)
    none = FixationPoints([], [], points.width, points.height)
    return {
        "AUC-Judd": auc_judd(saliency_map, points, convention=convention),
        "AUC-Borji": auc_borji(saliency_map, points, convention=convention),
        "sAUC": auc_shuffled(saliency_map, points, none if others is None else others, convention=convention),
        "NSS": nss(saliency_map, points, convention=convention),
        "CC": cc(saliency_map, density, convention=convention),
        "SIM": similarity(saliency_map, density, convention=convention),
        "KL": kl_divergence(saliency_map, density, convention=convention),
        "IG": math.nan if baseline is None else information_gain(saliency_map, points, baseline, convention=convention),
    }


def _mann_whitney_of_pixels(saliency_map, points, leave_out_fixated):
    """The fixations' values against those of all pixels, or of all but the fixated ones."""
    negatives = saliency_map.flat.size - (len(points.fixated) if leave_out_fixated else 0)
    if not len(points) or not negatives or not saliency_map.finite:
        return math.nan
    values = saliency_map.flat[points.pixels]
    below, up_to = saliency_map.counted.counts_below(values)
    if leave_out_fixated:
        fixated_below, fixated_up_to = roc.CountedValues(saliency_map.flat[points.fixated]).counts_below(values)
        below, up_to = below - fixated_below, up_to - fixated_up_to
    return roc.mann_whitney(below, up_to, negatives)


def _shared_mass(values, total, others, others_total):
    return block_sum(lambda a, b: np.minimum(a / total, b / others_total), values, others)


def _checked(saliency_map, target, kind, convention, splits=None):
    """The map as a `SaliencyMap`, after a look at the type, the sizes and the convention."""
    if not isinstance(target, kind):
        raise TypeError(f"This metric compares with {kind.__name__}. Received: {type(target).__name__}")
    if convention not in CONVENTIONS:
        raise ValueError(f"The convention is one of {CONVENTIONS}. Received: convention={convention!r}")
    if splits is not None and (splits < 1 or convention != "mit"):
        raise ValueError(f"Random splits, 1 or more, belong to the mit convention. Received: splits={splits}")
    saliency_map = saliency_map if isinstance(saliency_map, SaliencyMap) else SaliencyMap(saliency_map)
    if saliency_map.shape != target.shape:
        raise ValueError(f"Map and fixations have one size. Received: {saliency_map.shape} and {target.shape}")
    return saliency_map


def _nats(base):
    if not base > 1:
        raise ValueError(f"The base of the logarithm is above 1. Received: base={base}")
    return math.log(base)
