"""What is in a run's folder: the files' names and the tables' columns."""

from typing import Any

import polars as pl

from resjax.records.quantities import QUANTITIES

RUN, METRICS, LAYERS, PARTS, LOCK = "run.json", "metrics.jsonl", "layers.parquet", "layers.parts", ".lock"
TRAIN_LAYERS = "train_layers.parquet"
LOG, ERROR, RESERVE, CHECKPOINTS = "log.txt", "error.txt", ".reserve", "checkpoints"
ATTEMPTS, LAUNCHES = "attempts", "launches"
RUNS = "runs.json"  # every run of a sweep, in a folder of compact records

Schema = dict[str, Any]
METRICS_SCHEMA: Schema = {
    "step": pl.Int64,
    "seed": pl.Int64,
    "epoch": pl.Float64,
    "learning_rate": pl.Float64,
    "train_loss": pl.Float64,
    "train_error": pl.Float64,
    "grad_norm": pl.Float64,
    "test_loss": pl.Float64,
    "test_error": pl.Float64,
    "test_loss_10crop": pl.Float64,  # of ten crops, at the last step (data.ten_crop)
    "test_error_10crop": pl.Float64,
    "validation_loss": pl.Float64,
    "validation_error": pl.Float64,
    "not_finite": pl.List(pl.String),
}
LAYERS_KEY: Schema = {
    "step": pl.Int64,
    "seed": pl.Int64,
    "layer": pl.Int64,
    "name": pl.String,
    "stage": pl.Int64,
    "kind": pl.String,
    "layer_depth": pl.Int64,
}
LAYERS_SCHEMA: Schema = LAYERS_KEY | dict.fromkeys(QUANTITIES, pl.Float64)
TRAIN_LAYERS_SCHEMA: Schema = LAYERS_KEY | {"train_grad_norm": pl.Float64}
TABLES: dict[str, Schema] = {LAYERS: LAYERS_SCHEMA, TRAIN_LAYERS: TRAIN_LAYERS_SCHEMA}

# What the lab's instruments write, a row each. moment: start or end of training; unit: its number, the stem is 0.
LAB_TABLES: dict[str, Schema] = {
    "lesion": {
        "seed": pl.Int64,
        "kind": pl.String,  # intact, one, many, exchanged
        "unit": pl.Int64,
        "name": pl.String,
        "changes_shape": pl.Boolean,
        "count": pl.Int64,  # units deleted, or exchanges
        "draw": pl.Int64,
        "tau": pl.Float64,
        "loss": pl.Float64,
        "error": pl.Float64,
    },
    "paths": {
        "seed": pl.Int64,
        "moment": pl.String,
        "kind": pl.String,  # full: the whole gradient; path: one path's; total: all paths' of a length; largest: |G(z)|
        "choices": pl.Int64,  # units with a branch and a shortcut, n
        "branches": pl.Int64,  # of these units, those passed by the branch, k
        "length": pl.Int64,  # of all units, those passed by the branch
        "draw": pl.Int64,
        "grad_norm": pl.Float64,  # |dL_i/dh_0|, mean over examples; null: a total below rounding
    },
    "shattering": {
        "seed": pl.Int64,
        "moment": pl.String,
        "kind": pl.String,  # line: gradients in h along a line of inputs; pair: in the weights, of two examples
        "line": pl.Int64,
        "unit": pl.Int64,  # in whose output; null: in the images
        "name": pl.String,
        "layers_behind": pl.Int64,  # weight layers from there to the logits
        "units_behind": pl.Int64,
        "lag": pl.Int64,  # in points of the line
        "autocorrelation": pl.Float64,  # null where the gradient does not vary
        "one": pl.Int64,
        "other": pl.Int64,
        "same_class": pl.Boolean,
        "cosine": pl.Float64,  # of the two gradients; on a line the mean over all that are so far apart
    },
    "similarity": {  # beside (about.json): the run that other_unit is of, null: this run
        "seed": pl.Int64,
        "beside_seed": pl.Int64,  # null: within the net
        "unit": pl.Int64,
        "name": pl.String,
        "other_unit": pl.Int64,
        "other_name": pl.String,
        "cka": pl.Float64,
    },
    "readout": {
        "seed": pl.Int64,
        "moment": pl.String,
        "unit": pl.Int64,  # null: the images before it, or the network itself behind it
        "name": pl.String,
        "layer_depth": pl.Int64,
        "features": pl.Int64,  # numbers that are read, null: no read-out
        "ridge": pl.Float64,  # in units of the features' mean variance
        "train_error": pl.Float64,
        "test_error": pl.Float64,
    },
    "landscape": {
        "seed": pl.Int64,
        "kind": pl.String,  # line, grid
        "statistics": pl.String,  # batch norm's: running, batch; none: the net has none
        "plane": pl.Int64,  # of two random directions; a line is where beta is 0, the grid is of plane 0
        "alpha": pl.Float64,
        "beta": pl.Float64,
        "loss": pl.Float64,  # of the training images; null: not finite
        "error": pl.Float64,
        "examples": pl.Int64,
    },
    "jacobian": {
        "seed": pl.Int64,
        "moment": pl.String,
        "unit": pl.Int64,
        "name": pl.String,
        "layers_behind": pl.Int64,  # weight layers between the unit's output and the last unit's
        "example": pl.Int64,  # its place in the test set
        "dimension": pl.Int64,  # entries of the last unit's output, over which means and quantiles are
        "sigma_max": pl.Float64,
        "sigma_rms": pl.Float64,
        "sigma_min": pl.Float64,  # null where the steps do not tell
        "participation": pl.Float64,  # mean(sigma^2)^2 / mean(sigma^4)
        "rank": pl.Int64,  # null where the Jacobian was not made whole
        "residual": pl.Float64,  # of the largest sigma^2, relative
        "sigma_10": pl.Float64,  # quantiles
        "sigma_25": pl.Float64,
        "sigma_50": pl.Float64,
        "sigma_75": pl.Float64,
        "sigma_90": pl.Float64,
    },
    "hessian": {
        "seed": pl.Int64,
        "moment": pl.String,
        "kind": pl.String,  # spectrum: the extremes from one random start; node: of its quadrature; map: at a point
        "probe": pl.Int64,  # the random start's number
        "alpha": pl.Float64,  # the point, along two filter-normalised directions
        "beta": pl.Float64,
        "loss": pl.Float64,
        "lambda_max": pl.Float64,
        "lambda_max_residual": pl.Float64,  # an eigenvalue is as near as this
        "lambda_min": pl.Float64,
        "lambda_min_residual": pl.Float64,
        "node": pl.Float64,
        "weight": pl.Float64,  # of a start's nodes, together 1
        "residual": pl.Float64,
        "parameters": pl.Int64,
    },
}
