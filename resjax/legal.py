"""Which settings are legal. Imports neither JAX nor Hydra, so that an illegal one is refused within a second."""

from dataclasses import fields
from typing import Any

from resjax.config import PARAMETER_FREE_SHORTCUTS, Config, nearest, statistics_group
from resjax.errors import InputError

MOST_SEEDS = 2**32  # a key is made of 32 bits


def resnet_depths_near(depth: int) -> tuple[int, int]:
    """The legal depths 6n+2 on both sides of `depth`, the smallest being 8."""
    below = max((depth - 2) // 6, 1) * 6 + 2
    return below, below + 6


def check(config: Config) -> Config:
    """Return `config` if every value is legal, else raise InputError with the value and what is."""
    _check_model(config)
    _check_fields(config, "")
    _check_places(config)
    _check_steps(config)
    _check_groups(config)
    return config


def _check_model(config: Config) -> None:
    """Depth and shortcut are the family's."""
    model = config.model
    if model.name == "resnet" and (model.depth < 8 or (model.depth - 2) % 6):
        below, above = resnet_depths_near(model.depth)
        raise InputError(
            f"model.depth={model.depth} is not a depth of resnet.\n"
            f"Expected 6n+2: two 3x3 layers a unit, n units in each of 3 stages, and two more.\n"
            f"Nearest: model.depth={below} or model.depth={above}"
        )
    if model.name == "mlp" and model.shortcut not in PARAMETER_FREE_SHORTCUTS:
        raise InputError(
            f"model.shortcut={model.shortcut} has no place in mlp: all its layers are equally wide.\n"
            f"Expected one of: {', '.join(PARAMETER_FREE_SHORTCUTS)}\nType: model.shortcut=identity"
        )


def _check_places(config: Config) -> None:
    """A sweep's name is a folder's, and seeds are numbers that keys can tell apart."""
    if not config.sweep or config.sweep.startswith(".") or "/" in config.sweep:
        raise InputError(
            f"sweep={config.sweep!r} is not the name of a folder.\nExpected a name without a slash, not beginning "
            f"with a dot; the folder of all sweeps is another setting.\nType: sweep=my_sweep runs=/some/folder"
        )
    if config.seed + config.seeds > MOST_SEEDS:
        raise InputError(
            f"seed={config.seed} with seeds={config.seeds} goes beyond {MOST_SEEDS - 1}, where seeds repeat.\n"
            f"Expected seed + seeds of {MOST_SEEDS} at most.\nType: seed=0"
        )


def _check_steps(config: Config) -> None:
    """Boundaries and probed steps are places in the training."""
    bounds = config.schedule.boundaries
    if bounds != sorted(bounds) or any(not 0 < b <= 1 for b in bounds):
        raise InputError(
            f"schedule.boundaries={bounds} is not a list of rising fractions of train.steps.\n"
            f"Expected numbers in (0, 1].\nType: schedule.boundaries=[0.5,0.75]"
        )
    if any(step < 0 for step in config.probes.at):
        raise InputError(
            f"probes.at={config.probes.at} has a negative step.\nExpected steps from 0.\nType: probes.at=[0,1,10]"
        )


def _check_groups(config: Config) -> None:
    """Batch and probe batch are whole groups of examples that share batch statistics."""
    train = config.train
    group = statistics_group(config)
    if group is not None and train.batch_size % group:
        raise InputError(
            f"train.batch_size={train.batch_size} is not a multiple of model.norm_group={group}.\n"
            f"Expected whole groups of examples that share batch statistics.\n"
            f"Type: train.batch_size={max(train.batch_size // group, 1) * group} or model.norm_group={train.batch_size}"
        )
    if group is not None:
        check_probe_batch(config, group)


def check_probe_batch(config: Config, group: int) -> None:
    """The probe batch is cut into the same groups; one smaller than a group is a group. Raises InputError."""
    size = config.probes.batch_size
    if size > group and size % group:
        raise InputError(
            f"probes.batch_size={size} is not a multiple of the {group} examples that share batch statistics.\n"
            f"Type: probes.batch_size={size // group * group}"
        )


def _check_fields(section: Any, prefix: str) -> None:
    for item in fields(section):
        value, key = getattr(section, item.name), prefix + item.name
        if hasattr(value, "__dataclass_fields__"):
            _check_fields(value, f"{key}.")
            continue
        choices, minimum = item.metadata["choices"], item.metadata["minimum"]
        if choices and value not in choices:
            raise InputError(
                f"{key}={value} is not known.\nExpected one of: {', '.join(choices)}\n"
                f"Type: {key}={nearest(str(value), choices)}"
            )
        # Written so that nan, of which every comparison is false, is refused too.
        if minimum is not None and value is not None and not value >= minimum:
            raise InputError(f"{key}={value} is too small.\nExpected {minimum:g} or more.\nType: {key}={minimum:g}")
        if isinstance(value, float) and value in (float("inf"), float("-inf")):
            raise InputError(f"{key}={value} is not finite.\nExpected a finite number.")
