"""Which software a process runs: what a sweep's nodes must have in common."""

import functools
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from dd_ray import __version__

_PACKAGE = Path(__file__).parents[1]


@functools.cache
def versions() -> dict[str, str]:
    """Versions of what decides the numbers of a sweep. That of dd_ray ends in a hash of its source.

    Builds of one version of PyTorch for different hardware (`2.13.0+cpu`) count as the same. What is not installed, as
    Ray need not be where a trial is trained without it, is "none".
    """
    return {
        "dd_ray": f"{__version__} (source {_source_hash()})",
        "ray": _installed("ray"),
        "torch": _installed("torch").partition("+")[0],
        "python": ".".join(map(str, sys.version_info[:3])),
    }


def difference(found: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """What differs, to read: `torch 2.13.0 instead of 2.12.1`; empty where nothing does."""
    names = [name for name in wanted if found.get(name) != wanted[name]]
    return ", ".join(f"{name} {found.get(name, 'none')} instead of {wanted[name]}" for name in names)


def commit() -> str | None:
    """Commit of the code, where it is run from a checkout; "-dirty" where that was changed since."""
    here = Path(__file__)
    git = ["git", "-C", str(here.parent)]
    try:
        # A package installed below someone else's repository is none of its files.
        subprocess.run([*git, "ls-files", "--error-unmatch", here.name], capture_output=True, check=True, timeout=5)
        describe = [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(describe, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def machine() -> dict[str, Any]:
    """This machine, to read: its name, processor, cores and GPUs. None where it does not say."""
    return {
        "name": platform.node() or None,
        "processor": _first_after("model name", Path("/proc/cpuinfo")) or platform.processor() or None,
        "cores": os.cpu_count(),
        "gpus": [
            model
            for card in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
            if (model := _first_after("Model", card))
        ],
    }


def _first_after(name: str, path: Path) -> str | None:
    """What stands after `NAME:` in a file of the kernel's, where it stands first."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), None)


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _source_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(_PACKAGE.rglob("*.py")):
        digest.update(str(path.relative_to(_PACKAGE)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:8]
