"""The wheel: it has all of the package, and works where there is no checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.sweep.studies import ROOT

OWN = '''
"""A study of a user's own."""

from dd_ray import Preset, Study

MINE = Study(
    name="mine",
    question="Does the wheel work?",
    axes=("beta",),
    fixed={"model": "inertia_vae", "batch_size": 2, "num_test": 4, "num_frames": 4},
    presets={"quick": Preset(about="small", axes={"beta": (0.1, 1.0)}, iterations=4, scheduler="none")},
)
'''


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built of a copy, since a build leaves files beside what it builds."""
    source = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "dd_ray", source / "dd_ray", ignore=shutil.ignore_patterns("__pycache__"))
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", source / "built", source)
    (built,) = (source / "built").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an environment with the wheel, which borrows all other packages from this one, so that none is downloaded."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    _pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    # Not before: pip would find the package that is installed here, and leave it at that.
    (packages,) = home.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def _pip(*words: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_it_has_every_file_of_the_package(wheel: Path) -> None:
    here = {path.relative_to(ROOT).as_posix() for path in (ROOT / "dd_ray").rglob("*") if path.is_file()}
    wanted = {name for name in here if "__pycache__" not in name}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("dd_ray/")}
    assert packed == wanted
    assert {"dd_ray/studies/inertia_grid.py", "dd_ray/report/template.html", "dd_ray/report/js/main.js"} <= packed


@pytest.mark.ray
@pytest.mark.slow
def test_outside_the_checkout_it_plans_trains_draws_and_reports(
    bin_folder: Path, ray_folder: str, tmp_path: Path
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["RAY_TMPDIR"] = ray_folder

    def run(program: str, *words: str) -> str:
        command = [str(bin_folder / program), *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("python", "-c", "import dd_ray; print(dd_ray.__file__)").startswith(str(bin_folder.parent))
    assert "nothing was started" in run("dd-ray", "inertia_grid", "--dry-run")
    (tmp_path / "own.py").write_text(OWN)
    trained = run("dd-ray", "mine", "--extension", "own.py", "--name", "mine", "--evaluations", "2")
    assert "2 trials = 2 beta" in trained and "figures/grid_maps.png" in trained
    run("dd-ray", "maps", "results/mine", "--metrics", "kl", "--out", "maps")
    assert (tmp_path / "maps" / "grid_maps.png").read_bytes().startswith(b"\x89PNG")
    run("dd-ray", "report", "results/mine", "--videos", "0")
    assert "</html>" in (tmp_path / "results" / "mine" / "report.html").read_text()
