from dataclasses import replace

from resjax.config import CheckpointConfig, Config, ProbesConfig, TrainConfig
from resjax.training import agenda

CONFIG = replace(
    Config(),
    train=TrainConfig(steps=50, evaluate_every=20),
    probes=ProbesConfig(at=[0, 3, 4, 49], every=25),
    checkpoint=CheckpointConfig(every=15),
)
PROBED, SAVED, TESTED = {0, 3, 4, 25, 49}, {15, 30, 45}, {0, 20, 40}


def test_what_is_due_when() -> None:
    for due, steps in ((agenda.probed, PROBED), (agenda.saved, SAVED), (agenda.tested, TESTED)):
        assert {step for step in range(50) if due(CONFIG, step)} == steps


def test_a_chunk_ends_at_the_next_thing_due_and_nowhere_else() -> None:
    stops = sorted(PROBED | SAVED | TESTED | {50})
    for step in range(50):
        assert step + agenda.steps_until_due(CONFIG, step) == next(stop for stop in stops if stop > step)


def test_whether_anything_is_ever_probed() -> None:
    never = ProbesConfig(at=[50], every=0, last=False)
    assert not agenda.ever_probed(replace(CONFIG, probes=never))
    for probes in (replace(never, at=[49]), replace(never, every=50), replace(never, last=True)):
        assert agenda.ever_probed(replace(CONFIG, probes=probes))


def test_where_nothing_is_due_it_ends_with_the_training() -> None:
    quiet = replace(CONFIG, train=TrainConfig(steps=50), probes=ProbesConfig(at=[]), checkpoint=CheckpointConfig())
    assert agenda.steps_until_due(quiet, 0) == 50
    assert agenda.steps_until_due(quiet, 49) == 1
