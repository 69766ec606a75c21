"""The instruments, by name."""

from resjax.lab.hessian import HESSIAN
from resjax.lab.jacobian import JACOBIAN
from resjax.lab.landscape import LANDSCAPE
from resjax.lab.lesion import LESION
from resjax.lab.paths import PATHS
from resjax.lab.readout import READOUT
from resjax.lab.shattering import SHATTERING
from resjax.lab.similarity import SIMILARITY

INSTRUMENTS = {
    instrument.name: instrument
    for instrument in (
        LESION,
        PATHS,
        SHATTERING,
        JACOBIAN,
        LANDSCAPE,
        HESSIAN,
        SIMILARITY,
        READOUT,
    )
}
