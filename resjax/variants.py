"""The families of networks, and the tables of their named variants: plain data, without JAX."""

from dataclasses import dataclass

from resjax.shortcuts import HE_2015, SHORTCUTS

HUANG_2017 = "Huang et al. 2017, arXiv:1608.06993"
THE_ARTICLE = "the article on residual connections that resjax tests"
DEEPEST = 1_000_000

# Depth: the kind of unit, and the units of each stage (He et al. 2015, table 1).
IMAGENET_RESNETS = {
    18: ("basic", (2, 2, 2, 2)),
    34: ("basic", (3, 4, 6, 3)),
    50: ("bottleneck", (3, 4, 6, 3)),
    101: ("bottleneck", (3, 4, 23, 3)),
    152: ("bottleneck", (3, 8, 36, 3)),
}

# Depth: the layers of each block (Huang et al. 2017, table 1). 161 has growth 48, the others 32.
IMAGENET_DENSENETS = {121: (6, 12, 24, 16), 161: (6, 12, 36, 24), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}

# Unit: channels of 1x1; 3x3's reduction, 3x3; 5x5's reduction, 5x5; pool's projection (Szegedy et al. 2015, table 1).
INCEPTIONS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
AUXILIARY_AFTER = ("4a", "4d")

# Weight layers of a unit. DenseNet's bottleneck has no 1x1 convolution at the end.
BRANCHES = {"single": 1, "basic": 2, "bottleneck": 3}
DENSE_BRANCHES = {"single": 1, "bottleneck": 2}


@dataclass(frozen=True)
class Family:
    """A row of the table. order, branch: what `null` stands for. settings: those of the model that it reads, besides
    depth, norm, activation and init, which every family reads.
    """

    what: str
    paper: str
    order: str
    branch: str
    shortcuts: tuple[str, ...]
    settings: tuple[str, ...] = ()


JOINS = tuple(name for name, row in SHORTCUTS.items() if not row.widens)
FAMILIES = {
    "resnet": Family(
        "residual and plain nets for CIFAR and ImageNet, of basic, bottleneck or single units",
        HE_2015,
        "original",
        "basic",
        JOINS,
        ("width", "layout", "branch", "bottleneck", "stem", "order"),
    ),
    "mlp": Family(
        "fully connected, H(x) = F(x) + x with F(x) = g(W x + b)",
        THE_ARTICLE,
        "relu_before_addition",
        "single",
        tuple(name for name in JOINS if name != "projection_b"),
        ("width", "order"),
    ),
    "vgg": Family(
        "3x3 convolutions in five stages with pooling between: A 11, B 13, D 16, E 19, and deeper",
        "Simonyan and Zisserman 2015, arXiv:1409.1556",
        "relu_before_addition",
        "single",
        JOINS,
        ("width", "vgg_c", "head", "dropout"),
    ),
    "googlenet": Family(
        "nine units of four parallel paths, two auxiliary heads in training",
        "Szegedy et al. 2015, arXiv:1409.4842",
        "relu_before_addition",
        "single",
        ("none",),
        ("width", "stem", "auxiliary_weight", "dropout"),
    ),
    "densenet": Family(
        "every layer sees the outputs of all before it: h = [x, f]",
        HUANG_2017,
        "full_preactivation",
        "single",
        ("concat",),
        ("layout", "branch", "growth", "compression", "dropout"),
    ),
    "article": Family(
        "the network of the article: units of conv - norm - relu - conv, + x, none strided",
        THE_ARTICLE,
        "bare_addition",
        "basic",
        JOINS,
        ("width", "order", "dropout"),
    ),
}


def order_of(family: str, order: str | None) -> str:
    """The order, that of the family where none is named."""
    return order or FAMILIES[family].order


def branch_of(family: str, layout: str, depth: int, branch: str | None) -> str:
    """The kind of unit, that of the family, or of the depth in the ImageNet tables, where none is named."""
    if branch:
        return branch
    if layout == "imagenet" and family == "resnet":
        return IMAGENET_RESNETS[depth][0] if depth in IMAGENET_RESNETS else "basic"
    return "bottleneck" if layout == "imagenet" and family == "densenet" else FAMILIES[family].branch


def depths(family: str, layout: str, branch: str) -> range | tuple[int, ...]:
    """Every legal depth, rising."""
    if layout == "imagenet" and family in ("resnet", "densenet"):
        return tuple(IMAGENET_RESNETS if family == "resnet" else IMAGENET_DENSENETS)
    three = _three_units(family, branch)
    legal: dict[str, range | tuple[int, ...]] = {
        "resnet": range(three + 2, DEEPEST, three),
        "densenet": range(three + 4, DEEPEST, three),  # besides: the stem, two transitions, the classifier
        "mlp": range(3, DEEPEST),
        "vgg": (11, *range(13, 1000, 3)),
        "googlenet": (22,),
        "article": range(5, DEEPEST, 2),
    }
    return legal[family]


def _three_units(family: str, branch: str) -> int:
    """Weight layers of a unit in each of three stages."""
    return 3 * (DENSE_BRANCHES if family == "densenet" else BRANCHES).get(branch, 1)


def depth_rule(family: str, layout: str, branch: str) -> str:
    """What the legal depths are, in words."""
    three = _three_units(family, branch)
    if layout == "imagenet" and family in ("resnet", "densenet"):
        return f"one of {', '.join(map(str, depths(family, layout, branch)))}, the published nets for ImageNet"
    return {
        "resnet": f"{three}n+2: n {branch} units in each of 3 stages, and two layers more",
        "mlp": "3 or more",
        "vgg": "11 (A), 13 (B), 16 (C, D), 19 (E), or deeper by 3: one more convolution in each of stages 3 to 5",
        "googlenet": "22, the only one published",
        "densenet": f"{three}n+4: n {branch} layers in each of 3 blocks, and four layers more",
        "article": "2 layers + 3: 39 for the article's layers=18",
    }[family]
