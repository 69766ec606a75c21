"""What the lab found of the runs, a part an instrument: a function of records alone."""

from collections.abc import Callable

from resjax.records import Sweep
from resjax.report.groups import Pool
from resjax.report.lab.found import Found, Part, found
from resjax.report.lab.hessian import hessian
from resjax.report.lab.jacobian import jacobian
from resjax.report.lab.landscape import landscape
from resjax.report.lab.lesion import lesion
from resjax.report.lab.paths import paths
from resjax.report.lab.readout import readout
from resjax.report.lab.shattering import shattering
from resjax.report.lab.similarity import similarity

__all__ = ["Part", "parts"]

PARTS: dict[str, Callable[[Found], Part]] = {
    "lesion": lesion,
    "paths": paths,
    "shattering": shattering,
    "jacobian": jacobian,
    "landscape": landscape,
    "hessian": hessian,
    "similarity": similarity,
    "readout": readout,
}


def parts(pooled: Pool, sweep: Sweep) -> list[Part]:
    """Those for which there are tables."""
    there = [(make, found(pooled, sweep, name)) for name, make in PARTS.items()]
    return [make(one) for make, one in there if one is not None]
