"""What an instrument holds on the devices from batch to batch does not grow with the number of examples.

What its programs hold while they run follows from the batch's size; of the Hessian's, which sees all batches in one
program, tests/lab/test_hessian.py asks the compiler.
"""

import gc
from typing import Any

import jax
import pytest
from subjects import untrained

from resjax.lab.subject import Batch, Subject
from resjax.lab.table import INSTRUMENTS

# By instrument: the setting that counts the examples, what else makes the work small, and the pieces that see examples.
QUICK = ("landscape", "shattering")  # the others are slow
GROWING = {
    "lesion": ("examples", {"counts": 0}, "intact"),
    "landscape": ("examples", {"lines": 1, "points": 3, "grid": 1}, "running"),
    "similarity": ("examples", {"batch_size": 16}, "0"),
    "readout": ("train_examples", {"test_examples": 16}, "end"),
    "shattering": ("examples", {"lines": 1}, "end pair"),
    "paths": ("examples", {"draws": 2, "lengths": 2}, "end path"),
}


def most_held(name: str, examples: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """Bytes of all arrays, at the most, whenever a batch is made, beyond those that were there before."""
    instrument, (setting, others, wanted) = INSTRUMENTS[name], GROWING[name]
    settings = instrument.settings(**{"batch_size": 16, "seeds": 1} | others | {setting: examples})
    subject = untrained(model={"depth": 5, "branch": "single"})
    held: list[int] = []
    true = Subject.batch

    def batch(self: Subject, *words: Any) -> Batch:
        made = true(self, *words)
        held.append(sum(array.nbytes for array in jax.live_arrays()))
        return made

    with monkeypatch.context() as patched:
        patched.setattr(Subject, "batch", batch)
        pieces = [p for p in instrument.work(subject, settings, jax.random.key(0), None) if wanted in p.name]
        gc.collect()
        before = sum(array.nbytes for array in jax.live_arrays())
        pieces[0].measure()
    assert len(held) >= examples // 16, "not every batch was seen"
    return max(held) - before


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in GROWING]
)
def test_memory_does_not_grow(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (most_held(name, examples, monkeypatch) for examples in (48, 240))
    assert many <= 1.01 * few + 5_000, f"{few} bytes for 48 examples, {many} for 240"
