"""The software that a process runs, which must be the same on all nodes of a sweep."""

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
    """Return the versions of the software that decides a sweep's numbers. That of dd_ray ends in a hash of its source.

    Builds of a version of PyTorch for different hardware (`2.13.0+cpu`) count as the same, and so do machines with and
    without the compiled convolutions: these are used where they agree with PyTorch's, and change what rounding changes
    between processors, too. A package that is not installed, such as Ray where trials are trained without it, is
    "none".
    """
    return {
        "dd_ray": f"{__version__} (source {_source_hash()})",
        "ray": _installed("ray"),
        "torch": _installed("torch").partition("+")[0],
        "python": ".".join(map(str, sys.version_info[:3])),
    }


def difference(found: Mapping[str, str], wanted: Mapping[str, str]) -> str:
    """Say which versions differ: `torch 2.13.0 instead of 2.12.1`; empty if none does."""
    names = [name for name in wanted if found.get(name) != wanted[name]]
    return ", ".join(f"{name} {found.get(name, 'none')} instead of {wanted[name]}" for name in names)


def commit() -> str | None:
    """Return the commit of the code, with "-dirty" if it was changed since; None if it does not run from a checkout."""
    here = Path(__file__)
    git = ["git", "-C", str(here.parent)]
    try:
        # A package that is installed inside another repository does not belong to it.
        subprocess.run([*git, "ls-files", "--error-unmatch", here.name], capture_output=True, check=True, timeout=5)
        describe = [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        return subprocess.run(describe, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def machine() -> dict[str, Any]:
    """Describe this machine: its name, processor, cores and GPUs. A value that it does not tell is None."""
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
    """Return the text after the first `NAME:` in a file of the kernel."""
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
