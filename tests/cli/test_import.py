"""resjax import: nets that were trained elsewhere become runs that the report reads."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import polars as pl
import pytest
from problems import digits

from resjax import records
from resjax.cli import main
from resjax.config import ModelConfig
from resjax.models import Model, build
from resjax.models.foreign import to_file
from resjax.models.types import EVALUATE
from resjax.report.groups import pool
from resjax.report.tables import summary
from resjax.training.checkpoints import Checkpoints

NET = ["model=mlp", "model.width=8", "model.depth=4", "probes.batch_size=64"]
RUN = [*NET, "tracker=none", "sweep=imported"]
STANDARD = ["data.mean=[0.3]", "data.std=[0.4]"]
ARMS = {"plain": "none", "residual": "identity"}
Values = tuple[Model, Any, Any]


def net(shortcut: str, seed: int = 0) -> Values:
    """A network with values as training leaves them: everything away from where it started."""
    model = build(ModelConfig(name="mlp", width=8, depth=4, shortcut=shortcut), (8, 8, 1), 10)
    random = np.random.default_rng(seed)
    shapes = model.shapes
    values = jax.tree.map(lambda leaf: random.normal(0, 0.5, leaf.shape).astype(leaf.dtype), shapes)
    return model, values[0], jax.tree.map(np.abs, values[1])


def save(path: Path, values: Values, **more: np.ndarray) -> Path:
    np.savez(path, **to_file(*values), **more)
    return path


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain and a residual net in a sweep, and beside them one that was trained here."""
    folder = tmp_path_factory.mktemp("imported")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["resjax"])
        for arm, shortcut in ARMS.items():
            save(folder / f"{arm}.npz", net(shortcut))
            assert main(["import", f"{arm}.npz", *RUN, *STANDARD, f"model.shortcut={shortcut}"]) == 0
        train = ["train.steps=6", "train.batch_size=64", "tracker=none", "sweep=trained", "model.shortcut=none"]
        assert main(["train", *NET, *train]) == 0
    return folder


def folder_of(here: Path, arm: str) -> Path:
    (folder,) = (here / "runs" / "imported").glob(f"mlp4-{arm}-batch-digits-s0x1-imported-*")
    return folder


@pytest.mark.parametrize("arm", ARMS)
def test_what_is_recorded_is_what_the_net_gives(imported: Path, arm: str) -> None:
    """Loss and error over every example, once, with the numbers given for standardising."""
    model, *values = net(ARMS[arm])
    params, batch_stats = jax.tree.map(jnp.asarray, values)
    (row,) = map(json.loads, (folder_of(imported, arm) / "metrics.jsonl").read_text().splitlines())
    assert (row["step"], row["seed"]) == (300, 0)
    for split, name in ((digits().train, "train"), (digits().test, "test")):
        images = jnp.asarray((split.images / 255 - 0.3) / 0.4, jnp.float32)
        logits = jax.jit(lambda *of: model.apply(*of, EVALUATE).logits)(params, batch_stats, images)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, split.labels)
        assert row[f"{name}_loss"] == pytest.approx(float(losses.mean()), rel=1e-4)
        assert row[f"{name}_error"] == pytest.approx(float(np.mean(logits.argmax(-1) != split.labels)), abs=1e-6)


def test_its_run_is_done_and_says_where_it_is_from(imported: Path) -> None:
    folder = folder_of(imported, "plain")
    run = json.loads((folder / "run.json").read_text())
    assert run["status"] == "done"
    assert run["seeds"] == [{"seed": 0, "outcome": "finite", "diverged_at": None, "first_bad_layer": None}]
    assert run["imported"]["file"] == "plain.npz"
    assert len(run["imported"]["sha256"]) == 64
    assert run["arm"] == "plain"
    assert run["name"].endswith("-imported")
    assert folder.name == f"{run['name']}-{run['id'][:12]}"
    assert run["config"]["data"]["mean"] == [0.3]
    assert run["model"]["weight_layers"] == 4


def test_every_layer_is_looked_at_once(imported: Path) -> None:
    layers = pl.read_parquet(folder_of(imported, "residual") / "layers.parquet")
    assert layers["step"].unique().to_list() == [300]
    weights = layers.filter(pl.col("kind") != "unit")
    assert weights["name"].to_list() == ["stem.dense", "stage1.unit1.dense", "stage1.unit2.dense", "head"]
    params = net("identity")[1]
    assert weights["weight_norm"][-1] == pytest.approx(np.linalg.norm(params["head"]["dense"]["kernel"]), rel=1e-5)
    assert (weights["grad_norm"] > 0).all()


def test_the_checkpoint_holds_its_values(imported: Path) -> None:
    snapshot = Checkpoints(folder_of(imported, "residual") / "checkpoints").load().snapshot
    assert snapshot.step == 300
    arrays = snapshot.arrays
    _, params, batch_stats = net("identity")
    for kind, tree in (("params", params), ("batch_stats", batch_stats)):
        for path, leaf in jax.tree.leaves_with_path(tree):
            name = "/".join([kind, *(str(entry.key) for entry in path)])
            np.testing.assert_array_equal(arrays[name], leaf[None])


def test_the_same_again_is_skipped_and_another_file_is_another_run(
    imported: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(imported / "runs", here / "runs")
    shutil.copy(imported / "plain.npz", here / "renamed.npz")
    words = [*RUN, *STANDARD, "model.shortcut=none"]
    assert main(["import", "renamed.npz", *words]) == 0
    assert "done before" in capsys.readouterr().err
    save(here / "plain.npz", net("none", seed=1))
    assert main(["import", "plain.npz", *words]) == 0
    runs = [json.loads(path.read_text()) for path in (here / "runs" / "imported").glob("*plain*/run.json")]
    assert len({run["id"] for run in runs}) == len({run["group"] for run in runs}) == 2
    assert main(["import", "renamed.npz", *words, "rerun=all"]) == 0
    assert len(list((here / "runs" / "imported" / "attempts").iterdir())) == 1
    groups = pool(records.read(here / "runs" / "imported")).groups
    assert {group.setting for group in groups} == {f"imported={name}.npz" for name in ("plain", "renamed", "residual")}
    assert [len(group.finished) for group in groups] == [1, 1, 1]
    assert len({group.panel for group in groups if group.arm == "plain"}) == 2, "one network would be drawn twice"


def test_the_report_shows_that_it_is_imported(imported: Path, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(imported / "runs", here / "runs")
    assert main(["report", "imported"]) == 0
    said = capsys.readouterr().out
    page = (here / "runs" / "imported" / "report" / "report.html").read_text()
    assert "imported=plain.npz" in page
    assert "Of an imported net the training error is" in page
    assert "is the training error of residual lower than that of plain?" in said, "they are one panel"
    for row in summary(records.read(here / "runs" / "imported")):
        assert row["setting"] == f"imported={row['arm']}.npz"
        (recorded,) = map(json.loads, (folder_of(here, row["arm"]) / "metrics.jsonl").read_text().splitlines())
        assert row["test_error_mean"] == recorded["test_error"]
        assert row["train_error_mean"] == recorded["train_error"]


def test_tidy_tables_say_what_is_imported(imported: Path, here: Path) -> None:
    for sweep, files in (("imported", {"plain.npz", "residual.npz"}), ("trained", {None})):
        assert main(["export", sweep, str(here / "out.parquet"), "--runs", str(imported / "runs")]) == 0
        assert set(pl.read_parquet(here / "out.parquet")["imported"]) == files


def test_beside_trained_runs_both_are_told_apart(imported: Path) -> None:
    """The steps of the import's settings say nothing of it, so they are not shown."""
    rows = summary(records.read(imported / "runs" / "imported", imported / "runs" / "trained"))
    assert {(row["arm"], row["setting"]) for row in rows} == {
        ("plain", "mean=[0.3], std=[0.4], imported=plain.npz"),
        ("residual", "mean=[0.3], std=[0.4], imported=residual.npz"),
        ("plain", "mean=null, std=null, imported=false"),
    }


def test_a_net_whose_loss_is_not_finite_has_diverged(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = net("none")
    values[1]["head"]["dense"]["kernel"][:] = 3e38
    save(here / "wild.npz", values)
    assert main(["import", "wild.npz", *RUN, "model.shortcut=none"]) == 0
    assert "1 of 1 seeds diverged" in capsys.readouterr().err
    run = json.loads((folder_of(here, "plain") / "run.json").read_text())
    assert (run["status"], run["seeds"][0]["outcome"]) == ("done", "diverged")


@pytest.mark.parametrize(
    ("file", "words", "said"),
    [
        ("good.npz", ["model.depth=5"], "missing: unit02/dense1 (8, 8)"),
        ("more.npz", [], "left over: optimizer/step ()"),
        ("absent.npz", [], "absent.npz cannot be read: No such file"),
        ("pickled.npz", [], "allow_pickle=False"),
        ("one.npy", [], "one.npy is not a file of named arrays"),
        ("text.npz", [], "text.npz is not a file of named arrays: it is no archive"),
        ("cut.npz", [], "cut.npz is not a file of named arrays"),
        ("", [], "cannot be read"),
        ("model.width=4", [], "begins with model.width=4"),
        ("good.npz", ["-m"], "no option -m"),
        ("good.npz", ["model.depth=4,5"], "model.depth=4,5 has several values"),
        ("good.npz", ["seeds=2"], "Type: seeds=1"),
        ("good.npz", ["model.deep=3"], "Did you mean: model.depth=3"),
        ("good.npz", ["experiment=quickstart"], "the experiment is a sweep of"),
    ],
)
def test_what_cannot_be_imported_is_bad_input_and_leaves_no_run(
    here: Path, capsys: pytest.CaptureFixture[str], file: str, words: list[str], said: str
) -> None:
    values = net("none")
    content = save(here / "good.npz", values).read_bytes()
    save(here / "more.npz", values, **{"optimizer/step": np.array(1.0)})
    np.savez(here / "pickled.npz", **{"stem/dense": np.array([{}], object)})
    np.save(here / "one.npy", np.zeros(3))
    (here / "text.npz").write_text("no arrays")
    (here / "cut.npz").write_bytes(content[: len(content) // 2])
    assert main(["import", file, *RUN, "model.shortcut=none", *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert "Traceback" not in told
    assert not list(here.glob("runs/*/*/run.json"))


def test_it_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "--help"]) == 0
    assert "usage: resjax import FILE.npz" in capsys.readouterr().out
