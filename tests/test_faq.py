"""docs/faq.md quotes measurements: every number of its text stands in a page that the same paragraph links to."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
QUOTING = re.compile(r"\]\((\.\./experiments/\w+/README\.md|performance\.md|architectures\.md)")
# Names, whose numbers are no measurement: ResNet-56, He et al. 2015, section 4.1, 8x8; what is typed; R(1), 95 %.
NAMES = re.compile(
    r"`[^`]*`|\]\([^)]*\)|[A-Za-z]+-\d+|et al\. \d{4} \(section [\d.]+\)|et al\. \d{4}|\d+x\d+|\w+\(1\)|1 / \|w\|"
)
NUMBER = r"[+\u2212-]?\d+(?:,\d{3})*(?:\.\d+)?(?:e-?\d+)?"
SAID = re.compile(rf"\[{NUMBER}, {NUMBER}\]|{NUMBER} \u00b1 \d+(?:\.\d+)?|{NUMBER}")


def paragraphs(text: str) -> list[str]:
    """Each paragraph, list item and row of a table, on one line."""
    blocks = re.split(r"\n\s*\n|\n(?=\||- |#)", text)
    return [" ".join(block.split()) for block in blocks]


PAGE = (DOCS / "faq.md").read_text()
QUOTES = [text for text in paragraphs(PAGE) if QUOTING.search(text)]


def missing(text: str, pages: str) -> list[str]:
    """The numbers of `text` that do not stand in `pages` as they are."""
    found = [match[0] for match in SAID.finditer(NAMES.sub(" ", text))]
    return [said for said in found if not re.search(rf"(?<![\d.,]){re.escape(said)}(?!\d|[.,]\d)", pages)]


def cited(text: str) -> str:
    """The pages that it links to."""
    return " ".join(" ".join((DOCS / place).read_text().split()) for place in QUOTING.findall(text))


@pytest.mark.parametrize("text", QUOTES, ids=lambda text: text[:40])
def test_every_number_is_that_of_the_page(text: str) -> None:
    assert missing(text, cited(text)) == []


def test_a_number_that_drifts_is_seen() -> None:
    page = "| plain | 56 | batch | 36.3 ± 5.4 | +27.49 points [+21.52, +33.45], p = 0.0025, ratio 3.63e3"
    assert missing("36.3 ± 5.4 and +27.49 points [+21.52, +33.45], p = 0.0025, 3.63e3, plain-20", page) == []
    assert missing("36.3 ± 5.5, 36.2 ± 5.4, 6.3, [+21.52, +33.46], 0.00255, 3.63e4", page) == [
        *("36.3 ± 5.5", "36.2 ± 5.4", "6.3", "[+21.52, +33.46]", "0.00255", "3.63e4")
    ]


def test_the_nets_of_the_tables_are_those_of_the_pages() -> None:
    rows = [[cell.strip() for cell in text.strip("|").split("|")] for text in QUOTES if text.startswith("|")]
    assert len(rows) == 6
    for _, _, depth, *arms, n, page in rows:
        for arm, errors in zip(("plain", "residual"), arms, strict=True):
            assert f"| {arm} | {depth} | batch | {errors.replace(' / ', ' | ')} | {n} | 0 |" in cited(page)


def test_the_gradients_of_the_table_are_those_of_the_page() -> None:
    states = (DOCS / "../experiments/gradient_flow/README.md").read_text()
    rows = re.findall(r"^\| (batch|none) \| (\d+) \| (\w+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == 8
    for norm, depth, arm, start, end in rows:
        cells = rf"\| {norm} \| {depth} \| {arm} \| {start} \(n = 5\) \|.*\| {end}( \(n = 5\))? \|"
        assert re.search(cells, states), (norm, depth, arm)
