"""The words of `resjax train` become checked configs, one a job, before JAX is imported or anything is written."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from resjax.cli.words import (
    GROUPS,
    check_word,
    choices,
    conf_folder,
    group_names,
    launchers,
    parse,
    refuse_sweep,
    split,
    wrong_type,
)
from resjax.config import Config, keys
from resjax.errors import InputError
from resjax.legal import check
from resjax.sweep.launcher import Launcher, from_settings

SHOWS_ONLY = ("--cfg", "-c", "--info", "-i")


@dataclass(frozen=True)
class Launch:
    """What comes of the words: the jobs, how many (None: a sweeper of Hydra's decides), and where they are made."""

    words: list[str]
    jobs: list[Config]
    count: int | None
    trains: bool
    launcher: Launcher
    multirun: bool = False


@cache
def register() -> None:
    """Tell Hydra the schema, and OmegaConf the resolver of the experiments: ${choose:KEY,{a:1,b:2}}."""
    Plugins.instance()
    # Hydra's own launcher of this name would be taken for the schema of ours.
    ConfigStore.instance().repo["hydra"]["launcher"].pop("basic.yaml", None)
    ConfigStore.instance().store(name="schema", node=Config)
    OmegaConf.register_new_resolver("choose", lambda key, table: table[key])


def launch(words: Sequence[str]) -> Launch:
    """Check every word and every job of the sweep. InputError says what is wrong and what to type."""
    register()
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
    launcher = from_settings(OmegaConf.to_object(base.hydra.launcher))  # type: ignore[arg-type]
    if not base.hydra.sweeper._target_.endswith("BasicSweeper"):
        return Launch([*flags, *overrides], [to_config(base)], None, trains, launcher, True)
    if not multirun:
        refuse_sweep(parsed)
        return Launch([*flags, *overrides], [checked([*extra, *overrides])], 1, trains, launcher)
    merged = merge(base.hydra.sweeper.params or {}, parsed, folders)
    batches = BasicSweeper.split_arguments(parse(merged), max_batch_size=None)
    jobs = [checked([*extra, *job]) for batch in batches for job in batch]
    if not trains:  # Hydra shows one job's settings, not a sweep's
        return Launch([*flags, *overrides], jobs, len(jobs), trains, launcher)
    flags = [flag for flag in flags if flag not in ("-m", "--multirun")]
    return Launch(["--multirun", *flags, *merged], jobs, len(jobs), trains, launcher, True)


def refuse_code(hydra: DictConfig) -> None:
    """InputError where a file would have Hydra call functions: what was downloaded must not run anything."""
    logs = [hydra.job_logging, hydra.hydra_logging]
    if hydra.callbacks or any("()" in str(OmegaConf.to_container(log)) for log in logs):
        raise InputError(
            "hydra.callbacks, or a factory in hydra.job_logging, would run code that a settings file names.\n"
            "Expected settings alone.\nTake it out of the experiment's file"
        )
    if not str(hydra.launcher._target_).startswith("resjax.cli.launching."):
        raise InputError(
            f"hydra.launcher._target_={hydra.launcher._target_} is not ours.\nExpected one of: "
            f"{', '.join(launchers())}\nType: hydra/launcher=basic"
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
                found |= {f"{group}.{key!s}" for key in OmegaConf.load(path)}
    return found


def checked(overrides: Sequence[str]) -> Config:
    """The config of one job, legal."""
    return check(to_config(composed(overrides, False)))


def composed(overrides: Sequence[str], with_hydra: bool) -> DictConfig:
    """Compose, with errors that say what to type."""
    try:
        with initialize_config_dir(str(conf_folder()), version_base="1.3", job_name="train"):
            return compose("train", overrides=list(overrides), return_hydra_config=with_hydra)
    except (HydraException, OmegaConfBaseException) as error:
        raise explained(error, overrides) from error


def explained(error: Exception, overrides: Sequence[str]) -> InputError:
    """What Hydra or OmegaConf could not take."""
    message = str(error).splitlines()[0]
    for word in overrides:
        key, _, value = word.lstrip("+").partition("=")
        if word in message and key in keys():
            return wrong_type(key, value)
    return InputError(f"{message}\nType for a list of settings: resjax train --help")


def to_config(settings: DictConfig) -> Config:
    """Hydra's config as the typed one."""
    plain = OmegaConf.masked_copy(settings, [str(key) for key in settings if key != "hydra"])
    try:
        return Config(**OmegaConf.to_object(plain))  # type: ignore[arg-type]
    except OmegaConfBaseException as error:
        raise InputError(f"{str(error).splitlines()[0]}\nType for a list of settings: resjax train --help") from error
