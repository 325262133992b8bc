"""Estimates, without PyTorch and before anything starts, how much memory the trials of a sweep take.

The estimate of a trial adds up its weights and the optimiser's state, what a training step keeps for the backward pass,
the batch, the held-out data, a picture of all latents, and the process itself. Where PyTorch is at hand,
`dd_ray.training.footprint` counts instead.
"""

import math
import os
from collections.abc import Sequence
from pathlib import Path

from dd_ray.config import NETWORKS, OPTIMIZERS, TrialConfig
from dd_ray.errors import UserError

PROCESS, SHARED = 350 * 2**20, 200 * 2**20
"""Measured bytes of a worker's process with PyTorch before it trains, and how many of them all processes share."""
TRANSIENT = 2
"""Measured peak memory of a step on a CPU, in units of what its forward pass keeps for the backward pass."""
FLOAT = 4
PER_LATENT = 15
"""Numbers that a step keeps for each latent of a frame: mean, variance, noise, sample, and terms of the KL."""
VALUES = 7
"""Number of values that each latent takes in the picture of all latents."""
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Files with the bytes that a container may use, or a word if there is no limit."""


def bytes_of(config: TrialConfig) -> int:
    """Estimate the memory of one trial in a process of its own, in bytes.

    For a network that does not declare its size (`NetworkSpec.weights`), only latents and pictures count.
    """
    network, width, latents = NETWORKS[config.network], config.width_factor, config.num_latents
    pixels, size = math.prod(config.image_shape), config.image_size
    halves, weights = (config.traits.encodes + config.traits.draws) / 2, num_weights(config)
    kept_of_frame = halves * network.kept.get(size, 0) * width + 2 * pixels + PER_LATENT * latents
    kept = config.batch_size * config.frames * kept_of_frame + weights
    sets = 1 + (config.split != "none")
    held_out = sets * config.num_tested * config.frames * (2 * pixels + PER_LATENT * latents)
    drawn = latents + pixels + network.kept.get(size, 0) * width
    picture = VALUES * latents * drawn if config.traits.has_latents else 0
    batch = config.batch_size * config.frames * pixels
    copies = OPTIMIZERS[config.optimizer].vectors_in_a_step
    numbers = copies * weights + TRANSIENT * kept + batch + held_out + picture
    return PROCESS + int(FLOAT * numbers)


def num_weights(config: TrialConfig) -> float:
    """Estimate the number of weights of a trial's network; of one that does not declare its size, those at latents."""
    network, width = NETWORKS[config.network], config.width_factor
    halves = (config.traits.encodes + config.traits.draws) / 2
    return (
        halves * network.weights.get(config.image_size, 0) * width**2 + 3 * config.num_latents * network.units * width
    )


def bytes_of_this_machine() -> int:
    """Return the memory of this machine, or of the container that this process is in."""
    limits = [int(text) for path in _LIMITS if (text := _text(path)).isdecimal()]
    return min([os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *limits])


def check_trial_fits(configs: Sequence[TrialConfig]) -> None:
    """Make sure that this machine has enough memory for each single trial on a CPU.

    Raises:
        UserError: it has not enough.
    """
    need, memory = max(map(bytes_of, configs)), bytes_of_this_machine()
    if need > memory:
        raise UserError(
            f"a trial takes about {in_words(need)} of memory, and this machine has {in_words(memory)}; give a smaller "
            "--batch-size, --num-frames, --num-latents or --num-test."
        )


def check_trials_fit(configs: Sequence[TrialConfig], at_a_time: int) -> None:
    """Make sure that this machine has enough memory for so many trials at a time on its CPUs.

    Raises:
        UserError: it has not enough.
    """
    own, memory = max(map(bytes_of, configs)) - SHARED, bytes_of_this_machine()
    fit = max(1, (memory - SHARED) // own)
    if at_a_time > fit:
        raise UserError(
            f"{at_a_time} trials at a time take about {in_words(own)} of memory each, and this machine has "
            f"{in_words(memory)}; give --max-concurrent {fit}, or a smaller --batch-size or --num-test."
        )


def has_gpu() -> bool:
    """Return whether this machine seems to have a GPU, which has memory of its own."""
    return any(Path("/dev").glob("nvidia[0-9]*")) or Path("/dev/kfd").exists()


def in_words(size: int) -> str:
    """Format a number of bytes."""
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.0f} MiB"


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
