"""A sweep's jobs run the code that was frozen, and what they print has no secrets."""

import io
import json
from pathlib import Path

import pytest

from resjax import facts, records
from resjax.config import Config
from resjax.errors import InputError
from resjax.records import Launch
from resjax.redaction import HIDDEN, Redacting
from resjax.stopping import Listener
from resjax.sweep import sweeping
from resjax.sweep.frozen import FrozenRun
from resjax.sweep.launcher import Launcher

SECRET = "0123456789abcdef"


class Silent:
    """Nobody watches."""

    def __getattr__(self, name: str):
        return lambda *_, **__: None


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
    records.plan(tmp_path / "run", {"id": "a"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resjax.sweep.frozen.is_first", lambda: True)
        assert run.make(lambda: False) == "refused"
    assert records.facts_of(tmp_path / "run")["failure"]["kind"] == "refused"
    assert "cccccccccccc" in capsys.readouterr().err


def test_a_copy_of_the_code_that_was_changed_is_refused(tmp_path: Path) -> None:
    config = Config(runs=str(tmp_path), sweep="s")
    package = Path(facts.__file__).parent
    kept = records.snapshot(tmp_path / "s", package, facts.sources(package), facts.code())
    (kept / "resjax" / "errors.py").write_text("")
    with pytest.raises(InputError, match=r"not the code any more(.|\n)*Type: rm -r .*code-"):
        sweeping.frozen(tmp_path / "s", [config], [], Launcher(), Silent(), Listener())


def test_what_submitit_keeps_of_a_run_has_no_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRET)

    def make(self: FrozenRun, stop: object) -> str:
        print("the key is", SECRET)
        raise RuntimeError(f"no entry for {SECRET}")

    monkeypatch.setattr(FrozenRun, "make", make)
    assert FrozenRun("launch", 0, str(tmp_path))() == "failed"
    said = capfd.readouterr()
    assert said.out == f"the key is {HIDDEN}\n"
    assert f"RuntimeError: no entry for {HIDDEN}" in said.err
    assert SECRET not in said.err


def test_a_secret_in_two_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", SECRET)
    kept = io.StringIO()
    with Redacting(kept) as stream:
        for piece in (SECRET[:5], f"{SECRET[5:]}\nrest ", SECRET[:3], SECRET[3:]):
            stream.write(piece)
            stream.flush()
    assert kept.getvalue() == f"{HIDDEN}\nrest {HIDDEN}"


@pytest.mark.parametrize("again", [True, False])
def test_a_job_that_another_command_submitted_anew_is_waited_for(
    again: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    submitit = pytest.importorskip("submitit")
    from resjax.sweep import slurm, submitted
    from resjax.sweep.child import Job

    monkeypatch.setattr(submitted, "executor", lambda *_: None)
    monkeypatch.setattr(slurm, "states", lambda: {"1": "CANCELLED", "2": "PENDING"})
    launch = frozen(tmp_path, "c" * 64)
    made = submitted.Submitted(launch, tmp_path, Launcher(where="slurm"), Silent(), Listener())
    job = Job(0, Config(), tmp_path / "run", "id", 0)
    job.folder.mkdir()
    made.folder.mkdir()
    (job.folder / "run.json").write_text(json.dumps({"status": "preempted", "attempt": 1}))
    (made.folder / "run.job").write_text("2" if again else "1")
    made.fly(job, submitit.SlurmJob(made.folder, "1"))
    made.queue.look()
    made.settle(job, made.flying["run"][1], "CANCELLED")
    if again:
        assert made.flying["run"][1].job_id == "2"
        assert not made.ended
    else:
        assert not made.flying
        assert [ended.status for ended in made.ended] == ["failed"]
        assert records.facts_of(job.folder)["failure"]["kind"] == "cancelled"
