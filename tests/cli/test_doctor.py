"""resjax doctor, on the CPU, with virtual devices."""

import json
from pathlib import Path
from typing import Any

import pytest

from resjax.cli import doctor, main
from resjax.doctor.check import OK, WARN, Check

Out = pytest.CaptureFixture[str]
SMALL = ["model.depth=8", "model.width=4", "data.image_size=8", "train.batch_size=16", "parallel.devices=2"]
NAMES = [
    *("versions", "room", "compile cache", "accelerator", "devices"),
    *("product", "convolution", "compile", "one step twice", "step"),
]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk lasts a moment."""
    from resjax.doctor import training

    monkeypatch.setattr(training, "CHUNK_SECONDS", 0.02)


@pytest.fixture(autouse=True)
def no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine of the tests has."""
    from resjax.doctor import examination

    monkeypatch.setattr(examination, "signs", dict)


def test_numbers_for_programs(capsys: Out, here: Path) -> None:
    assert main(["doctor", "--json", *SMALL]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [check["name"] for check in found["checks"]] == NAMES
    assert (found["platform"], found["devices"], found["devices_used"], found["processes"]) == ("cpu", 4, 2, 1)
    assert found["images_per_s"] == pytest.approx(16 / (found["step_ms"] / 1000))
    assert found["flops_per_s"] == pytest.approx(6 * found["multiply_adds"] * found["images_per_s"])
    least, most = found["step_ms_range"]
    assert 0 < least <= found["step_ms"] <= most
    assert 0 < found["loss"] < 10
    assert found["compile_s"] > 0
    assert found["same_bits"] is True
    assert found["product_is"] == found["convolution_is"] == "float32"
    assert not list(here.iterdir())


def test_a_table_for_people_and_a_trace(capsys: Out, here: Path) -> None:
    assert main(["doctor", "--trace", "new/trace", *SMALL, "train.precision=float64", "seeds=2"]) == 0
    title, *lines = capsys.readouterr().out.splitlines()
    assert title.split() == ["check", "status", "found"]
    assert [line[:15].strip() for line in lines if line[0] != " "] == [*NAMES, "trace"]
    assert next(line for line in lines if line.startswith("product")).split()[1:3] == ["ok", "float64:"]
    assert lines[-1].strip() == "type: pip install xprof && xprof --logdir new/trace"
    assert list(here.glob("new/trace/plugins/profile/*/perfetto_trace.json.gz"))
    assert list(here.glob("new/trace/plugins/profile/*/*.xplane.pb"))
    assert [path.name for path in here.iterdir()] == ["new"]


def test_a_net_that_diverges_fails(capsys: Out, here: Path) -> None:
    words = [*SMALL, "model.shortcut=none", "model.norm=none", "schedule.learning_rate=1e30"]
    assert main(["doctor", "--json", *words]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["checks"][-1]["name"], found["checks"][-1]["status"]) == ("step", "FAILED")
    assert "not finite" in found["checks"][-1]["found"]
    assert found["loss"] is None
    assert "images_per_s" not in found


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["model.depht=8"], "model.depth"),
        (["model.depth=21"], "model.depth=20"),
        (["model.depth=20,56"], "model.depth"),
        (["experiment=quickstart"], "these are"),
        (["--trace", "file/trace"], "--trace file/trace cannot be written"),
        (["parallel.devices=3"], "parallel.devices=1 or 2 or 4"),
    ],
)
def test_what_cannot_be_is_refused(words: list[str], says: str, capsys: Out, here: Path) -> None:
    (here / "file").touch()
    assert main(["doctor", "--json", *words]) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert not told.out


def test_the_data_are_made_unless_others_are_named() -> None:
    assert doctor.job([]).data.name == "synthetic"
    assert doctor.job(["data.image_size=16"]).data.image_size == 16
    assert doctor.job(["data=digits", "model=mlp"]).data.name == "digits"


def test_a_row_is_folded_and_what_to_type_is_not() -> None:
    command = "a command that is far too long for a row of this table"
    row = doctor.line_of(Check("room", WARN, "word " * 30, command), 80)
    *found, advice = row.splitlines()
    assert len(found) == 3
    assert max(map(len, found)) <= 80
    assert found[0].startswith("room           warn    word")
    assert advice.endswith(f"type: {command}")
    assert "type" not in doctor.line_of(Check("room", OK, "enough"), 80)


def test_numbers_stand_beside_the_rows() -> None:
    made: Any = doctor.document([Check("a", OK, "x", numbers={"n": 1}), Check("b", WARN, "y", "z", {"m": None})])
    assert made["checks"][1] == {"name": "b", "status": "warn", "found": "y", "type": "z"}
    assert made["checks"][0]["type"] is None
    assert (made["n"], made["m"]) == (1, None)
