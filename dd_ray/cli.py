"""The command line of a study: what a file in `sweeps/` runs.

Parse and check everything; say what will happen; run it; show what came out.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import tyro
from rich.table import Table

from dd_ray import results
from dd_ray.config_options import axes_of, given_options, option_name, options_class
from dd_ray.errors import UserError, exit_on_user_error
from dd_ray.sweep import Study
from dd_ray.sweep.environment import prepare_environment
from dd_ray.sweep.files import out_of_space
from dd_ray.sweep.manifest import check_agrees
from dd_ray.sweep.options import options_of
from dd_ray.sweep.plan import Plan, duration, make_plan, short
from dd_ray.sweep.store import SweepFolder, sweep_location
from dd_ray.sweep.versions import difference, versions
from dd_ray.terminal import console

EXIT_FAILED_CELLS = 1
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
_TROUBLE = {
    "storage full": "The storage is full: {}. What was recorded is kept; make room, and the same command goes on.",
    "lock lost": "Another command has taken over the sweep in {}, since this one was cut off from it for a while.",
}


def main(study: Study, args: list[str] | None = None) -> None:
    """Run a study's command line, and exit with its code: 0 if every cell that ended ended well."""
    try:
        with exit_on_user_error():
            plan = parse(study, sys.argv[1:] if args is None else args)
            describe(plan)
            if plan.options.dry_run:
                return
            sys.exit(execute(plan))
    except KeyboardInterrupt:  # while trials run, Tune catches it
        print("Interrupted; the same command goes on.", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:  # as in `... --dry-run | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_BROKEN_PIPE)


def parse(study: Study, args: list[str]) -> Plan:
    """The plan that a command line asks for.

    Raises:
        UserError: a value is out of range.
        SystemExit: code 2 for an unknown option or a value of the wrong type, 0 after `--help`.
    """
    preset = _preset(study, args)
    defaults = study.defaults(preset)
    sweep_options: Any = options_of(study, preset)
    config_options: Any = options_class(defaults)
    unprefixed = tyro.conf.arg(name="")
    options, config = tyro.cli(
        tuple[Annotated[sweep_options, unprefixed], Annotated[config_options, unprefixed]],
        description=study.question,
        args=args,
    )
    if {"seed", "seeds"} <= given_options(args):
        raise UserError(f"both --seeds {options.seeds} and --seed {' '.join(map(str, config.seed))}; give one.")
    return make_plan(study, options, axes_of(config, defaults, args))


def _preset(study: Study, args: list[str]) -> str:
    """The preset decides the defaults of all other options, so it is read first."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset")
    given = parser.parse_known_args(args)[0].preset
    return given if given in study.presets else study.default_preset


def describe(plan: Plan) -> None:
    """Print what will be done."""
    options = plan.options
    axes = " × ".join(f"{len(values)} {option_name(name)}" for name, values in plan.axes.items() if len(values) > 1)
    print(f"{plan.study.name}: {plan.study.question}")
    print(f"  {len(plan.cells)} cell{'s' if len(plan.cells) != 1 else ''}{f' = {axes}' if axes else ''}")
    for name in plan.swept:
        print(f"    {option_name(name)}: {' '.join(short(value) for value in plan.axes[name])}")
    print(f"  {options.iterations:,} iterations each, {plan.total_iterations:,} in all; evaluated at {_listed(plan)}")
    if options.scheduler == "asha":
        first = plan.first_comparison
        when = f"from iteration {first:,} on" if first else "of which there are too few for that (--evaluations)"
        print(f"  asha stops cells that fall behind in {options.metric} at an evaluation, {when}")
    print(f"  about {duration(plan.core_seconds())} of one core of this machine, if all cells finish")
    if options.price_per_gpu_hour is not None:
        hours = plan.gpu_hours()
        price = hours * options.price_per_gpu_hour
        print(
            f"  at most {hours:,.1f} hours of a GPU, {price:,.2f} at {options.price_per_gpu_hour:g} an hour, as if each"
        )
        print("  trial was alone on one; trials that share a GPU take less of it")
    print(f"  into {plan.location}", flush=True)
    if options.dry_run:
        _print_every_cell(plan)


def execute(plan: Plan) -> int:
    """Run the plan, show what came out, and return the exit code."""
    prepare_environment(plan.options.address)
    # Not at the top: Ray reads the environment, and a dry run, --help and wrong options do without it.
    from dd_ray.sweep.run import cells_to_run, run  # noqa: PLC0415

    sweep = SweepFolder.at(plan.location)
    sweep.check()
    check_agrees(plan, sweep)
    _say_what_changed(sweep)
    cells = cells_to_run(plan, sweep)
    if len(cells) < len(plan.cells):
        print(f"Cells that have ended before and are kept: {len(plan.cells) - len(cells)}; to run: {len(cells)}.")
    try:
        ending = run(plan, sweep, cells) if cells else None
        if ending in _TROUBLE:
            return _give_up(ending, plan)
        return report(plan, sweep, complete=ending is None)
    except OSError as error:
        if not out_of_space(error):
            raise
        return _give_up("storage full", plan)


def report(plan: Plan, sweep: SweepFolder, complete: bool = True) -> int:
    """Print the cells and where everything is, and return the exit code. Figures are drawn of a complete sweep."""
    table = results.load(sweep.location)
    asked_for = table[table["key"].isin({cell.key for cell in plan.cells})]
    cells = results.final(asked_for)
    results.print_cells(cells)
    sweep.files.write("results.csv", table.to_csv(index=False).encode())
    print(f"Table:       {sweep_location(sweep.location, 'results.csv')}")
    print(f"Cells:       {sweep_location(sweep.location, 'cells')} (config, metrics and latest state of each)")
    for path in _draw(plan, sweep) if complete else ():
        print(f"{'Figure: ' if '.png' in path else 'Numbers:'}     {path}")
    logs = sweep_location(sweep.location, "tensorboard").partition("?")[0]
    print(f"TensorBoard: {_tensorboard_command()} --logdir {logs}", flush=True)
    return _exit_code(cells)


def _say_what_changed(sweep: SweepFolder) -> None:
    before = sweep.manifest()
    if changed := difference(versions(), before["versions"]) if before else "":
        print(f"Since the sweep was last run, the software has changed: {changed}.")
        print("Cells of before and after need not agree to the last digit.")


def _give_up(ending: str, plan: Plan) -> int:
    print(_TROUBLE[ending].format(plan.location), file=sys.stderr)
    return EXIT_FAILED_CELLS


def _draw(plan: Plan, sweep: SweepFolder) -> list[str]:
    """Run the study's scripts of `analysis/`, beside `sweeps/`, and return the files that they wrote."""
    figures = []
    with tempfile.TemporaryDirectory(prefix="dd_ray-") as scratch:
        folder = str(sweep.files.local / "figures") if sweep.files.local else scratch
        for script in plan.study.analyses:
            path = Path(sys.argv[0]).absolute().parents[1] / "analysis" / script
            command = [sys.executable, str(path), sweep.location, "--out", folder]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                message = (done.stderr.strip().splitlines() or ["no message"])[-1]
                print(f"No figure:   `python analysis/{script} {sweep.location}` ended with: {message}")
            figures += done.stdout.splitlines()
        if sweep.files.local:
            return figures
        return [_upload(Path(figure), sweep) for figure in figures]


def _upload(path: Path, sweep: SweepFolder) -> str:
    sweep.files.write(f"figures/{path.name}", path.read_bytes())
    return sweep_location(sweep.location, f"figures/{path.name}")


def _tensorboard_command() -> str:
    """TensorBoard of this very environment, which need not be active."""
    beside = Path(sys.executable).with_name("tensorboard")
    return str(beside) if beside.exists() else "tensorboard"


def _exit_code(cells: pd.DataFrame) -> int:
    failed = cells[cells["state"] == "failed"]
    for row in failed.head(10).to_dict("records"):
        print(f"failed: {row['label']}: {row['error']}", file=sys.stderr)
    if len(failed):
        print(f"{len(failed)} of {len(cells)} cells failed; the same command tries them again.", file=sys.stderr)
        return EXIT_FAILED_CELLS
    unfinished = cells["state"].isin(["unfinished", "missing"]).sum()
    if unfinished:
        print(f"Interrupted with {unfinished} cells to go; the same command goes on.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _print_every_cell(plan: Plan) -> None:
    table = Table("key", "cell", title="Cells", title_justify="left")
    for cell in plan.cells:
        table.add_row(cell.key, cell.label)
    console().print(table)
    print("Dry run: nothing was started.")


def _listed(plan: Plan) -> str:
    at = [f"{i:,}" for i in plan.evaluate_at]
    return ", ".join(at if len(at) <= 6 else [*at[:3], "...", at[-1]])
