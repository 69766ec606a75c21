"""The commands, in the order in which one needs them, and the help that shows the way."""

import shlex
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple

from resjax.cli.options import Command, Parser
from resjax.errors import InputError
from resjax.settings import nearest


class Row(NamedTuple):
    """A command's line of help, the module of resjax.cli that it is in, and whether its process wants huge pages."""

    line: str
    module: str
    restarts: bool = False


GROUPS = {
    "make runs": {
        "train": Row("one run, or with -m a sweep over settings", "train", True),
        "status": Row("what of a sweep is done, running, failed, left", "status"),
        "reproduce": Row("a paper's figure or table: its runs, and a verdict", "reproduce", True),
        "import": Row("a net that was trained elsewhere becomes a run", "imports"),
    },
    "look at runs": {
        "report": Row("a sweep, or several, as a page with figures and tables", "sweeps"),
        "lab": Row("why nets differ: lesions, landscapes, Hessians, ...", "lab", True),
        "export": Row("metrics and layers as tables (Parquet)", "sweeps"),
        "dashboard": Row("a wandb workspace for a project's runs", "dashboard"),
    },
    "choose a net": {
        "models": Row("networks, shortcuts, norms, inits, with their papers", "models"),
        "predict": Row("size, memory, time and gradients to expect", "predict"),
    },
    "set up": {
        "data": Row("list, prepare, check and time data sets", "data"),
        "doctor": Row("whether this machine is fit to train, and how fast", "doctor", True),
        "completion": Row("let the Tab key complete words, in bash, zsh or fish", "completion"),
    },
}
ROWS = {name: row for group in GROUPS.values() for name, row in group.items()}
HELP = """usage: resjax COMMAND ...     resjax COMMAND --help     resjax --version

Train the same network with and without its shortcuts, and measure, layer by
layer, what the shortcuts change.

first steps, in this order:
  resjax train -m experiment=quickstart   8 small nets on digits, minutes
  resjax report quickstart                what happened: a table and a page
  resjax train -m model=preact model.shortcut=none,identity \\
      model.depth=20,56 train.steps=100 seeds=3 sweep=mine
                                          another net, at two depths
  resjax report mine                      its page
  CONTRIBUTING.md, Add a shortcut         then model.shortcut=none,YOURS
  notebooks/                              the same by hand, in Python
"""
SETTINGS = """every setting (model=..., data=..., train.steps=...):
  resjax train --help        an index; resjax train --help model: one section"""


def help_text() -> str:
    """The way in, and every command with a line."""
    lines = [HELP]
    for group, rows in GROUPS.items():
        lines += [f"{group}:", *(f"  {name:12s}{row.line}" for name, row in rows.items()), ""]
    return "\n".join([*lines, SETTINGS])


def command(name: str, words: Sequence[str] = ()) -> Command:
    """The command of this name; its module is imported now. InputError where there is none; words: what follows."""
    if name not in ROWS:
        raise InputError(unknown(name, shlex.join(words)))
    found: Command = import_module(f"resjax.cli.{ROWS[name].module}").COMMANDS[name]
    return found


def unknown(name: str, rest: str) -> str:
    """What to type instead of a command that there is not."""
    if name.startswith("-"):
        meant = nearest(name, ("--help", "--version"))
        return f"there is no option {name}.\nExpected a command, --help or --version.\nType: resjax {meant}"
    if "=" in name:
        return f"{name} is a setting.\nExpected a command before it.\nType: resjax train {name} {rest}".rstrip()
    meant = f"resjax {nearest(name, tuple(ROWS))} {rest}".rstrip()
    return (
        f"there is no command {name}.\nExpected one of: {', '.join(ROWS)}\n"
        f"Did you mean: {meant}\nType for what they do: resjax --help"
    )


def parsers() -> dict[str, Parser]:
    """Every command's parser, by its name. All is imported, JAX too."""
    return {name: command(name).parser() for name in ROWS}
