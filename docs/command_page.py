"""The regions of docs/commands.md: every command, as its parser has it."""

import argparse
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields

from markup import block, code, paragraph, paragraphs, prose

from resjax.cli import commands, main
from resjax.cli.lab import default_of
from resjax.cli.options import Parser
from resjax.lab.table import INSTRUMENTS
from resjax.report.markdown import table
from resjax.settings import spelled

EXAMPLES, CODES = "examples:\n", "exit codes: "
# What a command's help ends with, where a page or a section here says it in full.
ELSEWHERE = {"train": "Its settings: [settings.md](settings.md).\n", "lab": ""}


def overview() -> str:
    """Every command with its line, in the order of `resjax --help`."""
    rows = (
        (group, f"[{name}](#resjax-{name})", prose(row.line))
        for group, named in commands.GROUPS.items()
        for name, row in named.items()
    )
    return table(("to", "command", "what it is about"), rows)


def exit_codes() -> str:
    """What `main` says of them."""
    said = " ".join(str(main.__doc__).split()).partition("exit code: ")[2].rstrip(".")
    return table(("code", "what"), re.findall(r"(\d+(?: and \d+)*) ([^,]+)", said))


def sections() -> str:
    """A section for each."""
    with wide():
        return "\n".join(part for name, parser in commands.parsers().items() for part in section(parser, name))


@contextmanager
def wide() -> Iterator[None]:
    """Help as a wide terminal has it, whatever this one is."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "100"
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def section(parser: Parser, name: str, level: int = 2) -> Iterator[str]:
    """A command: what it does, how it is typed, its words, its exit codes; then its own commands and instruments."""
    about, _, examples = str(parser.description).partition(EXAMPLES)
    more, _, codes = (parser.epilog or "").partition(CODES)
    yield f"{'#' * level} {parser.prog}\n"
    yield paragraph(about)
    yield block(usage(parser))
    yield from words(parser)
    yield "For example:\n"
    yield block("\n".join(line.strip() for line in examples.splitlines()))
    yield from [ELSEWHERE[name]] if name in ELSEWHERE else paragraphs(more)
    if codes:
        yield paragraph(f"Exit codes: {codes}.")
    for child in children(parser):
        yield from section(child, name, level + 1)
    if name == "lab":
        yield from instruments(level + 1)


def usage(parser: Parser) -> str:
    """How it is typed; --help goes without saying."""
    return parser.format_usage().removeprefix("usage: ").replace(" [-h]", "").replace("\n       ", "\n")


def words(parser: Parser) -> Iterator[str]:
    """Its arguments and its options, a row each."""
    shown = [action for action in parser._actions if not isinstance(action, argparse._SubParsersAction)]
    for title, of in (("argument", False), ("option", True)):
        rows = [
            (code(typed(parser, action)), prose(action.help or "") + chosen(action))
            for action in shown
            if bool(action.option_strings) == of and "--help" not in action.option_strings
        ]
        if rows:
            yield table((title, "what"), rows)


def typed(parser: Parser, action: argparse.Action) -> str:
    """As it is typed: its names, and what follows."""
    value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    if action.choices and not action.metavar:
        value = "|".join(map(str, action.choices))
    return " ".join(filter(None, (", ".join(action.option_strings), value)))


def chosen(action: argparse.Action) -> str:
    """What it may be, where its name does not say so."""
    named = action.choices and action.metavar and not all(str(one) in (action.help or "") for one in action.choices)
    return f"; one of: {', '.join(map(code, map(str, action.choices or ())))}" if named else ""


def children(parser: Parser) -> Iterator[Parser]:
    """The commands behind it, such as `prepare` behind `resjax data`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.values()


def instruments(level: int) -> Iterator[str]:
    """Each instrument of the lab, with its settings."""
    for name, instrument in INSTRUMENTS.items():
        yield f"{'#' * level} {name}\n"
        yield paragraph(f"{instrument.question[:1].upper()}{instrument.question[1:]} ({instrument.paper})")
        rows = [
            (
                code(item.name),
                code(spelled(default_of(item))),
                code(spelled(instrument.quick[item.name])) if item.name in instrument.quick else "",
                prose(item.metadata["help"]),
            )
            for item in fields(instrument.settings)
        ]
        yield table(("setting", "default", "with --quick", "what"), rows) if rows else "It has no settings.\n"


REGIONS: dict[str, Callable[[], str]] = {"overview": overview, "exit_codes": exit_codes, "sections": sections}
