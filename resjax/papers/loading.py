"""Read the papers' files. A name that is not known, or a row that is not there, is refused where it stands."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import cache
from importlib import resources
from itertools import product
from typing import Any

from yaml import safe_load  # type: ignore[import-untyped]

from resjax.errors import InputError
from resjax.papers.item import PRESETS, QUANTITIES, STATISTICS, SURE, TESTS, Claim, Item, Preset, Reference, Search
from resjax.settings import nearest

QUESTIONS = "questions"  # of no paper: their items' names have none in front
SIZES = "presets.yaml"
PAPER = {"paper", "source", "items"}
ITEM = {"title", "question", "section", "protocol", "recipe", "axes", "rows", "parts", "references", "claims"}
ITEM |= {"presets", "search", "note", "elsewhere"}


@cache
def items() -> dict[str, Item]:
    """Every item by its name, such as he2015/fig6 or depth_lr."""
    found: dict[str, Item] = {}
    folder = resources.files("resjax.papers")
    sizes = safe_load((folder / SIZES).read_text(encoding="utf-8"))
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml") and file.name != SIZES:
            said = safe_load(file.read_text(encoding="utf-8"))
            for item in read(file.name.removesuffix(".yaml"), said, sizes):
                found[item.name] = item
    return found


def find(name: str) -> tuple[Item, str | None]:
    """An item, and the part of it that the name asks for. InputError with those that there are."""
    there_are = items()
    if name in there_are:
        return there_are[name], None
    whole, _, part = name.rpartition("/")
    if whole in there_are and part in there_are[whole].parts:
        return there_are[whole], part
    names = (*there_are, *(f"{item.name}/{part}" for item in there_are.values() for part in item.parts))
    raise InputError(
        f"{name} is no figure, table or question that is known.\nExpected one of: {', '.join(there_are)}\n"
        f"Type: resjax reproduce {nearest(name, names)}"
    )


def read(paper: str, said: Mapping[str, Any], sizes: Mapping[str, Any]) -> Iterable[Item]:
    """The items of one file."""
    refuse(said, PAPER, paper)
    for name, item in said["items"].items():
        full = name if paper == QUESTIONS or name == paper else f"{paper}/{name}"
        refuse(item, ITEM, full)
        yield checked(made(full, item, said, sizes))


def made(name: str, item: Mapping[str, Any], said: Mapping[str, Any], sizes: Mapping[str, Any]) -> Item:
    """One item."""
    refuse(item.get("presets", {}), set(PRESETS), name)
    texts = {key: item.get(key, "") for key in ("title", "question", "section", "protocol", "note", "elsewhere")}
    rows = grid(item.get("axes", {})) | {row: tuple(words) for row, words in item.get("rows", {}).items()}
    search = Search(tuple(item["search"]["rows"])) if "search" in item else None
    return Item(
        name=name,
        paper=said["paper"],
        source=said["source"],
        recipe=tuple(item.get("recipe", ())),
        rows=rows,
        presets={size: preset(sizes.get(size, {}), item.get("presets", {}).get(size, {}), name) for size in PRESETS},
        parts={part: tuple(of) for part, of in item.get("parts", {}).items()},
        references=tuple(references(item.get("references", {}), name)),
        claims=tuple(claim for one in item.get("claims", ()) for claim in claims(one, item.get("axes", {}), name)),
        search=search,
        **texts,
    )


def grid(axes: Mapping[str, Mapping[Any, list[str]]]) -> dict[str, tuple[str, ...]]:
    """A row a combination: its name is that of its values, its words are theirs."""
    return {
        " ".join(str(label) for label, _ in chosen): tuple(word for _, words in chosen for word in words)
        for chosen in product(*(values.items() for values in axes.values()))
        if chosen
    }


def preset(common: Mapping[str, Any], own: Mapping[str, Any], where: str) -> Preset:
    """A size: the item's own words come after those of every item."""
    refuse(own, {item.name for item in fields(Preset)}, where)
    return Preset(
        words=(*common.get("words", ()), *own.get("words", ())),
        rows=tuple(own.get("rows", ())),
        loss=own.get("loss", common.get("loss")),
        fails=own.get("fails", common.get("fails", Preset.fails)),
        depths=tuple(own.get("depths", ())),
        keep=tuple(own.get("keep", ())),
        parts={part: tuple(rows) for part, rows in own.get("parts", {}).items()},
        refused=own.get("refused", ""),
    )


def references(said: Mapping[str, Any], where: str) -> Iterable[Reference]:
    """By quantity, then by row: a number, a band of two, `fails`, or more in words."""
    for quantity, of in said.items():
        common = {key: value for key, value in of.items() if key in ("sure", "n", "statistic", "places")}
        for row, value in of["rows"].items():
            told = common | number(value)
            refuse(told, {item.name for item in fields(Reference)}, where)
            yield Reference(row=row, quantity=quantity, **told)


def number(value: Any) -> dict[str, Any]:
    """What a row's entry says."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list):
        return {"band": tuple(value)}
    return {"fails": True} if value == "fails" else {"value": value}


def claims(said: Mapping[str, Any], axes: Mapping[str, Any], where: str) -> Iterable[Claim]:
    """One statement, or one for every combination of the axes that it names: {axis} stands for the value."""
    refuse(said, {item.name for item in fields(Claim)} | {"each"}, where)
    named = said.get("each", [])
    chosen_of = named if isinstance(named, Mapping) else {axis: list(axes[axis]) for axis in named}
    for values in product(*chosen_of.values()):
        chosen = dict(zip(chosen_of, values, strict=True))
        told = {key: filled(value, chosen) for key, value in said.items() if key != "each"}
        yield Claim(**told)


def filled(value: Any, chosen: Mapping[str, Any]) -> Any:
    """Text with the values in place of the axes' names."""
    if isinstance(value, list):
        return tuple(filled(one, chosen) for one in value)
    return value.format(**chosen) if chosen and isinstance(value, str) else value


def refuse(said: Mapping[str, Any], known: set[str], where: str) -> None:
    """InputError where a name is none of those that are read."""
    for key in said:
        if key not in known:
            raise InputError(f"{where}: {key} is not known.\nExpected one of: {', '.join(sorted(known))}")


def checked(item: Item) -> Item:
    """InputError where it names rows, tests or words that are not there."""
    named = {
        "references": [reference.row for reference in item.references],
        "claims": [row for claim in item.claims for row in (*claim.of, *claim.beside)],
        "parts": [row for rows in item.parts.values() for row in rows],
        "presets": [row for size in item.presets.values() for row in (*size.rows, *sum(size.parts.values(), ()))],
        "search": list(item.search.rows) if item.search else [],
    }
    for place, rows in named.items():
        for row in rows:
            if row not in item.rows:
                raise InputError(f"{item.name}: {place} name the row {row}.\nExpected one of: {', '.join(item.rows)}")
    words = [("sure", reference.sure, tuple(SURE)) for reference in item.references]
    words += [("statistic", reference.statistic, STATISTICS) for reference in item.references]
    words += [("test", claim.test, TESTS) for claim in item.claims]
    told = [*(r.quantity for r in item.references), *(claim.quantity for claim in item.claims)]
    words += [("quantity", quantity.partition("@")[0], QUANTITIES) for quantity in told]
    for key, word, known in words:
        if word not in known:
            raise InputError(f"{item.name}: {key}={word} is not known.\nExpected one of: {', '.join(known)}")
    return item
