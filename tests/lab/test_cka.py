"""Against representations whose similarity is known, and against the estimator's definition."""

from itertools import permutations

import jax.numpy as jnp
import numpy as np
import pytest

from resjax.lab.cka import Centred, centred, cka, hsic, scaled

chance = np.random.default_rng(0)


def grams(batch: list[np.ndarray], inside: np.ndarray | None = None) -> Centred:
    known = np.ones(len(batch[0]), bool) if inside is None else inside
    found = [centred(jnp.asarray(x, jnp.float32), jnp.asarray(known)) for x in batch]
    return Centred(jnp.stack([one.products for one in found]), jnp.stack([one.scale for one in found]))


def estimated(representations: list[np.ndarray], size: int) -> np.ndarray:
    """HSIC_1 of every pair, the mean over batches."""
    batches = [
        grams([x[start : start + size] for x in representations]) for start in range(0, len(representations[0]), size)
    ]
    return np.mean([scaled(np.asarray(hsic(one, one, size)), np.asarray(one.scale)) for one in batches], axis=0)


def biased(x: np.ndarray, y: np.ndarray) -> float:
    """Kornblith et al. 2019, eq. 3 with linear kernels."""
    x, y = x - x.mean(0), y - y.mean(0)
    return float(np.linalg.norm(y.T @ x) ** 2 / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y))


def test_rotated_scaled_and_shifted_copies_are_alike() -> None:
    x = chance.standard_normal((64, 10))
    rotation, _ = np.linalg.qr(chance.standard_normal((10, 10)))
    found = cka(estimated([x, 3 * x @ rotation, x - 100, 1e-25 * x, 1e25 * x], 16))
    np.testing.assert_allclose(found, 1, atol=1e-4)


def test_another_scale_of_one_feature_is_another_representation() -> None:
    x = chance.standard_normal((64, 2))
    assert cka(estimated([x, x * [10, 1]], 64))[0, 1] < 0.9


def test_independent_features_are_not_alike_however_many_there_are() -> None:
    pairs = [(chance.standard_normal((16, 200)), chance.standard_normal((16, 200))) for _ in range(100)]
    found = np.array([cka(estimated(list(pair), 16))[0, 1] for pair in pairs])
    assert abs(found.mean()) < 4 * found.std(ddof=1) / np.sqrt(len(found)) < 0.1
    assert min(biased(*pair) for pair in pairs) > 0.8


@pytest.mark.parametrize("features", [1, 5])
def test_the_mean_over_all_four_different_examples(features: int) -> None:
    """HSIC_1 is the U-statistic k_ij (l_ij + l_kl - 2 l_ik) (Song et al. 2012, theorem 3)."""
    x, y = chance.standard_normal((7, features)) + 1, chance.standard_normal((7, 3)) ** 2
    k, ell = x @ x.T, y @ y.T
    quadruples = [k[i, j] * (ell[i, j] + ell[p, q] - 2 * ell[i, p]) for i, j, p, q in permutations(range(7), 4)]
    assert estimated([x, y], 7)[0, 1] == pytest.approx(np.mean(quadruples), rel=1e-4)


def test_three_terms_of_the_paper() -> None:
    x, y = chance.standard_normal((40, 8)), chance.standard_normal((40, 8))
    y += x
    k, ell, n, one = x @ x.T, y @ y.T, 40, np.ones(40)
    np.fill_diagonal(k, 0)
    np.fill_diagonal(ell, 0)
    terms = np.trace(k @ ell), one @ k @ one * (one @ ell @ one) / ((n - 1) * (n - 2)), one @ k @ ell @ one
    expected = (terms[0] + terms[1] - 2 / (n - 2) * terms[2]) / (n * (n - 3))
    assert estimated([x, y], 40)[0, 1] == pytest.approx(expected, rel=1e-4)


def test_batches_converge_to_the_whole() -> None:
    x = chance.standard_normal((2048, 6))
    y = np.maximum(x @ chance.standard_normal((6, 12)), 0)
    whole = cka(estimated([x, y], 2048))[0, 1]
    assert cka(estimated([x, y], 32))[0, 1] == pytest.approx(whole, abs=0.01)
    assert cka(estimated([x[:64], y[:64]], 32))[0, 1] != pytest.approx(whole, abs=0.01)


def test_symmetric() -> None:
    found = cka(estimated([chance.standard_normal((32, size)) for size in (2, 3, 5)], 8))
    np.testing.assert_allclose(found, found.T, rtol=1e-5)
    np.testing.assert_allclose(np.diagonal(found), 1, rtol=1e-6)


def test_what_fills_a_batch_up_does_not_count() -> None:
    x, y = chance.standard_normal((12, 5)), chance.standard_normal((12, 3))
    y[:, 0] += x[:, 0]
    filled, inside = [np.concatenate([each, each[:4]]) for each in (x, y)], np.arange(16) < 12
    found = grams(filled, inside)
    np.testing.assert_allclose(scaled(hsic(found, found, 12), found.scale), estimated([x, y], 12), rtol=1e-4, atol=1e-6)


def test_a_unit_that_does_not_vary_is_like_none() -> None:
    found = cka(estimated([chance.standard_normal((8, 3)), np.ones((8, 3))], 8))
    assert found[0, 0] == pytest.approx(1)
    assert np.isnan(found[0, 1])
    assert np.isnan(found[1, 1])
