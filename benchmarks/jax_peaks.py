"""What JAX can do on this machine at best, and what XLA counts for a program."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from benchmarks.protocol import Reply
from benchmarks.sizes import SIZES


def peaks(repeats: int) -> Reply:
    """FLOP/s of a square matrix product, bytes/s of x <- s x + y; float32, on the first device, all its threads."""
    size = SIZES[platform()]
    key = jax.random.key(0)
    a = jax.random.normal(key, (size.matrix, size.matrix))
    x, y = jnp.zeros(size.vector), jnp.ones(size.vector)
    product = jax.jit(lambda a: a @ a)
    flops = [2 * size.matrix**3 / seconds for seconds in timed(lambda: product(a), repeats)]

    @partial(jax.jit, donate_argnums=0)
    def triad(x: Array, y: Array) -> Array:
        return 0.5 * x + y

    def again() -> Array:
        nonlocal x
        x = triad(x, y)
        return x

    return {"flops_per_s": flops, "bytes_per_s": [12 * size.vector / seconds for seconds in timed(again, repeats)]}


def timed(call: Callable[[], Array], repeats: int) -> list[float]:
    """Seconds of each call but the first two."""
    found = []
    for _ in range(repeats + 2):
        start = time.perf_counter()
        jax.block_until_ready(call())
        found.append(time.perf_counter() - start)
    return found[2:]


def platform() -> str:
    """What JAX computes on, cpu or gpu. Where it finds no GPU it takes the CPU, and says nothing."""
    return "cpu" if jax.default_backend() == "cpu" else "gpu"


def device_memory() -> int | None:
    """Peak bytes in use on the first device, None on a CPU."""
    statistics = jax.devices()[0].memory_stats()
    return None if jax.default_backend() == "cpu" or not statistics else statistics["peak_bytes_in_use"]


def cost_of(compiled: Any, devices: int) -> Reply:
    """XLA's count for a compiled program on `devices` devices: FLOPs, bytes that its operations read and write."""
    counted = compiled.cost_analysis()
    planned = compiled.memory_analysis()
    return {
        "flops": devices * counted["flops"],
        "bytes": devices * counted["bytes accessed"],
        "temporary_bytes": devices * planned.temp_size_in_bytes if planned else None,
    }
