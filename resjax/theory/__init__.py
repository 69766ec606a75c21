"""What theory expects of a network at initialisation: mean-field recursions, without JAX and without a network."""

from resjax.theory.chain import Unpredicted
from resjax.theory.profile import ASSUMPTIONS, OF_BATCH_NORM, Profile, profile

__all__ = ["ASSUMPTIONS", "OF_BATCH_NORM", "Profile", "Unpredicted", "profile"]
