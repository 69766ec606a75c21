"""The treatment: how a unit's input x joins its branch's output f. A shortcut is one function and one row below.

Each is called as shortcut(x, f, at) and gives h before the activation. x has f's shape if the row names pad_channels:
where the unit subsamples or widens, it comes subsampled and with zero channels (option A; He et al. 2015, section 3.3).
`at` (models/junction.py) gives what has weights or chance: at.gate() and at.projection() of the unit's own input,
at.scale, at.drop(x), at.survives(), at.append(x, f); and the settings that the row names, at.settings.

Nothing here imports JAX, so that a mistyped shortcut is refused within a second.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HE_2015 = "He et al. 2015, arXiv:1512.03385"
HE_2016 = "He et al. 2016, arXiv:1603.05027"


def none(x: Any, f: Any, at: Any) -> Any:
    """No shortcut, h = f: the plain net."""
    return f


def identity(x: Any, f: Any, at: Any) -> Any:
    """Identity shortcut, h = x + f (He et al. 2015, eq. 1)."""
    return x + f


def projection(x: Any, f: Any, at: Any) -> Any:
    """Projection shortcut, h = W_s x + f, W_s a 1x1 convolution, normalised where the branch is (eq. 2)."""
    return at.projection() + f


def scaled(x: Any, f: Any, at: Any) -> Any:
    """Constant scaling, h = a x + b f (He et al. 2016, section 3.1)."""
    return at.settings.shortcut_scale * x + at.settings.branch_scale * f


def exclusive_gate(x: Any, f: Any, at: Any) -> Any:
    """Exclusive gating, h = (1 - g) x + g f with g = sigmoid(W_g x + b_g) (He et al. 2016, section 3.1)."""
    g = at.gate()
    return (1 - g) * x + g * f


def shortcut_gate(x: Any, f: Any, at: Any) -> Any:
    """Shortcut-only gating, h = (1 - g) x + f (He et al. 2016, section 3.1)."""
    return (1 - at.gate()) * x + f


def dropout(x: Any, f: Any, at: Any) -> Any:
    """Dropout on the shortcut, h = D(x) + f (He et al. 2016, section 3.1)."""
    return at.drop(x) + f


def learned_scale(x: Any, f: Any, at: Any) -> Any:
    """A learned scalar on the branch, h = x + alpha f, alpha = 0 at step 0 (ReZero, SkipInit)."""
    return x + at.scale * f


def stochastic_depth(x: Any, f: Any, at: Any) -> Any:
    """Whole branches fall out in training, h = x + b_l f, b_l ~ Bernoulli(p_l); p_l f in testing (Huang et al. 2016).

    p_l = 1 - (l / L) (1 - p_L) for unit l of L, p_L = model.survival (eq. 4 there).
    """
    return x + at.survives() * f


def concat(x: Any, f: Any, at: Any) -> Any:
    """Concatenation along the channels, h = [x, f] (DenseNet; Huang et al. 2017, eq. 2)."""
    return at.append(x, f)


@dataclass(frozen=True)
class Shortcut:
    """A row of the table.

    needs: its weights in a unit, of projection (1x1, with the branch's norm), conv1x1 (bare), gate (1x1), wide_gate (as
    wide as the branch's first kernel), scale (one number). settings: those of the model that it reads.
    elsewhere: what joins in the units that keep their shape, where that is another function. widens: h has the
    channels of x and f.
    """

    join: Callable[[Any, Any, Any], Any]
    equation: str
    paper: str
    needs: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    elsewhere: Callable[[Any, Any, Any], Any] | None = None
    widens: bool = False


SHORTCUTS = {
    "none": Shortcut(none, "h = f", HE_2015),
    "identity": Shortcut(identity, "h = x + f; option A where shapes change", HE_2015, settings=("pad_channels",)),
    "projection_b": Shortcut(
        projection,
        "h = norm(W x) + f where shapes change, h = x + f elsewhere",
        HE_2015,
        needs=("projection",),
        elsewhere=identity,
    ),
    "projection_c": Shortcut(projection, "h = norm(W x) + f in every unit", HE_2015, needs=("projection",)),
    "scaled": Shortcut(scaled, "h = a x + b f", HE_2016, settings=("shortcut_scale", "branch_scale", "pad_channels")),
    "exclusive_gate": Shortcut(
        exclusive_gate,
        "h = (1 - g) x + g f, g = sigmoid(W x + b), W 1x1",
        HE_2016,
        needs=("gate",),
        settings=("gate_bias", "pad_channels"),
    ),
    "shortcut_gate": Shortcut(
        shortcut_gate,
        "h = (1 - g) x + f, g = sigmoid(W x + b), W 1x1",
        HE_2016,
        needs=("gate",),
        settings=("gate_bias", "pad_channels"),
    ),
    "conv1x1": Shortcut(projection, "h = W x + f, W 1x1, in every unit", HE_2016, needs=("conv1x1",)),
    "dropout": Shortcut(dropout, "h = dropout(x) + f", HE_2016, settings=("shortcut_dropout", "pad_channels")),
    "highway": Shortcut(
        exclusive_gate,
        "h = (1 - g) x + g f, g = sigmoid(W x + b), W like the branch's",
        "Srivastava et al. 2015, arXiv:1505.00387",
        needs=("wide_gate",),
        settings=("gate_bias", "pad_channels"),
    ),
    "rezero": Shortcut(
        learned_scale,
        "h = x + alpha f, alpha learned from 0",
        "Bachlechner et al. 2020, arXiv:2003.04887",
        needs=("scale",),
        settings=("pad_channels",),
    ),
    "skipinit": Shortcut(
        learned_scale,
        "h = x + alpha f, alpha learned from 0; in place of norm",
        "De and Smith 2020, arXiv:2002.10444",
        needs=("scale",),
        settings=("pad_channels",),
    ),
    "stochastic_depth": Shortcut(
        stochastic_depth,
        "h = x + b f, b ~ Bernoulli(p_l); p_l f in testing",
        "Huang et al. 2016, arXiv:1603.09382",
        settings=("survival", "pad_channels"),
    ),
    "concat": Shortcut(concat, "h = [x, f]", "Huang et al. 2017, arXiv:1608.06993", widens=True),
}
