"""What compiled convolutions bring to the presets of every study: `python -m tests.benchmarks.studies`.

An iteration of each kind of trial in a preset's plan, with PyTorch's convolutions and with our own in turns, on one
thread; the mean is over the plan's trials. A network without convolutions gains nothing.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from dd_ray import api
from dd_ray.config import TrialConfig
from dd_ray.planning import all_studies
from dd_ray.training import Stack, keep_freed_memory
from dd_ray.training.cpu_kernels import kernels
from tests.benchmarks.convolutions import WAYS, step_with
from tests.benchmarks.measure import alternate, machine

REPEATS = 9
OF_NO_COST = {"beta": 1.0, "gamma": 0.5, "lam": 1.0, "alpha": 1.0, "learning_rate": 1e-4}
"""Fields that change what an iteration computes, and not how much, with a value in place of any but 0."""


def main(args: Sequence[str] = ()) -> None:
    """Print milliseconds an iteration as a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="quick", help="of the studies that have it")
    preset = parser.parse_args(args).preset
    if kernels() is None:
        sys.exit("there are no compiled convolutions here")
    keep_freed_memory()
    print(f"| `{preset}` of | PyTorch's, ms an iteration | compiled | factor |\n| --- | ---: | ---: | ---: |")
    for name, study in all_studies().items():
        if preset in study.presets:
            before, after = _milliseconds(api.plan(name, preset=preset, name="benchmark").examples)
            print(f"| `{name}` | {before:.1f} | {after:.1f} | {before / after:.2f} |", flush=True)
    print(f"\n{machine()}, one thread. Medians of {REPEATS} alternating runs, weighted by the trials of each kind.")


def _milliseconds(configs: Sequence[TrialConfig]) -> list[float]:
    kinds = Counter(_kind(config) for config in configs)
    stacks = {kind: Stack([kind]) for kind in kinds}
    cases = {(f"{way} {i}", 1): step_with(stacks[kind], way) for i, kind in enumerate(kinds) for way in WAYS}
    timings = alternate(cases, REPEATS)
    return [
        1000 * sum(count * timings[f"{way} {i}", 1].median for i, count in enumerate(kinds.values())) / kinds.total()
        for way in WAYS
    ]


def _kind(config: TrialConfig) -> TrialConfig:
    same = {name: value for name, value in OF_NO_COST.items() if getattr(config, name)}
    return replace(config, seed=0, **same)


if __name__ == "__main__":
    main(sys.argv[1:])
