"""The documentation as a site: it builds without a word, every link in it leads somewhere, and nothing is fetched."""

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

CHECKOUT = Path(__file__).parents[1]
LOADED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data"}
FETCHED = re.compile(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//")
# What GitHub's Markdown reads and the site's does not: a list or table right behind a paragraph, an escape in code.
UNREAD = (r"<p>[^<]*\n(?:[-*]|\d+\.) ", r"\|\s*-{3}", r"<code>[^<]*\\\|", r"\]\([\w./#-]+\)")


class Found(HTMLParser):
    """The ids of a page, what it links to, and what a browser loads with it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.links, self.loaded = {""}, list[str](), list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids |= {str(values[name]) for name in ("id", "name") if values.get(name)}
        if tag == "a" and values.get("href"):
            self.links.append(str(values["href"]))
        if tag in LOADED and values.get(LOADED[tag]):
            self.loaded.append(str(values[LOADED[tag]]))
        self.loaded += FETCHED.findall(values.get("style") or "")


def built(checkout: Path, site: Path) -> str:
    """What the build said besides its progress."""
    command = [sys.executable, "-W", "error", "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True)
    said = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("INFO ")]
    return "\n".join([*said, *([f"exit code {done.returncode}"] if done.returncode else [])])


def dead(site: Path) -> list[str]:
    """Every link and file of every page that leads nowhere, and whatever a network would be needed for."""
    pages = {path: Found(path.read_text()) for path in site.rglob("*.html")}
    wrong = [f"{path}: {place}" for path in pages for place in pages[path].loaded if urlsplit(place).netloc]
    for path, page in pages.items():
        for place in {*page.links, *page.loaded}:
            split = urlsplit(place)
            if split.scheme in ("http", "https", "mailto"):
                continue
            start = site if place.startswith("/") else path.parent  # 404.html, which is shown at any place
            target = (start / unquote(split.path).lstrip("/") if split.path else path).resolve()
            target = target / "index.html" if target.is_dir() else target
            if not target.exists() or (target in pages and unquote(split.fragment) not in pages[target].ids):
                wrong.append(f"{path.relative_to(site)}: {place}")
    return wrong


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("site").resolve()
    assert built(CHECKOUT, found) == ""
    return found


def test_every_link_leads_somewhere_and_nothing_is_fetched(site: Path) -> None:
    assert dead(site) == []
    assert not [path for path in site.rglob("*.css") if FETCHED.search(path.read_text())]
    assert not [path for path in site.rglob("*.html") if 'class="mermaid"' in path.read_text()]  # fetches its program


def test_a_dead_link_is_found(site: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(site, tmp_path / "copy")
    page = copy / "lab.html"
    more = '<a href="import.html#nowhere">a</a><a href="no.html">b</a><img src="https://example.org/a.png">'
    page.write_text(page.read_text().replace("</article>", f"{more}</article>"))
    assert sorted(line.rpartition(": ")[2] for line in dead(copy.resolve())) == [
        "https://example.org/a.png",
        "import.html#nowhere",
        "no.html",
    ]


def test_the_build_refuses_dead_links(tmp_path: Path) -> None:
    links = ("nowhere.md", "lab.md#nowhere", "/data.md", "../resjax/nothing.py", "#nowhere")
    pages = tmp_path / "docs"
    pages.mkdir()
    shutil.copy(CHECKOUT / "docs" / "outside.py", pages)
    settings = (CHECKOUT / "mkdocs.yml").read_text().partition("\nnav:")[0]
    (tmp_path / "mkdocs.yml").write_text(f"{settings}\nnav: [index.md, lab.md, Experiments: []]\n")
    for name in ("CHANGELOG.md", "CONTRIBUTING.md", "docs/lab.md", "docs/site.css"):
        (tmp_path / name).write_text("")
    (pages / "index.md").write_text("\n".join(f"[there]({link})" for link in links))
    said = built(tmp_path, tmp_path / "site")
    assert [link for link in links if f"'{link}'" not in said] == []
    assert "not included" in said  # contributing.md and changelog.md, which this navigation lacks
    assert "exit code 1" in said


def test_every_page_is_in_the_site(site: Path) -> None:
    written = {path.stem for path in (CHECKOUT / "docs").glob("*.md")}
    assert {path.stem for path in site.glob("*.html")} >= written | {"contributing", "changelog"}
    experiments = {path.parent.name for path in CHECKOUT.glob("experiments/*/README.md")}
    assert {path.stem for path in (site / "experiments").glob("*.html")} == experiments
    found = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    assert {row["location"].partition("#")[0] for row in found} >= {"lab.html", "experiments/lab.html"}
    assert not list(site.rglob("*.py"))


def test_the_sites_markdown_reads_what_githubs_does(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = re.sub(r"<pre>.*?</pre>", "", path.read_text(), flags=re.DOTALL)
        for pattern in UNREAD:
            assert not re.findall(f".{{0,60}}{pattern}.{{0,60}}", text), (path.name, pattern)


def test_a_link_out_of_the_site_is_its_text(site: Path) -> None:
    assert "resjax/theory/batchnorm.py" in (CHECKOUT / "docs" / "atlas.md").read_text()
    assert "batchnorm.py)" not in (site / "atlas.html").read_text()
    assert 'href="experiments/gradient_flow.html"' in (site / "atlas.html").read_text()
    assert 'href="../atlas.html' in (site / "experiments" / "gradient_flow.html").read_text()
