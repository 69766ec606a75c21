"""A unit plan as a chain of operations, each with what it does to the state and to the gradient going back."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from resjax.config import ModelConfig
from resjax.plans.plan import UnitPlan, WeightSpec
from resjax.shortcuts import SHORTCUTS
from resjax.theory import state as mf
from resjax.theory.state import Back, Gradient, State, Step, mean

SIMPLE = ("none", "identity", "scaled", "projection_b", "projection_c", "conv1x1", "dropout", "stochastic_depth")
ZERO_BRANCH = ("rezero", "skipinit")


class Unpredicted(Exception):  # noqa: N818 - not an error: an answer
    """Why nothing is predicted of a network."""


@dataclass(frozen=True)
class WeightLayer:
    """A weight layer of a branch. inputs: of one neuron, n; out: its outputs' channels.

    q: second moment of an input; inside: the share of w's entries that lie on the image; variance: inside n Var(w);
    gain: |dL/d(W x)|^2 over that of the branch's output.
    """

    name: str
    inputs: int
    out: int
    q: float
    inside: float
    variance: float
    gain: float


@dataclass(frozen=True)
class Passage:
    """One unit: the state behind it, what the branch adds, its weight layers.

    back: from dL/dh to dL/dx and the mean square of the gradient at the branch's output.
    """

    after: State
    branch: State
    layers: list[WeightLayer]
    back: Callable[[Gradient], tuple[Gradient, float]]


@dataclass(frozen=True)
class Surroundings:
    """Where a unit stands. batch norm is over examples times pixels (of each response).

    inside: the share of a kernel's entries that lie on the image rather than on the zeros around it, by response;
    progress: l / L. residual, depth: branches of the network and weight layers of one (for Fixup).
    """

    config: ModelConfig
    examples: int
    pixels: tuple[int, ...]
    inside: tuple[float, ...]
    progress: float
    residual: int
    depth: int


def passed(unit: UnitPlan, x: State, at: Surroundings) -> Passage:
    """What a unit does. Raises Unpredicted for what the recursions do not know."""
    _check(unit, at.config)
    plain, order = unit.shortcut == "none", unit.order
    x, undrop = mf.dropped(x, unit.dropout)
    entered, enter_back = operations(order.pre, x, at, 0)
    f, layers, through = _branch(unit, entered, at, order.last + order.after if plain else order.last)
    if plain:
        return Passage(f, f, layers, lambda grad: (undrop(enter_back(through * mean(grad))), mean(grad)))
    skip, skip_back = _shortcut(unit, entered if unit.shared else x, at)
    share = _branch_share(unit, at)
    f = mf.sometimes(f, share) if unit.shortcut == "stochastic_depth" else mf.scaled(f, math.sqrt(share))[0]
    h, after_back = operations(order.after, mf.added(skip, f), at, -1)

    def back(grad: Gradient) -> tuple[Gradient, float]:
        grad = after_back(grad)
        branch, along = share * mean(grad), skip_back(grad)
        into = enter_back(through * branch + along) if unit.shared else enter_back(through * branch) + along
        return undrop(into), branch

    return Passage(h, f, layers, back)


def _check(unit: UnitPlan, config: ModelConfig) -> None:
    if unit.pool is not None or any(path.pool is not None for path in unit.paths):
        raise Unpredicted("pooling is no part of the recursions")
    if len(unit.paths) > 1:
        raise Unpredicted("paths side by side are no part of the recursions")
    if unit.shortcut not in (*SIMPLE, *ZERO_BRANCH):
        raise Unpredicted(f"the shortcut {unit.shortcut} is no part of the recursions")
    if config.init == "looks_linear":
        raise Unpredicted("looks-linear weights come in pairs, and the recursions take them as independent")


def operations(letters: str, x: State, at: Surroundings, response: int) -> Step:
    """Norm and activation by their letters. Without a norm there is a bias, 0 at first."""
    config = at.config
    norm = config.norm if "n" in letters and config.init != "fixup" else "none"
    activation = config.activation if "a" in letters else "linear"
    if norm == "batch":
        return mf.normalise(x, at.examples * at.pixels[response], activation)
    if norm in ("layer", "group"):
        return mf.standardise(x, activation)
    return mf.activate(x, activation) if "a" in letters else mf.same(x)


def _branch(unit: UnitPlan, x: State, at: Surroundings, end: str) -> tuple[State, list[WeightLayer], float]:
    """f, its weight layers with the gain from f back to each, and the gain from f to x.

    end: letters behind the last.
    """
    specs, order, before = unit.paths[0].specs, unit.order, unit.before
    made: list[tuple[WeightSpec, int, float, float, float, Back, Back]] = []
    for number, spec in enumerate(specs):
        last = number == len(specs) - 1
        x, pre = operations(order.pre, x, at, number) if number else mf.same(x)
        place = "stem" if unit.stage == 0 else "branch_last" if last and unit.shortcut != "none" else "hidden"
        variance = weight_variance(at, spec, before, at.inside[number], place)
        q = x.q
        x, _ = mf.weights(x, variance)
        x, post = operations(end if last else order.post, x, at, number)
        made.append((spec, before, q, at.inside[number], variance, pre, post))
        before = spec.channels
    layers, gain = list[WeightLayer](), 1.0
    for spec, before, q, inside, variance, pre, post in reversed(made):
        gain = mean(post(gain))
        inputs = max(spec.side, 1) ** 2 * before
        layers.append(WeightLayer(spec.name, inputs, spec.channels, q, inside, variance, gain))
        gain = mean(pre(variance * gain))
    return x, layers[::-1], gain


def weight_variance(
    at: Surroundings, spec: WeightSpec, before: int, inside: float = 1.0, place: str = "shortcut"
) -> float:
    """n Var(w), n the inputs of a neuron that lie on the image: the factor of a second moment, and of a gradient's."""
    config, n, out = at.config, max(spec.side, 1) ** 2 * before, max(spec.side, 1) ** 2 * spec.channels
    fixup = 0.0 if place in ("branch_last", "head") else 2.0
    if place == "hidden" and at.depth > 1:
        fixup *= at.residual ** (-1 / (at.depth - 1))
    law = {
        "he": 2.0,
        "lecun": 1.0,
        "glorot": 2 * n / (n + out),
        "orthogonal": n / max(n, spec.channels),
        "delta_orthogonal": before / max(before, spec.channels),
        "fixup": fixup,
    }
    return config.init_gain**2 * law[config.init] * (1.0 if config.init == "delta_orthogonal" else inside)


def _shortcut(unit: UnitPlan, x: State, at: Surroundings) -> Step:
    """What the shortcut adds."""
    config, row = at.config, SHORTCUTS[unit.shortcut]
    if row.needs and unit.shortcut not in ZERO_BRANCH and (row.elsewhere is None or unit.changes):
        spec = WeightSpec(1 if unit.paths[0].specs[0].side else 0, unit.after)
        projected, back = mf.weights(x, weight_variance(at, spec, unit.before))
        letters = "n" if "projection" in row.needs and "n" in unit.order.last else ""
        after, norm_back = operations(letters, projected, at, -1)
        return after, lambda grad: back(norm_back(grad))
    wide, widen_back = mf.widened(x, unit.before / unit.branch_channels)
    factor = config.shortcut_scale if unit.shortcut == "scaled" else 1.0
    rate = config.shortcut_dropout if unit.shortcut == "dropout" else 0.0
    after, drop_back = mf.dropped(mf.scaled(wide, factor)[0], rate)
    return after, lambda grad: widen_back(factor**2 * drop_back(grad))


def _branch_share(unit: UnitPlan, at: Surroundings) -> float:
    """The factor of f^2: of its scale, or how often the branch is there."""
    if unit.shortcut == "scaled":
        return at.config.branch_scale**2
    if unit.shortcut == "stochastic_depth":
        return 1 - at.progress * (1 - at.config.survival)
    return 0.0 if unit.shortcut in ZERO_BRANCH else 1.0
