"""Whether devices compute rightly, and with how many digits: a product and a convolution against NumPy's float64."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from resjax.config import TrainConfig
from resjax.doctor.check import FAILED, OK, WARN, Check
from resjax.models.convolution import conv2d

EDGE = 256  # of the matrices
IMAGES, SIDE, CHANNELS = 4, 16, 32  # of the convolution
# Error, relative to the result's length, below which arithmetic is like this. Inputs that are rounded to 11, 8 bits
# (TF32, bfloat16) err by about 3e-4 and 2e-3; float32 by 1e-7 to 1e-6 (Winograd's form of convolutions).
FLOAT64, FLOAT32, TF32, BFLOAT16 = (1e-13, "float64"), (1e-5, "float32"), (1e-3, "like TF32"), (1e-2, "like bfloat16")
EXACT = "train.tf32=false, for whole digits (slower)"

Compute = Callable[[Any, Any], Any]


def checks(devices: Sequence[Any], train: TrainConfig) -> Iterator[Check]:
    """A product and a 3x3 convolution on each of these devices, in the type that train.precision computes in."""
    precision = train.precision
    own = [device for device in devices if device.process_index == jax.process_index()]
    yield verdict("product", max(product_error(jnp.matmul, precision, device) for device in own), train)
    yield verdict("convolution", max(convolution_error(conv2d, precision, device) for device in own), train)


def product_error(multiply: Compute, precision: str, device: Any = None) -> float:
    """|got - a b| / |a b|; a, b: (EDGE, EDGE) of normal numbers, as exact in `precision` as in float64."""
    a, b = normal((2, EDGE, EDGE), precision)
    return relative_error(computed(multiply, a, b, device), a.astype(np.float64) @ b.astype(np.float64))


def convolution_error(convolve: Compute, precision: str, device: Any = None) -> float:
    """The same of a 3x3 convolution, NHWC by HWIO, a zero around the image."""
    x = normal((IMAGES, SIDE, SIDE, CHANNELS), precision)
    kernel = normal((3, 3, CHANNELS, CHANNELS), precision)
    wide = np.pad(x.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(wide, (3, 3), axis=(1, 2))
    exact = np.einsum("bhwcij,ijco->bhwo", windows, kernel.astype(np.float64), optimize=True)
    return relative_error(computed(convolve, x, kernel, device), exact)


def normal(shape: tuple[int, ...], precision: str) -> np.ndarray:
    """The same normal numbers every time."""
    return np.random.default_rng(0).standard_normal(shape).astype(precision)


def computed(compute: Compute, a: np.ndarray, b: np.ndarray, device: Any) -> np.ndarray:
    """What the device makes of them, in float64."""
    return np.asarray(jax.jit(compute)(*jax.device_put((a, b), device)), np.float64)


def relative_error(got: np.ndarray, exact: np.ndarray) -> float:
    """|got - exact| / |exact|; infinite where something is not finite."""
    error = float(np.linalg.norm(got - exact) / np.linalg.norm(exact))
    return error if np.isfinite(error) else float("inf")


def allowed(train: TrainConfig) -> float:
    """The error below which a device keeps what the settings promise."""
    rounds = train.precision == "bfloat16" or (train.precision == "float32" and train.tf32)
    return BFLOAT16[0] if rounds else {"float32": FLOAT32, "float64": FLOAT64}[train.precision][0]


def verdict(name: str, error: float, train: TrainConfig) -> Check:
    """What such an error says, beside what the settings promise."""
    word = next((word for most, word in (FLOAT64, FLOAT32, TF32, BFLOAT16) if error < most), None)
    numbers = {f"{name}_error": error if np.isfinite(error) else None, f"{name}_is": word}
    if word is None:
        told = f"wrong: off by {error:.1e} of its length"
        return Check(name, FAILED, told, "the same on another device, or with another driver: this one errs", numbers)
    said = f"{word}: off by {error:.1e} of its length"
    if error < allowed(train):
        return Check(name, OK, said, numbers=numbers)
    return Check(name, WARN, f"{said}, where train.precision={train.precision}", EXACT, numbers)
