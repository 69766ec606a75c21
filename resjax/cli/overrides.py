"""The words of `resjax train` become checked configs, one a job, before JAX is imported or anything is written."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from resjax.cli.composition import UNREADABLE, checked, composed, to_config, unreadable
from resjax.cli.words import (
    GROUPS,
    check_word,
    choices,
    conf_folder,
    group_names,
    launchers,
    parse,
    split,
)
from resjax.config import Config
from resjax.errors import InputError
from resjax.legal import check
from resjax.sweep.launcher import Launcher, from_settings

SHOWS_ONLY = ("--cfg", "-c", "--info", "-i")
LAUNCHING = "resjax.cli.launching.Launching"
SWEEPERS = ("hydra._internal.core_plugins.", "hydra_plugins.")
SAMPLERS = ("optuna.samplers.",)  # what a sweeper's settings may name
HANDLERS = ("logging.StreamHandler", "logging.NullHandler")
STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
RUN_BY_SHELL = ("setup", "additional_parameters")


@dataclass(frozen=True)
class Launch:
    """What comes of the words: the jobs, how many (None: a sweeper of Hydra's decides), and where they are made."""

    words: list[str]
    jobs: list[Config]
    count: int | None
    trains: bool
    launcher: Launcher
    multirun: bool = False
    extra: tuple[str, ...] = ()


def launch(words: Sequence[str], command: str = "resjax train") -> Launch:
    """Check every word and every job of the sweep. InputError says what is wrong and what to type.

    command: what the words were typed behind, "" where it takes no sweep.
    """
    flags, overrides, folders = split(words)
    parsed = parse(overrides)
    for override in parsed:
        check_word(override, choices(*folders))
    extra = [f"hydra.searchpath=[{','.join(f'file://{folder.resolve()}' for folder in folders)}]"] if folders else []
    multirun = bool({"-m", "--multirun"} & set(flags))
    base = composed([*extra, *(word.input_line or "" for word in parsed if not word.is_sweep_override())], True)
    multirun = multirun or base.hydra.mode == RunMode.MULTIRUN
    trains = not {flag.partition("=")[0] for flag in flags} & set(SHOWS_ONLY)
    refuse_code(base.hydra)
    refuse_shell(base.hydra, [*extra, *(word.input_line or "" for word in parsed if is_about_hydra(word))])
    launcher = from_settings(OmegaConf.to_object(base.hydra.launcher))  # type: ignore[arg-type]
    if not base.hydra.sweeper._target_.endswith("BasicSweeper"):
        return Launch([*flags, *overrides], [to_config(base)], None, trains, launcher, True, tuple(extra))
    if not multirun:
        refuse_sweep(parsed, f"{command} -m {shlex.join(words)}" if command else "")
        refuse_launcher(launcher, trains)
        return Launch([*flags, *overrides], [check(to_config(base))], 1, trains, launcher)
    merged = merge(base.hydra.sweeper.params or {}, parsed, folders)
    batches = BasicSweeper.split_arguments(parse(merged), max_batch_size=None)
    jobs = [checked([*extra, *job]) for batch in batches for job in batch]
    if not trains:  # Hydra shows one job's settings, not a sweep's
        return Launch([*flags, *overrides], jobs, len(jobs), trains, launcher)
    flags = [flag for flag in flags if flag not in ("-m", "--multirun")]
    return Launch(["--multirun", *flags, *merged], jobs, len(jobs), trains, launcher, True)


def refuse_sweep(parsed: Sequence[Override], sweep: str) -> None:
    """InputError where several values are given without -m; sweep: the words that mean one, "" where none can be."""
    for override in parsed:
        if override.is_sweep_override():
            first = f"{override.key_or_group}={next(iter(override.sweep_string_iterator()))}"
            expected = "Expected one, or -m for a sweep over them." if sweep else "Expected one."
            raise InputError(f"{override.input_line} has several values.\n{expected}\nType: {sweep or first}")


def refuse_launcher(launcher: Launcher, trains: bool) -> None:
    """InputError where one run is to be made elsewhere: Hydra's launchers are for sweeps."""
    if trains and launcher.where in ("local", "slurm"):
        raise InputError(
            "hydra/launcher is for sweeps, and this is one run, which would be made here.\nExpected -m.\n"
            "Type: resjax train -m with the same settings"
        )


def refuse_code(hydra: DictConfig) -> None:
    """InputError where a file would have Hydra call functions: what was downloaded must not run anything."""
    logs = OmegaConf.to_container(hydra.job_logging), OmegaConf.to_container(hydra.hydra_logging)
    if hydra.callbacks or any(calls(log) for log in logs):
        raise InputError(
            "hydra.callbacks, or a class or factory in hydra.job_logging, would run code that a settings file names.\n"
            "Expected settings alone.\nTake it out of the experiment's file"
        )
    launcher, sweeper = (OmegaConf.to_container(part) for part in (hydra.launcher, hydra.sweeper))
    assert isinstance(launcher, dict)
    assert isinstance(sweeper, dict)
    target, named = sweeper.pop("_target_", None), list(targets(sweeper))
    if (called := list(targets(launcher))) != [LAUNCHING]:
        raise InputError(
            f"hydra.launcher._target_={', '.join(called) or None} is not ours.\nExpected one of: "
            f"{', '.join(launchers())}\nType: hydra/launcher=basic"
        )
    if not str(target).startswith(SWEEPERS) or any(not name.startswith(SAMPLERS) for name in named):
        raise InputError(
            f"hydra.sweeper would run code that a settings file names: {', '.join([str(target), *named])}.\n"
            "Expected a sweeper of Hydra's.\nType: hydra/sweeper=basic"
        )


def targets(settings: Any) -> Iterator[str]:
    """Every function that settings name for somebody to call, however deep."""
    if isinstance(settings, dict):
        for name, value in settings.items():
            if name in ("_target_", "custom_search_space", "()", "class") and value is not None:
                yield str(value)
        settings = list(settings.values())
    if isinstance(settings, list):
        for value in settings:
            yield from targets(value)


def calls(settings: Any) -> bool:
    """Whether Python's logging would call or import something else than its own handlers to set itself up so."""
    named = [name for name in targets(settings) if name not in HANDLERS]
    return bool(named) or any(place not in STREAMS for place in re.findall(r"ext://[^'\" ]*", str(settings)))


def is_about_hydra(word: Override) -> bool:
    """Whether it sets something of Hydra's."""
    return word.key_or_group.startswith("hydra") and not word.is_sweep_override()


def refuse_shell(hydra: DictConfig, typed: Sequence[str]) -> None:
    """InputError where lines of shell for the cluster come from another file than the launcher's own."""
    lines = {name: hydra.launcher.get(name) for name in RUN_BY_SHELL}
    if not any(lines.values()):
        return
    own = composed(typed, True).hydra.launcher
    for name, value in lines.items():
        if value and own.get(name) != value:
            raise InputError(
                f"hydra.launcher.{name} would run what a settings file says.\nExpected it typed, or in the launcher's "
                f"file.\nTake it out of the experiment's file, and type it: 'hydra.launcher.{name}=...'"
            )


def merge(params: dict[str, Any], parsed: Sequence[Override], folders: Sequence[Path]) -> list[str]:
    """The experiment's sweep, with what the command line says, itself or by a group's file, in its place."""
    given = {override.key_or_group for override in parsed}
    for override in parsed:
        if override.key_or_group in GROUPS:
            given |= set_by(override, folders)
    kept = [f"{key}={value}" for key, value in params.items() if key not in given]
    return [*(override.input_line or "" for override in parsed), *kept]


def set_by(override: Override, folders: Sequence[Path]) -> set[str]:
    """The settings in the files that a group's override names."""
    group, found = override.key_or_group, set[str]()
    for name in group_names(override):
        for path in (folder / group / f"{name}.yaml" for folder in (conf_folder(), *folders)):
            if path.exists() and group != "experiment":
                found |= {f"{group}.{key!s}" for key in load(path)}
    return found


def load(path: Path) -> Any:
    """A group's file."""
    try:
        return OmegaConf.load(path)
    except UNREADABLE as error:
        raise unreadable(error) from error
