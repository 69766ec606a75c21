"""What mean-field theory carries from layer to layer of one wide network, for two examples at once, there and back.

x, x' are one neuron's values for two examples, over the neurons: mean = E x, q = E x^2, p = E x x'. The correlation
c = p / q is the cosine between two examples; the variance over a large batch, a neuron on its own, is q - p, what batch
norm divides by. A weight layer's outputs are Gaussian. Where an activation follows an addition they are not, and what
comes back through it depends on the value: then a sample of pairs is followed through the units, there and back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from scipy.special import ndtri

from resjax.theory.batchnorm import normalised
from resjax.theory.gaussian import ACTIVATIONS, Array, moments

SAMPLE = 2**12  # pairs
LARGEST, SMALLEST = 1e300, 1e-300  # of a second moment

Draw = Callable[[], Array]
Gradient = float | Array  # the square of dL/dx relative to some other, as a mean, or pair by pair of the sample
Back = Callable[[Gradient], Gradient]


@dataclass
class State:
    """mean, q, p as above. draw: gives the sample, (2, SAMPLE); None for a Gaussian of mean zero."""

    mean: float
    q: float
    p: float
    draw: Draw | None = None
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0), repr=False)
    drawn: Array | None = field(default=None, repr=False)

    @property
    def variance(self) -> float:
        """Over a large batch, a neuron on its own."""
        return max(self.q - self.p, 0.0)

    @property
    def correlation(self) -> float:
        """Between two examples."""
        return self.p / self.q if self.q > 0 else 0.0

    @property
    def pairs(self) -> Array:
        """The sample, always the same; of a Gaussian by strata, so that its moments are nearly exact."""
        if self.drawn is None:
            self.drawn = self.draw() if self.draw else self._normal()
        return self.drawn

    def _normal(self) -> Array:
        strata = _strata()
        z, w = (self.random.permutation(strata) for _ in range(2))
        c = min(max(self.correlation, -1.0), 1.0)
        return np.sqrt(self.q) * np.stack([z, c * z + np.sqrt(1 - c**2) * w])


@cache
def _strata() -> Array:
    """One normal number from each of SAMPLE strata of equal probability."""
    return ndtri((np.arange(SAMPLE) + 0.5) / SAMPLE)


Step = tuple[State, Back]


def gaussian(q: float, p: float, random: np.random.Generator) -> State:
    """Pre-activations: Gaussian, of mean zero."""
    return State(0.0, min(q, LARGEST), min(p, LARGEST), random=random)


def same(x: State) -> Step:
    """x."""
    return x, lambda grad: grad


def weights(x: State, variance: float) -> Step:
    """W x, the weights of a neuron's inputs having `variance` in all: q = variance E x^2. So has W' going back."""
    return gaussian(variance * x.q, variance * x.p, x.random), lambda grad: variance * mean(grad)


def normalise(x: State, batch: int, name: str = "linear") -> Step:
    """f(y), y the batch norm of x, for batches of so many (`batchnorm`); what is not Gaussian is taken for it."""
    found, y = normalised(name, batch), gaussian(1.0, 0.0, x.random)
    factor = found.slope / max(x.variance, SMALLEST)
    return _behind(name, y, found.mean, found.q, found.p), lambda grad: factor * _let_through(name, y, grad)


def standardise(x: State, name: str = "linear") -> Step:
    """f(y), y the layer norm of x: over an example's neurons, which are many. Group norm is taken for it."""
    spread = max(x.q - x.mean**2, SMALLEST)
    after, back = activate(gaussian(1.0, (x.p - x.mean**2) / spread, x.random), name)
    return after, lambda grad: mean(back(grad)) / spread


def activate(x: State, name: str) -> Step:
    """f(x)."""
    g = ACTIVATIONS[name]
    if x.draw is None:
        found = moments(name, x.q, x.p)
        after = _behind(name, x, found.mean, found.q, found.p)
        return after, lambda grad: found.slope * _let_through(name, x, grad)
    y = g.f(x.pairs)
    q, p = (min(float(np.mean(product)), LARGEST) for product in (y**2, y[0] * y[1]))
    return State(float(y.mean()), q, p, lambda: y, x.random), lambda grad: grad * g.df(x.pairs) ** 2


def _behind(name: str, x: State, mean: float, q: float, p: float) -> State:
    """f(x) of a Gaussian x."""
    draw = None if name == "linear" else lambda: ACTIVATIONS[name].f(x.pairs)
    return State(mean, q, p, draw, x.random)


def _let_through(name: str, x: State, grad: Gradient) -> float:
    """The mean of `grad` where f lets it through: more than its mean, if it is larger there."""
    if isinstance(grad, float):
        return grad
    slopes = ACTIVATIONS[name].df(x.pairs) ** 2
    return float(np.mean(grad * slopes) / np.mean(slopes))


def sometimes(x: State, share: float) -> State:
    """b x, b 1 in a share of the passes and else 0, for all examples at once: the means over the passes."""
    draw = None if x.draw is None else lambda: np.sqrt(share) * x.pairs
    return State(share * x.mean, share * x.q, share * x.p, draw, x.random)


def scaled(x: State, factor: float) -> Step:
    """factor x."""
    draw = None if x.draw is None else lambda: factor * x.pairs
    after = State(factor * x.mean, factor**2 * x.q, factor**2 * x.p, draw, x.random)
    return after, lambda grad: factor**2 * grad


def dropped(x: State, rate: float) -> Step:
    """Dropout, x b / (1 - rate), b 0 or 1. Two examples lose different entries, so p stays."""
    if not rate:
        return same(x)
    kept = (x.random.random((2, SAMPLE)) >= rate) / (1 - rate)
    after = State(x.mean, x.q / (1 - rate), x.p, lambda: x.pairs * kept, x.random)
    return after, lambda grad: grad / (1 - rate) if isinstance(grad, float) else grad * kept**2


def widened(x: State, share: float) -> Step:
    """x among channels of zeros, a share of all (option A). What comes back to those is lost."""
    if share == 1:
        return same(x)
    kept = x.random.permutation(SAMPLE)[: round(share * SAMPLE)]

    def draw() -> Array:
        return np.concatenate([x.pairs[:, kept], np.zeros((2, SAMPLE - len(kept)))], axis=1)

    def back(grad: Gradient) -> Gradient:
        """Of a value that was not kept: that of the nearest one that was, or their mean, as of relu's zeros."""
        if isinstance(grad, float):
            return share * grad
        rows = []
        for values, grads in zip(x.pairs, grad, strict=True):
            known, which = np.unique(values[kept], return_inverse=True)  # argsort orders equals as the CPU likes
            means = np.bincount(which, grads[: len(kept)]) / np.bincount(which)
            rows.append(means[np.searchsorted(known, values).clip(max=len(known) - 1)])
        return share * np.stack(rows)

    return State(share * x.mean, share * x.q, share * x.p, draw, x.random), back


def added(x: State, f: State) -> State:
    """x + f, f independent of x, as the weights that f comes from are. What comes back goes to both."""
    cross = 2 * x.mean * f.mean

    def draw() -> Array:
        return x.pairs + f.pairs[:, x.random.permutation(SAMPLE)]

    normal = x.draw is None and f.draw is None
    q, p = min(x.q + f.q + cross, LARGEST), min(x.p + f.p + cross, LARGEST)
    return State(x.mean + f.mean, q, p, None if normal else draw, x.random)


def mean(grad: Gradient) -> float:
    """Over the sample."""
    return float(np.mean(grad))
