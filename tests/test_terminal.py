"""The pictures of the terminal in docs/pictures are of what the commands print now."""

import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
sys.path.append(str(DOCS))

import terminal  # noqa: E402

PICTURES = DOCS / "pictures"


@pytest.mark.parametrize("name", [name for name, shot in terminal.SHOTS.items() if not shot.recorded])
def test_a_picture_shows_what_is_printed(name: str) -> None:
    shot = terminal.SHOTS[name]
    printed = [f"$ {shot.command}", *terminal.printed(shot)]
    assert terminal.words(terminal.drawn(PICTURES / f"{name}.svg")) == terminal.words(printed), "type: make diagrams"


@pytest.mark.parametrize("name", terminal.SHOTS)
def test_a_picture_stands_alone_and_is_not_wide(name: str) -> None:
    path = PICTURES / f"{name}.svg"
    text, drawn = path.read_text(encoding="utf-8"), terminal.drawn(path)
    assert drawn[0] == f"$ {terminal.SHOTS[name].command}"
    assert not re.findall(r"url\(|@import|href|<script|<style", text)
    assert max(len(line) for line in drawn) <= terminal.SHOTS[name].columns
