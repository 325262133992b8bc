"""What is drawn at a sweep's end: figures that a study names, or functions of its own, in the sweep's process."""

import shlex
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from dd_ray import api, cli
from dd_ray.command_line import EXIT_INTERRUPTED
from dd_ray.errors import UserError
from dd_ray.figures import FIGURES, check_figures, draw_figure
from dd_ray.report.live import serve_command
from dd_ray.storage.files.locations import name_of, sweep_location
from dd_ray.storage.records import State
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import Outcome
from dd_ray.sweep.deadline import Deadline
from dd_ray.sweep.manifest import make_manifest
from dd_ray.sweep.plan import Plan
from dd_ray.sweep.study import DrawFigure
from dd_ray.tune.progress import Watcher
from tests.figures.sweeps import write_sweep
from tests.figures.test_grid_maps import is_drawn
from tests.storage.object_store import ObjectStore
from tests.sweep.studies import ROOT, TINY

pytestmark = pytest.mark.usefixtures("coarse")

AXES = {"beta": [0.1, 1.0], "gamma": [0.0, 0.5]}


def count_files(location: str, folder: Path) -> list[Path]:
    """A figure of a study's own, which is careless with what all share."""
    mpl.rcParams["font.size"] = 3
    warnings.simplefilter("ignore")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "count.png"
    path.write_text(str(len(list(Path(location).iterdir()))))
    return [path]


def divide(location: str, folder: Path) -> list[Path]:
    """A figure that fails as no figure should."""
    raise ZeroDivisionError("nothing to divide")


def forget(location: str, folder: Path) -> Any:
    """A figure that does not say what it has written."""


def write_one(location: str, folder: Path) -> Any:
    """A figure that returns the one file that it wrote, and no list."""
    path = folder / "one.svg"
    path.write_text("<svg/>")
    return str(path)


def write_by_kind(location: str, folder: Path) -> list[Path]:
    """A figure of two files of one name, each in a folder of its own, which leaves another one beside them."""
    (folder / "left").touch()
    paths = [folder / kind / "map.svg" for kind in ("mean", "spread")]
    for path in paths:
        path.parent.mkdir()
        path.write_text(path.parent.name)
    return paths


def draw(folder: Path, *figures: str | DrawFigure, shown: bool = True) -> Sequence[str]:
    """What a sweep's end draws in a folder."""
    write_sweep(folder / "s", AXES)
    plan = cli.parse(replace(TINY, figures=figures), ["--storage", str(folder), "--name", "s"])
    return api.draw(plan, SweepFolder.open(folder / "s"), shown)


def test_named_figures_and_a_study_s_own_are_drawn_in_their_order(tmp_path: Path) -> None:
    written = draw(tmp_path, "grid_maps", count_files, "tradeoff")
    names = ["grid_maps.png", "grid_maps.csv", "count.png"]
    assert written[:3] == [str(tmp_path / "s" / "figures" / name) for name in names]
    assert is_drawn(Path(written[0]))


def test_a_figure_that_fails_says_one_sentence_and_the_others_are_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = draw(tmp_path, divide, "search_results", "grid_maps")
    assert [Path(path).name for path in written] == ["grid_maps.png", "grid_maps.csv"]
    broken, refused = capsys.readouterr().out.splitlines()
    assert broken == f"No figure:   divide of {tmp_path / 's'}: ZeroDivisionError: nothing to divide"
    assert refused.startswith(f"No figure:   search_results of {tmp_path / 's'}: ")
    assert "holds a grid and no search" in refused


def test_without_progress_figures_print_nothing_and_what_fails_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(draw(tmp_path, "effects", divide, shown=False)) == 1
    told = capsys.readouterr()
    assert told.out.startswith("No figure:   divide of ") and not told.err
    draw(tmp_path, "effects")
    assert capsys.readouterr().out.startswith("Effects")


def test_a_figure_that_returns_no_files_says_one_sentence_and_one_that_returns_a_path_is_drawn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw(tmp_path, forget, write_one) == [str(tmp_path / "s" / "figures" / "one.svg")]
    told = "it returns None; let it return the files that it wrote, a list of paths."
    assert capsys.readouterr().out == f"No figure:   forget of {tmp_path / 's'}: {told}\n"


def test_the_files_that_a_figure_returns_are_kept_in_its_folders_and_no_others(tmp_path: Path) -> None:
    kept = tmp_path / "s" / "figures"
    written = draw(tmp_path, write_by_kind)
    assert written == [str(kept / "mean" / "map.svg"), str(kept / "spread" / "map.svg")]
    assert [Path(path).read_text() for path in written] == ["mean", "spread"]
    assert sorted(map(str, filter(Path.is_file, kept.rglob("*")))) == written


def test_figures_of_a_sweep_at_a_url_are_put_there(object_store: ObjectStore, tmp_path: Path) -> None:
    storage = object_store.url(tmp_path.name)
    sweep = SweepFolder.open(write_sweep(object_store.url(f"{tmp_path.name}/s"), AXES))
    plan = cli.parse(replace(TINY, figures=("grid_maps",)), ["--storage", storage, "--name", "s"])
    names = ["grid_maps.png", "grid_maps.csv"]
    assert api.draw(plan, sweep) == [sweep_location(sweep.location, f"figures/{name}") for name in names]
    assert sweep.files.read("figures/grid_maps.png").startswith(b"\x89PNG")


def remove(location: str, folder: Path) -> Any:
    """A figure during whose drawing somebody removes the sweep."""
    shutil.rmtree(location)
    return write_one(location, folder)


@pytest.mark.parametrize(
    ("made_by", "content"), [("dd_ray.results.as_csv", b""), ("dd_ray.report.page.render", ""), ("a figure", None)]
)
def test_a_sweep_that_is_removed_while_its_results_are_made_stays_so(
    made_by: str, content: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    location = str(write_sweep(tmp_path / "s", AXES))

    def removing(*_: Any) -> Any:
        shutil.rmtree(location)
        return content

    if made_by != "a figure":
        monkeypatch.setattr(made_by, removing)
    sweep = SweepFolder.open(location)
    plan = cli.parse(replace(TINY, figures=(remove, write_one)), ["--storage", str(tmp_path), "--name", "s"])
    told = f"{location} was removed meanwhile; nothing is written there any more."
    if made_by == "dd_ray.results.as_csv":
        with pytest.raises(UserError, match=told):
            api.collect(plan, sweep)
    elif made_by == "dd_ray.report.page.render":
        assert api.finish_page(sweep) == f"No page:     {told}"
    else:
        assert api.draw(plan, sweep) == []
        names = ["remove", "write_one"]
        assert capsys.readouterr().out == "".join(f"No figure:   {name} of {location}: {told}\n" for name in names)
    assert not Path(location).exists()


def test_warnings_and_settings_are_left_as_they_were(tmp_path: Path) -> None:
    settings, filters = dict(mpl.rcParams), list(warnings.filters)
    draw(tmp_path, count_files, "grid_maps")
    assert dict(mpl.rcParams) == settings
    assert list(warnings.filters) == filters


def test_a_figure_that_does_not_exist_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no figure 'grid_map'; a study can name grid_maps, effects, tradeoff"):
        draw(tmp_path, "grid_map")


@pytest.mark.parametrize("figure", ["grid_map", 3, None])
def test_what_is_no_figure_is_not_drawn(figure: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"no figure {figure!r}; a study can name grid_maps, effects"):
        draw_figure(figure, tmp_path, tmp_path)


def test_a_function_that_draws_gets_a_text_and_a_path(tmp_path: Path) -> None:
    given = draw_figure(lambda location, folder: [folder / location], "sweep", str(tmp_path))
    assert given == draw_figure(lambda location, folder: [folder / location], Path("sweep"), tmp_path)
    assert given == [tmp_path / "sweep"]


def test_a_figure_of_ones_own_finds_its_folder(tmp_path: Path) -> None:
    def draw(location: str, folder: Path) -> list[Path]:
        (folder / "mine.csv").write_text(location)
        return [folder / "mine.csv"]

    (written,) = draw_figure(draw, "sweep", tmp_path / "s" / "figures")
    assert written.read_text() == "sweep"


@pytest.mark.parametrize("folder", ["s3://bucket/figures", Path("s3://bucket/figures"), "file:///figures"])
def test_no_figure_is_drawn_into_a_folder_that_is_named_like_a_url(folder: str | Path) -> None:
    with pytest.raises(UserError, match=r"^\w+:/.*/figures is a URL; give a path of this machine\.$"):
        draw_figure(lambda location, folder: [folder / location], "sweep", folder)


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_can_be_named_and_has_a_script(name: str, tmp_path: Path) -> None:
    check_figures([name])
    with pytest.raises(UserError, match="is no folder"):
        draw_figure(name, str(tmp_path / "nowhere"), tmp_path)
    assert f"from dd_ray.figures.{name} import main" in (ROOT / "analysis" / f"{name}.py").read_text()


def test_the_maps_of_a_sweep_s_end_need_no_pytorch(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", AXES)
    code = (
        "import sys; from pathlib import Path; from dd_ray.figures import draw_figure;"
        f"draw_figure('grid_maps', {str(path)!r}, Path({str(tmp_path / 'out')!r})); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def two_trials(folder: Path, *options: str) -> Plan:
    """A plan of two trials with a time budget, of which further options may change."""
    usual = "--beta 0.1 1 --gamma 0 --trial-time-budget 2s --time-budget 1h --no-page --name s --storage".split()
    return cli.parse(TINY, [*usual, str(folder), *options])


def ended(folder: Path, *states: State | None) -> tuple[Plan, SweepFolder]:
    """A plan of two trials, and its sweep, in which they ended so, or not yet."""
    plan = two_trials(folder)
    sweep = SweepFolder.at(plan.location)
    sweep.write_manifest(make_manifest(plan, {}))
    for trial, state in zip(plan.trials, states, strict=True):
        own = sweep.trial(trial.key)
        own.create(trial.config.to_dict(), trial.label)
        own.record({"iteration": 6, "seconds": 1.5, "reconstruction_error": 0.01})
        if state is not None:
            own.finish(Outcome(state=state, iteration=6, seconds=2.5 if state == "out_of_time" else None))
    return plan, sweep


def test_when_the_time_is_up_the_last_words_say_what_is_left_and_the_command_that_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["dd-ray tiny", "--name", "a b"])
    assert cli.report(*ended(tmp_path, "finished", None), "out of time") == cli.EXIT_OUT_OF_TIME == 124
    last = capsys.readouterr().err.splitlines()[-2:]
    assert last[0].startswith("The time is up with 1 trial to go, whose states are saved.")
    assert last[1] == "  dd-ray tiny --name 'a b'"


GOES_ON = [
    ("finished", ["--iterations", "12"]),
    ("stopped_early", ["--scheduler", "none"]),
    ("out_of_time", ["--trial-time-budget", "3s"]),
    ("at_plateau", []),
]
"""States of trials, and the options by which they go on; without --stop-at-plateau there is no plateau."""


@pytest.mark.parametrize(("state", "options"), GOES_ON)
def test_trials_that_ended_by_an_earlier_command_and_go_on_by_this_one_are_left(
    state: State, options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, sweep = ended(tmp_path, "diverged", state)
    plan = two_trials(tmp_path, *options)
    assert cli.report(plan, sweep, "interrupted") == EXIT_INTERRUPTED == 130
    assert capsys.readouterr().err.endswith("Interrupted with 1 trial to go; the same command goes on.\n")
    assert cli.report(plan, sweep, "out of time") == cli.EXIT_OUT_OF_TIME


def test_only_tables_are_called_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, sweep = ended(tmp_path, "finished", "finished")
    cli.report(replace(plan, study=replace(plan.study, figures=("grid_maps", write_one))), sweep, None)
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "/figures/" in line]
    assert told == ["Figure:", "Numbers:", "Figure:"]


def test_a_trial_that_failed_is_not_left(tmp_path: Path) -> None:
    plan, sweep = ended(tmp_path, "finished", "failed")
    assert api.collect(plan, sweep).left == ""
    assert cli.report(plan, sweep, None) == cli.EXIT_FAILED_TRIALS


def test_a_sweep_is_watched_until_its_time_has_come(tmp_path: Path) -> None:
    known = {"iterations": 6, "num_trials": 1, "already_done": {}, "ended": (), "shown": False}
    for stops_at, ending in ((time.monotonic() + 100, None), (time.monotonic() - 1, "out of time")):
        deadline = Deadline(stops_at + 1, stops_at, "at some time")
        watcher = Watcher(SweepFolder.at(tmp_path), **known, deadline=deadline)  # type: ignore[arg-type]
        watcher.on_step_begin(0, [])
        assert watcher.ending == ending


def test_trials_that_took_their_time_are_told_and_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, sweep = ended(tmp_path, "finished", "out_of_time")
    assert plan.is_done(sweep) and cli.report(plan, sweep, None) == 0
    said = capsys.readouterr().out
    assert "Out of time: 1 of 2 trials took --trial-time-budget 2 seconds" in said
    assert "out of time, 1 of 2 trials: beta=1,gamma=0,seed=0" in said


def test_a_call_whose_time_is_up_returns_what_there_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, sweep = ended(tmp_path, "finished", None)
    monkeypatch.setattr(api, "train", lambda plan, shown, began: (sweep, "out of time"))
    options = {"beta": [0.1, 1], "gamma": 0, "storage": tmp_path, "name": "s", "page": False}
    table = api.run(TINY, time_budget=3600, trial_time_budget="2s", **options)  # type: ignore[arg-type]
    assert sorted(table["state"]) == ["finished", "unfinished"]
    assert "1 trial to go" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["a?b", "it's 100% #1", 'x "y" $HOME `z`', "n" * 255, "-r"])
def test_commands_at_the_end_can_be_pasted_whatever_the_folder_is_called(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan, sweep = ended(tmp_path / "two\nlines" / name, "finished", None)
    cli.report(plan, sweep, "interrupted")
    words = shlex.split(capsys.readouterr().out.partition("TensorBoard:")[2])
    assert words[1:3] == ["--logdir", f"{sweep.location}/tensorboard"]
    assert shlex.split(serve_command(sweep.location))[3:] == [sweep.location, "--serve"]
    assert name_of(f"/results/{name}") == name
