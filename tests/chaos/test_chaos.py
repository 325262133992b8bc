"""A short run of `tests.chaos`: every kind of fault at least once, and the sweep is what it would have been."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.ray
@pytest.mark.slow
def test_a_sweep_survives_every_kind_of_fault(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "tests.chaos",
        "--seed=1",
        "--minutes=0",
        "--pause=4",
        "--seeds=3",
        "--iterations=80",
    ]
    done = subprocess.run(
        [*command, f"--keep={tmp_path}"], capture_output=True, text=True, timeout=600, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    faults = {kind.strip(): (int(times), int(survived)) for kind, times, survived in _rows(done.stdout)}
    assert len(faults) >= 15
    assert all(times >= 1 and survived == times for times, survived in faults.values())
    assert "trials that lost any: 0." in done.stdout


def _rows(text: str) -> list[tuple[str, str, str]]:
    """Rows of the table at the end that have numbers."""
    return re.findall(r"^\| (.+?) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
