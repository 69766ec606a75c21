import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from problems import digits, small

from resjax.data.stream import standardize, to_arrays
from resjax.models import build
from resjax.models.types import EVALUATE
from resjax.training.evaluation import make_evaluate
from resjax.training.packing import packings
from resjax.training.parallel import choose
from resjax.training.state import create, optimizer


@pytest.mark.parametrize("strategy", ["pmap", "jit"])
@pytest.mark.parametrize("batch", [512, 100])
def test_the_mean_is_over_every_example_once(strategy: str, batch: int) -> None:
    """360 examples: one padded batch, or three batches of 100 and a rest, on three devices."""
    config = small(model={"name": "mlp", "depth": 3, "width": 8}, train={"batch_size": 24})
    config.parallel.strategy, config.parallel.devices = strategy, 3
    source, layout = digits(), choose(config)
    model = build(config.model, (8, 8, 1), 10)
    states, _ = create(model, optimizer(config.optimizer), range(2))
    test = to_arrays(source.test, source.train, np.float32)
    place = layout.replicated()
    evaluate = make_evaluate(model, layout, jnp.float32, most=batch)
    part = test._replace(images=test.images[:50], labels=test.labels[:50])
    found = evaluate(jax.device_put(states, place), jax.device_put({"test": test, "part": part}, place))
    params_packing, stats_packing = packings(model)
    for seed in range(2):
        params, stats = params_packing.unpack(states.params[seed]), stats_packing.unpack(states.batch_stats[seed])
        logits = model.apply(params, stats, standardize(test, test.images), EVALUATE).logits
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, test.labels)
        for name, count in (("test", 360), ("part", 50)):
            wrong = np.mean((logits.argmax(-1) != test.labels)[:count])
            assert float(found[f"{name}_loss"][seed]) == pytest.approx(float(losses[:count].mean()), rel=1e-5)
            assert float(found[f"{name}_error"][seed]) == pytest.approx(float(wrong))
