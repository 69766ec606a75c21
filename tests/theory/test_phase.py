"""Published fixed points and critical lines."""

import math

import pytest

from resjax.theory.phase import critical, phase, scale


def test_relu_is_critical_at_two_over_n() -> None:
    """He et al. 2015, arXiv:1502.01852."""
    assert critical("relu", 0.0) == pytest.approx(2, abs=1e-3)
    found = phase("relu", 2.0, 0.0)
    assert (found.name, found.chi, found.q) == ("critical", pytest.approx(1), pytest.approx(1))
    assert scale(found.chi) == math.inf


@pytest.mark.parametrize(("sigma_w2", "name", "chi"), [(1.0, "ordered", 0.5), (2.5, "chaotic", 1.25)])
def test_relu_beside_it(sigma_w2: float, name: str, chi: float) -> None:
    found = phase("relu", sigma_w2, 0.0)
    assert (found.name, found.chi) == (name, pytest.approx(chi))
    assert scale(found.chi) == pytest.approx(1 / abs(math.log(chi)))


def test_the_critical_line_of_tanh() -> None:
    """Through sigma_w^2 = 1 without biases, and 1.76 at sigma_b^2 = 0.05 (Schoenholz et al. 2017)."""
    assert phase("tanh", 1.0, 0.0).chi == pytest.approx(1, abs=1e-3)
    assert critical("tanh", 0.05) == pytest.approx(1.76, abs=1e-3)


@pytest.mark.parametrize(("sigma_w2", "name"), [(1.5, "ordered"), (3.0, "chaotic")])
def test_tanh_beside_it(sigma_w2: float, name: str) -> None:
    """Ordered nets bring all images together, chaotic ones hold them apart, and converge to that."""
    found = phase("tanh", sigma_w2, 0.05)
    assert found.name == name
    assert (found.c > 1 - 1e-6) == (name == "ordered")
    assert found.scale_c > 1


def test_linear_nets_keep_everything_at_one() -> None:
    found = phase("linear", 1.0, 0.0)
    assert (found.q, found.c, found.chi) == (pytest.approx(1), pytest.approx(0), pytest.approx(1))
