from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from resjax.lab.krylov import Ritz, Steps, lanczos, parted, ritz


@partial(jax.jit, static_argnames="count")
def steps(matrix: jax.Array, start: jax.Array, count: int) -> Steps:
    return lanczos(matrix.dot, start, count)


def found(matrix: np.ndarray, count: int, seed: int = 0, dtype: type = np.float64) -> Ritz:
    start = jax.random.normal(jax.random.key(seed), matrix.shape[:1], dtype)
    return ritz(steps(jnp.asarray(matrix, dtype), start, count))


def symmetric(eigenvalues: np.ndarray) -> np.ndarray:
    basis, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(len(eigenvalues), len(eigenvalues))))
    return basis @ np.diag(eigenvalues) @ basis.T


def test_all_steps_give_all_eigenvalues(float64: None) -> None:
    eigenvalues = np.sort(np.random.default_rng(1).normal(size=20))
    seen = found(symmetric(eigenvalues), 20)
    np.testing.assert_allclose(seen.values, eigenvalues, atol=1e-10)
    assert seen.weights.sum() == pytest.approx(1)


def test_an_eigenvalue_lies_within_the_residual(float64: None) -> None:
    eigenvalues = np.concatenate([np.linspace(-1, 1, 60), [-5.0, 30.0]])
    seen = found(symmetric(eigenvalues), 12)
    away = np.abs(seen.values[:, None] - eigenvalues[None]).min(1)
    assert (away <= seen.residuals + 1e-12).all()
    assert len(seen.values) == 12
    assert seen.values[[0, -1]] == pytest.approx([-5, 30], abs=1e-6)
    assert seen.residuals[[0, -1]].max() < 1e-4
    assert seen.residuals.max() > 1e-2  # in the middle, which 12 steps do not resolve


def test_quadrature_is_exact_for_polynomials(float64: None) -> None:
    matrix, start = symmetric(np.linspace(-1, 2, 30)), np.asarray(jax.random.normal(jax.random.key(0), 30, np.float64))
    seen = found(matrix, 4)
    for power in range(8):
        expected = start @ np.linalg.matrix_power(matrix, power) @ start / (start @ start)
        assert seen.weights @ seen.values**power == pytest.approx(expected, rel=1e-9)


def test_the_mean_over_starts_is_the_trace_over_the_dimension(float64: None) -> None:
    eigenvalues = np.linspace(-1, 2, 200)
    matrix = symmetric(eigenvalues)
    seen = [found(matrix, 5, seed) for seed in range(60)]
    moments = np.array([[one.weights @ one.values, one.weights @ one.values**2] for one in seen])
    error = moments.std(0) / np.sqrt(len(moments))
    assert (np.abs(moments.mean(0) - [eigenvalues.mean(), np.square(eigenvalues).mean()]) < 4 * error).all()
    assert (error < 0.02).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("eigenvalues", [np.ones(50), np.zeros(50), np.repeat([0.0, 2.0, 3.0], 20)])
def test_steps_end_where_the_krylov_space_does(float64: None, dtype: type, eigenvalues: np.ndarray) -> None:
    """Of a matrix of few different eigenvalues: the identity has one, and its Krylov space one dimension."""
    seen = found(symmetric(eigenvalues) if np.ptp(eigenvalues) else np.diag(eigenvalues), 10, dtype=dtype)
    assert len(seen.values) < 10
    assert seen.residuals.max() <= 2e-5
    np.testing.assert_allclose(seen.values, np.unique(eigenvalues), atol=1e-5)


def test_a_matrix_that_is_not_finite_has_no_eigenvalue() -> None:
    seen = found(np.full((8, 8), np.nan), 4, dtype=np.float32)
    assert np.isnan(seen.values).all()


def test_an_eigenvalue_that_outweighs_all_others_has_no_chance_part(float64: None) -> None:
    """Its part in one random start is off by more than itself; taken out, the mean is right to the others' error."""
    eigenvalues = np.concatenate([np.linspace(0.5, 1.5, 199), [1e6]])
    starts = jax.random.normal(jax.random.key(1), (3, 200))
    seen = parted(jnp.asarray(symmetric(eigenvalues)).dot, starts[0], starts[1:], 12, 4)
    assert np.asarray(seen.found)[np.isfinite(seen.found)] == pytest.approx([1e6])
    rest = [ritz(Steps(*pair)) for pair in zip(*seen.rest, strict=True)]
    for one in rest:
        assert one.weights @ one.values == pytest.approx(eigenvalues[:-1].mean(), rel=0.05)
        assert one.values[-1] < 1.6


def test_what_is_taken_out_of_the_identity_is_one_of_its_directions(float64: None) -> None:
    starts = jax.random.normal(jax.random.key(1), (2, 30))
    seen = parted(lambda u: u, starts[0], starts[1:], 5, 2)
    assert np.sum(np.isfinite(seen.found)) == 1
    assert ritz(Steps(*(part[0] for part in seen.rest))).values == pytest.approx([1])
