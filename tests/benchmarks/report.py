"""The page and the pictures of a large sweep: `python -m tests.benchmarks.report [FOLDER]`.

The sweep has 216 cells of three seeds with 31 evaluations each, whose numbers are drawn from a formula, and networks as
they are before training. It is kept in FOLDER, if that is given, for the next time.
"""

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from dd_ray.figures import reconstruction_errors, traversals
from dd_ray.figures.network_pictures import Options as Traversals
from dd_ray.metrics import REPORTED
from dd_ray.report.command import Options, write_report
from tests.benchmarks.table import Table, show
from tests.figures.networks import write_trained_sweep
from tests.figures.sweeps import Values

AXES = {
    "beta": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0],
    "gamma": [0.0, 0.3, 0.5, 0.7, 0.8, 0.9],
    "lam": [0.0, 1.0, 3.0, 10.0, 30.0, 100.0],
    "background": ["black"],
    "width_factor": [0.5],
    "seed": [0, 1, 2],
}
EVALUATED = tuple(range(0, 301, 10))


def numbers_of(config: Values, iteration: int) -> Values:
    """Numbers that rise with γ and fall with the iteration, with noise of their own for each trial."""
    place = [round(1000 * config[name]) for name in ("beta", "gamma", "lam", "seed")]
    noise = np.random.default_rng([*place, iteration]).normal(size=len(REPORTED))
    base = 0.3 + 0.4 * config["gamma"] + 0.1 * np.log10(1 + config["lam"]) + 0.1 / (1 + iteration / 30)
    return {name: float(base + 0.02 * part) for name, part in zip(REPORTED, noise, strict=True)} | {"active_units": 4.0}


def main(folder: Path | None = None) -> None:
    """Write the page and the figures of a large sweep, and print how long each took and how large it is."""
    with tempfile.TemporaryDirectory() as temporary:
        path = (folder or Path(temporary)) / "large"
        if not (path / "sweep.json").exists():
            write_trained_sweep(path, AXES, metrics=numbers_of, evaluated=EVALUATED)
        show([_table(str(path), Path(temporary))])


def _table(path: str, out: Path) -> Table:
    def page(videos: int) -> list[Path]:
        return [write_report(Options(path=path, videos=videos, out=out / f"{videos}.html"))]

    made = {
        "page without pictures": lambda: page(0),
        "page with pictures": lambda: page(2),
        "reconstruction_errors": lambda: reconstruction_errors.write_errors(
            reconstruction_errors.Options(path=path, out=out)
        ),
        "traversals": lambda: traversals.write_traversals(Traversals(path=path, out=out)),
    }
    rows = []
    for name, write in made.items():
        began = time.perf_counter()
        files = write()
        rows.append([name, time.perf_counter() - began, len(files), sum(file.stat().st_size for file in files) / 1e6])
    return Table(title="216 cells × 3 seeds × 31 evaluations", columns=("written", "s", "files", "MB"), rows=rows)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
