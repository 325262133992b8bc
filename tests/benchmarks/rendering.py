"""Frames rendered a second, from factors to uint8 images: `python -m tests.benchmarks.rendering`."""

import argparse
import sys
from collections.abc import Callable, Sequence

import torch

from dd_ray.config import TrialConfig
from dd_ray.data import make_dataset
from tests.benchmarks.measure import alternate, machine

ITERATIONS = 10
REPEATS = 15
THREADS = (1, 2)
CONFIGS = {
    "videos, original grid": TrialConfig(model="inertia_vae", beta=0.1, grid="original"),
    "videos, continuous": TrialConfig(model="inertia_vae", beta=0.1),
    "videos of sprites": TrialConfig(model="inertia_vae", beta=0.1, dataset="moving_sprites"),
    "still images, continuous": TrialConfig(model="beta_vae", beta=0.1, dataset="still_circles"),
}


def _renderer(config: TrialConfig) -> Callable[[], None]:
    """A function that renders ITERATIONS training batches, one by one."""
    dataset = make_dataset(config)
    batches = [torch.from_numpy(dataset.factors(i)) for i in range(ITERATIONS)]

    def render() -> None:
        for factors in batches:
            dataset.paint(factors)

    return render


def main(args: Sequence[str] = ()) -> None:
    """Print frames a second as a Markdown table."""
    argparse.ArgumentParser(description=__doc__).parse_args(args)
    cases = {(name, threads): _renderer(config) for threads in THREADS for name, config in CONFIGS.items()}
    print("| 64 samples a batch | threads | frames/s (median) | quartiles |")
    print("| --- | ---: | ---: | ---: |")
    for (name, threads), timing in alternate(cases, REPEATS).items():
        frames = ITERATIONS * CONFIGS[name].batch_size * CONFIGS[name].frames
        median, (fast, slow) = frames / timing.median, (frames / seconds for seconds in timing.quartiles)
        print(f"| {name} | {threads} | {median:,.0f} | {slow:,.0f} to {fast:,.0f} |")
    print(f"\n{machine()}. Median of {REPEATS} alternating runs of {ITERATIONS} batches each.")


if __name__ == "__main__":
    main(sys.argv[1:])
