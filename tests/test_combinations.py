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


@pytest.mark.parametrize(("settings", "reason"), BROKEN)
def test_what_a_refusal_says_to_type_ends_that_refusal(settings: dict[str, Any], reason: str) -> None:
    (setting, value) = re.fullmatch(r"Type: model(?:\.(\w+))?=(\w+)", refusal(settings).splitlines()[-1]).groups()
    if setting is None:  # another network
        return
    number = next(n for n, rule in enumerate(RULES) if rule.broken(completed(ModelConfig(**settings))))
    kind = type(getattr(ModelConfig(), setting))
    mended = settings | {setting: None if value == "null" else kind(value) if kind is int else value}
    assert not RULES[number].broken(completed(ModelConfig(**mended)))


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
            assert f"model.shortcut={shortcut} has no place in {name}: " in refusal(settings)


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("resnet", "growth", 24),
        ("resnet", "dropout", 0.5),
        ("resnet", "head", "fc"),
        ("mlp", "stem", "7x7"),
        ("vgg", "branch", "bottleneck"),
        ("vgg", "order", "original"),
        ("googlenet", "layout", "imagenet"),
        ("densenet", "width", 32),
        ("article", "auxiliary_weight", 0.1),
    ],
)
def test_a_setting_of_another_family_is_refused(name: str, setting: str, value: Any) -> None:
    message = refusal(NET[name] | {setting: value})
    assert f"model.{setting}={value} has no effect in {name}" in message
    readers = [family for family, row in FAMILIES.items() if setting in row.settings]
    assert all(reader in message for reader in readers)


@pytest.mark.parametrize(
    ("settings", "near"),
    [
        ({"depth": 21}, "20 or model.depth=26"),
        ({"depth": 3}, "8"),
        ({"depth": 20, "branch": "bottleneck"}, "20"),
        ({"depth": 12, "branch": "single"}, "11 or model.depth=14"),
        ({"depth": 36, "layout": "imagenet"}, "34 or model.depth=50"),
        ({**NET["vgg"], "depth": 12}, "11 or model.depth=13"),
        ({**NET["vgg"], "depth": 20}, "19 or model.depth=22"),
        ({**NET["googlenet"], "depth": 20}, "22"),
        ({**NET["densenet"], "depth": 41}, "40 or model.depth=43"),
        ({**NET["densenet"], "depth": 101, "branch": "bottleneck"}, "100 or model.depth=106"),
        ({**NET["densenet"], "depth": 120, "layout": "imagenet"}, "121"),
        ({**NET["article"], "depth": 40}, "39 or model.depth=41"),
    ],
)
def test_depths(settings: dict[str, Any], near: str) -> None:
    if settings.get("branch") == "bottleneck" and settings["depth"] == 20:
        check(ModelConfig(**settings))  # 9n+2 with n = 2
        return
    assert f"model.depth={near}" in refusal(settings)


@pytest.mark.parametrize("name", NET)
def test_every_depth_said_to_be_legal_is(name: str) -> None:
    model = completed(ModelConfig(**NET[name]))
    for depth in list(depths(name, model.layout, str(model.branch)))[:40]:
        check(dataclasses.replace(model, depth=depth))
