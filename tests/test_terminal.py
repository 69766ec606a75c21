"""The pictures of the terminal in docs/pictures are of what the commands print now."""

import re
import sys
from html import unescape
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
sys.path.append(str(DOCS))

import terminal  # noqa: E402

# What depends on the machine and its load: the time of training there, and a process's memory.
MEASURED = re.compile(r"[\d.]+ (GB|min|s|h|d)\b")


def drawn(name: str) -> list[str]:
    """The lines of a picture."""
    text = (DOCS / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
    return [unescape(line) for line in re.findall(r">([^<>]+)</text>", text)]


@pytest.mark.parametrize("name", [name for name, shot in terminal.SHOTS.items() if not shot.recorded])
def test_a_picture_shows_what_is_printed(name: str) -> None:
    shot = terminal.SHOTS[name]
    printed = [f"$ {shot.command}", *terminal.printed(shot)]
    words = [MEASURED.sub("", " ".join(lines)).split() for lines in (drawn(name), printed)]
    assert words[0] == words[1], "type: python docs/terminal.py"


@pytest.mark.parametrize("name", terminal.SHOTS)
def test_a_picture_stands_alone_and_is_not_wide(name: str) -> None:
    text = (DOCS / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
    assert drawn(name)[0] == f"$ {terminal.SHOTS[name].command}"
    assert not re.findall(r"url\(|@import|href|<script|<style", text)
    assert max(len(line) for line in drawn(name)) <= terminal.SHOTS[name].columns
