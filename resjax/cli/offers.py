"""What can be typed next, as one table of words: read from the commands' parsers and the tables of names.

Its keys:   below PATH            words that go deeper: commands, `data prepare`, `lab lesion`
            options PATH          a command's options
            value PATH OPTION     what may follow an option
            words PATH            its other words
            set KEY               the values of a setting of resjax train
            set PATH KEY          of an instrument's own
            sections, settings    what stands before a =, by section and in full
A word that begins with @ is not itself meant: @sweeps @runs (in the folder of runs), @files, @settings.
"""

import argparse
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, get_args

from resjax.cli import commands
from resjax.cli.lab import default_of
from resjax.cli.manual import ALL, sections
from resjax.cli.words import LAUNCHER_GROUP, LAUNCHER_KEYS, choices, default, launchers, settings
from resjax.dataconfig import DATASETS
from resjax.lab.table import INSTRUMENTS
from resjax.papers.loading import items
from resjax.settings import spelled

SHELLS = ("bash", "zsh", "fish")
FOLDERS = ("runs", "data.root")  # settings that are one
Table = dict[str, tuple[str, ...]]


def table() -> Table:
    """All of it."""
    found: Table = {"below": tuple(commands.ROWS), "options": ("--help", "--version")}
    for name, parser in commands.parsers().items():
        found |= of_command(name, parser)
    found |= {f"set {key}": values for key, values in values_of_settings().items()}
    for name, instrument in INSTRUMENTS.items():
        found |= of_instrument(f"lab {name}", instrument, found["options lab"], found)
    found["below lab"], found["words lab"] = tuple(INSTRUMENTS), ()
    found["value train --help"] = (*sections(), ALL)
    found["sections"], found["settings"] = short(), tuple(f"{key}=" for key in every_setting())
    return found


def kinds() -> dict[str, tuple[str, ...]]:
    """What stands for an argument, by the name that the usage line gives it."""
    names = [*items(), *(f"{item.name}/{part}" for item in items().values() for part in item.parts)]
    return {
        "SWEEP": ("@sweeps",),
        "RUN": ("@runs",),
        "NAME": choices_of_data(),
        "SETTING=VALUE": ("@settings",),
        "ITEM | SETTING=VALUE": (*names, "@settings"),
        "SHELL": SHELLS,
        **dict.fromkeys(("FOLDER", "FILE", "FILE.npz", "OUT"), ("@files",)),
    }


def choices_of_data() -> tuple[str, ...]:
    """The sets that `resjax data` knows by name."""
    return (*DATASETS, *(name for name in choices()["data"] if name not in (*DATASETS, "tfds", "folder")))


def of_command(path: str, parser: argparse.ArgumentParser) -> Table:
    """A command's part of the table, and that of those below it."""
    found: Table = {f"options {path}": tuple(option for action in parser._actions for option in action.option_strings)}
    words: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found[f"below {path}"] = tuple(action.choices)
            for name, below in action.choices.items():
                found |= of_command(f"{path} {name}", below)
        elif not action.option_strings:
            words += offered(action)
        elif action.nargs != 0:
            found |= {f"value {path} {option}": offered(action) for option in action.option_strings}
    return found | {f"words {path}": tuple(dict.fromkeys(words))}


def offered(action: argparse.Action) -> tuple[str, ...]:
    """The words for an option or an argument."""
    name = str(action.metavar or "")
    return tuple(map(str, action.choices or ())) or kinds().get(name, tuple(name.split("|")) if "|" in name else ())


def of_instrument(path: str, instrument: Any, options: tuple[str, ...], lab: Table) -> Table:
    """An instrument's part: the options of the lab, its runs, its settings."""
    own = {item.name: values_of(item, spelled(default_of(item))) for item in fields(instrument.settings)}
    found: Table = {f"options {path}": options, f"words {path}": ("@runs", *(f"{name}=" for name in own))}
    found |= {
        f"value {path} {option}": lab[f"value lab {option}"] for option in options if f"value lab {option}" in lab
    }
    return found | {f"set {path} {name}": values for name, values in own.items()}


def values_of_settings() -> dict[str, tuple[str, ...]]:
    """What stands after the = of every setting and group."""
    found = {key: values_of(item, default(key)) for key, item in settings().items()}
    found |= {group: tuple(names) for group, names in choices().items()}
    found |= {LAUNCHER_GROUP: tuple(launchers()), "sweep": ("@sweeps",), "data.name": choices_of_data()}
    return found | dict.fromkeys(FOLDERS, ("@files",))


def values_of(item: Any, usual: str) -> tuple[str, ...]:
    """Of a setting: its choices, true and false, null; of a number its default, as an example."""
    allowed = get_args(item.type) or (item.type,)
    named = tuple(item.metadata["choices"]) or (("true", "false") if bool in allowed else ())
    plain = (usual,) if usual and usual.isprintable() and not set(usual) & set("[]'\"$ ") else ()
    null = ("null",) if type(None) in allowed else ()
    return tuple(dict.fromkeys((*(named or plain), *null)))


def every_setting() -> Iterator[str]:
    """Whatever may stand before a =."""
    yield from (*choices(), *settings(), LAUNCHER_GROUP, *LAUNCHER_KEYS)


def short() -> tuple[str, ...]:
    """What stands before a =, a section as one word, for a list that can be looked over."""
    whole = [f"{key}=" for key in (*choices(), *sections()["general"])]
    return (
        *whole,
        *(f"{section}." for section in sections() if section != "general"),
        "hydra.launcher.",
        f"{LAUNCHER_GROUP}=",
    )
