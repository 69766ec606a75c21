"""Hydra puts a job's settings together from conf/ and words, and they become a checked config."""

import re
from collections.abc import Sequence
from copy import deepcopy
from functools import cache, lru_cache
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from resjax.cli.words import GROUPS, conf_folder, parse, settings, wrong_type
from resjax.config import Config, keys
from resjax.errors import InputError
from resjax.legal import check, slug

UNREADABLE = (YAMLError, UnicodeDecodeError, RecursionError)
SEARCHED = re.compile(r"file://([^,\]]+)")  # a folder in hydra.searchpath
FILES = ("*.yaml", "*/*.yaml", "hydra/*/*.yaml")
Stamps = tuple[tuple[Path, int], ...]


@cache
def register() -> None:
    """Tell Hydra the schema, and OmegaConf the resolvers: ${choose:KEY,{a:1,b:2}} of the experiments, ${slug:NAME}."""
    Plugins.instance()
    # Hydra's own launcher of this name would be taken for the schema of ours.
    ConfigStore.instance().repo["hydra"]["launcher"].pop("basic.yaml", None)
    ConfigStore.instance().store(name="schema", node=Config)
    OmegaConf.register_new_resolver("choose", lambda key, table: table[key])
    OmegaConf.register_new_resolver("slug", slug)


def checked(overrides: Sequence[str]) -> Config:
    """The config of one job, legal."""
    return check(to_config(of_job(overrides)))


def of_job(overrides: Sequence[str]) -> DictConfig:
    """What `composed` gives without Hydra's own. Hydra takes a tenth of a second to put the files together, and sets
    single settings last: so jobs that differ in these alone share the files.
    """
    single = [word for word in overrides if word.partition("=")[0] in settings()]
    others = tuple(word for word in overrides if word not in single)
    if all(word.startswith("hydra") or word.partition("=")[0] in GROUPS for word in others):
        try:
            found = deepcopy(of_files(others, stamps(others)))
            for key, value in map(setting, single):
                OmegaConf.update(found, key, value, merge=True)
            return found
        except (InputError, OmegaConfBaseException):
            pass  # Hydra tells it below
    return composed(overrides, False)


@lru_cache(64)
def of_files(others: tuple[str, ...], _: Stamps) -> DictConfig:
    """The settings of the files that these words choose, while the files are as they are."""
    return composed(others, False)


def stamps(words: Sequence[str]) -> Stamps:
    """Every file that Hydra may read, with the time of its last change."""
    folders = [conf_folder(), *map(Path, SEARCHED.findall(" ".join(words)))]
    files = [path for folder in folders for form in FILES for path in folder.glob(form) if path.is_file()]
    return tuple((path, path.stat().st_mtime_ns) for path in files)


@lru_cache(1024)
def setting(word: str) -> tuple[str, object]:
    """KEY=VALUE, read by Hydra's grammar. InputError where it cannot be, or has several values."""
    (read,) = parse([word])
    if read.is_sweep_override():
        raise InputError(f"{word} has several values")
    return read.key_or_group, read.value()


def composed(overrides: Sequence[str], with_hydra: bool) -> DictConfig:
    """Compose, with errors that say what to type."""
    register()
    try:
        with initialize_config_dir(str(conf_folder()), version_base="1.3", job_name="train"):
            return compose("train", overrides=list(overrides), return_hydra_config=with_hydra)
    except (HydraException, OmegaConfBaseException) as error:
        raise explained(error, overrides) from error
    except UNREADABLE as error:
        raise unreadable(error) from error


def unreadable(error: Exception) -> InputError:
    """A file that is no YAML, or one with a tag that would make objects."""
    said = " ".join(str(error).split())
    return InputError(
        f"a settings file cannot be read: {said}\nExpected YAML of names and values, without tags like !!x"
    )


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
