"""resjax completion: a script that lets the Tab key of a shell complete the words of resjax."""

import argparse
import sys
from collections.abc import Callable
from importlib import resources

from resjax.cli.offers import SHELLS, Table, table
from resjax.cli.options import Parser, parsed

PLACES = {
    "bash": "~/.resjax.bash",
    "zsh": "~/.resjax.zsh",
    "fish": "~/.config/fish/completions/resjax.fish",
}
MORE = """Then, once:  echo 'source ~/.resjax.bash' >> ~/.bashrc
             echo 'source ~/.resjax.zsh' >> ~/.zshrc       (fish needs nothing)

It completes commands, options, settings and their values
(model.shortcut=none,id), items of reproduce, instruments of the lab, data
sets, and the sweeps in runs/. Everything but the sweeps stands in the script,
so that Tab does not wait for Python: write it again after an update, or when
you have added a shortcut. Making it takes seconds, so let it stand in a file,
and do not call resjax in a shell's start file."""


def parser() -> Parser:
    """Its options."""
    found = Parser(
        "resjax completion",
        description="Print a script that lets the Tab key complete the words of resjax.",
        examples=[typed(shell) for shell in SHELLS],
        more=MORE,
    )
    found.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")
    return found


def typed(shell: str) -> str:
    """What keeps the script where the shell, or its start file, finds it."""
    return f"resjax completion {shell} > {PLACES[shell]}"


def show(options: argparse.Namespace) -> int:
    """resjax completion."""
    print(script(options.shell, table()))
    if sys.stdout.isatty():
        print(f"Type, for the Tab key to use it: {typed(options.shell)}", file=sys.stderr)
    return 0


def script(shell: str, words: Table) -> str:
    """The shell's script: the table of words, and what looks them up."""
    written: dict[str, tuple[Callable[[Table], str], tuple[str, ...]]] = {
        "bash": (in_sh, ("engine.sh", "wrap.bash")),
        "zsh": (in_sh, ("engine.sh", "wrap.zsh")),
        "fish": (in_fish, ("engine.fish",)),
    }
    in_shell, files = written[shell]
    folder = resources.files("resjax.cli") / "shells"
    first = "#compdef resjax\n" if shell == "zsh" else ""
    parts = [(folder / name).read_text(encoding="utf-8") for name in files]
    return "\n".join([f"{first}# Made by: resjax completion {shell}", in_shell(words), *parts])


def in_sh(words: Table) -> str:
    """A function that sets `found` to the words of a key; 1 where there is no such key."""
    cases = [f"    '{key}') found='{' '.join(of)}' ;;" for key, of in words.items()]
    return "\n".join(
        ["_resjax_table() {", "    found=", '    case "$1" in', *cases, "    *) return 1 ;;", "    esac", "}\n"]
    )


def in_fish(words: Table) -> str:
    """A function that prints the words of a key; 1 where there is no such key."""
    cases = [line for key, of in words.items() for line in (f"        case '{key}'", f"            {printed(of)}")]
    head, end = ["function __resjax_table", '    switch "$argv[1]"'], ["        case '*'", "            return 1"]
    return "\n".join([*head, *cases, *end, "    end", "end\n"])


def printed(words: tuple[str, ...]) -> str:
    """A line of fish that prints the words, a line each."""
    return f"printf '%s\\n' {' '.join(words)}" if words else "true"


COMMANDS = {"completion": parsed(parser, show)}
