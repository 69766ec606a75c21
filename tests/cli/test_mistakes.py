"""A newcomer's mistakes: what is wrong, what was expected, and what to type. And the help that comes before them."""

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from resjax.cli import commands, main
from resjax.cli.imports import planned
from resjax.cli.options import Parser
from resjax.cli.overrides import launch

MISTAKES = {
    "reprot depth --json": "Did you mean: resjax report depth --json\n",
    "model=plain seeds=2": "Type: resjax train model=plain seeds=2",
    "--verison": "Type: resjax --version",
    "help trian": "Did you mean: resjax train --help\n",
    "status": "SWEEP is missing.\nExpected: resjax status [--runs FOLDER] [--json] SWEEP\nType for example:",
    "status nothing": "Type: resjax train -m experiment=quickstart",
    "status depth wide": "wide is one word too many",
    "status depth --jsn": "Did you mean: --json",
    "status depth --runs": "--runs has no value",
    "report": "Type for example: resjax report quickstart",
    "report nothing": "Type: resjax train -m experiment=quickstart",
    "export depth": "OUT is missing",
    "export": "SWEEP, OUT are missing",
    "models preact": "preact is one word too many",
    "data": "Type for example: resjax data list",
    "data prepar cifar10": "Type: resjax data prepare",
    "data prepare": "Type for example: resjax data prepare cifar10",
    "data prepare cifar": "Did you mean: cifar10",
    "data prepare cifar10 --archive nowhere.tar.gz": "nowhere.tar.gz is not a file",
    "data check nothing": "Expected one of: digits",
    "data check cifar10 --root nowhere": "Type: RESJAX_DATA=nowhere resjax data prepare cifar10",
    "data speed --seconds=x": "--seconds=x is not a number",
    "data speed model=plain --seconds 2 data=digits --jsn": "data has no option --jsn",
    "data speed model=plain --seconds 2 data=digits": "Type: resjax data speed data=imagenet2012",
    "data check cifar10 --all digits": "digits is one word too many",
    "data speed data=digits": "Type: resjax data speed data=imagenet2012",
    "train model=resnt": "Type: model=resnet",
    "train model.shortcut=identiy": "Type: model.shortcut=identity",
    "train model.depht=20": "Did you mean: model.depth=20",
    "train model=mlp lr=0.1": "Did you mean: schedule.learning_rate=0.1",
    "train model.layers=20": "Did you mean: model.depth=20",
    "train schedule.learning_rate=-1": "Type: schedule.learning_rate=0.1",
    "train model=plain model.depth=21": "is not a depth of plain, of basic units",
    "train model.depth=21": "model.depth=20 or model.depth=26",
    "train model.depth=twenty": "Type: model.depth=20",
    "train model.depth=20,56": "Type: resjax train -m model.depth=20,56",
    "predict model=highway model.depth=8,20": "Type: resjax predict -m model=highway model.depth=8,20\n",
    "predict model=highway model.depth=10": "not a depth of resnet, of single units.\nExpected 3n+2",
    "train plain": "Type: model=plain",
    "train model.depth 56": "Type: model.depth=20",
    "train -m model=plain, resnet": "Expected no blank",
    "train model.depth= 56": "Expected no blank",
    "train --depth 56": "Did you mean: model.depth=...",
    "train --depth=56": "Did you mean: model.depth=56",
    "train --help optimiser": "Type: resjax train --help optimizer",
    "train --config-dir": "--config-dir has no value",
    "train experiment=quikstart": "Type: experiment=quickstart",
    "predict --jsn": "Did you mean: --json",
    "predict --gpus 8": "Type: --gpus=8",
    "predict seed=x": "Type: seed=0",
    "reproduce fig6": "Type: resjax reproduce he2015/fig6",
    "reproduce he2015/fig6 --preset tiny": "Expected one of: smoke, laptop, quarter, paper",
    "reproduce --dry-run": "Type: resjax reproduce he2015/fig6",
    "import": "Type for example: resjax import net.npz",
    "import nowhere.npz model=plain": "nowhere.npz cannot be read",
    "doctor modl=preact": "Did you mean: model=preact",
    "doctor --trac x": "Did you mean: --trace",
    "lab": "INSTRUMENT, RUN are missing",
    "lab leson depth": "Type: resjax lab lesion RUN",
    "lab lesion": "Type for example: resjax lab lesion quickstart",
    "lab lesion depth --seed x": "--seed=x is not a whole number",
    "lab lesion depth --platform gpus": "Type: --platform=gpu",
    "completion": "Type for example: resjax completion bash >",
    "completion csh": "Expected one of: bash, zsh, fish",
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_told_with_what_to_type(line: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(line)) == 2
    told = capsys.readouterr()
    assert not told.out
    assert told.err.startswith("resjax: ")
    assert MISTAKES[line] in told.err
    assert "Type" in told.err or "Did you mean" in told.err or "Expected" in told.err
    assert not list(here.iterdir())


def test_standard_output_may_be_closed() -> None:
    command = f"{shlex.quote(sys.executable)} -m resjax.cli --version >&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("command", ["--help", "models"])
def test_whoever_reads_may_go_away(command: str) -> None:
    """As head does: nothing is told, and the exit code is that of a closed pipe."""
    words = [sys.executable, "-m", "resjax.cli", command]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def every_parser() -> dict[str, Parser]:
    """Of the commands, and of what is below them."""
    found = {}
    for name, parser in commands.parsers().items():
        found[name] = parser
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                found |= {f"{name} {kind}": below for kind, below in dict(action.choices or {}).items()}
    return found


def test_every_help_fits_and_has_examples_that_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    for name, parser in every_parser().items():
        told = parser.format_help()
        assert told.startswith(f"usage: resjax {name} "), name
        assert not [line for line in told.splitlines() if len(line) > 80], name
        for example in parser.examples:
            assert f"\n  {example}\n" in told
            assert example.startswith(f"resjax {name}")
            words = shlex.split(example.partition(" > ")[0])[1 + len(name.split()) :]
            if name in ("train", "predict"):
                assert launch([word for word in words if not word.startswith("--gpus")]).jobs
            elif name == "import":
                assert planned(words)
            elif "--help" not in words:
                parser.parse_intermixed_args(words) if name != "data" else parser.parse_args(words)


def test_the_first_help_fits_a_screen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    told = capsys.readouterr().out
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == told
    lines = told.splitlines()
    assert len(lines) <= 43
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if line[:2] == "  " and line.split()[0] in commands.ROWS] == list(
        commands.ROWS
    )
    first, typed = told.partition("first steps")[2], []
    for line in first.replace("\\\n", " ").splitlines():
        if line.startswith("  resjax train -m"):
            typed.append(launch([word for word in line.split()[2:] if word == "-m" or "=" in word]).jobs)
    assert [len(jobs) for jobs in typed] == [8, 4]


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split()[0] == "resjax"


def test_help_is_a_command_too(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["help", "status"])
    assert ended.value.code == os.EX_OK
    assert "usage: resjax status" in capsys.readouterr().out
