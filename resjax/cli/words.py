"""The words of `resjax train`, one by one: what is no setting is refused with what to type instead."""

import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import get_args

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

import resjax
from resjax.config import keys, nearest
from resjax.errors import InputError
from resjax.sweep.launcher import Launcher

GROUPS = ("model", "data", "optimizer", "schedule", "parallel", "tracker", "experiment")

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
            raise InputError(
                f"there is no option {name}.\nExpected SETTING=VALUE, or one of: {', '.join(FLAGS)}\n"
                "Type for a list: resjax train --help"
            )
        if name in ("--config-dir", "-cd", "--cfg", "-c", "--package", "-p") and not value and rest:
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
        raise InputError(
            f"{word} is not SETTING=VALUE.\n"
            "Type for example: model.depth=56, probes.at=[0,1,10], or for a list: resjax train --help"
        ) from error


def check_word(override: Override, groups: dict[str, list[str]]) -> None:
    """InputError where the setting or the group's file does not exist."""
    key, known = override.key_or_group, keys()
    if key.split(".")[0].split("/")[0] == "hydra":
        check_hydra(override)
        return
    if override.is_delete():
        raise InputError(f"~{key}: settings cannot be taken away.\nType a value instead, such as {key}=null")
    if key in groups:
        for name in group_names(override):
            if name not in groups[key]:
                raise InputError(
                    f"{key}={name} is not known.\nExpected one of: {', '.join(groups[key])}\n"
                    f"Type: {key}={nearest(name, tuple(groups[key]))}"
                )
        return
    value = (override.input_line or "").partition("=")[2]
    if key not in known:
        raise InputError(
            f"{override.input_line}: there is no setting {key}.\n"
            f"Did you mean: {likely(key, (*known, *groups))}={value}\nType for a list: resjax train --help"
        )
    if override.is_add() and not override.is_force_add():
        raise InputError(f"{override.input_line}: {key} is there already, + would add it.\nType: {key}={value}")
    if known[key].type is bool and NUMBER.search(value) and "${" not in value:  # OmegaConf takes 3 as true
        raise wrong_type(key, value)


def check_hydra(override: Override) -> None:
    """InputError where a setting of the launcher, or the launcher itself, does not exist."""
    key, value = override.key_or_group, (override.input_line or "").partition("=")[2]
    if key == "hydra/launcher":
        for name in group_names(override):
            if name not in launchers():
                raise InputError(
                    f"hydra/launcher={name} is not known.\nExpected one of: {', '.join(launchers())}\n"
                    f"Type: hydra/launcher={nearest(name, tuple(launchers()))}"
                )
    known = tuple(f"hydra.launcher.{item.name}" for item in fields(Launcher))
    if key.startswith("hydra.launcher.") and key not in known and not key.startswith(f"{known[-1]}."):
        raise InputError(
            f"{override.input_line}: there is no setting {key}.\nDid you mean: {nearest(key, known)}={value}"
        )


def wrong_type(key: str, value: str) -> InputError:
    """A value that cannot be the setting's."""
    item = keys()[key]
    kind = next(kind for kind in (item.type, *get_args(item.type)) if kind in EXPECTED)
    expected, example = EXPECTED[kind]
    null = ", or null" if type(None) in get_args(item.type) else ""
    if isinstance(item.default, int | float | str):
        example = str(item.default).lower() if kind is bool else str(item.default)
    elif item.metadata["choices"]:
        expected, example = f"one of: {', '.join(item.metadata['choices'])}", item.metadata["choices"][0]
    elif item.metadata["minimum"] is not None:
        example = f"{item.metadata['minimum']:g}"
    elif null and kind not in (int, str):
        example = "null"  # lists that are legal together only, such as data.mean and data.std
    return InputError(f"{key}={value} has the wrong type.\nExpected {expected}{null}.\nType: {key}={example}")


def likely(key: str, known: tuple[str, ...]) -> str:
    """The setting of the same last name in another section, else the one spelled most alike."""
    same = [name for name in known if name.rpartition(".")[2] == key.rpartition(".")[2]]
    return nearest(key, tuple(same) or known)


def group_names(override: Override) -> list[str]:
    """The files that a group's override names."""
    if override.is_sweep_override():
        return [str(name) for name in override.sweep_string_iterator()]
    value = override.value()
    return ["null" if value is None else str(value)]


def refuse_sweep(parsed: Sequence[Override]) -> None:
    """InputError where several values are given without -m."""
    for override in parsed:
        if override.is_sweep_override():
            raise InputError(
                f"{override.input_line} has several values.\nExpected one, or -m for a sweep over them.\n"
                f"Type: resjax train -m {override.input_line}"
            )
