"""A sweep of 36 trials in one pack, beside the same training without Ray: `python -m tests.benchmarks.packed [N]`.

On a GPU where there is one, of the paper's size of batch; on a CPU with smaller batches. The time is that between the
first trial's beginning and the last one's end, so without the start of Ray. N iterations: what is lost to the start of
36 processes is the same for any number.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from dd_ray import results
from dd_ray.config import TrialConfig
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.training import Stack, set_precision
from tests.benchmarks.measure import best_device, seconds_of_trials, wait_for, warm_up
from tests.benchmarks.table import Table, show

SWEEP = Path(__file__).parents[1] / "sweep" / "small_grid.py"
GRID = ["--beta", "0.01", "0.1", "1", "--gamma", "0", "0.5", "0.9", "--lambda", "0", "--seeds", "4"]
SIZES = {"cpu": (200, 4), "cuda": (5_000, 64)}
"""Iterations and batch."""
TOGETHER = {"cpu": ["--cpus-per-trial", "0.05"], "cuda": ["--gpus-per-trial", "0.025", "--cpus-per-trial", "0.25"]}
EVALUATIONS = 10


def _sweep(device: str, pack: str, iterations: int) -> tuple[float, list[TrialConfig]]:
    """Seconds of a sweep, and its configs."""
    batch = SIZES[device][1]
    with tempfile.TemporaryDirectory() as storage:
        command = [sys.executable, str(SWEEP), "--storage", storage, "--name", "sweep", *GRID, "--pack", pack]
        command += ["--iterations", str(iterations), "--batch-size", str(batch), "--scheduler", "none"]
        command += ["--evaluations", str(EVALUATIONS), "--final-metrics", "none", "--num-test", "64"]
        subprocess.run(command + (TOGETHER[device] if pack == "on" else []), check=True)
        sweep = SweepFolder.open(f"{storage}/sweep")
        seconds = seconds_of_trials(Path(storage) / "sweep")
        table = results.final(results.load(f"{storage}/sweep"))
        assert len(table) == 36 and set(table["state"]) == {"finished"}
        configs = [TrialConfig.from_dict(trial.describe()["config"]) for trial in sweep.trials()]
    return seconds, configs


def _without_ray(configs: list[TrialConfig], iterations: int) -> float:
    """Seconds of the same training, of nothing but steps, in this process."""
    device = best_device()
    torch.set_num_threads(1)  # as a pack has on a CPU
    set_precision("float32")
    stack = Stack(configs, device)
    warm_up(stack)
    start = time.perf_counter()
    stack.step(iterations)
    wait_for(device)
    return time.perf_counter() - start


def tables(given: int | None) -> Iterator[Table]:
    """The one table."""
    device = best_device().type
    usual, batch = SIZES[device]
    iterations = given or usual
    packed, configs = _sweep(device, "on", iterations)
    single, _ = _sweep(device, "off", iterations)
    alone = _without_ray(configs, iterations)
    rows = [["steps alone, without Ray", alone, ""]]
    rows += [
        [name, s, f"{1 - alone / s:.0%}"]
        for name, s in (("sweep, packed", packed), ("sweep, a process a trial", single))
    ]
    yield Table(
        title=f"36 trials in Ray Tune, {device}",
        columns=(f"36 × {iterations:,} iterations of {batch} × 10 frames", "s", "not steps"),
        rows=rows,
        note=f"With {EVALUATIONS + 1} evaluations of 64 videos a trial.",
    )


def main(args: Sequence[str] = ()) -> None:
    """Print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("iterations", nargs="?", type=int, help="of each trial, N")
    show(tables(parser.parse_args(args).iterations))


if __name__ == "__main__":
    main(sys.argv[1:])
