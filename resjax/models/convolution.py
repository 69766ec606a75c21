"""2-D convolution, and how to write it so that XLA's CPU backend runs it fast inside loops.

That backend rewrites convolutions to its fast form (NHWC input, HWIO kernel, channels innermost) in the entry
computation only; inside a loop the transposed forms that autodiff makes fall to a generic routine that is 20 to 60
times slower. Here the input's gradient is a convolution in that form, and the kernel's a matrix product.
docs/performance.md has the figures; on other backends XLA's own forms are used.
"""

from collections.abc import Iterable
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
    channels, out_channels = kernel.shape[2:]
    narrow = out_channels < 16 or (out_channels == 16 and channels < 32)  # measured: too few for XLA's fast form
    if narrow and stride == 1 and x.shape[2] % 2 == 0:
        return _two_pixels_at_once(x, kernel)
    return _convolve(x, kernel, stride)


def _forward(x: Images, kernel: Kernel, stride: int) -> tuple[Images, tuple[Images, Kernel]]:
    return _canonical(x, kernel, stride), (x, kernel)


def _backward(stride: int, saved: tuple[Images, Kernel], dy: Images) -> tuple[Images, Kernel]:
    x, kernel = saved
    return _input_gradient(dy, kernel, x.shape, stride), _kernel_gradient(x, dy, kernel.shape, stride)


_canonical.defvjp(_forward, _backward)


def _two_pixels_at_once(x: Images, kernel: Kernel) -> Images:
    """The same with twice the channels: each window, a pixel wider, gives two neighbours in a row."""
    height, width, channels, out_channels = kernel.shape
    pair = [jnp.pad(kernel, [(0, 0), (left, 1 - left), (0, 0), (0, 0)]) for left in range(2)]
    wide = jnp.stack(pair, axis=3).reshape(height, width + 1, channels, 2 * out_channels)
    pads = [(size // 2, size // 2) for size in (height, width)]
    y = lax.conv_general_dilated(x, wide, (1, 2), pads, dimension_numbers=LAYOUT)
    return y.reshape(*x.shape[:3], out_channels)


def _input_gradient(dy: Images, kernel: Kernel, shape: tuple[int, ...], stride: int) -> Images:
    """dL/dx: dy with stride-1 zeros between its pixels, convolved with the flipped, transposed kernel."""
    flipped = kernel[::-1, ::-1].swapaxes(2, 3)
    if stride == 1:
        return _canonical(dy, flipped, 1)
    unused = [(size - 1) % stride for size in shape[1:3]]  # pixels at the far end that no window reaches
    pads = [(k // 2, k // 2 + rest) for k, rest in zip(kernel.shape[:2], unused, strict=True)]
    return lax.conv_general_dilated(dy, flipped, (1, 1), pads, lhs_dilation=(stride, stride), dimension_numbers=LAYOUT)


def _kernel_gradient(x: Images, dy: Images, shape: tuple[int, ...], stride: int) -> Kernel:
    """dL/dK[i, j] = sum over the batch and dy's places of x[s h + i - height//2, s w + j - width//2]^T dy[h, w].

    One product over all i, j at once. At stride 1 the shifts by j are laid side by side in x, those by i in dy: 3 + 3
    copies for a 3x3 kernel instead of 9.
    """
    height, width, channels, out_channels = shape
    rows, columns = dy.shape[1:3]
    padded = jnp.pad(x, [(0, 0), (height // 2, height // 2), (width // 2, width // 2), (0, 0)])
    if stride > 1:
        ends = [stride * (size - 1) + 1 for size in (rows, columns)]
        shifts = [(i, j) for i in range(height) for j in range(width)]
        patches = _side_by_side(padded[:, i : i + ends[0] : stride, j : j + ends[1] : stride] for i, j in shifts)
        # Kept apart from the transposition, which XLA would move into the product, where it costs twice the time.
        turned = lax.optimization_barrier(dy.reshape(-1, out_channels).T @ patches)
        return turned.T.reshape(shape)
    beyond = height - 1
    raised = jnp.pad(dy, [(0, 0), (beyond, beyond), (0, 0), (0, 0)])
    xs = _side_by_side(padded[:, :, j : j + columns] for j in range(width))
    dys = _side_by_side(raised[:, beyond - i : 2 * beyond - i + rows] for i in range(height))
    return (xs.T @ dys).reshape(width, channels, height, out_channels).transpose(2, 0, 1, 3)


def _side_by_side(parts: Iterable[Images]) -> Float[Array, "place channel"]:
    """Arrays of one shape along their channels; a row a place of an example."""
    joined = jnp.concatenate(list(parts), axis=-1)
    return joined.reshape(-1, joined.shape[-1])
