from collections.abc import Callable

import polars as pl
import pytest

from resjax.records import Sweep
from resjax.report import claims, expected, health
from resjax.report.groups import pool
from resjax.report.verdict import DEGRADATION, DIVERGENCE, GRADIENTS, RECIPES, SHORTCUTS, THEORY, Sections, verdict

Make = Callable[..., tuple[dict, pl.DataFrame, pl.DataFrame]]
Join = Callable[..., Sweep]


def told(sweep: Sweep) -> Sections:
    pooled = pool(sweep)
    seen = health.assess(pooled)
    compared = expected.beside(pooled, seen)
    return verdict(pooled, seen, claims.depths(pooled), claims.shortcuts(pooled), compared)


def test_full(full: Sweep) -> None:
    found = told(full)
    assert "Batch norm, plain: at step 0 exploding at depths 44 and 56 (ratio 147 to 800" in found[GRADIENTS][0]
    assert found[DEGRADATION][0].startswith("Batch norm, plain: degradation begins at depth 32 (20 to 32: +10")
    assert "none seen from depth 20 to 56" in found[DEGRADATION][1]
    assert "supported at depths 32, 44 and 56" in found[SHORTCUTS][0]
    assert "not comparable at depth 56 (residual lost 3 of 3 seeds to divergence)" in found[SHORTCUTS][2]
    assert found[DIVERGENCE][-1].startswith(
        "Residual-56, no norm: 3 of 3 seeds diverged at steps 4 and 5, first in stage2"
    )
    assert all("n = " in sentence for sentence in (*found[GRADIENTS], *found[DEGRADATION], *found[SHORTCUTS]))


def test_the_shortcut_may_be_contradicted(make: Make, sweep_of: Join) -> None:
    found = told(sweep_of(make("plain", level=0.02), make("residual", level=0.3)))
    assert all("contradicted at depth 20 (+2" in sentence for sentence in found[SHORTCUTS])


def test_one_seed_decides_nothing(make: Make, sweep_of: Join) -> None:
    one = range(1)
    runs = [make(arm, d, seeds=one, level=0.01 * d) for arm in ("plain", "residual") for d in (20, 56)]
    found = told(sweep_of(*runs))
    assert all("undecided" in sentence for part in (GRADIENTS, DEGRADATION, SHORTCUTS) for sentence in found[part])
    assert all("n = 1" in sentence for part in (GRADIENTS, DEGRADATION, SHORTCUTS) for sentence in found[part])
    assert not any("supported" in sentence for sentence in found[SHORTCUTS])


@pytest.mark.parametrize(
    ("seeds", "says"),
    [
        (1, "From 1 seed there is no interval and no test; from 3 seeds an interval is ± 2.5 standard deviations of "
            "them, from 5 ± 1.2. The same command with seed=3 seeds=2 adds some."),
        (2, "From 2 seeds an interval is ± 9.0 standard deviations of them, from 3 ± 2.5, from 5 ± 1.2. The same "
            "command with seed=3 seeds=1 adds some."),
    ],
)  # fmt: skip
def test_few_seeds_are_told_first(seeds: int, says: str, make: Make, sweep_of: Join) -> None:
    found = told(sweep_of(make("plain", seeds=range(seeds)), make("residual")))
    assert next(iter(found)) == RECIPES
    assert found[RECIPES] == [says]
    assert RECIPES not in told(sweep_of(make("plain"), make("residual", seeds=range(0))))
    run, metrics, layers = make("plain", seeds=range(1))
    elsewhere = run | {"imported": {"file": "net.npz", "sha256": "0" * 64}}
    assert RECIPES not in told(sweep_of((elsewhere, metrics, layers))), "a file holds one net"


def test_equal_differences_are_said_to_be_no_ground_for_a_test(make: Make, sweep_of: Join) -> None:
    plain, residual = make("plain", level=0.5), make("residual")
    lower = [pl.col(name) - 0.25 for name in ("train_error", "test_error")]
    metrics = plain[1].with_columns(*lower, run=pl.lit(residual[0]["id"]))
    found = told(sweep_of(plain, (residual[0], metrics, residual[2])))
    says = "(−25.0 points, equal in every seed: no test, n = 3)"  # noqa: RUF001
    assert all(says in sentence for sentence in found[SHORTCUTS])
    several = [make(arm, depth, level=0.5) for depth in (20, 32, 44) for arm in ("plain", "residual")]
    for (_, plain_metrics, _), place in zip(several[::2], (1, 3, 5), strict=True):
        run, _, layers = several[place]
        several[place] = (run, plain_metrics.with_columns(*lower, run=pl.lit(run["id"])), layers)
    assert all(sentence.count(says) == 3 for sentence in told(sweep_of(*several))[SHORTCUTS])


def test_an_arm_of_which_theory_says_nothing_is_told(make: Make, sweep_of: Join) -> None:
    known, unknown = make("plain"), make("residual", model__shortcut="highway")
    found = told(sweep_of(known, unknown))[THEORY]
    assert found[0].startswith("Batch norm, plain: depth 20, ")
    assert found[1:] == [
        "Batch norm, residual: nothing is predicted, the shortcut highway is no part of the recursions."
    ]
    assert THEORY not in told(sweep_of(unknown))


def test_an_arm_that_lost_seeds_does_not_win(make: Make, sweep_of: Join) -> None:
    found = told(sweep_of(make("plain", level=0.5), make("residual", level=0.01, outcomes={1: 5})))
    assert all("undecided" in s and "residual lost 1 of 3 seeds" in s for s in found[SHORTCUTS])
    assert "supported" not in " ".join(found[SHORTCUTS])


def test_degradation_below_an_undecided_depth_begins_at_the_latest(make: Make, sweep_of: Join) -> None:
    runs = [make("plain", depth, level=level) for depth, level in ((20, 0.01), (44, 0.5))]
    runs.append(make("plain", 32, seeds=range(1), level=0.02))
    sentence = told(sweep_of(*runs))[DEGRADATION][0]
    assert "degradation begins at depth 44 at the latest" in sentence
    assert "undecided: 20 to 32" in sentence


def test_other_settings_are_not_compared(make: Make, sweep_of: Join) -> None:
    slow = {"schedule__learning_rate": 0.01}
    found = told(sweep_of(make("plain", 20), make("plain", 56, level=0.5, **slow), make("residual", 20, **slow)))
    assert DEGRADATION not in found
    assert SHORTCUTS not in found
    assert any("learning_rate=0.01" in sentence for sentence in found[GRADIENTS])


def test_all_seeds_diverged(make: Make, sweep_of: Join) -> None:
    outcomes = {0: 1, 1: 2, 2: 3}
    found = told(sweep_of(make("plain", outcomes=outcomes), make("residual", outcomes=outcomes)))
    assert len(found[DIVERGENCE]) == 2
    assert "not comparable" in found[SHORTCUTS][0]


def test_nothing_diverged_and_nothing_recorded_are_told(make: Make, sweep_of: Join) -> None:
    run, metrics, layers = make()
    found = told(sweep_of((run, metrics, layers.clear())))
    assert found[DIVERGENCE] == ["No seed diverged (n = 3)."]
    assert "nothing is said" in found[GRADIENTS][0]


def test_where_every_gradient_is_zero_is_told(make: Make, sweep_of: Join) -> None:
    """As of a head that begins at zero (Fixup): that is no gradient which stays, and not left out either."""
    run, metrics, layers = make("residual", 20, "none")
    first = pl.when(pl.col("step") == 0).then(0.0).otherwise(pl.col("act_grad_norm"))
    sweep = sweep_of((run, metrics, layers.with_columns(act_grad_norm=first)))
    said = told(sweep)[GRADIENTS][0]
    assert "residual: at step 0 no gradient but zero at depth 20; at steps 1, 10 and 100 and the end healthy" in said
    none = layers.with_columns(act_grad_norm=pl.lit(0.0))
    both = told(sweep_of((run, metrics, none), make("plain", 20, "none")))[GRADIENTS]
    assert "No norm, residual: at every probed step no gradient but zero at depth 20." in both
    assert len(both) == 2
    assert (pool(sweep).groups[0].id, "0") not in health.log_ranges(pool(sweep))
