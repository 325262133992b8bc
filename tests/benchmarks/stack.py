"""Trials trained as one, beside the limits of the device: `python -m tests.benchmarks.stack [OPTION ...]`.

Without Ray. On a GPU where there is one; on a CPU with fewer trials, to see that it works there and does not pay. Each
case is told as soon as it is measured. By counts, all tables in both precisions take an H100 15 to 20 minutes: where
a command may run for less, `--only` and `--precision` do a part.
"""

import argparse
import itertools
import multiprocessing
import sys
import time
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from dd_ray.config import TrialConfig
from dd_ray.training import Precision, Stack, StackMethod, keep_freed_memory, set_precision
from dd_ray.training.fused import methods_of
from dd_ray.training.triton_convolutions import KernelError
from tests.benchmarks.limits import ceilings, demand
from tests.benchmarks.measure import best_device, seconds_of, wait_for, warm_up
from tests.benchmarks.table import Table, show

STACKS = {"cpu": (1, 4), "cuda": (1, 8, 36, 216)}
STEPS = {"cpu": 2, "cuda": 50}
SLICE = {"cpu": 3, "cuda": 500}
"""Iterations of the paper's grid that are measured in place of all."""
PAPER_ITERATIONS = 50_000
BASE = TrialConfig(model="inertia_vae", beta=0.1, gamma=0.5, lam=1.0)
GROWTH = {
    "trials": [(36, {}), (216, {}), (1296, {})],
    "latents": [(36, {"num_latents": n}) for n in (4, 16, 64)],
    "frames": [(36, {"num_frames": n}) for n in (10, 20, 40)],
    "batch": [(36, {"batch_size": n}) for n in (16, 64, 256)],
}
MOST_ON_CPU = 4
MOST: Mapping[StackMethod, int] = {"alone": 36, "streams": 36}
"""Trials up to which a method is measured: beyond, it takes minutes, or more memory than there is."""
SECONDS_TO_START = 180
TABLES = ("methods", "processes", "paper", "growth")


def seeds_of(config: TrialConfig, count: int) -> list[TrialConfig]:
    """A config with so many seeds."""
    return [replace(config, seed=seed) for seed in range(count)]


def paper_grid() -> list[TrialConfig]:
    """The 36 trials of the original's grid, on its videos (github.com/zahariaa/disentangled-dynamics)."""
    betas, gammas = (0.001, 0.0055, 0.0302, 0.1657, 0.9103, 5.0), (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    base = TrialConfig(model="inertia_vae", beta_norm=1.0, grid="original")
    return [replace(base, beta_norm=b, gamma=g) for b, g in itertools.product(betas, gammas)]


def seconds_a_step(configs: Sequence[TrialConfig], method: StackMethod, device: torch.device) -> float:
    """Of all trials together; not a number where the device has not the memory, or cannot."""
    try:
        stack = Stack(configs, device, method)
        warm_up(stack)
        many = len(configs) if method == "alone" else max(1, len(configs) // 36)
        steps = max(2, STEPS[device.type] // many)
        return seconds_of(lambda: stack.step(steps), device, repeats=3, warm_ups=0) / steps
    except torch.OutOfMemoryError:
        return float("nan")
    except KernelError as error:
        warnings.warn(str(error), stacklevel=2)
        return float("nan")


def memory(device: torch.device) -> str:
    """Most that was taken of a GPU since it was last asked, in GiB."""
    if device.type != "cuda":
        return ""
    most = torch.cuda.max_memory_reserved(device) / 2**30
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    return f"{most:.1f}"


def against_k(device: torch.device, precision: Precision) -> Table:
    """Methods and numbers of trials."""
    set_precision(precision)
    limit, need = ceilings(device), demand(BASE)
    memory(device)  # of what came before
    rows = []
    for count, method in itertools.product(STACKS[device.type], ("alone", *methods_of(device))):
        if count <= MOST.get(method, count):
            seconds = seconds_a_step(seeds_of(BASE, count), method, device)
            share = count * need.seconds(limit) / seconds
            rows.append([f"{count} × {method}", 1000 * seconds, count / seconds, f"{share:.0%}", memory(device)])
            tell(precision, rows[-1])
    return Table(
        title=f"K trials of 64 × 10 frames, {precision}, {device.type}",
        columns=("K × method", "ms a step", "trial-iterations/s", "of the limit", "GiB"),
        rows=rows,
        note=f"Limit: {1 / need.seconds(limit):,.0f} trial-iterations/s, from {need.flops / 1e9:.2f} GFLOP at "
        f"{limit.flops / 1e12:.3g} TFLOP/s in large matrix products and {need.bytes / 1e6:.0f} MB, each layer by "
        f"itself, at {limit.bytes_per_second / 1e9:.0f} GB/s in large copies.",
    )


def paper(device: torch.device, precision: Precision, whole: bool) -> Table:
    """The paper's grid, or a slice of it."""
    set_precision(precision)
    limit, need = ceilings(device), demand(paper_grid()[0])
    stack = Stack(paper_grid(), device)
    warm_up(stack)
    iterations = PAPER_ITERATIONS if whole else SLICE[device.type]
    start = time.perf_counter()
    stack.step(iterations)
    wait_for(device)
    minutes = (time.perf_counter() - start) / iterations * PAPER_ITERATIONS / 60
    least = 36 * PAPER_ITERATIONS * need.seconds(limit) / 60
    what = "whole" if whole else f"from {iterations} iterations"
    return Table(
        title=f"The paper's grid, {precision}, {device.type}",
        columns=("36 trials × 50,000 iterations × 64 × 10 frames", "minutes", "limit, minutes"),
        rows=[[f"training, {what}", minutes, least]],
    )


def packed_against_others(device: torch.device, precision: Precision) -> Table:
    """One stack, a process for each trial, and one trial after the other."""
    set_precision(precision)
    count = 36 if device.type == "cuda" else 4
    configs = seeds_of(BASE, count)
    rates = {
        "one trial at a time": 1 / seconds_a_step(configs[:1], "alone", device),
        "one trial at a time, as a graph": 1 / seconds_a_step(configs[:1], "grouped", device),
        f"{count} processes": rate_of_processes(
            configs, device, precision, method="alone", steps=4 * STEPS[device.type]
        ),
        f"{count} trials, one stack": count / seconds_a_step(configs, "auto", device),
    }
    slowest = rates["one trial at a time"]
    return Table(
        title=f"Packed, in processes, one at a time, {precision}, {device.type}",
        columns=("training", "trial-iterations/s", "× one at a time"),
        rows=[[name, rate, rate / slowest] for name, rate in rates.items()],
    )


def rate_of_processes(
    configs: Sequence[TrialConfig],
    device: torch.device,
    precision: Precision,
    *,
    method: StackMethod,
    steps: int,
    warm_ups: int | None = None,
) -> float:
    """Iterations a second, of all together, of processes that train one trial each.

    Args:
        configs: of the trials.
        device: that they share.
        precision: of all.
        method: of all.
        steps: of each.
        warm_ups: steps before those; where it is not given, as many as it takes to settle.
    """
    context = multiprocessing.get_context("spawn")
    # When all have warmed up, to begin together, and when all have trained: their ends take time, too.
    gates = [context.Barrier(len(configs) + 1, timeout=SECONDS_TO_START) for _ in range(3)]
    settings = (device.type, precision, method, steps, warm_ups)
    processes = [context.Process(target=_train, args=(config, settings, gates), daemon=True) for config in configs]
    for process in processes:
        process.start()
    gates[0].wait()
    start = time.perf_counter()
    gates[1].wait()
    gates[2].wait()
    seconds = time.perf_counter() - start
    for process in processes:
        process.join()
    return len(configs) * steps / seconds


def _train(config: TrialConfig, settings: tuple[Any, ...], gates: Sequence[Any]) -> None:
    device, precision, method, steps, warm_ups = settings
    keep_freed_memory()
    torch.set_num_threads(1)
    set_precision(precision)
    stack = Stack([config], device, method)
    if warm_ups is None:
        warm_up(stack)
    else:
        stack.step(warm_ups)
    for gate in gates[:2]:
        gate.wait()
    stack.step(steps)
    wait_for(torch.device(device))
    gates[2].wait()


def growth(device: torch.device, precision: Precision) -> Table:
    """How a step's time grows with trials, latents, frames and batch."""
    set_precision(precision)
    limit, rows = ceilings(device), []
    memory(device)  # of what came before
    for axis, cases in GROWTH.items():
        for trials, changes in cases:
            config = replace(BASE, **changes)
            count = trials if device.type == "cuda" else min(trials, MOST_ON_CPU)
            seconds = seconds_a_step(seeds_of(config, count), "auto", device)
            what = ", ".join(f"{name} {value}" for name, value in changes.items()) or f"{count} trials"
            least = count * demand(config).seconds(limit)
            rows.append([f"{axis}: {what}", 1000 * seconds / count, f"{least / seconds:.0%}", memory(device)])
            tell(precision, rows[-1])
    return Table(
        title=f"How a trial's iteration grows, {precision}, {device.type}",
        columns=("36 trials, 4 latents, 64 × 10 frames, but", "ms a trial", "of the limit", "GiB"),
        rows=rows,
    )


def tell(precision: Precision, row: Sequence[object]) -> None:
    """A case that was just measured, for whoever watches, and in case the rest is never reached."""
    print(
        precision,
        *(f"{value:.4g}" if isinstance(value, float) else value for value in row),
        file=sys.stderr,
        flush=True,
    )


def tables(only: Collection[str], precisions: Sequence[Precision], whole: bool) -> Iterator[Table]:
    """Those that were asked for."""
    device = best_device()
    for precision in precisions:
        if "methods" in only:
            yield against_k(device, precision)
        if "processes" in only:
            yield packed_against_others(device, precision)
        if "paper" in only:
            yield paper(device, precision, whole)
    if "growth" in only:
        yield growth(device, precisions[0])


def main(args: Sequence[str] = ()) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=TABLES, default=TABLES, help="tables to print")
    parser.add_argument("--precision", nargs="+", choices=("float32", "tf32"), help="on a GPU; both where not given")
    parser.add_argument("--whole", action="store_true", help="train the paper's grid to its end")
    parser.add_argument("--search", action="store_true", help="have cuDNN measure its algorithms")
    options = parser.parse_args(args)
    keep_freed_memory()
    torch.backends.cudnn.benchmark = options.search
    on_gpu: Sequence[Precision] = options.precision or ("float32", "tf32")
    show(tables(options.only, on_gpu if torch.cuda.is_available() else ("float32",), options.whole))


if __name__ == "__main__":
    main(sys.argv[1:])
