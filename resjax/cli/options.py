"""A command's options: its help, and errors that end with what to type."""

import argparse
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from resjax.errors import InputError
from resjax.settings import nearest

RUNS_HELP = "folder of all sweeps; default: runs"
JSON_HELP = "one JSON document instead of a table"
KINDS = {"int": "a whole number", "float": "a number", "Path": "a path"}
WIDEST = 100  # letters of a line of help
# What argparse says, in the versions of Python that there are, and what becomes of it.
MISSING = re.compile(r"the following arguments are required: (.*)")
EXTRA = re.compile(r"unrecognized arguments: (.*)")
CHOICE = re.compile(r"argument (.*?): invalid choice: '?(.*?)'? \(choose from (.*)\)")
WRONG = re.compile(r"argument (.*?): invalid (\w+) value: '(.*)'")
EMPTY = re.compile(r"argument (.*?): expected (?:one|at least one) argument")


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Texts as they are typed; as wide as the terminal, and no wider than can be read."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=24, width=width())

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """-c, --cfg WHAT, as of Python 3.13, instead of -c WHAT, --cfg WHAT."""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"


def width() -> int:
    """Letters of a line of help."""
    return min(shutil.get_terminal_size().columns, WIDEST) - 2


class Parser(argparse.ArgumentParser):
    """Of one command. examples: whole commands, the plainest first; codes: what its exit codes mean."""

    def __init__(
        self, prog: str, description: str, examples: Sequence[str], codes: str = "", more: str = "", **settings: Any
    ) -> None:
        typed = "\n".join(["examples:", *(f"  {example}" for example in examples)])
        super().__init__(
            prog=prog,
            description=f"{description}\n\n{typed}",
            epilog="\n\n".join(filter(None, (more, f"exit codes: {codes}" if codes else ""))),
            formatter_class=Formatter,
            allow_abbrev=False,
            add_help=False,
            **settings,
        )
        self.color = False  # Python 3.14 would colour it
        self.examples = tuple(examples)
        self._positionals.title = "arguments"
        self.add_argument("-h", "--help", action="help", help="print this")

    def error(self, message: str) -> NoReturn:
        """InputError in place of argparse's own end."""
        raise InputError(self.explained(message))

    def explained(self, message: str) -> str:
        """What argparse found, as ours say it: the value, what was expected, what to type."""
        if found := MISSING.match(message):
            return f"{found[1]} {'are' if ', ' in found[1] else 'is'} missing.\n{self.expected()}"
        if found := EXTRA.match(message):
            return self.extra(found[1].split(" ")[0])
        if found := CHOICE.match(message):
            names = tuple(name.strip("'") for name in found[3].split(", "))
            begin = f"{found[1].split('/')[-1]}=" if found[1].startswith("-") else f"{self.prog} "
            return (
                f"{begin}{found[2]} is not known.\nExpected one of: {', '.join(names)}\n"
                f"Type: {begin}{nearest(found[2], names)}"
            )
        if found := WRONG.match(message):
            return f"{found[1].split('/')[-1]}={found[3]} is not {KINDS[found[2]]}.\n{self.expected()}"
        if found := EMPTY.match(message):
            return f"{found[1]} has no value.\n{self.expected()}"
        return f"{message}.\n{self.expected()}"

    def refuse_options(self, words: Sequence[str]) -> None:
        """InputError where one is none of its options, of a command whose words Hydra reads."""
        for word in words:
            if word.startswith("-") and word.partition("=")[0] not in self._option_string_actions:
                raise InputError(self.extra(word))

    def extra(self, word: str) -> str:
        """A word that is none of its options."""
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            return f"{word} is one word too many.\n{self.expected()}"
        options = tuple(option for option in self._option_string_actions if option.startswith("--"))
        return (
            f"{self.prog} has no option {name}.\nExpected one of: {', '.join(options)}\n"
            f"Did you mean: {nearest(name, options)}{equals}{value}"
        )

    def expected(self) -> str:
        """Its usage, and an example."""
        usage = " ".join(self.format_usage().split()).removeprefix("usage: ").replace("[-h] ", "")
        return f"Expected: {usage}\nType for example: {self.examples[0]}, or for help: {self.prog} --help"


@dataclass(frozen=True)
class Command:
    """How its words are read, and what it does with them; run: (words) -> exit code."""

    parser: Callable[[], Parser]
    run: Callable[[Sequence[str]], int]


def parsed(parser: Callable[[], Parser], act: Callable[[argparse.Namespace], int]) -> Command:
    """A command whose words argparse reads."""
    return Command(parser, lambda words: act(parser().parse_args(list(words))))
