"""2-D convolution, and how to write it so that XLA's CPU backend runs it fast inside loops.

That backend rewrites convolutions to its fast form (NHWC input, HWIO kernel, channels innermost) in the entry
computation only; inside a loop the transposed forms that autodiff makes fall to a generic routine that is 20 to 60
times slower (measured once, on two cores). Here both gradients are convolutions in that form, or a matrix product.
docs/performance.md has the times; on other backends XLA's own forms are used.

Where seeds stand side by side, vmap makes a grouped convolution of theirs, which is slow. As products of patches it
makes one product of them, whose batch axis is the seed.
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
    x: Float[Array, "batch _height _width channel"],
    kernel: Float[Array, "_ _ channel out_channel"],
    stride: int = 1,
    products: bool = False,
) -> Float[Array, "batch _out_height _out_width out_channel"]:
    """Convolution with k//2 zeros on every side, k odd: out_size = floor((size - 1) / stride) + 1.

    products: it and its gradients as matrix products of patches.
    """
    if kernel.shape[:2] == (1, 1):
        return x[:, ::stride, ::stride] @ kernel[0, 0]
    on_cpu = jax.default_backend() == "cpu"
    # XLA's CPU backend has no fast form for a window that is larger than the image: 100 times slower at 512 channels.
    if products or (on_cpu and min(x.shape[1:3]) < max(kernel.shape[:2])):
        return _product(x, kernel, stride)
    if on_cpu:
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
    with jax.named_scope("input_gradient"):
        dx = _input_gradient(dy, kernel, x.shape, stride)
    with jax.named_scope("kernel_gradient"):
        return dx, _kernel_gradient(x, dy, kernel.shape, stride)


_canonical.defvjp(_forward, _backward)


def _two_pixels_at_once(x: Images, kernel: Kernel) -> Images:
    """The same with twice the channels: each window, a pixel wider, gives two neighbours in a row."""
    height, width, channels, out_channels = kernel.shape
    pair = [_with_zeros(kernel, [(0, 0), (left, 1 - left), (0, 0), (0, 0)]) for left in range(2)]
    wide = jnp.stack(pair, axis=3).reshape(height, width + 1, channels, 2 * out_channels)
    pads = [(size // 2, size // 2) for size in (height, width)]
    y = lax.conv_general_dilated(x, wide, (1, 2), pads, dimension_numbers=LAYOUT)
    return y.reshape(*x.shape[:3], out_channels)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _input_gradient(dy: Images, kernel: Kernel, shape: tuple[int, ...], stride: int) -> Images:
    """dL/dx: dy with stride-1 zeros between its pixels, convolved with the flipped, transposed kernel."""
    flipped = kernel[::-1, ::-1].swapaxes(2, 3)
    if stride == 1:
        return _canonical(dy, flipped, 1)
    pads = _pads_of_gradient(kernel, shape, stride)
    return lax.conv_general_dilated(dy, flipped, (1, 1), pads, lhs_dilation=(stride, stride), dimension_numbers=LAYOUT)


def _pads_of_gradient(kernel: Kernel, shape: tuple[int, ...], stride: int) -> list[tuple[int, int]]:
    """Zeros around dy, with more at the far end for the pixels of x that no window reaches."""
    return [(k // 2, k // 2 + (size - 1) % stride) for k, size in zip(kernel.shape[:2], shape[1:3], strict=True)]


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _kernel_gradient(x: Images, dy: Images, shape: tuple[int, ...], stride: int) -> Kernel:
    """dL/dK[i, j] = sum over the batch and dy's places of x[s h + i - height//2, s w + j - width//2]^T dy[h, w]."""
    rows, columns = dy.shape[1:3]
    if stride == 1 and x.dtype == jnp.float32 and rows * (shape[1] - 1) >= columns:
        return _as_convolution(x, dy, shape)
    return _as_product(x, dy, shape, stride)


def _of_input_gradient(
    shape: tuple[int, ...], stride: int, saved: tuple[Images, Kernel], along: Images
) -> tuple[Images, Kernel]:
    """<along, dx> = <dy, conv(along, K)>: so second derivatives, too, are in the forms that are fast."""
    dy, kernel = saved
    return _canonical(along, kernel, stride), _kernel_gradient(along, dy, kernel.shape, stride)


def _of_kernel_gradient(
    shape: tuple[int, ...], stride: int, saved: tuple[Images, Images], along: Kernel
) -> tuple[Images, Images]:
    """<along, dK> = <dy, conv(x, along)>."""
    x, dy = saved
    return _input_gradient(dy, along, x.shape, stride), _canonical(x, along, stride)


_input_gradient.defvjp(
    lambda dy, kernel, shape, stride: (_input_gradient(dy, kernel, shape, stride), (dy, kernel)), _of_input_gradient
)
_kernel_gradient.defvjp(
    lambda x, dy, shape, stride: (_kernel_gradient(x, dy, shape, stride), (x, dy)), _of_kernel_gradient
)


def _as_convolution(x: Images, dy: Images, shape: tuple[int, ...]) -> Kernel:
    """Of stride 1: each channel of x is an image, dy the window over it, and the examples are what is summed over.

    XLA's CPU backend gives a convolution to YNNPACK or to Eigen, which is the faster one for windows as large as the
    image. YNNPACK takes none that is longer than it: hence the row of zeros that dy has more. XLA would exchange the
    two where the window has more pixels, and would make zeros around the image part of the convolution, and there is
    no fast form for that: hence the columns of zeros in x, and the barrier.
    """
    height, width = shape[:2]
    image = _with_zeros(x.transpose(3, 1, 2, 0), [(0, 0), (0, 0), (width // 2, width // 2), (0, 0)])
    window = _with_zeros(dy.transpose(1, 2, 0, 3), [(0, 1), (0, 0), (0, 0), (0, 0)])
    pads = [(height // 2, height // 2 + 1), (0, 0)]
    image, window = lax.optimization_barrier((image, window))
    return lax.conv_general_dilated(image, window, (1, 1), pads, dimension_numbers=LAYOUT).transpose(1, 2, 0, 3)


def _as_product(x: Images, dy: Images, shape: tuple[int, ...], stride: int) -> Kernel:
    """One matrix product: all the shifted x side by side, times dy."""
    height, width, _, out_channels = shape
    padded = _with_zeros(x, [(0, 0), (height // 2, height // 2), (width // 2, width // 2), (0, 0)])
    patches = _patches(padded, (height, width), stride)
    rows = patches.reshape(-1, patches.shape[-1])
    # Kept apart from the transposition, which XLA would move into the product, where it costs twice the time.
    turned = lax.optimization_barrier(dy.reshape(-1, out_channels).T @ rows)
    return turned.T.reshape(shape)


def _with_zeros(x: Array, pads: list[tuple[int, int]]) -> Array:
    """x with so many zeros before and behind, an axis each.

    Not jnp.pad, whose zero is a constant: second derivatives inside a scan mistake one for a residual (jax 0.10.2).
    """
    return lax.pad(x, jnp.zeros((), x.dtype), [(*pad, 0) for pad in pads])


def _patches(padded: Images, sides: tuple[int, ...], stride: int) -> Images:
    """Every window's pixels along the channels, (i, j, channel); the zeros around are there already."""
    ends = [(size - side) // stride * stride + 1 for size, side in zip(padded.shape[1:3], sides, strict=True)]
    shifts = [(i, j) for i in range(sides[0]) for j in range(sides[1])]
    return jnp.concatenate([padded[:, i : i + ends[0] : stride, j : j + ends[1] : stride] for i, j in shifts], axis=-1)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _product(x: Images, kernel: Kernel, stride: int) -> Images:
    return _times_patches(x, kernel, [(side // 2, side // 2) for side in kernel.shape[:2]], stride)


def _product_forward(x: Images, kernel: Kernel, stride: int) -> tuple[Images, tuple[Images, Kernel]]:
    return _product(x, kernel, stride), (x, kernel)


def _product_backward(stride: int, saved: tuple[Images, Kernel], dy: Images) -> tuple[Images, Kernel]:
    """The patches are made again: kept, they would be as many times larger than x as the kernel has pixels."""
    x, kernel = saved
    with jax.named_scope("input_gradient"):
        pads = _pads_of_gradient(kernel, x.shape, stride)
        dx = _times_patches(dy, kernel[::-1, ::-1].swapaxes(2, 3), pads, apart=stride)
    with jax.named_scope("kernel_gradient"):
        return dx, _as_product(x, dy, kernel.shape, stride)


_product.defvjp(_product_forward, _product_backward)


def _times_patches(x: Images, kernel: Kernel, pads: list[tuple[int, int]], stride: int = 1, apart: int = 1) -> Images:
    """Patches of x, its pixels `apart`, times the kernel: (rows, k k channels) @ (k k channels, out_channels)."""
    around = [(before, after, apart - 1) for before, after in pads]
    padded = lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *around, (0, 0, 0)])
    return _patches(padded, kernel.shape[:2], stride) @ kernel.reshape(-1, kernel.shape[-1])
