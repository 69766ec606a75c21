"""What an instrument is: settings, and work in pieces that can be done one by one, in any process."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from resjax.lab.subject import END, RefusedError, Subject
from resjax.records.schema import Schema
from resjax.settings import setting

Columns = dict[str, Any]


@dataclass(frozen=True)
class Piece:
    """Some of an instrument's rows, as columns; one number stands for a column of it. name: its own among the pieces.

    measure: gives them, the same whenever it is called.
    """

    name: str
    measure: Callable[[], Columns]


@dataclass(kw_only=True)
class Looking:
    """The settings that all instruments have."""

    seeds: int | None = setting(None, "look at the first so many seeds of a run; null: at all", minimum=1)
    batch_size: int = setting(128, "examples that are in memory at once", minimum=1)


@dataclass(frozen=True)
class Instrument:
    """An instrument: a question to a net, asked of every run in turn.

    settings: their dataclass; quick: what --quick changes in them, for minutes on two cores. columns: of its table.
    work: (subject, settings, key, beside) -> pieces; key: of whatever chance is in it. pairs: whether it also compares
    two runs, which then are `subject` and `beside`.
    """

    name: str
    question: str
    paper: str
    settings: type[Looking]
    quick: Mapping[str, Any]
    columns: Schema
    work: Callable[[Subject, Any, Array, Subject | None], Iterable[Piece]]
    pairs: bool = False


def chosen(subject: Subject, settings: Looking) -> list[int]:
    """The seeds that are looked at."""
    return list(subject.seeds)[: settings.seeds]


def over(subject: Subject, settings: Looking, moments: Iterable[str] = (END,)) -> Iterator[tuple[int, str]]:
    """Every seed at every moment."""
    yield from ((seed, moment) for seed in chosen(subject, settings) for moment in moments)


def together(rows: Sequence[Columns]) -> Columns:
    """Rows as columns."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def numpy_seed(key: Array) -> int:
    """A seed for numpy's generator, from a JAX key."""
    return int(np.asarray(jax.random.bits(key, dtype=jnp.uint32)))


def refuse(subject: Subject, instrument: str, why: str, expected: str) -> RefusedError:
    """The error that says why a run cannot be looked at."""
    return RefusedError(
        f"{instrument} cannot look at {subject.run['name']}: {why}\nExpected {expected}\n"
        f"Type: resjax lab {instrument} RUN, with another run or settings"
    )
