"""The pages of commands and settings have every command, option, setting and file that there is."""

import re
import sys
from contextlib import suppress
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from resjax import cli
from resjax.config import Config
from resjax.identity import group_id, run_id
from resjax.lab.table import INSTRUMENTS
from resjax.sweep.launcher import Launcher

CHECKOUT = Path(__file__).parents[1]
DOCS = CHECKOUT / "docs"
sys.path.append(str(DOCS))  # where docs/reference.py finds its neighbours

import command_page  # noqa: E402
import counting  # noqa: E402
import reference  # noqa: E402

COMMANDS, SETTINGS = ((DOCS / name).read_text() for name in ("commands.md", "settings.md"))
ROWS = re.findall(r"^\| `([\w.]+)` \| `([^`]*)` \| .* \| (yes|in use|pooled|no) \|$", SETTINGS, re.MULTILINE)


def test_the_pages_are_those_of_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")  # not as wide as this terminal
    for path, text in reference.pages().items():
        assert path.read_text() == text, "type: make diagrams"


def leaves(value: Any, prefix: str = "") -> dict[str, Any]:
    """Every setting below a dataclass, with its default."""
    found: dict[str, Any] = {}
    for item in fields(value):
        inner = getattr(value, item.name)
        found |= leaves(inner, f"{prefix}{item.name}.") if is_dataclass(inner) else {prefix + item.name: inner}
    return found


def test_every_setting_has_its_row_and_its_default() -> None:
    typed = {"None": "null", "True": "true", "False": "false"}
    expected = {name: str(value).replace(" ", "") for name, value in leaves(Config()).items()}
    assert {name: default for name, default, _ in ROWS} == {
        name: typed.get(value, value) for name, value in expected.items()
    }


def help_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """What a command prints, and ends with."""
    with suppress(SystemExit):  # as argparse ends
        cli.main([*words, "--help"])
    return capsys.readouterr().out


def listed(text: str) -> list[str]:
    """The commands that a help lists: indented by two or four, a name, and what it is after spaces."""
    return re.findall(r"^ {2,4}([a-z]+) {2,}\S", text, re.MULTILINE)


def test_every_command_and_option_of_the_help_is_there(capsys: pytest.CaptureFixture[str]) -> None:
    sections = dict(re.findall(r"^##+ (resjax [\w ]+)\n(.*?)(?=^##|\Z)", COMMANDS, re.MULTILINE | re.DOTALL))
    named = [(name,) for name in listed(help_of(capsys).partition("make runs:")[2])]
    named += [("data", kind) for kind in listed(help_of(capsys, "data"))]
    assert {f"resjax {' '.join(words)}" for words in named} == set(sections)
    assert len(named) > 14
    for words in named:
        options = re.findall(r"^ {2}(--?[a-z][\w-]*(?:, --[\w-]+)?)", help_of(capsys, *words), re.MULTILINE)
        for option in set(options) - {"-h, --help"}:
            assert f"| `{option}" in sections[f"resjax {' '.join(words)}"], (words, option)


def test_every_file_of_conf_is_there() -> None:
    files = [path.relative_to(CHECKOUT / "conf") for path in (CHECKOUT / "conf").glob("*/**/*.yaml")]
    assert len(files) > 40
    for path in files:
        launcher = path.parts[:2] == ("hydra", "launcher")
        assert (f"### The launcher {path.stem}\n" if launcher else f"| `{path.parent}={path.stem}` |") in SETTINGS
    assert set(re.findall(r"`hydra\.launcher\.(\w+)` \|", SETTINGS)) == {item.name for item in fields(Launcher)}


def test_every_instrument_and_its_settings_are_there() -> None:
    for name, instrument in INSTRUMENTS.items():
        section = COMMANDS.split(f"\n### {name}\n")[1].split("\n##")[0]
        assert set(re.findall(r"^\| `(\w+)` ", section, re.MULTILINE)) == {i.name for i in fields(instrument.settings)}


@pytest.mark.parametrize(
    ("key", "value", "beside"),
    [
        ("model.depth", 56, {}),
        ("model.survival", 0.7, {"model.shortcut": "stochastic_depth"}),
        ("model.norm_group", 32, {}),
        ("data.color", 0.2, {"data.kind": "tfds", "data.streamed": True, "data.augment": True}),
        ("optimizer.second_moment", 0.9, {"optimizer.name": "adam"}),
        ("schedule.warmup_error", 0.5, {"schedule.warmup_learning_rate": 0.01}),
        ("train.precise_statistics", 5, {}),
        ("train.tf32", False, {}),
        ("train.max_minutes", 5.0, {}),
        ("probes.every", 7, {}),
        ("seeds", 3, {}),
        ("parallel.devices", 2, {}),
        ("tracker.name", "none", {}),
        ("checkpoint.every", 7, {}),
        ("data.workers", 3, {"data.kind": "tfds", "data.streamed": True}),
        ("rerun", "all", {}),
    ],
)
def test_what_the_page_says_of_the_id_is_so(key: str, value: Any, beside: dict[str, Any]) -> None:
    plain, before = Config(), Config()
    for name, setting in beside.items():
        before = with_value(before, name, setting)
    after, alone = with_value(before, key, value), with_value(plain, key, value)
    said = next(word for name, _, word in ROWS if name == key)
    if key == "parallel.devices":
        before = with_value(before, "model.norm_scope", "per_device")
        assert run_id(before, 1) != run_id(before, 2)
        assert said == "in use"
    else:
        assert (run_id(before) != run_id(after)) == (said != "no")
        assert (group_id(before) != group_id(after)) == (said in ("yes", "in use"))
    if said == "yes":
        assert run_id(plain) != run_id(alone)
    if beside and said == "in use":
        assert run_id(plain) == run_id(alone)


def with_value(config: Config, key: str, value: Any) -> Config:
    section, _, name = key.rpartition(".")
    if not section:
        return replace(config, **{name: value})
    return replace(config, **{section: replace(getattr(config, section), **{name: value})})


def test_a_command_more_is_a_section_more(monkeypatch: pytest.MonkeyPatch) -> None:
    row = command_page.commands.ROWS["status"]
    monkeypatch.setitem(command_page.commands.ROWS, "again", row._replace(line="again"))
    monkeypatch.setitem(command_page.commands.GROUPS["set up"], "again", row._replace(line="again"))
    made = command_page.commands.command
    monkeypatch.setattr(command_page.commands, "command", lambda name: made("status" if name == "again" else name))
    assert command_page.sections().count("## resjax status\n") == 2
    assert "[again](#resjax-again)" in command_page.overview()


def test_nothing_is_in_the_id_that_was_never_asked() -> None:
    never = {name for name, word in counting.counts().items() if word == "no"}
    assert {name.partition(".")[0] for name in never} == {
        *("parallel", "tracker", "checkpoint", "sweep", "runs", "rerun"),  # whole sections, but for parallel.devices
        *("train", "data", "model"),
    }
    assert {name for name in never if name.startswith(("train.", "data.", "model."))} == {
        *("train.max_minutes", "data.root", "data.corrupt_share", "data.workers", "model.unroll", "model.remat"),
    }
