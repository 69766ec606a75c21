"""How long training takes on this machine, from a matrix product's speed: an estimate, and where it may be wrong.

A step's arithmetic is taken to run at a share of a matrix product's rate, and every weight layer to cost a fixed time
besides. The share lies between those of two machines: 0.5 of ResNet-20 in docs/performance.md (44 G multiply-adds a
second of 86 to 92), and 0.36 of the nets of experiments/degradation_laptop (24 of 66). The fixed time is a guess.
Nothing was measured on other devices: nothing is said of them.
"""

import time
from dataclasses import dataclass
from functools import cache

import numpy as np

EDGE, TRIALS = 1024, 4  # of the matrices multiplied
SHARE = 0.43  # of their rate, in multiply-adds of convolutions, forward and twice that backward
LAYER_SECONDS = 1.5e-4  # a step and weight layer besides
COMPILE_SECONDS = 40.0  # cold, at any depth, the probes' program with it: experiments/degradation_laptop
PASSES = 3  # a forward pass, and a backward one that is two


@dataclass(frozen=True)
class Estimate:
    """Seconds a step of one seed, and of all that a run does; images a second of one seed."""

    step: float
    run: float
    images_per_s: float


def estimate(multiply_adds: int, layers: int, batch: int, steps: int, seeds: int) -> Estimate:
    """For the forward pass's multiply-adds of one image. Probes and tests come besides."""
    step = PASSES * multiply_adds * batch / (SHARE * multiply_adds_per_s()) + LAYER_SECONDS * layers
    return Estimate(step, COMPILE_SECONDS + steps * seeds * step, batch / step)


@cache
def multiply_adds_per_s() -> float:
    """Of a product of two float32 matrices, the best of a few."""
    a, b = np.ones((2, EDGE, EDGE), np.float32)
    seconds = []
    for _ in range(TRIALS):
        began = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - began)
    return EDGE**3 / min(seconds)
