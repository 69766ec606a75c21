"""The lab on runs that were really trained: what is recorded, what goes on, what is refused."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest

from resjax import records
from resjax.cli import main
from resjax.config import ParallelConfig
from resjax.lab import lesion
from resjax.lab.subject import END, START, opened
from resjax.models import Mode
from resjax.models.norms import RUNNING_DECAY
from resjax.records.lab import read_lab
from resjax.training.checkpoints import Checkpoints

NET = ["model.depth=8", "model.width=4", "data=digits", "train.steps=3", "train.batch_size=64", "probes.batch_size=64"]
SMALL = ["examples=60", "counts=1", "draws=2"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain and a residual net of two seeds each, in the sweep `nets`."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["resjax"])
        for shortcut in ("none", "identity"):
            words = [*NET, "tracker=none", "sweep=nets", "seeds=2", "seed=3", f"model.shortcut={shortcut}"]
            assert main(["train", *words]) == 0
    return folder


@pytest.fixture
def here(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy, as the working folder."""
    shutil.copytree(trained / "runs", tmp_path / "runs")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["resjax"])
    return tmp_path


def folders(here: Path) -> list[Path]:
    return records.run_folders(here / "runs" / "nets")


def tables_of(place: Path) -> pl.DataFrame:
    return pl.read_parquet(place / "table.parquet")


def tables(folder: Path) -> list[records.LabTable]:
    return read_lab(folder, "")


def test_values_are_those_of_the_run(here: Path) -> None:
    """At the end the checkpoint's; at the start the seed's own initial values, as training drew them."""
    folder = folders(here)[0]
    subject = opened(folder, ParallelConfig())
    assert list(subject.seeds) == [3, 4]
    arrays = Checkpoints(folder / records.CHECKPOINTS).load().snapshot.arrays
    for place, seed in enumerate((3, 4)):
        params, batch_stats = subject.values(seed, END)
        assert np.array_equal(params["head"]["bias"], arrays["params/head/bias"][place])
        mean = batch_stats["segments"][0]["units"]["branch"][0]["layers"][0]["post"]["norm"]["mean"]
        assert np.array_equal(mean, arrays["batch_stats/segments/0/units/branch/0/layers/0/post/norm/mean"][place])
    drawn = subject.model.init(jax.random.fold_in(jax.random.key(3), 0))[0]
    np.testing.assert_allclose(
        subject.values(3, START).params["head"]["dense"]["kernel"], drawn["head"]["dense"]["kernel"], rtol=1e-5
    )


def test_a_table_a_run_with_every_seed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "lesion", "nets", *SMALL]) == 0
    for folder in folders(here):
        (found,) = tables(folder)
        assert found.about["status"] == "done"
        assert found.about["settings"]["examples"] == 60
        assert sorted(found.table["seed"].unique()) == [3, 4]
        assert found.table["error"].is_between(0, 1).all()
        assert not list((folder / "lab").glob("*/pieces"))
    assert main(["lab", "lesion", "nets", *SMALL]) == 0
    assert capsys.readouterr().err.count("done before") == 2
    assert main(["report", "nets"]) == 0
    page = (here / "runs/nets/report/report.html").read_text()
    assert "Lesions: units deleted" in page
    assert (here / "runs/nets/report/figures/lesion_by_unit.svg").exists()


def test_what_was_cut_off_goes_on(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed in the sixth look, then asked again: the pieces that were there are not measured again, and the table is
    that of an analysis that nobody cut off.
    """
    other = folders(here)[1]
    assert main(["lab", "lesion", str(other), *SMALL]) == 0
    whole = tables(other)[0].table
    shutil.rmtree(other / "lab")
    calls: list[int] = []
    true = lesion.scorer

    def scorer(*words: object) -> object:
        score = true(*words)  # type: ignore[arg-type]

        def counted(*at: object) -> object:
            calls.append(1)
            if len(calls) == 6:
                raise MemoryError("killed")
            return score(*at)  # type: ignore[arg-type]

        return counted

    monkeypatch.setattr(lesion, "scorer", scorer)
    with pytest.raises(MemoryError):
        main(["lab", "lesion", str(other), *SMALL])
    assert not tables(other), "half a table is no table"
    assert main(["lab", "lesion", str(other), *SMALL]) == 0
    assert "cut off before" in capsys.readouterr().err
    assert len(calls) == 6 + len(whole) - 4, (
        "the piece of two draws that was killed in its second, and what came behind"
    )
    assert tables(other)[0].table.equals(whole)


def test_pieces_of_other_code_are_not_used(here: Path) -> None:
    folder = folders(here)[0]
    assert main(["lab", "lesion", str(folder), *SMALL]) == 0
    place = next((folder / "lab").iterdir())
    about = json.loads((place / "about.json").read_text())
    (place / "about.json").write_text(json.dumps(about | {"status": "running", "code_sha256": "0" * 64}))
    (place / "pieces").mkdir()
    planted = tables_of(place).filter(kind="intact", seed=3).with_columns(loss=-1.0)
    name = hashlib.sha256(b"3 intact").hexdigest()[:16]
    planted.write_parquet(place / "pieces" / f"{name}.parquet")
    (place / "table.parquet").unlink()
    assert main(["lab", "lesion", str(folder), *SMALL]) == 0
    assert (tables(folder)[0].table["loss"] >= 0).all()


def test_what_other_code_did_is_not_done_again_and_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folders(here)[0]
    assert main(["lab", "lesion", str(folder), *SMALL]) == 0
    place = next((folder / "lab").iterdir())
    about = json.loads((place / "about.json").read_text())
    (place / "about.json").write_text(json.dumps(about | {"code_sha256": "0" * 64}))
    assert main(["lab", "lesion", str(folder), *SMALL]) == 0
    assert "done before by other code (--again does it again)" in capsys.readouterr().err


def test_a_table_of_a_later_versions_instrument_is_passed_over(here: Path) -> None:
    folder = folders(here)[0]
    assert main(["lab", "lesion", str(folder), *SMALL]) == 0
    place = next((folder / "lab").iterdir())
    about = json.loads((place / "about.json").read_text())
    (place / "about.json").write_text(json.dumps(about | {"instrument": "oracle"}))
    assert tables(folder) == []


def cut_off(place: Path, pieces: dict[str, bytes]) -> None:
    """Make an analysis that is done one that was cut off with these pieces."""
    about = json.loads((place / "about.json").read_text())
    (place / "about.json").write_text(json.dumps(about | {"status": "running"}))
    (place / "pieces").mkdir()
    for name, content in pieces.items():
        (place / "pieces" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.parquet").write_bytes(content)
    (place / "table.parquet").unlink()


def test_a_damaged_piece_is_measured_again(here: Path) -> None:
    folder = folders(here)[0]
    assert main(["lab", "lesion", str(folder), *SMALL]) == 0
    whole = tables(folder)[0].table
    cut_off(next((folder / "lab").iterdir()), {"3 intact": b"garbage", "4 intact": b""})
    assert main(["lab", "lesion", str(folder), *SMALL]) == 0
    assert tables(folder)[0].table.equals(whole)


def test_again_uses_no_piece(here: Path, tmp_path: Path) -> None:
    folder = folders(here)[0]
    assert main(["lab", "lesion", str(folder), *SMALL]) == 0
    whole, place = tables(folder)[0].table, next((folder / "lab").iterdir())
    whole.filter(kind="intact", seed=3).with_columns(loss=-1.0).write_parquet(tmp_path / "wrong.parquet")
    cut_off(place, {"3 intact": (tmp_path / "wrong.parquet").read_bytes()})
    assert main(["lab", "lesion", str(folder), *SMALL, "--again"]) == 0
    assert tables(folder)[0].table.equals(whole)


def test_a_damaged_table_is_said_and_made_again(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folders(here)[0]
    assert main(["lab", "lesion", str(folder), *SMALL]) == 0
    whole, place = tables(folder)[0].table, next((folder / "lab").iterdir())
    for content in (
        b"garbage",
        (place / "table.parquet").read_bytes()[:1000],
        (folder / "layers.parquet").read_bytes(),
    ):
        (place / "table.parquet").write_bytes(content)
        assert main(["report", "nets"]) == 2
        said = capsys.readouterr().err
        assert f"{place.relative_to(here)}/table.parquet is damaged" in said
        assert main(["lab", "lesion", str(folder), *SMALL]) == 0
        assert tables(folder)[0].table.equals(whole)


def test_runs_that_are_not_done_are_said(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = folders(here)
    facts = json.loads((one / "run.json").read_text())
    (one / "run.json").write_text(json.dumps(facts | {"status": "preempted"}))
    assert main(["lab", "lesion", "nets", *SMALL]) == 0
    assert "of runs/nets left out, as they are not done: 1 (resjax status nets)" in capsys.readouterr().err
    for word in (other.name, f"nets/{other.name}", other.name[:16], f"{other}/", f"./{other.relative_to(here)}"):
        assert main(["lab", "lesion", word, *SMALL]) == 0
        assert "left out" not in capsys.readouterr().err
    facts = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps(facts | {"status": "failed"}))
    for word in ("nets", "nets/", "runs/nets", str(here / "runs/nets")):
        assert main(["lab", "lesion", word, *SMALL]) == 2
        assert f"no run of {word} is done" in capsys.readouterr().err


def test_a_signal_stops_between_pieces(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from resjax.stopping import Listener

    asked = iter([False, False, True])
    monkeypatch.setattr(Listener, "asked", lambda self: next(asked))
    folder = folders(here)[0]
    assert main(["lab", "lesion", str(folder), *SMALL]) == 143
    assert len(list((folder / "lab").rglob("pieces/*.parquet"))) == 2


def test_settings_that_differ_are_told_apart(here: Path) -> None:
    folder = folders(here)[0]
    assert main(["lab", "lesion", str(folder), *SMALL]) == 0
    assert main(["lab", "lesion", str(folder), *SMALL, "--seed=1"]) == 0
    assert main(["lab", "lesion", str(folder), *SMALL, "batch_size=30"]) == 0
    assert len(tables(folder)) == 3


def test_compact_records_have_the_lab(here: Path, tmp_path: Path) -> None:
    assert main(["lab", "lesion", "nets", *SMALL]) == 0
    sweep = records.read(here / "runs/nets")
    records.keep(sweep, tmp_path / "kept")
    back = records.kept(tmp_path / "kept")
    assert len(back.lab) == len(sweep.lab) == 2
    for one, other in zip(sweep.lab, back.lab, strict=True):
        assert (one.run, one.about) == (other.run, other.about)
        assert one.table.drop("loss", "error", "tau").equals(other.table.drop("loss", "error", "tau"))
        np.testing.assert_allclose(one.table["loss"], other.table["loss"], rtol=1e-6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lesions", "nets"], "there is no instrument lesions"),
        (["lesion"], "lesion of which run?"),
        (["lesion", "knot"], "knot is no run and no sweep"),
        (["lesion", "netz"], "Did you mean: nets\n"),
        (["lesion", "nets", "--seed=4294967296"], "--seed=4294967296 is out of range"),
        (["lesion", "nets", "--seed=-1"], "--seed=-1 is out of range"),
        (["lesion", "resnet8"], "the beginning of several runs"),
        (["lesion", "nets", "drawz=2"], "lesion has no setting drawz"),
        (["lesion", "nets", "draws=two"], "draws=two is not a whole number"),
        (["lesion", "nets", "draws=2.5"], "draws=2.5 is not a whole number"),
        (["lesion", "nets", "draws=0"], "draws=0 is too small"),
        (["lesion", "nets", "draws=["], "draws=[ is not a whole number"),
        (["lesion", "nets", "--devices=99"], "--devices=99"),
        (["lesion", "nets", "--devices=0"], "--devices=0"),
    ],
)
def test_bad_input(here: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", *words]) == 2
    assert said in capsys.readouterr().err
    assert not list((here / "runs").rglob("lab/*/pieces/*"))


def test_a_run_that_is_not_done_is_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folders(here)[0]
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(facts | {"status": "failed"}))
    assert main(["lab", "lesion", str(folder)]) == 2
    assert "is failed" in capsys.readouterr().err


def test_data_that_are_others_now_are_refused(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folders(here)[0]
    facts = json.loads((folder / "run.json").read_text())
    facts["data"]["digest"] = "0" * 64
    (folder / "run.json").write_text(json.dumps(facts))
    assert main(["lab", "lesion", str(folder)]) == 2
    assert "--root=FOLDER" in capsys.readouterr().err


def test_a_run_by_its_name_and_by_its_beginning(here: Path) -> None:
    one, other = folders(here)
    assert records.find_runs(one.name) == records.find_runs(f"nets/{one.name[:12]}") == [Path("runs/nets") / one.name]
    assert records.find_runs("nets") == [Path("runs/nets") / each.name for each in (one, other)]


def test_a_run_that_cannot_be_looked_at_does_not_keep_the_others(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A net whose seeds all diverged is a result of its sweep, and no reason to leave out the rest."""
    one, other = folders(here)
    facts = json.loads((one / "run.json").read_text())
    for seed in facts["seeds"]:
        seed |= {"outcome": "diverged", "diverged_at": 1}
    (one / "run.json").write_text(json.dumps(facts))
    assert main(["lab", "lesion", "nets", *SMALL]) == 0
    assert "it cannot be looked at, skipped\n  no seed of" in capsys.readouterr().err
    assert (len(tables(one)), len(tables(other))) == (0, 1)
    assert not list(one.glob("lab/*")), "what was refused leaves nothing"
    assert main(["lab", "lesion", str(one), *SMALL]) == 2


def test_statistics_at_the_start_are_those_of_the_net_as_it_is(here: Path) -> None:
    """Of 1,024 examples, group by group: the means of what one pass over all of them has, group by group."""
    subject = opened(folders(here)[1], ParallelConfig(devices=1))
    values = subject.values(3, START)
    batch = subject.batch("train", subject.places("train", 1024))
    nothing = jax.tree.map(np.zeros_like, values.batch_stats)
    run = jax.jit(lambda *of: subject.model.apply(*of, Mode(True, subject.group)).batch_stats)
    after = run(values.params, nothing, batch.images)
    for found, expected in zip(*map(jax.tree.leaves, (values.batch_stats, after)), strict=True):
        np.testing.assert_allclose(found, expected / (1 - RUNNING_DECAY), rtol=2e-5, atol=2e-6)
