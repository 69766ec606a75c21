"""A hook of mkdocs: pages that lie outside docs/ are in the site, too, and the links of GitHub lead to its pages.

A link to a file or folder of the checkout that is no page of the site stays as its text.
"""

import posixpath
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

CHECKOUT = Path(__file__).parents[1]
ALONE = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
ROW = re.compile(r"^\|.*$", re.MULTILINE)  # of a table
CODE = re.compile(r"`[^`]+`")
# ![alt](place) and [text](place#anchor); a text may be `code`, or have brackets in it once.
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s#]+)(#[^()\s]*)?\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Every experiment has its line in the navigation."""
    pages = sorted(place for place in outside().values() if place.startswith("experiments/") and place.endswith(".md"))
    dict(sections(config.nav or []))["Experiments"].extend(pages)
    return config


def sections(nav: list[Any]) -> Iterator[tuple[str, list[Any]]]:
    """The navigation's sections by their titles, however deep."""
    for title, entries in (pair for entry in nav if isinstance(entry, dict) for pair in entry.items()):
        if isinstance(entries, list):
            yield title, entries
            yield from sections(entries)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Pages and pictures from outside docs/."""
    for source, place in outside().items():
        files.append(File.generated(config, place, abs_src_path=str(CHECKOUT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with the links that lead somewhere in the site, and its tables as Python-Markdown reads them."""
    places = {place: source for source, place in outside().items()}
    here = places.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return ROW.sub(lambda row: unescaped(row[0]), relinked(markdown, here, files))


def unescaped(row: str) -> str:
    """A bar in a table's code as it is: GitHub wants it escaped, and Python-Markdown would show the backslash."""
    return CODE.sub(lambda code: code[0].replace("\\|", "|"), row)


@cache
def outside() -> dict[str, str]:
    """The place in the site of every file from outside docs/, by its path in the checkout."""
    found = dict(ALONE)
    for page in sorted(CHECKOUT.glob("experiments/*/README.md")):
        found[inside(page)] = f"experiments/{page.parent.name}.md"
        found |= {inside(picture): inside(picture) for picture in sorted(page.parent.glob("*.svg"))}
    return found


def inside(path: Path) -> str:
    """Relative to the checkout."""
    return path.relative_to(CHECKOUT).as_posix()


def relinked(markdown: str, here: str, files: Files) -> str:
    """A page's text, which lies at `here` in the checkout, with its links as the site needs them."""

    def link(found: re.Match[str]) -> str:
        mark, text, place, anchor = found.groups(default="")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), place))
        if ":" in place or not (CHECKOUT / target).exists():
            return found[0]  # of another site; or dead, which mkdocs says
        inner = outside().get(target, target.removeprefix("docs/"))
        if files.get_file_from_path(inner) is None:
            return text
        return f"{mark}[{text}]({relative(inner, here)}{anchor})"

    return LINK.sub(link, markdown)


def relative(inner: str, here: str) -> str:
    """From a page to a place in the site."""
    page = outside().get(here, here.removeprefix("docs/"))
    return posixpath.relpath(inner, PurePosixPath(page).parent)
