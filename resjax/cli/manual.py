"""The settings of `resjax train`, as its help lists them: an index, a section, or what a word finds."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field
from pathlib import Path
from typing import Any

from resjax.catalog import CATALOG
from resjax.cli.options import width
from resjax.cli.words import LAUNCHER_KEYS, choices, default, settings
from resjax.errors import InputError
from resjax.settings import nearest

ALL = "all"
GENERAL = "general"  # the section of those without a dot
NAMES = 32  # letters of a setting's column
EXPLAINED = 3  # settings found at most, for their choices to be explained too


def sections() -> dict[str, list[str]]:
    """The settings' names by section."""
    found: dict[str, list[str]] = {}
    for key in settings():
        found.setdefault(key.rpartition(".")[0] or GENERAL, []).append(key)
    return found


def index(folders: Sequence[Path] = ()) -> str:
    """Every group and every setting by name; folders: of --config-dir."""
    lines = ["groups, each name a file of settings:"]
    lines += [line for group, names in choices(*folders).items() for line in folded(f"{group}=", names)]
    lines += ["", "settings, by section, and what tells where a sweep runs:"]
    for section, names in sections().items():
        lines += folded(f"{section}." if section != GENERAL else "", [name.rpartition(".")[2] for name in names])
    lines += folded("hydra.launcher.", [name.rpartition(".")[2] for name in LAUNCHER_KEYS])
    lines += ["", "what they mean, their defaults and what is legal:"]
    shown = {"model": "a section", "model.norm": "a setting", "gradient": "what a word finds", ALL: "everything"}
    return "\n".join([*lines, *(f"  resjax train --help {word:11s} {what}" for word, what in shown.items())])


def folded(name: str, words: Iterable[str]) -> list[str]:
    """A name, and its words beside it."""
    begin = f"  {name:15s} "
    lines = textwrap.wrap(" ".join(words), width() - len(begin), break_long_words=False, break_on_hyphens=False)
    return [f"{begin if not number else ' ' * len(begin)}{line}" for number, line in enumerate(lines)]


def manual(word: str) -> str:
    """The settings of a section, or that have the word in their name or meaning. InputError where none has."""
    found = chosen(word.rstrip("=.*").lower())
    lines = [line for key, item in found.items() for line in listed(key, item)]
    if len(found) <= EXPLAINED:
        rows = [row for row in CATALOG if row["setting"] in found]
        papers = [f" ({row['paper']})" if row["paper"] else "" for row in rows]
        lines += [""] * bool(rows) + [
            line
            for row, paper in zip(rows, papers, strict=True)
            for line in entry(f"{row['setting'].rpartition('.')[2]}={row['name']}", row["what"] + paper)
        ]
    return "\n".join(lines)


def chosen(word: str) -> Mapping[str, Field[Any]]:
    """The settings that a word of help asks for."""
    everything = settings()
    names = list(everything) if word == ALL else sections().get(word, [])
    names = names or [key for key in everything if word in (key, key.rpartition(".")[2])]
    names = names or [key for key, item in everything.items() if word in f"{key} {item.metadata['help']}".lower()]
    if not names:
        meant = nearest(word, (*sections(), *everything))
        raise InputError(
            f"{word} is in no setting's name or meaning.\nExpected a section: {', '.join(sections())}; or any word.\n"
            f"Type: resjax train --help {meant}"
        )
    return {name: everything[name] for name in names}


def listed(key: str, item: Field[Any]) -> list[str]:
    """A setting with its default, its meaning and its legal values."""
    return entry(f"{key}={default(key)}", item.metadata["help"] + legal(item))


def entry(name: str, text: str) -> list[str]:
    """Its name, and its text beside it."""
    apart = " " * (NAMES + 2)
    begin = f"  {name:{NAMES}}" if len(name) < NAMES else f"  {name}  "
    return textwrap.wrap(
        text, width(), initial_indent=begin, subsequent_indent=apart, break_long_words=False, break_on_hyphens=False
    )


def legal(item: Field[Any]) -> str:
    """A setting's legal values, in brackets; "" where its type says all."""
    of = item.metadata
    ends = ((of["minimum"], "{:g} or more"), (of["below"], "less than {:g}"), (of["maximum"], "{:g} or less"))
    said = ", ".join(of["choices"]) or ", ".join(says.format(end) for end, says in ends if end is not None)
    return f" ({said})" if said else ""
