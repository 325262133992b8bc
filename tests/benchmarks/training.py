"""Milliseconds of a training iteration of one trial: `python -m tests.benchmarks.training`.

From drawing the factors to the updated weights, as `Stack.step` does it. With `--default-allocator` freed
memory goes back to the system, to see what keeping it brings.
"""

import argparse
import sys
from collections.abc import Sequence

from dd_ray.config import TrialConfig
from dd_ray.training import Stack, keep_freed_memory
from tests.benchmarks.measure import alternate, machine

ITERATIONS = 3
REPEATS = 9
THREADS = (1, 2)
CONFIGS = {
    "supervised_encoder, 64 images": TrialConfig(model="supervised_encoder", dataset="still_circles"),
    "beta_vae, 64 images": TrialConfig(model="beta_vae", dataset="still_circles", beta=0.1),
    "predictive_vae, 64 × 10 frames": TrialConfig(model="predictive_vae", beta=0.1, lam=1.0),
    "inertia_vae, 64 × 10 frames": TrialConfig(model="inertia_vae", beta=0.1, gamma=0.5),
    "inertia_vae, 16 × 10 frames": TrialConfig(model="inertia_vae", beta=0.1, gamma=0.5, batch_size=16),
    **{
        f"beta_vae, 64 images of {size}×{size}, {network}": TrialConfig(
            model="beta_vae", dataset="still_circles", beta=0.1, network=network, image_size=size
        )
        for network, size in (("mlp", 32), ("mlp", 64), ("conv64", 64))
    },
}
ORIGINAL = {("inertia_vae, 64 × 10 frames", 1): 390, ("inertia_vae, 64 × 10 frames", 2): 428}
"""The code of the original study, with its data loader at 2 threads and without at 1, measured on another
2-core CPU, of 122 GFLOP/s in matrix products on one thread and about 200 on two."""


def main(args: Sequence[str] = ()) -> None:
    """Print milliseconds an iteration as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--default-allocator", action="store_true", help="let freed memory go back to the system")
    if not parser.parse_args(args).default_allocator:
        keep_freed_memory()
    stacks = {(name, threads): Stack([config]) for threads in THREADS for name, config in CONFIGS.items()}
    timings = alternate({case: lambda s=stack: s.step(ITERATIONS) for case, stack in stacks.items()}, REPEATS)
    print("| one trial | threads | ms an iteration (median) | quartiles | the original's code |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for (name, threads), timing in timings.items():
        median, low, high = (1000 * s / ITERATIONS for s in (timing.median, *timing.quartiles))
        original = ORIGINAL.get((name, threads), "")
        print(f"| {name} | {threads} | {median:.1f} | {low:.1f} to {high:.1f} | {original} |")
    print(f"\n{machine()}. Median of {REPEATS} alternating runs of {ITERATIONS} iterations each.")


if __name__ == "__main__":
    main(sys.argv[1:])
