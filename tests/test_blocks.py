"""Every block of code of the pages: bash reads it, what it calls is legal, and (slow) does what it says, in small."""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

import blocks
import numpy as np
import pytest
from blocks import Block, Call
from packed import FOLDER, make, make_idx
from supposed import FILES, arrays_of_plain_20, pytorch

from benchmarks.run import parser as benchmarks
from resjax import cli
from resjax.cli import doctor, imports, lab, reproduce
from resjax.cli.commands import command
from resjax.cli.composition import checked
from resjax.cli.gpus import gpus_of
from resjax.cli.overrides import launch
from resjax.config import Config
from resjax.data import archives
from resjax.papers.loading import find

CHECKOUT = Path(__file__).parents[1]
PATHS = ["README.md", "CONTRIBUTING.md", "docs/*.md", "experiments/*/README.md"]
PAGES = {str(path.relative_to(CHECKOUT)): path for pattern in PATHS for path in sorted(CHECKOUT.glob(pattern))}
PROGRAMS = ("resjax", "python", "make", "pip", "pre-commit", "pytest", "srun", "tar", "wandb", "xprof")
# Calls that are not run, and why. Their words are read all the same, but for those that cannot be.
UNREADABLE = MappingProxyType(
    {
        "resjax * [[]SETTING=VALUE *": "a usage line",
        "resjax train *model.shortcut=*half*": "needs the pasted code: tests/test_contributing.py trains it",
        "python line*.py CONTRIBUTING.md": "fragments: tests/test_contributing.py pastes them",
    }
)
LEFT = MappingProxyType(
    {
        "make *": "makes environments, or takes the time of its own tests; make -n says that the target is there",
        "pip install *": "needs the package registry; the extra has to be one of pyproject.toml",
        "python line*.py docs/index.md": "tests/test_start_page.py writes its files and runs them",
        "resjax dashboard * --arm *": "of depths that the sweep in small has not: tests/test_dashboard.py",
        "wandb sync *": "of mirrored runs: those in small are not (tracker=none)",
        "pytest *": "what it tests here is the reader's own: tests/test_start_page.py",
        "python own.py *": "tests/test_start_page.py runs it",
        "pre-commit install": "changes the checkout; its settings have to be there",
        "python -m benchmarks.*": "takes minutes, and PyTorch: tests/test_benchmarks.py",
        "python experiments/*/figure.py*": "tests/report/test_experiments.py makes every page from its records",
        "python line*.py docs/data.md": "tests/test_data_page.py runs it, and the two lines behind it",
        "python line*.py docs/import.md": "needs PyTorch: a test below gives it a net of its kind",
        "python shapes.py": "tests/test_data_page.py",
        "resjax train data=tfds data.name=shapes *": "tests/test_data_page.py",
        "resjax report half": "of runs that tests/test_contributing.py makes",
        "xprof *": "is no part of the lock: the page installs it",
        "srun *": "needs SLURM: tests/faults/test_hosts.py starts two processes as srun does",
        "resjax train *hydra/launcher=submitit_slurm*": "needs SLURM: tests/faults/test_slurm.py",
        "resjax train *hydra.launcher.gpus=*": "needs GPUs",
        "resjax *data=imagenet2012*": "needs ImageNet",
        "resjax data * imagenet2012*": "needs ImageNet, and TensorFlow",
        "resjax data prepare svhn_cropped --stock": "needs the internet, and TensorFlow",
        "resjax train data=tfds data.name=svhn_cropped*": "needs the set",
        "resjax train * model.remat=true *": "takes 5 GB and minutes: that is what the page measures",
        "resjax reproduce * --preset smoke": "tests/cli/test_reproduce.py makes every item so",
    }
)
# What is added to the others, in the place of the page's own value where it has one (~: nothing is put there), and why.
# Later rows win.
ADDED: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("resjax train *", ("train.steps=2", "tracker=none"), "hours of updates; wandb's files cost seconds"),
    ("resjax import *", ("tracker=none",), "the same"),
    ("resjax train *", ("probes.at=[]", "probes.last=false"), "a look at the layers takes longer to compile than all"),
    ("resjax train -m *", ("model.depth=8",), "the first runs"),
    ("resjax train -m *", ("hydra/launcher=in_process", "~hydra.launcher.jobs"), "a process starts in seconds"),
    ("resjax train -m * parallel.threads=1 *", ("hydra/launcher=basic", "hydra.launcher.jobs=2"), "that is its point"),
    ("resjax train -m * sweep=he2015_fig6_quarter *", ("seed=0",), "the first runs"),
    ("resjax train -m experiment=article*", ("model.depth=5",), "its depths are odd"),
    ("resjax train * sweep=flow", ("probes.at=[0]",), "whose layers the page reads"),
    ("resjax train * sweep=precision", ("data.train_examples=300", "data.test_examples=100"), "the made set has these"),
    (
        "resjax train data=folder *",
        ("model.width=8", "train.batch_size=4", "probes.batch_size=4", "data.crop=32", "data.workers=0"),
        "twelve made photographs of 30 pixels",
    ),
    ("resjax train data=folder *", ("data.shorter_side=[36,40]", "data.test_side=36"), "the same"),
    ("resjax reproduce *", ("--dry-run",), "hours: tests/cli/test_reproduce.py makes every item in small"),
    ("resjax lab *", ("--quick",), "minutes an instrument; the page's own settings are not quick, so below"),
    ("resjax lab lesion *", ("examples=100", "counts=2", "draws=2"), "the same"),
    ("resjax lab paths *", ("examples=2", "draws=4", "lengths=4"), "the same"),
    ("resjax lab similarity *", ("examples=64",), "the same"),
    ("resjax lab jacobian *", ("examples=1",), "the same"),
    ("resjax lab landscape *", ("examples=64", "lines=1", "points=5", "grid=3"), "the same"),
    ("resjax lab hessian *", ("examples=32", "steps=4", "grid_steps=2"), "the same"),
    ("resjax lab readout *", ("train_examples=200", "test_examples=100"), "the same"),
    ("resjax doctor*", ("model.depth=8", "model.width=4", "train.batch_size=16"), "a minute of compilation"),
    ("resjax data prepare cifar10", ("--archive=archives/cifar10.tar.gz",), "no internet; a made archive of its form"),
    ("resjax data prepare mnist", ("--archive=archives/mnist",), "the same"),
    ("resjax data speed data=mock_imagenet", ("model.width=8", "train.batch_size=16", "--seconds=0.1"), "minutes"),
)
ADDED_TO = tuple(pattern for pattern, *_ in ADDED)
BIN = Path(sys.executable).parent
EXTRAS = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def matching(table: Iterable[str], call: Call) -> list[str]:
    return [pattern for pattern in table if fnmatchcase(str(call), pattern)]


@cache
def parts(name: str) -> tuple[Block, ...]:
    return tuple(blocks.blocks(PAGES[name].read_text(), PROGRAMS))


@cache
def called(name: str) -> tuple[Call, ...]:
    """What the page's blocks call, in order."""
    calls: list[Call] = []

    def answer(call: Call) -> tuple[int, str]:
        calls.append(call)
        return 0, ""

    with TemporaryDirectory() as folder:
        assert not blocks.run(blocks.script(parts(name), Path(folder), name), PROGRAMS, answer), f"after {calls[-1:]}"
    return tuple(calls)


def accepted(words: Sequence[str]) -> None:
    """The words behind `resjax` are taken by its parsers."""
    name, rest = words[0], [word for word in words[1:] if word != "--json"]
    if "--help" in words:
        return
    if name in READ:
        READ[name](rest)
    else:
        options = command(name).parser().parse_args(rest)
        launched(tuple(word for word in getattr(options, "words", ()) if "=" in word))


@cache
def launched(words: tuple[str, ...]) -> list[Config]:
    """What would be trained. One run takes `launch` longer than `checked`."""
    return launch(words).jobs if "-m" in words else [checked(words)]


def reproduced(words: Sequence[str]) -> None:
    options = reproduce.parser().parse_intermixed_args(words)
    named = [word for word in options.words if "=" not in word]
    assert not named or find(*named)


def looked(words: Sequence[str]) -> None:
    options = lab.parser(words).parse_intermixed_args(words)
    lab.settings_of(lab.known(options.name), [word for word in options.words if "=" in word], options.quick)


READ: dict[str, Callable[[list[str]], object]] = {
    "train": lambda words: launched(tuple(words)),
    "predict": lambda words: launched(tuple(gpus_of([word.replace("RATE", "9") for word in words])[1])),
    "doctor": lambda words: doctor.job(doctor.parser().parse_intermixed_args(words).settings),
    "import": imports.planned,
    "reproduce": reproduced,
    "lab": looked,
}


def legal(call: Call) -> None:
    """As far as it can be told without running it."""
    match call.words:
        case ("resjax", *words):
            accepted(words)
        case ("srun", *words):
            accepted(words[words.index("resjax") + 1 :])
        case ("make", *words):
            subprocess.run(["make", "-n", *words], cwd=CHECKOUT, check=True, capture_output=True)
        case ("pip", "install", what) if "[" in what:
            assert what.rstrip("]").partition("[")[2] in EXTRAS
        case ("pre-commit", "install"):
            assert (CHECKOUT / ".pre-commit-config.yaml").exists()
        case ("python", "-m", "benchmarks.run", *words):
            benchmarks().parse_args(words)
        case ("python", str(file), *_) if file.startswith("experiments/"):
            assert (CHECKOUT / file).exists()


@pytest.mark.parametrize("name", PAGES)
def test_what_the_blocks_call_is_legal(name: str) -> None:
    for block in parts(name):
        told = f"{name}:{block.line}: {block.first}"
        assert block.language in blocks.LANGUAGES.values(), f"{told}\n{block.language} is no language that is read here"
        assert block.language != "yaml" or block.file, f"{told}\nwhich file is it? Say so in its first line: # FILE"
    for call in called(name):
        if not matching(UNREADABLE, call):
            legal(call)


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_in_the_text_are_legal(name: str) -> None:
    for words in blocks.spoken(PAGES[name].read_text()):
        if len(words) > 1 and not matching(UNREADABLE, Call(("resjax", *words), {}, Path())):
            accepted(words)


def test_no_row_of_the_tables_is_dead() -> None:
    used = {row for name in PAGES for call in called(name) for row in matching([*UNREADABLE, *LEFT, *ADDED_TO], call)}
    assert used == {*UNREADABLE, *LEFT, *ADDED_TO}
    texts = [path.read_text() for path in PAGES.values()]
    assert all(any(file in text for text in texts) for file in FILES)


def test_the_fragment_for_pytorch_writes_what_import_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (block,) = [block for block in parts("docs/import.md") if block.language == "python"]
    exec(block.text, pytorch())
    with np.load("net.npz") as arrays:
        assert {name: arrays[name].shape for name in arrays} == arrays_of_plain_20((32, 32, 3))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of made archives that count as the official ones; CIFAR-10 is prepared from its."""
    folder = tmp_path_factory.mktemp("archives")
    files = {"train": ((f"{FOLDER}/data_batch_1.bin", 300),), "test": ((f"{FOLDER}/test_batch.bin", 100),)}
    cifar = make(folder / "cifar10.tar.gz", archives.ARCHIVES["cifar10"], files)
    mnist = make_idx(folder / "mnist", archives.ARCHIVES["mnist"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RESJAX_DATA", str(tmp_path_factory.mktemp("data")))
        patch.setitem(archives.ARCHIVES, "cifar10", cifar.official)
        patch.setitem(archives.ARCHIVES, "mnist", mnist.official)
        patch.setattr(sys, "argv", ["resjax"])
        assert cli.main(["data", "prepare", "cifar10", "--archive", str(cifar.path)]) == 0
        yield folder


def small(call: Call) -> list[str]:
    """The call's words with what is added."""
    words = list(call.words)
    if "--help" in words:
        return words
    for word in (word for pattern, added, _ in ADDED for word in added if matching([pattern], call)):
        key = word.lstrip("~").partition("=")[0]
        places = [place for place, own in enumerate(words) if own.partition("=")[0] == key] or [len(words)]
        words[places[0] : places[0] + 1] = [] if word.startswith("~") else [word]
    return words


def performed(call: Call) -> tuple[int, str]:
    """Its exit code and what it printed. In this process, which has JAX, unless variables are set before it."""
    if matching([*UNREADABLE, *LEFT], call):
        return 0, ""
    words = small(call)
    with contextlib.chdir(call.folder):
        if words[0] == "resjax" and not call.environment:
            with contextlib.redirect_stdout(io.StringIO()) as said:
                try:
                    return cli.main(words[1:]), said.getvalue()
                except SystemExit as end:  # argparse's
                    return int(end.code or 0), said.getvalue()
        if words[0] == "python" and Path(words[1]).is_file():
            in_a_run(Path(words[1]))
        program = shutil.which(words[0], path=os.pathsep.join([str(BIN), os.environ["PATH"]]))
        done = subprocess.run([str(program), *words[1:]], env=os.environ | call.environment, stdout=subprocess.PIPE)
    return done.returncode, done.stdout.decode()


def in_a_run(file: Path) -> None:
    """Put a run's folder in the place of RUN."""
    text = file.read_text()
    for sweep in re.findall(r"runs/(\w+)/RUN/", text):
        text = text.replace(f"runs/{sweep}/RUN", str(next(Path("runs", sweep).glob("*/run.json")).parent))
    file.write_text(text)


@pytest.mark.slow
@pytest.mark.parametrize("name", PAGES)
def test_the_blocks_run(name: str, prepared: Path, tmp_path: Path) -> None:
    if all(matching([*UNREADABLE, *LEFT], call) for call in called(name)):
        pytest.skip("nothing of this page is run here")
    (tmp_path / "archives").symlink_to(prepared)
    for file, make_it in FILES.items():
        if file in PAGES[name].read_text():
            make_it(tmp_path / file)
    calls: list[str] = []

    def answer(call: Call) -> tuple[int, str]:
        begun = time.monotonic()
        code, said = performed(call)
        calls.append(f"{time.monotonic() - begun:5.1f} s  {code}  {call}")
        return code, said

    code = blocks.run(blocks.script(parts(name), tmp_path, name), PROGRAMS, answer)
    print(*calls, sep="\n")
    assert not code, calls[-1]
