"""What can be known of a run before it: the network's size, work and memory. Nothing is trained, no data are read."""

import math
from dataclasses import asdict
from typing import Any

from resjax.config import Config
from resjax.data import source
from resjax.identity import arm, special
from resjax.job import start_jax

PROCESS_BYTES = 1_500_000_000  # interpreter, libraries and compiler on a CPU: ResNet-20's peak without its training


def predict(config: Config) -> dict[str, Any]:
    """Parameters, multiply-adds of one image's forward pass, bytes of memory, and the same by stage.

    special: order, unit, activation and init where they are not the family's; weight_layers: with those of shortcuts.
    parameter_bytes, optimizer_bytes: of one seed's parameters, and of what the optimiser keeps; activation_bytes: what
    the backward pass keeps of one batch; training_bytes: states, activations and work space; memory_bytes: in all, with
    the data set, on the host and on every device, and the process itself, an estimate from above (docs/performance.md).
    Raises InputError where the network cannot be built for the data's images.
    """
    start_jax(config)
    from resjax.models import build, counts  # JAX is imported from here on
    from resjax.training import parallel, seeds
    from resjax.training.programs import DTYPES

    shape, classes = source.shape_of(config.data)
    model = build(config.model, shape, classes, DTYPES[config.train.precision])
    rows = counts.by_stage(model)
    parameters = counts.parameters(model)
    kept = 3 if config.optimizer.name == "adam" else 2  # a number for the parameter, and one a moment
    side_by_side = seeds.seeds_axis(config) == "vmap"
    devices = len(parallel.choose(config).devices)
    batch = max(config.train.batch_size, config.probes.batch_size)  # the probes keep as much of theirs
    training = counts.training_bytes(model, batch, config.seeds, devices, kept, side_by_side)
    data = (devices + 1) * source.examples_of(config.data) * math.prod(shape)
    size = parameters * DTYPES[config.train.precision].dtype.itemsize
    return {
        "model": config.model.name,
        "special": special(config.model),
        "arm": arm(config),
        "depth": config.model.depth,
        "image": list(shape),
        "classes": classes,
        "parameters": parameters,
        "multiply_adds": sum(row.multiply_adds for row in rows),
        "weight_layers": len(model.weight_layers),
        "units": len(model.units),
        "batch_size": config.train.batch_size,
        "parameter_bytes": size,
        "optimizer_bytes": size * (kept - 1),
        "activation_bytes": counts.activation_bytes(model, config.train.batch_size),
        "training_bytes": training,
        "memory_bytes": PROCESS_BYTES + data + training,
        "stages": [asdict(row) | {"shape": list(row.shape)} for row in rows],
    }
