"""The papers' files: what the issue of a paper's numbers asks for is there, and what is wrong is refused."""

from typing import Any

import pytest

from resjax.cli.words import check_word, choices, parse
from resjax.errors import InputError
from resjax.papers.item import PRESETS, Item, Preset, Reference, published
from resjax.papers.loading import find, items, read

ASKED = (
    *("he2015/fig6", "he2015/table6", "he2015/fig7", "he2016/table1", "he2016/table2", "he2016/table3", "he2016/fig1"),
    *("he2015/table2", "he2015/table3", "densenet/table3"),
    *("densenet/table2", "vgg/table3", "googlenet", "depth_lr", "convergence_rate", "no_norm", "article", "robustness"),
)


def test_every_item_is_there() -> None:
    assert set(ASKED) <= set(items())


@pytest.mark.parametrize("item", items().values(), ids=lambda item: item.name)
def test_every_word_is_a_setting(item: Item) -> None:
    groups = choices()
    for preset in PRESETS:
        for row in item.rows_of(preset):
            for word in parse(item.words_of(row, preset)):
                check_word(word, groups)


@pytest.mark.parametrize("item", items().values(), ids=lambda item: item.name)
def test_rows_of_a_size_differ(item: Item) -> None:
    for preset in PRESETS:
        said = [tuple(sorted(item.words_of(row, preset))) for row in item.rows_of(preset)]
        assert len(set(said)) == len(said), preset


@pytest.mark.parametrize("item", items().values(), ids=lambda item: item.name)
def test_every_claim_has_its_rows(item: Item) -> None:
    sizes = {"lower": (1, 1), "grows_more": (2, 2), "fails": (1, 0), "trains": (1, 0), "untested": (0, 0)}
    for claim in item.claims:
        if claim.test in sizes:
            assert (len(claim.of), len(claim.beside)) == sizes[claim.test], claim.says
        else:
            assert len(claim.of) >= 3, claim.says
        assert bool(claim.why) == (claim.test == "untested")


def test_plain_nets_have_bands_and_no_numbers() -> None:
    plain = [r for r in items()["he2015/fig6"].references if r.row.startswith("plain")]
    assert len(plain) == 5
    assert all(r.band is not None and r.value is None for r in plain)


def test_published_numbers() -> None:
    found = {(name, r.row, r.quantity): r for name, item in items().items() for r in item.references}
    table6 = [found["he2015/table6", f"ResNet-{depth}", "test_error"].value for depth in (20, 32, 44, 56, 1202)]
    assert table6 == [8.75, 7.51, 7.17, 6.97, 7.93]
    deep = found["he2015/table6", "ResNet-110", "test_error"]
    assert (deep.value, deep.std, deep.n, deep.statistic, deep.sure) == (6.61, 0.16, 5, "mean", "read")
    assert found["he2016/table1", "dropout 0.5", "test_error"].fails
    assert found["he2016/table2", "full pre-activation 164", "test_error"].value == 5.46
    assert found["densenet/table2", "BC 190, k=40 C10+", "test_error"].value == 3.46
    assert {r.sure for r in items()["vgg/table3"].references} == {"recalled"}


ON_IMAGENET = ("he2015/table2", "he2015/table3", "densenet/table3")
TEN_CROPS = (27.94, 28.54, 27.88, 25.03, 24.52, 24.19, 22.85, 21.75, 21.43)  # of ImageNet, He et al. 2015
ONE_CROP = (24.7, 23.6, 23.0, 25.0, 22.5, 22.2)  # its released models, and DenseNet's


def test_numbers_of_ten_crops_and_of_one_are_not_mixed() -> None:
    said = [(r.quantity, r.value) for name in ON_IMAGENET for r in items()[name].references if r.sure != "exact"]
    assert {value for quantity, value in said if quantity == "test_error_10crop"} == set(TEN_CROPS)
    assert {value for quantity, value in said if quantity == "test_error"} == set(ONE_CROP)
    assert {quantity for quantity, _ in said} == {"test_error_10crop", "test_error"}
    for item in items().values():
        mixed = [r for r in item.references if r.quantity != "test_error_10crop" and r.value in TEN_CROPS]
        assert not mixed, item.name


def test_imagenet_numbers() -> None:
    names, ten = ("he2015/table2", "he2015/table3"), "test_error_10crop"
    table2, table3 = ({(r.row, r.quantity): r for r in items()[name].references} for name in names)
    shallow = [table2[row, ten].value for row in ("plain-18", "plain-34", "ResNet-18", "ResNet-34")]
    assert shallow == [27.94, 28.54, 27.88, 25.03]
    assert [table3[f"ResNet-34 {option}", ten].value for option in "ABC"] == [25.03, 24.52, 24.19]
    assert [table3[f"ResNet-{depth}", ten].value for depth in (50, 101, 152)] == [22.85, 21.75, 21.43]
    assert [table3[f"ResNet-{depth}", "test_error"].value for depth in (50, 101, 152)] == [24.7, 23.6, 23.0]
    assert {table3[f"ResNet-{depth}", "test_error"].sure for depth in (50, 101, 152)} == {"code"}
    assert table2["plain-34", "parameters"].value == table2["ResNet-34", "parameters"].value == 21_623_848
    dense = [r.value for r in items()["densenet/table3"].references]
    assert dense == [25.0, 23.6, 22.5, 22.2]


def test_a_size_that_is_refused_has_no_rows() -> None:
    size = Preset(rows=("a",), refused="there is no such size")
    item = Item("x", "", "", "", "", "", "", (), {"a": ()}, {"laptop": size}, parts={"p": ("a",)})
    assert item.rows_of("laptop") == item.rows_of("laptop", "p") == []


def test_a_number_as_it_is_printed() -> None:
    def of(**said: Any) -> str:
        return published(Reference("row", "test_error", "read", **said))

    assert of(value=8.75) == "8.75"
    assert of(value=7.0, places=2) == "7.00"
    assert of(value=6.61, std=0.16, n=5) == "6.61 ± 0.16 (5)"
    assert of(band=(9.0, 10.0)) == "9 to 10"
    assert of(band=(60.0, 100.0)) == "above 60"
    assert of(fails=True) == "fails (> 20)"
    assert of(value=269722.0) == "269,722"


def test_the_last_word_stands_but_for_what_rows_keep() -> None:
    size = Preset(words=("train.steps=3", "schedule.learning_rate=1"), keep=("schedule.learning_rate",))
    item = Item(
        "x", "", "", "", "", "", "", ("train.steps=9", "seeds=2"), {"a": ("schedule.learning_rate=5",)}, {"smoke": size}
    )
    assert item.words_of("a", "smoke") == ["train.steps=3", "seeds=2", "schedule.learning_rate=5"]


def test_a_part_is_found() -> None:
    item, part = find("he2015/fig6/right")
    assert (item.name, part) == ("he2015/fig6", "right")
    assert item.rows_of("paper", part) == ["residual 110", "residual 1202"]


def test_a_name_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        InputError, match=r"he2015/fig5 is no figure.*\nExpected one of: .*\nType: resjax reproduce he2015/fig"
    ):
        find("he2015/fig5")


WRONG = {
    "unknown key": ({"ros": {}}, "ros is not known"),
    "unknown row": (
        {"rows": {"a": []}, "claims": [{"says": "", "source": "", "test": "fails", "of": ["b"]}]},
        "claims name the row b",
    ),
    "unknown test": (
        {"rows": {"a": []}, "claims": [{"says": "", "source": "", "test": "wins", "of": ["a"]}]},
        "test=wins is not known",
    ),
    "unknown certainty": (
        {"rows": {"a": []}, "references": {"test_error": {"sure": "very", "rows": {"a": 1}}}},
        "sure=very",
    ),
    "unknown row of a size": ({"rows": {"a": []}, "presets": {"smoke": {"rows": ["b"]}}}, "presets name the row b"),
    "unknown quantity": (
        {"rows": {"a": []}, "claims": [{"says": "", "source": "", "test": "fails", "quantity": "luck", "of": ["a"]}]},
        "quantity=luck is not known",
    ),
    "unknown size": ({"rows": {"a": []}, "presets": {"labtop": {}}}, "labtop is not known"),
    "unknown key of a size": ({"rows": {"a": []}, "presets": {"smoke": {"step": 1}}}, "step is not known"),
}


@pytest.mark.parametrize(("said", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_in_a_file_is_refused(said: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(read("paper", {"paper": "", "source": "", "items": {"x": said}}, {}))


def test_a_claim_for_each_of_an_axis() -> None:
    claim = {"says": "{b} {a}", "source": "", "test": "fails", "of": ["{a} {b}"], "each": ["a", "b"]}
    axes = {"a": {1: ["model.depth=1"], 2: ["model.depth=2"]}, "b": {"x": ["seeds=1"]}}
    (item,) = read("paper", {"paper": "", "source": "", "items": {"x": {"axes": axes, "claims": [claim]}}}, {})
    assert item.rows == {"1 x": ("model.depth=1", "seeds=1"), "2 x": ("model.depth=2", "seeds=1")}
    assert [(c.says, c.of) for c in item.claims] == [("x 1", ("1 x",)), ("x 2", ("2 x",))]
