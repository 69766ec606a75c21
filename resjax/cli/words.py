"""The words of `resjax train`, one by one: what is no setting is refused with what to type instead."""

import re
from collections.abc import Sequence
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any, get_args

from hydra.conf import HydraConf
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

import resjax
from resjax.config import keys
from resjax.errors import InputError
from resjax.settings import is_one_slip, nearest
from resjax.sweep.launcher import Launcher

GROUPS = ("model", "data", "optimizer", "schedule", "parallel", "tracker", "experiment")
LAUNCHER_GROUP = "hydra/launcher"
LAUNCHER_KEYS = tuple(f"hydra.launcher.{item.name}" for item in fields(Launcher))
OPEN_KEY = "hydra.launcher.additional_parameters."  # sbatch's own names follow
# What else of Hydra's may be set; Hydra checks it.
HYDRA_KEYS = tuple(f"hydra.{item.name}" for item in fields(HydraConf) if item.name != "launcher")
HYDRA_GROUPS = ("hydra/sweeper", "hydra/job_logging", "hydra/hydra_logging", "hydra/help", "hydra/hydra_help")

# What other frameworks call them.
CALLED = {
    "lr": "schedule.learning_rate",
    "bs": "train.batch_size",
    "layers": "model.depth",
    "wd": "optimizer.weight_decay",
    "dataset": "data",
    "gpus": "parallel.devices",
}

# What is expected of a setting of this type, and an example.
EXPECTED = {
    bool: ("true or false", "false"),
    int: ("a whole number", "1"),
    float: ("a number", "1"),
    str: ("a word", "name"),
    list[int]: ("a list of whole numbers", "[0,1]"),
    list[float]: ("a list of numbers", "[0.5,0.75]"),
}
NUMBER = re.compile(r"(?<![\w$.])[-+]?\d")  # at the beginning of a value, of a choice among several, of a range
FLAGS = ("-m", "--multirun", "--cfg", "-c", "--package", "-p", "--resolve", "--info", "-i", "--config-dir", "-cd")


def conf_folder() -> Path:
    """The folder of Hydra's files: inside the installed package, or beside it in a checkout."""
    package = Path(resjax.__file__).parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def choices(*more: Path) -> dict[str, list[str]]:
    """Every group's files, by name; `more` folders may add some."""
    return {
        group: sorted({path.stem for folder in (conf_folder(), *more) for path in (folder / group).glob("*.yaml")})
        for group in GROUPS
    }


def launchers() -> list[str]:
    """The files of hydra/launcher."""
    return sorted(path.stem for path in (conf_folder() / "hydra" / "launcher").glob("*.yaml"))


def split(words: Sequence[str]) -> tuple[list[str], list[str], list[Path]]:
    """Hydra's flags with their values, the overrides, and the folders of --config-dir."""
    flags, overrides, folders, rest = [], [], [], list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-"):
            overrides.append(word)
            continue
        flags.append(word)
        name, _, value = word.partition("=")
        if name not in FLAGS:
            likely_one = [key for key in every_key() if key.rpartition(".")[2] == name.strip("-").replace("-", "_")]
            meant = f"Did you mean: {likely_one[0]}={value or '...'}\n" if likely_one else ""
            raise InputError(
                f"there is no option {name}.\nExpected SETTING=VALUE, or one of: {', '.join(FLAGS)}\n"
                f"{meant}Type for a list: resjax train --help"
            )
        if name in ("--config-dir", "-cd", "--cfg", "-c", "--package", "-p") and not value:
            if not rest:
                raise InputError(f"{name} has no value.\nExpected a word after it.\nType: resjax train --help")
            value = rest.pop(0)
            flags.append(value)
        if name in ("--config-dir", "-cd"):
            folders.append(Path(value))
            if not Path(value).is_dir():
                raise InputError(
                    f"--config-dir {value} is not a folder.\nExpected one with groups, such as experiment/."
                )
    return flags, overrides, folders


def parse(overrides: Sequence[str]) -> list[Override]:
    """Hydra's grammar, word by word."""
    parser = OverridesParser.create()
    return [parse_word(parser, word) for word in overrides]


def parse_word(parser: OverridesParser, word: str) -> Override:
    """One override."""
    try:
        return parser.parse_override(word)
    except HydraException as error:
        key, _, value = word.lstrip("+~").partition("=")
        if "=" in word and key not in every_key() and not is_hydras(key):
            raise no_setting(word, key, value) from error
        raise InputError(f"{word} is not SETTING=VALUE.\n{instead(word, key)}") from error


def instead(word: str, key: str) -> str:
    """What to type where there is no = in a word, or a blank, or a sign that has to be quoted."""
    expected = "Expected no blank beside = and between the values of a list.\n"
    if "=" not in word:
        groups = [group for group, names in choices().items() if word in names]
        shown = f"{groups[0]}={word}" if groups else f"{word}={default(word)}" if word in settings() else ""
        if shown:
            return f"{expected}Type: {shown}, or for a list: resjax train --help"
    quoted = f"; a value with other signs stands in quotes, '{key}=\"...\"'" if "=" in word else ""
    return f"{expected}Type for example: model.depth=20,56{quoted}, or for a list: resjax train --help"


def check_word(override: Override, groups: dict[str, list[str]]) -> None:
    """InputError where the setting or the group's file does not exist."""
    key, line = override.key_or_group, override.input_line or ""
    value = line.partition("=")[2]
    if key.split(".")[0].split("/")[0] == "hydra":
        check_hydra(override)
        return
    if key not in groups and key not in settings():
        raise no_setting(line, key, value)
    if override.is_delete():
        shown = groups[key][0] if key in groups else default(key)
        raise InputError(f"~{key}: settings cannot be taken away.\nType a value instead, such as {key}={shown}")
    if key in groups:
        check_choice(override, groups[key])
        return
    if override.is_add() and not override.is_force_add():
        raise InputError(f"{line}: {key} is there already, + would add it.\nType: {key}={value}")
    if settings()[key].type is bool and NUMBER.search(value) and "${" not in value:  # OmegaConf takes 3 as true
        raise wrong_type(key, value)


def check_choice(override: Override, names: list[str]) -> None:
    """InputError where a group has no such file."""
    for name in group_names(override):
        if name not in names:
            raise InputError(
                f"{override.key_or_group}={name} is not known.\nExpected one of: {', '.join(names)}\n"
                f"Type: {override.key_or_group}={nearest(name, tuple(names))}"
            )


def check_hydra(override: Override) -> None:
    """InputError where a setting of the launcher, or the launcher itself, does not exist."""
    key, line = override.key_or_group, override.input_line or ""
    if key == LAUNCHER_GROUP:
        check_choice(override, launchers())
    elif not is_hydras(key):
        raise no_setting(line, key, line.partition("=")[2])


def is_hydras(key: str) -> bool:
    """Whether it is a setting of the launcher, or something else of Hydra's."""
    below = key.startswith((OPEN_KEY, *(f"{name}." for name in HYDRA_KEYS))) and not key.endswith(".")
    return below or key in (*LAUNCHER_KEYS, *HYDRA_KEYS, *HYDRA_GROUPS)


def no_setting(word: str, key: str, value: str) -> InputError:
    """A name that nothing has; with the one that was meant."""
    return InputError(
        f"{word}: there is no setting {key}.\nDid you mean: {likely(key, value)}={value}\n"
        "Type for a list: resjax train --help"
    )


def wrong_type(key: str, value: str) -> InputError:
    """A value that cannot be the setting's."""
    item = keys()[key]
    kind = next(kind for kind in (item.type, *get_args(item.type)) if kind in EXPECTED)
    expected, example = EXPECTED[kind]
    null = ", or null" if type(None) in get_args(item.type) else ""
    if item.default is MISSING:
        example = default(key)  # a list
    elif isinstance(item.default, int | float | str):
        example = str(item.default).lower() if kind is bool else str(item.default)
    elif item.metadata["choices"]:
        expected, example = f"one of: {', '.join(item.metadata['choices'])}", item.metadata["choices"][0]
    elif item.metadata["minimum"] is not None:
        example = f"{item.metadata['minimum']:g}"
    elif null and kind not in (int, str):
        example = "null"  # lists that are legal together only, such as data.mean and data.std
    return InputError(f"{key}={value} has the wrong type.\nExpected {expected}{null}.\nType: {key}={example}")


def default(key: str) -> str:
    """A setting's value where nobody says another, as it is typed."""
    item = settings()[key]
    value = item.default_factory() if item.default is MISSING else item.default
    return "null" if value is None else str(value).replace(" ", "").replace("True", "true").replace("False", "false")


@cache
def settings() -> dict[str, Any]:
    """`keys`, once."""
    return keys()


@cache
def every_key() -> tuple[str, ...]:
    """Whatever may stand before a =."""
    return (*settings(), *GROUPS, LAUNCHER_GROUP, *LAUNCHER_KEYS)


def likely(key: str, value: str = "") -> str:
    """What is one slip away, else the setting of the same last name in another section, else what is most alike.

    A switch is meant by true and false alone.
    """
    if called := CALLED.get(key.rpartition(".")[2]):
        return called
    if slipped := tuple(name for name in every_key() if is_one_slip(key, name)):
        return nearest(key, slipped)
    moved = tuple(name for name in settings() if name.rpartition(".")[2] == key.rpartition(".")[2])
    if key.startswith("hydra") and moved:  # of the run, not of where it is made
        return moved[0]
    known = (LAUNCHER_GROUP, *LAUNCHER_KEYS) if key.startswith("hydra") else (*settings(), *GROUPS)
    if value not in ("true", "false"):
        known = tuple(
            name for name in known if name not in settings() or not isinstance(settings()[name].default, bool)
        )
    return nearest(key, tuple(name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]) or known)


def group_names(override: Override) -> list[str]:
    """The files that a group's override names."""
    if override.is_sweep_override():
        return [str(name) for name in override.sweep_string_iterator()]
    value = override.value()
    return ["null" if value is None else str(value)]
