"""Which settings of the data go together. Imports neither JAX nor Hydra."""

import math
import re
from dataclasses import fields

from resjax.dataconfig import DATASETS, DataConfig
from resjax.errors import InputError
from resjax.settings import nearest, spelled

NAME = re.compile(r"[A-Za-z0-9_]+(/[A-Za-z0-9_.-]+)?(:[0-9]+(\.[0-9]+){0,2})?")  # tensorflow-datasets' own form
BUNDLED = ("digits", "synthetic")
NAMED = {
    "tfds": "the name of a set that tensorflow-datasets has prepared",
    "folder": "a name of your own for it",
}
READ_STREAMED = ("crop", "shorter_side", "test_side", "color", "ten_crop", "corrupt_share")
DECIDES_NOTHING = ("root", "workers", "corrupt_share")
READ_ELSEWHERE = ("train_split", "test_split")  # of a set that is not resjax's own


def check(data: DataConfig) -> None:
    """Raise InputError where they do not, with what is expected and what to type."""
    _check_name(data)
    _check_standardisation(data)
    _check_effect(data)
    if data.streamed:
        _check_streamed(data)


def without_effect(data: DataConfig) -> list[str]:
    """The settings that decide nothing beside the others as they are. Ids from before there was one of them stay."""
    found = [*DECIDES_NOTHING]
    found += [] if data.name == "synthetic" and data.kind == "resjax" else ["image_size", "channels", "classes"]
    found += ["validation_examples"] if data.validation_examples is None else []
    found += ["kind", *READ_ELSEWHERE] if data.kind == "resjax" else []
    found += [name for name in READ_STREAMED if name not in DECIDES_NOTHING] if not data.streamed else []
    found += ["streamed"] if not data.streamed else []
    if data.streamed and not data.augment:
        found += ["shorter_side", "color"]
    return found


def _check_name(data: DataConfig) -> None:
    """Of resjax's own sets there are some, of others any that can be a folder's name."""
    if data.kind == "resjax" and data.name not in DATASETS:
        raise InputError(
            f"data.name={data.name} is not known.\nExpected one of: {', '.join(DATASETS)}; or any name with "
            f"data.kind=tfds or folder\nType: data.name={nearest(data.name, DATASETS)}"
        )
    if data.kind != "resjax" and data.name in BUNDLED:
        raise InputError(
            f"data.kind={data.kind} with data.name={data.name}, which is resjax's own"
            f"{' and the default' if data.name == DataConfig().name else ''}.\n"
            f"Expected {NAMED[data.kind]}.\nType: data.name=NAME"
        )
    if not NAME.fullmatch(data.name):
        plain = re.sub(r"[^A-Za-z0-9]+", "_", data.name).strip("_") or "imagenet2012"
        raise InputError(
            f"data.name={data.name!r} is not the name of a data set.\n"
            "Expected letters, digits and _, as tensorflow-datasets has them: name, name/config or name:1.0.0\n"
            f"Type: data.name={plain}"
        )


def _check_standardisation(data: DataConfig) -> None:
    """The numbers that standardise are both given or neither, finite, and what divides is above 0."""
    mean, std = data.mean, data.std
    count = max(len(mean or std or []), 1)
    type_both = (
        f"Type: data.mean=[{','.join(['0.5'] * count)}] data.std=[{','.join(['0.25'] * count)}], with your numbers"
    )
    if (mean is None) != (std is None):
        given, missing = ("mean", "std") if std is None else ("std", "mean")
        raise InputError(
            f"data.{given}={mean if std is None else std} stands without data.{missing}.\n"
            f"Expected both, or neither.\n{type_both}, or data.{given}=null"
        )
    if not all(math.isfinite(value) for value in mean or []):
        raise InputError(f"data.mean={mean} is not finite.\nExpected finite numbers, one a channel.\n{type_both}")
    if not all(0 < value < math.inf for value in std or []):
        raise InputError(f"data.std={std} cannot divide.\nExpected finite numbers above 0, one a channel.\n{type_both}")


def _check_effect(data: DataConfig) -> None:
    """A setting that is not at its default would be read by nobody."""
    unread = READ_STREAMED if not data.streamed else ("resize",)
    unread = (*unread, *READ_ELSEWHERE) if data.kind == "resjax" else unread
    usual = DataConfig()
    for item in fields(DataConfig):
        value = getattr(data, item.name)
        if item.name in unread and value != getattr(usual, item.name):
            where = "data.streamed=false" if item.name == "resize" else "data.streamed=true"
            where = "data.kind=tfds or folder" if item.name in READ_ELSEWHERE else where
            raise InputError(
                f"data.{item.name}={spelled(value)} has no effect here.\nExpected it with {where}\n"
                f"Type: data.{item.name}={spelled(getattr(usual, item.name))}"
            )


def _check_streamed(data: DataConfig) -> None:
    """What is cut out has to be there."""
    if data.kind == "resjax":
        raise InputError(
            f"data.streamed=true with data={data.name}, which is small.\nExpected a set of another kind.\n"
            "Type: data.streamed=false"
        )
    sides = data.shorter_side
    if len(sides) != 2 or not data.crop <= sides[0] <= sides[1]:
        raise InputError(
            f"data.shorter_side={spelled(sides)} with data.crop={data.crop}.\n"
            "Expected two numbers of pixels, the second no less than the first, none below the crop.\n"
            f"Type: data.shorter_side=[{round(data.crop * 8 / 7)},{round(data.crop * 15 / 7)}]"
        )
    if data.ten_crop and data.test_side == data.crop:
        raise InputError(
            f"data.ten_crop=true with data.test_side={data.test_side} and data.crop={data.crop}: all crops are one.\n"
            f"Expected a larger side to cut from.\nType: data.test_side={round(data.crop * 8 / 7)}"
        )
    if data.test_side < data.crop:
        raise InputError(
            f"data.test_side={data.test_side} is less than data.crop={data.crop}.\n"
            f"Expected as many pixels or more.\nType: data.test_side={round(data.crop * 8 / 7)}"
        )
