"""Sweep folders that are written cell by cell, as a run would leave them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from dd_ray import results
from dd_ray.config import TrialConfig
from dd_ray.config.labels import label_of
from dd_ray.config.options import product
from dd_ray.results.summary import Summary, summarise
from dd_ray.storage.files.base import Files
from dd_ray.storage.records import State
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import Outcome, TrialFolder

Values = Mapping[str, Any]
Location = TypeVar("Location", str, Path)
EVALUATED = (0, 150, 300)
GRID = {"beta": [0.0, 0.1], "gamma": [0.0, 0.5, 0.9], "lam": [0.0, 10.0]}


def measure(config: Values, iteration: int) -> Values:
    """Metrics that tell every cell, seed and iteration apart."""
    base = config["gamma"] + 0.1 * config["lam"] + 0.01 * config["seed"]
    return {
        "reconstruction_error": 0.01 + 0.001 * base + 1 / (100 + iteration),
        "linear_r2": base - iteration / 1000,
        "mcc": 0.5 + 0.1 * base,
        "active_units": 4.0,
        "prediction_ratio": None if config["gamma"] == 1 else 0.1,
    }


def write_sweep(
    path: Location,
    axes: Mapping[str, Sequence[Any]],
    ended: Callable[[Values], tuple[str, int]] = lambda config: ("finished", 300),
    metrics: Callable[[Values, int], Values] = measure,
    evaluated: Sequence[int] = EVALUATED,
    *,
    beside: Mapping[str, Sequence[Any]] | None = None,
) -> Location:
    """A sweep of 300 iterations; `ended` says how each cell ended, and at which iteration.

    It also has the cells of the axes with those of `beside` in their place. A cell has the files that a run leaves, but
    they are put there at once: written one after another, they took half the time of many a test.
    """
    sweep = SweepFolder.at(path)
    axes = {"model": ["inertia_vae"], "seed": [0], **axes}
    sweep.write_manifest({"study": "inertia_grid", "axes": dict(axes), "options": {"iterations": 300}})
    grids = [axes] if beside is None else [axes, {**axes, **beside}]
    cells = [config.to_dict() for grid in grids for config in product({k: tuple(v) for k, v in grid.items()})]
    swept = [name for name in grids[-1] if len({values[name] for values in cells}) > 1]
    for values in cells:
        config = TrialConfig.from_dict(values)
        state, reached = ended(values)
        files = Draft(sweep.trial(config.key).files)
        cell = TrialFolder(cast(Files, files), config.key)
        cell.create(values, label_of(values, swept))
        for iteration in [i for i in evaluated if i <= reached]:
            cell.record({"iteration": iteration, "seconds": 1.0, **metrics(values, iteration)})
        if state not in ("unfinished", "missing"):
            error = "boom" if state == "failed" else None
            cell.finish(Outcome(state=cast(State, state), iteration=reached, error=error))
        files.put()
    return path


class Draft:
    """Files of a trial that are changed in memory, and then put into their folder."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._changed: dict[str, bytes] = {}

    def exists(self, name: str) -> bool:
        return name in self._changed or self._files.exists(name)

    def read(self, name: str, most: int | None = None) -> bytes:
        return self._changed[name] if name in self._changed else self._files.read(name, most)

    def write(self, name: str, content: bytes, *, durable: bool = True) -> None:
        self._changed[name] = content

    def append(self, name: str, line: bytes) -> None:
        self.write(name, (self.read(name) if self.exists(name) else b"") + line)

    def stamps(self, folder: str) -> dict[str, str]:
        return self._files.stamps(folder) | {name: f"{len(content)} 0" for name, content in self._changed.items()}

    def put(self) -> None:
        """Write what has changed. A reader sees a new folder with all of its files, or none."""
        folder = self._files.local
        if folder is None or folder.exists():
            for name, content in self._changed.items():
                self._files.write(name, content)
            return
        draft = folder.with_name(f".{folder.name}")
        draft.mkdir(parents=True)
        for name, content in self._changed.items():
            (draft / name).write_bytes(content)
        draft.rename(folder)


def summary_of(path: Path, **options: Any) -> Summary:
    """What `summarise` makes of the sweep in a folder."""
    return summarise(results.load(path), SweepFolder.open(path).manifest(), **options)


def by_seed(*ended: tuple[str, int]) -> Callable[[Values], tuple[str, int]]:
    """How the seeds of a cell end, in their order."""
    return lambda config: ended[config["seed"]]
