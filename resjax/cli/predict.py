"""resjax predict: what a run will be, before it: its size, its memory, its time, its gradients."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from resjax import speed
from resjax.cli.output import show
from resjax.cli.overrides import launch
from resjax.config import Config
from resjax.errors import InputError
from resjax.progress import duration
from resjax.speed import GPUS

HELP = """usage: resjax predict [-m] [--json] [SETTING=VALUE ...]

Parameters, multiply-adds and memory of a network, with a table by stage; what mean-field theory expects of its
gradients at step 0, and how long training takes on this machine; with -m a row a job of the sweep.
Settings are those of resjax train. Nothing is trained and no data are read:

  resjax predict model=resnet_imagenet model.depth=152 data=synthetic data.image_size=224 data.classes=1000
  resjax predict -m model=plain,resnet model.depth=20,110,1202 data=cifar10

multiply-adds: of one image's forward pass. activations: what the backward pass of one batch (train.batch_size) keeps,
as JAX traces it, before the compiler saves some; optimizer: what it keeps besides the parameters, a seed; all: with the
work space, every seed and device, the data set and the process itself, an estimate from above for nets whose units are
scanned. model.remat=true shows what is left where the backward pass computes the units again.

first / last: |dL/dh| at the unit nearest the input over that at the last; a layer: its factor from a weight layer to
the one before; variance: forward, last unit over first; first update: the largest of any layer, relative to its length;
state: by the report's thresholds; trainable: rules of thumb, said with what they rest on. time: of training on
this CPU, from the speed of a matrix product here, which whatever else runs slows down, too.

  resjax predict model=resnet_imagenet model.depth=50 data=imagenet2012 --gpus=8 --gpu=A100

--gpus=N: also the time of 90 epochs of one seed on N GPUs, and how many cores have to read for that; the rate of one is
--images-per-s=RATE, which resjax data speed measures, or what NVIDIA printed for ResNet-50 on --gpu=A100 (or V100).
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
        print(HELP)
        return 0
    asked, rest = gpus_of([word for word in words if word != "--json"])
    jobs = launch(rest).jobs
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


@dataclass(frozen=True)
class Gpus:
    """What is asked of GPUs: how many (0: nothing), which, and the images a second that one was measured at."""

    count: int = 0
    name: str = GPUS[0]
    rate: float | None = None


def gpus_of(words: Sequence[str]) -> tuple[Gpus, list[str]]:
    """What the options ask, and the other words. InputError where a value is none."""
    read: dict[str, Callable[[str], Any]] = {"--gpus": int, "--gpu": str, "--images-per-s": float}
    told: dict[str, Any] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name in read:
            try:
                told[name] = read[name](value)
            except ValueError:
                told[name] = None
    gpus = Gpus(told.get("--gpus", 0), told.get("--gpu", GPUS[0]), told.get("--images-per-s", 1.0))
    legal = gpus.count is not None and gpus.count >= ("--gpus" in told) and gpus.name in GPUS
    if not legal or gpus.rate is None or not 0 < gpus.rate < math.inf or (told and not gpus.count):
        raise InputError(
            f"{' '.join(word for word in words if word.partition('=')[0] in read)} cannot be read.\n"
            f"Expected --gpus=N, N 1 or more, and with it --gpu={' or '.join(GPUS)}, or --images-per-s above 0.\n"
            "Type: --gpus=8 --gpu=A100"
        )
    rest = [word for word in words if word.partition("=")[0] not in read]
    return (gpus if "--images-per-s" in told else replace(gpus, rate=None)), rest


def courses(config: Config, asked: Gpus) -> dict[str, Any]:
    """The key gpus of a prediction, where it is asked for: 90 epochs, and the cores that read as fast as that."""
    if not asked.count:
        return {}
    from resjax.data import source
    from resjax.models import build, counts

    image, classes = source.shape_of(config.data)
    work = counts.multiply_adds(build(config.model, image, classes))
    images = source.train_examples_of(config.data)
    arithmetic = arithmetic_of(config, asked)
    found = speed.course(asked.count, work, images, arithmetic, asked.name, asked.rate)
    told = asdict(found) | {"images": images}
    if config.data.streamed:
        from resjax.data.decode import decodes_per_s

        one = decodes_per_s(round(sum(config.data.shorter_side) / 2))
        told |= {"decoded_per_s_and_core": one, "cores_to_read": math.ceil(found.images_per_s / one)}
    return {"gpus": told}


def arithmetic_of(config: Config, asked: Gpus) -> str:
    """What the published rate is of that comes near to this run. InputError where nothing was published."""
    train = config.train
    exact = train.precision == "float32" and (asked.name == "V100" or not train.tf32)
    found = "float32" if exact else {"float32": "TF32", "bfloat16": "16 bits"}.get(train.precision, train.precision)
    if asked.rate is None and (asked.name, found) not in speed.PUBLISHED:
        raise InputError(
            f"train.precision={train.precision} on --gpu={asked.name}: no rate is known of {found} there.\n"
            f"Expected one of: {', '.join(map(' '.join, speed.PUBLISHED))}; or a rate that you measured.\n"
            "Type: --images-per-s=RATE, which resjax data speed measures on one GPU"
        )
    return found


def course_lines(prediction: Mapping[str, Any]) -> list[str]:
    """The same for people."""
    if (told := prediction.get("gpus")) is None:
        return []
    name = f"{prediction['model']} {prediction['arm']} {prediction['depth']}"
    line = (
        f"{name}: {told['epochs']} epochs of {told['images']:,} images on {counted(told['gpus'], 'GPU')} take "
        f"{duration(told['seconds'])} a seed, at {told['images_per_s']:,.0f} images/s. Rests on: {told['rests_on']}."
    )
    if "cores_to_read" not in told:
        return [line]
    return [
        line,
        f"  to be read as fast: at least {counted(told['cores_to_read'], 'core')} like this machine's, which decodes "
        f"{told['decoded_per_s_and_core']:,.0f} JPEGs of 500 x 375 pixels a second each",
    ]


def counted(count: int, what: str) -> str:
    """1 GPU, 2 GPUs."""
    return f"{count} {what}{'' if count == 1 else 's'}"


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
