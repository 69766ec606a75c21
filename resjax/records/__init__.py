"""Run folders, runs/<sweep>/<readable name>-<12 hex of the id>/: the only place that writes and reads them.

run.json        what ran and how it ended; written whole, then renamed
metrics.jsonl   one strict-JSON row a logged step and seed; a value that is not finite is null and named in not_finite
layers.parquet  one row a probed step, seed and layer; in parts while the run goes on
train_layers.parquet  one row a logged step, seed and weight layer, with probes.train_grad_norm; in parts, too
checkpoints/, log.txt, error.txt
"""

from resjax.records.quantities import QUANTITIES
from resjax.records.reading import Sweep, find, read, read_layers, read_metrics, read_train_layers, run_folders, state
from resjax.records.schema import ATTEMPTS, LAYERS_SCHEMA, METRICS_SCHEMA, PARTS, RUN
from resjax.records.writing import Recorder, write_frame

__all__ = [
    "ATTEMPTS",
    "LAYERS_SCHEMA",
    "METRICS_SCHEMA",
    "PARTS",
    "QUANTITIES",
    "RUN",
    "Recorder",
    "Sweep",
    "find",
    "read",
    "read_layers",
    "read_metrics",
    "read_train_layers",
    "run_folders",
    "state",
    "write_frame",
]
