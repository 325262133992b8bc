"""Where the wall time of a quick sweep goes: `python -m tests.benchmarks.sweep`."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from dd_ray import results
from tests.benchmarks.measure import machine

SWEEP = Path(__file__).parents[2] / "sweeps" / "inertia_grid.py"


def main() -> None:
    """Run the default sweep and print the shares of its time, of all cores together."""
    with tempfile.TemporaryDirectory() as storage:
        started = time.perf_counter()
        subprocess.run([sys.executable, str(SWEEP), "--storage", storage, *sys.argv[1:]], check=True)
        wall = time.perf_counter() - started
        cells = results.final(results.load(next(Path(storage).iterdir())))
    slots = os.cpu_count() or 1
    training, in_cells = cells["training_seconds"].sum(), cells["seconds"].sum()
    print(f"\n| part of {wall:.0f} s on {slots} cores | share |")
    print("| --- | ---: |")
    print(f"| training | {training / (wall * slots):.1%} |")
    print(f"| evaluations and records | {(in_cells - training) / (wall * slots):.1%} |")
    print(f"| start, Ray, waiting for the last cell, table and map | {1 - in_cells / (wall * slots):.1%} |")
    print(f"| evaluations, of a cell's own time | {1 - training / in_cells:.1%} |")
    print(f"\n{machine()}.")


if __name__ == "__main__":
    main()
