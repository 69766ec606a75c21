"""A sweep's jobs run the code that was frozen, and what they print has no secrets."""

import io
import json
import os
import signal
from pathlib import Path

import pytest

from resjax import facts, records
from resjax.cli import main
from resjax.config import Config
from resjax.errors import InputError
from resjax.records import Launch
from resjax.redaction import HIDDEN, Redacting, redacted
from resjax.stopping import Listener
from resjax.sweep import sweeping, worker
from resjax.sweep.frozen import FrozenRun
from resjax.sweep.launcher import Launcher

SECRET = "0123456789abcdef"


class Silent:
    """Nobody watches."""

    def __getattr__(self, name: str):
        return lambda *_, **__: None


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first process of a job, as submitit says; the tests' own handler of crashes stays."""
    monkeypatch.setattr("resjax.sweep.frozen.is_first", lambda: True)
    monkeypatch.setattr("faulthandler.enable", lambda: None)


def frozen(folder: Path, sha256: str) -> Launch:
    return records.freeze(folder, [], [Config()], [folder / "run"], [0], {"sha256": sha256})


def test_other_code_than_was_frozen_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    launch = frozen(tmp_path, facts.code()["sha256"])
    launch.require(facts.code())
    with pytest.raises(InputError, match=r"bbbbbbbbbbbb, and not that(.|\n)*Type the sweep's command again"):
        launch.require({"sha256": "b" * 64})
    other = frozen(tmp_path, "c" * 64)
    run = FrozenRun(str(other.path), 0, str(tmp_path / "run"))
    (tmp_path / "run").mkdir()
    (other.path.parent / "submitit").mkdir()
    begun = {"status": "preempted", "attempt": 1}
    for before in (begun, None):
        (tmp_path / "run" / "run.json").unlink(missing_ok=True)
        if before:
            (tmp_path / "run" / "run.json").write_text(json.dumps(before))
        records.plan(tmp_path / "run", {"id": "a"})
        assert run.make(lambda: False) == "refused"
        assert "cccccccccccc" in capsys.readouterr().err
        assert "cccccccccccc" in (other.path.parent / "submitit" / "run.refused").read_text()
        after = records.facts_of(tmp_path / "run")
        assert after == begun if before else after["failure"]["kind"] == "refused"


def test_a_worker_refuses_it_too(tmp_path: Path) -> None:
    other = frozen(tmp_path, "c" * 64)
    heard, messages = os.pipe()
    lock = os.open(os.devnull, os.O_RDONLY)
    words = ["--messages", str(messages), "--lock", str(lock), "--parent", str(os.getppid())]
    assert worker.main([str(other.path), "0", *words]) == 2
    said = os.read(heard, 10_000).decode()
    assert "refused" in said
    assert "cccccccccccc" in said
    for descriptor in (heard, messages, lock):
        os.close(descriptor)


def test_a_command_gives_signals_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)]
    assert main(["status", "no such sweep"]) == 2
    assert before == [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)]


def test_a_copy_of_the_code_that_was_changed_is_refused(tmp_path: Path) -> None:
    config = Config(runs=str(tmp_path), sweep="s")
    package = Path(facts.__file__).parent
    kept = records.snapshot(tmp_path / "s", package, facts.sources(package), facts.code())
    (kept / "resjax" / "errors.py").write_text("")
    with pytest.raises(InputError, match=r"not the code any more(.|\n)*Type: rm -r .*code-"):
        sweeping.frozen(tmp_path / "s", [config], [], Launcher(), Silent(), Listener())


def test_what_submitit_keeps_of_a_run_has_no_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRET)

    def make(self: FrozenRun, stop: object) -> str:
        print("the key is", SECRET)
        raise RuntimeError(f"no entry for {SECRET}")

    monkeypatch.setattr(FrozenRun, "make", make)
    records.plan(tmp_path, {"id": "a"})
    assert FrozenRun("launch", 0, str(tmp_path))() == "failed"
    assert records.facts_of(tmp_path)["failure"]["kind"] == "exception"
    assert SECRET not in (tmp_path / "run.json").read_text() + (tmp_path / "error.txt").read_text()
    said = capsys.readouterr()
    assert said.out == f"the key is {HIDDEN}\n"
    assert f"RuntimeError: no entry for {HIDDEN}" in said.err
    assert SECRET not in said.err


def test_a_secret_in_two_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    kept = io.StringIO()
    with Redacting(kept) as stream:
        stream.writelines([f"a {SECRET}\n"])
        for piece in (SECRET[:5], f"{SECRET[5:]}\nrest ", SECRET[:3], SECRET[3:]):
            stream.write(piece)
            stream.flush()
    assert kept.getvalue() == f"a {HIDDEN}\n{HIDDEN}\nrest {HIDDEN}"
    monkeypatch.setenv("SSH_PRIVATE_KEY", "first line of it\nsecond line of it")
    assert redacted("then comes second line of it\n") == f"then comes {HIDDEN}\n"


@pytest.mark.parametrize("case", ["again", "cancelled", "refused", "damaged"])
def test_what_becomes_of_a_run_whose_job_is_over(case: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another command submitted it anew; or nobody did; or it was refused after it had begun; or its facts are gone."""
    submitit = pytest.importorskip("submitit")
    from resjax.sweep import slurm, submitted
    from resjax.sweep.child import Job

    answers = [{"1": "CANCELLED"}, {"1": "CANCELLED", "2": "PENDING"}]  # 2 comes after the first look
    monkeypatch.setattr(submitted, "executor", lambda *_: None)
    monkeypatch.setattr(slurm, "states", lambda: answers.pop(0) if answers else {})
    launch = frozen(tmp_path, "c" * 64)
    made = submitted.Submitted(launch, tmp_path, Launcher(where="slurm"), Silent(), Listener())
    job = Job(0, Config(), tmp_path / "run", "id", 0)
    job.folder.mkdir()
    made.folder.mkdir()
    begun = '{"status": "preempted", "attempt": 1}' if case != "damaged" else "{"
    (job.folder / "run.json").write_text(begun)
    (made.folder / "run.job").write_text("2" if case == "again" else "1")
    if case == "refused":
        (made.folder / "run.refused").write_text("no such code")
    made.fly(job, submitit.SlurmJob(made.folder, "1"))
    made.queue.look()
    made.settle(job, made.flying["run"][1], "CANCELLED")
    if case == "again":
        assert made.flying["run"][1].job_id == "2"
        assert not made.ended
        return
    assert not made.flying
    assert [ended.status for ended in made.ended] == ["refused" if case == "refused" else "failed"]
    if case == "cancelled":
        assert records.facts_of(job.folder)["failure"]["kind"] == "cancelled"
    else:
        assert (job.folder / "run.json").read_text() == begun
