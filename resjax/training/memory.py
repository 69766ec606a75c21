"""Want of memory: what training takes, and what is said where there is not enough."""

import re
from typing import Any

import jax

from resjax.config import Config
from resjax.data.source import Images
from resjax.errors import OutOfMemoryError
from resjax.models import Model, build, counts
from resjax.training.parallel import choose
from resjax.training.precision import precision
from resjax.training.seeds import as_products, side_by_side

EXHAUSTED = re.compile(r"RESOURCE_EXHAUSTED|out of memory", re.IGNORECASE)
WANTED = re.compile(r"allocat\w*[^\d]*?([\d.]+) ?(bytes|B\b|[KMGT]i?B?\b)(?: \((\d+)B\))?", re.IGNORECASE)
UNITS = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "b": 1}
GIGABYTE = 1e9


def activation_bytes(config: Config, model: Model) -> int:
    """What the backward pass of training keeps of a batch."""
    return counts.activation_bytes(model, config.train.batch_size, precision(config).computes)


def training_bytes(config: Config, model: Model, devices: int) -> int:
    """States, activations and work space, on all devices: an estimate (models/counts.py). Probes keep float32."""
    batch, kept = max(config.train.batch_size, config.probes.batch_size), 3 if config.optimizer.name == "adam" else 2
    looked_at = counts.activation_bytes(model, config.probes.batch_size, precision(config).keeps)
    largest = max(activation_bytes(config, model), looked_at)
    at_once, products = side_by_side(config), as_products(config)
    return counts.training_bytes(model, batch, config.seeds, devices, kept, at_once, largest, products)


def is_wanting(error: BaseException) -> bool:
    """Whether it is for want of memory that something failed."""
    return isinstance(error, MemoryError) or EXHAUSTED.search(str(error)) is not None


def explained(error: BaseException, config: Config, source: Images) -> OutOfMemoryError:
    """What is wanting, and what to change."""
    layout = choose(config)
    model = build(config.model, source.shape, source.classes, precision(config).keeps)
    return out_of_memory(str(error), config, limit_of(layout.home), training_bytes(config, model, len(layout.devices)))


def limit_of(device: Any) -> int | None:
    """Bytes that JAX may take of a device's memory; None where it does not say, as on a CPU."""
    return (device.memory_stats() or {}).get("bytes_limit")


def out_of_memory(said: str, config: Config, limit: int | None, needed: int) -> OutOfMemoryError:
    """The error, from what XLA said of it."""
    found = WANTED.search(said)
    wanted = None if found is None else int(found[3] or float(found[1]) * UNITS[found[2][0].lower()])
    lines = ["out of memory" + ("" if wanted is None else f": {wanted / GIGABYTE:.2f} GB more could not be had")]
    lines[0] += "" if limit is None else f" of the {limit / GIGABYTE:.1f} GB that JAX may take of a device"
    lines.append(f"Expected room for about {needed / GIGABYTE:.2f} GB in training (resjax predict, training_bytes).")
    lines.append(f"Type one of: {', '.join(remedies(config))}")
    return OutOfMemoryError("\n".join(lines), {"bytes_wanted": wanted, "bytes_needed": needed, "bytes_limit": limit})


def remedies(config: Config) -> list[str]:
    """Settings that take less memory; first those that leave the run the same one."""
    found = [] if config.model.remat else ["model.remat=true"]
    found += ["parallel.seeds_axis=map"] if config.seeds > 1 and side_by_side(config) else []
    found += [] if jax.default_backend() == "cpu" else ["parallel.memory_fraction=0.95 (or fewer runs at once)"]
    found += ["seeds=1 (the other seeds as runs of their own)"] if config.seeds > 1 else []
    found += ["train.precision=bfloat16 (another run)"] if config.train.precision == "float32" else []
    half = config.train.batch_size // 2
    return [*found, *([f"train.batch_size={half} (another run)"] if half else [])]
