"""Files from strangers: nothing in them is executed, and what is wrong is said."""

import ast
import dataclasses
import json
import pickle
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import untrained
from broken import SMALL, only_run

import resjax
from resjax import job, records
from resjax.cli import main
from resjax.config import Config
from resjax.rows import Snapshot
from resjax.training import checkpoints

PACKAGE = Path(resjax.__file__).parent
MARK = "executed"
# Every one of them would make a file if it were run.
CALLED = [
    "x: !!python/object/apply:os.system ['touch executed']",
    "x: !!python/object/new:os.system ['touch executed']",
    "x: !!python/name:os.system",
    "x: !!python/module:antigravity",
    "!!python/object/apply:subprocess.check_call [[touch, executed]]",
    "model: {_target_: os.system, command: touch executed}",
    "tracker: {project: {_target_: os.system, command: touch executed}}",
    'train: {steps: {_target_: builtins.exec, _args_: [\'open("executed", "w")\']}}',
    "_target_: os.system\ncommand: touch executed",
    "hydra: {launcher: {_target_: os.system, command: touch executed}}",
    "hydra: {launcher: {_target_: resjax.cli.launching.Path}}",
    "hydra: {launcher: {partition: {_target_: os.system, command: touch executed}}}",
    "hydra: {launcher: {setup: [touch executed]}}",
    "hydra: {launcher: {additional_parameters: {prolog: touch executed}}}",
    "hydra: {sweeper: {_target_: os.system, command: touch executed}}",
    "hydra: {sweeper: {_target_: posix.system, command: touch executed}}",
    "hydra: {sweeper: {params: {model.depth: {_target_: os.system, command: touch executed}}}}",
    "hydra: {sweeper: {sampler: {_target_: os.system, command: touch executed}}}",
    "hydra: {callbacks: {one: {_target_: os.system, command: touch executed}}}",
    "hydra: {job_logging: {handlers: {one: {(): os.system, command: touch executed}}}}",
    "hydra: {job_logging: {formatters: {one: {(): os.system, command: touch executed}}}}",
    "hydra: {hydra_logging: {filters: {one: {(): os.system, command: touch executed}}}}",
    "hydra: {job_logging: {handlers: {one: {class: subprocess.Popen, args: [touch, executed]}}}}",
    "hydra: {job_logging: {handlers: {one: {class: logging.FileHandler, filename: executed}}}}",
    "hydra: {job_logging: {formatters: {one: {class: antigravity.Formatter}}}}",
    "hydra: {job_logging: {handlers: {one: {class: logging.StreamHandler, stream: 'ext://os.sys.x'}}}}",
    "hydra: {searchpath: ['pkg://antigravity']}",
    "tracker: {project: '${oc.env:WANDB_API_KEY}'}",
    "tracker: {entity: '${oc.decode:${oc.env:WANDB_API_KEY}}'}",
    "sweep: '${oc.env:WANDB_API_KEY}'",
    "model: {shortcut: '${oc.env:WANDB_API_KEY}'}",
    "seed: '${eval:1}'",
    "sweep: ../../x",
    'runs: "a\\0b"',
    "x: [" * 3000,
    "\xff\xfe\0",
    "a: b: c",
]
KEY = "0123456789abcdef" * 2


class Payload:
    """Unpickled, it leaves the mark."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path(MARK),)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder in which nothing may be executed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_API_KEY", KEY)
    yield tmp_path
    assert not list(tmp_path.rglob(MARK))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, full: bool) -> Path:
    """A run that is done."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        if not full:
            patch.setattr(job, "train", untrained.train)
        assert main(["train", *SMALL, "train.steps=4"]) == 0
    return folder


def refused(words: list[str], capfd: pytest.CaptureFixture[str]) -> str:
    """What is said of it, without a trace and without the secret."""
    assert main(words) == 2
    said = capfd.readouterr().err
    assert said.startswith("resjax: ")
    assert "Traceback" not in said
    assert KEY not in said
    return said


def test_the_payload_would_be_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pickle.loads(pickle.dumps(Payload()))
    assert (tmp_path / MARK).exists()


def test_an_experiment_of_strangers(here: Path, capfd: pytest.CaptureFixture[str], full: bool, tally) -> None:
    ways = [[], ["-m", "hydra/launcher=in_process"], ["--cfg", "all"]]
    tried = [(content, way) for content in CALLED for way in ways]
    (here / "experiment").mkdir()
    for content, way in tried if full else tried[::7]:
        (here / "experiment" / "evil.yaml").write_text(f"# @package _global_\n{content}\n", encoding="latin-1")
        said = refused(["train", f"--config-dir={here}", *way, *SMALL, "experiment=evil"], capfd)
        assert "Expected" in said or "Type" in said, content
        assert not list(here.rglob(MARK)), content
    assert not (here / "runs").exists()
    tally(
        "an experiment's file with tags, _target_, factories, callbacks, lines of shell, secrets of the environment",
        f"{len(CALLED)} files, as a run, a sweep, and shown: none executed, all refused",
    )


def test_a_pickle_in_a_file_to_import(here: Path, capfd: pytest.CaptureFixture[str], tally) -> None:
    np.savez(here / "object.npz", **{"stem/dense": np.array([Payload()], object)})
    np.save(here / "object.npy", np.array([Payload()], object))
    (here / "pickle.npz").write_bytes(pickle.dumps(Payload()))
    for file in ("object.npz", "object.npy", "pickle.npz"):
        assert "pickled objects are never loaded" in refused(["import", file, "model=mlp", "tracker=none"], capfd)
    tally("a pickle as .npz, in .npz and in .npy, imported", "3 files: none executed, all refused")


@pytest.mark.parametrize("sealed", [False, True], ids=["added", "sealed with right digests"])
def test_a_pickle_in_a_checkpoint(sealed: bool, here: Path, tally) -> None:
    kept, said = checkpoints.Checkpoints(here / "checkpoints"), list[str]()
    kept.save(Snapshot(4, {"params": np.arange(500.0)}), {}, {})
    place = kept.place(4)
    for path in (path for path in place.rglob("*") if path.is_file() and "METADATA" not in path.name):
        path.write_bytes(pickle.dumps(Payload()))
    np.save(place / "params.npy", np.array([Payload()], object))
    np.savez(place / "params.npz", params=np.array([Payload()], object))
    (place / "checkpoint.pkl").write_bytes(pickle.dumps(Payload()))
    if sealed:
        about = checkpoints.unsealed(kept.facts_of(4).read_bytes())
        kept.facts_of(4).write_bytes(checkpoints.sealed(about | {"files": checkpoints.file_digests(place)}))
    assert kept.newest_good(said.append) is None
    assert "the checkpoint of step 4 is not used" in said[0]
    tally("pickles in a checkpoint, with wrong and with right digests", "none executed; it is refused and set aside")


def test_a_run_of_strangers_is_read_as_plain_facts(trained: Path, here: Path) -> None:
    shutil.copytree(trained / "runs", here / "place" / "runs")
    path = only_run(here / "place") / "run.json"
    run, call = json.loads(path.read_text()), {"_target_": "os.system", "command": f"touch {MARK}", "()": "os.system"}
    run |= call | {"sweep": "../../x", "name": "../../<script>x</script>", "arm": "<img src=x onerror=x>"}
    path.write_text(
        json.dumps(run | {"config": run["config"] | call, "canonical": run["canonical"] | call, "unknown": call})
    )
    before, sweep = outside(here), str(here / "place" / "runs" / "default")
    assert main(["status", sweep, "--json"]) == 0
    assert main(["report", sweep, "--no-theory", "--json"]) == 0
    assert main(["export", sweep, f"{sweep}/out.parquet"]) == 0
    page = (Path(sweep) / "report" / "report.html").read_text()
    assert "<script>x" not in page
    assert "<img src=x" not in page
    assert outside(here) == before


def outside(folder: Path) -> set[Path]:
    """What is there beside the runs."""
    return {path for path in folder.rglob("*") if "runs" not in path.parts}


@pytest.mark.parametrize("content", ["[]", "{}", "{", '{"status": NaN}', '{"status": "done", "times": {"total": NaN}}'])
def test_a_run_json_that_is_none_is_damaged(content: str, here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "runs" / "s" / "x").mkdir(parents=True)
    (here / "runs" / "s" / "x" / "run.json").write_text(content)
    assert main(["status", "s", "--json"]) == 0
    assert [row["status"] for row in json.loads(capfd.readouterr().out)] == ["damaged"]
    assert "is damaged" in refused(["report", "s"], capfd)


@pytest.mark.parametrize("runs", [["../../x"], ["/etc"], ["..", "."], [1], "x", None, [{"_target_": "os.system"}]])
def test_a_launch_of_strangers_names_runs_alone(
    runs: Any, trained: Path, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "runs", here / "runs")
    (here / "x").mkdir()
    shutil.copy(only_run(trained) / "run.json", here / "x" / "run.json")
    launches = here / "runs" / "default" / "launches"
    launches.mkdir()
    (launches / "20260101T000000-0.json").write_text(json.dumps({"runs": runs, "_target_": "os.system"}))
    assert main(["status", "default", "--json"]) == 0
    assert [row["run"] for row in json.loads(capfd.readouterr().out)] == [only_run(trained).name]


@pytest.mark.parametrize(
    "job",
    [{"_target_": "os.system"}, {"model": {"_target_": "os.system"}}, {"model": [1]}, {"strange": 1}, [], None],
    ids=str,
)
def test_a_launch_of_strangers_is_no_job(job: Any, here: Path) -> None:
    def thawed(*jobs: Any) -> records.Launch:
        about = {"format": 1, "code": {"sha256": "a"}, "runs": [], "folders": [], "before": [], "jobs": jobs}
        (here / "launch.json").write_text(json.dumps(about))
        return records.thaw(here / "launch.json")

    good = dataclasses.asdict(Config())
    assert thawed(good).jobs == [Config()]
    with pytest.raises(resjax.errors.InputError):
        thawed(good, job)


NEVER_IMPORTED = ("pickle", "cloudpickle", "dill", "marshal", "shelve", "joblib", "hydra.utils", "yaml")
NEVER_CALLED = ("eval", "exec", "compile", "__import__", "os.system", "os.popen")


@cache
def trees() -> dict[Path, ast.Module]:
    """Every file of ours, parsed."""
    return {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}


def calls() -> Iterator[tuple[str, dict[str | None, str], str]]:
    """Every call of ours: of what, its keywords, and where and how it is written."""
    for path, tree in trees().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                yield ast.unparse(node.func), given, f"{path}:{node.lineno}: {ast.unparse(node)}"


def imports() -> set[str]:
    """Every module and name that a file of ours imports."""
    found = set()
    for node in (node for tree in trees().values() for node in ast.walk(tree)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


PLAIN_YAML = ("yaml.YAMLError", "yaml.safe_load")  # which makes plain values alone


def test_nothing_of_ours_can_run_what_it_reads() -> None:
    assert not [name for name in imports() if name.startswith(NEVER_IMPORTED) and name not in PLAIN_YAML]
    for name, given, written in calls():
        assert name.removeprefix("builtins.") not in NEVER_CALLED, written
        assert not name.endswith("instantiate"), written
        assert "shell" not in given, written
        assert given.get("allow_pickle", "False") == "False", written
        assert name not in ("np.load", "numpy.load") or "allow_pickle" in given, written


def test_what_is_not_finite_never_becomes_json() -> None:
    for name, given, written in calls():
        assert name not in ("json.dumps", "json.dump", "json.JSONEncoder") or given.get("allow_nan") == "False", written
