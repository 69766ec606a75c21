"""What can be known of a run before it: the network's size, work, memory and time, and what theory expects of it.

Nothing is trained, no data are read, and no network is compiled.
"""

import math
from dataclasses import asdict
from typing import Any

from resjax import speed, theory
from resjax.config import Config, ModelConfig, statistics_group
from resjax.data import source
from resjax.identity import arm, special
from resjax.starting import start_jax
from resjax.theory.phase import phase
from resjax.theory.summary import summary
from resjax.theory.training import trainability

PROCESS_BYTES = 1_500_000_000  # interpreter, libraries and compiler on a CPU: ResNet-20's peak without its training


def predict(config: Config) -> dict[str, Any]:
    """Parameters, multiply-adds of one image's forward pass, bytes of memory, and the same by stage.

    special: order, unit, activation and init where they are not the family's; weight_layers: with those of shortcuts.
    parameter_bytes, optimizer_bytes: of one seed's parameters, and of what the optimiser keeps; activation_bytes: what
    the backward pass keeps of one batch; training_bytes: states, activations and work space; memory_bytes: in all, with
    the data set, on the host and on every device, and the process itself, an estimate from above (docs/performance.md).
    theory: `expectations`; time: `duration`.
    Raises InputError where the network cannot be built for the data's images.
    """
    start_jax(config)
    from resjax.models import build, counts  # JAX is imported from here on
    from resjax.training import memory, parallel
    from resjax.training.precision import precision

    shape, classes = source.shape_of(config.data)
    model = build(config.model, shape, classes, precision(config).keeps)
    rows = counts.by_stage(model)
    parameters = counts.parameters(model)
    kept = 3 if config.optimizer.name == "adam" else 2  # a number for the parameter, and one a moment
    devices = len(parallel.choose(config).devices)
    training = memory.training_bytes(config, model, devices)
    data = data_bytes(config, devices, math.prod(shape))
    size = parameters * model.itemsize
    return {
        "model": config.model.name,
        "special": special(config.model),
        "arm": arm(config),
        "norm": config.model.norm,
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
        "activation_bytes": memory.activation_bytes(config, model),
        "training_bytes": training,
        "memory_bytes": PROCESS_BYTES + data + training,
        "theory": expectations(config, shape, classes, devices),
        "time": duration(config, sum(row.multiply_adds for row in rows), len(model.weight_layers)),
        "stages": [asdict(row) | {"shape": list(row.shape)} for row in rows],
    }


def data_bytes(config: Config, devices: int, pixels: int) -> int:
    """The set on the host and on every device; of a streamed one, the batches that are on their way."""
    if not config.data.streamed:
        return (devices + 1) * source.examples_of(config.data) * pixels
    from resjax.data import workers

    batch, wanted = config.train.batch_size * config.seeds * pixels, config.data.workers
    return (2 + workers.held(workers.usual() if wanted is None else wanted)) * batch


def expectations(config: Config, image: tuple[int, ...], classes: int, devices: int) -> dict[str, Any]:
    """What mean-field theory expects at step 0 (resjax/theory), or {"nothing": why}.

    gradient_ratio: |dL/dh| at the first unit over that at the last; gradient_rate: its factor a weight layer towards
    the input; power_law, depth_scale: of the same profile, null where there are too few units; variance_growth: forward
    variance, last unit over first; state: by the report's thresholds. phase: `phase_of`. trainable: yes, doubtful or
    no, why, and what that rests on; first_update: least and largest of the weight layers, relative to their length.
    """
    examples = statistics_group(config) or max(config.train.batch_size // devices, 1)
    try:
        profile = theory.profile(config.model, image, examples)
    except theory.Unpredicted as answer:
        return {"nothing": str(answer)}
    said = summary(profile)
    told = trainability(config, profile, said, classes)
    fit = said.growth
    return {
        "gradient_ratio": number(said.ratio),
        "gradient_rate": number(fit.rate) if fit else None,
        "power_law": number(fit.exponent) if fit else None,
        "depth_scale": number(fit.scale) if fit else None,
        "variance_growth": number(said.variance),
        "state": said.state,
        "phase": phase_of(config.model),
        "trainable": told.outcome,
        "why": told.why,
        "rests_on": told.rests_on,
        "first_update": [number(value) for value in told.updates] if told.updates else None,
        "assumptions": list(profile.assumptions),
    }


def phase_of(model: ModelConfig) -> dict[str, Any] | None:
    """Where a wide plain net of such weights lies, without norm and borders: ordered, critical or chaotic; else null.

    chi: |dL/dh|^2 a layer towards the input. depth_scale: layers in which the correlation of images changes by e.
    """
    factors = {"he": 2.0, "lecun": 1.0, "glorot": 1.0, "orthogonal": 1.0, "delta_orthogonal": 1.0}
    if model.shortcut != "none" or model.norm != "none" or model.init not in factors:
        return None
    found = phase(model.activation, model.init_gain**2 * factors[model.init], 0.0)
    return {"name": found.name, "chi": found.chi, "depth_scale": number(found.scale_c)}


def number(value: float) -> float | None:
    """For JSON: null where it is not finite."""
    return value if math.isfinite(value) else None


def duration(config: Config, multiply_adds: int, layers: int) -> dict[str, Any]:
    """Seconds of a step of one seed and of the run on this machine, and images a second; or {"nothing": why}."""
    import jax

    if jax.default_backend() != "cpu":
        return {"nothing": f"no speed was measured on a {jax.default_backend()}"}
    train = config.train
    found = speed.estimate(multiply_adds, layers, train.batch_size, train.steps, config.seeds)
    return {"step_seconds": found.step, "run_seconds": found.run, "images_per_s": found.images_per_s}
