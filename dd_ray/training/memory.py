"""Keeps the allocator from returning memory to the system between iterations."""

import ctypes
import sys

# Parameters of mallopt(3), from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Let the C library reuse large blocks instead of returning them to the system, in the whole process.

    Each step frees and allocates the same few hundred megabytes. If they are returned, the kernel zeroes each page
    again at its next use, and a step of 64 × 10 frames takes 15 to 20% longer (compare `python -m
    tests.benchmarks.training` with and without `--default-allocator`).

    Returns:
        Whether it took effect; it does nothing if the C library is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    settings = {_M_MMAP_MAX: 0, _M_TRIM_THRESHOLD: 2**31 - 1, _M_TOP_PAD: 256 * 2**20}
    return all(mallopt(parameter, value) == 1 for parameter, value in settings.items())
