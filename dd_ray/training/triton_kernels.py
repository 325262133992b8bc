"""The kernels of `triton_convolutions`, which imports them when they are used.

Along each axis a pixel of the wide images, a tap of the kernel and a pixel of the narrow images belong together where

    wide = stride · narrow − padding + tap.

Pointers are to numbers of K trials, in float32 or, for images between layers, in bfloat16. They are contiguous for each
trial, and lie `*_trial` numbers apart (0: all trials share them). Names of tiles end with their sides: c channels, p
pixels of all images, r as each function says, in groups g of neighbours. Constants are pairs (y, x), for images
(channels, height, width); `*_STEPS` are the numbers from a channel, a row or a column to the next. With channels last,
neighbouring threads read and write four numbers (bfloat16: eight) of a pixel each, at once.
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
def _offsets(image, y, x, images: tl.constexpr, steps: tl.constexpr):
    """Return where the first channel of pixels (y, x) is."""
    return image * (images[0] * images[1] * images[2]) + y * steps[1] + x * steps[2]


@triton.jit
def _inside(position, size: tl.constexpr):
    """Return whether positions along an axis are in the image: 0 ≤ position < size."""
    return position.to(tl.uint32, bitcast=True) < size


@triton.jit
def _multiplied(pixels_pr, kernel_cr, product, precision: tl.constexpr):
    """Add their product [P, C] to a sum; of a single channel, which is too small for Triton's, [P, R] to be summed."""
    if kernel_cr.shape[0] == 1:
        product += pixels_pr * kernel_cr
    elif precision == "bf16":
        product = tl.dot(pixels_pr.to(tl.bfloat16), tl.trans(kernel_cr.to(tl.bfloat16)), product)
    else:
        product = tl.dot(pixels_pr.to(tl.float32), tl.trans(kernel_cr), product, input_precision=precision)
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
def _groups(tile, size: tl.constexpr, group: tl.constexpr):
    """Return the numbers of a tile in groups, [groups, 1, size of a group]."""
    return tile * size + (tl.arange(0, size // group) * group)[:, None, None] + tl.arange(0, group)[None, None, :]


@triton.jit
def _flat(tensor):
    """Return [groups × size of a group, P], given [groups, P, size of a group]."""
    return tl.reshape(tl.permute(tensor, (0, 2, 1)), (tensor.shape[0] * tensor.shape[2], tensor.shape[1]))


@triton.jit
def _convolved(  # noqa: PLR0917  # Triton knows none by keyword alone
    program,
    tile_c,
    source,
    kernel,
    num_images,
    SOURCE: tl.constexpr,
    SOURCE_STEPS: tl.constexpr,
    TARGET: tl.constexpr,
    TARGET_STEPS: tl.constexpr,
    SIZE: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_R: tl.constexpr,
    STAGES: tl.constexpr,
):
    """Compute a tile [P, C] of one trial's target; R are taps × channels of the source.

    If transposed, its pixels have one phase, which is the remainder by the stride, since the taps of other phases would
    meet zeros. `kernel` is [channels of the target, taps, channels of the source].

    Returns:
        The tile, where its numbers lie in the target, which of them are there, and its channels.
    """
    STEP: tl.constexpr = STRIDE if TRANSPOSED else (1, 1)  # from target to target of a phase, and from tap to tap
    JUMP: tl.constexpr = (1, 1) if TRANSPOSED else STRIDE  # from source to source of a phase's targets
    WAY: tl.constexpr = -1 if TRANSPOSED else 1  # through the source, as taps go up
    ROWS: tl.constexpr = (TARGET[1] + STEP[0] - 1) // STEP[0]
    COLUMNS: tl.constexpr = (TARGET[2] + STEP[1] - 1) // STEP[1]
    phase = program % (STEP[0] * STEP[1])
    phase_y, phase_x = phase // STEP[1], phase % STEP[1]
    first_y, count_y, begin_y = _taps(phase_y, SIZE[0], STRIDE[0], PADDING[0], TRANSPOSED)
    first_x, count_x, begin_x = _taps(phase_x, SIZE[1], STRIDE[1], PADDING[1], TRANSPOSED)
    inverse = (65535 + count_x) // tl.maximum(count_x, 1)  # tap // count_x = tap · inverse // 65536, up to 256 taps

    p = program // (STEP[0] * STEP[1]) * BLOCK_P + tl.arange(0, BLOCK_P)
    image, row, column = p // (ROWS * COLUMNS), p // COLUMNS % ROWS, p % COLUMNS
    c = tile_c * BLOCK_C + tl.arange(0, BLOCK_C)
    known_p, known_c = image < num_images, (c < TARGET[0]) | (TARGET[0] % BLOCK_C == 0)
    y, x = row * JUMP[0] + begin_y, column * JUMP[1] + begin_x
    source_p = _offsets(image, y, x, SOURCE, SOURCE_STEPS)
    product = tl.zeros((BLOCK_P, BLOCK_R if BLOCK_C == 1 else BLOCK_C), tl.float32)
    for begin in tl.range(0, SOURCE[0] * count_y * count_x, BLOCK_R, num_stages=STAGES):
        r = begin + tl.arange(0, BLOCK_R)
        channel, tap = r % SOURCE[0], r // SOURCE[0]
        tap_y = tap * inverse >> 16
        tap_x = tap - tap_y * count_x
        move_y, move_x = WAY * tap_y, WAY * tap_x
        source_r = channel * SOURCE_STEPS[0] + move_y * SOURCE_STEPS[1] + move_x * SOURCE_STEPS[2]
        known_r = tap < count_y * count_x
        inside = _inside(y[:, None] + move_y[None, :], SOURCE[1]) & _inside(x[:, None] + move_x[None, :], SOURCE[2])
        known_pr = inside & known_p[:, None] & known_r[None, :]
        pixels_pr = tl.load(source + (source_p[:, None] + source_r[None, :]), mask=known_pr, other=0.0)
        kernel_r = ((first_y + STEP[0] * tap_y) * SIZE[1] + first_x + STEP[1] * tap_x) * SOURCE[0] + channel
        kernel_cr = (c * (SIZE[0] * SIZE[1] * SOURCE[0]))[:, None] + kernel_r[None, :]
        kernel_cr = tl.load(kernel + kernel_cr, mask=known_c[:, None] & known_r[None, :], other=0.0)
        product = _multiplied(pixels_pr, kernel_cr, product, PRECISION)
    if BLOCK_C == 1:
        product = tl.sum(product, axis=1)[:, None]

    y, x = row * STEP[0] + phase_y, column * STEP[1] + phase_x
    target_pc = _offsets(image, y, x, TARGET, TARGET_STEPS)[:, None] + (c * TARGET_STEPS[0])[None, :]
    known_pc = (known_p & (y < TARGET[1]) & (x < TARGET[2]))[:, None] & known_c[None, :]
    return product, target_pc, known_pc, c


@triton.jit
def _correlated(  # noqa: PLR0917
    tile,
    begin,
    end,
    wide,
    narrow,
    num_images,
    WIDE: tl.constexpr,
    WIDE_STEPS: tl.constexpr,
    NARROW: tl.constexpr,
    NARROW_STEPS: tl.constexpr,
    SIZE: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_P: tl.constexpr,
    GROUP_R: tl.constexpr,
    GROUP_C: tl.constexpr,
    STAGES: tl.constexpr,
):
    """Compute a tile [R, C] of the gradient of one trial's kernel; R are taps × wide channels, C narrow channels.

    It is summed over a share of the pixels of the narrow images, P at a time.

    Returns:
        The tile, where its numbers lie in [narrow channels, wide channels, taps], and which of them are there.
    """
    TAPS: tl.constexpr = SIZE[0] * SIZE[1]
    TILES_C: tl.constexpr = (NARROW[0] + BLOCK_C - 1) // BLOCK_C
    r_rg = _groups(tile // TILES_C, BLOCK_R, GROUP_R)
    c_cg = _groups(tile % TILES_C, BLOCK_C, GROUP_C)
    channel, tap = r_rg % WIDE[0], r_rg // WIDE[0]
    tap_y, tap_x = tap // SIZE[1] - PADDING[0], tap % SIZE[1] - PADDING[1]
    wide_rg = channel * WIDE_STEPS[0] + tap_y * WIDE_STEPS[1] + tap_x * WIDE_STEPS[2]
    known_r, known_c = tap < TAPS, (c_cg < NARROW[0]) | (NARROW[0] % BLOCK_C == 0)

    product = tl.zeros((BLOCK_R, BLOCK_C), tl.float32)
    for first in tl.range(begin, end, BLOCK_P, num_stages=STAGES):
        p = (first + tl.arange(0, BLOCK_P))[None, :, None]
        image, row, column = p // (NARROW[1] * NARROW[2]), p // NARROW[2] % NARROW[1], p % NARROW[2]
        known_p = image < num_images
        y, x = row * STRIDE[0], column * STRIDE[1]
        inside = _inside(y + tap_y, WIDE[1]) & _inside(x + tap_x, WIDE[2])
        wide_rp = wide + (_offsets(image, y, x, WIDE, WIDE_STEPS) + wide_rg)
        wide_rp = _flat(tl.load(wide_rp, mask=inside & known_p & known_r, other=0.0))
        narrow_cp = narrow + (_offsets(image, row, column, NARROW, NARROW_STEPS) + c_cg * NARROW_STEPS[0])
        narrow_cp = _flat(tl.load(narrow_cp, mask=known_p & known_c, other=0.0))
        if PRECISION == "bf16":
            product = tl.dot(wide_rp.to(tl.bfloat16), tl.trans(narrow_cp.to(tl.bfloat16)), product)
        else:
            wide_rp, narrow_cp = wide_rp.to(tl.float32), narrow_cp.to(tl.float32)
            product = tl.dot(wide_rp, tl.trans(narrow_cp), product, input_precision=PRECISION)
    r = tile // TILES_C * BLOCK_R + tl.arange(0, BLOCK_R)
    c = tile % TILES_C * BLOCK_C + tl.arange(0, BLOCK_C)
    kernel_rc = ((c * WIDE[0])[None, :] + (r % WIDE[0])[:, None]) * TAPS + (r // WIDE[0])[:, None]
    return product, kernel_rc, (c < NARROW[0])[None, :] & (r < WIDE[0] * TAPS)[:, None]


@triton.jit
def convolve(  # noqa: PLR0917
    source,
    kernel,
    bias,
    target,
    num_images,
    source_trial,
    bias_trial,
    SOURCE: tl.constexpr,
    SOURCE_STEPS: tl.constexpr,
    TARGET: tl.constexpr,
    TARGET_STEPS: tl.constexpr,
    SIZE: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_R: tl.constexpr,
    STAGES: tl.constexpr,
):
    """Compute narrow images from wide ones or, transposed, wide ones from narrow ones, and activate them."""
    trial = tl.program_id(2).to(tl.int64)
    source += trial * source_trial
    kernel += trial * (SIZE[0] * SIZE[1] * SOURCE[0] * TARGET[0])
    target += trial * num_images * (TARGET[0] * TARGET[1] * TARGET[2])
    product, target_pc, known_pc, c = _convolved(
        *(tl.program_id(0), tl.program_id(1), source, kernel, num_images),
        *(SOURCE, SOURCE_STEPS, TARGET, TARGET_STEPS, SIZE, STRIDE, PADDING, TRANSPOSED, PRECISION),
        *(BLOCK_P, BLOCK_C, BLOCK_R, STAGES),
    )
    if bias is not None:
        product += tl.load(bias + trial * bias_trial + c, mask=c < TARGET[0], other=0.0)[None, :]
    tl.store(target + target_pc, _activated(product, ACTIVATION), mask=known_pc)


@triton.jit
def differentiate(  # noqa: PLR0917
    gradient,
    kernel,
    images,
    target,
    sums,
    parts,
    num_images,
    programs,
    share,
    gradient_trial,
    images_trial,
    GRADIENT: tl.constexpr,
    GRADIENT_STEPS: tl.constexpr,
    IMAGES: tl.constexpr,
    IMAGES_STEPS: tl.constexpr,
    SIZE: tl.constexpr,
    STRIDE: tl.constexpr,
    PADDING: tl.constexpr,
    TRANSPOSED: tl.constexpr,
    ACTIVATION: tl.constexpr,
    PRECISION: tl.constexpr,
    BLOCK_P: tl.constexpr,
    BLOCK_C: tl.constexpr,
    BLOCK_R: tl.constexpr,
    STAGES: tl.constexpr,
    KERNEL_R: tl.constexpr,
    KERNEL_C: tl.constexpr,
    KERNEL_P: tl.constexpr,
    KERNEL_STAGES: tl.constexpr,
    KERNEL_TILES: tl.constexpr,
    GROUP_R: tl.constexpr,
    GROUP_C: tl.constexpr,
):
    """Compute the gradients of a layer's kernel and of its images, given that of its result.

    Those that need the same images run side by side, so that they are read from memory once: of each share of the
    pixels, the first programs sum the kernel's gradient, a tile each, and the others compute a tile of that of the
    images. `parts` is [K, shares, narrow channels, wide channels, taps].
    `target`, if given, has the order of the images = activation(z), and becomes the gradient with respect to z.
    `sums` [K, programs, channels], if given, are those of each program's pixels. TRANSPOSED: whether images are wide.
    """
    trial = tl.program_id(2).to(tl.int64)
    gradient += trial * gradient_trial
    images += trial * images_trial
    WIDE: tl.constexpr = IMAGES if TRANSPOSED else GRADIENT
    NARROW: tl.constexpr = GRADIENT if TRANSPOSED else IMAGES
    if tl.program_id(0) < KERNEL_TILES:
        parts += (trial * tl.num_programs(1) + tl.program_id(1)) * (NARROW[0] * WIDE[0] * SIZE[0] * SIZE[1])
        of_kernel, kernel_rc, known_rc = _correlated(
            *(tl.program_id(0), tl.program_id(1) * share, (tl.program_id(1) + 1) * share),
            *(images if TRANSPOSED else gradient, gradient if TRANSPOSED else images, num_images),
            *(WIDE, IMAGES_STEPS if TRANSPOSED else GRADIENT_STEPS),
            *(NARROW, GRADIENT_STEPS if TRANSPOSED else IMAGES_STEPS),
            *(SIZE, STRIDE, PADDING, PRECISION, KERNEL_R, KERNEL_C, KERNEL_P, GROUP_R, GROUP_C, KERNEL_STAGES),
        )
        tl.store(parts + kernel_rc, of_kernel, mask=known_rc)
    elif target is not None:
        TILES_C: tl.constexpr = (IMAGES[0] + BLOCK_C - 1) // BLOCK_C
        tile = tl.program_id(1) * (tl.num_programs(0) - KERNEL_TILES) + tl.program_id(0) - KERNEL_TILES
        program = tile // TILES_C
        kernel += trial * (SIZE[0] * SIZE[1] * GRADIENT[0] * IMAGES[0])
        product, target_pc, known_pc, c = _convolved(
            *(program, tile % TILES_C, gradient, kernel, num_images),
            *(GRADIENT, GRADIENT_STEPS, IMAGES, IMAGES_STEPS, SIZE, STRIDE, PADDING, TRANSPOSED, PRECISION),
            *(BLOCK_P, BLOCK_C, BLOCK_R, STAGES),
        )
        if ACTIVATION != "linear":
            activated = tl.load(images + target_pc, mask=known_pc, other=0.0).to(tl.float32)
            product = _before_activation(product, activated, ACTIVATION)
        target += trial * num_images * (IMAGES[0] * IMAGES[1] * IMAGES[2])
        tl.store(target + target_pc, product, mask=known_pc)
        if sums is not None:
            sums += (trial * programs + program) * IMAGES[0]
            of_pixels = tl.sum(tl.where(known_pc, product, 0.0), axis=0)
            tl.store(sums + c, of_pixels, mask=c < tl.where(program < programs, IMAGES[0], 0))
