"""Several seeds in one program: in turn, or side by side."""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax

from resjax.config import Config


def over_seeds(config: Config) -> Callable[..., Any]:
    """each(f, *trees): f of every seed, whose axis leads every leaf of the trees and of the result.

    In turn (`map`) or side by side (`vmap`), as `seeds_axis` says; the numbers are the same but for rounding.
    """
    if seeds_axis(config) == "vmap":
        return lambda f, *trees: jax.vmap(f)(*trees)
    return lambda f, *trees: lax.map(lambda seed: f(*seed), trees)


def seeds_axis(config: Config) -> str:
    """How seeds run: what `parallel.seeds_axis` names, or for auto the faster way on a CPU (docs/performance.md).

    vmap makes one product of the seeds' dense layers, and of their convolutions a grouped one, which is slow: so vmap
    for nets without convolutions, map for the others. On other backends the rule is the same, and unmeasured.
    """
    if config.parallel.seeds_axis != "auto":
        return config.parallel.seeds_axis
    return "vmap" if config.model.name == "mlp" else "map"
