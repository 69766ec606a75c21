"""Draw the units: each is made as the models make it, and what is found in it becomes boxes.

`make diagrams` runs it: docs/units/*.svg, the tables of docs/architectures.md, atlas.md and reproducing.md, and the
reference, docs/commands.md and settings.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from reference import pages
from svg import Box, Boxes, Sketch, card
from symbols import traced
from tables import filled

from resjax.cli.composition import checked, register
from resjax.config import Config, completed
from resjax.models.activations import ACTIVATIONS
from resjax.models.norms import BatchNorm, Bias, GroupNorm, ScalarBias
from resjax.models.parts import Ops, Parts
from resjax.models.units import Chain, Unit
from resjax.models.weights import FixupWeight
from resjax.orders import ORDERS
from resjax.plans.plan import Pool, UnitPlan
from resjax.plans.table import PLANS
from resjax.shortcuts import SHORTCUTS

HERE = Path(__file__).parent
PAGES = (HERE / "architectures.md", HERE / "atlas.md", HERE / "reproducing.md")
IMAGE = (32, 32, 3)
TIMES, MINUS, ALPHA = "\u00d7", "\u2212", "\u03b1"
NORM_NAMES = {BatchNorm: "batch norm", GroupNorm: "group norm", Bias: "bias", ScalarBias: "bias, one number"}


@dataclass(frozen=True)
class Column:
    """A unit: the words that select its network. alone: without the shortcut, though no such network is built."""

    words: str
    heading: str = ""
    alone: bool = False


@dataclass(frozen=True)
class Picture:
    """A file: its title, the unit (its stage, and its number there), and its columns."""

    title: str
    unit: tuple[int, int]
    columns: tuple[Column, ...]


def pair(title: str, unit: tuple[int, int], words: str, plain: str = "") -> Picture:
    """Plain beside residual."""
    return Picture(title, unit, (Column(plain or f"{words} model.shortcut=none"), Column(words)))


def dense(title: str, words: str) -> Picture:
    """A unit that concatenates, beside its branch."""
    return Picture(title, (1, 3), (Column(words, "the branch alone", alone=True), Column(words)))


HEADINGS = {"none": "plain", "identity": "residual", "concat": "dense"}
PICTURES = {
    "resnet_basic": pair("ResNet, basic unit", (1, 2), "model=resnet", "model=plain"),
    "resnet_bottleneck": pair("ResNet-50, a bottleneck that halves the image", (2, 1), "model=resnet_imagenet"),
    "preact": pair("Pre-activation ResNet", (1, 2), "model=preact"),
    "highway": pair("Highway network", (1, 2), "model=highway"),
    "vgg": pair("VGG, a convolution of stage 3", (3, 2), "model=vgg model.shortcut=identity", "model=vgg"),
    "googlenet": Picture("GoogLeNet, inception 3a", (2, 1), (Column("model=googlenet", "four paths"),)),
    "densenet": dense("DenseNet, the third layer", "model=densenet"),
    "densenet_bc": dense("DenseNet-BC, the third layer", "model=densenet_bc"),
    "article": pair("The article's block", (2, 3), "model=article"),
    "mlp": pair("Fully connected unit", (1, 1), "model=mlp"),
    "orders": Picture(
        "The orders of norm and activation", (1, 2), tuple(Column(f"model.order={name}", name) for name in ORDERS)
    ),
}


def drawn() -> dict[Path, str]:
    """Every picture's file, with its text."""
    return {HERE / "units" / f"{name}.svg": svg_of(picture) for name, picture in PICTURES.items()}


def svg_of(picture: Picture) -> str:
    """One file's text."""
    return card(picture.title, [sketch(column, *picture.unit) for column in picture.columns])


def sketch(column: Column, stage: int, number: int) -> Sketch:
    """A column: the unit as it is made, as boxes."""
    register()
    config = checked(column.words.split())
    plan = plan_of(config, stage, number)
    plan = replace(plan, shortcut="none") if column.alone else plan
    unit = nnx.eval_shape(lambda: Unit(jax.random.key(0), plan, Parts(completed(config.model), jnp.float32)))
    several = len(unit.branch) > 1
    entered, pre = (*pools(plan.pool), *dropouts(plan.dropout)), tuple(ops(unit.pre))
    trunk, first = ((*entered, *pre), ()) if plan.shared or several else (entered, pre)
    paths = tuple((*first, *chain(path)) for path in unit.branch)
    h = traced(SHORTCUTS[plan.shortcut], plan.changes)
    arm = "plain" if plan.shortcut == "none" else "residual"
    joint = f"{len(paths)} paths, concatenated" if several else f"h = {h.text}"
    measure = "features" if plan.dense else "channels"
    return Sketch(
        arm=arm,
        heading=column.heading or HEADINGS.get(plan.shortcut, plan.shortcut),
        enters=f"x: {plan.before} {measure}",
        leaves=f"h: {plan.after} {measure}",
        trunk=trunk,
        paths=paths,
        beside=tuple(beside(unit, config, h.uses)),
        joint=typeset(joint) if several or arm != "plain" else "",
        after=tuple(ops(unit.after)),
        note=typeset(note(plan, h.text)),
    )


def plan_of(config: Config, stage: int, number: int) -> UnitPlan:
    """The plan of a unit of a stage."""
    model = completed(config.model)
    units = PLANS[model.name](model, IMAGE).units
    return [unit for unit in units if unit.stage == stage][number - 1]


def chain(path: Chain) -> Iterator[Box]:
    """A path's boxes."""
    yield from pools(path.pool)
    for layer in path.layers:
        yield from ops(layer.pre)
        yield weight(layer.weight)
        yield from ops(layer.post)
        yield from dropouts(layer.dropout)


def ops(found: Ops) -> Iterator[Box]:
    """Norm and activation."""
    if found.norm is not None:
        yield Box("layer norm" if getattr(found.norm, "groups", 0) == 1 else NORM_NAMES[type(found.norm)])
    if found.activation is not None:
        yield Box(next(name for name, function in ACTIVATIONS.items() if function is found.activation))


def weight(layer: Any) -> Box:
    """A convolution or dense layer, from its kernel's shape."""
    inner = layer.weight if isinstance(layer, FixupWeight) else layer
    *sides, before, after = inner.kernel.shape
    stride = getattr(inner, "stride", 1)
    kind = f"{TIMES.join(map(str, sides))} conv" if sides else "dense"
    return Box(f"{kind}{f', /{stride}' if stride > 1 else ''}", f"{before} → {after}")


def pools(pool: Pool | None) -> Iterator[Box]:
    """A pooling."""
    if pool:
        yield Box(f"{pool.kind} pool {pool.side}{TIMES}{pool.side}{f', /{pool.stride}' if pool.stride > 1 else ''}")


def dropouts(rate: float) -> Iterator[Box]:
    """A dropout."""
    if rate:
        yield Box(f"dropout {rate:g}")


def beside(unit: Unit, config: Config, uses: frozenset[str]) -> Iterator[tuple[str, Boxes]]:
    """The lines beside the branch that the shortcut uses, the first with its name."""
    plan, names = unit.plan, iter((unit.plan.shortcut, ""))
    if "x" in uses:
        widened = plan.changes and not SHORTCUTS[plan.shortcut].widens
        kept = f"every {plan.stride}nd pixel" if plan.stride > 1 else "zero channels"
        a = [Box(kept, f"+ {plan.branch_channels - plan.before} zero channels")] if widened else []
        yield next(names), (*a, *dropouts(config.model.shortcut_dropout if "dropout" in uses else 0.0))
    if "W" in uses:
        yield next(names), (weight(unit.shortcut.weight), *ops(unit.shortcut.post))
    if "g" in uses:
        gate = weight(unit.shortcut.weight)
        yield next(names), (Box(f"gate: {gate.text}", gate.detail), Box("+ b, sigmoid"))


def note(plan: UnitPlan, h: str) -> str:
    """What the shortcut's equation says besides h."""
    row = SHORTCUTS[plan.shortcut]
    rest = row.equation.removeprefix(f"h = {h}").strip(",; ")
    return "" if rest == row.equation or (not plan.changes and "where shapes change" in rest) else rest


def typeset(text: str) -> str:
    """With signs in place of their names."""
    return text.replace("alpha", ALPHA).replace(" - ", f" {MINUS} ").replace("1x1", f"1{TIMES}1")


def main() -> None:
    """Write the pictures, and the tables of the pages."""
    for path, text in drawn().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    for page in PAGES:
        page.write_text(filled(page.read_text()))
    for page, text in pages().items():
        page.write_text(text)


if __name__ == "__main__":
    main()
