"""What sets in tensorflow-datasets' form lie in a folder, told from their JSON files alone, without that package."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resjax.data import prepared, tfds_sets

OURS = ("resjax_", "incomplete-", "downloads", ".")  # folders that begin so are no sets of tensorflow-datasets


def others(root: Path, known: set[str]) -> list[dict[str, object]]:
    """Rows as `source.describe` gives them, of all sets below `root` but the `known`."""
    return [row(name, place, root) for name, place in sorted(places(root)) if name not in known]


def places(root: Path) -> Iterator[tuple[str, Path]]:
    """The name, or name/config, and the folder of the newest version."""
    for folder in root.iterdir() if root.is_dir() else ():
        if not folder.is_dir() or folder.name.startswith(OURS):
            continue
        for named in (folder, *(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))):
            if found := [path for path in tfds_sets.versions(named, "") if path.parent == named]:
                yield str(named.relative_to(root)), found[0]


def row(name: str, place: Path, root: Path) -> dict[str, object]:
    """A set's row; where its files tell nothing, `type` says what tells more."""
    told: dict[str, object] = {"name": name, "kind": "tfds", "train_examples": None, "test_examples": None}
    told |= {"image_shape": None, "classes": None, "source": f"tensorflow-datasets, version {place.name}"}
    told |= {"licence": "none stated", "status": "prepared", "path": str(place), "type": None}
    again = f"{prepared.command(name, root)} --stock"
    try:
        info, features = read(place, "dataset_info.json"), read(place, "features.json")
        told |= counts(info) | image(info, features)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        return told | {"status": f"unreadable: {type(error).__name__}", "type": f"rm -r {place}; {again}"}
    if (form := file_format(place)) != tfds_sets.FORM:
        return told | {"status": f"prepared as {form}", "type": f"rm -r {place}; {again}"}
    return told if told["classes"] else told | {"status": "no image and label"}


def read(place: Path, name: str) -> dict[str, Any]:
    """A JSON file of the set."""
    return dict(json.loads((place / name).read_text()))


def file_format(place: Path) -> str:
    """Of its records. tensorflow-datasets leaves it out where it is its own."""
    try:
        return str(read(place, "dataset_info.json").get("fileFormat") or "tfrecord")
    except (OSError, ValueError, TypeError):
        return "something that cannot be read"


def counts(info: dict[str, Any]) -> dict[str, object]:
    """Training and test examples, and all splits in words."""
    splits = {split["name"]: sum(map(int, split.get("shardLengths", ()))) for split in info.get("splits", ())}
    words = ", ".join(f"{count:,} {name}" for name, count in splits.items())
    test = splits.get("test", splits.get("validation"))
    source = f"tensorflow-datasets, version {info['version']}: {words}"
    return {"train_examples": splits.get("train"), "test_examples": test, "source": source} | licence(info)


def licence(info: dict[str, Any]) -> dict[str, object]:
    """As the set states it."""
    stated = info.get("redistributionInfo", {}).get("license")
    return {"licence": str(stated)} if stated else {}


def image(info: dict[str, Any], features: dict[str, Any]) -> dict[str, object]:
    """The image's shape, null where it varies, and the number of classes; nothing where it has not both."""
    told = features["featuresDict"]["features"]
    keys = [item.get("featureKey") for item in info.get("supervisedKeys", {}).get("tuple", {}).get("items", ())]
    images = {name: entry[kind] for name, entry in told.items() for kind in ("image", "tensor") if kind in entry}
    labels = {name: entry["classLabel"] for name, entry in told.items() if "classLabel" in entry}
    supervised = len(keys) >= 2 and keys[0] in images and keys[1] in labels
    if not supervised and not len(images) == len(labels) == 1:
        return {}
    label = labels[keys[1]] if supervised else next(iter(labels.values()))
    shape = (images[keys[0]] if supervised else next(iter(images.values())))["shape"]["dimensions"]
    sides = [None if int(side) < 0 else int(side) for side in shape]
    return {"image_shape": sides, "classes": int(label["numClasses"])}
