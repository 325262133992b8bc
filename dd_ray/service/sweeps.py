"""Submits sweeps as jobs of a cluster, and reads the state of submitted ones."""

import getpass
import importlib.util
import re
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dd_ray.cli import parse
from dd_ray.config.extensions import Extension, named_in
from dd_ray.config.options import given_options
from dd_ray.config.urls import own_path
from dd_ray.errors import UserError
from dd_ray.planning import check_own_code
from dd_ray.results.confirmation import confirmed
from dd_ray.storage.exports import export
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.names import MANIFEST
from dd_ray.sweep import Study
from dd_ray.sweep.confirmation import SUFFIX
from dd_ray.sweep.plan import Plan
from dd_ray.sweep.value_file import ValueFile
from dd_ray.tune.private import NEVER_STARTED, STOP_SECONDS, STOP_SIGNAL

if TYPE_CHECKING:
    from ray.job_submission import JobDetails, JobSubmissionClient

SECONDS_TO_STOP = 30
"""Seconds that a sweep has to save its states after it was asked to stop; Ray's default of 3 is too short."""
LARGEST_CODE = 10 * 2**20
"""The most bytes of Python files that are sent with a sweep."""
EXTENSIONS = "extensions"
"""Folder, where a sweep runs, of the files that `--extension` names."""
VALUES = "values"
"""Folder there of the file that `--config` names."""
_NAME, _STORAGE, _USER = "dd_ray_sweep", "dd_ray_storage", "dd_ray_user"
_STATES = {"PENDING": "queued", "RUNNING": "running", "SUCCEEDED": "finished", "STOPPED": "stopped"}
_SIGNALLED = (124, 130, 137, 143)
"""Exit codes of a driver that the end of its time, an interrupt, a kill or a request to end has ended."""
_PROGRESS = re.compile(r"(?P<done>\d+%)\|[^|]*\|[^\[]*\[[^<\]]*<(?P<left>[^,\]]*),[^,\]]*(?:, (?P<counts>[^\]]*))?\]")
"""Matches a progress bar's output: `3%|▎  | 5793/200000 [00:52<29:23, 110.13it/s, 2 running]`."""


@dataclass(frozen=True)
class SweepJob:
    """A submitted sweep, as the cluster describes it."""

    id: str
    name: str
    storage: str
    who: str
    state: str
    """queued, running, finished, failed, stopped (on request) or interrupted (by a signal, or with its node)."""
    command: str
    submitted: datetime
    ended: datetime | None
    message: str

    @classmethod
    def of(cls, details: "JobDetails") -> Self | None:
        """Return the sweep that a job runs, or None if it runs something else."""
        metadata = details.metadata or {}
        if not metadata.keys() >= {_NAME, _STORAGE, _USER} or not details.submission_id:
            return None
        return cls(
            id=details.submission_id,
            name=metadata[_NAME],
            storage=metadata[_STORAGE],
            who=metadata[_USER],
            state=_state(details),
            command=details.entrypoint.removeprefix("exec "),
            submitted=datetime.fromtimestamp((details.start_time or 0) / 1000),
            ended=datetime.fromtimestamp(details.end_time / 1000) if details.end_time else None,
            message=details.message or "",
        )

    @property
    def location(self) -> str:
        """Location of the sweep, as the cluster's nodes see it."""
        return sweep_location(self.storage, self.name)

    @property
    def active(self) -> bool:
        """True if it has not ended."""
        return self.state in ("queued", "running")


def _state(details: "JobDetails") -> str:
    status = str(details.status.value)
    if status != "FAILED":
        return _STATES[status]
    if details.driver_exit_code is None:
        never = any(reason in str(details.error_type) for reason in NEVER_STARTED)
        return "failed" if never else "interrupted"
    return "interrupted" if details.driver_exit_code < 0 or details.driver_exit_code in _SIGNALLED else "failed"


def all_sweeps(client: "JobSubmissionClient") -> list[SweepJob]:
    """Return all sweeps that the cluster remembers, the oldest first."""
    sweeps = [sweep for details in client.list_jobs() if (sweep := SweepJob.of(details))]
    return sorted(sweeps, key=lambda sweep: sweep.submitted)


def find(client: "JobSubmissionClient", sweep_id: str) -> SweepJob:
    """Find a sweep by its ID.

    Raises:
        UserError: the cluster has no such sweep.
    """
    known = {sweep.id: sweep for sweep in all_sweeps(client)}
    if sweep_id not in known:
        raise UserError(f"the cluster knows no sweep {sweep_id}; `python -m dd_ray.service list` shows those it does.")
    return known[sweep_id]


def progress(log: str) -> str:
    """Return the progress that a sweep's log tells; empty if it tells none."""
    bars = list(_PROGRESS.finditer(log))
    if not bars:
        return ""
    found = bars[-1]
    left = f", {found['left']} left" if found["left"] != "?" else ""
    return f"{found['done']}{left}, {found['counts'] or 'waiting for the cluster'}"


def load_study(path: Path) -> Study:
    """Load the `STUDY` of a Python file.

    Raises:
        UserError: there is no such file, it raises an error, or it has no study.
    """
    spec = importlib.util.spec_from_file_location(f"dd_ray_studies.{path.stem}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise UserError(f"{path} is no Python file; give the file of a study, such as sweeps/inertia_grid.py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look types up
    sys.path.insert(0, str(path.parent))  # as `python FILE` has it
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a user's file may raise any error
        raise UserError(f"{path} cannot be run: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        raise UserError(f"{path} has no STUDY; dd_ray/README.md shows what the file of a study holds.")
    return study


def plan_of(path: Path, storage: str | None, options: Sequence[str]) -> tuple[Plan, str]:
    """Check a study's options and the user's own code as its own command line does on a cluster.

    Returns:
        Their plan, and the storage. The best cells of a sweep that is not seen from here are confirmed by the cluster
        alone: the plan is then that of the sweep, under the name of its confirmation.

    Raises:
        UserError: an option is out of range, or not possible on a cluster; there is nothing to confirm; or the user's
            own code is wrong.
        SystemExit: code 2 for an unknown option or a value of the wrong type, 0 after `--help`.
    """
    if "address" in given_options(options):
        raise UserError("--address after the study's file; the cluster's address comes before the file.")
    if "storage" in given_options(options):
        raise UserError("--storage after the study's file; give it before the file, or in DD_RAY_STORAGE.")
    if not storage:
        raise UserError(
            "no storage; give --storage before the study's file, or set DD_RAY_STORAGE, to what all nodes of the "
            "cluster see: an absolute folder or a URL."
        )
    if not storage.startswith("/") and "://" not in storage:
        raise UserError(
            f"--storage {storage} means another folder on each machine; give an absolute one that all nodes of the "
            "cluster see, or a URL."
        )
    if "save_config" in given_options(options):
        raise UserError("--save-config is written where a sweep runs; run the study's own command with --dry-run here.")
    study = load_study(path)
    sys.argv = [str(path), *options]  # what messages about wrong options call the command
    plan = parse(study, ["--storage", storage, "--address", "auto", *options])
    if plan.study.search or Path(plan.location, MANIFEST).exists():
        plan = confirmed(plan)
    elif plan.options.confirm is not None:
        plan = replace(plan, options=replace(plan.options, name=plan.options.name + SUFFIX))
    check_own_code(plan)
    return plan, storage


def submit(client: "JobSubmissionClient", path: Path, plan: Plan, storage: str, options: Sequence[str]) -> str:
    """Send a sweep to the cluster, and return its ID.

    Raises:
        UserError: it is queued or running there already.
    """
    name = plan.options.name
    for other in all_sweeps(client):
        if other.active and (other.name, other.storage.rstrip("/")) == (name, storage.rstrip("/")):
            raise UserError(
                f"{other.location} is {other.state} already, as {other.id} of {other.who}; follow it with `logs "
                f"{other.id} --follow`, end it with `stop {other.id}`, or choose another --name."
            )
    named, rest = named_in(options)
    values = ValueFile.named_in(options)
    extensions = named or values.words("extension")
    command = ["python", f"sweeps/{path.name}", "--address", "auto", "--storage", storage, *rest]
    if values.path:
        command += ["--config", f"{VALUES}/{Path(values.path).name}"]
    if extensions:
        command += ["--extension", *(f"{EXTENSIONS}/{Path(file).name}" for file in extensions)]
    who = _user()
    with _staged(path, extensions, values.path, plan.study.extensions) as folder:
        return client.submit_job(
            # exec: the sweep replaces the shell that Ray starts, so that signals reach it alone.
            entrypoint=f"exec {shlex.join(command)}",
            submission_id=_readable_id(name, who, datetime.now()),
            metadata={_NAME: name, _STORAGE: storage, _USER: who},
            runtime_env={
                "working_dir": str(folder),
                # For the process that runs the command: a stop is a Ctrl-C, with time to save.
                "env_vars": {STOP_SIGNAL: "SIGINT", STOP_SECONDS: str(SECONDS_TO_STOP)},
            },
        )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        return "someone"


def _readable_id(name: str, who: str, when: datetime) -> str:
    return "-".join(re.sub(r"[^\w.]", "_", part)[:40] for part in (name, who)) + f"-{when:%m%d-%H%M%S}"


@contextmanager
def _staged(path: Path, extensions: Sequence[str], values: str, of_study: Sequence[str]) -> Iterator[Path]:
    """Make a folder of the files to send: the Python files beside the study's, extensions, and the file of values.

    Raises:
        UserError: they are too large, or the study names an extension where none can be sent.
    """
    here = path.absolute().parent
    with tempfile.TemporaryDirectory(prefix="dd_ray_") as name:
        size = 0
        # Emacs keeps a link to nowhere, .#NAME.py, beside a file that is being edited.
        for file in filter(Path.is_file, sorted(here.glob("*.py"))):
            size += file.stat().st_size
            if size > LARGEST_CODE:
                limit = f"{LARGEST_CODE >> 20} MB"
                raise UserError(f"the Python files in {here} are more than {limit}; give the study its own folder.")
            export(Path(name) / "sweeps", {file.name: file.read_bytes()})
        for extension in map(Extension.read, extensions):
            export(Path(name) / EXTENSIONS, {extension.name: extension.text.encode()})
        for own in of_study:
            if (place := _place_of(own, here)) is not None:
                export(Path(name) / place.parent, {place.name: own_path(own).read_bytes()})
        if values:
            export(Path(name) / VALUES, {Path(values).name: own_path(values).read_bytes()})
        yield Path(name)


def _place_of(extension: str, here: Path) -> Path | None:
    """Return where a study in a folder finds an extension of its own in what is sent; None if it names a place outside.

    Raises:
        UserError: it can be sent nowhere.
    """
    place = Path(extension).expanduser()
    if place.is_absolute():
        return "sweeps" / place.relative_to(here) if place.is_relative_to(here) else None
    if ".." in place.parts:
        raise UserError(
            f"extensions = {extension!r} leads out of the folder that is sent; put the file beside the study's, and "
            "name it by Path(__file__).parent."
        )
    return place


def described(sweep: SweepJob) -> dict[str, Any]:
    """Return a description of a sweep, beside its trials."""
    last = [line.strip() for line in re.split(r"[\r\n]", sweep.message) if line.strip()][-1:]
    return {
        "sweep": sweep.id,
        "of": sweep.who,
        "state": f"{sweep.state}{f': {last[0]}' if sweep.state == 'failed' and last else ''}",
        "submitted": f"{sweep.submitted:%Y-%m-%d %H:%M}",
        "ended": f"{sweep.ended:%Y-%m-%d %H:%M}" if sweep.ended else "",
        "into": sweep.location,
        "command": sweep.command,
    }
