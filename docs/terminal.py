"""Pictures of the terminal, docs/pictures/*.svg, of what the commands print now.

`python docs/terminal.py` draws what needs no records. `python docs/terminal.py FOLDER` also what does: FOLDER is one
in which `resjax train -m experiment=quickstart` has run.
"""

import os
import re
import shlex
import sys
from contextlib import chdir, redirect_stdout
from dataclasses import dataclass
from html import escape, unescape
from io import StringIO
from pathlib import Path

from resjax.cli import main

PICTURES = Path(__file__).parent / "pictures"
LETTER, LINE, MARGIN = 8, 18, 16  # pixels
SIZE = 13.2  # of the font; every line is set to LETTER a letter, whatever font there is
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
# A dark card, readable on light and dark pages.
CARD, EDGE, INK, TYPED, SOFT = "#161b22", "#57606a", "#e6edf3", "#7ee787", "#8b949e"
MEASURED = re.compile(r"[\d.]+ (GB|min|s|h|d)\b")  # times of training here, and a process's memory
ELLIPSIS = "  ..."


@dataclass(frozen=True)
class Shot:
    """What is typed, in how wide a terminal, and how many of the first and the last lines are shown (None: all)."""

    command: str
    columns: int
    head: int | None = None
    tail: int = 0
    recorded: bool = False  # it needs the quickstart's records


SHOTS = {
    "help": Shot("resjax --help", 80),
    "predict": Shot("resjax predict -m model=mlp model.shortcut=none,identity model.depth=10,20,40", 112),
    "status": Shot("resjax status quickstart", 104, recorded=True),
    "report": Shot("resjax report quickstart", 80, head=11, tail=1, recorded=True),
}


def printed(shot: Shot) -> list[str]:
    """The lines that the command prints in a terminal of that width, without colours."""
    kept, said = dict(os.environ), StringIO()
    os.environ |= {"COLUMNS": str(shot.columns), "LINES": "50", "FORCE_COLOR": "1", "TERM": "dumb"}
    try:
        with redirect_stdout(said):
            assert main(shlex.split(shot.command)[1:]) == 0
    finally:
        os.environ.clear()
        os.environ.update(kept)
    lines = [part.rstrip() for line in said.getvalue().rstrip().splitlines() for part in folded(line, shot.columns)]
    return lines if shot.head is None else [*lines[: shot.head], ELLIPSIS, *lines[len(lines) - shot.tail :]]


def folded(line: str, columns: int) -> list[str]:
    """A line that is too long, as a terminal breaks it."""
    return [line[begin : begin + columns] for begin in range(0, max(len(line), 1), columns)]


def picture(shot: Shot, lines: list[str]) -> str:
    """The terminal as SVG: the command, and what it printed."""
    rows = [f"$ {shot.command}", *lines]
    width, height = 2 * MARGIN + LETTER * max(map(len, rows)), 2 * MARGIN + LINE * len(rows)
    drawn = [row(number, text) for number, text in enumerate(rows) if text]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
            f'role="img" aria-label="{escape(shot.command)}" font-family="{FONT}" font-size="{SIZE}">',
            f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8" fill="{CARD}" stroke="{EDGE}"/>',
            *drawn,
            "</svg>\n",
        ]
    )


def row(number: int, text: str) -> str:
    """A line of text, each letter as wide as every other in any font."""
    begin = len(text) - len(text.lstrip())
    letters = len(text) - begin
    x, y = MARGIN + LETTER * begin, MARGIN + LINE * number + 13
    fill = TYPED if number == 0 else SOFT if text == ELLIPSIS else INK
    place = f'x="{x}" y="{y}" textLength="{LETTER * letters}" lengthAdjust="spacingAndGlyphs"'
    return f'<text {place} fill="{fill}" xml:space="preserve">{escape(text.lstrip())}</text>'


def draw(folder: Path | None) -> None:
    """Write them; without a folder those that need no records."""
    PICTURES.mkdir(exist_ok=True)
    for name, shot in SHOTS.items():
        if folder is None and shot.recorded:
            continue
        with chdir(folder or Path.cwd()):
            lines = printed(shot)
        path = PICTURES / f"{name}.svg"
        made = picture(shot, lines)
        if not path.exists() or steady(path.read_text(encoding="utf-8")) != steady(made):
            path.write_text(made, encoding="utf-8")


def drawn(path: Path) -> list[str]:
    """The lines of a picture."""
    return [unescape(line) for line in re.findall(r">([^<>]+)</text>", path.read_text(encoding="utf-8"))]


def steady(made: str) -> str:
    """A picture without what depends on the machine: two that differ in that alone are one."""
    return re.sub(r' textLength="\d+"| +', " ", MEASURED.sub("", made))


def words(lines: list[str]) -> list[str]:
    """What is said, but for what depends on the machine."""
    return MEASURED.sub("", " ".join(lines)).split()


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
