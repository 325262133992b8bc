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


def test_the_metrics_know_nothing_of_the_rest():
    for path in (PACKAGE / "metrics").rglob("*.py"):
        assert {_part(name) for name in _imports(path)} <= {"metrics"}


BARE = """
import importlib, importlib.metadata, sys

ABSENT = {"ray", "tyro", "docstring_parser", "typeguard", "optuna", "plotly"}
ABSENT_DISTRIBUTIONS = {"dd_ray", "dd-ray", "ray", "tyro", "docstring-parser", "typeguard", "optuna", "plotly"}


class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    def find_distributions(self, context):
        return iter(())


def installed(name, real=importlib.metadata.distribution):
    if name in ABSENT_DISTRIBUTIONS:
        raise importlib.metadata.PackageNotFoundError(name)
    return real(name)


sys.meta_path.insert(0, Absent())
importlib.metadata.distribution = installed
"""
"""What an interpreter runs first to be as one on a lent machine: a copy of the tree, and few packages."""
WITHOUT_MORE = re.compile(
    r"dd_ray\.(tune|service|cli|report)\b|.*\.suggestions$|dd_ray\.(probes\.networks|figures\.lag)$"
)
"""Modules that start Ray, ask Optuna, or choose networks on a command line."""


def test_a_copy_of_the_tree_trains_and_reads_sweeps_where_few_packages_are():
    modules = [_name(path) for path in MODULES if path.stem != "__main__"]
    wanted = [module for module in modules if not WITHOUT_MORE.match(module)]
    code = f"""{BARE}
for module in {wanted}:
    importlib.import_module(module)
import dd_ray
from dd_ray.storage.versions import versions
print(dd_ray.__version__, versions())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{dd_ray.__version__} {{'dd_ray': '{dd_ray.__version__} (source ")
    assert "'ray': 'none'" in done.stdout
    assert {"dd_ray.training", "dd_ray.evaluation", "dd_ray.results", "dd_ray.trial.pack", "dd_ray.sweep.plan"} <= {
        *wanted
    }


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
