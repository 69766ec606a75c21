"""Where a sweep's runs are made: the settings of hydra/launcher, typed."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_args

from resjax.errors import InputError
from resjax.redaction import secret_in
from resjax.settings import nearest

LISTS: dict[str, type] = {"gpus": int, "setup": str}
PLACES = ("processes", "in_process", "local", "slurm")


@dataclass(frozen=True)
class Launcher:
    """hydra.launcher.*; docs/cluster.md has examples. What a place does not use, its file in conf/ does not name."""

    where: str = "processes"
    jobs: int = 1
    gpus: tuple[int, ...] | None = None
    timeout_min: float | None = None
    grace_s: float = 30.0
    # Of submitit, by its own names.
    nodes: int = 1
    tasks_per_node: int = 1
    gpus_per_node: int | None = None
    cpus_per_task: int | None = None
    mem_gb: float | None = None
    array_parallelism: int = 256
    max_num_timeout: int = 100
    signal_delay_s: int = 120
    partition: str | None = None
    qos: str | None = None
    account: str | None = None
    constraint: str | None = None
    setup: tuple[str, ...] | None = None
    additional_parameters: Mapping[str, Any] | None = None

    @property
    def slots(self) -> int:
        """Runs at once."""
        return len(self.gpus) if self.gpus else self.jobs


def from_settings(settings: Mapping[str, Any]) -> Launcher:
    """The settings, checked. InputError with what is wrong and what to type."""
    known = {item.name: item for item in fields(Launcher)}
    given = {str(name): value for name, value in settings.items() if name != "_target_"}
    for name, value in given.items():
        if name not in known:
            raise InputError(f"there is no setting hydra.launcher.{name}.\nDid you mean: {nearest(name, tuple(known))}")
        check(name, value, known[name].type)
        if what := next(filter(None, map(secret_in, texts(value))), ""):
            raise InputError(
                f"hydra.launcher.{name} holds {what}, which would be written to submitit's files.\n"
                "Expected what everybody may read. A job inherits the variable.\n"
                f"Type the command without it: hydra.launcher.{name}=..."
            )
    if given.get("where") not in PLACES:
        raise InputError(
            "this launcher is none of ours.\nType: hydra/launcher=basic, or submitit_local, submitit_slurm"
        )
    sequences = {name: tuple(value) for name, value in given.items() if isinstance(value, list)}
    return Launcher(**{**given, **sequences})


def texts(value: Any) -> list[str]:
    """Every text in it."""
    if isinstance(value, Mapping):
        value = [*value.keys(), *value.values()]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [str(value)]


def check(name: str, value: Any, kind: Any) -> None:
    """InputError where a value is of the wrong type, or not above 0."""
    kinds = (kind, *get_args(kind))
    whole = int in kinds and float not in kinds
    numeric = (whole or float in kinds) and name not in LISTS
    if value is None or name == "additional_parameters":
        return
    if name in LISTS:
        if not isinstance(value, list) or not all(type(one) is LISTS[name] for one in value):
            example = "[0,1]" if name == "gpus" else "[line]"
            raise InputError(
                f"hydra.launcher.{name}={value} is no list of it.\nType: 'hydra.launcher.{name}={example}'"
            )
        return
    if whole and isinstance(value, float):
        raise InputError(f"hydra.launcher.{name}={value} is no whole number.\nType: hydra.launcher.{name}=1")
    if numeric and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
        raise InputError(f"hydra.launcher.{name}={value} is no number above 0.\nType: hydra.launcher.{name}=1")
