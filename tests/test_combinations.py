import dataclasses
import re
from typing import Any

import pytest

from resjax.combinations import RULES, check
from resjax.config import ModelConfig, completed
from resjax.errors import InputError
from resjax.shortcuts import SHORTCUTS
from resjax.variants import FAMILIES, depths

NET: dict[str, dict[str, Any]] = {
    "resnet": {},
    "mlp": {"name": "mlp"},
    "vgg": {"name": "vgg", "depth": 16, "shortcut": "none"},
    "googlenet": {"name": "googlenet", "depth": 22, "width": 64, "shortcut": "none"},
    "densenet": {"name": "densenet", "depth": 40, "shortcut": "concat"},
    "article": {"name": "article", "depth": 39},
}
BARE = {"norm": "none", "shortcut": "none"}
# A combination for each rule, and a word of its reason.
BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"layout": "imagenet", "depth": 18, "branch": "bottleneck"}, "depth 18"),
    ({**NET["densenet"], "depth": 43, "branch": "basic"}, "densenet"),
    ({**NET["densenet"], "layout": "imagenet", "depth": 121, "branch": "single"}, "depth 121"),
    ({**NET["article"], "order": "full_preactivation"}, "without a stem"),
    ({"branch": "single", "order": "bare_addition"}, "linear"),
    ({"shortcut": "skipinit"}, "rezero"),
    ({**NET["vgg"], "depth": 19, "vgg_c": True}, "16"),
    ({**NET["googlenet"], "width": 12}, "multiple of 8"),
    ({"init": "fixup"}, "model.norm=batch"),
    ({**NET["vgg"], "init": "fixup", "norm": "none"}, "vgg"),
    ({"init": "fixup", **BARE}, "nothing passes"),
    ({"init": "fixup", "norm": "none", "shortcut": "rezero"}, "neither"),
    ({"init": "fixup", "norm": "none", "order": "relu_before_addition"}, "gradient is 0"),
    ({"init": "delta_orthogonal", "branch": "bottleneck"}, "bottleneck"),
    ({**NET["densenet"], "init": "delta_orthogonal"}, "densenet"),
    ({"init": "looks_linear", "activation": "tanh", **BARE}, "tanh"),
    ({"init": "looks_linear", "norm": "none"}, "identity"),
    ({**NET["vgg"], "init": "looks_linear", "norm": "none"}, "pools"),
    ({"init": "looks_linear", "shortcut": "none"}, "not linear"),
    ({"init": "looks_linear", "stem": "7x7", **BARE}, "maximum"),
    ({"init": "looks_linear", "order": "bare_addition", **BARE}, "between units"),
    ({"init": "looks_linear", "width": 15, **BARE}, "odd"),
]


def refusal(settings: dict[str, Any]) -> str:
    with pytest.raises(InputError) as error:
        check(ModelConfig(**settings))
    return str(error.value)


@pytest.mark.parametrize(("settings", "reason"), BROKEN)
def test_what_makes_no_sense_is_refused_with_the_reason(settings: dict[str, Any], reason: str) -> None:
    message = refusal(settings)
    assert reason in message
    assert message.splitlines()[-1].startswith("Type: ")


def test_every_rule_is_broken_here() -> None:
    def first(settings: dict[str, Any]) -> int:
        full = completed(ModelConfig(**settings))
        return next(number for number, rule in enumerate(RULES) if rule.broken(full))

    assert sorted({first(settings) for settings, _ in BROKEN}) == list(range(len(RULES)))


# More than one thing is wrong with these, or what is mended meets another limit.
TANGLED: list[dict[str, Any]] = [
    {"init": "looks_linear"},
    {**NET["mlp"], "init": "fixup"},
    {**NET["mlp"], "init": "fixup", "shortcut": "skipinit"},
    {**NET["article"], "init": "looks_linear"},
    {**NET["densenet"], "init": "fixup"},
    {**NET["densenet"], "init": "looks_linear"},
    {"branch": "single", "order": "bare_addition", "init": "fixup", "depth": 19},
    {"init": "delta_orthogonal", "branch": "bottleneck", "depth": 29},
    {"init": "delta_orthogonal", "layout": "imagenet", "depth": 50},
]


def mended(settings: dict[str, Any], message: str) -> dict[str, Any] | None:
    """The settings with what the message says to type; None where that is another network."""
    setting, value = re.fullmatch(r"\w+: model(?:\.(\w+))?=([\w.]+)(?: or .*)?", message.splitlines()[-1]).groups()
    if setting is None:
        return None
    default = getattr(ModelConfig(), setting)
    words = {"null": None, "true": True, "false": False}
    typed = words[value] if value in words else value if default is None else type(default)(value)
    return settings | {setting: typed}


@pytest.mark.parametrize("settings", [settings for settings, _ in BROKEN])
def test_what_a_refusal_says_to_type_is_legal(settings: dict[str, Any]) -> None:
    after = mended(settings, refusal(settings))
    if after is not None:
        check(ModelConfig(**after))


@pytest.mark.parametrize("settings", TANGLED)
def test_typing_what_is_said_never_leads_back(settings: dict[str, Any]) -> None:
    seen: list[str] = []
    while settings is not None and not is_legal(settings):
        message = refusal(settings)
        assert message not in seen
        seen.append(message)
        settings = mended(settings, message)
    assert seen


def is_legal(settings: dict[str, Any]) -> bool:
    try:
        check(ModelConfig(**settings))
    except InputError:
        return False
    return True


@pytest.mark.parametrize("settings", [*(settings for settings, _ in BROKEN), *TANGLED])
def test_a_refusal_names_the_values(settings: dict[str, Any]) -> None:
    first, *_, last = refusal(settings).splitlines()
    named = re.findall(r"model\.(\w+)=([\w.]+\w)", first)
    full = vars(completed(ModelConfig(**settings)))
    assert named
    assert all(value == str(full[setting]).replace("True", "true") for setting, value in named)
    assert re.match(r"(Type|Nearest): model", last)


@pytest.mark.parametrize("name", NET)
def test_each_family_as_it_comes_is_legal(name: str) -> None:
    check(ModelConfig(**NET[name]))


@pytest.mark.parametrize("name", NET)
def test_shortcuts_without_a_place(name: str) -> None:
    legal = FAMILIES[name].shortcuts
    assert set(legal) < set(SHORTCUTS)
    for shortcut in SHORTCUTS:
        settings = NET[name] | {"shortcut": shortcut} | ({"norm": "none"} if shortcut == "skipinit" else {})
        if shortcut in legal:
            check(ModelConfig(**settings))
        else:
            message = refusal(settings)
            assert f"model.shortcut={shortcut} has no place in {name}: " in message
            assert f"Expected one of: {', '.join(legal)}\n" in message
            check(ModelConfig(**mended(settings, message)))


@pytest.mark.parametrize(
    ("name", "shortcut", "reason"),
    [
        ("resnet", "concat", "a concatenation widens"),
        ("vgg", "concat", "a concatenation widens"),
        ("article", "concat", "a concatenation widens"),
        ("mlp", "projection_b", "all its layers are equally wide"),
        ("densenet", "identity", "there is no sum to treat"),
        ("googlenet", "identity", "four parallel paths"),
    ],
)
def test_why_a_shortcut_has_no_place(name: str, shortcut: str, reason: str) -> None:
    assert reason in refusal(NET[name] | {"shortcut": shortcut}).splitlines()[0]


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("resnet", "growth", 24),
        ("resnet", "dropout", 0.5),
        ("resnet", "head", "fc"),
        ("mlp", "stem", "7x7"),
        ("vgg", "branch", "bottleneck"),
        ("vgg", "order", "original"),
        ("resnet", "vgg_c", True),
        ("googlenet", "layout", "imagenet"),
        ("densenet", "width", 32),
        ("article", "auxiliary_weight", 0.1),
    ],
)
def test_a_setting_of_another_family_is_refused(name: str, setting: str, value: Any) -> None:
    message = refusal(NET[name] | {setting: value})
    assert f"model.{setting}={value} has no effect in {name}" in message
    readers = [family for family, row in FAMILIES.items() if setting in row.settings]
    assert readers
    assert f"Expected it with: {', '.join(readers)}\n" in message
    check(ModelConfig(**mended(NET[name] | {setting: value}, message)))


def test_a_familys_own_order_and_unit_may_be_named() -> None:
    check(ModelConfig(**NET["vgg"], order="relu_before_addition", branch="single"))
    assert not is_legal(NET["vgg"] | {"order": "original"})


@pytest.mark.parametrize(
    ("settings", "legal"),
    [
        ({}, [8, 14, 20, 26, 32, 38, 44, 50, 56]),
        ({"branch": "single"}, [5, 8, 11, 14, 17, 20, 23, 26, 29, 32, 35, 38, 41, 44, 47, 50, 53, 56, 59]),
        ({"branch": "bottleneck"}, [11, 20, 29, 38, 47, 56]),
        ({"layout": "imagenet"}, [18, 34, 50]),
        (NET["mlp"], list(range(3, 61))),
        (NET["vgg"], [11, 13, *range(16, 61, 3)]),
        (NET["googlenet"], [22]),
        (NET["densenet"], list(range(7, 61, 3))),
        ({**NET["densenet"], "branch": "bottleneck"}, list(range(10, 61, 6))),
        ({**NET["densenet"], "layout": "imagenet"}, []),
        (NET["article"], list(range(5, 61, 2))),
    ],
)
def test_the_legal_depths_to_60(settings: dict[str, Any], legal: list[int]) -> None:
    assert [depth for depth in range(1, 61) if is_legal(settings | {"depth": depth})] == legal


@pytest.mark.parametrize(
    ("settings", "published"),
    [
        ({}, [20, 32, 44, 56, 110, 1202]),
        ({"branch": "bottleneck"}, [164, 1001]),
        ({"layout": "imagenet"}, [18, 34, 50, 101, 152]),
        (NET["vgg"], [11, 13, 16, 19]),
        (NET["densenet"], [40, 100]),
        ({**NET["densenet"], "branch": "bottleneck"}, [100, 190, 250]),
        ({**NET["densenet"], "layout": "imagenet"}, [121, 161, 169, 201]),
    ],
)
def test_published_depths_are_legal(settings: dict[str, Any], published: list[int]) -> None:
    for depth in published:
        check(ModelConfig(**(settings | {"depth": depth})))


@pytest.mark.parametrize("name", NET)
def test_the_nearest_depths_are_legal_and_lie_on_both_sides(name: str) -> None:
    model = completed(ModelConfig(**NET[name]))
    legal = depths(name, model.layout, str(model.branch))
    for depth in range(3, 60):
        if depth in legal:
            continue
        near = [int(found) for found in re.findall(r"model.depth=(\d+)", refusal(NET[name] | {"depth": depth}))[1:]]
        below, above = ([one for one in list(legal)[:60] if (one > depth) == side] for side in (False, True))
        assert near == ([*below[-1:], *above[:1]] if below else above[: len(near)])
        assert near


@pytest.mark.parametrize("name", NET)
def test_every_depth_said_to_be_legal_is(name: str) -> None:
    model = completed(ModelConfig(**NET[name]))
    for depth in list(depths(name, model.layout, str(model.branch)))[:40]:
        check(dataclasses.replace(model, depth=depth))
