"""Augmentation inside jit, a function of one key an image."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

PAD = 4


def crop_flip(
    keys: Array, images: Float[Array, "batch height width channel"]
) -> Float[Array, "batch height width channel"]:
    """Pad 4 zeros on every side, cut out a random window of the old size, mirror with probability 1/2.

    For standardised images, so that the padding is the mean image's value (He et al. 2015, section 4.2).
    """
    return jax.vmap(_crop_flip_one)(keys, images)


def _crop_flip_one(key: Array, image: Array) -> Array:
    crop_key, flip_key = jax.random.split(key)
    padded = jnp.pad(image, [(PAD, PAD), (PAD, PAD), (0, 0)])
    top, left = jax.random.randint(crop_key, (2,), 0, 2 * PAD + 1)
    window = lax.dynamic_slice(padded, (top, left, 0), image.shape)
    return jnp.where(jax.random.bernoulli(flip_key), window[:, ::-1], window)
