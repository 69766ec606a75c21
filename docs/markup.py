"""Pieces of Markdown that the reference pages are made of."""

import re
import textwrap
from collections.abc import Iterator

SPECIAL = re.compile(r"([\\*\[\]<>]|(?<!\w)_|_(?!\w))")
CODE = re.compile(r"(`[^`]+`)")
LAID_OUT = re.compile(r"^ |\S {2,}\S", re.MULTILINE)  # columns, which only a fixed width keeps


def prose(text: str) -> str:
    """A paragraph of plain text with `code` in it: what else Markdown would read is escaped, lines are joined."""
    parts = CODE.split(" ".join(text.split()))
    return "".join(part if part.startswith("`") else SPECIAL.sub(r"\\\1", part) for part in parts)


def paragraph(text: str) -> str:
    """The same on lines of its own."""
    return textwrap.fill(prose(text), 120, break_long_words=False, break_on_hyphens=False) + "\n"


def block(text: str) -> str:
    """As it is typed or printed."""
    return f"```text\n{text.strip(chr(10))}\n```\n"


def paragraphs(text: str) -> Iterator[str]:
    """Text of a terminal: prose, and blocks where it has columns."""
    for part in filter(None, text.split("\n\n")):
        yield block(part) if LAID_OUT.search(part) else paragraph(part)


def code(text: str) -> str:
    """Inside a line; nothing for nothing."""
    return f"`{text}`" if text else ""
