"""Data flows one way: a module imports only from those before it, and no more than it needs."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dd_ray

PACKAGE = Path(dd_ray.__file__).parent
ORDER = [
    *("errors", "command_line", "config", "metrics", "storage", "data", "models", "objectives"),
    *("training", "evaluation", "sweep", "results", "trial", "probes", "tune", "figures", "report", "cli", "service"),
]
"""The floors, the ground floor first."""
MODULES = sorted(PACKAGE.rglob("*.py"))


def _part(module: str) -> str:
    """The part of the package that a module such as dd_ray.data.circles belongs to: data."""
    return module.split(".")[1]


def _place(module: str) -> int:
    """Where a module stands in the order. Nothing imports a package's command line, so it may stand further down."""
    place = ORDER.index(_part(module))
    return max(place, ORDER.index("cli")) if module.endswith(".__main__") else place


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path) -> Iterator[str]:
    """Modules of this package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path} imports relative to itself; name the module in full"
            whole = node.module == "dd_ray"
            names = [f"dd_ray.{alias.name}" for alias in node.names] if whole else [node.module]
        else:
            continue
        yield from (name for name in names if name.startswith("dd_ray."))


def test_every_part_of_the_package_has_its_place_in_the_order():
    parts = {_part(_name(path)) for path in MODULES if _name(path) != "dd_ray"}
    assert parts == set(ORDER)


def test_the_package_itself_imports_nothing_of_its_own():
    assert not list(_imports(PACKAGE / "__init__.py"))


@pytest.mark.parametrize("path", [path for path in MODULES if _name(path) != "dd_ray"], ids=_name)
def test_a_module_imports_only_from_those_before_it(path):
    for imported in _imports(path):
        assert not imported.endswith(".__main__"), f"{_name(path)} imports a command line, {imported}"
        if _part(imported) != "__version__":
            assert _place(imported) <= _place(_name(path)), f"{_name(path)} imports {imported}"


def _of_ray(path: Path) -> set[str]:
    """Modules of Ray that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name for name in found if name.partition(".")[0] == "ray"}


def test_only_running_and_the_service_import_ray():
    with_ray = {_part(_name(path)) for path in MODULES if _of_ray(path)}
    assert with_ray == {"tune", "service"}


def test_private_names_of_ray_are_in_one_file():
    private = re.compile(
        r"ray\._|ray\.core|ray\.scripts|ray\.dashboard|_actor_id\b(?!\()|__ray_ready__|\._brackets|\._rungs\b|\._max_t\b"
        r"|run_metadata|error_file|\bTUNE_[A-Z]|RAY_AIR_|RAY_JOB_|RAY_USAGE|InvalidAuthToken|Running entrypoint"
    )
    found = {_name(path) for path in MODULES if private.search(path.read_text(encoding="utf-8"))}
    assert found == {"dd_ray.tune.private"}


def test_the_metrics_know_nothing_of_the_rest():
    for path in (PACKAGE / "metrics").rglob("*.py"):
        assert {_part(name) for name in _imports(path)} <= {"metrics"}


@pytest.mark.parametrize(
    ("modules", "unwanted"),
    [
        ("dd_ray.config, dd_ray.config.options, dd_ray.metrics, dd_ray.storage.sweep_folder", "torch, ray, pandas"),
        # One trial can be trained and evaluated where there is no Ray.
        ("dd_ray.training, dd_ray.evaluation", "ray, pandas, tensorboard"),
        # PyTorch costs the driver 2 s, which it needs for nothing.
        ("dd_ray.tune.run, dd_ray.tune.trainable, dd_ray.cli, dd_ray.results.table", "torch"),
        # Neither does a dry run need Ray.
        ("dd_ray.cli, dd_ray.results.table", "ray"),
    ],
)
def test_importing_brings_no_more_than_is_needed(modules, unwanted):
    code = f"import sys, {modules}; print(*({{*'{unwanted}'.split(', ')}} & {{*sys.modules}}))"
    # In an interpreter of its own, since this one has everything.
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert imported.split() == []
