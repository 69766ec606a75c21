"""The largest trainable depth, from made records of a bisection."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from reproduced import reproduced

from resjax.papers.item import Search
from resjax.report.groups import pool
from resjax.report.reproduction import match
from resjax.report.searched import known, rows, searches

Make = Callable[..., Any]


def test_the_deepest_that_trained_and_the_next_that_failed(make: Make, sweep_of: Make) -> None:
    made = {f"{depth}": make("plain", depth, level=level) for depth, level in ((20, 0.1), (32, 0.1), (44, 0.9))}
    found = reproduced(made, [], sweep_of, fails=50.0, search=Search(("plain",)))
    item = replace(found.reproduction.item, rows={"plain": ()})
    item.presets["smoke"] = replace(item.presets["smoke"], depths=(8, 20, 32, 44, 56))
    entries = tuple(replace(entry, row="plain", depth=int(entry.row)) for entry in found.reproduction.entries)
    sweep = sweep_of(*made.values())
    again = match(replace(found.reproduction, item=item, entries=entries), sweep, pool(sweep))
    assert known("plain", again) == {20: True, 32: True, 44: False}
    (largest,) = searches(again)
    assert (largest.depth, largest.next_failed) == (32, 44)
    assert largest.sentence(50.0).startswith("plain: 32 layers train (training error at or below 50 %), 44 does not")
    assert [row["largest"] for row in rows([largest])] == [False, True, False]


def test_diverged_seeds_did_not_train(make: Make, sweep_of: Make) -> None:
    made = {"20": make("plain", 20, level=0.1, outcomes={0: 2, 1: 2})}
    found = reproduced(made, [], sweep_of, fails=50.0, search=Search(("20",)))
    entries = tuple(replace(entry, depth=20) for entry in found.reproduction.entries)
    sweep = sweep_of(*made.values())
    again = match(replace(found.reproduction, entries=entries), sweep, pool(sweep))
    assert known("20", again) == {20: False}
