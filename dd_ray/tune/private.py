"""Every name of Ray that Ray does not promise to keep: what each is for, and what to do when it changes.

Tried with Ray 2.60. Where a new version breaks one, its Ray test fails (`pytest -m ray`), and this file alone is to be
mended. Nothing here imports Ray before it is called, since Ray reads the environment then.
"""

import re
import sys
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
    "RAY_AIR_NEW_OUTPUT": "0",  # its own table of trials, which would stand between the lines of the progress bar
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_AUTO_CONNECT": "0",  # what still runs when a sweep has left a Ray that died would start another
}
"""Switches that Ray reads from the environment when it is imported. One that is gone is ignored by Ray: look into
`ray/tune/utils/` and `ray/tune/constants.py` for what took its place, or leave it out if the default suits by then."""

INVALID_TOKEN = "InvalidAuthToken"
"""What the health check writes where a cluster refuses a token. If it is worded otherwise, a wrong token is told as "no
Ray answers": take the new word from `ray health-check` with RAY_AUTH_TOKEN=wrong."""

TALKATIVE = ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging")
"""Loggers that tell of each upload of the service. If they are called otherwise, `submit` prints lines that begin with
INFO: their loggers' names go here."""

NEVER_STARTED = ("RUNTIME_ENV_SETUP_FAILURE", "JOB_SUPERVISOR_ACTOR_START", "UNSCHEDULABLE", "COMMAND_START_ERROR")
"""Parts of `JobDetails.error_type`, of jobs whose command never began. A job with another one counts as interrupted:
see `JobErrorType` in `ray/dashboard/modules/job/common.py`."""

STOP_SIGNAL, STOP_SECONDS = "RAY_JOB_STOP_SIGNAL", "RAY_JOB_STOP_WAIT_TIME_S"
"""Environment of a job: how it is asked to stop, and how long it has before it is killed. Without them a stop kills
sweeps after 3 s: see `ray/dashboard/modules/job/job_supervisor.py`."""

BEFORE_THE_COMMAND = re.compile(r".*^Running entrypoint for job [^\n]*\n", re.MULTILINE | re.DOTALL)
"""What Ray writes into the log of a job, up to what its command prints. If it is worded otherwise, `status` and `fetch`
show the line, and the pattern is to be changed."""


def health_check(address: str) -> list[str]:
    """The command that asks whether a Ray answers at `auto` or `host:port`: `ray health-check`.

    As a module, since the script `ray` need not be in the PATH. If the module moves, see `entry_points` of Ray's
    package for where.
    """
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check"]
    return command if address == "auto" else [*command, "--address", address]


def is_connected() -> bool:
    """Whether this process is connected to a Ray; without importing it, which would read the environment.

    Where the module is imported, its `is_initialized` tells, which Ray promises.
    """
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


def autoscaler_status() -> Any:
    """What the autoscaler (v2) last reported to the cluster's control store, a `GetClusterStatusReply`.

    There is no public call for it. If the message or the client changes, see `ray/autoscaler/v2/sdk.py`, which reads
    the same; if a public one comes, use that.
    """
    import ray  # noqa: PLC0415
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # noqa: PLC0415
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply  # type: ignore[attr-defined]  # noqa: PLC0415

    reply = GetClusterStatusReply()
    reply.ParseFromString(GcsClient(ray.get_runtime_context().gcs_address).get_cluster_status())
    return reply


def own_processes() -> "list[subprocess.Popen[bytes]]":
    """The raylet and the control store of the Ray that this process has started; none of a cluster that it has joined.

    If they are kept elsewhere, see `all_processes` of `ray/_private/node.py`.
    """
    from ray._private import worker  # noqa: PLC0415

    node = worker._global_node
    known: dict[str, Any] = node.all_processes if node is not None and node.is_head() else {}
    return [info.process for kind in ("raylet", "gcs_server") for info in known.get(kind, ())]


def actor_id(actor: "ActorHandle[Any]") -> str:
    """What tells an actor from those that come after it under the same name. If it is gone, let the actor tell its own:
    `ray.get_runtime_context().get_actor_id()`."""
    return str(actor._actor_id.hex())


def wait_until_ready(actor: "ActorHandle[Any]") -> None:
    """Wait until an actor has begun, with the method that Ray adds to each. If it is gone, give the actor one."""
    import ray  # noqa: PLC0415

    ray.get(actor.__ray_ready__.remote())


def forgive_failures(trial: "Trial") -> None:
    """Count the latest failure of a trial as its first, since it got further than at the one before.

    Tune compares the count with `FailureConfig.max_failures`. If it is kept elsewhere, see `Trial.should_recover`.
    """
    trial.run_metadata.num_failures = 1


def trace_of(trial: "Trial") -> str:
    """The traceback of a trial's latest error.

    `Trial.get_error` reads the copy in the storage, which is made only after callbacks are called. If the file is gone,
    take what `Trial.handle_error` gets.
    """
    return Path(trial.error_file).read_text() if trial.error_file else ""


def rungs_of(asha: "ASHAScheduler") -> list[dict[str, Any]]:
    """Of each rung of ASHA, the scores by the trial's ID, which are compared and may be changed.

    If they are kept elsewhere, see `ray/tune/schedulers/async_hyperband.py`; `tests/tune/test_rungs.py` fails then.
    """
    return [scores for bracket in asha._brackets for _, scores in bracket._rungs]


def rungs_of_brackets(asha: "ASHAScheduler") -> list[int]:
    """How many rungs each bracket has, the one that compares first foremost."""
    return [len(bracket._rungs) for bracket in asha._brackets]


def place(asha: "ASHAScheduler", trial: "Trial", bracket: int) -> None:
    """Have a trial compared in a bracket, whichever Ray has drawn for it."""
    asha._trial_info[trial.trial_id] = asha._brackets[bracket]


def enter_rungs(asha: "ASHAScheduler", trial: Any, bracket: int, iteration: int, score: float) -> None:
    """Enter a score into the rungs that a trial has come by, where higher is better; nothing is stopped by it."""
    asha._brackets[bracket].on_result(trial, iteration, score)
