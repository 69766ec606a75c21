"""How long training takes on this machine, from a matrix product's speed: an estimate, and where it may be wrong.

A step's arithmetic is taken to run at a share of a matrix product's rate, and every weight layer to cost a fixed time
besides. The share lies between those of two machines: 0.5 of ResNet-20 in docs/performance.md (44 G multiply-adds a
second of 86 to 92), and 0.36 of the nets of experiments/degradation_laptop (24 of 66). The fixed time is a guess.
Of other devices nothing was measured: of GPUs stands what others printed, and is said to be that.
"""

import time
from dataclasses import dataclass
from functools import cache

import numpy as np

from resjax.errors import InputError

EDGE, TRIALS = 1024, 4  # of the matrices multiplied
SHARE = 0.43  # of their rate, in multiply-adds of convolutions, forward and twice that backward
LAYER_SECONDS = 1.5e-4  # a step and weight layer besides
COMPILE_SECONDS = 40.0  # cold, at any depth, the probes' program with it: experiments/degradation_laptop
PASSES = 3  # a forward pass, and a backward one that is two

# Images a second of one of eight GPUs that train ResNet-50 (v1.5, 224 pixels) together, as NVIDIA printed them for its
# PyTorch code (DeepLearningExamples, PyTorch/Classification/ConvNets/README.md, container 20.06, a whole epoch with its
# input). Not resjax's: a guide to what a GPU can do. By GPU and the arithmetic that ours comes nearest to: mixed
# precision was of float16, which A100s multiply as fast as bfloat16, and V100s have no bfloat16.
PUBLISHED = {
    ("A100", "TF32"): 5322.10 / 8,
    ("A100", "16 bits"): 9488.39 / 8,
    ("V100", "float32"): 2869.19 / 8,
}
COMPARABLE = 10.0  # times as many multiply-adds an image, or as few: further off the rate says nothing
PUBLISHED_MULTIPLY_ADDS = 4.09e9  # of that net and image (resjax predict with model.bottleneck=v1.5 says it)
GPUS = tuple(dict.fromkeys(name for name, _ in PUBLISHED))
EPOCHS = 90


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


@dataclass(frozen=True)
class Course:
    """Seconds of so many epochs on so many GPUs; images a second in all; what the number of one GPU rests on."""

    gpus: int
    epochs: int
    images_per_s: float
    seconds: float
    rests_on: str


def course(gpus: int, multiply_adds: int, images: int, precision: str, gpu: str, rate: float | None) -> Course:
    """EPOCHS epochs of one seed, as if GPUs' rates added up. rate: images a second that one of them was measured at.

    Without one, NVIDIA's of another net and other code, in proportion to the multiply-adds. InputError where that net
    is of another size altogether.
    """
    rests_on = "the rate given, added up over the GPUs"
    if rate is None:
        if not 1 / COMPARABLE <= multiply_adds / PUBLISHED_MULTIPLY_ADDS <= COMPARABLE:
            raise InputError(
                f"the net takes {multiply_adds / 1e9:.3g} G multiply-adds an image, and ResNet-50, whose rate is known,"
                f" {PUBLISHED_MULTIPLY_ADDS / 1e9:.3g} G.\nExpected {PUBLISHED_MULTIPLY_ADDS / COMPARABLE / 1e9:.2g} "
                f"to {PUBLISHED_MULTIPLY_ADDS * COMPARABLE / 1e9:.2g} G; or a rate that you measured.\n"
                "Type: --images-per-s=RATE, which resjax data speed measures on one GPU"
            )
        rate = PUBLISHED[gpu, precision] * PUBLISHED_MULTIPLY_ADDS / multiply_adds
        rests_on = f"NVIDIA's PyTorch ResNet-50 on {gpu}s, {precision}, by multiply-adds: not measured with resjax"
    return Course(gpus, EPOCHS, gpus * rate, EPOCHS * images / (gpus * rate), rests_on)


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
