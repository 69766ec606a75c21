"""Which parts of a network go together, and why the others do not. Imports neither JAX nor Hydra."""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

from resjax.config import ModelConfig, completed
from resjax.errors import InputError
from resjax.orders import ORDERS
from resjax.shortcuts import SHORTCUTS, learned_scale
from resjax.variants import DENSE_BRANCHES, FAMILIES, IMAGENET_RESNETS, depth_rule, depths

OF_EVERY_FAMILY = {"name", "depth", "shortcut", "activation", "init", "init_gain", "unroll", "remat"}
OF_SHORTCUTS = {setting for row in SHORTCUTS.values() for setting in row.settings}
SCALED_FROM_ZERO = tuple(name for name, row in SHORTCUTS.items() if row.join is learned_scale)


@dataclass(frozen=True)
class Rule:
    """A combination that makes no sense. The texts may name settings, as in {depth}."""

    broken: Callable[[ModelConfig], bool]
    what: str
    expected: str
    type: str


RULES = (
    Rule(
        lambda m: m.layout == "imagenet" and m.name == "resnet" and m.branch != IMAGENET_RESNETS[m.depth][0],
        "model.branch={branch} is not what the ImageNet net of depth {depth} is made of.",
        "Expected the units of He et al. 2015, table 1.",
        "model.branch=null",
    ),
    Rule(
        lambda m: m.name == "densenet" and m.branch not in DENSE_BRANCHES,
        "model.branch={branch} has no place in densenet.",
        "Expected single, or bottleneck (DenseNet-BC).",
        "model.branch=null",
    ),
    Rule(
        lambda m: m.name == "densenet" and m.layout == "imagenet" and m.branch != "bottleneck",
        "model.branch={branch} is not what the ImageNet DenseNet of depth {depth} is made of.",
        "Expected bottleneck (Huang et al. 2017, table 1).",
        "model.branch=null",
    ),
    Rule(
        lambda m: m.name == "article" and ORDERS[str(m.order)].pre != "",
        "model.order={order} has no place in article: without a stem it would normalise and cut the images.",
        "Expected an order that begins with a weight layer.",
        "model.order=original",
    ),
    Rule(
        lambda m: m.branch == "single" and m.order == "bare_addition",
        "model.order=bare_addition with one weight layer a unit has no activation: the units would be linear.",
        "Expected an order with an activation, or two weight layers.",
        "model.order=relu_before_addition",
    ),
    Rule(
        lambda m: m.shortcut == "skipinit" and m.norm != "none",
        "model.shortcut=skipinit stands in place of a norm, but model.norm={norm}.",
        "Expected no norm; with one, the same shortcut is called rezero.",
        "model.norm=none",
    ),
    Rule(
        lambda m: m.vgg_c and m.depth != 16,
        "model.vgg_c=true is VGG C, which has depth 16, not {depth}.",
        "Expected depth 16.",
        "model.depth=16",
    ),
    Rule(
        lambda m: m.name == "googlenet" and m.width % 8 != 0,
        "model.width={width} does not scale GoogLeNet's widths to whole numbers.",
        "Expected a multiple of 8; 64 is the paper's.",
        "model.width=64",
    ),
    Rule(
        lambda m: m.init == "fixup" and m.norm != "none",
        "model.init=fixup goes without norm, but model.norm={norm}: a norm undoes the scale that Fixup sets.",
        "Expected no norm.",
        "model.norm=none",
    ),
    Rule(
        lambda m: m.init == "fixup" and m.name not in ("resnet", "mlp"),
        "model.init=fixup has no place in {name}: it takes a stem, and residual branches that end in a weight layer.",
        "Expected a residual net.",
        "model=resnet",
    ),
    Rule(
        lambda m: m.init == "fixup" and (m.shortcut == "none" or (m.shortcut == "scaled" and m.shortcut_scale == 0)),
        "model.init=fixup starts every branch at zero: without a shortcut nothing passes.",
        "Expected a shortcut.",
        "model.shortcut=identity",
    ),
    Rule(
        lambda m: m.init == "fixup" and m.shortcut in SCALED_FROM_ZERO,
        "model.init=fixup with model.shortcut={shortcut}: branch and factor both start at zero, so neither ever moves.",
        "Expected one of the two.",
        "model.shortcut=identity",
    ),
    Rule(
        lambda m: m.init == "fixup" and m.activation == "relu" and "a" in ORDERS[str(m.order)].last,
        "model.init=fixup with model.order={order}: the branch ends in relu(0), whose gradient is 0, and never moves.",
        "Expected no activation between the last weight layer and the addition.",
        "model.order=original",
    ),
    Rule(
        lambda m: m.init == "delta_orthogonal" and m.branch == "bottleneck",
        "model.init=delta_orthogonal needs layers that do not shrink, and a bottleneck's first does.",
        "Expected as many outputs as inputs in every convolution.",
        "model.init=orthogonal",
    ),
    Rule(
        lambda m: m.init == "delta_orthogonal" and m.name in ("googlenet", "densenet"),
        "model.init=delta_orthogonal needs layers that do not shrink, and those of {name} do.",
        "Expected as many outputs as inputs in every convolution.",
        "model.init=orthogonal",
    ),
    Rule(
        lambda m: m.init == "looks_linear" and m.name not in ("resnet", "mlp"),
        "model.init=looks_linear has no place in {name}: it takes a stem, and nothing that pools or concatenates.",
        "Expected a plain resnet or mlp.",
        "model=plain",
    ),
    Rule(
        lambda m: m.init == "looks_linear" and m.activation != "relu",
        "model.init=looks_linear pairs channels for relu(u) - relu(-u) = u, but model.activation={activation}.",
        "Expected relu.",
        "model.activation=relu",
    ),
    Rule(
        lambda m: m.init == "looks_linear" and m.shortcut != "none",
        "model.init=looks_linear with model.shortcut={shortcut}: the sum of two branches is not paired any more.",
        "Expected a plain net.",
        "model.shortcut=none",
    ),
    Rule(
        lambda m: m.init == "looks_linear" and m.norm != "none",
        "model.init=looks_linear makes a net that is linear at step 0, and model.norm={norm} is not linear.",
        "Expected no norm.",
        "model.norm=none",
    ),
    Rule(
        lambda m: m.init == "looks_linear" and m.stem == "7x7",
        "model.init=looks_linear has no place behind model.stem=7x7, which pools: a maximum is not linear.",
        "Expected a stem without pooling.",
        "model.stem=3x3",
    ),
    Rule(
        lambda m: m.init == "looks_linear" and m.order == "bare_addition",
        "model.init=looks_linear pairs channels for the activation behind each layer; {order} has none between units.",
        "Expected another order.",
        "model.order=original",
    ),
    Rule(
        lambda m: m.init == "looks_linear" and m.width % 2 != 0,
        "model.init=looks_linear pairs channels, and model.width={width} is odd.",
        "Expected an even width.",
        "model.width=16",
    ),
)


def check(model: ModelConfig) -> None:
    """Raise InputError where the parts do not go together, with the reason."""
    _check_shortcut(model)
    _check_effect(model)
    full = completed(model)
    _check_depth(full)
    for rule in RULES:
        if rule.broken(full):
            what = rule.what.format(**vars(full))
            raise InputError(f"{what}\n{rule.expected}\nType: {rule.type}")


def _check_depth(model: ModelConfig) -> None:
    """The family has nets of certain depths."""
    where = model.name, model.layout, str(model.branch)
    legal = depths(*where)
    if model.depth in legal:
        return
    near = " or ".join(f"model.depth={depth}" for depth in _nearest(model.depth, legal))
    raise InputError(
        f"model.depth={model.depth} is not a depth of {_network(model)}.\n"
        f"Expected {depth_rule(*where)}.\nNearest: {near}"
    )


def _network(model: ModelConfig) -> str:
    """Its name; with what its units are, where depths go by that: model=preact and highway are resnets, too."""
    name = "plain" if (model.name, model.shortcut) == ("resnet", "none") else model.name
    return f"{name}, of {model.branch} units" if model.branch else name


def _nearest(depth: int, legal: range | tuple[int, ...]) -> list[int]:
    """The legal depths on both sides."""
    if isinstance(legal, range):
        below = max((depth - legal.start) // legal.step, 0) * legal.step + legal.start
        return [below, below + legal.step]
    return [*[one for one in legal if one < depth][-1:], *[one for one in legal if one > depth][:1]]


def _check_shortcut(model: ModelConfig) -> None:
    """The family has places for certain shortcuts."""
    legal = FAMILIES[model.name].shortcuts
    if model.shortcut in legal:
        return
    reason = {
        "densenet": "its units concatenate, h = [x, f]: there is no sum to treat",
        "googlenet": "its units are four parallel paths, without a shortcut",
        "mlp": "all its layers are equally wide",
    }.get(model.name, "its units keep their width, and a concatenation widens")
    raise InputError(
        f"model.shortcut={model.shortcut} has no place in {model.name}: {reason}.\n"
        f"Expected one of: {', '.join(legal)}\nType: model.shortcut={'identity' if 'identity' in legal else legal[0]}"
    )


def _check_effect(model: ModelConfig) -> None:
    """A setting of another family that is not at its default would be read by nobody."""
    read = {*OF_EVERY_FAMILY, *OF_SHORTCUTS, *FAMILIES[model.name].settings}
    usual = completed(replace(model, order=None, branch=None))
    for item in fields(ModelConfig):
        value = getattr(model, item.name)
        own = getattr(usual, item.name) if item.name in ("order", "branch") else item.default
        if item.name in read or item.name.startswith("norm") or value in (item.default, own):
            continue
        readers = [name for name, family in FAMILIES.items() if item.name in family.settings]
        null = "null" if item.default is None else item.default
        raise InputError(
            f"model.{item.name}={value} has no effect in {model.name}.\nExpected it with: {', '.join(readers)}\n"
            f"Type: model.{item.name}={str(null).lower() if isinstance(null, bool) else null}"
        )
