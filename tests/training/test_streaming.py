"""Training on streamed images: the same whatever reads them and lays them out, exact going on, flat in memory."""

import gc
import multiprocessing
import os
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from photographs import spoiled, streamed, written
from problems import furthest, last_state, plain, series, small

from resjax.config import Config
from resjax.data import source
from resjax.data.streamed import Streamed
from resjax.errors import CorruptedError, InputError
from resjax.models.convolution import conv2d
from resjax.models.types import EVALUATE
from resjax.rows import Corrupted, Finished, Metrics, Row, Snapshot
from resjax.training import streaming
from resjax.training.loop import fit
from resjax.training.packing import packings
from resjax.training.parallel import choose
from resjax.training.precise import PRECISE_SEED
from resjax.training.programs import instruments, prepare
from resjax.training.reels import wider
from resjax.training.state import from_arrays, seed_keys


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("images"))


def rows_of(config: Config, snapshot: Snapshot | None = None) -> list[Row]:
    return list(fit(config, source.load(config.data), snapshot))


def long(root: Path, **more: object) -> Config:
    """9 steps of 16 of 60 examples: more than two epochs, cut in the middle of the second; two seeds."""
    config = streamed(
        root, train={"steps": 9, "evaluate_every": 4, "precise_statistics": 2}, checkpoint={"every": 5}, data=more
    )
    config.seeds = 2
    return config


@cache
def whole(root: Path) -> list[Row]:
    return rows_of(long(root, ten_crop=True))


def test_from_a_snapshot_in_an_epoch_the_rest_comes_again(root: Path) -> None:
    """What threads began, two workers go on with."""
    rows = whole(root)
    place = next(index for index, row in enumerate(rows) if isinstance(row, Snapshot))
    snapshot = rows[place]
    assert isinstance(snapshot, Snapshot)
    assert (snapshot.step, snapshot.epoch, snapshot.place) == (5, 1, 20)
    assert snapshot.stream == {"examples": 60, "corrupted": {"train": [], "test": []}}
    again = rows_of(long(root, ten_crop=True, workers=2), snapshot)
    assert [plain(row) for row in again[1:]] == [plain(row) for row in rows[place + 1 :]]


@pytest.mark.slow  # tests/faults/test_streams.py has two processes
@pytest.mark.usefixtures("float64")
def test_layouts_train_the_same_network(root: Path) -> None:
    ends = []
    for layout in (("pmap", 1), ("pmap", 2), ("jit", 2)):
        config = streamed(root, train={"steps": 3, "precision": "float64"}, probes={"at": [], "last": False})
        config.parallel.strategy, config.parallel.devices = layout
        rows = rows_of(config)
        ends.append((last_state(rows), series(rows, "test_loss")))
    (state, losses), *others = ends
    for other_state, other_losses in others:
        assert furthest(state, other_state) < 1e-9
        assert losses == pytest.approx(other_losses, rel=1e-9)


def test_a_seeds_images_are_its_own(root: Path) -> None:
    """So a seed alone trains as it does beside another."""
    both = whole(root)
    config = long(root, ten_crop=True)
    config.seed, config.seeds = 1, 1
    alone = rows_of(config)
    for name in ("train_loss", "test_loss", "test_loss_10crop"):
        assert series(both, name, 1) == pytest.approx(series(alone, name, 1), rel=1e-4)
    assert series(both, "train_loss", 0) != pytest.approx(series(both, "train_loss", 1), rel=1e-3)


def values_at_the_end(config: Config, rows: list[Row]) -> tuple[Any, Any, Any]:
    """The model, and the last parameters and running statistics of seed 0."""
    ready = instruments(config, source.load(config.data))
    state = from_arrays(ready.model, ready.states, last_state(rows))
    params, stats = packings(ready.model)
    return ready, params.unpack(jnp.asarray(state.params[0])), stats.unpack(jnp.asarray(state.batch_stats[0]))


def standard(images: np.ndarray, data: Streamed) -> jax.Array:
    return jnp.asarray((images / 255 - np.array(data.mean)) / np.array(data.std), jnp.float32)


def test_one_crop_and_ten_crops_by_hand(root: Path) -> None:
    """21 images in batches of 16: each once, the centre alone, or the mean of ten crops' probabilities."""
    config = streamed(root, train={"steps": 2}, probes={"at": [], "last": False}, data={"ten_crop": True})
    rows = rows_of(config)
    ready, params, stats = values_at_the_end(config, rows)
    data = source.load(config.data)
    assert isinstance(data, Streamed)
    squares = np.stack([data.views.test(data.test[index].image) for index in range(21)])
    labels = np.array([data.test[index].label for index in range(21)])

    run = jax.jit(lambda images: ready.model.apply(params, stats, images, EVALUATE).logits)

    def logits(images: np.ndarray) -> jax.Array:
        return run(standard(images, data))

    centre = logits(squares[:, 2:18, 2:18])
    losses = -jax.nn.log_softmax(centre)[np.arange(21), labels]
    cuts = [squares[:, t : t + 16, x : x + 16] for t, x in ((2, 2), (0, 0), (0, 4), (4, 0), (4, 4))]
    shares = sum(jax.nn.softmax(logits(view)) for cut in cuts for view in (cut, cut[:, :, ::-1])) / 10
    last = [row for row in rows if isinstance(row, Metrics)][-1].values
    assert last["test_loss"] == pytest.approx(float(losses.mean()), rel=1e-4)
    assert last["test_error"] == pytest.approx(float(np.mean(centre.argmax(-1) != labels)))
    assert last["test_loss_10crop"] == pytest.approx(float(-np.log(shares[np.arange(21), labels]).mean()), rel=1e-4)
    assert last["test_error_10crop"] == pytest.approx(float(np.mean(np.argmax(shares, -1) != labels)))
    assert [row.step for row in rows if isinstance(row, Metrics) and "test_error_10crop" in row.values] == [2]


@pytest.mark.parametrize("kind", ["resident", "streamed"])
def test_precise_statistics_are_the_moments_of_many_batches(root: Path, kind: str) -> None:
    """Of the first norm: the mean over groups of each group's mean and variance, the stem's output taken by hand."""
    settings = {"train": {"precise_statistics": 3, "steps": 1}, "probes": {"at": [], "last": False}}
    config = small(**settings) if kind == "resident" else streamed(root, **settings)
    ready = instruments(config, source.load(config.data))
    found = ready.precise(ready.states, ready.supply)
    params, stats = packings(ready.model)
    stem = params.unpack(ready.states.params[0])["segments"][0]["units"]["branch"][0]["layers"][0]
    kernel = stem["weight"]["kernel"][0]
    batches = ready.supply.batches(seed_keys(PRECISE_SEED), PRECISE_SEED, range(3))
    outputs = np.concatenate([np.asarray(conv2d(images, kernel)) for images, _ in batches])
    groups = outputs.reshape(6, 8, *outputs.shape[1:]).astype(np.float64)
    own = stats.unpack(found.batch_stats[0])["segments"][0]["units"]["branch"][0]["layers"][0]["post"]["norm"]
    np.testing.assert_allclose(own["mean"][0], groups.mean((1, 2, 3)).mean(0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(own["var"][0], groups.var((1, 2, 3)).mean(0), rtol=1e-4, atol=1e-5)
    assert found.params is ready.states.params


def test_precise_statistics_leave_training_alone(root: Path) -> None:
    with_, without = (
        rows_of(streamed(root, train={"precise_statistics": count, "steps": 2}, probes={"at": [], "last": False}))
        for count in (2, 0)
    )
    digests = [next(row for row in rows if isinstance(row, Finished)).digest for rows in (with_, without)]
    assert digests[0] == digests[1]
    assert series(with_, "test_loss") != series(without, "test_loss")


def test_the_probe_batch_is_of_centre_crops(root: Path) -> None:
    """Whatever training sees of them, and the same for every seed."""
    config = streamed(root)
    data, ready = source.load(config.data), instruments(config, source.load(config.data))
    assert isinstance(data, Streamed)
    places = np.asarray(jax.random.permutation(jax.random.key(0), 60)[:16])
    images = np.stack([data.views.centre(data.train[int(place)].image) for place in places])
    np.testing.assert_allclose(ready.probe_batch[0], standard(images, data), atol=1e-5)
    assert ready.probe_batch[1].tolist() == [data.train[int(place)].label for place in places]


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("damaged"), generate=spoiled(3, 7))


def test_corrupted_images_are_counted_and_named(damaged: Path) -> None:
    """2 of 60; whoever goes on from a snapshot knows them all."""
    config = streamed(damaged, train={"steps": 8}, data={"corrupt_share": 0.04}, checkpoint={"every": 4})
    rows = rows_of(config)
    told = [row for row in rows if isinstance(row, Corrupted)]
    assert told[-1].split == "train"
    assert {name.rpartition("_")[2] for name in told[-1].names} == {"3.JPEG", "7.JPEG"}
    fresh = [name for row in told for name in row.names[row.known :]]
    assert sorted(fresh) == sorted(told[-1].names), "each is told once"
    snapshots = [row for row in rows if isinstance(row, Snapshot)]
    assert len(snapshots[-1].stream["corrupted"]["train"]) == 2
    again = rows_of(config, snapshots[0])
    assert [row.stream for row in again if isinstance(row, Snapshot)][-1] == snapshots[-1].stream
    before, after = snapshots[0].stream["corrupted"]["train"], [row for row in again if isinstance(row, Corrupted)]
    assert before
    assert after[0].known == len(before), "what was told before is not told as new"
    assert sorted(after[-1].names) == sorted(told[-1].names), "and stands in the records"
    assert next(row for row in again if isinstance(row, Finished)).digest == rows[-1].digest


def test_more_than_the_share_ends_the_run(damaged: Path) -> None:
    config = streamed(damaged, train={"steps": 8}, data={"corrupt_share": 0.02})
    with pytest.raises(CorruptedError, match="2 of 60 train images cannot be read: train") as caught:
        rows_of(config)
    assert "data.corrupt_share=0.07, to go on" in str(caught.value)
    assert "n00000300_3.JPEG (image file is truncated" in str(caught.value)
    assert [wider(share) for share in (1 / 40, 3 / 40, 0.0002, 0.6)] == [0.05, 0.2, 0.0004, 1.0]


def test_a_probe_batch_larger_than_the_set(root: Path) -> None:
    with pytest.raises(InputError, match="more than the 60 training examples"):
        rows_of(streamed(root, probes={"batch_size": 64}))


def test_workers_that_have_no_room(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number that is typed is refused, also where another process of the run has no room; the usual one is less."""

    def readers(workers: int | None, batches: int, elsewhere: bool = False) -> int:
        monkeypatch.setattr(streaming.workers, "room", lambda sharing=1: batches * 16 * 16 * 16 * 3 // sharing)
        monkeypatch.setattr(streaming.workers, "cores", lambda: 9)
        monkeypatch.setattr(streaming.hosts, "any_of", lambda asked: asked or elsewhere)
        config = streamed(root, data={"workers": workers})
        found = source.load(config.data)
        assert isinstance(found, Streamed)
        return streaming.Streaming(config, found, choose(config)).workers

    assert [readers(None, 7 * count) for count in (100, 3, 0)] == [8, 3, 0]
    assert [readers(count, 7 * count) for count in (0, 2)] == [0, 2]
    with pytest.raises(InputError, match=r"data\.workers=3 may hold 0\.3 MB(.|\n)*Type: data\.workers=2 "):
        readers(3, 20)
    with pytest.raises(InputError, match=r"data\.workers=2 has no room (.*) of another host"):
        readers(2, 14, elsewhere=True)
    monkeypatch.setattr(streaming.hosts, "beside", lambda: 2)
    assert readers(None, 7 * 4) == 2


def held_after(root: Path, steps: int, marks: tuple[int, ...], workers: int) -> list[tuple[int, int]]:
    """Bytes of all arrays on the devices, and of the process and its workers, when so many steps were told."""
    config = streamed(
        root,
        train={"steps": steps, "log_every": 1},
        probes={"at": [], "last": False},
        data={"workers": workers},
    )
    found = []
    for row in fit(config, source.load(config.data)):
        if isinstance(row, Metrics) and row.step in marks:
            gc.collect()
            processes = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
            assert len(processes) >= 1 + workers
            resident = sum(own_bytes(process) for process in processes if process is not None)
            found.append((sum(array.nbytes for array in jax.live_arrays()), resident))
    return found


def own_bytes(process: int) -> int:
    """Memory of a process that is not shared with others, and what it shares with its workers."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    sizes = dict(line.split(":") for line in lines if line.startswith("Rss"))
    return sum(1024 * int(sizes[name].split()[0]) for name in ("RssAnon", "RssShmem"))


@pytest.mark.parametrize(
    ("steps", "marks", "workers"),
    [
        (160, (60, 150), 1),
        pytest.param(2021, (300, 2000), 0, marks=pytest.mark.slow),
        pytest.param(2021, (300, 2000), 1, marks=pytest.mark.slow),
    ],
)
def test_memory_is_flat(root: Path, steps: int, marks: tuple[int, ...], workers: int) -> None:
    """Of the devices, of the process, and of the workers."""
    (device_before, host_before), (device_after, host_after) = held_after(root, steps, marks, workers)
    assert device_after <= device_before
    assert host_after - host_before < 8e6, f"{host_after - host_before} bytes more after {marks[1]} steps"


def test_nothing_is_compiled_twice_for_a_streamed_set(root: Path) -> None:
    """The compiled step takes what the supply gives, and refuses what is laid out otherwise."""
    programs = prepare(streamed(root), source.load(streamed(root).data))
    _, left, metrics = programs.advance(
        programs.states, programs.keys, programs.supply.take(0), np.asarray(0), np.asarray(1), programs.supply.data
    )
    assert left == ()
    assert metrics["train_loss"].shape == (1, 1)
    programs.supply.close()
