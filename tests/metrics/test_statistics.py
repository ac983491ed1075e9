"""Paired statistics: against enumeration and closed forms, peer libraries where installed, simulated coverage."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from saliency_keras.metrics.statistics import (
    benjamini_hochberg,
    bootstrap_interval,
    correlation,
    correlation_interval,
    mcnemar_p,
    most_improved,
    right_per_class,
    seeds_interval,
    seeds_spread,
    t_quantile,
    two_level_interval,
    wilson_interval,
)


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (0, 1), (0, 5), (3, 4), (4, 4), (1, 9), (8, 2)])
def test_mcnemar_is_the_share_of_coin_throws_at_least_as_extreme(only_first, only_second):
    throws = only_first + only_second
    distance = abs(only_first - throws / 2)
    heads = np.array([sum(coins) for coins in itertools.product((0, 1), repeat=throws)])
    at_least = np.mean(np.abs(heads - throws / 2) >= distance)
    beyond = np.mean(np.abs(heads - throws / 2) > distance)
    assert mcnemar_p(only_first, only_second) == pytest.approx(at_least, abs=1e-12)
    assert mcnemar_p(only_first, only_second, mid_p=True) == pytest.approx((at_least + beyond) / 2 if distance else 1)


def test_mcnemar_is_symmetric_and_does_not_underflow_for_many_pictures():
    assert mcnemar_p(180, 240) == mcnemar_p(240, 180)
    assert mcnemar_p(24_900, 25_100) == pytest.approx(math.erfc(199 / math.sqrt(2 * 50_000)), rel=1e-3)
    assert 0 < mcnemar_p(0, 1000) == pytest.approx(2.0**-999)


def test_mcnemar_is_the_binomial_distribution_counted_in_fractions():
    for only_first, only_second in np.random.default_rng(0).integers(0, 400, (50, 2)).tolist():
        pictures, fewer = only_first + only_second, min(only_first, only_second)
        ways = [math.comb(pictures, count) for count in range(fewer + 1)]
        exact, observed = Fraction(2 * sum(ways), 2**pictures), Fraction(ways[-1], 2**pictures)
        for mid_p, wanted in ((False, exact), (True, exact - observed)):
            assert mcnemar_p(only_first, only_second, mid_p) == pytest.approx(float(min(wanted, 1)), rel=1e-9)


def test_mcnemar_agrees_with_statsmodels():
    contingency = pytest.importorskip("statsmodels.stats.contingency_tables")
    for only_first, only_second in np.random.default_rng(0).integers(0, 400, (50, 2)):
        wanted = contingency.mcnemar([[7, only_first], [only_second, 5]], exact=True).pvalue
        assert mcnemar_p(only_first, only_second) == pytest.approx(wanted, rel=1e-9)


def test_negative_counts_are_refused():
    with pytest.raises(ValueError, match="Received"):
        mcnemar_p(-1, 3)


def test_bootstrap_by_counts_is_the_bootstrap_that_draws_pictures():
    draw = np.random.default_rng(1)
    differences = draw.choice([-1, 0, 1], p=[0.1, 0.7, 0.2], size=400)
    drawn_pictures = differences[draw.integers(0, 400, (20_000, 400))].mean(axis=1)
    by_pictures = np.quantile(drawn_pictures, [0.025, 0.975])
    np.testing.assert_allclose(bootstrap_interval(differences, resamples=20_000), by_pictures, atol=1 / 400)


def test_bootstrap_of_pictures_with_several_results_draws_each_with_all_of_its_own():
    draw = np.random.default_rng(3)
    weights = draw.integers(1, 3, 300)
    sums = draw.binomial(weights, draw.beta(0.3, 0.3, 300))
    drawn = draw.integers(0, 300, (20_000, 300))
    by_pictures = np.quantile(sums[drawn].sum(1) / weights[drawn].sum(1), [0.025, 0.975])
    found = bootstrap_interval(sums, resamples=20_000, weights=weights)
    np.testing.assert_allclose(found, by_pictures, atol=1 / 300)


def test_bootstrap_repeats_with_its_seed_and_has_no_width_without_spread():
    differences = np.random.default_rng(2).choice([-1, 0, 1], size=300)
    assert bootstrap_interval(differences, seed=5) == bootstrap_interval(differences, seed=5)
    assert bootstrap_interval(differences, seed=5) != bootstrap_interval(differences, seed=6)
    assert bootstrap_interval(np.zeros(50)) == (0, 0)
    with pytest.raises(ValueError, match="Received"):
        bootstrap_interval([])


def test_wilson_interval_is_where_the_score_test_just_does_not_reject():
    for right, pictures in [(0, 10), (1, 10), (5, 10), (157, 210), (210, 210)]:
        low, high = wilson_interval(right, pictures)
        assert 0 <= low <= right / pictures <= high <= 1
        for end in {low, high} - {0.0, 1.0}:
            score = (right / pictures - end) / math.sqrt(end * (1 - end) / pictures)
            assert abs(score) == pytest.approx(1.959964, abs=1e-5)
    with pytest.raises(ValueError, match="Received"):
        wilson_interval(3, 2)


@pytest.mark.parametrize(
    ("level", "degrees", "quantile"),
    # Student's table as printed in every textbook.
    [(0.95, 1, 12.706), (0.95, 2, 4.303), (0.95, 3, 3.182), (0.95, 4, 2.776), (0.95, 9, 2.262), (0.95, 30, 2.042),
     (0.99, 2, 9.925), (0.99, 5, 4.032), (0.5, 7, 0.711), (0.999, 10, 4.587), (0.95, 1000, 1.962)],
)  # fmt: skip
def test_t_quantile_is_the_printed_table(level, degrees, quantile):
    assert t_quantile(level, degrees) == pytest.approx(quantile, abs=6e-4)


def test_within_the_t_quantile_lies_the_level_of_students_density():
    for degrees in range(1, 60):
        scale = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(degrees * math.pi)
        for level in (0.1, 0.68, 0.95, 0.999):
            # With t = tan(angle) the far tails are near, and so one rule integrates them all.
            angles, width = np.linspace(0, math.atan(t_quantile(level, degrees)), 20_001, retstep=True)
            density = scale * (1 + np.tan(angles) ** 2 / degrees) ** (-(degrees + 1) / 2) / np.cos(angles) ** 2
            weights = np.where(np.arange(20_001) % 2, 4, 2)
            weights[[0, -1]] = 1
            assert 2 * width / 3 * (weights @ density) == pytest.approx(level, rel=1e-9)


def test_interval_over_seeds_wants_three_and_is_students():
    low, high = seeds_interval([0.70, 0.72, 0.74])
    assert (low + high) / 2 == pytest.approx(0.72)
    assert (high - low) / 2 == pytest.approx(4.3027 * 0.02 / math.sqrt(3), rel=1e-4)
    with pytest.raises(ValueError, match="three"):
        seeds_interval([0.70, 0.72])


def crossed(draw, seeds, pictures=400, by_seed=0.012):
    """Differences 1, 0, -1 with an effect of the seed (standard deviation `by_seed`) and one of the picture."""
    of_seed = draw.normal(0, by_seed, (seeds, 1))
    of_picture = draw.choice([-0.3, 0.3], size=pictures)
    up = np.clip(0.2 + (of_seed + of_picture + 0.04) / 2, 0, 1)
    down = np.clip(0.2 - (of_seed + of_picture + 0.04) / 2, 0, 1)
    level = draw.random((seeds, pictures))
    return (level < up).astype(int) - (level > 1 - down)


CROSSED_MEAN = np.mean([np.clip(0.2 + (b + 0.04) / 2, 0, 1) - np.clip(0.2 - (b + 0.04) / 2, 0, 1) for b in (-0.3, 0.3)])


@pytest.mark.parametrize("by_seed", [0.0, 0.012, 0.04])
def test_two_level_interval_covers_the_truth_with_three_seeds_where_pictures_alone_do_not(by_seed):
    """The truth is of all seeds and pictures. Over pictures alone, a large effect of the seed is missed."""
    draw = np.random.default_rng(6)
    samples = [crossed(draw, 3, by_seed=by_seed) for _ in range(500)]
    both = [two_level_interval(one, resamples=1000) for one in samples]
    covered = np.mean([low <= CROSSED_MEAN <= high for low, high in both])
    assert 0.93 <= covered <= 0.99
    if by_seed == 0.04:
        alone = [bootstrap_interval(one.mean(axis=0), resamples=1000) for one in samples]
        assert np.mean([low <= CROSSED_MEAN <= high for low, high in alone]) < 0.88


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_two_level_interval_with_a_spread_of_many_rows_covers_the_truth_with_few_seeds(seeds):
    """The spread comes from six other rows of three seeds, twelve degrees of freedom."""
    draw = np.random.default_rng(7)
    covered = []
    for _ in range(400):
        spread = seeds_spread([crossed(draw, 3, by_seed=0.03).mean(axis=1) for _ in range(6)])
        low, high = two_level_interval(crossed(draw, seeds, by_seed=0.03), resamples=1000, spread=spread)
        covered.append(low <= CROSSED_MEAN <= high)
    assert 0.925 <= np.mean(covered) <= (0.98 if seeds > 1 else 0.995)


def test_two_level_interval_is_students_where_pictures_do_not_vary_and_the_bootstrap_where_seeds_agree():
    constant = np.repeat([[0.1], [0.3], [0.2]], 50, axis=1)
    low, high = two_level_interval(constant, resamples=400_000)
    assert (low + high) / 2 == pytest.approx(0.2, abs=3e-3)
    assert (high - low) / 2 == pytest.approx(4.3027 * 0.1 / math.sqrt(3), rel=0.02)
    one = np.random.default_rng(8).choice([-1, 0, 1], size=600)
    np.testing.assert_allclose(two_level_interval([one, one, one]), bootstrap_interval(one), atol=3e-3)


def test_spread_between_seeds_is_pooled_over_rows_and_needs_two_seeds_somewhere():
    """By hand: deviations -1, 1 about 2, and -2, 0, 2 about 4; (2 + 8) / (1 + 2)."""
    assert seeds_spread([[1, 3], [2, 4, 6], [5]]) == (pytest.approx(math.sqrt(10 / 3)), 3)
    assert seeds_spread([[5]])[1] == 0
    with pytest.raises(ValueError, match="two seeds"):
        two_level_interval([[1, 0, 1]])


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say():
    draw = np.random.default_rng(4)
    trials, pictures = 1500, 500
    rights = draw.binomial(pictures, 0.8, trials)
    covers = [low <= 0.8 <= high for low, high in (wilson_interval(right, pictures) for right in rights)]
    assert 0.93 <= np.mean(covers) <= 0.97
    outcomes = draw.choice([-1, 0, 1], p=[0.08, 0.8, 0.12], size=(trials, pictures))
    covers = [low <= 0.04 <= high for low, high in (bootstrap_interval(row, resamples=2000) for row in outcomes)]
    assert 0.93 <= np.mean(covers) <= 0.97
    samples = draw.normal(0.7, 0.01, (trials, 3))
    covers = [low <= 0.7 <= high for low, high in map(seeds_interval, samples)]
    assert 0.93 <= np.mean(covers) <= 0.97


def test_per_class_counts_are_those_of_a_loop():
    draw = np.random.default_rng(5)
    labels, correct = draw.integers(0, 6, 300), draw.random(300) < 0.4
    pictures, right = right_per_class(labels, correct, 7)
    for index in range(7):
        assert pictures[index] == sum(label == index for label in labels)
        assert right[index] == sum(hit for label, hit in zip(labels, correct, strict=True) if label == index)


def test_false_discovery_rate_is_the_step_up_procedure_worked_by_hand():
    # Sorted: .005 * 4 / 1 = .02, .01 * 4 / 2 = .02, .03 * 4 / 3 = .04, .04 * 4 / 4 = .04.
    np.testing.assert_allclose(benjamini_hochberg([0.04, 0.01, 0.03, 0.005]), [0.04, 0.02, 0.04, 0.02])
    # .01 * 3 / 1 = .03, .02 * 3 / 2 = .03, .9; and no value is above 1.
    np.testing.assert_allclose(benjamini_hochberg([0.01, 0.02, 0.9]), [0.03, 0.03, 0.9])
    np.testing.assert_allclose(benjamini_hochberg([1.0, 0.8]), [1.0, 1.0])
    assert benjamini_hochberg([]).shape == (0,)


def test_false_discovery_rate_is_scipy_s():
    stats = pytest.importorskip("scipy.stats")
    p_values = np.random.default_rng(2).random(300) ** 4
    np.testing.assert_allclose(benjamini_hochberg(p_values), stats.false_discovery_control(p_values))


def test_of_classes_without_a_change_few_are_called_changed():
    """A thousand classes of 50 pictures, in two networks that are equally good: by luck alone, none or one."""
    draw = np.random.default_rng(3)
    found = []
    for _ in range(20):
        gained, lost = draw.binomial(50, 0.1, (2, 1000))
        tests = [mcnemar_p(int(one), int(other)) for one, other in zip(gained, lost, strict=True)]
        found.append((benjamini_hochberg(tests) <= 0.05).sum())
    assert sum(count > 0 for count in found) <= 4  # 5 % expected, and exact tests of few pictures are stricter


def test_most_improved_ranks_by_share_gained_and_leaves_out_untested_classes():
    pictures = np.array([50, 10, 0, 50, 50])
    before = np.array([10, 2, 0, 30, 20])
    right = np.array([20, 5, 0, 25, 30])
    # Gains: 10 of 50, 3 of 10, untested, -5 of 50, 10 of 50.
    assert most_improved(pictures, right, before).tolist() == [1, 0, 4, 3]


def test_correlations_are_numpys_and_those_of_the_ranks():
    first, second = np.random.default_rng(0).normal(size=(2, 12))
    second += first
    assert correlation(first, second) == pytest.approx(np.corrcoef(first, second)[0, 1])
    ranks = [np.argsort(np.argsort(values)) for values in (first, second)]
    assert correlation(first, second, ranks=True) == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert correlation(np.exp(first), second, ranks=True) == correlation(first, second, ranks=True)
    # Spearman with a tie, by hand: ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3.
    assert correlation([1, 2, 2, 5], [1, 2, 3, 4], ranks=True) == pytest.approx(4.5 / (4.5 * 5) ** 0.5)
    assert math.isnan(correlation([1, 1, 1], [1, 2, 3]))
    assert math.isnan(correlation([0.1, 0.1, 0.1], [1, 2, 3]))  # their mean is not 0.1


def test_interval_of_a_correlation_is_fishers():
    # r = 0.5, n = 28: z = 0.5493, standard error 0.2, so 0.1573 to 0.9413 in z.
    low, high = correlation_interval(0.5, 28)
    assert (low, high) == pytest.approx((math.tanh(0.549306 - 0.391993), math.tanh(0.549306 + 0.391993)), abs=1e-5)
    wider = correlation_interval(0.5, 28, ranks=True)
    assert wider[0] < low
    assert wider[1] > high
    assert correlation_interval(0.9, 3) == (-1, 1)


def test_interval_of_a_correlation_covers_as_often_as_it_says():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(600):
        first, noise = rng.normal(size=(2, 12))
        low, high = correlation_interval(correlation(first, 0.8 * first + 0.6 * noise), 12)
        covered += low <= 0.8 <= high
    assert 0.92 <= covered / 600 <= 0.975
