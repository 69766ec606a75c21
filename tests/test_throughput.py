"""What bounds training on streamed images."""

from pathlib import Path

import pytest
from photographs import streamed, written
from problems import small

from resjax import throughput
from resjax.errors import InputError
from resjax.throughput import BOTH, PIPELINE, STEP, Rate


def test_each_part_is_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "counts", lambda: [0, 1, 2, 4])
    monkeypatch.setattr(throughput, "room", lambda: 7 * 64 * 16 * 16 * 3)
    mlp = {"name": "mlp", "depth": 3, "width": 8}
    config = streamed(written(tmp_path), model=mlp, train={"steps": 1, "batch_size": 64})  # of 60 images
    said: list[str] = []
    found = list(throughput.rates(config, 0.2, said.append))
    assert said == ["data.workers=2, 4 left out: /dev/shm has room for the batches of 1."]
    assert [(rate.what, rate.workers) for rate in found] == [(PIPELINE, 0), (PIPELINE, 1), (STEP, None), (BOTH, 0)]
    for rate in found:
        assert rate.count >= throughput.LEAST
        assert rate.images_per_s == pytest.approx(64 * rate.count / rate.seconds)
        assert rate.seconds >= 0.2


@pytest.mark.parametrize(
    ("read", "step", "both", "says"),
    [
        (100.0, 400.0, 95.0, "reading bounds training: both together reach 95% of it alone"),
        (400.0, 100.0, 100.0, "the devices bound training: both together reach 100% of it alone"),
        (
            474.0,
            500.0,
            237.0,
            "both together reach 50% of reading alone: they share cores, or wait for one another",
        ),
        (
            800.0,
            400.0,
            600.0,
            "both together were 1.50 times as fast as the devices alone: the machine was busy. Measure again",
        ),
    ],
)
def test_the_slower_one_bounds(read: float, step: float, both: float, says: str) -> None:
    slow, fast, stepped, together = (
        Rate(what, workers, rate, 1.0, 3)
        for what, workers, rate in ((PIPELINE, 0, read / 2), (PIPELINE, 2, read), (STEP, None, step), (BOTH, 2, both))
    )
    assert throughput.verdict([slow, fast, stepped, together]) == says


def test_a_set_that_is_read_at_once_has_nothing_to_time() -> None:
    with pytest.raises(InputError, match="data=mock_imagenet"):
        next(throughput.rates(small(), 1.0, print))


def test_up_to_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    for there_are, expected in ((1, [0, 1]), (2, [0, 1, 2]), (12, [0, 1, 2, 4, 8, 12])):
        monkeypatch.setattr(throughput, "cores", lambda count=there_are: count)
        assert throughput.counts() == expected
