"""A canary for a secret: nothing that is written or printed holds it, however a run ends."""

import base64
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pytest
from broken import SMALL

from resjax import faults, records
from resjax.cli import main
from resjax.cli.overrides import launch
from resjax.redaction import HIDDEN, print_trace, redacted
from resjax.tracking.mirror import WandbTracker

KEY, PASSWORD = secrets.token_hex(20), f"pä'ss\"{secrets.token_hex(8)}"
ADDRESS = f"http://user:{quote(PASSWORD)}@127.0.0.1:9"
VARIABLES = {"WANDB_API_KEY": KEY, "HTTPS_PROXY": ADDRESS, "HTTP_PROXY": ADDRESS, "WANDB_BASE_URL": ADDRESS}
TOLD = f"{KEY} {PASSWORD!r} {ADDRESS}"
QUICK = ["train.steps=2", "probes.at=[]", "probes.train_grad_norm=false", "seeds=1", "sweep=kept"]
WORDS = [word for word in [*SMALL, *QUICK] if not word.startswith("tracker")]
BROKEN = "save=fail"
# The worker of a sweep says what it must not, and breaks with it.
SITECUSTOMIZE = """
import os, sys
if "resjax.sweep.worker" in sys.orig_argv:
    from resjax import faults
    def fail():
        print(os.environ["WANDB_API_KEY"], os.environ["HTTPS_PROXY"])
        raise RuntimeError(os.environ["TOLD"]) from OSError(os.environ["WANDB_API_KEY"])
    faults.ACTIONS["fail"] = fail
"""


@pytest.fixture
def canary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The secrets are in the environment; the working folder's path has a space and a letter with a mark."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "läuft hier"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def hits(folder: Path, *said: str) -> list[str]:
    """Where a secret is, in files, their names, and what was printed."""
    needles = [KEY, PASSWORD, quote(PASSWORD), PASSWORD.rpartition('"')[2]]
    needles += [base64.b64encode(f"user:{PASSWORD}".encode()).decode()]
    texts = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    texts |= {f"name of {path}": str(path).encode() for path in folder.rglob("*")}
    texts |= {f"output: {text[-3000:]}": text.encode() for text in said}
    return [where for where, text in texts.items() if any(needle.encode() in text for needle in needles)]


def files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def test_a_run_that_ends_well_and_its_mirror(
    canary: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, full: bool, tally
) -> None:
    if not full:  # the charts take long to draw
        monkeypatch.setattr(WandbTracker, "look_back", lambda *_: None)
    for mode in ("offline", "online") if full else ("offline",):
        assert main(["train", *WORDS, "tracker=wandb", f"tracker.mode={mode}", "rerun=all", f"sweep={'k' * 80}"]) == 0
    (mirrored,) = list(canary.rglob("offline-run-*/*.wandb"))[-1:]
    end = time.monotonic() + 30  # on a busy machine wandb's own process is still writing
    while b"mlp4-residual" not in mirrored.read_bytes() and time.monotonic() < end:
        time.sleep(0.1)
    assert b"mlp4-residual" in mirrored.read_bytes(), "it is compressed: nothing would be found in it"
    assert not hits(canary, *capfd.readouterr())
    tally("a secret in the environment, wandb off and on line", f"{files(canary)} files and the output: 0 hits")


def test_a_run_that_breaks_with_it(
    canary: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tally
) -> None:
    def fail() -> None:
        raise RuntimeError(TOLD) from OSError(KEY)

    monkeypatch.setitem(faults.ACTIONS, "fail", fail)
    monkeypatch.setenv(faults.VARIABLE, BROKEN)
    faults.passes.clear()
    assert main(["train", *WORDS, "tracker=none"]) == 1
    (folder,) = records.run_folders(Path("runs") / "kept")
    assert records.facts_of(folder)["error"].startswith(f"RuntimeError: {HIDDEN}")
    assert f"OSError: {HIDDEN}" in (folder / "error.txt").read_text()
    assert main(["status", "kept"]) == 0
    assert not hits(canary, *capfd.readouterr())
    tally("an exception that tells a secret, and its cause", f"{files(canary)} files and the output: 0 hits")


def test_a_sweep_of_processes(canary: Path, tmp_path: Path, full: bool, tally) -> None:
    if not full:
        pytest.skip("with --full")
    (tmp_path / "sitecustomize.py").write_text(SITECUSTOMIZE)
    words = [*WORDS, "tracker=wandb", "model.shortcut=none,identity"]
    done = subprocess.run(
        [sys.executable, "-m", "resjax.cli", "train", "-m", *words],
        env=os.environ | {"PYTHONPATH": str(tmp_path), "TOLD": TOLD, faults.VARIABLE: f"{BROKEN}@residual"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    (folder,) = (path for path in records.run_folders(Path("runs") / "kept") if "residual" in path.name)
    assert f"\n{HIDDEN} " in (folder / "log.txt").read_text()
    assert f"RuntimeError: {HIDDEN}" in (folder / "error.txt").read_text()
    assert not hits(canary, done.stdout, done.stderr)
    tally("the same in the processes of a sweep", f"{files(canary)} files and the output: 0 hits")


@pytest.mark.parametrize(
    ("word", "holds"),
    [
        ("tracker.project=${oc.env:WANDB_API_KEY}", "tracker.project holds the value of $WANDB_API_KEY"),
        ("tracker.entity=x${oc.env:WANDB_API_KEY}", "tracker.entity holds the value of $WANDB_API_KEY"),
        ("sweep=${oc.env:WANDB_API_KEY}", "sweep holds the value of $WANDB_API_KEY"),
        ("runs=${oc.env:HTTPS_PROXY}", "runs holds an address with a user or a password"),
        (f"data.root='{ADDRESS}/x'", "data.root holds an address with a user or a password"),
        ("data.root='https://user:other@host/x'", "data.root holds an address with a user or a password"),
    ],
    ids=["project", "entity", "sweep", "runs", "root", "plain"],  # workers have to agree on them, and the key is drawn
)
def test_a_setting_that_holds_it_is_refused(
    word: str, holds: str, canary: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *WORDS, word]) == 2
    said = capfd.readouterr()
    assert holds in said.err
    assert "other" not in said.err
    assert not hits(canary, *said)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "words",
    [
        ["train", f"model.shortcut={KEY}"],
        ["train", "model.shortcut=${oc.env:WANDB_API_KEY}"],
        ["train", f"data.rot='{ADDRESS}'"],
        ["train", f"{KEY}"],
        ["train", f"--config-dir={ADDRESS}"],
        ["status", ADDRESS],
        ["import", ADDRESS, "seed=1"],
        ["import", "https://user:other@host/x.npz"],
    ],
)
def test_a_refusal_does_not_repeat_it(words: list[str], canary: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    said = capfd.readouterr()
    assert HIDDEN in said.err
    assert "other" not in said.err
    assert not hits(canary, *said)


def test_what_python_prints_of_an_exception(canary: Path, capfd: pytest.CaptureFixture[str]) -> None:
    error = RuntimeError(TOLD)
    print_trace(type(error), error, None)
    said = capfd.readouterr()
    assert f"RuntimeError: {HIDDEN}" in said.err
    assert not hits(canary, *said)


def test_a_value_of_a_setting_that_is_the_same_by_default_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PASSWORD", "resjax")
    assert launch(["tracker.project=resjax"]).jobs


def test_words_and_short_values_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENIZERS_PARALLELISM", "false")
    assert (
        redacted("https://arxiv.org/abs/1512.03385 false a@b.org") == "https://arxiv.org/abs/1512.03385 false a@b.org"
    )
