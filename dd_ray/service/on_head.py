"""Runs short commands on the cluster's head, which sees storage that a laptop does not."""

import time
import uuid
from collections.abc import Sequence
from shlex import join
from typing import TYPE_CHECKING

from dd_ray.errors import UserError
from dd_ray.tune.private import BEFORE_THE_COMMAND

if TYPE_CHECKING:
    from ray.job_submission import JobStatus, JobSubmissionClient

SECONDS_TO_RUN = 120


def run(client: "JobSubmissionClient", command: Sequence[str], width: int) -> str:
    """Run a command on the head, and return what it prints. It is removed from the cluster's list of jobs.

    Raises:
        UserError: it fails, or takes too long.
    """
    job = client.submit_job(
        entrypoint=f"exec {join(command)}",
        submission_id=f"dd_ray-{uuid.uuid4().hex[:8]}",
        runtime_env={"env_vars": {"COLUMNS": str(width)}},
    )
    status = wait(client, job, SECONDS_TO_RUN)
    if not status.is_terminal():
        client.stop_job(job)
        raise UserError(f"`{join(command)}` has not ended on the head within {SECONDS_TO_RUN} s; it may be overloaded.")
    log = client.get_job_logs(job)
    message = client.get_job_info(job).message or ""
    client.delete_job(job)
    printed = BEFORE_THE_COMMAND.sub("", log, count=1)
    if status.value != "SUCCEEDED":
        last = (printed.strip() or message.strip() or "no message").splitlines()[-1]
        raise UserError(f"on the cluster's head: {last.removeprefix('error: ')}")
    return printed


def wait(client: "JobSubmissionClient", job: str, seconds: float) -> "JobStatus":
    """Wait until a job has ended, but no longer than some seconds, and return its state."""
    deadline = time.monotonic() + seconds
    while not (status := client.get_job_status(job)).is_terminal() and time.monotonic() < deadline:
        time.sleep(0.5)
    return status
