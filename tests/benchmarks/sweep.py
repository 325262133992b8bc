"""Where the time of a quick sweep goes: `python -m tests.benchmarks.sweep [OPTION ...]`, options of the sweep."""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from dd_ray import results
from tests.benchmarks.measure import machine, seconds_of_trials

SWEEP = Path(__file__).parents[2] / "sweeps" / "inertia_grid.py"


def main(args: Sequence[str] = ()) -> None:
    """Run the default sweep and print the shares of the time of all cores, while trials run and of the whole."""
    _, options = argparse.ArgumentParser(description=__doc__).parse_known_args(args)
    with tempfile.TemporaryDirectory() as storage:
        started = time.perf_counter()
        subprocess.run([sys.executable, str(SWEEP), "--storage", storage, *options], check=True)
        wall = time.perf_counter() - started
        folder = next(Path(storage).iterdir())
        of_trials, trials = seconds_of_trials(folder), results.final(results.load(folder))
    slots = os.cpu_count() or 1
    training, in_trials = trials["training_seconds"].sum(), trials["seconds"].sum()
    parts = {
        "training": training,
        "evaluations and records": in_trials - training,
        "waiting for the last trial": of_trials * slots - in_trials,
        "start of Ray and its workers, table and map": (wall - of_trials) * slots,
    }
    print(f"\n| share of {slots} cores | from first trial to last, {of_trials:.0f} s | of the command, {wall:.0f} s |")
    print("| --- | ---: | ---: |")
    for number, (name, seconds) in enumerate(parts.items()):
        while_trials_run = f"{seconds / (of_trials * slots):.1%}" if number < 3 else ""
        print(f"| {name} | {while_trials_run} | {seconds / (wall * slots):.1%} |")
    print(f"\nEvaluations and records are {1 - training / in_trials:.1%} of a trial's own time. {machine()}.")


if __name__ == "__main__":
    main(sys.argv[1:])
