"""What is measured on a GPU comes in slices: each goes on where the last one ended, and goals are judged at the end."""

import sys
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).parents[1]
sys.path.append(str(CHECKOUT))  # where the package `benchmarks` lies; it is not installed

from benchmarks import gpu, run, targets  # noqa: E402
from benchmarks.bench import Bench, OutOfTimeError  # noqa: E402
from benchmarks.run import LEFT  # noqa: E402
from benchmarks.summary import summary  # noqa: E402


def plan(folder: Path, *words: str) -> Bench:
    """What the command makes of its words, with a folder for parts."""
    return run.bench_of(run.parser().parse_args(words), folder)


def test_a_part_that_is_measured_is_not_measured_again_and_none_is_begun_too_late(tmp_path: Path) -> None:
    rows = [{"depth": 20}]
    assert plan(tmp_path).part("one", lambda: rows) == rows
    late = plan(tmp_path, "--minutes", "0")
    assert late.part("one", lambda: pytest.fail("measured again")) == rows
    with pytest.raises(OutOfTimeError):
        late.part("two", lambda: rows)


def test_sections_go_on_where_the_last_slice_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first slice measures a section and half of the next; the second one what is left, and then nothing is."""
    path, measured_now = tmp_path / "gpu.json", []
    words = [
        "run",
        "--device",
        "gpu",
        "--missing",
        "--only",
        "memory,seeds",
        "--without",
        "torch,flax",
        "--out",
        str(path),
    ]

    def part(name: str, bench: Bench, late: bool = False) -> list[dict[str, Any]]:
        if late and "two" not in measured_now and len(measured_now) == 2:
            monkeypatch.setattr(run.sys, "argv", words)
            measured_now.append("pause")
            raise OutOfTimeError
        return bench.part(name, lambda: measured_now.append(name) or [{"name": name}])

    sections = {
        "memory": lambda bench: part("whole", bench),
        "seeds": lambda bench: part("one", bench) + part("two", bench, late=True),
    }
    monkeypatch.setattr(run, "SECTIONS", sections)
    monkeypatch.setattr(run.machine, "facts", lambda bench: {})
    monkeypatch.setattr(run.sys, "argv", words)
    assert run.main() == LEFT
    assert set(run.held_in(path)) == {"memory"}
    assert run.main() == 0
    assert measured_now == ["whole", "one", "pause", "two"]
    assert run.held_in(path)["seeds"]["rows"] == [{"name": "one"}, {"name": "two"}]
    monkeypatch.setattr(run.machine, "facts", lambda bench: pytest.fail("nothing is missing"))
    assert run.main() == 0


def made_results(seconds: float) -> dict[str, Any]:
    """As gpu.json, with a whole training of so many seconds and no seeds."""
    one = summary([1.0])
    rates = {"ours": 50.0, "ours_scanned": 10.0, "ours_bfloat16": 90.0, "torch": 20.0, "torch_compile": 40.0}
    about = {"depth": 20, "shortcut": "identity"}
    speeds = [about | {"contestant": name, "images_per_s": summary([rate])} for name, rate in rates.items()]
    trainings = [
        {"steps": steps, "precision": "bfloat16", "seconds": summary([taken]), "images_per_s": one}
        for steps, taken in ((64_000, seconds), (200, 1.0))
    ]
    return {"speed": {"rows": speeds}, "long": {"rows": trainings}}


def test_goals_are_met_missed_or_not_measured() -> None:
    lines, good = targets.judged(made_results(89.0))
    assert good
    assert lines[0].endswith("89.0 (bfloat16): met"), "not the one of 200 updates"
    assert lines[1].endswith("2.50 (resjax): met"), "float32 with float32"
    assert lines[2].endswith("1.25 (resjax): met")
    assert lines[3].endswith("not measured")
    lines, good = targets.judged(made_results(91.0))
    assert not good
    assert lines[0].endswith("91.0 (bfloat16): MISSED")
    assert targets.judged({}) == ([line.replace(line[47:], "not measured") for line in lines], True)


@pytest.mark.parametrize(("codes", "ends", "made"), [([0, 0, LEFT], LEFT, 3), ([1], 1, 8), ([2], 2, 1)])
def test_a_slice_ends_where_something_is_left_and_passes_over_what_failed(
    codes: list[int], ends: int, made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    monkeypatch.setattr(gpu, "TRACE", Path("no profile yet"))
    monkeypatch.setattr(gpu.sys, "argv", ["gpu", "--minutes", "8.5"])
    monkeypatch.setattr(gpu, "SEES_GPU", "")
    monkeypatch.setattr(gpu, "started", lambda words: found.append(words) or [*codes, *[0] * 8][len(found) - 1])
    assert gpu.main() == ends
    assert len(found) == made
    assert found[0][-4:-2] == ["--minutes", "8"]


def test_without_a_gpu_nothing_begins(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(gpu.sys, "argv", ["gpu"])
    monkeypatch.setattr(gpu, "SEES_GPU", "raise SystemExit(1)")
    monkeypatch.setattr(gpu, "started", lambda words: pytest.fail("began"))
    assert gpu.main() == 2
    assert "sees no GPU" in capsys.readouterr().err
