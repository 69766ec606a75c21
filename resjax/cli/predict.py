"""resjax predict: what a run will be, before it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from resjax.cli.output import show
from resjax.cli.overrides import launch

HELP = """usage: resjax predict [-m] [--json] [SETTING=VALUE ...]

Parameters, multiply-adds and memory of a network, with a table by stage; with -m a row a job of the sweep.
Settings are those of resjax train. Nothing is trained and no data are read:

  resjax predict model=resnet_imagenet model.depth=152 data=synthetic data.image_size=224 data.classes=1000
  resjax predict -m model=plain,resnet model.depth=20,110,1202 data=cifar10

multiply-adds: of one image's forward pass. activations: what the backward pass of one batch (train.batch_size) keeps,
as JAX traces it, before the compiler saves some; optimizer: what it keeps besides the parameters, a seed; all: with the
work space, every seed and device, the data set and the process itself, an estimate from above for nets whose units are
scanned. model.remat=true shows what is left where the backward pass computes the units again.
"""
COLUMNS = (
    "model",
    "arm",
    "depth",
    "parameters",
    "multiply_adds",
    "parameters_take",
    "optimizer_takes",
    "activations_take",
    "all_take",
)
STAGES = ("stage", "units", "output", "parameters", "multiply_adds")
PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def run(words: Sequence[str]) -> int:
    """Print it; 0, or InputError."""
    if {"-h", "--help"} & set(words):
        print(HELP)
        return 0
    jobs = launch([word for word in words if word != "--json"]).jobs
    many = len(jobs) > 1 or bool({"-m", "--multirun"} & set(words))
    from resjax.predictions import predict  # JAX is imported from here on

    found = [predict(config) for config in jobs]
    if "--json" in words:
        print(json.dumps(found if many else found[0], indent=1, allow_nan=False))
        return 0
    show([run_row(prediction) for prediction in found], as_json=False, columns=COLUMNS)
    print("\nactivations: of one batch. all: with work space, data, every device and seed, and the process itself")
    if not many:
        print()
        show([stage_row(stage) for stage in found[0]["stages"]], as_json=False, columns=STAGES)
    return 0


def run_row(prediction: Mapping[str, Any]) -> dict[str, Any]:
    """A network's row for people."""
    return {
        "model": " ".join([prediction["model"], *prediction["special"]]),
        "arm": prediction["arm"],
        "depth": prediction["depth"],
        "parameters": f"{prediction['parameters']:,}",
        "multiply_adds": scaled(prediction["multiply_adds"]),
        "parameters_take": f"{scaled(prediction['parameter_bytes'])}B",
        "optimizer_takes": f"{scaled(prediction['optimizer_bytes'])}B",
        "activations_take": f"{scaled(prediction['activation_bytes'])}B",
        "all_take": f"{scaled(prediction['memory_bytes'])}B",
    }


def stage_row(stage: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's row for people."""
    return {
        "stage": stage["stage"],
        "units": stage["units"],
        "output": " x ".join(map(str, stage["shape"])),
        "parameters": f"{stage['parameters']:,}",
        "multiply_adds": scaled(stage["multiply_adds"]),
    }


def scaled(value: float) -> str:
    """Such as 40.55 M."""
    factor, prefix = next(((factor, prefix) for factor, prefix in PREFIXES if value >= factor), (1.0, ""))
    return f"{value / factor:.4g} {prefix}" if prefix else f"{value:.4g} "
