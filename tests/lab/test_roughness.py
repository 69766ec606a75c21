"""The roughness of slices whose shape is known."""

import numpy as np
import polars as pl
import pytest

from resjax.report.lab.roughness import of_grids, of_lines, roughness

X = np.linspace(-1, 1, 401)


@pytest.mark.parametrize("slope", [0.0, 0.7, -3.0])
def test_a_bowl_is_not_rough(slope: float) -> None:
    found = roughness(X, 5 * X**2 + slope * X + 0.1)
    assert found
    assert (found.climb, found.nats, found.hills, found.bent) == (0, 0, 0, 0)


def test_a_bowl_is_as_wide_as_its_curvature_says() -> None:
    """0.1 + 4 x^2 is 1 nat higher at +-1/2; 0.1 + x^2 / 2 never."""
    steep, flat = roughness(X, 0.1 + 4 * X**2), roughness(X, 0.1 + X**2 / 2)
    assert steep
    assert steep.width == pytest.approx(1, abs=1e-4)
    assert not steep.open
    assert flat
    assert flat.width == pytest.approx(2)
    assert flat.open


def test_a_slanted_side_is_wide_to_one_side_only() -> None:
    found = roughness(X, np.where(X > 0, 10 * X, -2 * X))
    assert found
    assert found.width == pytest.approx(0.5 + 0.1, abs=1e-6)


def test_a_wave_climbs_every_hill() -> None:
    """1 - cos(10 pi x): five valleys at -0.8 ... 0.8 and one at 0, with hills of 2 between them, rims at 0."""
    losses = 1 - np.cos(10 * np.pi * X)
    found = roughness(X, losses)
    assert found
    # To the lowest point, the first of the equal ones, one climbs each of the ten hills once.
    assert found.nats == pytest.approx(10 * 2, rel=1e-3)
    assert found.climb == pytest.approx(10, rel=1e-3)
    assert found.hills == 10
    # Convex where cos > 0: half of it.
    assert found.bent == pytest.approx(0.5, abs=0.03)
    assert found.width == pytest.approx(2 * 0.05, rel=1e-3)  # 1 - cos = 1 a quarter of a wave from 0


def test_a_waved_bowl_has_the_total_variation_of_its_turning_points() -> None:
    """L = x^2 + a (1 - cos(w x)): what it climbs is the sum over its hills of their rise from the valley outside."""
    losses = 20 * X**2 + 0.8 * (1 - np.cos(8 * np.pi * X))
    fine = np.linspace(0, 1, 200_001)
    curve = 20 * fine**2 + 0.8 * (1 - np.cos(8 * np.pi * fine))
    turns = np.flatnonzero(np.diff(np.sign(np.diff(curve)))) + 1  # from the solution outwards: hill, valley, ...
    hills, valleys = curve[turns[::2]], curve[turns[1::2]]
    found = roughness(X, losses)
    assert found
    assert len(hills) == len(valleys) == 2
    assert found.nats == pytest.approx(2 * np.sum(hills - valleys), rel=1e-3)
    assert found.climb == pytest.approx(found.nats / np.ptp(losses))
    assert found.hills == 2  # the outer ones stand out by less than a hundredth of the height
    assert hills[1] - valleys[1] < 0.01 * np.ptp(losses) < hills[0] - valleys[0]
    variation = np.abs(np.diff(losses)).sum()
    assert found.nats == pytest.approx((variation - losses[0] - losses[-1]) / 2)


def test_a_saturating_side_is_bent_and_not_climbed() -> None:
    places = np.linspace(-1, 1, 81)
    found = roughness(places, 1 - np.exp(-8 * places**2))  # convex where |x| < 1/4
    assert found
    assert found.nats == pytest.approx(0, abs=1e-12)
    assert found.hills == 0
    assert found.bent == pytest.approx(0.75, abs=0.02)


def test_rounding_is_not_roughness() -> None:
    bowl = (3 + 1e-4 * X**2 + 0.5 * X).astype(np.float32).astype(float)
    found = roughness(X, bowl)
    assert found
    assert found.bent == 0
    assert found.hills == 0


def test_a_flat_line_is_not_rough() -> None:
    """A net that passes nothing on: ln 10 everywhere, but for float32's last bit."""
    noise = np.random.default_rng(0).normal(0, 1e-7, len(X))
    found = roughness(X, (np.log(10) * (1 + noise)).astype(np.float32).astype(float))
    assert found
    assert (found.climb, found.nats, found.hills, found.bent) == (0, 0, 0, 0)


def test_only_the_finite_stretch_around_the_solution_counts() -> None:
    losses = 4 * X**2
    losses[X > 0.6] = np.nan
    losses[X < -0.8] = 7 * np.sin(40 * X[X < -0.8])
    losses[np.argmin(np.abs(X + 0.8))] = np.inf
    found = roughness(X, losses)
    assert found
    assert (found.nats, found.hills, found.bent) == (0, 0, 0)
    assert found.width == pytest.approx(1, abs=1e-3)
    assert roughness(X, np.full_like(X, np.nan)) is None


def table(kind: str, losses: np.ndarray, alpha: np.ndarray, beta: np.ndarray) -> pl.DataFrame:
    return pl.DataFrame({"net": "a", "kind": kind, "alpha": alpha, "beta": beta, "loss": losses})


def test_lines_are_told_apart_whatever_their_order() -> None:
    wave = table("line", 1 - np.cos(10 * np.pi * X), X, 0 * X).with_columns(net=pl.lit("b"))
    both = pl.concat([table("line", X**2, X, 0 * X), wave]).sample(fraction=1, shuffle=True, seed=0)
    found = of_lines(both, ["net"]).sort("net")
    assert found["hills"].to_list() == [0, 10]


def test_a_grid_is_cut_along_both_of_its_sides() -> None:
    """x^2 + a wave in y: no row along x climbs, every column does."""
    side = np.linspace(-1, 1, 81)
    beta, alpha = np.meshgrid(side, side, indexing="ij")
    losses = alpha**2 + 1 - np.cos(4 * np.pi * beta)
    losses[0, 0] = np.nan
    rows = table("grid", losses.ravel(), alpha.ravel(), beta.ravel()).sample(fraction=1, shuffle=True, seed=0)
    found = of_grids(rows, ["net"])
    assert len(found) == 2 * 81
    assert (found["hills"] == 0).sum() == 81
    assert found["hills"].max() == 4
    assert found["lost"].sum() == 2
