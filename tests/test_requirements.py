"""The pinned versions of a cluster's nodes are those of what the package needs."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_dependency_is_pinned():
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    lines = (ROOT / "cluster" / "requirements.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    names = {re.split(r"[\[><=]", requirement)[0] for requirement in needed}
    assert names <= set(pinned)
    assert all(re.fullmatch(r"[\w.]+", version) for version in pinned.values())
