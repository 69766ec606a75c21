"""The documents say what the code does: diagrams, tables, equations, links."""

import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from resjax.cli.composition import checked
from resjax.cli.overrides import launch
from resjax.data import source
from resjax.errors import InputError
from resjax.models import build
from resjax.orders import ORDERS
from resjax.report.markdown import REGION
from resjax.shortcuts import SHORTCUTS
from resjax.variants import FAMILIES

CHECKOUT = Path(__file__).parents[1]
DOCS = CHECKOUT / "docs"
sys.path.append(str(DOCS))  # where docs/diagrams.py finds its neighbours

import diagrams  # noqa: E402
import tables  # noqa: E402
from symbols import traced  # noqa: E402

PAGE, *OTHERS = ((DOCS / name).read_text() for name in ("architectures.md", "atlas.md", "reproducing.md"))
PATHS = [*DOCS.glob("*.md"), *CHECKOUT.glob("experiments/*/README.md"), CHECKOUT / "README.md"]
PAGES = {path: path.read_text() for path in [*PATHS, CHECKOUT / "CONTRIBUTING.md"]}


@pytest.fixture(scope="module")
def pictures() -> dict[Path, str]:
    return diagrams.drawn()


def test_the_diagrams_are_those_of_the_code(pictures: dict[Path, str]) -> None:
    assert {path: path.read_text() for path in (DOCS / "units").glob("*.svg")} == pictures, "type: make diagrams"


def test_every_diagram_is_shown_and_every_link_leads_somewhere() -> None:
    shown = {DOCS / place for place in re.findall(r"\]\((units/[^)]+)\)", PAGE)}
    assert shown == set((DOCS / "units").glob("*.svg"))
    for path, text in PAGES.items():
        for place in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (path.parent / place).exists(), (path, place)
        headings = {
            re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in re.findall(r"^#+ (.+)", text, re.M)
        }
        assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


def test_a_changed_order_changes_the_diagram(pictures: dict[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    before = pictures[DOCS / "units" / "resnet_basic.svg"]
    monkeypatch.setitem(ORDERS, "original", replace(ORDERS["original"], after=""))
    after = diagrams.svg_of(diagrams.PICTURES["resnet_basic"])
    assert (before.count(">relu<"), after.count(">relu<")) == (4, 2)


def test_a_changed_shortcut_changes_the_diagram(pictures: dict[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
    halved = replace(SHORTCUTS["identity"], join=lambda x, f, at: x + f / 2)
    monkeypatch.setitem(SHORTCUTS, "identity", halved)
    after = diagrams.svg_of(diagrams.PICTURES["preact"])
    assert ">h = x + f / 2<" in after
    assert ">h = x + f<" in pictures[DOCS / "units" / "preact.svg"]


@pytest.mark.parametrize("name", SHORTCUTS)
def test_a_shortcuts_equation_is_what_its_function_computes(name: str) -> None:
    row = SHORTCUTS[name]
    said = re.split(r"[,;](?![^\[]*\])| where | in every ", row.equation.removeprefix("h = "))[0]
    assert traced(row).text == said, f"the function computes h = {traced(row).text}, and its row says h = {said}"
    if row.elsewhere:
        assert f"h = {traced(row, changes=False).text} elsewhere" in row.equation


def test_the_tables_are_those_of_the_code() -> None:
    quick = set(tables.TABLES) - {"counts"}
    assert {name for _, name, *_ in REGION.findall("".join([PAGE, *OTHERS]))} == set(tables.TABLES)
    for page in (PAGE, *OTHERS):
        assert tables.filled(page, quick) == page, "type: make diagrams"


@pytest.mark.parametrize("net", ["ResNet-56, plain-56", "ResNet-50", "VGG C", "the article's, 10 classes"])
def test_the_counts_are_those_of_the_code(net: str) -> None:
    words = dict(tables.NETS)[net]
    assert f"| {' | '.join(tables.count(net, words))} |\n" in PAGE, "type: make diagrams"


@pytest.mark.slow
def test_every_count_is_that_of_the_code() -> None:
    assert tables.filled(PAGE) == PAGE, "type: make diagrams"


def test_no_page_is_half_written() -> None:
    for path, text in PAGES.items():
        assert "PLACEHOLDER" not in text, path
        for name, body in re.findall(r"<!-- table: (\w+) -->\n(.*?)<!-- end -->", text, re.DOTALL):
            assert body.strip(), (path, name)


def test_the_data_set_of_an_experiment_can_be_changed() -> None:
    for name in ("gradient_flow", "quickstart", "article"):
        assert {job.data.name for job in launch([f"experiment={name}", "data=synthetic", "-m"]).jobs} == {"synthetic"}


def test_the_networks_of_the_commands_can_be_built() -> None:
    found = [checked(line.split()) for line in re.findall(r"^    resjax train (model=.*)$", PAGE, re.M)]
    assert {job.model.name for job in found} == set(FAMILIES)
    for job in found:
        build(job.model, *source.shape_of(job.data))


def test_what_is_said_to_be_refused_is() -> None:
    section = PAGE.split("Each of these is refused:")[1].split("\n## ")[0]
    refused = re.findall(r"`(model=[^`]+)`", section)
    assert len(refused) > 12
    for words in refused:
        with pytest.raises(InputError, match=r"Type: |Nearest: "):
            checked(words.split())
