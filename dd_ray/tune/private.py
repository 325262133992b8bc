"""All uses of names that Ray does not promise to keep: what each is for, and what to do when it changes.

They work with Ray 2.60. If a new version breaks one, its Ray test fails (`pytest -m ray`), and only this file needs to
be changed. Nothing here imports Ray before it is called, since Ray reads the environment at its import.
"""

import re
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import subprocess

    from ray.actor import ActorHandle
    from ray.tune.experiment import Trial
    from ray.tune.schedulers import ASHAScheduler

SETTINGS = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # trials write their own files
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # progress is reported between evaluations, without metrics
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # its record of all trials is not used, and grows with their number
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # a sweep has its own, for requests to terminate too
    "RAY_AIR_NEW_OUTPUT": "0",  # its own table of trials would break up the progress bar
    "RAY_IGNORE_UNHANDLED_ERRORS": "1",  # else a trial that fails as its sweep ends prints a traceback
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # else code that still runs after a Ray has died would start another one
}
"""Switches that Ray reads from the environment when it is imported. Ray ignores one that it no longer has: look into
`ray/tune/utils/` and `ray/tune/constants.py` for its replacement, or drop it if the default suits."""

INVALID_TOKEN = "InvalidAuthToken"
"""A word in the health check's output if a cluster refuses a token. If the wording changes, a wrong token is reported
as "no Ray answers": take the new word from `ray health-check` with RAY_AUTH_TOKEN=wrong."""

TALKATIVE = ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging")
"""Loggers that report each upload of the service. If their names change, `submit` prints lines that begin with INFO:
put the names of their loggers here."""

NEVER_STARTED = ("RUNTIME_ENV_SETUP_FAILURE", "JOB_SUPERVISOR_ACTOR_START", "UNSCHEDULABLE", "COMMAND_START_ERROR")
"""Parts of `JobDetails.error_type` for jobs whose command never began. A job with another type counts as interrupted:
see `JobErrorType` in `ray/dashboard/modules/job/common.py`."""

STOP_SIGNAL, STOP_SECONDS = "RAY_JOB_STOP_SIGNAL", "RAY_JOB_STOP_WAIT_TIME_S"
"""Environment variables of a job: the signal that asks it to stop, and the seconds until it is killed. Without them a
stop kills sweeps after 3 s: see `ray/dashboard/modules/job/job_supervisor.py`."""

BEFORE_THE_COMMAND = re.compile(r".*^Running entrypoint for job [^\n]*\n", re.MULTILINE | re.DOTALL)
"""Matches what Ray writes into a job's log before the command's output. If the wording changes, `status` and `fetch`
show that line: change the pattern."""


SOCKETS_BELOW = len("/session_2026-11-27_12-00-00_123456_1234567/sockets/plasma_store")
"""The most bytes that Ray adds to its folder in the paths of its sockets. If it adds more, `ray.init` refuses folders
with long paths: see `Node._prepare_socket_file` in `ray/_private/node.py`."""


def health_check(address: str) -> list[str]:
    """Return the command that asks whether a Ray answers at `auto` or `host:port`: `ray health-check`.

    It runs as a module, since the script `ray` need not be in the PATH. If the module moves, see `entry_points` of
    Ray's package.
    """
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check"]
    return command if address == "auto" else [*command, "--address", address]


def is_connected() -> bool:
    """Return whether this process is connected to a Ray, without importing Ray, which would read the environment.

    If the module is imported, its `is_initialized`, which Ray promises to keep, tells.
    """
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def autoscaler_status() -> Any:
    """Return the last report of the autoscaler (v2) to the cluster's control store, a `GetClusterStatusReply`.

    There is no public call for it. If the message or the client changes, see `ray/autoscaler/v2/sdk.py`, which reads
    the same; if there is a public call one day, use it.
    """
    import ray  # noqa: PLC0415
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # noqa: PLC0415
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply  # type: ignore[attr-defined]  # noqa: PLC0415

    reply = GetClusterStatusReply()
    reply.ParseFromString(GcsClient(ray.get_runtime_context().gcs_address).get_cluster_status())
    return reply


@contextmanager
def processes_started(into: "list[subprocess.Popen[bytes]]") -> Iterator[None]:
    """Collect the processes that Ray starts during the block, which only a Ray that has started tells otherwise.

    If their class moves, see `start_ray_process` of `ray/_private/services.py`; without this, what a failed start
    leaves ends with this process.
    """
    from ray._private import services  # noqa: PLC0415

    before = services.ConsolePopen

    class Collected(before):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            into.append(self)

    services.ConsolePopen = Collected  # type: ignore[misc]
    try:
        yield
    finally:
        services.ConsolePopen = before  # type: ignore[misc]


def own_processes() -> "list[subprocess.Popen[bytes]]":
    """Return raylet and control store of the Ray that this process has started; none of a cluster that it has joined.

    If they move, see `all_processes` of `ray/_private/node.py`.
    """
    return _processes_of_own_node("raylet", "gcs_server")


def end_at_once() -> None:
    """Have `ray.shutdown` kill the processes of this process's own Ray, which do not heed the SIGTERM that it sends.

    It would wait a second for each. If that changes, see `Node._kill_process_impl`; without this, a sweep ends some
    seconds later.
    """
    for process in _processes_of_own_node():
        process.terminate = process.kill  # type: ignore[method-assign]


def _processes_of_own_node(*kinds: str) -> "list[subprocess.Popen[bytes]]":
    from ray._private import worker  # noqa: PLC0415

    node = worker._global_node
    known: dict[str, Any] = node.all_processes if node is not None and node.is_head() else {}
    return [info.process for kind, infos in known.items() if not kinds or kind in kinds for info in infos]


@dataclass(frozen=True, kw_only=True)
class Worker:
    """A process with an actor of this sweep: a trial, a pack, or what starts packs."""

    pid: int
    node: str
    """ID of its node."""
    address: str
    """IP address of its node, as results of Tune tell it in `node_ip`."""


def workers() -> list[Worker]:
    """Return the processes with actors of this command, on all nodes.

    There is no public call without a dashboard. If this one is gone, take `ray.util.state.list_actors` on clusters
    with one.
    """
    import ray  # noqa: PLC0415
    from ray._private.state import actors  # noqa: PLC0415

    job = ray.JobID.from_hex(ray.get_runtime_context().get_job_id())
    known = actors(job_id=job, actor_state_name="ALIVE").values()
    return [
        Worker(pid=actor["Pid"], node=actor["Address"]["NodeID"], address=actor["Address"]["IPAddress"])
        for actor in known
    ]


def nodes_taken_away() -> Collection[str]:
    """Return the IDs of the nodes that are being drained: they are alive until their work has ended, and get no more.

    There is no public call for it. If this one is gone, return none: such nodes are then counted on until they end.
    """
    from ray._private.state import state  # noqa: PLC0415

    return state.get_draining_nodes().keys()  # type: ignore[no-any-return]


def actor_id(actor: "ActorHandle[Any]") -> str:
    """Return the id of an actor, which distinguishes it from later actors of the same name.

    If it is gone, let the actor return its own: `ray.get_runtime_context().get_actor_id()`."""
    return str(actor._actor_id.hex())


def wait_until_ready(actor: "ActorHandle[Any]") -> None:
    """Wait until an actor has begun, by the method that Ray adds to each. If it is gone, give our actors one."""
    import ray  # noqa: PLC0415

    ray.get(actor.__ray_ready__.remote())


def forgive_failures(trial: "Trial") -> None:
    """Count the latest failure of a trial as its first, since it got further than before the last one.

    Tune compares the count with `FailureConfig.max_failures`. If the count moves, see `Trial.should_recover`.
    """
    trial.run_metadata.num_failures = 1


def trace_of(trial: "Trial") -> str:
    """Return the traceback of a trial's latest error.

    `Trial.get_error` reads the copy in the storage, which is written only after callbacks are called. If the file is
    gone, use the argument of `Trial.handle_error`.
    """
    return Path(trial.error_file).read_text() if trial.error_file else ""


def rungs_of(asha: "ASHAScheduler") -> list[dict[str, Any]]:
    """Return the scores at each rung of ASHA by the trial's ID. ASHA compares these, and they may be changed.

    If they move, `tests/tune/test_rungs.py` fails: see `ray/tune/schedulers/async_hyperband.py`.
    """
    return [scores for bracket in asha._brackets for _, scores in bracket._rungs]


def rungs_of_brackets(asha: "ASHAScheduler") -> list[int]:
    """Return the number of rungs of each bracket; the bracket that compares first comes first."""
    return [len(bracket._rungs) for bracket in asha._brackets]


def place(asha: "ASHAScheduler", trial: "Trial", bracket: int) -> None:
    """Compare a trial in a bracket, whichever Ray has drawn for it."""
    asha._trial_info[trial.trial_id] = asha._brackets[bracket]


def enter_rungs(asha: "ASHAScheduler", key: str, bracket: int, iteration: int, score: float) -> None:
    """Enter a trial's score, of which higher is better, into the highest rung that it has passed, unless it has one.

    It does what `on_result` of a bracket does, but for the comparison, which takes as long as the rung is high.
    """
    for milestone, scores in asha._brackets[bracket]._rungs:  # the highest first
        if iteration >= milestone:
            scores.setdefault(key, score)
            return
