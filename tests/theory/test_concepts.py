"""docs/concepts.md: the theory's table and the numbers under it are those that the recursions give."""

import re
from pathlib import Path

import pytest

from resjax.config import ModelConfig
from resjax.theory import profile
from resjax.theory.summary import summary

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "concepts.md").read_text().split())
UNITS = 40  # between the first unit's output and the last's


def ratio(shortcut: str, **settings: str) -> float:
    """|dL/dh| of the first unit over that of the last, of the page's fully connected net."""
    model = ModelConfig(
        name="mlp", depth=UNITS + 2, width=256, order="full_preactivation", shortcut=shortcut, **settings
    )
    return float(summary(profile(model, (8, 8, 1), 64)).ratio)


@pytest.mark.parametrize("init", ["he", "lecun"])
def test_without_norm_a_shortcut_adds_one_to_the_square(init: str) -> None:
    row = re.search(rf"\| `model.init={init}`[^|]*\| ([\d/]+) \| ([^|]+) \| ([^|]+) \|", PAGE)
    assert row
    top, _, bottom = row[1].partition("/")
    s = int(top) / int(bottom or 1)
    for said, shortcut, square in ((row[2], "none", s), (row[3], "identity", 1 + s)):
        assert ratio(shortcut, norm="none", init=init) == pytest.approx(square ** (UNITS / 2), rel=1e-9)
        assert float(said.split(" = ")[0]) == pytest.approx(square ** (UNITS / 2), rel=0.02)


def test_with_batch_norm_a_shortcut_keeps_what_a_plain_net_blows_up() -> None:
    said = re.search(r"`model.norm=batch`: ([\d.e]+) for the plain net, ([\d.]+) for the residual one", PAGE)
    assert said
    for number, shortcut in zip(said.groups(), ("none", "identity"), strict=True):
        assert float(number) == pytest.approx(ratio(shortcut, norm="batch"), rel=0.02)
