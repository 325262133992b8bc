"""The studies in `sweeps/`, and a small one for tests."""

import importlib.util
from functools import cache
from pathlib import Path

from dd_ray.cli import parse
from dd_ray.sweep import Preset, Study
from dd_ray.sweep.planned import PlannedTrial

ROOT = Path(__file__).parents[2]
STUDY_FILES = sorted((ROOT / "sweeps").glob("*.py"))

TINY_OPTIONS = [
    "--batch-size",
    "2",
    "--num-test",
    "4",
    "--num-frames",
    "4",
    "--evaluations",
    "2",
    "--cpus-per-trial",
    "1",
    "--no-page",
]
"""Makes a trial of any video study a matter of milliseconds, and writes no page, which takes seconds."""

TINY = Study(
    name="tiny",
    question="Does the machinery work?",
    axes=("beta", "beta_norm", "gamma"),
    fixed={"model": "inertia_vae", "batch_size": 2, "num_test": 4, "num_frames": 4},
    presets={
        "quick": Preset(about="small", axes={"beta": (0.1, 1.0), "gamma": (0.0, 0.5)}, iterations=6),
        "paper": Preset(about="other", axes={"beta_norm": (0.001,)}, iterations=9, scheduler="none"),
    },
)


def load_study(path: Path) -> Study:
    """The `STUDY` of a file in `sweeps/`."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.STUDY


@cache
def planned(*options: str) -> tuple[PlannedTrial, ...]:
    """The trials of a command line of the tiny study; they are the same wherever they are stored."""
    return tuple(parse(TINY, list(options)).trials)
