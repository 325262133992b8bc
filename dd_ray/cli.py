"""The command line of a study, which the scripts in `sweeps/` run.

It parses and checks all options, prints what it will do, runs it, and shows the results.
"""

import math
import os
import shlex
import sys
import threading
import time
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from rich.table import Table

from dd_ray import results
from dd_ray.api import TROUBLE, collect, draw, finish_page, time_is_up, train
from dd_ray.command_line import (
    EXIT_INTERRUPTED,
    as_called,
    as_command,
    console,
    duration,
    list_options,
    outlive_output,
    parse_in_groups,
    read_first,
    say_what_is_given_twice,
)
from dd_ray.config import DATASETS, data_config
from dd_ray.config.extensions import taken_from
from dd_ray.config.options import given_options, option_name, options_class
from dd_ray.config.trial_fields import field_names, section_of
from dd_ray.errors import printable
from dd_ray.planning import as_it_goes_on, check_own_code, plan_of
from dd_ray.report.live import page_link, serve_command
from dd_ray.results.confirmation import confirmed
from dd_ray.storage.files import trouble
from dd_ray.storage.files.locations import check_writable, sweep_location, without_options
from dd_ray.storage.names import RESULTS
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep import Study
from dd_ray.sweep.checks import check_study, check_types
from dd_ray.sweep.data import check_data, open_data, scored_on
from dd_ray.sweep.manifest import check_goes_on, known_manifest, naming_extensions, what_changed
from dd_ray.sweep.memory import bytes_of, check_trial_fits, in_words
from dd_ray.sweep.options import OF_THE_CLUSTER, SearchOptions, SweepOptions, options_of
from dd_ray.sweep.plan import Plan
from dd_ray.sweep.value_file import ValueFile, save_values, with_defaults
from dd_ray.tune.signals import expect_signals

if TYPE_CHECKING:
    from dd_ray.tune.progress import Ending

GROUPS = ("most used", "search", "sweep", "cluster", "model", "objective", "data", "training", "own")
"""The sections of `--help`, in their order."""
MOST_USED = frozenset(
    "preset seeds iterations exclude scheduler storage name address gpus_per_trial extension dry_run "
    "model beta gamma lam objective dataset num_latents batch_size learning_rate".split()
)
"""The options that `--help` shows first."""
DRY_RUN = "Dry run: nothing was started."
"""The last line of a dry run that is not refused."""
EXIT_FAILED_TRIALS = 1
EXIT_OUT_OF_TIME = 124
"""The exit code of the command `timeout` for a command that took too long."""
DEAR = 0.5
"""Following motion lowers the reconstruction error and raises the penalty of a slowness prior. If the penalty is more
than this share of the gain, the plan warns: too little of the gain is left to pay for the first frame's KL, and for the
blur of a posterior as wide as the prior asks for."""


def main(study: Study, args: list[str] | None = None) -> None:
    """Run a study's command line, and exit with its code: 0 if no trial failed."""
    began, earlier = time.monotonic(), {*threading.enumerate()}
    expect_signals()
    try:
        _run(study, sys.argv[1:] if args is None else args, began)
    except SystemExit as ended:
        _end_at_once_if_something_hangs(ended.code, earlier)
        raise


def _run(study: Study, args: list[str], began: float) -> None:
    with as_command("Interrupted; the same command goes on."):
        asked = parse(study, args)
        plan = confirmed(asked)
        check_own_code(plan)
        if not plan.options.dry_run:
            outlive_output()  # the results are in files
        if plan.runs_on_these_cpus:
            check_trial_fits(plan.examples)
        describe(plan)
        if saved := save_values(asked):
            print(saved, flush=True)
        if plan.options.dry_run:
            check_writable(plan.location)
            check_goes_on(plan)
            check_data(plan)
            for line in what_changed(known_manifest(plan.location)):
                print(line)
            print(DRY_RUN)
            return
        open_data(plan)
        sys.exit(execute(plan, began))


def _end_at_once_if_something_hangs(code: object, earlier: Collection[threading.Thread]) -> None:
    """End the process where a thread of this command waits for a Ray or a storage that does not answer.

    It would wait for ever. Threads that were there earlier are those of whoever calls the command.
    """
    own = {*threading.enumerate()}.difference(earlier)
    if any(thread.name in ("tune", "start", "shutdown", "storage") for thread in own):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def parse(study: Study, args: list[str]) -> Plan:
    """Parse a command line, and make the plan that it asks for.

    Raises:
        UserError: a value is out of range.
        SystemExit: code 2 for an unknown option or a value of the wrong type, 0 after `--help`.
    """
    file = ValueFile.named_in(args)
    check_types(study)
    extensions, args = taken_from(args, study.extensions, file.words("extension"))
    check_study(study)
    with naming_extensions(study, _preset(study, args, file), _given(args, file)):
        plan = as_it_goes_on(study, lambda each: _parsed(each, extensions, args, file))
    say_what_is_given_twice(map(option_name, (*field_names(), *list_options(SearchOptions))), args)
    return plan


def _parsed(study: Study, extensions: tuple[str, ...], args: list[str], file: ValueFile) -> Plan:
    preset, given = _preset(study, args, file), given_options(args)
    sweep_options: Any = options_of(study, preset, extensions)
    config_options: Any = options_class(study.defaults(preset))
    of_file = file.values(study, (sweep_options, config_options), given)
    kinds: Any = [with_defaults(kind, of_file) for kind in (sweep_options, config_options)]
    options, config = parse_in_groups(kinds, _group_of, GROUPS, args=args, given=given, about=_description(study))
    with file.named(of_file):
        return plan_of(study, options, config, given | of_file.keys())


def _given(args: list[str], file: ValueFile) -> dict[str, Any]:
    """Return the words of a command line and of its file, and the folder of the sweep if they name it."""
    of_sweep = {name: read_first(args, f"--{name}", nargs="?")[0] for name in ("storage", "name")}
    return {**file.entries, **{name: value for name, value in of_sweep.items() if value}, "words": args}


def _group_of(option: str) -> str:
    """Return the section of `--help` that shows an option."""
    if option in MOST_USED:
        return "most used"
    if option in field_names():
        return section_of(option)
    search = {field.name for field in fields(SearchOptions)} - {field.name for field in fields(SweepOptions)}
    return "search" if option in search else "cluster" if option in OF_THE_CLUSTER else "sweep"


def _description(study: Study) -> str:
    if not study.search:
        return study.question
    kinds = "; ".join(f"--{option_name(name)} {distribution}" for name, distribution in study.search.space.items())
    return (
        f"{study.question} Values are drawn: {kinds}. Each of these options takes LOW HIGH to draw from, or one value "
        "that fixes it; several values of any other option are drawn from."
    )


def _preset(study: Study, args: list[str], file: ValueFile) -> str:
    """Read the preset, which comes first since it decides the defaults of all other options."""
    named, _ = read_first(args, "--preset")
    given = named or " ".join(file.words("preset"))
    return given if given in study.presets else study.default_preset


def describe(plan: Plan) -> None:
    """Print what a plan will do."""
    options = plan.options
    print(f"{plan.study.name}: {plan.study.question}")
    for line in plan.contents():
        print(f"  {line}")
    print(f"  {options.iterations:,} iterations each, {plan.total_iterations:,} in all; evaluated at {_listed(plan)}")
    for line in (*scored_on(plan), *_dear_motion(plan), *plan.compared_by()):
        print(f"  {line}")
    print(f"  about {duration(plan.core_seconds())} of one core of this machine, if all trials finish")
    print(f"  about {in_words(max(map(bytes_of, plan.examples)))} of memory for a trial in a process of its own")
    if options.price_per_gpu_hour is not None:
        hours = plan.gpu_hours()
        price = hours * options.price_per_gpu_hour
        print(
            f"  at most {hours:,.1f} hours of a GPU, {price:,.2f} at {options.price_per_gpu_hour:g} an hour, as if each"
        )
        print("  trial was alone on one; trials that share a GPU take less of it")
    print(f"  into {plan.location}", flush=True)
    if options.dry_run:
        _print_every_trial(plan)


def _dear_motion(plan: Plan) -> list[str]:
    """Return a warning if a slowness prior may make networks ignore what moves, about the trial most at risk.

    It is computed from the data, once for each combination of the settings that the price of motion depends on. Of
    images in a file nothing is told, since there are none of the same things in other places.
    """
    slow = {
        (data_config(config.data), config.slowness_weight, config.slowness_rate, config.likelihood): config
        for config in plan.examples
        if config.objective == "slowness" and DATASETS[config.dataset].drawn
    }
    if not slow:
        return []
    # Not at the top: it takes PyTorch, which other plans do without.
    from dd_ray.evaluation import price_of_motion  # noqa: PLC0415

    dearest, found = max(
        ((config, price_of_motion(config)) for config in slow.values()),
        key=lambda priced: priced[1].price / max(priced[1].worth, 1e-9),
    )
    if found.price < DEAR * found.worth:
        return []
    return [
        f"slowness of weight {dearest.slowness_weight:g}, rate {dearest.slowness_rate:g} asks {found.price:.2g} nats "
        "a frame for following what moves,",
        f"in steps of {found.step:.2g} of a latent of variance 1; that is worth at most {found.worth:.2g} to the "
        "reconstruction, so what moves",
        f"may be dropped: give a smaller --slowness-weight, such as "
        f"{_one_digit_of(DEAR * found.worth / found.price * dearest.slowness_weight):g}",
    ]


def _one_digit_of(number: float) -> float:
    """Round a number ≥ 0 down to its first digit."""
    if number == 0:
        return 0.0
    digit = 10.0 ** math.floor(math.log10(number))
    return math.floor(number / digit) * digit


def execute(plan: Plan, began: float) -> int:
    """Run a plan, print the results, and return the exit code.

    Args:
        plan: the plan, its data opened.
        began: the start of the command, by `time.monotonic`.
    """
    sweep, ending = train(plan, began=began)
    try:
        return _give_up(ending, plan) if ending in TROUBLE else report(plan, sweep, ending)
    except OSError as error:
        if (found := trouble(error)) is None:
            raise
        return _give_up(found, plan)


def report(plan: Plan, sweep: SweepFolder, ending: "Ending | None") -> int:
    """Print the results and where they are, and return the exit code.

    Args:
        plan: the plan that was run.
        sweep: the sweep that keeps its results.
        ending: the reason if it ended before all trials had; None if they all have. Only then figures are drawn.
    """
    complete = ending is None
    collected = collect(plan, sweep)
    results.print_cells(collected.trials, told=plan.study.tells)
    print(f"Table:       {sweep_location(sweep.location, RESULTS)}")
    print(f"Trials:      {sweep_location(sweep.location, 'cells')} (config, metrics and latest states of each)")
    for path in draw(plan, sweep) if complete else ():
        print(f"{'Numbers:' if without_options(path).endswith('.csv') else 'Figure: '}     {path}")
    if plan.options.page:
        print(finish_page(sweep) if complete else f"Page:        {page_link(sweep)}")
        print(f"Live:        {serve_command(sweep.location)}")
    logs = without_options(sweep_location(sweep.location, "tensorboard"))
    print(f"TensorBoard: {shlex.join([_tensorboard_command(), '--logdir', logs])}", flush=True)
    collected.came_out.print_more(collected.trials)
    _say_which_took_too_long(plan, collected.trials)
    _say_which_did_not_improve(plan, collected.trials)
    return _exit_code(collected.trials, collected.left, ending)


def _give_up(ending: "Ending", plan: Plan) -> int:
    print(TROUBLE[ending].format(plan.location), file=sys.stderr)
    return EXIT_FAILED_TRIALS


def _tensorboard_command() -> str:
    """Return the command of this environment's TensorBoard, which works though the environment is not active."""
    beside = Path(sys.executable).with_name("tensorboard")
    return str(beside) if beside.exists() else "tensorboard"


def _say_which_took_too_long(plan: Plan, trials: pd.DataFrame) -> None:
    number, budget = int((trials["state"] == "out_of_time").sum()), plan.options.trial_time_budget
    if number and budget is not None:
        print(
            f"Out of time: {number} of {len(trials)} trials took --trial-time-budget {budget:g} seconds before their "
            "last iteration; a larger one lets them go on.",
            flush=True,
        )


def _say_which_did_not_improve(plan: Plan, trials: pd.DataFrame) -> None:
    number, patience = int((trials["state"] == "at_plateau").sum()), plan.options.stop_at_plateau
    if number and patience is not None:
        print(
            f"At a plateau: {number} of {len(trials)} trials ended before their last iteration (--stop-at-plateau "
            f"{patience}); a larger number, or none, lets them go on.",
            flush=True,
        )


def _exit_code(trials: pd.DataFrame, to_go: str, ending: "Ending | None") -> int:
    """Return the exit code of the command; `to_go` says in words what is left to do, and `ending` why."""
    failed = trials[trials["state"] == "failed"]
    for row in failed.head(10).to_dict("records"):
        print(f"failed: {printable(row['label'])}: {printable(row['error'])}", file=sys.stderr)
    if to_go and ending == "out of time":
        print(f"{time_is_up(to_go)} This goes on with them:\n  {as_called(sys.argv)}", file=sys.stderr)
    if len(failed):
        print(f"{len(failed)} of {len(trials)} trials failed; the same command tries them again.", file=sys.stderr)
        return EXIT_FAILED_TRIALS
    if to_go and ending == "out of time":
        return EXIT_OUT_OF_TIME
    if to_go:
        print(f"Interrupted with {to_go} to go; the same command goes on.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0


def _print_every_trial(plan: Plan) -> None:
    if plan.trials:
        table = Table("key", "trial", title="Trials", title_justify="left")
        for trial in plan.trials:
            table.add_row(trial.key, printable(trial.label))
        console().print(table)


def _listed(plan: Plan) -> str:
    at = [f"{i:,}" for i in plan.evaluate_at]
    return ", ".join(at if len(at) <= 6 else [*at[:3], "...", at[-1]])
