"""The command line of the service."""

import argparse
import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from dd_ray.cli import DRY_RUN, EXIT_FAILED_TRIALS, describe
from dd_ray.command_line import as_command, called_as, console
from dd_ray.errors import UserError, printable
from dd_ray.service import bundle, on_head, sweeps
from dd_ray.service.connection import ADDRESS_VARIABLE, DEFAULT_ADDRESS, connected
from dd_ray.storage.files.locations import check_name
from dd_ray.storage.names import MANIFEST
from dd_ray.sweep.confirmation import ConfirmationPlan

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

SERVICE = "python -m dd_ray.service"


def main(args: list[str] | None = None) -> None:
    """Run the command line, and exit with its code."""
    with as_command("\nInterrupted; what was submitted goes on."):
        options = _parser().parse_args(args)
        sys.exit(options.run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=called_as(SERVICE), description="Sweeps on a cluster, from anywhere.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--address",
        default=os.environ.get(ADDRESS_VARIABLE, DEFAULT_ADDRESS),
        help=f"of the cluster's dashboard; {ADDRESS_VARIABLE}, or {DEFAULT_ADDRESS}, where it is not given",
    )
    submit = commands.add_parser("submit", parents=[shared], help="send a sweep; the same again is its resume")
    submit.add_argument(
        "--storage",
        default=os.environ.get("DD_RAY_STORAGE"),
        help="folder of sweeps, or its URL, seen by all nodes of the cluster; DD_RAY_STORAGE where it is not given",
    )
    submit.add_argument("study", type=Path, help="its file, such as sweeps/inertia_grid.py")
    submit.add_argument("options", nargs=argparse.REMAINDER, help="of the study, as on its own command line")
    submit.set_defaults(run=_submit)
    listing = commands.add_parser("list", parents=[shared], help="sweeps that the cluster knows")
    listing.set_defaults(run=_list)
    for name, run, about in (
        ("status", _status, "one sweep and its trials"),
        ("logs", _logs, "what a sweep prints"),
        ("stop", _stop, "end a sweep; its states are saved"),
        ("fetch", _fetch, "bring a sweep's table and figures here"),
    ):
        command = commands.add_parser(name, parents=[shared], help=about)
        command.add_argument("id", help="of the sweep, as `list` shows it")
        command.set_defaults(run=run)
        if name == "logs":
            command.add_argument("--follow", action="store_true", help="go on until the sweep ends")
        if name == "fetch":
            command.add_argument("--to", type=Path, metavar="DIR", help="results/NAME where it is not given")
    return parser


def _submit(options: argparse.Namespace) -> int:
    plan, storage = sweeps.plan_of(options.study, options.storage, options.options)
    describe(plan)
    if plan.options.confirm is not None and not isinstance(plan, ConfirmationPlan):
        print("  The sweep is not seen from here: only its best cells are trained, with fresh seeds, once it is whole.")
    if plan.options.dry_run:
        print(DRY_RUN)
        return 0
    with connected(options.address) as client:
        sweep = sweeps.submit(client, options.study, plan, storage, options.options)
    print(f"Submitted as {sweep}; the same command goes on with it once it has ended.")
    for what, command in (("Follow:", f"logs {sweep} --follow"), ("Stop:", f"stop {sweep}"), ("All:", "list")):
        print(f"{what:8} {SERVICE} {command}")
    return 0


def _list(options: argparse.Namespace) -> int:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("id", "sweep", "who", "state", "submitted", "ended", "progress"):
        table.add_column(name, overflow="fold")
    with connected(options.address) as client:
        for sweep in sweeps.all_sweeps(client):
            submitted, ended = (f"{at:%m-%d %H:%M}" if at else "" for at in (sweep.submitted, sweep.ended))
            done = sweeps.progress(client.get_job_logs(sweep.id)) if sweep.state == "running" else ""
            cells = (sweep.id, sweep.name, sweep.who, sweep.state, submitted, ended, done)
            table.add_row(*map(printable, cells))
    if not table.rows:
        print(f"No sweeps yet; `{SERVICE} submit` sends one.")
    else:
        console().print(table)
    return 0


def _status(options: argparse.Namespace) -> int:
    with connected(options.address) as client:
        sweep = sweeps.find(client, options.id)
        for name, value in sweeps.described(sweep).items():
            if value:
                print(f"{name + ':':11}{printable(value)}")
        if sweep.state == "running" and (done := sweeps.progress(client.get_job_logs(sweep.id))):
            print(f"{'progress:':11}{printable(done)}", flush=True)
        try:
            told = on_head.run(client, ["python", "-m", "dd_ray.results", sweep.location], console().width)
            print(printable(told, lines=True), end="")
        except UserError as error:
            print(f"{'trials:':11}none to show: {printable(error)}")
    return 0


def _logs(options: argparse.Namespace) -> int:
    with connected(options.address) as client:
        sweep = sweeps.find(client, options.id)
        if not options.follow:
            print(printable(client.get_job_logs(sweep.id), lines=True), end="")
            return 0
        _follow(client, sweep.id)
        on_head.wait(client, sweep.id, sweeps.SECONDS_TO_STOP)
        state = sweeps.find(client, sweep.id).state
    print(f"{sweep.id}: {state}", file=sys.stderr)
    return EXIT_FAILED_TRIALS if state == "failed" else 0


def _follow(client: "JobSubmissionClient", sweep_id: str) -> None:
    async def follow() -> None:
        task = asyncio.current_task()
        assert task is not None
        # Python's own handler of Ctrl-C does not wake a loop that is about to wait; this one does.
        with suppress(NotImplementedError):  # a client on Windows
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
        async for lines in client.tail_job_logs(sweep_id):
            print(printable(lines, lines=True), end="", flush=True)

    try:
        asyncio.run(follow())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def _stop(options: argparse.Namespace) -> int:
    with connected(options.address) as client:
        sweep = sweeps.find(client, options.id)
        if not sweep.active:
            raise UserError(f"{sweep.id} has ended already ({sweep.state}).")
        client.stop_job(sweep.id)
        status = on_head.wait(client, sweep.id, sweeps.SECONDS_TO_STOP + 10)
        if not status.is_terminal():
            raise UserError(f"{sweep.id} was asked to stop and has not yet; see `{SERVICE} logs {sweep.id}`.")
        state = sweeps.find(client, sweep.id).state
    print(f"{sweep.id}: {state}; the same submit goes on from the latest states of its trials.")
    return 0


def _fetch(options: argparse.Namespace) -> int:
    with connected(options.address) as client:
        sweep = sweeps.find(client, options.id)
        if options.to is None:  # anyone with the token may have chosen the name
            check_name(sweep.name, "results")
        folder = options.to or Path("results") / sweep.name
        if (folder / MANIFEST).exists():
            raise UserError(f"{folder} is a sweep of this machine; choose another folder with --to.")
        text = on_head.run(client, ["python", "-m", "dd_ray.service.bundle", sweep.location], console().width)
    for path in bundle.unpack(text, folder):
        print(printable(path))
    return 0


if __name__ == "__main__":
    main()
