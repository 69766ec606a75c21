"""Run folders, runs/<sweep>/<readable name>-<12 hex of the id>/: the only place that writes and reads them.

run.json        what ran and how it ended; written whole, then renamed
metrics.jsonl   one strict-JSON row a logged step and seed; a value that is not finite is null and named in not_finite
layers.parquet  one row a probed step, seed and layer; in parts while the run goes on
train_layers.parquet  one row a logged step, seed and weight layer, with probes.train_grad_norm; in parts, too
checkpoints/, log.txt, error.txt
lab/            what the lab found of the finished run, a folder for each instrument and its settings
"""

from resjax.records.files import append_log, kind_of, one_line, write_frame, write_json
from resjax.records.keeping import asked_of, keep, kept, note_asked, read, without_paths
from resjax.records.lab import LabRecorder, LabTable
from resjax.records.launches import Launch, freeze, planned, snapshot, thaw
from resjax.records.lock import BusyError, lock
from resjax.records.marks import Mark, problem
from resjax.records.quantities import QUANTITIES
from resjax.records.reading import (
    Sweep,
    facts_of,
    find,
    find_runs,
    flat,
    last_row,
    read_layers,
    read_metrics,
    read_train_layers,
    run_folders,
    state,
    sweep_named,
)
from resjax.records.schema import (
    ATTEMPTS,
    CHECKPOINTS,
    LAB_TABLES,
    LAUNCHES,
    LAYERS_SCHEMA,
    LOCK,
    METRICS,
    METRICS_SCHEMA,
    PARTS,
    RUN,
)
from resjax.records.states import facts_if_readable, fail, plan, planning
from resjax.records.writing import Recorder

__all__ = [
    "ATTEMPTS",
    "CHECKPOINTS",
    "LAB_TABLES",
    "LAUNCHES",
    "LAYERS_SCHEMA",
    "LOCK",
    "METRICS",
    "METRICS_SCHEMA",
    "PARTS",
    "QUANTITIES",
    "RUN",
    "BusyError",
    "LabRecorder",
    "LabTable",
    "Launch",
    "Mark",
    "Recorder",
    "Sweep",
    "append_log",
    "asked_of",
    "facts_if_readable",
    "facts_of",
    "fail",
    "find",
    "find_runs",
    "flat",
    "freeze",
    "keep",
    "kept",
    "kind_of",
    "last_row",
    "lock",
    "note_asked",
    "one_line",
    "plan",
    "planned",
    "planning",
    "problem",
    "read",
    "read_layers",
    "read_metrics",
    "read_train_layers",
    "run_folders",
    "snapshot",
    "state",
    "sweep_named",
    "thaw",
    "without_paths",
    "write_frame",
    "write_json",
]
