"""The instruments, by name."""

from resjax.lab.lesion import LESION

INSTRUMENTS = {instrument.name: instrument for instrument in (LESION,)}
