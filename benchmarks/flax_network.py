"""The CIFAR nets of He et al. 2015 in plain flax.linen, written as the Flax examples write theirs."""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

CONV = partial(nn.Conv, use_bias=False, kernel_init=nn.initializers.he_normal())


class Block(nn.Module):
    """Two 3x3 convolutions; h = x + f, or h = f. Where shapes change x comes by option A."""

    channels: int
    stride: int
    residual: bool

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """The unit's output."""
        norm = partial(nn.BatchNorm, use_running_average=not train, momentum=0.9, epsilon=1e-5)
        f = CONV(self.channels, (3, 3), (self.stride, self.stride), padding=1)(x)
        f = nn.relu(norm()(f))
        f = norm()(CONV(self.channels, (3, 3), padding=1)(f))
        if not self.residual:
            return nn.relu(f)
        x = x[:, :: self.stride, :: self.stride]
        return nn.relu(f + jnp.pad(x, [(0, 0), (0, 0), (0, 0), (0, self.channels - x.shape[-1])]))


class ResNet(nn.Module):
    """3x3 stem, three stages of (depth - 2) / 6 blocks at 16, 32, 64 channels, mean over pixels, a classifier."""

    depth: int
    residual: bool
    classes: int = 10

    @nn.compact
    def __call__(self, x: Array, train: bool = True) -> Array:
        """Logits (batch, classes)."""
        x = CONV(16, (3, 3), padding=1)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9, epsilon=1e-5)(x))
        for stage in range(3):
            for number in range((self.depth - 2) // 6):
                stride = 2 if stage > 0 and number == 0 else 1
                x = Block(16 * 2**stage, stride, self.residual)(x, train)
        return nn.Dense(self.classes, kernel_init=nn.initializers.he_normal())(x.mean((1, 2)))
