"""Names of splits and their slices, in tensorflow-datasets' words: train[:90%], train[1000:], train[:5%]+validation."""

from collections.abc import Mapping, Sequence

from resjax.data import prepared
from resjax.data.collection import Slice
from resjax.errors import InputError


def parse(spelled: str, counts: Mapping[str, int], setting: str) -> list[Slice]:
    """The parts that `spelled` names, of splits with so many examples. InputError where it names none that there is.

    A share of a split is rounded to whole examples, as tensorflow-datasets does.
    """
    tfds = prepared.tensorflow_datasets()
    infos = {
        name: tfds.core.SplitInfo(name=name, shard_lengths=[count], num_bytes=0, filename_template=None)
        for name, count in counts.items()
    }
    try:
        found = tfds.core.ReadInstruction.from_spec(spelled).to_absolute(infos)
    except (ValueError, AssertionError, KeyError) as error:
        raise refused(spelled, counts, setting, str(error).splitlines()[0] if str(error) else "") from error
    parts = []
    for one in found:
        first, end = one.from_ or 0, counts[one.splitname] if one.to is None else one.to
        parts.append(Slice(one.splitname, first, end - first))
    if any(part.size <= 0 for part in parts):
        raise refused(spelled, counts, setting, "there is nothing in it")
    return parts


def first(slices: list[Slice], count: int) -> list[Slice]:
    """The first so many examples of them."""
    found = []
    for part in slices:
        if count > 0:
            found.append(part._replace(size=min(part.size, count)))
            count -= part.size
    return found


def named(spelled: str) -> tuple[str, ...]:
    """The splits that slices are of: train[:90%]+validation is of train and validation; an empty one is none."""
    names = (part.partition("[")[0].strip() for part in spelled.split("+"))
    return tuple(dict.fromkeys(name for name in names if name))


def refused(spelled: str, counts: Mapping[str, int], setting: str, why: str) -> InputError:
    """The refusal, with the splits that there are."""
    have = ", ".join(f"{name} ({count:,})" for name, count in counts.items()) or "none"
    return InputError(
        f"{setting}={spelled} cannot be read: {why.rstrip('.')}.\n"
        f"Expected one of these splits, or a slice of it: {have}\n"
        f"Type: {suggestion(setting, [*counts])}"
    )


def suggestion(setting: str, names: Sequence[str]) -> str:
    """What to type of the splits that there are: what is tested on is not trained on."""
    first = next(iter(names), "train")
    if len(names) < 2:
        return parted(first)
    if setting == "data.train_split":
        return f"{setting}={first}, or '{setting}=\"{first}[:90%]\"'"
    others = [name for name in names if not name.startswith("train")]
    return f"{setting}={others[0]}" if others else parted(first)


def parted(name: str) -> str:
    """What to type to train on one part of a split and to test on the other."""
    return f"'data.train_split=\"{name}[:90%]\"' 'data.test_split=\"{name}[90%:]\"'"
