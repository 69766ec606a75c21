"""resjax predict: what a run will be, before it: its size, its memory, its time, its gradients."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from resjax.cli.gpus import course_lines, courses, gpus_of
from resjax.cli.options import JSON_HELP, Command, Parser
from resjax.cli.output import show
from resjax.cli.overrides import launch
from resjax.progress import duration
from resjax.speed import GPUS

DESCRIPTION = """What a run will be, before it is made: parameters, multiply-adds, memory, the
gradients that mean-field theory expects at step 0, the time on this machine.
Nothing is trained and no data are read. Settings are those of resjax train;
with -m a row for every run of the sweep."""
MORE = """the columns:
  multiply adds   of one image's forward pass
  activations     kept for the backward pass of one batch (train.batch_size), as
                  JAX traces it; model.remat=true keeps fewer
  optimizer       what it keeps besides the parameters, a seed
  all             with work space, every seed and device, the data and the
                  process: from above, for nets whose units are scanned
  first / last    |dL/dh| at the unit nearest the input over that at the last
  a layer         its factor from a weight layer to the one before
  variance        forward, last unit over first
  state           by the report's thresholds
  first update    the largest of any layer, relative to its weights' length
  trainable       by rules of thumb, said with what they rest on
  time here       on this CPU, from the speed of a matrix product now"""
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
EXPECTED = (
    "model",
    "arm",
    "norm",
    "depth",
    "first_/_last",
    "a_layer",
    "variance",
    "state",
    "first_update",
    "trainable",
    "time_here",
)
STAGES = ("stage", "units", "output", "parameters", "multiply_adds")
PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def run(words: Sequence[str]) -> int:
    """Print it; 0, or InputError."""
    if {"-h", "--help"} & set(words):
        parser().print_help()
        return 0
    parser().refuse_options(words)
    asked, rest = gpus_of([word for word in words if word != "--json"])
    jobs = launch(rest, "resjax predict").jobs
    many = len(jobs) > 1 or bool({"-m", "--multirun"} & set(words))
    from resjax.predictions import predict  # JAX is imported from here on

    found = [predict(config) | courses(config, asked) for config in jobs]
    if "--json" in words:
        print(json.dumps(found if many else found[0], indent=1, allow_nan=False))
        return 0
    show([run_row(prediction) for prediction in found], as_json=False, columns=COLUMNS)
    print("\nWhat theory expects at step 0, and the time of training:")
    show([theory_row(prediction) for prediction in found], as_json=False, columns=EXPECTED)
    for line in [*reasons(found), *(line for one in found for line in course_lines(one))]:
        print(line)
    print("\nactivations: of one batch. all: with work space, data, every device and seed, and the process itself")
    if not many:
        print()
        show([stage_row(stage) for stage in found[0]["stages"]], as_json=False, columns=STAGES)
    return 0


def parser() -> Parser:
    """Its options, for its help: Hydra reads the words."""
    found = Parser(
        "resjax predict",
        usage="resjax predict [-m] [--json] [--gpus=N ...] [SETTING=VALUE ...]",
        description=DESCRIPTION,
        examples=(
            "resjax predict model=preact model.depth=110",
            "resjax predict -m model=plain,resnet model.depth=20,110 data=cifar10",
            "resjax predict model=resnet_imagenet model.depth=50 data=imagenet2012 --gpus=8",
        ),
        more=MORE,
    )
    found.add_argument("words", nargs="*", metavar="SETTING=VALUE", help="as of resjax train")
    found.add_argument("-m", "--multirun", action="store_true", help="a sweep: a row for each combination")
    found.add_argument("-cd", "--config-dir", metavar="FOLDER", help="with groups of your own, such as experiment/")
    found.add_argument("--json", action="store_true", help=JSON_HELP)
    found.add_argument("--gpus", metavar="N", help="also the time of 90 epochs on N GPUs, and cores to read for them")
    found.add_argument("--gpu", choices=GPUS, help=f"which; its rate is NVIDIA's for ResNet-50; default: {GPUS[0]}")
    found.add_argument("--images-per-s", metavar="RATE", help="of one GPU, where you measured it: resjax data speed")
    return found


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


def theory_row(prediction: Mapping[str, Any]) -> dict[str, Any]:
    """What is expected of a network, for people."""
    names = {key: prediction[key] for key in ("arm", "norm", "depth")}
    names = {"model": " ".join([prediction["model"], *prediction["special"]])} | names
    seconds = prediction["time"].get("run_seconds")
    time = "unknown" if seconds is None else duration(seconds)
    told = prediction["theory"]
    if "nothing" in told:
        empty = dict.fromkeys(("first_/_last", "a_layer", "variance", "state", "first_update", "trainable"), "-")
        return names | empty | {"time_here": time}
    updates = told["first_update"]
    return names | {
        "first_/_last": factor(told["gradient_ratio"]),
        "a_layer": factor(told["gradient_rate"]),
        "variance": factor(told["variance_growth"]),
        "state": told["state"],
        "first_update": factor(updates[1]) if updates else "-",
        "trainable": told["trainable"],
        "time_here": time,
    }


def reasons(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why a network is not trainable, or nothing is expected of it: each reason once, and what it rests on."""
    lines = []
    for prediction in found:
        told, name = prediction["theory"], f"{prediction['model']} {prediction['arm']} {prediction['depth']}"
        if "nothing" in told:
            lines.append(f"{name}: nothing is expected, as {told['nothing']}.")
        elif told["trainable"] != "yes":
            lines.append(f"{name}: trainable {told['trainable']}, as {told['why']}. Rests on: {told['rests_on']}.")
    return list(dict.fromkeys(lines))


def stage_row(stage: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's row for people."""
    return {
        "stage": stage["stage"],
        "units": stage["units"],
        "output": " x ".join(map(str, stage["shape"])),
        "parameters": f"{stage['parameters']:,}",
        "multiply_adds": scaled(stage["multiply_adds"]),
    }


def factor(value: float | None) -> str:
    """Three digits, or a power of ten."""
    return "-" if value is None else f"{value:.3g}"


def scaled(value: float) -> str:
    """Such as 40.55 M."""
    factor, prefix = next(((factor, prefix) for factor, prefix in PREFIXES if value >= factor), (1.0, ""))
    return f"{value / factor:.4g} {prefix}" if prefix else f"{value:.4g} "


COMMANDS = {"predict": Command(parser, run)}
