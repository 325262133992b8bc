"""Cases of a sitting, each in a process of its own: `python -m tests.benchmarks.gpu.cases OUT CASE ARGUMENT ...`."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from dd_ray.config import TrialConfig
from dd_ray.training import Precision, Stack, StackMethod, fused, graphs, keep_freed_memory, painting, set_precision
from dd_ray.training.fused import Block
from tests.benchmarks import limits
from tests.benchmarks.gpu.paper import train_paper
from tests.benchmarks.gpu.record import tell
from tests.benchmarks.measure import best_device, machine, seconds_of, wait_for
from tests.benchmarks.stack import BASE, rate_of_processes, seeds_of

AGREES = 1e-5
REPLAYS = {"cuda": 40, "cpu": 2}
OF_PROCESSES = 1600
"""Steps of all processes together: three seconds, however many they are."""
LARGEST = 15
"""Kernels of a profile that are told."""


class Case:
    """What a case knows: where to tell, by which name, on what device, and whether sizes are those of a test."""

    def __init__(self, out: Path, name: str, small: bool) -> None:
        self.out, self.name, self.small = out, name, small
        self.device = best_device()
        self.base: TrialConfig = replace(BASE, batch_size=2, width_factor=0.1) if small else BASE

    def tell(self, **result: Any) -> None:
        """Append a result."""
        tell(self.out, self.name, **result)


def ceilings(case: Case) -> None:
    """The card, and what it copies and multiplies at most."""
    case.tell(device=case.device.type, machine=machine())
    if case.small:
        limits.MATRIX["cpu"], limits.COPIED["cpu"] = 64, 2**16
    for precision in ("float32", "tf32") if case.device.type == "cuda" else ("float32",):
        set_precision(precision)  # type: ignore[arg-type]
        measured = limits.ceilings(case.device)
        case.tell(copy_gb_per_s=measured.bytes_per_second / 1e9, **{f"{precision}_tflops": measured.flops / 1e12})
    size = limits.MATRIX[case.device.type]
    a, b = (torch.randn(size, size, device=case.device, dtype=torch.bfloat16) for _ in range(2))
    case.tell(bf16_tflops=2 * size**3 / seconds_of(lambda: torch.mm(a, b), case.device, repeats=5) / 1e12)


def correct(case: Case, method: StackMethod) -> None:
    """Three trials beside what each comes to alone on a CPU; captured; NaN kept apart, in both precisions."""
    fused.STEPS_TO_SETTLE = 0
    set_precision("float32")
    configs = seeds_of(replace(case.base, batch_size=2 if case.small else 16), 3)
    together, alone = Stack(configs, case.device, method), Stack(configs)
    for stack in (together, alone):
        stack.step()
    errors = [_error(together[config.key].square_avg.sqrt(), alone[config.key].square_avg.sqrt()) for config in configs]
    case.tell(error=max(errors), agrees=max(errors) < AGREES)
    together.step(3)
    finite = all(bool(torch.isfinite(trial.weights).all()) for trial in together)
    case.tell(captured=case.device.type == "cuda" and not graphs._broken, finite_after_replays=finite)
    # Ours has no groups that might be taken as one, and each width more is half a minute of compiling.
    widths = (0.1,) if case.small else (1.0,) if method == "triton" else (0.25, 1.0)
    for precision in ("float32", "tf32"):
        set_precision(precision)  # type: ignore[arg-type]
        for width in widths:
            stack = Stack(seeds_of(replace(configs[0], width_factor=width), 9), case.device, method)
            block = _block(stack)
            apart = block.isolates(list(stack), stack.dataset.batches([0]), method)  # type: ignore[arg-type]
            case.tell(**{f"keeps_nan_apart_{precision}_width_{width}": apart})


def speed(case: Case, method: StackMethod, precision: Precision, trials: str, search: str = "") -> None:
    """A step of K trials: whole, replayed alone, painted alone, of the host; its memory, and its largest kernels."""
    fused.STEPS_TO_SETTLE = painting.TIMES_BEFORE = 2
    torch.backends.cudnn.benchmark = bool(search)
    set_precision(precision)
    count = int(trials)
    started = time.perf_counter()
    stack = Stack(seeds_of(case.base, count), case.device, method)
    stack.step(4)
    wait_for(case.device)
    case.tell(seconds_to_start=time.perf_counter() - started)
    steps = REPLAYS[case.device.type]
    seconds = seconds_of(lambda: stack.step(steps), case.device, repeats=1, warm_ups=0) / steps
    case.tell(step_ms=1000 * seconds, trial_iterations_per_s=count / seconds)
    replay = _block(stack)._step(method, True)  # type: ignore[arg-type]
    of_replay = seconds_of(lambda: [replay() for _ in range(steps)], case.device, repeats=1, warm_ups=0) / steps
    case.tell(replay_ms=1000 * of_replay, host_ms=1000 * _seconds_of_host(stack, case.device, steps))
    paint = partial(stack.dataset.paint, stack.dataset.batch(0).factors)
    of_painting = seconds_of(lambda: [paint() for _ in range(steps)], case.device, repeats=1) / steps
    case.tell(painting_ms=1000 * of_painting, captured=case.device.type == "cuda" and not graphs._broken)
    if case.device.type == "cuda":
        case.tell(peak_gib=torch.cuda.max_memory_reserved(case.device) / 2**30)
    # P1 has compared float32 alone; the paper's grid takes the fastest, in whichever precision.
    batches = stack.dataset.batches({trial.iteration for trial in stack})
    case.tell(agrees=_block(stack).agrees(list(stack), batches, method))  # type: ignore[arg-type]
    case.tell(kernels=_largest_kernels(replay, case.device))


def processes(case: Case, method: StackMethod, precision: Precision, count: str) -> None:
    """What users do otherwise: several processes of one trial each, by `method`, at the same time."""
    configs = seeds_of(case.base, int(count))
    steps = 2 if case.small else OF_PROCESSES // len(configs)
    rate = rate_of_processes(
        configs, case.device, precision, method=method, steps=steps, warm_ups=3 if case.small else None
    )
    case.tell(trial_iterations_per_s=rate)


def paper(case: Case, method: StackMethod, precision: Precision, ends: str, scratch: str) -> None:
    """The paper's grid, as the sweep that it is, as far as it comes until a time by the clock."""
    set_precision(precision)
    keep_freed_memory()
    case.tell(precision=precision, method=method)
    train_paper(
        case.out,
        Path(scratch),
        device=case.device,
        method=method,
        precision=precision,
        seconds=max(1.0, float(ends) - time.time()),
        tell=case.tell,
    )


def _block(stack: Stack) -> Block:
    assert stack._blocks is not None
    (block,) = stack._blocks._blocks()
    return block


def _error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours.cpu() - theirs).norm() / theirs.norm())


def _seconds_of_host(stack: Stack, device: torch.device, steps: int) -> float:
    """CPU time of the thread that steps, without what it waits."""
    seconds = []
    for _ in range(steps):
        wait_for(device)
        started = time.thread_time()
        stack.step()
        seconds.append(time.thread_time() - started)
    return median(seconds)


def _largest_kernels(replay: Callable[[], object], device: torch.device) -> list[tuple[str, float]]:
    """Names and ms of a step of the kernels that take most of it."""
    on_gpu = device.type == "cuda"
    with profile(activities=[ProfilerActivity.CUDA if on_gpu else ProfilerActivity.CPU]) as found:
        replay()
        wait_for(device)
    times = [
        (event.key[:80], (event.self_device_time_total if on_gpu else event.self_cpu_time_total) / 1000)
        for event in found.key_averages()
    ]
    return [(name, round(ms, 3)) for name, ms in sorted(times, key=lambda each: -each[1])[:LARGEST]]


CASES: dict[str, Callable[..., None]] = {
    "ceilings": ceilings,
    "correct": correct,
    "speed": speed,
    "processes": processes,
    "paper": paper,
}


def main(arguments: Sequence[str]) -> None:
    """Run one case."""
    out, name, size, kind, *rest = arguments
    if size == "small":
        torch.set_num_threads(1)
    CASES[kind](Case(Path(out), name, size == "small"), *rest)


if __name__ == "__main__":
    main(sys.argv[1:])
