"""What `resjax predict` says of the memory, against what XLA sets aside for the compiled program."""

import pytest
from problems import chunked, small

from resjax.models.counts import activation_bytes, parameters, training_bytes


@pytest.mark.parametrize(("devices", "remat", "seeds"), [(1, False, 1), (1, True, 1), (2, False, 1), (1, True, 3)])
def test_xla_takes_no_more_than_predicted_and_not_much_less(devices: int, remat: bool, seeds: int) -> None:
    settings = {"depth": 62, "width": 8, "remat": remat}
    config = small(model=settings, train={"batch_size": 64}, parallel={"devices": devices, "strategy": "jit"})
    config.seeds = seeds
    model, program, *_ = chunked(config)
    taken = devices * (program.memory_analysis().temp_size_in_bytes + seeds * 2 * 4 * parameters(model))
    activations = activation_bytes(model, 64)
    predicted = training_bytes(model, 64, seeds, devices, kept=2, vmapped=False, activations=activations)
    assert 0.6 * predicted < taken <= predicted
