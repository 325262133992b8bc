"""Sweeps that earlier code wrote open, are drawn, extended and resumed, with the same keys and numbers.

`tests/legacy/README.md` tells what they are and which code wrote them.
"""

import json
import subprocess
import tarfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pandas as pd
import pytest
from matplotlib.image import imread

from analysis import grid_maps, report, search_results, tradeoff
from dd_ray import results
from dd_ray.cli import parse
from dd_ray.config import TrialConfig
from dd_ray.results import __main__ as command
from dd_ray.results import suggestions
from dd_ray.storage.sweep_folder import SweepFolder
from tests.processes import know_the_cluster, python
from tests.report.unpacking import numbers_of
from tests.sweep.studies import ROOT, STUDY_FILES, load_study

LEGACY = ROOT / "tests" / "legacy"
ASKED_FOR: dict[str, dict[str, str]] = json.loads((LEGACY / "asked_for.json").read_text())
"""Labels by key that the earlier code planned for each sweep's command; none for a search, whose trials are drawn."""
WITH_STATES = ("grid_finished", "grid_interrupted", "search_finished", "search_interrupted", "stills_finished")
STUDIES = tuple(name for name in ASKED_FOR if name not in WITH_STATES)
LATER = ("answer",)
"""Studies that the earlier code had not."""
SEARCHES = ("search_finished", "search_interrupted", "inertia_search")
STATES = {
    "grid_finished": "8 finished of 8 trials.",
    "grid_interrupted": "2 finished, 1 unfinished, 3 missing of 6 trials.",
    "search_finished": "3 finished of 3 trials.",
    "search_interrupted": "2 finished, 1 unfinished of 3 trials.",
    "stills_finished": "3 finished, 5 stopped early of 8 trials.",
}
TIMES = ("seconds", "training_seconds", "speed/iterations_per_second", "speed/frames_per_second")
"""Columns that no two runs agree in."""
CLOSE = 1e-4
"""Relative error that is allowed of what is trained here and was recorded elsewhere. On the CPU that recorded them, all
numbers were the same to the last bit; another CPU adds in another order, and training carries the last bits on. With
`ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41`, losses were off by up to 5e-7 and the KL by 6e-6."""
CLOSE_ABSOLUTE = {
    "mig": 0.05,  # it counts frames in bins: one that crosses an edge is a whole frame
    **dict.fromkeys(("linear_r2", "mcc", "sap", "prediction_ratio", "straightness"), 2e-3),
}
"""Absolute error that is allowed beside it. These scores are of latents that hardly vary after so few iterations, and
the scale that they divide by magnifies the last bits: R² of a factor was off by up to 3e-4 as above."""
CLOSE_TO_ZERO = 1e-5
"""Absolute error that is allowed of all others: some are differences of nearly equal sums."""

Open = Callable[[str], Path]


def unpack(archive: str, folder: Path) -> Path:
    """The content of an archive, in a folder of its own."""
    with tarfile.open(LEGACY / f"{archive}.tar.xz") as tar:
        tar.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Open:
    """Gives the folder of a sweep, which tests only read."""
    archives = {archive: unpack(archive, tmp_path_factory.mktemp(archive)) for archive in (*WITH_STATES, "studies")}
    return lambda name: archives[name if name in archives else "studies"] / name


def recorded(path: Path, of: str = "") -> pd.DataFrame:
    """A table that the earlier code gave, as the text it was written as."""
    return pd.read_csv(path.parent / f"{of or path.name}.csv", dtype=str)


def recorded_command(path: Path) -> tuple[str, list[str]]:
    """Name of the study that a sweep is of, and the options that it was asked for with."""
    manifest = SweepFolder.open(path).manifest()
    return manifest["study"], manifest["command"][1:]


def planned(path: Path) -> Any:
    """What the code of today plans for a sweep's command, where the sweep is."""
    study, options = recorded_command(path)
    where = ["--storage", str(path.parent), "--name", path.name]
    return parse(load_study(ROOT / "sweeps" / f"{study}.py"), [*options, *where])


def values(table: pd.DataFrame, columns: Iterable[str]) -> list[list[Any]]:
    """Some columns of a table, its numbers to the last bit, whether they are kept as numbers or as text."""
    return [[plain(value) for value in row] for row in table[list(columns)].itertuples(index=False)]


def plain(value: Any) -> Any:
    """A number, a text, or None where there is no value."""
    if pd.isna(value):
        return None
    try:
        return float(str(value))
    except ValueError:
        return str(value)


def test_there_is_a_sweep_of_every_study() -> None:
    assert {*STUDIES, *LATER} == {path.stem for path in STUDY_FILES}


@pytest.mark.parametrize("name", ASKED_FOR)
def test_the_table_is_the_one_that_was_recorded(opened: Open, name: str) -> None:
    table, expected = results.load(opened(name)), recorded(opened(name))
    assert values(table, expected.columns) == values(expected, expected.columns)
    assert sorted(table["key"].unique()) == sorted(p.name for p in (opened(name) / "cells").iterdir())


@pytest.mark.parametrize("name", ASKED_FOR)
def test_every_recorded_config_has_the_key_of_its_folder_and_the_same_fields(opened: Open, name: str) -> None:
    for trial in SweepFolder.open(opened(name)).trials():
        values = trial.describe()["config"]
        config = TrialConfig.from_dict(values)
        assert config.key == trial.key
        assert {field: config.to_dict()[field] for field in values} == values


@pytest.mark.parametrize("name", ASKED_FOR)
def test_the_same_command_asks_for_the_same_trials(opened: Open, name: str) -> None:
    plan, manifest = planned(opened(name)), SweepFolder.open(opened(name)).manifest()
    assert {trial.key: trial.label for trial in plan.trials} == ASKED_FOR[name]
    assert list(plan.evaluate_at) == manifest["evaluate_at"]
    axes = {field: list(values) for field, values in plan.axes.items()}
    assert {field: axes[field] for field in manifest["axes"]} == manifest["axes"]


@pytest.mark.parametrize("name", SEARCHES)
def test_the_suggestions_of_a_search_are_those_that_were_recorded(opened: Open, name: str) -> None:
    table, expected = suggestions.load(opened(name)), recorded(opened(name), f"{name}_suggestions")
    assert values(table, expected.columns) == values(expected, expected.columns)
    plan = planned(opened(name))
    for row in table.to_dict("records"):
        assert " ".join(trial.key for trial in plan.trials_of(row)) == row["cells"]
    assert plan.optuna_study == suggestions.search_of(SweepFolder.open(opened(name)))["optuna_study"]


@pytest.mark.parametrize("name", WITH_STATES)
def test_the_command_tells_the_state(opened: Open, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command.main([str(opened(name))])
    assert STATES[name] in capsys.readouterr().out.splitlines()


SHOWN_ALWAYS = ("grid_interrupted", "search_interrupted")
"""Of each kind of sweep the one whose trials are in more states."""
DRAWN = [(name, search_results if name in SEARCHES else grid_maps) for name in WITH_STATES]
DRAWN += [(name, tradeoff) for name in WITH_STATES]
DRAWN_ALWAYS = [
    ("grid_interrupted", grid_maps),
    ("search_interrupted", search_results),
    ("search_interrupted", tradeoff),
]


def slow_unless(always: Any, *values: Any) -> Any:
    """A case that is left out by default unless it is always tried."""
    return pytest.param(*values, marks=() if always else pytest.mark.slow)


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize(("name", "script"), [slow_unless(drawn in DRAWN_ALWAYS, *drawn) for drawn in DRAWN])
def test_figures_show_it(opened: Open, name: str, script: ModuleType, tmp_path: Path) -> None:
    script.main([str(opened(name)), "--out", str(tmp_path)])
    pages = [*tmp_path.glob("*.png")]
    assert pages and all(imread(page)[..., :3].std() > 0.05 for page in pages), "there is nothing to see in it"


@pytest.mark.parametrize("name", [slow_unless(name in SHOWN_ALWAYS, name) for name in WITH_STATES])
def test_the_report_shows_it(opened: Open, name: str, tmp_path: Path) -> None:
    table = recorded(opened(name))
    report.main([str(opened(name)), "--videos", "1", "--out", str(tmp_path / "report.html")])
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    shown = str(numbers_of(page))
    assert all(key in shown for key in table.loc[table["iteration"].notna(), "key"])
    assert "data:image/png;base64" in page  # drawn by networks that were made from the states


@pytest.mark.usefixtures("coarse")
def test_a_map_has_the_recorded_numbers(opened: Open, tmp_path: Path) -> None:
    grid_maps.main([str(opened("grid_finished")), "--metrics", "reconstruction_error", "--out", str(tmp_path)])
    at = ["beta", "gamma", "lam"]
    drawn = pd.read_csv(tmp_path / "grid_maps.csv", dtype=str).sort_values(at)
    last = recorded(opened("grid_finished")).query("iteration == '20'").sort_values(at)
    assert values(drawn, ["mean"]) == values(last, ["reconstruction_error"])


class GoesOn(NamedTuple):
    """A sweep that its command goes on with."""

    name: str
    whole: str
    """The sweep that the earlier code ran whole."""
    more: str
    """What the command asks for beyond what it asked for before."""
    num_trials: int
    """How many trials are at the end of the whole one then."""


GO_ON = [
    GoesOn("grid_finished", "grid_extended", "--beta 0.1 --lambda 0 --iterations 30 --evaluations 3 --seeds 2", 4),
    GoesOn("grid_interrupted", "grid_undisturbed", "", 6),
    GoesOn("search_interrupted", "search_undisturbed", "", 4),
]


def param(sweep: GoesOn) -> Any:
    """One of them is gone on with always: a search, which has trials of every state and learns from them."""
    return pytest.param(sweep, id=sweep.name, marks=() if sweep.name == "search_interrupted" else pytest.mark.slow)


@pytest.mark.ray
@pytest.mark.parametrize("sweep", [param(sweep) for sweep in GO_ON])
def test_it_goes_on_to_the_numbers_of_a_sweep_that_the_earlier_code_ran_whole(
    cluster: str, tmp_path: Path, sweep: GoesOn
) -> None:
    path = unpack(sweep.name, tmp_path) / sweep.name
    before, expected = recorded(path), recorded(path, sweep.whole)
    done = run_again(path, [*sweep.more.split(), "--address", cluster])
    assert done.returncode == 0, done.stderr
    assert "the software has changed: dd_ray" in done.stdout

    table = results.load(path)
    columns = before.columns.drop(["state", "error"])  # of a trial that goes on, these change
    evaluated = values(before.dropna(subset="iteration"), columns)
    assert [row for row in values(table, columns) if row in evaluated] == evaluated
    last = int(expected["iteration"].astype(float).max())
    whole_now = table.loc[table["iteration"] == last, "label"]
    assert len(whole_now) == sweep.num_trials
    agrees(table[table["label"].isin(whole_now)], expected[expected["label"].isin(whole_now)])
    if sweep.name not in SEARCHES:  # what a search draws anew is a logarithm, of which another CPU rounds the last bit
        assert {*table["key"]} <= {*expected["key"]}
    boards = json.loads((LEGACY / "tensorboard.json").read_text())[sweep.whole]
    labels = {*table["label"]}
    assert sorted(board.name for board in (path / "tensorboard").iterdir()) == [b for b in boards if b in labels]


def run_again(path: Path, more: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run a sweep's command where it lies now, but for its page; what is given twice counts as it is given last."""
    study, options = recorded_command(path)
    here = ["--storage", path.parent, "--no-page"]
    return python(ROOT / "sweeps" / f"{study}.py", *options, *here, *more, first=know_the_cluster)


def agrees(table: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Make sure that all but the times is as expected, the trained numbers to the last bits of a CPU."""
    named = ["label", "state", "iteration"]
    assert values(table, named) == values(expected, named)
    first = list(expected.columns).index("iteration") + 1
    for column in (name for name in expected.columns[first:] if name not in TIMES):
        floor = CLOSE_ABSOLUTE.get(column.partition("/")[0], CLOSE_TO_ZERO)
        numbers, those_recorded = (part[column].astype(float).to_numpy() for part in (table, expected))
        assert numbers == pytest.approx(those_recorded, rel=CLOSE, abs=floor, nan_ok=True), column
