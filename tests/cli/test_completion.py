"""Tab in bash, zsh and fish: the scripts are sourced by the shells themselves, where they are installed."""

import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from resjax.cli import commands, completion, main, offers
from resjax.cli.words import choices
from resjax.config import keys
from resjax.lab.table import INSTRUMENTS
from resjax.papers.loading import items

# What is typed until Tab, and the whole words that may stand in place of the last one.
CASES = {
    "resjax re": {"report", "reproduce"},
    "resjax data ": {"list", "prepare", "check", "speed"},
    "resjax data prepare cif": {"cifar10", "cifar100"},
    "resjax train mod": {"model=", "model."},
    "resjax train model.norm_": {"model.norm_scope=", "model.norm_group=", "model.norm_channel_groups="},
    "resjax train model=pl": {"model=plain", "model=plain_imagenet"},
    "resjax train model=plain probes.last=": {"probes.last=true", "probes.last=false"},
    "resjax train -m model.shortcut=none,id": {"model.shortcut=none,identity"},
    "resjax train -m model=plain,res": {"model=plain,resnet", "model=plain,resnet_imagenet"},
    "resjax train hydra/launcher=sub": {"hydra/launcher=submitit_local", "hydra/launcher=submitit_slurm"},
    "resjax train --mul": {"--multirun"},
    "resjax train --help che": {"checkpoint"},
    "resjax train sweep=d": {"sweep=depth"},
    "resjax predict data=dig": {"data=digits"},
    "resjax reproduce he2015/fig6/l": {"he2015/fig6/left"},
    "resjax reproduce --preset=q": {"--preset=quarter"},
    "resjax reproduce he2015/fig6 --preset s": {"smoke"},
    "resjax reproduce he2015/fig6 model.ac": {"model.activation="},
    "resjax report d": {"depth"},
    "resjax report depth w": {"wide"},
    "resjax status --runs other x": {"xyz"},
    "resjax lab les": {"lesion"},
    "resjax lab lesion depth/r": {"depth/resnet20-aa"},
    "resjax lab landscape depth statistics=b": {"statistics=both", "statistics=batch"},
    "resjax completion ": {"bash", "zsh", "fish"},
    "resjax models model": set(),
    "resjax train nothing=a": set(),
}
BASH = """source ./script
while IFS= read -r COMP_LINE; do
    COMP_POINT=${#COMP_LINE}
    _resjax
    echo "${COMPREPLY[*]}"
done"""
ZSH = """compdef() { }
source ./script
compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -rn -- "$* " }
compset() { }
_files() { }
while IFS= read -r line; do
    words=("${(@s: :)line}"); CURRENT=${#words}; PREFIX=$words[CURRENT]
    _resjax
    print
done"""
FISH = """source ./script
while read -l line
    echo (complete -C $line)
end"""
PROGRAMS = {"bash": ("bash", "--norc", "-c", BASH), "zsh": ("zsh", "-f", "-c", ZSH), "fish": ("fish", "-N", "-c", FISH)}


@pytest.fixture(scope="module")
def words() -> offers.Table:
    return offers.table()


@pytest.fixture
def sweeps(here: Path) -> Path:
    """A folder with sweeps, of which one has a run."""
    for name in ("runs/depth/resnet20-aa", "runs/wide", "other/xyz"):
        (here / name).mkdir(parents=True)
    (here / "runs/depth/resnet20-aa/run.json").touch()
    return here


def replies(shell: str, script: str, folder: Path) -> list[set[str]]:
    """What the shell itself finds for every case; in an environment without any program to start."""
    (folder / "script").write_text(script)
    program, *rest = PROGRAMS[shell]
    typed = "".join(f"{line}\n" for line in CASES)
    where = {"HOME": str(folder), "PATH": "", "TERM": "dumb"} | ({"PATH": "/usr/bin:/bin"} if shell == "fish" else {})
    found = [str(shutil.which(program)), *rest]
    done = subprocess.run(found, input=typed, capture_output=True, text=True, cwd=folder, env=where, check=True)
    assert not done.stderr
    return [set(line.split()) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("shell", offers.SHELLS)
def test_a_shell_completes(shell: str, words: offers.Table, sweeps: Path) -> None:
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    found = dict(zip(CASES, replies(shell, completion.script(shell, words), sweeps), strict=True))
    for line, expected in CASES.items():
        at = line.split(" ")[-1]
        kept = at[: at.rfind("=") + 1] if shell == "bash" else ""  # bash itself keeps what is before the =
        assert found[line] == {word.removeprefix(kept) for word in expected}, line


@pytest.mark.parametrize("shell", offers.SHELLS)
def test_every_command_and_setting_is_in_the_script(shell: str, words: offers.Table) -> None:
    script = completion.script(shell, words)
    there = set(script.replace("'", " ").split())
    assert set(commands.ROWS) | set(INSTRUMENTS) | set(items()) <= there
    assert {f"{key}=" for key in (*keys(), *choices())} <= there
    assert {name for names in choices().values() for name in names} <= there
    assert {choice for item in keys().values() for choice in item.metadata["choices"]} <= there
    for name, parser in commands.parsers().items():
        options = {option for action in parser._actions for option in action.option_strings}
        assert options <= set(words[f"options {name}"])


def test_nothing_in_the_table_can_be_taken_for_a_shells_own_sign(words: offers.Table) -> None:
    for key, of in words.items():
        assert all(shlex.quote(word) == word for word in (*key.split(), *of) if word != "|"), (key, of)


def test_the_command_prints_the_script(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(completion, "table", lambda: {"below": ("train",)})
    assert main(["completion", "bash"]) == 0
    printed = capsys.readouterr()
    assert "'below') found='train' ;;" in printed.out
    assert not printed.err
