"""What the recursions say of a whole network at step 0: the state at every unit, and the gradient on its way back."""

import math
from dataclasses import dataclass

import numpy as np

from resjax.config import ModelConfig, completed
from resjax.plans.plan import NetworkPlan, UnitPlan, WeightSpec, runs_of
from resjax.plans.table import plan_of
from resjax.theory.chain import Passage, Surroundings, Unpredicted, operations, passed, weight_variance
from resjax.theory.state import LARGEST, SMALLEST, Gradient, State, gaussian, mean

ASSUMPTIONS = (
    "every layer is so wide that its pre-activations are Gaussian, and a finite one's fluctuations do not add up",
    "weights on the way back are independent of those on the way forward",
    "images have mean 0 and variance 1 at every pixel, and different ones are uncorrelated",
    "what images and places add to a weight's gradient is not aligned (off by up to 3 at width 256, docs/atlas.md)",
    "a map's activations are alike at every pixel; the zeros around it are counted, by their average",
)
LOST = 1e-9  # of q
CLASSES = 10  # of which Glorot's law for the head asks, and little depends on it
OF_BATCH_NORM = "pixels of one image share batch statistics as if they were examples"


@dataclass(frozen=True)
class Unit:
    """What is expected of one unit. act_q, act_var, correlation: of its output; branch_var: of what the branch adds.

    log_grad: ln of |dL/dh| over that of the last unit.
    """

    name: str
    stage: int
    layer_depth: int
    act_q: float
    act_var: float
    correlation: float
    branch_var: float
    log_grad: float


@dataclass(frozen=True)
class Weight:
    """What is expected of one weight layer of a branch: ln of |dL/dw| over |dL/dh| of the last unit; ln |w|.

    entries: of w.
    """

    name: str
    stage: int
    layer_depth: int
    log_grad: float
    log_norm: float
    entries: int


@dataclass(frozen=True)
class HeadEnd:
    """The classifier. variance: n Var(w); q: second moment of what it gets, a mean over `pixels`.

    gain: from |dL/d(what is pooled)|^2 to |dL/dh|^2, h the last unit's output.
    """

    variance: float
    q: float
    gain: float
    pixels: int


@dataclass(frozen=True)
class Profile:
    """Units and weight layers in forward order, the head where it is a mean and one layer; what they rest on."""

    units: list[Unit]
    weights: list[Weight]
    head: HeadEnd | None
    assumptions: tuple[str, ...]


def profile(model: ModelConfig, image: tuple[int, ...], batch: int) -> Profile:
    """What mean-field theory expects of the network for images (height, width, channel).

    batch: examples that share batch statistics. Raises Unpredicted, with the reason, where it expects nothing.
    """
    model = completed(model)
    plan = plan_of(model, image)
    names = [run.unit_name(index) for run in runs_of(plan.units) for index in range(run.count)]
    with np.errstate(over="ignore", invalid="ignore"):
        passages = walk(model, plan, image, batch)
    at_units, at_branches = returned(passages)
    depths, units, weights = plan.layer_depths(), [], []
    for number, (unit, name, passage) in enumerate(zip(plan.units, names, passages, strict=True)):
        units.append(_unit(unit, name, passage, at_units[number], depths[number + 1]))
        weights += _weights(unit, name, passage, at_branches[number], depths[number])
    extra = (OF_BATCH_NORM,) if model.norm == "batch" and not plan.units[0].dense else ()
    return Profile(units, weights, head_end(model, plan, image, batch, passages[-1].after), ASSUMPTIONS + extra)


def walk(model: ModelConfig, plan: NetworkPlan, image: tuple[int, ...], batch: int) -> list[Passage]:
    """Every unit, from the images on."""
    heights, widths = plan.sizes(image)
    state = gaussian(1.0, 0.0, np.random.default_rng(0))
    joined = [unit for unit in plan.units if unit.shortcut != "none"]
    layers = max((unit.layers for unit in joined), default=1)
    places = np.cumsum([unit.stage > 0 for unit in plan.units])
    found = []
    for unit, place, height, width in zip(plan.units, places, heights, widths, strict=False):
        sizes = list(zip(unit.sizes(height), unit.sizes(width), strict=True))
        at = Surroundings(
            model,
            batch,
            tuple(h * w for h, w in sizes),
            inside(unit, (height, width), sizes),
            float(place / max(places[-1], 1)),
            len(joined),
            layers,
        )
        found.append(passed(unit, state, at))
        state = found[-1].after
    return found


def head_end(model: ModelConfig, plan: NetworkPlan, image: tuple[int, ...], batch: int, last: State) -> HeadEnd | None:
    """The head; None where it is more than a mean over pixels and a layer."""
    head = plan.head
    if head.hidden or head.pool is not None or not head.mean:
        return None
    pixels = 1 if plan.units[-1].dense else math.prod(sizes[-1] for sizes in plan.sizes(image))
    at = Surroundings(model, batch, (pixels,), (1.0,), 1.0, 1, 1)
    entered, back = operations(head.pre, last, at, -1)
    variance = weight_variance(at, WeightSpec(0, CLASSES), plan.units[-1].after, place="head")
    q = entered.p + (entered.q - entered.p) / pixels
    return HeadEnd(variance, q, mean(back(1.0)), pixels)


def returned(passages: list[Passage]) -> tuple[list[float], list[float]]:
    """ln of |dL/dh| and of the gradient at the branch's output, of every unit, over |dL/dh| of the last."""
    at_units, at_branches, log_scale = list[float](), list[float](), 0.0
    grad: Gradient = 1.0
    for passage in reversed(passages):
        size = mean(grad)
        if not SMALLEST < size < LARGEST:
            raise Unpredicted("between two units a gradient vanishes, or overflows, whole")
        log_scale += math.log(size) / 2  # kept apart, as it may leave the range of floating point
        at_units.append(log_scale)
        grad, branch = passage.back(grad / size)
        at_branches.append(log_scale + _log(branch) / 2)
    return at_units[::-1], at_branches[::-1]


def inside(unit: UnitPlan, entering: tuple[int, int], sizes: list[tuple[int, int]]) -> tuple[float, ...]:
    """The share of each kernel's entries that lie on the image, the rest being on the zeros around it."""
    shares = []
    for spec, before, after in zip(unit.paths[0].specs, [entering, *sizes], sizes, strict=False):
        sides = zip(before, after, strict=True)
        shares.append(math.prod(_inside(spec.side, spec.stride, n, out) for n, out in sides) if spec.side else 1.0)
    return tuple(shares)


def _inside(side: int, stride: int, before: int, after: int) -> float:
    """Along one axis, on average over the outputs."""
    first = stride * np.arange(after)[:, None] + np.arange(side) - side // 2
    return float(np.mean((first >= 0) & (first < before)))


def known_variance(state: State) -> float:
    """q - p; nan where the images are so much alike, or q so large, that the difference is lost in rounding."""
    lost = state.variance < LOST * state.q or state.q >= LARGEST
    return math.nan if lost else state.variance


def _unit(unit: UnitPlan, name: str, passage: Passage, log_grad: float, layer_depth: int) -> Unit:
    after = passage.after
    return Unit(
        name,
        unit.stage,
        layer_depth,
        after.q,
        known_variance(after),
        after.correlation,
        known_variance(passage.branch),
        log_grad,
    )


def _weights(unit: UnitPlan, name: str, passage: Passage, log_grad: float, before: int) -> list[Weight]:
    """|dL/dw|^2 = n q |dL/d(W x)|^2 over the n inputs on the image, if what examples and places add is not aligned.

    |w|^2 = outputs n Var(w), with the entries on the zeros.
    """
    return [
        Weight(
            f"{name}.{layer.name}",
            unit.stage,
            before + number,
            log_grad + 0.5 * _log(layer.inputs * layer.inside * layer.q * layer.gain),
            0.5 * _log(layer.out * layer.variance / layer.inside),
            layer.inputs * layer.out,
        )
        for number, layer in enumerate(passage.layers, start=1)
    ]


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf
