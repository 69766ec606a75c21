"""What a network is made of, as plain data: a list of unit plans. Equal neighbours are scanned."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from resjax.orders import Order
from resjax.shortcuts import SHORTCUTS


@dataclass(frozen=True)
class Pool:
    """kind: max or mean. side, stride: of the window, in pixels. padded: by side // 2, which no maximum sees."""

    kind: str
    side: int
    stride: int
    padded: bool = False

    def size(self, pixels: int) -> int:
        """Pixels a side after it; 0 where no window fits."""
        return (
            (pixels - 1) // self.stride + 1 if self.padded else max(pixels - self.side, -self.stride) // self.stride + 1
        )


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
    def layers(self) -> int:
        """Weight layers of the branch's longest path."""
        return max(len(path.specs) for path in self.paths)

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

    def unit_name(self, index: int) -> str:
        """Of the unit that is `index` in this run."""
        if self.plan.name:
            return self.plan.name
        return self.name if self.plan.stage == 0 else f"{self.name}.unit{self.first + index}"


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


@dataclass(frozen=True)
class HeadPlan:
    """The classifier. pre: an order's letters before it. pool: what follows; mean: then over all pixels.

    hidden: weight layers before the classifier; dropout: of what the first of them gets, or the classifier.
    key: of its weights, folded into the network's.
    """

    key: int
    pre: str = ""
    pool: Pool | None = None
    mean: bool = True
    hidden: tuple[WeightSpec, ...] = ()
    dropout: float = 0.0


@dataclass(frozen=True)
class NetworkPlan:
    """A network as plain data. auxiliary: heads that training adds, with the number of the unit that each follows."""

    units: tuple[UnitPlan, ...]
    head: HeadPlan
    auxiliary: tuple[tuple[int, HeadPlan], ...] = ()

    def layer_depths(self) -> list[int]:
        """Weight layers on the longest way from the images to every unit's input, and to the last one's output."""
        return list(accumulate((unit.layers for unit in self.units), initial=0))

    def sizes(self, shape: tuple[int, ...]) -> tuple[list[int], list[int]]:
        """Heights and widths of every unit's input, and of the last one's output, for images of such a shape."""
        height, width = shape[:2]
        return input_sizes(self.units, height), input_sizes(self.units, width)

    def fits(self, pixels: int) -> bool:
        """Whether images of so many pixels a side leave some everywhere."""
        sizes = input_sizes(self.units, pixels)
        heads = [(sizes[-1], self.head), *((sizes[unit + 1], head) for unit, head in self.auxiliary)]
        return min(sizes) > 0 and all(head.pool is None or head.pool.size(size) > 0 for size, head in heads)
