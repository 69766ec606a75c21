"""The instruments, by name."""

from resjax.lab.lesion import LESION
from resjax.lab.paths import PATHS
from resjax.lab.shattering import SHATTERING

INSTRUMENTS = {instrument.name: instrument for instrument in (LESION, PATHS, SHATTERING)}
