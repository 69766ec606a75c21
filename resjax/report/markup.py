"""Pieces of HTML. Whatever comes from a record is escaped."""

import html
import json
from importlib import resources
from typing import Any


def text(value: object) -> str:
    """Escaped for HTML."""
    return html.escape(str(value))


def read(name: str) -> str:
    """A file that lies beside this module."""
    return resources.files("resjax.report").joinpath(name).read_text(encoding="utf-8")


def table(titles: list[tuple[str, str]], rows: list[list[tuple[str, str]]]) -> str:
    """Titles and cells, each with its class; in a box that scrolls sideways where the screen is narrow."""
    head = "".join(f'<th class="{kind}" scope="col">{text(title)}</th>' for title, kind in titles)
    body = "".join(
        "<tr>" + "".join(f'<td class="{kind}">{text(value)}</td>' for value, kind in row) + "</tr>" for row in rows
    )
    box = '<div class="wide" tabindex="0" role="region" aria-label="table">'
    return f"{box}<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def bullets(sentences: list[str]) -> str:
    """A list."""
    return "<ul>" + "".join(f"<li>{text(sentence)}</li>" for sentence in sentences) + "</ul>"


def embedded(name: str, value: Any) -> str:
    """JSON that no text in it can end early."""
    spelled = json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="{name}">{spelled}</script>'
