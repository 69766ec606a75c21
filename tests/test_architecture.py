"""Imports point one way: a module imports its own layer and those below it. Only the command knows Hydra."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import resjax

PACKAGE = Path(resjax.__file__).parent
# From the bottom up. A module belongs to the longest of these names that it begins with.
LAYERS = (
    ("resjax.errors", "resjax.faults", "resjax.pages", "resjax.redaction", "resjax.shortcuts", "resjax.stopping"),
    ("resjax.durable", "resjax.rows"),
    ("resjax.fits", "resjax.lengths", "resjax.settings", "resjax.statistics", "resjax.speed"),
    ("resjax.orders", "resjax.classes", "resjax.power"),
    ("resjax.variants",),
    ("resjax.catalog",),
    ("resjax.dataconfig",),
    ("resjax.config", "resjax.datarules"),
    ("resjax.papers", "resjax.plans"),
    ("resjax.theory",),
    ("resjax.combinations",),
    ("resjax.legal", "resjax.identity"),
    ("resjax.data", "resjax.models"),
    ("resjax.probes",),
    ("resjax.training",),
    ("resjax.records",),
    ("resjax.report",),
    ("resjax.progress", "resjax.tracking"),
    ("resjax.facts", "resjax.starting"),
    ("resjax.resuming", "resjax.together"),
    ("resjax.job",),
    ("resjax.predictions", "resjax.throughput", "resjax.imports", "resjax.doctor", "resjax.lab", "resjax.sweep"),
    ("resjax.cli",),
)
# What only some parts may import, whether at the top of a file or inside a function.
RESERVED = {
    "hydra": {"resjax.cli"},
    "omegaconf": {"resjax.cli"},
    "wandb": {"resjax.tracking"},
    "wandb_workspaces": {"resjax.tracking"},
    "altair": {"resjax.report"},
    "vl_convert": {"resjax.report"},
    "jax": {
        "resjax.data",
        "resjax.models",
        "resjax.probes",
        "resjax.training",
        "resjax.starting",
        "resjax.predictions",
        "resjax.throughput",
        "resjax.doctor",
        "resjax.lab",
    },
    "flax": {"resjax.models"},
    "orbax": {"resjax.training"},
    "tensorflow_datasets": {"resjax.data"},
    "submitit": {"resjax.sweep"},
    "matfree": {"resjax.lab"},
    "contourpy": {"resjax.report"},
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> Iterator[str]:
    """Every module imported anywhere in the file; `from a import b` counts as a.b too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(name: str) -> str | None:
    """The entry of LAYERS that a module, or something imported from it, belongs to."""
    entries = [entry for layer in LAYERS for entry in layer if name == entry or name.startswith(f"{entry}.")]
    return max(entries, key=len) if entries else None


def height(entry: str) -> int:
    return next(index for index, layer in enumerate(LAYERS) if entry in layer)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_point_down(path: Path) -> None:
    if (name := name_of(path)) == "resjax":
        return
    here = part(name)
    assert here, f"{name} belongs to no layer: place it in LAYERS"
    for target in imported(path):
        there = part(target)
        if there and there != here:
            assert height(there) < height(here), f"{name} imports {target}"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_only_some_parts_know_a_library(path: Path) -> None:
    for target in imported(path):
        library = target.split(".")[0]
        if library in RESERVED:
            assert part(name_of(path)) in RESERVED[library], f"{name_of(path)} imports {target}"


def test_there_is_no_cycle() -> None:
    names = {name_of(path) for path in modules()}
    graph = {name_of(path): {nearest(target, names) for target in imported(path)} - {None} for path in modules()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for target in graph[name] - {name}:
                visit(target, (*trail, name))
            done.add(name)

    for name in sorted(names):
        visit(name, ())


def nearest(target: str, names: set[str]) -> str | None:
    """The module that `target` is, or is a thing of."""
    while target and target not in names:
        target = target.rpartition(".")[0]
    return target if target not in ("", "resjax") else None


def test_no_module_is_long() -> None:
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in modules()}
    assert max(lengths.values()) <= 260, lengths
