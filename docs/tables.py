"""The tables of the pages beside it, from the code, between `<!-- table: NAME -->` and `<!-- end -->`."""

import re
from collections.abc import Callable, Iterable

from resjax.catalog import CATALOG
from resjax.cli.composition import checked, register
from resjax.data import source
from resjax.models import build
from resjax.models.counts import by_stage
from resjax.papers.loading import items
from resjax.records.quantities import KEYS, QUANTITIES
from resjax.report.markdown import fill, table
from resjax.shortcuts import SHORTCUTS
from resjax.variants import BRANCHES, DENSE_BRANCHES, FAMILIES, JOINS, depth_rule

PREACT = "model=preact model.branch=bottleneck model.shortcut=projection_b"
CIFAR, IMAGENET = "data=cifar10", "data=synthetic data.image_size=224 data.classes=1000"
# A net, and the words that select it and its data.
NETS = (
    ("ResNet-20, plain-20", f"model=resnet {CIFAR}"),
    ("ResNet-32, plain-32", f"model=resnet model.depth=32 {CIFAR}"),
    ("ResNet-44, plain-44", f"model=resnet model.depth=44 {CIFAR}"),
    ("ResNet-56, plain-56", f"model=resnet model.depth=56 {CIFAR}"),
    ("ResNet-110, plain-110", f"model=resnet model.depth=110 {CIFAR}"),
    ("ResNet-1202", f"model=resnet model.depth=1202 {CIFAR}"),
    ("pre-activation ResNet-164", f"{PREACT} model.depth=164 {CIFAR}"),
    ("pre-activation ResNet-1001", f"{PREACT} model.depth=1001 {CIFAR}"),
    ("DenseNet-40, k = 12", f"model=densenet {CIFAR}"),
    ("DenseNet-BC-100, k = 12", f"model=densenet_bc {CIFAR}"),
    ("plain-18, ResNet-18 (A)", f"model=plain_imagenet {IMAGENET}"),
    ("plain-34, ResNet-34 (A)", f"model=plain_imagenet model.depth=34 {IMAGENET}"),
    ("ResNet-18 (B)", f"model=resnet_imagenet model.depth=18 {IMAGENET}"),
    ("ResNet-34 (B)", f"model=resnet_imagenet model.depth=34 {IMAGENET}"),
    ("ResNet-50", f"model=resnet_imagenet {IMAGENET}"),
    ("ResNet-101", f"model=resnet_imagenet model.depth=101 {IMAGENET}"),
    ("ResNet-152", f"model=resnet_imagenet model.depth=152 {IMAGENET}"),
    ("VGG A", f"model=vgg_imagenet model.depth=11 {IMAGENET}"),
    ("VGG B", f"model=vgg_imagenet model.depth=13 {IMAGENET}"),
    ("VGG C", f"model=vgg_imagenet model.vgg_c=true {IMAGENET}"),
    ("VGG D", f"model=vgg_imagenet {IMAGENET}"),
    ("VGG E", f"model=vgg_imagenet model.depth=19 {IMAGENET}"),
    ("GoogLeNet", f"model=googlenet_imagenet model.auxiliary_weight=0 {IMAGENET}"),
    ("the article's, 10 classes", "model=article data=synthetic data.image_size=224"),
)


def filled(text: str, only: Iterable[str] = ()) -> str:
    """The text with its tables as the code has them now: all of them, or `only` these."""
    return fill(text, TABLES, set(only))


def known_items() -> str:
    """What `resjax reproduce` takes."""
    rows = (
        (f"`{name}`" + "".join(f" `/{part}`" for part in item.parts), item.question, item.source, item.section)
        for name, item in items().items()
    )
    return table(("item", "question", "source", "where"), rows)


def models() -> str:
    """What `model=` takes."""
    return table(("model", "what", "paper"), _catalog("model"))


def families() -> str:
    """Depths, order and shortcuts of each family."""
    rows = ((f"`{name}`", _depths(name), f"`{row.order}`", _joins(row.shortcuts)) for name, row in FAMILIES.items())
    return table(("family, `model.name`", "depth", "order, if none is named", "shortcuts"), rows)


def _depths(family: str) -> str:
    """The rule, for every kind of unit that has its own."""
    branches = {"resnet": tuple(BRANCHES), "densenet": tuple(DENSE_BRANCHES)}.get(family, (FAMILIES[family].branch,))
    return "; ".join(depth_rule(family, "cifar", branch) for branch in branches)


def _joins(names: tuple[str, ...]) -> str:
    """Those named, or those that are missing of all that add."""
    missing = [f"`{name}`" for name in JOINS if name not in names]
    if len(names) < 2:
        return ", ".join(f"`{name}`" for name in names)
    return f"all but {', '.join([*missing, '`concat`'])}"


def shortcuts() -> str:
    """What `model.shortcut=` takes, with the settings that each reads."""
    settings = {f"`{name}`": ", ".join(f"`{one}`" for one in row.settings) for name, row in SHORTCUTS.items()}
    rows = ((name, what, settings[name], paper) for name, what, paper in _catalog("model.shortcut"))
    return table(("shortcut", "equation", "settings, as model.…", "paper"), rows)


def chosen(setting: str, what: str) -> Callable[[], str]:
    """The table of what a setting takes."""
    return lambda: table((setting.removeprefix("model."), what, "paper"), _catalog(setting))


def _catalog(setting: str) -> Iterable[tuple[str, str, str]]:
    """Name, what it is, and its paper with a link."""
    rows = (row for row in CATALOG if row["setting"] == setting)
    return ((f"`{row['name']}`", row["what"], _linked(row["paper"])) for row in rows)


def _linked(paper: str) -> str:
    return re.sub(r"arXiv:(\d+\.\d+)", r"[arXiv:\1](https://arxiv.org/abs/\1)", paper)


def counts() -> str:
    """Parameters and multiply-adds."""
    return table(("net", "parameters", "multiply-adds", "command"), (count(net, words) for net, words in NETS))


def count(net: str, words: str) -> tuple[str, ...]:
    """A row of it."""
    register()
    config = checked(words.split())
    rows = by_stage(build(config.model, *source.shape_of(config.data)))
    parameters, work = (sum(getattr(row, name) for row in rows) for name in ("parameters", "multiply_adds"))
    scaled = f"{work / 1e9:.2f} G" if work >= 1e9 else f"{work / 1e6:.2f} M"
    return net, f"{parameters:,}", scaled, f"`resjax predict {words}`"


def keys() -> str:
    """The columns that say which row it is."""
    return table(("column", "what"), ((f"`{name}`", what) for name, what in KEYS.items()))


def quantities() -> str:
    """What the probes measure."""
    rows = ((f"`{name}`", row.of, row.what.replace("|", r"\|")) for name, row in QUANTITIES.items())
    return table(("column", "of", "what"), rows)


TABLES: dict[str, Callable[[], str]] = {
    "models": models,
    "families": families,
    "shortcuts": shortcuts,
    "orders": chosen("model.order", "equation"),
    "norms": chosen("model.norm", "what"),
    "activations": chosen("model.activation", "function"),
    "inits": chosen("model.init", "law"),
    "counts": counts,
    "items": known_items,
    "keys": keys,
    "quantities": quantities,
}
