"""Pieces of HTML. Whatever comes from a record is escaped."""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

WARN, CALM, OPEN = "warn", "calm", "open"  # tones of a verdict
Cell = tuple[str, str]  # its text and its class


class Html(str):
    """What is HTML already."""


def text(value: object) -> str:
    """Escaped for HTML, but for what is HTML."""
    return value if isinstance(value, Html) else html.escape(str(value))


@dataclass(frozen=True)
class Chip:
    """A verdict in a word, its tone, and what it is of."""

    word: str
    tone: str
    told: str = ""

    def html(self) -> Html:
        """The word in its colour, the rest behind it."""
        told = f" {text(self.told)}" if self.told else ""
        return Html(f'<span class="chip {self.tone}">{text(self.word)}</span>{told}')


def read(name: str) -> str:
    """A file that lies beside this module."""
    return resources.files("resjax.report.page").joinpath(name).read_text(encoding="utf-8")


def told_by(keys: Mapping[str, object]) -> str:
    """Attributes that a script finds an element by: data-arm and the like."""
    return "".join(f' data-{name}="{text(value)}"' for name, value in keys.items())


def table(titles: Sequence[Cell], rows: Sequence[Sequence[Cell]], keys: Sequence[Mapping[str, object]] = ()) -> str:
    """Titles and cells, each with its class; in a box that scrolls sideways where the screen is narrow.

    keys: what each row is about, where the page's filters should find it.
    """
    head = "".join(f'<th class="{kind}" scope="col">{text(title)}</th>' for title, kind in titles)
    about = keys or [{}] * len(rows)
    body = "".join(
        f"<tr{told_by(key)}>" + "".join(f'<td class="{kind}">{text(value)}</td>' for value, kind in row) + "</tr>"
        for row, key in zip(rows, about, strict=True)
    )
    box = '<div class="wide" tabindex="0" role="region" aria-label="table">'
    return f"{box}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def bullets(sentences: Sequence[str]) -> str:
    """A list."""
    return "<ul>" + "".join(f"<li>{text(sentence)}</li>" for sentence in sentences) + "</ul>"


def folded(title: str, body: str) -> str:
    """HTML under a title that opens it."""
    return f"<details><summary>{text(title)}</summary>{body}</details>"


def note(words: str) -> str:
    """A paragraph in a softer colour."""
    return f'<p class="soft">{text(words)}</p>'


def embedded(name: str, value: Any) -> str:
    """JSON that no text in it can end early."""
    spelled = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{spelled}</script>'
