"""Studies from Python: `dd_ray.run("inertia_grid", gamma=[0, 0.5])` is what its command line does, as a function.

The command line takes the same three steps: `plan`, `train` and `collect`. They can be called from any program:
mistakes raise `UserError`, nothing ends the process, and settings of the process that a sweep changes are restored.
"""

import io
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dd_ray import results
from dd_ray.command_line import mended_streams, outlive_output
from dd_ray.config.code import resolve
from dd_ray.errors import UserError, printable
from dd_ray.figures import draw_figure
from dd_ray.planning import wanted_plan
from dd_ray.report.live import live_page, page_link, write_page
from dd_ray.results.came_out import CameOut
from dd_ray.results.confirmation import confirmed
from dd_ray.storage.files import trouble
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.names import MANIFEST, RESULTS
from dd_ray.storage.records import DamagedError
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep import Study
from dd_ray.sweep.data import open_data
from dd_ray.sweep.deadline import deadline_of
from dd_ray.sweep.manifest import check_agrees, check_goes_on, what_changed
from dd_ray.sweep.memory import check_trial_fits
from dd_ray.sweep.plan import Plan
from dd_ray.sweep.study import DrawFigure
from dd_ray.sweep.value_file import save_values
from dd_ray.tune.environment import left_as_it_was, prepare_environment
from dd_ray.tune.joining import one_at_a_time, prepare_to_join

if TYPE_CHECKING:
    import pandas as pd

    from dd_ray.tune.progress import Ending

TROUBLE: "dict[Ending, str]" = {
    "storage full": "The storage is full: {}. What was recorded is kept; make room, and the same command goes on.",
    "storage blocked": "The storage does not answer: {}. "
    "What was recorded is kept; once it answers, the same command goes on.",
    "storage read-only": "The storage is read-only now: {}. "
    "What was recorded is kept; once it can be written, the same command goes on.",
    "lock lost": "The sweep in {} was taken over by another command while this one was cut off from it, or its folder "
    "was removed.",
    "ray lost": "The Ray under the sweep in {} has died or does not answer. "
    "What was recorded is kept; the same command goes on.",
}
"""Messages for runs that ended early and have nothing to show."""


def run(
    study: Study | str, *, progress: bool = True, figures: bool = False, preset: str | None = None, **options: Any
) -> "pd.DataFrame":
    """Run a study, or go on with it, and return the table of its trials.

        dd_ray.run("inertia_grid", gamma=[0, 0.5], iterations=100, name="two_gammas")

    It uses the Ray that this process is connected to, and leaves that running; otherwise it connects to the cluster at
    `address`, or starts a Ray of its own and stops it at the end. In the main thread, the first Ctrl-C, SIGTERM or
    SIGHUP saves the states of all trials.

    Args:
        study: a `Study`, or the name of one of ours or of an extension.
        progress: whether to print what is done and show a progress bar (a widget in a notebook).
        figures: whether to draw the study's figures into the sweep's folder.
        preset: size of the study; the study's first preset by default.
        options: options of the command line, written with underscores, λ as `lam`: config fields with one value or
            several, and settings of the sweep such as `seeds`, `storage`, `name`, `address` or `extension`.

    Returns:
        A row for each evaluation of the trials that were asked for, as of `dd_ray.results.load`. Its column `state`
        tells which failed, and `error` why; and after a `time_budget`, which are unfinished, where the same call goes
        on.

    Raises:
        UserError: the command line would refuse the options (with the same message), the storage is full, or another
            thread runs a sweep on a Ray that is not the program's own.
        KeyboardInterrupt: it was interrupted. All states are saved, and the same call goes on from them.
    """
    began = time.monotonic()
    with one_at_a_time(), left_as_it_was(), mended_streams():
        outlive_output()
        wanted = wanted_plan(study, preset, options)
        asked = confirmed(wanted)
        if asked.options.dry_run:
            raise UserError("dry_run starts nothing, and run trains; give the same options to dd_ray.plan instead.")
        if asked.runs_on_these_cpus:
            check_trial_fits(asked.examples)
        open_data(asked)
        save_values(wanted)
        for line in asked.without_values() if progress else ():
            print(f"{line}.")
        if asked.start is not None and progress:
            print(f"Each trial begins with {asked.start}, and not from scratch.")
        sweep, ending = train(asked, progress, began)
        if ending in TROUBLE:
            raise UserError(TROUBLE[ending].format(asked.location))
        collected = collect(asked, sweep)
        if asked.options.page and ending is None:
            finish_page(sweep)
        if figures and ending is None:
            draw(asked, sweep, progress)
    if ending == "out of time" and collected.left and progress:
        print(f"{time_is_up(collected.left)} The same call goes on with them.")
    elif ending not in (None, "out of time"):
        raise KeyboardInterrupt(f"interrupted with {collected.left or 'nothing'} to go; the same call goes on")
    return collected.evaluations


def plan(study: Study | str, *, preset: str | None = None, **options: Any) -> Plan:
    """Check the options and return what `run` would do, without starting it: `trials`, `contents()`, `core_seconds()`.

    Raises:
        UserError: an option is unknown, of the wrong type or out of range, a trial is not a valid config, a user's own
            code fails at its first batch, or the sweep that is there is another.
    """
    asked = confirmed(wanted_plan(study, preset, options))
    check_goes_on(asked)
    return asked


def time_is_up(left: str) -> str:
    """Return a sentence for the end of a time budget, with so much left to do."""
    return f"The time is up with {left} to go, whose states are saved."


def train(plan: Plan, shown: bool = True, began: float | None = None) -> "tuple[SweepFolder, Ending | None]":
    """Train the trials of a plan that are left.

    Args:
        plan: the plan, its data opened.
        shown: whether to print what is done, and show a progress bar.
        began: the time, by `time.monotonic`, from which the plan's time budget counts; None means now.

    Returns:
        The sweep, and the reason if it ended before all trials had; None if they all have.

    Raises:
        UserError: the sweep's folder holds another sweep, or it cannot run.
    """
    deadline = deadline_of(plan.options.time_budget, time.monotonic() if began is None else began)
    prepare_environment()
    if plan.options.address is not None:
        prepare_to_join(plan.options.address, plan.options.insecure)
    # Not at the top: Ray reads the environment, and a dry run, --help and wrong options do without it.
    from dd_ray.tune.run import run as run_on_ray  # noqa: PLC0415

    sweep = _open_sweep(plan, shown)
    if deadline and shown:
        print(deadline)
    try:
        page = live_page(sweep, plan.options.name, plan.study.question, shown) if plan.options.page else None
        return sweep, run_on_ray(plan, sweep, page, shown=shown, deadline=deadline)
    except OSError as error:  # this process was the first to find that the storage cannot be used
        if (ending := trouble(error)) is None:
            raise
        return sweep, ending


@dataclass(frozen=True, kw_only=True)
class Collected:
    """The results of a plan."""

    evaluations: "pd.DataFrame"
    """A row for each evaluation of each of its trials."""
    trials: "pd.DataFrame"
    """A row for each of its trials, at its last evaluation."""
    came_out: CameOut
    left: str
    """The work that is left to do, in words; empty if there is none."""


def collect(plan: Plan, sweep: SweepFolder) -> Collected:
    """Write the tables of a plan's sweep, and return its results.

    Raises:
        UserError: the sweep was removed.
    """
    table = results.load(sweep.location)
    came_out: CameOut = resolve(plan.came_out)(plan, sweep, table)
    sweep.write_result(RESULTS, results.as_csv(table))
    evaluations = table[table["key"].isin(came_out.keys)].reset_index(drop=True)
    trials = results.final(evaluations)
    return Collected(evaluations=evaluations, trials=trials, came_out=came_out, left=came_out.left(trials))


def finish_page(sweep: SweepFolder) -> str:
    """Write the sweep's page, and return a line that says where it is, or why it could not be written."""
    try:
        write_page(sweep)
    except UserError as error:
        return f"No page:     {error}"
    except Exception as error:  # whatever fails, as with figures
        return f"No page:     {type(error).__name__}: {error}"
    return f"Page:        {page_link(sweep)}"


def draw(plan: Plan, sweep: SweepFolder, shown: bool = True) -> list[str]:
    """Draw the study's figures, and return the files that were written.

    Args:
        plan: the plan.
        sweep: its sweep.
        shown: whether figures print what they print, such as their numbers, or what they leave out.
    """
    written: list[str] = []
    with tempfile.TemporaryDirectory(prefix="dd_ray-") as scratch:
        for figure in plan.study.figures:
            written += _draw_one(figure, sweep, Path(scratch), shown)
    return written


def _draw_one(figure: str | DrawFigure, sweep: SweepFolder, scratch: Path, shown: bool) -> list[str]:
    """Draw a figure, put its files into the sweep and return them; where that fails, print why and return none."""
    # Not at the top: it takes a second, which a dry run, --help and wrong options do without.
    import matplotlib as mpl  # noqa: PLC0415

    try:
        # A figure, which may be the study's own, leaves no filters of warnings and no settings behind.
        with warnings.catch_warnings(), mpl.rc_context(), nullcontext() if shown else _unread():
            paths = draw_figure(figure, sweep.location, scratch)
        return [_kept(path, scratch, sweep) for path in paths]
    except UserError as error:
        reason = str(error)
    except Exception as error:  # whatever fails in a figure, what was trained and is reported stands
        reason = f"{type(error).__name__}: {error}"
    name = figure if isinstance(figure, str) else figure.__name__
    print(f"No figure:   {name} of {sweep.location}: {printable(reason)}")
    return []


@contextmanager
def _unread() -> Iterator[None]:
    """Print nothing in the block."""
    with io.StringIO() as unread, redirect_stdout(unread), redirect_stderr(unread):
        yield


def _kept(path: Path, scratch: Path, sweep: SweepFolder) -> str:
    """Put a file of a figure into the sweep's folder, below the folders that it has in `scratch`, and return where."""
    name = f"figures/{path.relative_to(scratch) if path.is_relative_to(scratch) else path.name}"
    sweep.write_result(name, path.read_bytes())
    return sweep_location(sweep.location, name)


def _open_sweep(plan: Plan, shown: bool) -> SweepFolder:
    """Open the folder of the plan's sweep, after checking that it can be used."""
    sweep = SweepFolder.at(plan.location)
    sweep.check()
    _mend_manifest(sweep)
    check_agrees(plan, sweep)
    if shown:
        for line in what_changed(sweep.manifest()):
            print(line)
    return sweep


def _mend_manifest(sweep: SweepFolder) -> None:
    """Set a damaged `sweep.json` aside: the trials' own folders say what they are."""
    try:
        sweep.manifest()
    except DamagedError as error:
        print(f"{printable(error)} It is in {sweep.set_aside(MANIFEST)} now.", file=sys.stderr)
