"""Against scipy's noncentral t, Cohen's tables, round trips, and summaries as papers publish them."""

import math

import numpy as np
import pytest
import scipy.stats

from resjax.power import POWER, beside_published, detectable, power, seeds_needed
from resjax.statistics import SIGNIFICANT, compare

OURS = [6.61, 6.40, 6.75, 6.52]


def by_mixture(shift: float, freedom: int) -> float:
    """P(|T| > t) for T = (Z + shift) / u, the mean over u = sqrt(chi2_f / f) of a normal probability."""
    u = np.sqrt(scipy.stats.chi2.ppf((np.arange(20_000) + 0.5) / 20_000, freedom) / freedom)
    critical = scipy.stats.t.ppf(0.975, freedom)
    return float(np.mean(scipy.stats.norm.sf(critical * u - shift) + scipy.stats.norm.cdf(-critical * u - shift)))


@pytest.mark.parametrize("n", [2, 3, 5, 8, 30])
@pytest.mark.parametrize("difference", [0.0, 0.1, 0.5, 2.0, 9.0])
def test_power_is_a_mixture_of_normals(n: int, difference: float) -> None:
    std = 0.7
    pairs, samples = difference * math.sqrt(n) / std, difference * math.sqrt(n / 2) / std
    assert power(difference, std, n) == pytest.approx(by_mixture(pairs, n - 1), abs=3e-5)
    assert power(difference, std, n, paired=False) == pytest.approx(by_mixture(samples, 2 * n - 2), abs=3e-5)


def test_power_is_scipys_noncentral_t() -> None:
    critical = scipy.stats.t.ppf(0.975, 4)
    theirs = scipy.stats.nct(4, 1.5 * math.sqrt(5))
    assert power(1.5, 1, 5) == pytest.approx(theirs.sf(critical) + theirs.cdf(-critical))


@pytest.mark.parametrize(
    ("effect", "n", "paired", "published"),
    [
        (0.2, 394, False, 0.801),  # as G*Power; Cohen 1988, table 2.4.1, has 393, 64 and 26 a side
        (0.5, 64, False, 0.801),
        (0.8, 26, False, 0.807),
        (0.5, 34, True, 0.808),
        (0.2, 199, True, 0.802),
        (0.8, 15, True, 0.821),
    ],
)
def test_textbook_sample_sizes(effect: float, n: int, paired: bool, published: float) -> None:
    assert power(effect, 1, n, paired) == pytest.approx(published, abs=6e-4)
    assert seeds_needed(effect, 1, paired) == n
    assert seeds_needed(-3 * effect, 3, paired) == n


def test_the_papers_gap_needs_nine_seeds_a_side() -> None:
    """ResNet-110: sigma 0.16, a gap of 0.24. Seven by the normal approximation, 2 ((1.96 + 0.84) 0.16 / 0.24)^2."""
    quantiles = scipy.stats.norm.ppf(0.975) + scipy.stats.norm.ppf(0.8)
    assert math.ceil(2 * (quantiles * 0.16 / 0.24) ** 2) == 7
    assert seeds_needed(0.24, 0.16, paired=False) == 9
    assert power(0.24, 0.16, 7, paired=False) == pytest.approx(0.731, abs=1e-3)
    assert power(0.24, 0.16, 8, paired=False) == pytest.approx(0.797, abs=1e-3)


@pytest.mark.parametrize("paired", [True, False])
def test_power_grows_with_difference_and_seeds(paired: bool) -> None:
    by_difference = [power(d, 1, 5, paired) for d in np.linspace(0, 20, 400)]
    by_seeds = [power(0.3, 1, n, paired) for n in range(2, 600)]
    by_std = [power(1, std, 5, paired) for std in np.geomspace(1e-3, 1e3, 400)]
    assert min(np.diff(by_difference)) >= 0
    assert min(np.diff(by_seeds)) > -1e-12
    assert max(np.diff(by_std)) <= 0
    assert by_difference[0] == pytest.approx(SIGNIFICANT)
    assert (by_difference[-1], by_std[0]) == (1, 1)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("n", [2, 3, 5, 12, 200])
def test_what_is_detectable_is_found_in_four_of_five(n: int, paired: bool) -> None:
    found = detectable(0.3, n, paired)
    assert found is not None
    assert power(found, 0.3, n, paired) == pytest.approx(POWER)
    assert power(-found, 0.3, n, paired) == pytest.approx(POWER)
    assert seeds_needed(1.0001 * found, 0.3, paired) == n
    assert seeds_needed(0.9999 * found, 0.3, paired) == n + 1


@pytest.mark.parametrize("paired", [True, False])
def test_seeds_needed_is_the_first_that_suffices(paired: bool) -> None:
    for difference in (0.15, 0.4, 1.1, 2.5, 20):
        n = seeds_needed(difference, 1, paired)
        assert n == next(n for n in range(2, 1001) if power(difference, 1, n, paired) >= POWER)


def test_no_more_than_most() -> None:
    found = detectable(1, 1000)
    assert found is not None
    assert (seeds_needed(1.0001 * found, 1), seeds_needed(0.9999 * found, 1)) == (1000, None)
    assert (seeds_needed(1.5, 1, most=6), seeds_needed(1.5, 1, most=5)) == (6, None)


def test_where_nothing_can_be_said() -> None:
    assert (power(1, 1, 1), power(1, 1, 0), power(1, 0, 1)) == (0, 0, 0)
    assert (detectable(None, 5), detectable(1, 1), detectable(1, 0)) == (None, None, None)
    assert (seeds_needed(0, 1), seeds_needed(1, None), seeds_needed(0, 0)) == (None, None, None)
    assert math.isnan(power(math.nan, 1, 5))
    assert seeds_needed(math.nan, 1) is seeds_needed(1, math.nan) is None


def test_without_spread() -> None:
    assert (power(0, 0, 5), power(1e-9, 0, 5)) == (SIGNIFICANT, 1)
    assert (detectable(0, 5), seeds_needed(1e-9, 0)) == (0, 2)


@pytest.mark.parametrize("freedom", [1, 2, 5, 9, 126, 1998])
def test_large_noncentralities_are_certain(freedom: int) -> None:
    """SciPy's nctdtr is nan in some far tails, and everywhere above 1e11."""
    grows = [power(shift, 1, freedom + 1) for shift in np.linspace(0, 100, 401) / math.sqrt(freedom + 1)]
    assert min(np.diff(grows)) > -1e-9
    for shift in (100, 300, 1e6, 1e12, 1e300, math.inf):
        assert power(shift, 1, freedom + 1) == pytest.approx(1, abs=1e-12)
    assert power(1e300, 1e-300, freedom + 1) == 1


def test_published_is_scipys_welch_from_summaries() -> None:
    theirs = scipy.stats.ttest_ind_from_stats(
        np.mean(OURS), np.std(OURS, ddof=1), len(OURS), 6.43, 0.16, 5, equal_var=False
    )
    found = beside_published(OURS, 6.43, 0.16, 5)
    assert (found.method, found.n, found.p_permutation) == ("Welch t, published", 4, None)
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.difference == pytest.approx(np.mean(OURS) - 6.43)
    assert beside_published(OURS, 6.43, 0.16, 3).n == 3


def test_published_is_the_test_of_the_runs_themselves() -> None:
    theirs = np.array([6.2, 6.1, 6.4, 6.3, 6.2])
    found = beside_published(iter(OURS), theirs.mean(), theirs.std(ddof=1), len(theirs))
    whole = compare(dict(enumerate(OURS)), dict(enumerate(theirs, 100)))
    assert (found.low, found.high, found.p) == pytest.approx((whole.low, whole.high, whole.p))
    assert found.sign == whole.sign == 1
    assert beside_published(OURS, 7.0, 0.16, 5).sign == -1


@pytest.mark.parametrize(
    ("ours", "std", "n", "seen"),
    [
        ([6.61], 0.16, 5, 1),
        (OURS, None, 1, 1),
        (OURS, 0.0, 1, 1),
        (OURS, None, 5, 4),
    ],
)
def test_a_single_run_is_a_difference_and_never_a_test(ours: list[float], std: float | None, n: int, seen: int) -> None:
    found = beside_published(ours, 5.0, std, n)
    assert (found.method, found.n, found.p, found.low, found.sign) == ("none", seen, None, None, 0)
    assert found.difference == pytest.approx(np.mean(ours) - 5)


def test_published_edges() -> None:
    assert beside_published([], 6.43, 0.16, 5).difference is None
    equal = beside_published([6.5, 6.5, 6.5], 6.4, 0.0, 5)
    assert (equal.method, equal.p, equal.sign) == ("no spread", None, 0)
    constant = beside_published([6.5, 6.5, 6.5], 6.4, 0.1, 5)
    assert constant.p == pytest.approx(2 * scipy.stats.t.sf(math.sqrt(5), 4))
