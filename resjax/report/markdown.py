"""Markdown pages whose tables are made: a table stands between `<!-- table: NAME -->` and `<!-- end -->`."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from resjax.errors import InputError

REGION = re.compile(r"(<!-- table: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
BAR = re.compile(r"(?<!\\)\|")


def fill(text: str, makers: Mapping[str, Callable[[], str]], only: Collection[str] = ()) -> str:
    """The text with its regions made anew: all of them, or `only` these. InputError where one is unknown."""

    def region(found: re.Match[str]) -> str:
        head, name, body, end = found.groups()
        if name not in makers:
            known = ", ".join(makers)
            raise InputError(
                f"<!-- table: {name} --> is no table of these.\nExpected one of: {known}\nType: one, or take it out"
            )
        return f"{head}{body}{end}" if only and name not in only else f"{head}\n{makers[name]()}\n{end}"

    return REGION.sub(region, text)


def table(titles: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table; a bar in a cell is told from one between cells, where it is not already."""
    names = list(titles)
    lines = [names, ["---"] * len(names), *([BAR.sub(r"\\|", cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
