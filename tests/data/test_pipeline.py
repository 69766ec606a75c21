"""The stream: which example stands where, whoever reads it; what cannot be read is replaced, counted and named."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from photographs import spoiled, written

from resjax.data import pipeline, tfds_sets
from resjax.data.collection import Collection
from resjax.data.pipeline import FINE, Element, InOrder, Pipeline, Training, permutation
from resjax.data.views import Views
from resjax.errors import CorruptedError

VIEWS = Views(augment=True, crop=16, shorter_side=(20, 40), test_side=20, color=0.1)
BATCH = 16


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return opened(written(tmp_path_factory.mktemp("images")))


def opened(root: Path) -> Collection:
    return tfds_sets.opened("imagenet2012", [root]).split("train")


def training(collection: Collection, places: range = range(BATCH), **more: object) -> Training:
    return Training(collection, VIEWS, **({"seeds": (0,), "size": BATCH, "places": places, "steps": 15} | more))


def taken(elements: Training | InOrder, workers: int = 0, most: int | None = None) -> list[Element]:
    batches = iter(Pipeline(elements, workers))
    found = [batch for batch, _ in zip(batches, range(most or 10**6), strict=False)]
    batches.close()  # type: ignore[attr-defined]
    return found


def same(one: list[Element], other: list[Element]) -> bool:
    assert len(one) == len(other)
    return all(np.array_equal(a[name], b[name]) for a, b in zip(one, other, strict=True) for name in a)


def test_two_hosts_read_every_example_once_an_epoch(collection: Collection) -> None:
    """15 batches of 16 are 4 epochs of 60, and batches straddle them: the second ends inside the eighth batch."""
    halves = [training(collection, places) for places in (range(8), range(8, 16))]
    found = [
        np.array([half.index(0, 16 * step + place) for step in range(15) for place in half.places]) for half in halves
    ]
    whole = np.concatenate([part.reshape(15, 8) for part in found], axis=1).ravel()
    for epoch in range(4):
        assert sorted(whole[60 * epoch : 60 * (epoch + 1)]) == list(range(60))
    orders = whole.reshape(4, 60)
    assert len({tuple(order) for order in orders.tolist()}) == 4


def test_orders_are_a_seeds_own(collection: Collection) -> None:
    """And do not depend on which others there are."""
    both, alone = training(collection, seeds=(3, 5)), training(collection, seeds=(5,))
    together, apart = taken(both, most=2), taken(alone, most=2)
    for batch, own in zip(together, apart, strict=True):
        for name in own:
            np.testing.assert_array_equal(batch[name].reshape(2, BATCH, *batch[name].shape[1:])[1], own[name])
    assert not same(apart, taken(training(collection, seeds=(3,)), most=2))


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_decide_nothing(collection: Collection, workers: int) -> None:
    elements = training(collection, steps=5)
    assert same(taken(elements), taken(elements, workers))


def test_from_any_step_the_rest_comes_again(collection: Collection) -> None:
    whole = taken(training(collection))
    for start in (1, 7, 14):
        assert same(whole[start:], taken(training(collection, start=start)))
    assert taken(training(collection, start=15)) == []


def test_an_order_is_drawn_from_all_alike() -> None:
    """Each example in each place alike often, over 6,000 epochs; and neighbours know nothing of each other."""
    counts = np.zeros((12, 12))
    for epoch in range(6000):
        counts[range(12), permutation(1, epoch, 12)] += 1
    squares = ((counts - 500) ** 2 / 500).sum()
    assert squares < 121 + 4 * np.sqrt(2 * 121)
    long = permutation(1, 0, 100_000)
    assert sorted(long) == list(range(100_000))
    for apart in (1, 2):
        assert abs(np.corrcoef(long[:-apart], long[apart:])[0, 1]) < 4 / np.sqrt(100_000)
    assert permutation(2, 3, 5).tolist() == [3, 2, 1, 4, 0], "orders never change: runs resume with them"


@pytest.mark.parametrize("size", [8, 16, 64])
def test_a_test_set_is_seen_once_by_two_hosts(collection: Collection, size: int) -> None:
    halves = [InOrder(collection, VIEWS, size, range(place, place + size // 2)) for place in (0, size // 2)]
    batches = [taken(half) for half in halves]
    assert len(batches[0]) == len(batches[1]) == -(-60 // size)
    inside = sum(batch["inside"].sum() for part in batches for batch in part)
    assert inside == 60
    images = np.concatenate(
        [np.concatenate(pair) for pair in zip(*([b["image"] for b in p] for p in batches), strict=True)]
    )
    for index in (0, 7, 31, 59):
        np.testing.assert_array_equal(images[index], VIEWS.test(collection[index].image))


def test_what_cannot_be_read_is_replaced_and_named(tmp_path: Path) -> None:
    """Three of the files are cut: each is told by its number as often as its turn comes, and the next one stands in."""
    collection = opened(written(tmp_path, generate=spoiled(3, 7, 30)))
    bad = {index for index in range(60) if collection.name(index).rpartition("_")[2] in ("3.JPEG", "7.JPEG", "30.JPEG")}
    elements = training(collection)
    batches = taken(elements)
    corrupt = np.concatenate([batch["corrupt"] for batch in batches])
    assert sorted(corrupt[corrupt != FINE]) == sorted([*bad] * 4)
    for place in np.flatnonzero(corrupt != FINE)[:3]:
        stand_in = next(index % 60 for index in range(corrupt[place] + 1, 200) if index % 60 not in bad)
        assert batches[place // BATCH]["label"][place % BATCH] == collection[stand_in].label
    tests = taken(InOrder(collection, VIEWS, BATCH, range(BATCH)))
    told = np.concatenate([batch["corrupt"] for batch in tests])
    assert set(told[told != FINE]) == bad
    assert sum(batch["inside"].sum() for batch in tests) == 57


def test_where_nothing_can_be_read_it_ends(tmp_path: Path) -> None:
    collection = opened(written(tmp_path, train=4, generate=spoiled(0, 1, 2, 3)))
    with pytest.raises(CorruptedError, match="none of 4 examples"):
        training(collection)[0]


def test_threads_share_the_orders(collection: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight of them at the borders of many epochs: every order is drawn once, and nothing is read while it changes."""
    drawn: list[tuple[int, int]] = []
    monkeypatch.setattr(pipeline, "permutation", lambda *key: drawn.append(key[:2]) or permutation(*key))
    elements, before = training(collection), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda position: elements.index(0, position), range(60 * 40)))
    finally:
        sys.setswitchinterval(before)
    assert found == [int(permutation(0, position // 60, 60)[position % 60]) for position in range(60 * 40)]
    assert len(drawn) < 60


def test_a_file_that_cannot_be_opened_is_no_corrupt_image(tmp_path: Path) -> None:
    collection = opened(written(tmp_path, train=4))
    assert len(collection) == 4
    for path in tmp_path.rglob("*train*"):
        path.unlink()
    with pytest.raises(OSError, match="open"):
        training(collection)[0]
