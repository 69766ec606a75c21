"""What a network is made of, as plain data: a list of unit plans. Equal neighbours are scanned."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from resjax.models.pooling import Pool
from resjax.orders import Order
from resjax.shortcuts import SHORTCUTS


@dataclass(frozen=True)
class WeightSpec:
    """One weight layer: a side x side convolution, or a dense layer (side 0), to `channels`, with dropout behind."""

    side: int
    channels: int
    stride: int = 1
    name: str = "conv"
    dropout: float = 0.0


@dataclass(frozen=True)
class Path:
    """Weight layers one after the other, behind a pooling."""

    specs: tuple[WeightSpec, ...]
    pool: Pool | None = None


@dataclass(frozen=True)
class UnitPlan:
    """One unit. before: channels of its input. pool, dropout: what the input meets first. stage: 0 is the stem.

    shared: the shortcut starts behind the order's `pre`, where there is one.
    """

    stage: int
    before: int
    paths: tuple[Path, ...]
    order: Order
    shortcut: str = "none"
    pool: Pool | None = None
    dropout: float = 0.0
    shared: bool = False
    name: str = ""

    @property
    def branch_channels(self) -> int:
        """Channels of f."""
        return sum(path.specs[-1].channels for path in self.paths)

    @property
    def after(self) -> int:
        """Channels of h."""
        return self.branch_channels + (self.before if SHORTCUTS[self.shortcut].widens else 0)

    @property
    def stride(self) -> int:
        """Of the branch."""
        stride = 1
        for spec in self.paths[0].specs:
            stride *= spec.stride
        return stride

    @property
    def dense(self) -> bool:
        """Whether its weights are matrices, and images rows."""
        return self.paths[0].specs[0].side == 0

    @property
    def changes(self) -> bool:
        """Whether f has another shape than x."""
        return self.stride > 1 or self.before != self.branch_channels

    def size(self, pixels: int) -> int:
        """Pixels a side of h, for an input of so many."""
        return self.sizes(pixels)[-1]

    def sizes(self, pixels: int) -> list[int]:
        """Pixels a side of every response, in order."""
        pixels = self.pool.size(pixels) if self.pool else pixels
        found = []
        for path in self.paths:
            size = path.pool.size(pixels) if path.pool else pixels
            for spec in path.specs:
                size = (size - 1) // spec.stride + 1 if spec.side else 1
                found.append(size)
        return found


@dataclass(frozen=True)
class Run:
    """`count` equal units in a chain.

    first: the number of the first in its stage, from 1; start: in the list of units, from 0; place: in the network,
    where the first unit of a stage has 1, and the stem 0.
    """

    plan: UnitPlan
    count: int
    first: int
    start: int
    place: int

    @property
    def name(self) -> str:
        """Of the stage."""
        return f"stage{self.plan.stage}" if self.plan.stage else "stem"


def input_sizes(plans: Sequence[UnitPlan], pixels: int) -> list[int]:
    """Pixels a side of every unit's input, and of the last one's output."""
    sizes = [pixels]
    for plan in plans:
        sizes.append(plan.size(sizes[-1]))
    return sizes


def runs_of(plans: Sequence[UnitPlan]) -> list[Run]:
    """The chain as runs of equal units."""
    stems = sum(plan.stage == 0 for plan in plans)
    runs, seen, start = list[Run](), dict[int, int](), 0
    for plan, group in groupby(plans):
        count = len(list(group))
        first = seen.get(plan.stage, 0) + 1
        runs.append(Run(plan, count, first, start, start - stems + 1))
        seen[plan.stage] = first + count - 1
        start += count
    return runs
