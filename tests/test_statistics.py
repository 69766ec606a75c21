"""Against scipy, closed forms, and what people with three seeds may say."""

import itertools

import numpy as np
import pytest
import scipy.stats

from resjax.statistics import bca_interval, compare, estimate, paired, sign_flip_p

X = np.array([0.31, 0.12, 0.55, 0.23, 0.48])


def seeds(values: list[float]) -> dict[int, float]:
    return dict(enumerate(values))


def test_t_interval_is_scipys() -> None:
    found = estimate(X)
    low, high = scipy.stats.t.interval(0.95, 4, X.mean(), scipy.stats.sem(X))
    assert (found.n, found.mean, found.std) == pytest.approx((5, X.mean(), X.std(ddof=1)))
    assert (found.low, found.high, found.half) == pytest.approx((low, high, (high - low) / 2))


def test_paired_t_is_scipys() -> None:
    found, p = paired(X), scipy.stats.ttest_1samp(X, 0).pvalue
    assert (found.method, found.p, found.p_permutation) == ("paired t", pytest.approx(p), None)
    assert found.sign == 1
    assert paired(-X).sign == -1


def test_bootstrap_takes_over_at_ten_and_is_scipys() -> None:
    x = np.random.default_rng(1).gamma(9, size=12)
    theirs = scipy.stats.bootstrap((x,), np.mean, n_resamples=20_000, rng=np.random.default_rng(2))
    assert bca_interval(x, 20_000) == pytest.approx(tuple(theirs.confidence_interval), abs=0.05)
    found = estimate(x)
    assert (found.low, found.high) == bca_interval(x)
    assert estimate(x[:9]).half == pytest.approx(scipy.stats.sem(x[:9]) * scipy.stats.t.ppf(0.975, 8))


def test_sign_flip_counts_every_flip() -> None:
    x = X[:4]
    sums = [abs(np.dot(signs, x)) for signs in itertools.product((1, -1), repeat=4)]
    assert sign_flip_p(x) == np.mean([s >= x.sum() - 1e-12 for s in sums])
    assert sign_flip_p(np.ones(5) + X) == 2 / 2**5


def test_permutation_from_six_decides_together_with_t() -> None:
    assert paired(np.append(X, 0.4)).p_permutation == pytest.approx(2 / 2**6)
    ten = paired(np.tile(X, 2) + np.arange(10) / 100)
    assert (ten.method, ten.p) == ("sign-flip", ten.p_permutation)
    assert ten.sign == 1


def test_many_pairs_are_flipped_at_random() -> None:
    x = np.random.default_rng(0).normal(0.1, 1, 40)
    assert sign_flip_p(x) == pytest.approx(scipy.stats.ttest_1samp(x, 0).pvalue, abs=0.03)


def test_unshared_seeds_are_welchs() -> None:
    a, b = {0: 1.0, 1: 1.2, 2: 1.1}, {5: 2.0, 6: 2.4}
    theirs = scipy.stats.ttest_ind(list(a.values()), list(b.values()), equal_var=False)
    found, interval = compare(a, b), theirs.confidence_interval()
    assert (found.method, found.n, found.p) == ("Welch t", 2, pytest.approx(theirs.pvalue))
    assert (found.low, found.high) == pytest.approx(tuple(interval))


def test_pairs_are_by_seed() -> None:
    a, b = {0: 1.0, 1: 2.0, 2: 3.0, 9: 99.0}, {2: 2.5, 1: 1.4, 0: 0.6}
    assert compare(a, b).difference == pytest.approx((0.4 + 0.6 + 0.5) / 3)
    assert compare(a, b).n == 3


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ([1.0], [2.0]),
        ([1.0, 1.0, 1.0], [2.0, 2.0, 2.0]),
        ([0.1 + 0.2, 0.3, 0.3], [0.3, 0.3, 0.1 + 0.2]),
        ([0.1, 0.9, 0.2], [0.3, 0.1, 0.4]),
        ([], [1.0]),
        ([], []),
    ],
)
def test_undecided(a: list[float], b: list[float]) -> None:
    found = compare(seeds(a), seeds(b))
    assert found.sign == 0
    assert not found.within(1e-6) or found.difference == pytest.approx(0)


def test_one_value_has_no_spread_and_none_has_no_mean() -> None:
    assert (estimate([0.5]).mean, estimate([0.5]).std, estimate([0.5]).half) == (0.5, None, None)
    assert estimate([]).mean is None


def test_t_intervals_cover_at_three_seeds() -> None:
    random, covered = np.random.default_rng(0), 0
    for _ in range(2000):
        found = estimate(random.normal(size=3))
        covered += found.low is not None and found.high is not None and found.low < 0 < found.high
    assert covered / 2000 == pytest.approx(0.95, abs=0.02)
