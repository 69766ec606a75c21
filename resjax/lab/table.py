"""The instruments, by name."""

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
        LANDSCAPE,
        SIMILARITY,
        READOUT,
    )
}
