"""The benchmarks' statistics and tables, and that they compare one network. Nothing is trained here."""

import math
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from resjax.config import Config
from resjax.models import build
from resjax.models.convolution import conv2d
from resjax.models.counts import parameters

CHECKOUT = Path(__file__).parents[1]
sys.path.append(str(CHECKOUT))  # where the package `benchmarks` lies; it is not installed

from benchmarks import table, trace  # noqa: E402
from benchmarks.flax_network import ResNet  # noqa: E402
from benchmarks.rounds import alternate  # noqa: E402
from benchmarks.run import CPU_ONLY, GPU_ONLY, SECTIONS  # noqa: E402
from benchmarks.seeds import measured  # noqa: E402
from benchmarks.summary import ratio, summary  # noqa: E402
from benchmarks.workers import Team, Worker, WorkerError  # noqa: E402

PAGE = (CHECKOUT / "docs" / "performance.md").read_text()


def section(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """As benchmarks/run.py writes it."""
    return {
        "date": "2026-01-02",
        "command": "python -m benchmarks.run",
        "resjax": {"revision": "0123456789abcdef", "changed": True},
        "versions": {"jax": "1.2"},
        "machine": {"processor": "P", "cores": 2, "memory_gb": 8.0},
        "seconds": 60.4,
        "cores_used_by_others": 0.014,
        "rows": rows,
    }


def test_a_summary_is_median_extremes_and_count() -> None:
    assert summary([3.0, 1.0, 2.0, 10.0]) == {"median": 2.5, "min": 1.0, "max": 10.0, "n": 4}
    assert summary([123456.7])["median"] == 123460
    with pytest.raises(ValueError, match="nothing was measured"):
        summary([])


def test_a_ratio_is_taken_round_by_round() -> None:
    # The machine is half as fast in the second round: the speeds spread, their ratio does not.
    assert ratio([300.0, 150.0, 300.0], [200.0, 100.0, 200.0]) == {"median": 1.5, "min": 1.5, "max": 1.5, "n": 3}
    with pytest.raises(ValueError, match="shorter"):
        ratio([1.0, 2.0], [1.0])


def test_a_table_shows_what_the_results_hold() -> None:
    speeds, one = (
        {"median": 312.4, "min": 298.0, "max": 1320.2, "n": 5},
        {"median": 1.0, "min": 1.0, "max": 1.0, "n": 1},
    )
    row = {"depth": 20, "shortcut": "none", "contestant": "torch", "images_per_s": speeds, "ours_over_this": one}
    text = "before\n<!-- table: cpu speed -->\nold\n<!-- end -->\nafter\n"
    found = table.filled(text, {"cpu": {"speed": section([row])}})
    assert "| plain-20 | PyTorch, eager | 312 (298\u20131,320; 5) | 1.00 |\n" in found
    assert "*P, 2 cores, 0.01 of them at work for others, 8.0 GB; jax 1.2; " in found
    assert "resjax 0123456789 with changes; 2026-01-02, 60 s of* `python -m benchmarks.run`" in found
    assert found.startswith("before\n")
    assert found.endswith("<!-- end -->\nafter\n")
    assert "old" not in found
    assert table.filled(found, {"cpu": {"speed": section([row])}}) == found


def test_a_missing_section_says_what_to_type() -> None:
    text = "<!-- table: gpu seeds -->\n<!-- end -->"
    assert "Type: `make gpu`" in table.filled(text, {})


def test_a_trace_is_counted_by_the_part_of_a_step() -> None:
    """A product run three times: one call a time, and no time is lost."""
    program = jax.jit(lambda a: a @ a).lower(jnp.ones((256, 256))).compile()

    def run() -> int:
        for _ in range(3):
            jax.block_until_ready(program(jnp.ones((256, 256))))
        return 3

    found = {row["part"]: row for row in trace.rows(run, program.as_text())}
    assert found["product: head, 1x1 convolutions"]["calls"] == 1
    assert found["product: head, 1x1 convolutions"]["ms"] > 0
    assert found["between the operations"]["ms"] > 0


@pytest.mark.parametrize("stride", [1, 2])
def test_a_trace_knows_the_convolutions_of_both_gradients(stride: int) -> None:
    x, kernel = jnp.ones((4, 8, 8, 32)), jnp.ones((3, 3, 32, 32))

    def loss(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.square(conv2d(x, kernel, stride)).sum()

    program = jax.jit(jax.grad(loss, (0, 1))).lower(x, kernel).compile()
    parts = {trace.part_of(origin) for _, origin in trace.INSTRUCTION.findall(program.as_text())}
    wanted = {"convolution, forward", "convolution, gradient of the input", "kernel gradient: sums"}
    assert wanted <= parts


def test_three_digits() -> None:
    shown = {1234.5: "1,234", 99.96: "100", 12.0: "12.0", 1.0: "1.00", 0.01234: "0.0123", -0.5: "-0.500"}
    assert {number: table.digits(number) for number in shown} == shown


def test_the_page_is_what_the_results_give() -> None:
    assert table.filled(PAGE, table.recorded()) == PAGE, "type: .venv/bin/python -m benchmarks.table"


def test_every_section_has_a_table_and_a_place() -> None:
    shown = {(device, name) for _, device, name, *_ in table.REGION.findall(PAGE)}
    on_gpu = {("gpu", name) for name in SECTIONS if name not in CPU_ONLY}
    on_cpu = {("cpu", name) for name in SECTIONS if name not in GPU_ONLY}
    assert shown == on_cpu | on_gpu
    assert set(SECTIONS) == set(table.TABLES)


@pytest.mark.parametrize(("depth", "shortcut"), [(20, "identity"), (56, "none")])
def test_the_flax_network_has_the_parameters_of_ours(depth: int, shortcut: str) -> None:
    config = Config()
    config.model.depth, config.model.shortcut = depth, shortcut
    images = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    theirs = jax.eval_shape(ResNet(depth, shortcut == "identity").init, jax.random.key(0), images)["params"]
    count = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(theirs))
    assert count == parameters(build(config.model, (32, 32, 3), 10))


ANSWERS = """
import json, sys, time
for line in sys.stdin:
    question = json.loads(line)
    time.sleep(question.get("count", 0) / 100)
    print(json.dumps({"steps": question.get("count"), "seconds": 0.1, "loss": 1.0}), flush=True)
"""


def stand_in() -> Worker:
    """A worker that trains nothing: a step takes 10 ms."""
    return Worker([sys.executable, "-c", ANSWERS], {})


def test_a_team_works_at_the_same_time_and_its_time_is_that_of_all() -> None:
    with Team([stand_in() for _ in range(3)]) as team:
        team.prepare({"depth": 8}, patience=30.0)
        steps, seconds = team.train(50)
        assert steps == 50
        assert 0.5 <= seconds < 1.5, "one after the other they would take 1.5 s"
        assert len(alternate({"team": team}, 2, 0.05)["team"]) == 2


def test_a_worker_that_takes_too_long_is_ended_and_says_so() -> None:
    with stand_in() as worker:
        with pytest.raises(WorkerError, match=r"asked steps .* no answer after 0 s"):
            worker.ask("steps", count=1000, patience=0.2)
        assert worker.process.wait(10)


def test_a_way_without_numbers_says_why_and_the_others_keep_theirs() -> None:
    about = {"net": "ResNet", "depth": 20, "seeds": 5, "precision": "bfloat16"}
    rows = [
        about | {"axis": "map", "failed": None} | measured([10.0, 20.0], [50.0, 100.0], 5),
        about | {"axis": "vmap", "failed": "no answer after 180 s"} | measured(None, [50.0], 5),
    ]
    assert rows[0]["ms_per_seed_step"]["median"] == 15.0
    assert rows[0]["over_one_seed"]["median"] == 5.0
    columns, lines = table.seeds(rows)
    assert len(columns) == 4
    (line,) = lines
    assert line[0] == "ResNet-20, bfloat16"
    assert line[2].endswith("in all 5.00 times one")
    assert line[3] == "no answer after 180 s"
