"""The regions of docs/settings.md: every setting, as the schema and conf/ have it."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import Field, fields
from pathlib import Path
from typing import Any, get_args

import yaml
from counting import counts
from markup import code, paragraph, prose

from resjax.catalog import CATALOG
from resjax.cli import manual
from resjax.cli.words import EXPECTED, choices, conf_folder, default, launchers, settings
from resjax.config import Config
from resjax.records import flat
from resjax.report.markdown import table
from resjax.settings import spelled

TITLES = ("setting", "default", "takes", "what it means", "id")
NAMED = {row["setting"] for row in CATALOG}
LINE = re.compile(r"^(\w+): *([^#]*?) *(?:# *(.*))?$")


def schema() -> str:
    """A table for each section."""
    abouts = {item.name: item.type.__doc__ for item in fields(Config) if hasattr(item.type, "__dataclass_fields__")}
    abouts[manual.GENERAL] = Config.__doc__
    counted = counts()
    return "\n".join(
        f"### {name}\n\n{paragraph(str(abouts[name]))}\n{rows_of(keys, counted)}" for name, keys in by_section().items()
    )


def by_section() -> dict[str, list[str]]:
    """The names of the settings, those without a section first: they are in every command."""
    found = manual.sections()
    return {manual.GENERAL: found.pop(manual.GENERAL), **found}


def rows_of(keys: Sequence[str], counted: dict[str, str]) -> str:
    """The table of some settings."""
    rows = (
        (code(key), code(default(key)), takes(key, settings()[key]), prose(settings()[key].metadata["help"]))
        for key in keys
    )
    return table(TITLES, ((*row, counted[key]) for key, row in zip(keys, rows, strict=True)))


def takes(key: str, item: Field[Any]) -> str:
    """What is legal, of which type and within which bounds."""
    null = ", or `null`" if type(None) in get_args(item.type) else ""
    if item.metadata["choices"]:
        explained = ": [architectures](architectures.md)" if key in NAMED else ""
        return ", ".join(map(code, item.metadata["choices"])) + null + explained
    kind = next(kind for kind in (item.type, *get_args(item.type)) if kind in EXPECTED)
    bounds = manual.legal(item).strip(" ()")
    return EXPECTED[kind][0] + (f", {bounds}" if bounds else "") + null


def groups() -> str:
    """A table for each group, a row for each file."""
    return "\n".join(f"### The group {group}\n\n{files(group, names)}" for group, names in choices().items())


def files(group: str, names: Iterable[str]) -> str:
    """What each file says of itself, and what it sets."""
    rows = []
    for name in names:
        path = conf_folder() / group / f"{name}.yaml"
        rows.append((code(f"{group}={name}"), prose(comment(path)), ", ".join(sets(path, group))))
    return table(("word", "what", "sets"), rows)


def comment(path: Path) -> str:
    """The lines that a file begins with."""
    lines = path.read_text().splitlines()
    end = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return " ".join(line.lstrip("# ") for line in lines[:end] if not line.startswith("# @package"))


def sets(path: Path, group: str) -> Iterator[str]:
    """What a file sets, as it would be typed."""
    content = yaml.safe_load(path.read_text()) or {}
    for chosen in content.pop("defaults", []):
        yield from (code(f"{name.removeprefix('override /')}={value}") for name, value in chosen.items())
    prefix = "" if group == "experiment" else f"{group}."
    for name, value in flat(content, prefix).items():
        yield code(f"{name.removeprefix('hydra.sweeper.params.')}={spelled(value)}")


def launcher_files() -> str:
    """A table for each launcher, a row for each of its settings."""
    folder = conf_folder() / "hydra" / "launcher"
    parts = []
    for name in launchers():
        path = folder / f"{name}.yaml"
        found = [LINE.match(line) for line in path.read_text().splitlines() if not line.startswith(("#", "_"))]
        rows = [(code(f"hydra.launcher.{row[1]}"), code(row[2]), prose(row[3] or "")) for row in found if row]
        parts += [f"### The launcher {name}\n\n{paragraph(comment(path))}", table(("setting", "default", "what"), rows)]
    return "\n".join(parts)


REGIONS: dict[str, Callable[[], str]] = {"schema": schema, "groups": groups, "launchers": launcher_files}
