"""2-D convolution whose backward pass stays fast inside scans on the CPU.

XLA's CPU backend rewrites convolutions to its fast form (NHWC input, HWIO kernel, channels innermost) in the
entry computation only; inside a loop, the transposed forms that autodiff makes fall to a generic routine that is
20 to 60 times slower. Here both gradients are written as convolutions in that form.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Images = Float[Array, "_batch _height _width _channel"]
Kernel = Float[Array, "_height _width _in_channel _out_channel"]
LAYOUT = ("NHWC", "HWIO", "NHWC")


def conv2d(
    x: Float[Array, "batch _height _width channel"], kernel: Float[Array, "_ _ channel out_channel"], stride: int = 1
) -> Float[Array, "batch _out_height _out_width out_channel"]:
    """Convolution with k//2 zeros on every side, k odd: out_size = floor((size - 1) / stride) + 1."""
    if kernel.shape[:2] == (1, 1):
        return x[:, ::stride, ::stride] @ kernel[0, 0]
    if jax.default_backend() == "cpu":
        return _canonical(x, kernel, stride)
    return _convolve(x, kernel, stride)


def _convolve(x: Images, kernel: Kernel, stride: int) -> Images:
    pads = [(size // 2, size // 2) for size in kernel.shape[:2]]
    return lax.conv_general_dilated(x, kernel, (stride, stride), pads, dimension_numbers=LAYOUT)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _canonical(x: Images, kernel: Kernel, stride: int) -> Images:
    return _convolve(x, kernel, stride)


def _forward(x: Images, kernel: Kernel, stride: int) -> tuple[Images, tuple[Images, Kernel]]:
    return _convolve(x, kernel, stride), (x, kernel)


def _backward(stride: int, saved: tuple[Images, Kernel], dy: Images) -> tuple[Images, Kernel]:
    x, kernel = saved
    return _input_gradient(dy, kernel, x.shape, stride), _kernel_gradient(x, dy, kernel.shape, stride)


_canonical.defvjp(_forward, _backward)


def _unused(size: int, stride: int) -> int:
    """Pixels at the far end, padding included, that a strided convolution never reaches."""
    return (size - 1) % stride


def _input_gradient(dy: Images, kernel: Kernel, shape: tuple[int, ...], stride: int) -> Images:
    """dL/dx: dy with stride-1 zeros between its pixels, convolved with the flipped, transposed kernel."""
    flipped = kernel[::-1, ::-1].swapaxes(2, 3)
    pads = [(k // 2, k // 2 + _unused(n, stride)) for k, n in zip(kernel.shape[:2], shape[1:3], strict=True)]
    return lax.conv_general_dilated(dy, flipped, (1, 1), pads, lhs_dilation=(stride, stride), dimension_numbers=LAYOUT)


def _kernel_gradient(x: Images, dy: Images, shape: tuple[int, ...], stride: int) -> Kernel:
    """dL/dkernel: x convolved with dy, the channels of x as its batch and the batch as its channels."""
    pads = [(k // 2, k // 2 - _unused(n, stride)) for k, n in zip(shape[:2], x.shape[1:3], strict=True)]
    turned = lax.conv_general_dilated(
        jnp.transpose(x, (3, 1, 2, 0)),
        jnp.transpose(dy, (1, 2, 0, 3)),
        (1, 1),
        pads,
        rhs_dilation=(stride, stride),
        dimension_numbers=LAYOUT,
    )
    return jnp.transpose(turned, (1, 2, 0, 3))
