"""Data flows one way: a module imports only from those before it, and no more than it needs."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import dd_ray

PACKAGE = Path(dd_ray.__file__).parent
ORDER = [
    *("errors", "command_line", "config", "metrics", "storage", "data", "models", "objectives"),
    *(
        "training",
        "evaluation",
        "sweep",
        "studies",
        "results",
        "upkeep",
        "trial",
        "probes",
        "tune",
        "figures",
        "report",
        "planning",
        "api",
        "cli",
        "service",
    ),
]
"""The floors, the ground floor first."""
MODULES = sorted(PACKAGE.rglob("*.py"))


def _part(module: str) -> str:
    """The part of the package that a module such as dd_ray.data.circles belongs to: data; its own command is of cli."""
    part = module.split(".")[1]
    return "cli" if part == "__main__" else part


def _place(module: str) -> int:
    """Where a module stands in the order. Nothing imports a package's command line, so it may stand further down."""
    place = ORDER.index(_part(module))
    return max(place, ORDER.index("cli")) if module.endswith(".__main__") else place


@cache
def _tree(path: Path) -> ast.Module:
    """What a file says, which several tests look at."""
    return ast.parse(path.read_text(encoding="utf-8"))


def _name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path) -> Iterator[str]:
    """Modules of this package that a file imports, anywhere in it."""
    for node in ast.walk(_tree(path)):
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


def test_the_readme_lists_the_parts_in_their_order():
    readme = (PACKAGE / "README.md").read_text(encoding="utf-8")
    assert re.findall(r"^    dd_ray/(\w+)", readme, re.MULTILINE) == ORDER


INDEXED = {
    *("command_line config data figures probes report results storage sweep training trial tune upkeep".split()),
}
"""Parts of the package whose docstring says of each module what it holds."""


def test_an_index_of_modules_names_them_all():
    missing = []
    for part in sorted(INDEXED):
        index = ast.get_docstring(ast.parse((PACKAGE / part / "__init__.py").read_text(encoding="utf-8"))) or ""
        names = [path.stem for path in (PACKAGE / part).glob("*.py") if not path.stem.startswith("__")]
        missing += [f"{part}: {name}" for name in names if not re.search(rf"\b{name}\b", index)]
    assert missing == []


def test_the_package_itself_imports_nothing_of_its_own():
    assert not list(_imports(PACKAGE / "__init__.py"))


def test_type_checkers_see_the_names_that_the_package_offers():
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    seen = {name.name: node.module for node in stub.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert seen == {name: f"dd_ray.{home}" for name, home in dd_ray._HOME.items()}
    assert (PACKAGE / "py.typed").is_file()  # without it, they pass over all annotations of the package


def test_a_module_imports_only_from_those_before_it_and_no_command_line():
    found = [(_name(path), imported) for path in MODULES if _name(path) != "dd_ray" for imported in _imports(path)]
    imports = [(name, imported) for name, imported in found if _part(imported) != "__version__"]
    assert {name for name, imported in imports if imported.endswith(".__main__")} == set()
    assert [pair for pair in imports if _place(pair[1]) > _place(pair[0])] == []
    assert len(imports) > 200


def _of_ray(path: Path) -> set[str]:
    """Modules of Ray that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(_tree(path)):
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
        assert {_part(name) for name in _imports(path)} <= {"metrics", "config"}


ALWAYS = {
    *("write_text", "write_bytes", "touch", "mkdir", "makedirs", "mkdtemp", "unlink", "rmdir", "rmtree", "truncate"),
    *("symlink_to", "hardlink_to", "copyfile", "copyfileobj", "copytree", "move", "extract", "extractall", "memmap"),
}
"""Functions and methods that change files, whatever they are called on and with."""
OF_OS = {"replace", "rename", "renames", "remove", "link", "symlink"}
"""The same, after `os.` only: strings and data frames have methods of these names, too."""
TO_A_PATH = {"save", "savez", "savez_compressed", "savetxt", "savefig", "dump", "to_csv", "to_parquet", "to_json"}
"""Calls that write a file where their first argument, or their second after `torch.` and the like, is a path."""
MODE = re.compile(r"[rwaxbt+]+")
NOT_FILES = {"os.open(os.devnull, os.O_RDWR)"}
"""Opened for writing although it is no file: what a closed stream is replaced by."""


def _written(tree: ast.Module) -> Iterator[str]:
    """The calls of a module that change files."""
    in_memory = {
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and "BytesIO(" in ast.unparse(node.value)
        for target in node.targets
        for name in ast.walk(target)
        if isinstance(name, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _writes(node, in_memory) and ast.unparse(node) not in NOT_FILES:
            yield f"line {node.lineno}: {ast.unparse(node)}"


def _writes(call: ast.Call, in_memory: set[str]) -> bool:
    module, _, name = ast.unparse(call.func).rpartition(".")
    first = [ast.unparse(argument) for argument in call.args[:1]]
    modes = [value for value in map(_text, [*call.args, *(k.value for k in call.keywords)]) if MODE.fullmatch(value)]
    if name in ("open", "fdopen"):
        return any(set(mode) & set("wax+") for mode in modes) or module == "os"
    if name in TO_A_PATH:
        return bool(first) and first[0] not in in_memory
    return name in ALWAYS or (module == "os" and name in OF_OS)


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


@pytest.mark.parametrize(
    "code",
    [
        *(
            "open(path, 'w')",
            "open(path, mode='ab')",
            "path.open('x')",
            "path.open('r+b')",
            "os.open(path, os.O_CREAT)",
        ),
        *("path.write_text(page)", "path.write_bytes(page)", "figure.savefig(folder / name)", "table.to_csv(path)"),
        *("table.to_parquet(path)", "folder.mkdir()", "os.makedirs(folder)", "os.replace(draft, path)"),
        *("np.savez(path, **arrays)", "torch.save(state, path)", "shutil.copyfile(source, path)"),
    ],
)
def test_a_call_that_changes_files_is_noticed(code):
    assert list(_written(ast.parse(code))) == [f"line 1: {code}"]


@pytest.mark.parametrize(
    "code",
    [
        *("open(path)", "path.open('rb')", "content = io.BytesIO()\nfigure.savefig(content, format='png')"),
        *("table.to_csv(index=False)", "table.to_parquet()", "text.replace('a', 'w')", "files.write(name, content)"),
    ],
)
def test_a_call_that_changes_none_is_not(code):
    assert not list(_written(ast.parse(code)))


def test_storage_is_the_only_writer():
    found = [
        f"{_name(path)}, {call}"
        for path in MODULES
        if "storage" not in path.relative_to(PACKAGE).parts
        for call in _written(_tree(path))
    ]
    assert not found, "these write files, which is dd_ray.storage's part:\n" + "\n".join(found)


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
"""What an interpreter runs first to be as one that has a copy of the tree, and few packages."""
WITHOUT_MORE = re.compile(
    r"dd_ray\.(tune|service|api|cli|figures|report)\b|.*\.suggestions$|dd_ray\.sweep\.(cma_es|draws|suggested)$"
)
"""Modules that start Ray, ask Optuna, or draw."""


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


DRIVER = ("dd_ray.tune.run", "dd_ray.tune.trainables", "dd_ray.cli")
RESULTS = (*(_name(path) for path in sorted((PACKAGE / "results").glob("[!_]*.py"))), "dd_ray.results.__main__")
FIGURES = ("dd_ray.figures.grid_maps", "dd_ray.figures.tradeoff", "dd_ray.figures.search_results")


@pytest.mark.parametrize(
    "imports",
    [
        [
            # What is imported of a study of one's own, and in every worker.
            ("dd_ray", "ray, torch, pandas, numpy, tyro"),
            ("dd_ray.config, dd_ray.config.options, dd_ray.metrics, dd_ray.storage.sweep_folder", "torch, ray, pandas"),
            # Figures are imported when they are drawn, and a dry run does not need Ray.
            ("dd_ray.cli, dd_ray.figures, dd_ray.results.table", "matplotlib, ray, optuna, scipy.special"),
            # PyTorch costs the driver 2 s, which it needs for nothing; and what a sweep came to is read and drawn
            # without its networks. Two more are slow to begin, and needed for little: a search's importances, and draws
            # of cells.
            (", ".join([*DRIVER, *RESULTS, *FIGURES, "dd_ray.report.command"]), "torch, sklearn, scipy.stats"),
        ],
        # One trial can be trained and evaluated where there is no Ray.
        [("dd_ray.training, dd_ray.evaluation", "ray, pandas, tensorboard, scipy.optimize, scipy.stats")],
    ],
    ids=["driver", "trial"],
)
def test_importing_brings_no_more_than_is_needed(imports):
    # In an interpreter of its own, since this one has everything; each step has what those before it brought.
    code = "import sys\n"
    for modules, unwanted in imports:
        code += f"import {modules}\nprint(*({{*'{unwanted}'.split(', ')}} & {{*sys.modules}}))\n"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert imported.splitlines() == [""] * len(imports)
