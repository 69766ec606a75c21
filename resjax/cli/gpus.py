"""What is asked of GPUs in `resjax predict`: the time of 90 epochs, and the cores that read as fast as that."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from resjax import speed
from resjax.config import Config
from resjax.errors import InputError
from resjax.progress import duration
from resjax.speed import GPUS


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
