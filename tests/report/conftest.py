"""Records made up after what was measured on digits, by the same interface as those that are read back."""

import hashlib
import importlib.util
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import polars as pl
import pytest
from labtables import checkpoint

import resjax.report
from resjax.config import Config
from resjax.identity import canonical
from resjax.records import LAYERS_SCHEMA, METRICS_SCHEMA, Sweep
from resjax.report.charts import Figure

PROBED = (0, 1, 10, 100)
ARMS = {"plain": "none", "residual": "identity", "projection_b": "projection_b"}
Make = Callable[..., tuple[dict[str, Any], pl.DataFrame, pl.DataFrame]]


def sha(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def run_json(arm: str, depth: int, norm: str, seeds: range, outcomes: dict[int, int], **changed: Any) -> dict[str, Any]:
    made = Config(seed=seeds.start, seeds=len(seeds))
    made.tracker.name = "none"
    settings = {"model__depth": depth, "model__shortcut": ARMS[arm], "model__norm": norm} | changed
    for key, value in settings.items():
        section, name = key.split("__")
        setattr(getattr(made, section), name, value)
    config = asdict(made)
    group = sha(arm, depth, norm, sorted(changed.items()))
    identity = sha(group, seeds)
    return {
        "id": identity,
        "digest": checkpoint(identity),
        "group": group,
        "name": f"{config['model']['name']}{depth}-{arm}-{norm}-digits-s{seeds.start}x{len(seeds)}",
        "arm": arm,
        "status": "done",
        "config": config,
        "canonical": canonical(made, devices=2),
        "seeds": [
            {
                "seed": seed,
                "outcome": "diverged" if seed in outcomes else "finite",
                "diverged_at": outcomes.get(seed),
                "first_bad_layer": "stage2.unit1" if seed in outcomes else None,
            }
            for seed in seeds
        ],
        "model": {
            "parameters": 4_800 * depth,
            "multiply_adds": 10**6,
            "weight_layers": depth,
            "units": (depth - 2) // 2,
            "image": [8, 8, 1],
            "classes": 10,
        },
        "data": {"digest": sha("digits"), "verified": None, "origin": "scikit-learn"},
        "devices": {"kind": "cpu", "count": 2},
        "versions": {"resjax": "0.1.0", "jax": "0.10.0", "python": "3.11.7"},
        "times": {"compile": 6.0, "train": 20.0, "probe": 2.0, "evaluation": 1.0, "total": 29.0},
        "images_per_s": 2000.0,
    }


def metric_rows(seed: int, steps: int, last: int, level: float, random: np.random.Generator) -> list[dict[str, Any]]:
    """Error falling from 0.9 towards `level`; loss likewise."""
    rows = []
    for step in range(last):
        fall = math.exp(-step / (0.15 * steps))
        error = float(np.clip(level + (0.9 - level) * fall + random.normal(0, 0.01), 0, 1))
        loss = max(2.4 * level / 0.9 + 2.3 * fall * (1 - level / 0.9), 1e-3) * float(np.exp(random.normal(0, 0.05)))
        rows.append({"step": step, "seed": seed, "train_loss": loss, "train_error": error, "grad_norm": 1.0})
    if last == steps:
        noise = abs(float(random.normal(0, 0.004)))
        rows.append({"step": steps, "seed": seed, "test_loss": 2.5 * level + 0.1, "test_error": level + 0.02 + noise})
    return rows


def layer_rows(
    seed: int, step: int, depth: int, ends: tuple[float, float], weights: tuple[float, float], noise: float
) -> list[dict[str, Any]]:
    """Norms on a straight line in the logarithm, from the input's side to the output's."""
    base = {"step": step, "seed": seed, "stage": 1}
    line = np.geomspace(*weights, depth) * math.exp(noise)
    units = np.geomspace(*ends, (depth - 2) // 2 + 1) * math.exp(noise)
    rows: list[dict[str, Any]] = [
        {"layer": i, "name": f"conv{i}", "kind": "conv" if i < depth - 1 else "dense", "grad_norm": float(g)}
        | {"layer_depth": i + 1, "response_std": 1 + 1 / (i + 1) if i < depth - 1 else None}
        for i, g in enumerate(line)
    ]
    rows += [
        {"layer": i, "name": f"unit{i}", "kind": "unit", "act_grad_norm": float(g), "layer_depth": 2 * i + 1}
        | {"act_var": 0.5 + 0.3 * i}
        for i, g in enumerate(units)
    ]
    return [base | row for row in rows]


@pytest.fixture(scope="session")
def make() -> Make:
    """One run with its metrics and layers.

    ends: |dL/dh| at the first and the last unit, weights: |dL/dw| at the first and last layer, by step or for all.
    """

    def made(
        arm: str = "residual",
        depth: int = 20,
        norm: str = "batch",
        seeds: range = range(3),
        level: float = 0.02,
        ends: dict[int, tuple[float, float]] | tuple[float, float] = (1.1, 0.9),
        weights: dict[int, tuple[float, float]] | tuple[float, float] | None = None,
        outcomes: dict[int, int] | None = None,
        spread: float = 0.1,
        **changed: Any,
    ) -> tuple[dict[str, Any], pl.DataFrame, pl.DataFrame]:
        run = run_json(arm, depth, norm, seeds, outcomes or {}, **changed)
        steps, random = run["config"]["train"]["steps"], np.random.default_rng([depth, len(arm), len(norm)])
        metrics: list[dict[str, Any]] = []
        layers: list[dict[str, Any]] = []
        for seed in seeds:
            last = (outcomes or {}).get(seed, steps)
            metrics += metric_rows(seed, steps, last, level, random)
            for step in [step for step in (*PROBED, steps) if step <= last]:
                pick = [x if isinstance(x, tuple) else x.get(step, (1.0, 1.0)) for x in (ends, weights or ends)]
                layers += layer_rows(seed, step, depth, pick[0], pick[1], float(random.normal(0, spread)))
        name = pl.lit(run["id"]).alias("run")
        frames = [pl.DataFrame(metrics, schema=METRICS_SCHEMA), pl.DataFrame(layers, schema=LAYERS_SCHEMA)]
        return run, frames[0].select(name, pl.all()), frames[1].select(name, pl.all())

    return made


def join(*made: tuple[dict[str, Any], pl.DataFrame, pl.DataFrame], name: str = "digits_sweep") -> Sweep:
    return Sweep(
        (Path(name),),
        [run for run, _, _ in made],
        pl.concat([pl.DataFrame(schema={"run": pl.String} | METRICS_SCHEMA), *(metrics for _, metrics, _ in made)]),
        pl.concat([pl.DataFrame(schema={"run": pl.String} | LAYERS_SCHEMA), *(layers for _, _, layers in made)]),
    )


@pytest.fixture(scope="session")
def sweep_of() -> Callable[..., Sweep]:
    """A sweep of what `make` made."""
    return join


@pytest.fixture(scope="session")
def full(make: Make) -> Sweep:
    """After digits: plain BN explodes at step 0, plain without norm is flat and tiny, ResNet-56 without norm bursts."""
    runs = []
    for depth in (20, 32, 44, 56):
        burst = math.exp((depth - 20) / 36 * math.log(800 / 5))
        harm = (depth - 20) / 36
        tiny = 10 ** -(1 + 4 * harm)
        runs += [
            make("plain", depth, level=0.01 + 0.3 * harm, ends={0: (5 * burst, 1), 1: (2, 1), 10: (0.1, 0.33)},
                 weights={0: (2.4 * burst, 0.5), 10: (0.03, 0.33)}),
            make("residual", depth, level=0.01, ends={0: (3.5, 1)}, weights={0: (1.1 + harm * 2, 0.9)}),
            make("plain", depth, "none", level=0.05 if depth == 20 else 0.88, ends=(tiny, 0.4),
                 weights=(0.5 * tiny, 0.3 * tiny)),
            make("residual", depth, "none", level=0.03, ends={0: (3 * burst, 2)}, weights={0: (5 * burst, 12 * burst)},
                 outcomes={0: 4, 1: 5, 2: 5} if depth == 56 else {1: 7} if depth == 44 else None),
        ]  # fmt: skip
    return join(*runs)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports with empty pictures: real ones take seconds, and are drawn in other tests."""

    def draw(figure: Figure, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        for ending in ("svg", "png"):
            (folder / f"{figure.name}.{ending}").touch()

    monkeypatch.setattr(resjax.report, "draw", draw)


@pytest.fixture
def script() -> Callable[[str], ModuleType]:
    """The module experiments/<name>/figure.py."""

    def load(name: str) -> ModuleType:
        path = Path(__file__).parents[2] / "experiments" / name / "figure.py"
        spec = importlib.util.spec_from_file_location("figure", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
