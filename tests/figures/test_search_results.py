"""Figures of searches: what is in them, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from dd_ray.figures import search_results as script
from dd_ray.results import suggestions as search_results
from dd_ray.storage.sweep_folder import SweepFolder
from tests.figures.sweeps import GRID, write_sweep
from tests.figures.test_grid_maps import is_drawn
from tests.processes import python
from tests.sweep.searching import bowl, plan_of, run
from tests.sweep.studies import ROOT

TWO = ("--objectives", "reconstruction_error", "mcc")


def write_search(folder: Path, *options: str, stopped: int = 0) -> Path:
    """A search of 12 suggestions, of which the first few were stopped early."""
    plan = plan_of(folder, "--suggestions", "12", "--scheduler", "asha", *options)
    left = [stopped]

    def ends(cell: Any) -> Any:
        left[0] -= 1
        return "stopped_early" if left[0] >= 0 else "finished", bowl(cell)[1]

    run(plan, ends)
    return Path(plan.location)


def figure_of(path: Path) -> tuple[Figure, pd.DataFrame]:
    table = search_results.load(path)
    return script.draw(table, search_results.search_of(SweepFolder.open(path)), "title"), table


def line_named(panel: Any, label: str) -> Any:
    (line,) = [line for line in panel.lines if line.get_label() == label]
    return line


@pytest.mark.parametrize("objectives", [("--objectives", "mcc"), TWO], ids=["one", "two"])
def test_the_command_writes_a_figure_and_its_numbers(tmp_path: Path, objectives: tuple[str, ...]) -> None:
    path = write_search(tmp_path, *objectives, stopped=3)
    done = python(ROOT / "analysis" / "search_results.py", path, strict=True)
    assert done.returncode == 0, done.stderr
    png, csv = path / "figures" / "search_results.png", path / "figures" / "search_results.csv"
    importance, written = done.stdout.splitlines()[:-2], done.stdout.splitlines()[-2:]
    assert written == [str(png), str(csv)] and importance[0].startswith("Importance")
    assert done.stderr == ""
    assert is_drawn(png)
    assert len(pd.read_csv(csv)) == 12


def test_the_front_is_drawn_as_steps_through_its_suggestions(tmp_path: Path) -> None:
    figure, table = figure_of(write_search(tmp_path, *TWO, stopped=3))
    first = figure.axes[0]
    front = table[table["on_front"]].sort_values("reconstruction_error")
    drawn = line_named(first, "Pareto front")
    assert drawn.get_xdata() == pytest.approx(front["reconstruction_error"].to_numpy())
    assert drawn.get_ydata() == pytest.approx(front["mcc"].to_numpy())
    assert drawn.get_drawstyle() == "steps-post"  # lower errors are better: what is reached holds to the right
    assert len(line_named(first, "stopped early").get_xdata()) == 3
    assert line_named(first, "stopped early").get_markerfacecolor() == "white"
    assert len(line_named(first, "finished").get_xdata()) == 9 - len(front)
    assert "lower is better" in first.get_xlabel() and "higher is better" in first.get_ylabel()
    assert len(figure.axes) == 1 + 2 * 2
    assert [panel.get_xscale() for panel in figure.axes[1:]] == ["log", "linear"] * 2
    assert [panel.get_xlabel() for panel in figure.axes[3:]] == ["β", "γ"]
    labels = [label.get_text() for label in figure.axes[1].get_xticklabels()]
    assert {"0.02", "0.1", "0.5"} <= {*labels}  # β is between 0.01 and 1, where 10⁻¹ is harder to read


def test_the_history_of_one_objective_never_gets_worse(tmp_path: Path) -> None:
    figure, table = figure_of(write_search(tmp_path))
    so_far = line_named(figure.axes[0], "best so far")
    assert (np.diff(so_far.get_ydata()) <= 0).all()
    assert so_far.get_ydata()[-1] == table["reconstruction_error"].min()


def test_fields_that_are_no_numbers_and_a_search_without_a_finished_suggestion_are_drawn(tmp_path: Path) -> None:
    path = write_search(tmp_path, *"--gamma 0.5 --decode filtered extrapolated --seeds 1".split(), stopped=99)
    assert is_drawn(script.write_figure(script.Options(path=path))[0])


@pytest.mark.usefixtures("undrawn")
def test_a_value_without_effect_is_drawn_where_its_trials_are(tmp_path: Path) -> None:
    path = write_search(tmp_path, *"--model beta_vae inertia_vae --seeds 1 --gamma 0.2 1".split())
    drawn = search_results.load(path)
    assert (drawn["gamma"] >= 0.2).all()  # as drawn
    (written,) = (each for each in script.write_figure(script.Options(path=str(path))) if each.suffix == ".csv")
    shown = pd.read_csv(written)
    idle = shown["model"] == "beta_vae"
    assert idle.any() and not idle.all()
    assert (shown.loc[idle, "gamma"] == 0).all()
    assert shown.loc[~idle, "gamma"].to_numpy() == pytest.approx(drawn.loc[~idle, "gamma"].to_numpy())


def test_zero_has_a_place_of_its_own_on_a_logarithmic_axis(tmp_path: Path) -> None:
    path = write_search(tmp_path)
    table = search_results.load(path)
    finished = table.index[~table["on_front"]][:2]
    table.loc[finished, "beta"] = 0.0
    figure = script.draw(table, search_results.search_of(SweepFolder.open(path)), "title")
    panel = figure.axes[1]
    places = np.sort(np.asarray(line_named(panel, "finished").get_xdata(), float))
    lowest = table.loc[table["beta"] > 0, "beta"].min()
    assert places[0] == places[1] < lowest <= places[2]
    (tick,) = panel.get_xticks(minor=True)
    assert (tick, panel.get_xticklabels(minor=True)[0].get_text()) == (places[0], "0")
    assert len(panel.get_xticks()) and (panel.get_xticks() >= lowest).all()


def test_a_grid_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        script.main([str(write_sweep(tmp_path / "grid", GRID))])
    assert exited.value.code == 2
    assert "holds a grid and no search" in capsys.readouterr().err
