"""What each column of layers.parquet is. L is the mean loss on the probe batch, in nats; null where it has no meaning.

A row is a step, a seed and a weight layer (kind conv, dense, projection, gate, auxiliary) or a unit (kind unit). Batch
statistics are the probe batch's own, a group on its own; all is before that step's update.
"""

from dataclasses import dataclass

WEIGHTS, UNITS, BOTH = "weight layers", "units", "weight layers and units"


@dataclass(frozen=True)
class Quantity:
    """A column. of: the rows that have it; what: its equation, its unit, when it is null."""

    of: str
    what: str


KEYS = {
    "step": "updates before this look",
    "seed": "the seed",
    "layer": "number in forward order, 0 nearest the input; weight layers and units each have their own",
    "name": "such as stage2.unit3.conv1, or stage2.unit3 for a unit",
    "stage": "0 is the stem; the head is one more than the last",
    "kind": "conv, dense, projection, gate, auxiliary; unit",
    "layer_depth": "weight layers on the longest way from the images to the row's output, itself included",
}
QUANTITIES = {
    "grad_norm": Quantity(WEIGHTS, "|dL/dw|, Euclidean"),
    "grad_rms": Quantity(WEIGHTS, "|dL/dw| / sqrt(entries of w)"),
    "weight_norm": Quantity(WEIGHTS, "|w|"),
    "update_ratio": Quantity(WEIGHTS, "|change of w that this gradient would make| / |w|, at the step's learning rate"),
    "grad_cosine": Quantity(
        WEIGHTS, "cosine of dL/dw and that of the same layer of the equal unit before; null where none is before"
    ),
    "grad_snr": Quantity(
        WEIGHTS,
        "signal to noise |g| / sqrt(sum_k |g_k - g|^2 / (K - 1)), g = dL/dw and g_k that of the mean loss of part k of "
        "K = probes.parts; noise alone gives about 1 / sqrt(K); null where probes.parts=0",
    ),
    "response_std": Quantity(
        BOTH,
        "standard deviation, over batch, space and channels, of the response: the weight layer's output behind its "
        "norm, before the activation or the addition (He et al. 2015, fig. 7); of a unit: its last layer's, null where "
        "paths are side by side; null for shortcuts and heads",
    ),
    "act_grad_norm": Quantity(UNITS, "|dL/dh|, h the unit's output for the whole probe batch"),
    "act_grad_cosine": Quantity(
        UNITS,
        "cosine of dL/dh and dL/dx, x the unit's input, through the unit alone; null where shapes differ",
    ),
    "act_rms": Quantity(UNITS, "root mean square of h over batch, space and channels"),
    "act_var": Quantity(UNITS, "variance of h over batch and space, a channel on its own, mean over channels"),
    "act_correlation": Quantity(UNITS, "mean of cos(h_i, h_j) over all pairs of different examples"),
    "dead_fraction": Quantity(UNITS, "fraction of channels that are zero on every example and at every place"),
    "branch_var": Quantity(UNITS, "act_var of what the branch adds, scales and gates included"),
    "skip_var": Quantity(UNITS, "act_var of what the shortcut adds; null where there is none"),
    "branch_ratio": Quantity(
        UNITS, "root mean square of what the branch adds over that of what the shortcut adds; null where there is none"
    ),
    "example_grad_norm_min": Quantity(
        WEIGHTS, "smallest |dL_i/dw| over the examples i, L_i the loss of one; null unless probes.per_example"
    ),
    "example_grad_norm_max": Quantity(WEIGHTS, "largest |dL_i/dw|, likewise"),
    "example_act_grad_norm_min": Quantity(
        UNITS, "smallest |dL_i/dh| over the examples i, h for the whole batch; null unless probes.per_example"
    ),
    "example_act_grad_norm_max": Quantity(UNITS, "largest |dL_i/dh|, likewise"),
}
