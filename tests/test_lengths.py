"""Against scipy's binomial distribution."""

import numpy as np
import pytest
from scipy.stats import binom

from resjax.lengths import between, log_paths, shares, spread


@pytest.mark.parametrize("n", [1, 27, 500])
def test_counts_of_paths_are_binomial(n: int) -> None:
    np.testing.assert_allclose(shares(log_paths(n)), binom.pmf(np.arange(n + 1), n, 0.5), atol=1e-12)


@pytest.mark.parametrize(("n", "a"), [(5, 2.0), (54, 0.2), (500, 1e-3)])
def test_branches_that_carry_a_factor_have_a_binomial_of_it(n: int, a: float) -> None:
    """C(n, k) a^k over (1 + a)^n is that of p = a / (1 + a); from three lengths as from all of them."""
    p = a / (1 + a)
    k = np.array([0, n // 2, n])
    found = (
        shares(log_paths(n) + between(k, 3.0 * a**k, n))
        if a**n > 0
        else shares(log_paths(n) + np.arange(n + 1) * np.log(a))
    )
    np.testing.assert_allclose(found, binom.pmf(np.arange(n + 1), n, p), atol=1e-9)
    told = spread(found)
    assert told.mean == pytest.approx(n * p)
    assert (told.low, told.high) == (binom.ppf(0.05, n, p), binom.ppf(0.95, n, p))


def test_what_carries_nothing_has_no_share() -> None:
    np.testing.assert_array_equal(shares(np.array([0.0, -np.inf, 0.0])), [0.5, 0, 0.5])
    assert np.isnan(shares(np.array([-np.inf, -np.inf]))).all()
