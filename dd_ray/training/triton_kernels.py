"""The kernels of `triton_convolutions`, which imports them when they are used.

Along each axis a pixel of the wide images, a tap of the kernel and a pixel of the narrow images belong together where

    wide = stride · narrow − padding + tap.

Pointers are to numbers of K trials, in float32 or, for images between layers, in bfloat16. They are contiguous for each
trial, and lie `*_trial` numbers apart (0: all trials share them). Tiles are [R, P], [R, C] and [P, C]: C channels, P
pixels of all images, R as each kernel says. Constants are pairs (y, x), for images (channels, height, width).

Neighbouring threads should read and write neighbouring pixels. If these are a stride apart, Triton 3.6 and 3.9 differ
in the side of a tile that they take first. `max_contiguous` tells them that it is the side of pixels; it has no other
effect where `multiple_of`, with the bytes of one number, allows only single numbers to be read. Two of bfloat16 are
written at once where they are sure to lie beside each other: with 4 bytes everywhere, Triton takes two images of a
single pixel, which lie channels apart, for neighbours.
"""

import triton
import triton.language as tl


@triton.jit
def _taps(phase, size: tl.constexpr, stride: tl.constexpr, padding: tl.constexpr, transposed: tl.constexpr):
    """Return, along an axis, a phase's first tap, its number of taps, and the first target's source by that tap."""
    if transposed:
        first = (phase + padding) % stride
        return first, (size - first + stride - 1) // stride, (phase + padding) // stride
    return phase, phase + size, phase - padding  # with its one phase, 0


@triton.jit
def _pixels(image, y, x, num_images, images: tl.constexpr):
    """Return the offsets of the first channel's pixels (y, x) in images, and a mask of those that exist."""
    inside = (y >= 0) & (y < images[1]) & (x >= 0) & (x < images[2]) & (image < num_images)
    return (image * (images[0] * images[1]) + y) * images[2] + x, inside


@triton.jit
def _read(pointers_rp, inside, known_r, size: tl.constexpr):
    """Read pixels [R, P], of this size in bytes, neighbours by neighbouring threads; 0 outside of the images."""
    in_order = tl.multiple_of(tl.max_contiguous(pointers_rp, (1, 2)), (size, size))
    return tl.load(in_order, mask=inside[None, :] & known_r[:, None], other=0.0).to(tl.float32)


@triton.jit
def _multiplied(pixels_rp, kernel_rc, product, precision: tl.constexpr):
    """Add their product [P, C] to a sum; single rows and columns are too small for Triton's matrix product."""
    if precision == "bf16":
        pixels_rp, kernel_rc = pixels_rp.to(tl.bfloat16), kernel_rc.to(tl.bfloat16)
    if pixels_rp.shape[0] == 1:
        product += tl.trans(pixels_rp.to(tl.float32)) * kernel_rc
    elif kernel_rc.shape[1] == 1:
        product += tl.sum(pixels_rp.to(tl.float32) * kernel_rc, axis=0)[:, None]
    elif precision == "bf16":
        product = tl.dot(tl.trans(pixels_rp), kernel_rc, product)
    else:
        product = tl.dot(tl.trans(pixels_rp), kernel_rc, product, input_precision=precision)
    return product


@triton.jit
def _activated(images, activation: tl.constexpr):
    """Apply an activation function; what is NaN stays NaN."""
    if activation == "relu":
        images = tl.where(images < 0, 0.0, images)
    if activation == "elu":
        images = tl.where(images < 0, tl.exp(tl.minimum(images, 0.0)) - 1, images)
    return images


@triton.jit
def _before_activation(gradient, images, activation: tl.constexpr):
    """Return the gradient with respect to z, given that with respect to images = activation(z)."""
    if activation == "relu":
        gradient = tl.where(images <= 0, 0.0, gradient)
    if activation == "elu":
        gradient = tl.where(images <= 0, gradient * (images + 1), gradient)
    return gradient


@triton.jit
def convolve(  # noqa: PLR0917  # Triton knows none by keyword alone
    source,
    kernel,
    bias,
    target,
    images,
    sums,
    num_images,
    source_trial,
    bias_trial,
    SOURCE: tl.constexpr,
    TARGET: tl.constexpr,
    SIZE: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_R: tl.constexpr,
):
    """Compute narrow images from wide ones or, transposed, wide ones from narrow ones; R are channels of the source.

    A program computes a tile of a trial's target. If transposed, its pixels have one phase, which is the remainder by
    the stride, since the taps of other phases would meet zeros. `kernel` is [K, taps, channels of source, of target].
    The target is activated; or, given `images` = activation(z) of its shape, what was computed is taken for the
    gradient with respect to them, and the target is the gradient with respect to z.
    `sums` [K, programs along pixels, channels], if given, are those of each program's pixels.
    """
    STEP: tl.constexpr = STRIDE if TRANSPOSED else (1, 1)  # from target to target of a phase, and from tap to tap
    JUMP: tl.constexpr = (1, 1) if TRANSPOSED else STRIDE  # from source to source of a phase's targets
    WAY: tl.constexpr = -1 if TRANSPOSED else 1  # through the source, as taps go up
    ROWS: tl.constexpr = (TARGET[1] + STEP[0] - 1) // STEP[0]
    COLUMNS: tl.constexpr = (TARGET[2] + STEP[1] - 1) // STEP[1]
    trial = tl.program_id(2).to(tl.int64)
    source += trial * source_trial
    kernel += trial * (SIZE[0] * SIZE[1] * SOURCE[0] * TARGET[0])
    target += trial * num_images * (TARGET[0] * TARGET[1] * TARGET[2])

    phase = tl.program_id(0) % (STEP[0] * STEP[1])
    phase_y, phase_x = phase // STEP[1], phase % STEP[1]
    first_y, count_y, begin_y = _taps(phase_y, SIZE[0], STRIDE[0], PADDING[0], TRANSPOSED)
    first_x, count_x, begin_x = _taps(phase_x, SIZE[1], STRIDE[1], PADDING[1], TRANSPOSED)
    p = tl.program_id(0) // (STEP[0] * STEP[1]) * BLOCK_P + tl.arange(0, BLOCK_P)
    image, row, column = p // (ROWS * COLUMNS), p // COLUMNS % ROWS, p % COLUMNS
    c = tl.program_id(1) * BLOCK_C + tl.arange(0, BLOCK_C)
    product = tl.zeros((BLOCK_P, BLOCK_C), tl.float32)
    for step in range(0, tl.cdiv(SOURCE[0], BLOCK_R) * count_y * count_x):
        r = step // (count_y * count_x) * BLOCK_R + tl.arange(0, BLOCK_R)
        tap_y, tap_x = step // count_x % count_y, step % count_x
        y, x = row * JUMP[0] + (begin_y + WAY * tap_y), column * JUMP[1] + (begin_x + WAY * tap_x)
        source_p, inside = _pixels(image, y, x, num_images, SOURCE)
        known_r = (r < SOURCE[0]) | (SOURCE[0] % BLOCK_R == 0)
        pointers_rp = source + source_p[None, :] + (r * (SOURCE[1] * SOURCE[2]))[:, None]
        pixels_rp = _read(pointers_rp, inside, known_r, source.dtype.element_ty.primitive_bitwidth // 8)
        tap = (first_y + STEP[0] * tap_y) * SIZE[1] + first_x + STEP[1] * tap_x
        known = (r < SOURCE[0])[:, None] & (c < TARGET[0])[None, :]
        kernel_rc = tl.load(kernel + ((tap * SOURCE[0] + r) * TARGET[0])[:, None] + c[None, :], mask=known, other=0.0)
        product = _multiplied(pixels_rp, kernel_rc, product, PRECISION)

    if bias is not None:
        product += tl.load(bias + trial * bias_trial + c, mask=c < TARGET[0], other=0.0)[None, :]
    target_p, inside = _pixels(image, row * STEP[0] + phase_y, column * STEP[1] + phase_x, num_images, TARGET)
    places_pc = target_p[:, None] + (c * (TARGET[1] * TARGET[2]))[None, :]
    exist = inside[:, None] & (c < TARGET[0])[None, :]
    PAIRED: tl.constexpr = STEP[1] == 1 and TARGET[2] % 2 == 0
    BYTES: tl.constexpr = 4 if PAIRED else target.dtype.element_ty.primitive_bitwidth // 8
    if images is None:
        product = _activated(product, ACTIVATION)
    else:
        images += trial * num_images * (TARGET[0] * TARGET[1] * TARGET[2])
        OF_IMAGES: tl.constexpr = 4 if PAIRED else images.dtype.element_ty.primitive_bitwidth // 8
        images_pc = tl.multiple_of(tl.max_contiguous(images + places_pc, (2, 1)), (OF_IMAGES, OF_IMAGES))
        product = _before_activation(product, tl.load(images_pc, mask=exist, other=0.0).to(tl.float32), ACTIVATION)
    tl.store(tl.multiple_of(tl.max_contiguous(target + places_pc, (2, 1)), (BYTES, BYTES)), product, mask=exist)
    if sums is not None:
        sums += (trial * tl.num_programs(0) + tl.program_id(0)) * TARGET[0]
        tl.store(sums + c, tl.sum(tl.where(exist, product, 0.0), axis=0), mask=c < TARGET[0])


@triton.jit
def correlate(  # noqa: PLR0917
    wide,
    narrow,
    parts,
    num_images,
    share,
    wide_trial,
    narrow_trial,
    WIDE: tl.constexpr,
    NARROW: tl.constexpr,
    SIZE: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
):
    """Compute a kernel's gradient; R are wide channels × taps, C channels and P pixels of the narrow images.

    A program computes a tile of a trial's kernel from a share of the pixels. `parts` is [K, shares, C, R].
    """
    ALL_R: tl.constexpr = WIDE[0] * SIZE[0] * SIZE[1]
    TILES_C: tl.constexpr = (NARROW[0] + BLOCK_C - 1) // BLOCK_C
    trial = tl.program_id(2).to(tl.int64)
    wide += trial * wide_trial
    narrow += trial * narrow_trial
    parts += (trial * tl.num_programs(1) + tl.program_id(1)) * (NARROW[0] * ALL_R)

    r = tl.program_id(0) // TILES_C * BLOCK_R + tl.arange(0, BLOCK_R)
    c = tl.program_id(0) % TILES_C * BLOCK_C + tl.arange(0, BLOCK_C)
    tap_y, tap_x = r // SIZE[1] % SIZE[0] - PADDING[0], r % SIZE[1] - PADDING[1]
    narrow_c = c * (NARROW[1] * NARROW[2])
    wide_r = (r // (SIZE[0] * SIZE[1]) * WIDE[1] + tap_y) * WIDE[2] + tap_x

    BYTES: tl.constexpr = wide.dtype.element_ty.primitive_bitwidth // 8
    product = tl.zeros((BLOCK_R, BLOCK_C), tl.float32)
    for begin in range(tl.program_id(1) * share, (tl.program_id(1) + 1) * share, BLOCK_P):
        p = begin + tl.arange(0, BLOCK_P)
        image, row, column = p // (NARROW[1] * NARROW[2]), p // NARROW[2] % NARROW[1], p % NARROW[2]
        y, x = row * STRIDE[0], column * STRIDE[1]
        wide_p = (image * (WIDE[0] * WIDE[1]) + y) * WIDE[2] + x
        y_rp, x_rp = y[None, :] + tap_y[:, None], x[None, :] + tap_x[:, None]
        inside = (y_rp >= 0) & (y_rp < WIDE[1]) & (x_rp >= 0) & (x_rp < WIDE[2]) & (image < num_images)[None, :]
        wide_rp = tl.load(
            tl.multiple_of(tl.max_contiguous(wide + (wide_p[None, :] + wide_r[:, None]), (1, 2)), (BYTES, BYTES)),
            mask=inside & (r < ALL_R)[:, None],
            other=0.0,
        ).to(tl.float32)
        narrow_p = image * ((NARROW[0] - 1) * NARROW[1] * NARROW[2]) + p
        known = (image < num_images)[None, :] & (c < NARROW[0])[:, None]
        narrow_cp = tl.load(narrow + (narrow_p[None, :] + narrow_c[:, None]), mask=known, other=0.0).to(tl.float32)
        if PRECISION == "bf16":
            product = tl.dot(wide_rp.to(tl.bfloat16), tl.trans(narrow_cp.to(tl.bfloat16)), product)
        else:
            product = tl.dot(wide_rp, tl.trans(narrow_cp), product, input_precision=PRECISION)
    tl.store(parts + c[None, :] * ALL_R + r[:, None], product, mask=(c < NARROW[0])[None, :] & (r < ALL_R)[:, None])
