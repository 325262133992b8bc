"""A user's own files on Ray: one of each kind in one sweep, which is read without them and goes on with them."""

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from dd_ray.config.extensions import load_files, unload
from dd_ray.tune.progress import _error_of
from tests.processes import know_the_cluster, python
from tests.sweep.studies import ROOT
from tests.tune.conftest import ONE_AT_A_TIME

FOLDER = ROOT / "tests" / "extensions"
FILES = sorted(file for file in FOLDER.glob("*.py") if file.stem != "__init__")
SIZES = "--batch-size 2 --num-test 4 --num-frames 4 --evaluations 2 --cpus-per-trial 1 --iterations 6".split()
OWN = (
    "--model blur_vae --network linear --dataset bars --objective free_bits --free-nats 0.1 --final-metrics first_axis "
    "--scheduler own_median --optimizer signs --blur 0 0.5 --beta 0.1 1 --gamma 0 --lambda 0"
).split()


def _sweep(cluster: str, folder: Path, *more: object) -> "subprocess.CompletedProcess[str]":
    """Run the sweep of a user's own files to its end, on a cluster."""
    where = ["--address", cluster, *ONE_AT_A_TIME, "--storage", folder, "--name", "mine"]
    done = python("-m", "tests.tune.without_figures", *SIZES, *OWN, *where, *more, first=know_the_cluster)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.ray
def test_one_of_each_kind_is_swept_and_read(cluster: str, tmp_path: Path) -> None:
    sweep = tmp_path / "mine"
    _sweep(cluster, tmp_path, "--extension", *FILES)
    assert sorted(file.name for file in (sweep / "extensions").iterdir()) == [file.name for file in FILES]
    recorded = {each["file"]: each for each in json.loads((sweep / "sweep.json").read_text())["extensions"]}
    assert recorded["blur_vae.py"]["declares"][0]["title"] == "blur VAE"

    # Nothing of it is run by who reads the sweep: in a process of its own, where nobody has declared it.
    read = python("-m", "dd_ray.results", sweep, "--out", tmp_path / "table.csv")
    assert read.returncode == 0 and "4 finished" in read.stdout.replace("stopped early", "finished"), read.stdout
    assert python(ROOT / "analysis" / "grid_maps.py", sweep, "--metrics", "mcc", "first_axis").returncode == 0
    header = (tmp_path / "table.csv").read_text().splitlines()[0].split(",")
    assert {"blur", "free_nats", "first_axis", "linear_r2/bar_y"} <= {*header}
    pictures = python(ROOT / "analysis" / "traversals.py", sweep, "--cells", "blur=0.5,beta=1")
    assert pictures.returncode == 2 and "give --extension" in pictures.stderr


TRACE = """Failure # {number} (occurred at 2026-11-28_13-40-57)
  File "trainable.py", line 329, in train
  File "{file}", line {line}, in forward
    e, logvar = self.encode(batch.imges)
AttributeError: 'Batch' object has no attribute 'imges'
"""


def test_an_error_of_a_users_own_file_names_its_line(tmp_path: Path) -> None:
    load_files([FOLDER / "blur_vae.py"])
    failures = [("blur_vae.py", 9), ("blur_vae.py", 30)]
    text = "".join(TRACE.format(number=i, file=file, line=line) for i, (file, line) in enumerate(failures))
    error_file = tmp_path / "error.txt"
    trial = SimpleNamespace(error_file=error_file)
    try:
        error_file.write_text(text)
        assert _error_of(trial) == "AttributeError: 'Batch' object has no attribute 'imges' (blur_vae.py:30)"
        error_file.write_text(text + TRACE.format(number=2, file="networks.py", line=4))
        assert _error_of(trial) == "AttributeError: 'Batch' object has no attribute 'imges'"
    finally:
        unload("blur_vae.py")


@pytest.mark.ray
@pytest.mark.slow
def test_with_another_text_of_a_file_a_sweep_says_so_and_goes_on(cluster: str, tmp_path: Path) -> None:
    _sweep(cluster, tmp_path, "--extension", *FILES)
    changed = tmp_path / "blur_vae.py"
    changed.write_text((FOLDER / "blur_vae.py").read_text() + "# changed\n")
    others = [file for file in FILES if file.name != "blur_vae.py"]
    more = _sweep(cluster, tmp_path, "--seeds", 2, "--extension", changed, *others)
    assert "blur_vae.py has changed" in more.stdout and "kept: 4; to run: 4" in more.stdout
