"""What `training.fit` yields. Plain values on the host: whoever calls fit decides what a row becomes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Started:
    """The first row: what will run. devices: as (kind, count); layers and units in forward order."""

    model: dict[str, Any]
    devices: dict[str, Any]


@dataclass(frozen=True)
class Metrics:
    """Scalars of one step and seed. A value that is not finite is one; records decide how to write it.

    A row of training has train_loss and the like, a row of a test test_error and the like: neither has the other's.
    """

    step: int
    seed: int
    values: dict[str, float]


@dataclass(frozen=True)
class Layers:
    """One probe: every seed's every weight layer and unit, as columns of equal length."""

    step: int
    columns: dict[str, np.ndarray]


@dataclass(frozen=True)
class TrainLayers:
    """The training gradient's norm of every weight layer at some steps and seeds, as columns of equal length."""

    columns: dict[str, np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """How one seed ended: finite, or diverged at a step, with the first layer whose values were not finite."""

    seed: int
    diverged_at: int | None = None
    first_bad_layer: str | None = None


@dataclass(frozen=True)
class Snapshot:
    """Everything that training needs to go on after `step` updates: `fit` takes it back.

    arrays: every seed's state, on the host, by name. outcomes: of the seeds so far. root_keys: what each seed's random
    numbers come from. epoch, place: where in the stream of examples the next batch begins. seconds: spent so far.
    stream: what else is known of a stream that is read from disk.
    """

    step: int
    arrays: dict[str, np.ndarray]
    outcomes: tuple[Outcome, ...] = ()
    root_keys: dict[int, list[int]] = field(default_factory=dict)
    epoch: int = 0
    place: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    stream: dict[str, Any] = field(default_factory=dict)


NAMED = 10  # images that could not be read, at once


def named(images: Sequence[Any], spell: Callable[[Any], str] = str) -> str:
    """The first of them, and how many more there are."""
    more = f" and {len(images) - NAMED} more" if len(images) > NAMED else ""
    return ", ".join(map(spell, images[:NAMED])) + more


@dataclass(frozen=True)
class Corrupted:
    """All images so far of a split of so many examples that could not be read, by name; `known` of them were told."""

    split: str
    names: tuple[str, ...]
    examples: int
    known: int = 0


@dataclass(frozen=True)
class Stopped:
    """The last row where the caller asked to stop: all before `step` is told, and a Snapshot of it, if any is new."""

    step: int


@dataclass(frozen=True)
class Finished:
    """The last row. times: seconds of compile, train, probe and evaluation; digest: SHA-256 of the final state."""

    outcomes: tuple[Outcome, ...]
    times: dict[str, float]
    images_per_s: float
    digest: str


Row = Started | Metrics | Layers | TrainLayers | Snapshot | Corrupted | Stopped | Finished
