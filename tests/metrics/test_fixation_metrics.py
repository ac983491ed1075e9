"""Fixation metrics agree with definitions written out naively, with pysaliency, and with the table of odd cases."""

import importlib.util
import itertools
import math

import numpy as np
import pytest

from saliency_keras.metrics.fixation_metrics import (
    CONVENTIONS,
    METRICS,
    all_metrics,
    auc_borji,
    auc_judd,
    auc_shuffled,
    cc,
    information_gain,
    kl_divergence,
    nss,
    similarity,
)
from saliency_keras.metrics.points import Density, FixationPoints

HEIGHT, WIDTH = 18, 23
EPSILON = 2.0**-52
CLOSE = {"rel": 1e-9, "abs": 1e-9, "nan_ok": True}


def fixations(count, seed=0):
    generator = np.random.default_rng([seed, count])
    # A narrow cloud, so that pixels are fixated repeatedly.
    x, y = generator.normal(WIDTH / 2, 3, count), generator.normal(HEIGHT / 2, 3, count)
    return FixationPoints(np.clip(x, 0, WIDTH - 1).round(), np.clip(y, 0, HEIGHT - 1).round(), WIDTH, HEIGHT)


def random_map(seed=0):
    return np.random.default_rng([seed, 7]).random((HEIGHT, WIDTH))


MAPS = {
    "random": random_map(),
    "random 2": random_map(2) ** 8 * 255,
    "tied": np.floor(random_map(3) * 4),
    "eight bits": np.floor(random_map(4) * 256).astype(np.uint8),
    "negative": random_map(5) - 0.5,
    "constant": np.full((HEIGHT, WIDTH), 0.5),
    "zero": np.zeros((HEIGHT, WIDTH)),
}
POINTS = {"many": fixations(60), "single": fixations(1), "two": fixations(2)}
OTHERS = fixations(150, seed=9)
DENSITY = Density.of(POINTS["many"], 2.0)
BASELINE = Density.of(OTHERS, 2.0)


def pixel_values(values, points, repeated):
    """The map at the fixations, one pixel at a time."""
    pixels = [(math.floor(y + 0.5), math.floor(x + 0.5)) for x, y in zip(points.x, points.y, strict=True)]
    return np.array([float(values[pixel]) for pixel in (pixels if repeated else sorted(set(pixels)))])


def naive_mann_whitney(positives, negatives):
    wins = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
    return sum(wins) / len(wins) if wins else math.nan


def stretched(values):
    values = np.asarray(values, np.float64)
    return (values - np.nanmin(values)) / (np.nanmax(values) - np.nanmin(values))


def naive_judd(values, points):
    """The reference code, line by line, a threshold at each fixated pixel."""
    unit, curve = stretched(values), [(0.0, 0.0)]
    positives = sorted(pixel_values(unit, points, repeated=False), reverse=True)
    for rank, threshold in enumerate(positives, start=1):
        above = int((unit >= threshold).sum())
        curve.append(((above - rank) / (unit.size - len(positives)), rank / len(positives)))
    return naive_area([*curve, (1.0, 1.0)])


def naive_grid_auc(positives, negatives):
    """The reference code for one split: thresholds 0, 0.1, ... in double arithmetic up to the greatest value."""
    top, thresholds, k = max(*positives, *negatives), [], 0
    while k * 0.1 <= top * (1 + 3 * EPSILON):
        thresholds.append(min(k * 0.1, top))
        k += 1
    curve = [(np.mean(negatives >= t), np.mean(positives >= t)) for t in reversed(thresholds)]
    return naive_area([(0.0, 0.0), *curve, (1.0, 1.0)])


def naive_area(curve):
    return sum((x1 - x0) * (y0 + y1) / 2 for (x0, y0), (x1, y1) in itertools.pairwise(curve))


@pytest.mark.parametrize("points", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize("values", MAPS.values(), ids=MAPS)
def test_standard_aucs_are_the_probability_that_a_fixation_exceeds_a_non_fixation(values, points):
    positives = pixel_values(values, points, repeated=True)
    unfixated = values[points.counts() == 0]
    assert auc_judd(values, points) == pytest.approx(naive_mann_whitney(positives, unfixated), **CLOSE)
    everything = naive_mann_whitney(positives, values.ravel())
    assert auc_borji(values, points) == pytest.approx(everything, **CLOSE)
    assert auc_judd(values, points, nonfixations="all") == pytest.approx(everything, **CLOSE)
    shuffled = naive_mann_whitney(positives, pixel_values(values, OTHERS, repeated=True))
    assert auc_shuffled(values, points, OTHERS) == pytest.approx(shuffled, **CLOSE)


@pytest.mark.parametrize("points", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize("name", ["random", "random 2", "tied", "eight bits", "negative"])
def test_mit_aucs_follow_the_reference_code(name, points):
    values = MAPS[name]
    assert auc_judd(values, points, convention="mit") == pytest.approx(naive_judd(values, points), **CLOSE)
    unit = stretched(values)
    positives = pixel_values(unit, points, repeated=False)
    shuffled = naive_grid_auc(positives, pixel_values(unit, OTHERS, repeated=False))
    assert auc_shuffled(values, points, OTHERS, convention="mit") == pytest.approx(shuffled, **CLOSE)
    borji = naive_grid_auc(positives, unit.ravel()) if len(positives) > 1 else math.nan
    assert auc_borji(values, points, convention="mit") == pytest.approx(borji, **CLOSE)


@pytest.mark.parametrize("name", MAPS)
def test_standard_values_follow_their_definitions(name):
    values, points = np.asarray(MAPS[name], np.float64), POINTS["many"]
    deviation = values.std()
    scores = (pixel_values(values, points, repeated=True) - values.mean()) / deviation if deviation else [0.0]
    assert nss(values, points) == pytest.approx(np.mean(scores), **CLOSE)
    correlation = np.corrcoef(values.ravel(), DENSITY.values.ravel())[0, 1] if deviation else 0.0
    assert cc(values, DENSITY) == pytest.approx(correlation, **CLOSE)
    shifted = values - min(0.0, values.min())
    p = shifted / shifted.sum() if shifted.sum() else np.full(values.shape, 1 / values.size)
    assert similarity(values, DENSITY) == pytest.approx(np.minimum(p, DENSITY.values).sum(), **CLOSE)
    p, q, b = ((one + 1e-20) / (one + 1e-20).sum() for one in (shifted, DENSITY.values, BASELINE.values))
    assert kl_divergence(values, DENSITY) == pytest.approx((q * np.log(q / p)).sum(), **CLOSE)
    gains = pixel_values(np.log2(p / b), points, repeated=True)
    assert information_gain(values, points, BASELINE) == pytest.approx(gains.mean(), **CLOSE)


@pytest.mark.parametrize("name", ["random", "random 2", "tied", "eight bits", "negative"])
def test_mit_values_follow_their_definitions(name):
    values, points = np.asarray(MAPS[name], np.float64), POINTS["many"]
    at_fixations = pixel_values((values - values.mean()) / values.std(ddof=1), points, repeated=False)
    assert nss(values, points, convention="mit") == pytest.approx(at_fixations.mean(), **CLOSE)
    correlation = np.corrcoef(values.ravel(), DENSITY.values.ravel())[0, 1]
    assert cc(values, DENSITY, convention="mit") == pytest.approx(correlation, **CLOSE)
    p, q, b = (stretched(one) / stretched(one).sum() for one in (values, DENSITY.values, BASELINE.values))
    assert similarity(values, DENSITY, convention="mit") == pytest.approx(np.minimum(p, q).sum(), **CLOSE)
    gains = pixel_values(np.log2(EPSILON + p) - np.log2(EPSILON + b), points, repeated=False)
    assert information_gain(values, points, BASELINE, convention="mit") == pytest.approx(gains.mean(), **CLOSE)
    if name != "negative":
        p, q = values / values.sum(), DENSITY.values / DENSITY.values.sum()
        divergence = (q * np.log(EPSILON + q / (p + EPSILON))).sum()
        assert kl_divergence(values, DENSITY, convention="mit") == pytest.approx(divergence, **CLOSE)


NAN = math.nan
CONSTANT, ZERO = MAPS["constant"], MAPS["zero"]
NOBODY, EVERYWHERE = (
    FixationPoints([], [], WIDTH, HEIGHT),
    FixationPoints(*(axis.ravel() for axis in np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))), WIDTH, HEIGHT),
)
NOTHING = Density(ZERO)


def with_a_nan(place=(0, 0)):
    values = random_map()
    values[place] = NAN
    return values


def test_mit_odd_cases_answer_as_the_reference_code_does():
    def scores(values, points=POINTS["many"], density=DENSITY):
        return list(all_metrics(values, points, density, OTHERS, BASELINE, convention="mit").values())

    uniform = (DENSITY.values * np.log(EPSILON + DENSITY.values / (1 / ZERO.size + EPSILON))).sum()
    assert scores(CONSTANT) == pytest.approx([NAN, NAN, NAN, NAN, NAN, NAN, uniform, NAN], **CLOSE)
    zero = (DENSITY.values * np.log(EPSILON + DENSITY.values / EPSILON)).sum()
    assert scores(ZERO) == pytest.approx([NAN, NAN, NAN, NAN, NAN, 0.0, zero, NAN], **CLOSE)
    nobody = dict(zip(METRICS, scores(random_map(), points=NOBODY), strict=True))
    assert all(math.isnan(nobody[name]) for name in ("AUC-Judd", "AUC-Borji", "sAUC", "NSS", "IG"))
    one = dict(zip(METRICS, scores(random_map(), points=POINTS["single"]), strict=True))
    assert [name for name, value in one.items() if math.isnan(value)] == ["AUC-Borji"]
    everywhere = dict(zip(METRICS, scores(random_map(), points=EVERYWHERE), strict=True))
    assert [name for name, value in everywhere.items() if math.isnan(value)] == ["AUC-Judd"]
    assert scores(random_map(), density=NOTHING)[4:7] == pytest.approx([NAN, 0.0, 0.0], **CLOSE)
    broken = scores(with_a_nan())
    assert all(map(math.isnan, broken[3:]))
    assert not any(map(math.isnan, broken[:3]))


def test_mit_aucs_take_a_pixel_that_is_nan_as_below_everything():
    values, points = with_a_nan(), POINTS["many"]
    assert auc_judd(values, points, convention="mit") == pytest.approx(naive_judd(values, points), **CLOSE)
    unit = stretched(values)
    negatives = np.where(np.isnan(unit), -1.0, unit).ravel()
    area = naive_grid_auc(pixel_values(unit, points, repeated=False), negatives)
    assert auc_borji(values, points, convention="mit") == pytest.approx(area, **CLOSE)


def test_standard_odd_cases_have_the_documented_answers():
    def scores(values, points=POINTS["many"], density=DENSITY, others=OTHERS, baseline=BASELINE):
        return list(all_metrics(values, points, density, others, baseline).values())

    for values in (CONSTANT, ZERO):
        assert scores(values)[:5] == [0.5, 0.5, 0.5, 0.0, 0.0]
        assert scores(values)[5] == pytest.approx(np.minimum(DENSITY.values, 1 / ZERO.size).sum())
        assert all(map(math.isfinite, scores(values)))
    nobody = scores(random_map(), points=NOBODY)
    assert [math.isnan(value) for value in nobody] == [True] * 4 + [False] * 3 + [True]
    assert not any(map(math.isnan, scores(random_map(), points=POINTS["single"])))
    assert [math.isnan(value) for value in scores(random_map(), points=EVERYWHERE)] == [True] + [False] * 7
    assert all(map(math.isnan, scores(random_map(), density=NOTHING)[4:7]))
    for broken in (with_a_nan(), with_a_nan((9, 11)), np.where(random_map() > 0.5, np.inf, 0.0)):
        assert all(map(math.isnan, scores(broken)))
    assert math.isnan(scores(random_map(), others=None)[2])
    assert math.isnan(scores(random_map(), baseline=None)[7])


def test_the_wrong_kind_of_target_is_refused():
    for metric in (auc_judd, auc_borji, nss):
        with pytest.raises(TypeError, match=r"FixationPoints\. Received: Density"):
            metric(random_map(), DENSITY)
    for metric in (cc, similarity, kl_divergence):
        with pytest.raises(TypeError, match=r"Density\. Received: FixationPoints"):
            metric(random_map(), POINTS["many"])
    with pytest.raises(TypeError, match=r"FixationPoints\. Received: ndarray"):
        auc_shuffled(random_map(), POINTS["many"], OTHERS.counts())
    with pytest.raises(TypeError, match=r"Density\. Received: ndarray"):
        information_gain(random_map(), POINTS["many"], BASELINE.values)


def test_wrong_sizes_conventions_and_arguments_are_refused():
    points = POINTS["many"]
    with pytest.raises(ValueError, match=r"one size\. Received: \(23, 18\) and \(18, 23\)"):
        nss(random_map().T, points)
    with pytest.raises(ValueError, match="Received: convention='matlab'"):
        cc(random_map(), DENSITY, convention="matlab")
    with pytest.raises(ValueError, match="Received: 'shuffled'"):
        auc_judd(random_map(), points, nonfixations="shuffled")
    with pytest.raises(ValueError, match="Received: splits=10"):
        auc_borji(random_map(), points, splits=10)
    with pytest.raises(ValueError, match="Received: base=1"):
        kl_divergence(random_map(), DENSITY, base=1)
    with pytest.raises(ValueError, match="real numbers"):
        nss(random_map()[..., None], points)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize(("scale", "offset"), [(3.0, 0.0), (1e-6, 0.0), (255.0, -40.0), (1e9, 1e9), (1e-160, 0.0)])
def test_nss_and_cc_do_not_change_under_an_affine_change_of_the_map(convention, scale, offset):
    values, changed = random_map(), random_map() * scale + offset
    for metric, target in ((nss, POINTS["many"]), (cc, DENSITY)):
        before = metric(values, target, convention=convention)
        assert metric(changed, target, convention=convention) == pytest.approx(before, rel=1e-7)
        assert metric(-changed, target, convention=convention) == pytest.approx(-before, rel=1e-7)


@pytest.mark.parametrize("change", [np.exp, np.cbrt, lambda v: v**7, lambda v: 5 - 1 / (v + 1)])
def test_standard_aucs_do_not_change_under_a_monotone_change_of_the_map(change):
    for values in (MAPS["random"], MAPS["tied"]):
        for metric, others in ((auc_judd, ()), (auc_borji, ()), (auc_shuffled, (OTHERS,))):
            before = metric(values, POINTS["many"], *others)
            assert metric(change(values), POINTS["many"], *others) == before
            assert metric(-values, POINTS["many"], *others) == pytest.approx(1 - before, abs=1e-12)


def test_mit_judd_pulls_ties_down_and_puts_the_rest_up_by_half_a_fixation():
    points, values = POINTS["many"], random_map()
    gap = auc_judd(values, points, convention="mit") - auc_judd(values, points_once(points))
    assert gap == pytest.approx(1 / (2 * len(points.fixated)), rel=0.2)
    few_levels = np.floor(values * 3)
    assert auc_judd(few_levels, points, convention="mit") < auc_judd(few_levels, points_once(points)) - 0.1


def points_once(points):
    return FixationPoints(points.fixated % WIDTH, points.fixated // WIDTH, WIDTH, HEIGHT)


@pytest.mark.parametrize("seed", range(4))
def test_sim_reaches_one_for_equal_distributions_only(seed):
    values = np.random.default_rng(seed).random((HEIGHT, WIDTH))
    for convention in CONVENTIONS:
        assert similarity(values * 7, Density(values), convention=convention) == pytest.approx(1, abs=1e-12)
        other = values.copy()
        other[3, 4] += 0.01
        assert similarity(other, Density(values), convention=convention) < 1 - 1e-7
        assert similarity(random_map(seed), DENSITY, convention=convention) < 1


def test_kl_and_ig_are_zero_for_the_same_distribution_and_change_their_unit_with_the_base():
    for convention in CONVENTIONS:
        assert kl_divergence(DENSITY.values * 3, DENSITY, convention=convention) == pytest.approx(0, abs=1e-10)
        assert information_gain(BASELINE.values, POINTS["many"], BASELINE, convention=convention) == 0
        nats = kl_divergence(random_map(), DENSITY, convention=convention)
        assert nats > 0
        assert kl_divergence(random_map(), DENSITY, convention=convention, base=2) == pytest.approx(nats / math.log(2))
        bits = information_gain(random_map(), POINTS["many"], BASELINE, convention=convention)
        natural = information_gain(random_map(), POINTS["many"], BASELINE, convention=convention, base=math.e)
        assert natural == pytest.approx(bits * math.log(2))


def test_a_fixation_made_twice_counts_twice_in_standard_and_once_in_mit():
    once = FixationPoints([3, 10], [4, 11], WIDTH, HEIGHT)
    repeated = FixationPoints([3, 3.4, 10], [4, 3.6, 11], WIDTH, HEIGHT)
    for metric in (auc_judd, auc_borji, nss):
        assert metric(random_map(), once, convention="mit") == metric(random_map(), repeated, convention="mit")
        assert metric(random_map(), once) != metric(random_map(), repeated)


def test_jitter_breaks_ties_and_is_drawn_by_seed():
    points = POINTS["many"]
    for convention in CONVENTIONS:
        jittered = [auc_judd(CONSTANT, points, convention=convention, jitter=1e-7, seed=seed) for seed in range(200)]
        assert np.mean(jittered) == pytest.approx(0.5, abs=0.03)
        assert jittered[0] == auc_judd(CONSTANT, points, convention=convention, jitter=1e-7, seed=0) != jittered[1]


@pytest.mark.parametrize("name", ["random 2", "eight bits"])
def test_random_splits_tend_to_the_closed_form(name):
    values, points = MAPS[name], POINTS["many"]
    for metric, others in ((auc_borji, ()), (auc_shuffled, (OTHERS,))):
        closed = metric(values, points, *others, convention="mit")
        split = metric(values, points, *others, convention="mit", splits=400)
        assert split == pytest.approx(closed, abs=0.015)
        assert split == metric(values, points, *others, convention="mit", splits=400)


def test_all_metrics_are_the_single_ones_under_their_names():
    for convention in CONVENTIONS:
        points, values, kind = POINTS["many"], random_map(), {"convention": convention}
        assert all_metrics(values, points, DENSITY, OTHERS, BASELINE, **kind) == {
            "AUC-Judd": auc_judd(values, points, **kind),
            "AUC-Borji": auc_borji(values, points, **kind),
            "sAUC": auc_shuffled(values, points, OTHERS, **kind),
            "NSS": nss(values, points, **kind),
            "CC": cc(values, DENSITY, **kind),
            "SIM": similarity(values, DENSITY, **kind),
            "KL": kl_divergence(values, DENSITY, **kind),
            "IG": information_gain(values, points, BASELINE, **kind),
        }


@pytest.fixture(scope="module")
def pysaliency():
    if not hasattr(np, "trapz"):
        np.trapz = np.trapezoid  # noqa: NPY201
    if importlib.util.find_spec("pysaliency") is None:
        pytest.skip("pysaliency, an optional oracle, is not installed")
    return importlib.import_module("pysaliency")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("points", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize("values", MAPS.values(), ids=MAPS)
def test_the_standard_convention_is_what_pysaliency_computes(pysaliency, values, points):
    from pysaliency.metrics import CC, NSS, SIM, convert_saliency_map_to_density, image_based_kl_divergence

    values = np.asarray(values, np.float64)

    class Fixed(pysaliency.SaliencyMapModel):
        def _saliency_map(self, stimulus):
            return values

    stimuli = pysaliency.Stimuli([np.full((HEIGHT, WIDTH, 3), index, np.uint8) for index in range(2)])
    looks = pysaliency.Fixations.create_without_history(
        np.concatenate([points.x, OTHERS.x]),
        np.concatenate([points.y, OTHERS.y]),
        np.repeat([0, 1], [len(points), len(OTHERS)]),
    )

    def area(nonfixations):
        return Fixed(caching=False).AUCs(stimuli, looks, nonfixations=nonfixations)[: len(points)].mean()

    def log_density(one):
        return np.log(convert_saliency_map_to_density(one, minimum_value=1e-20))

    gains = (log_density(values) - log_density(BASELINE.values))[points.y.astype(int), points.x.astype(int)]
    assert all_metrics(values, points, DENSITY, OTHERS, BASELINE) == pytest.approx(
        {
            "AUC-Judd": area("unfixated"),
            "AUC-Borji": area("uniform"),
            "sAUC": area("shuffled"),
            "NSS": NSS(values, points.x, points.y).mean(),
            "CC": CC(values, DENSITY.values),
            "SIM": SIM(values, DENSITY.values),
            "KL": image_based_kl_divergence(values, DENSITY.values),
            "IG": gains.mean() / math.log(2),
        },
        **CLOSE,
    )
