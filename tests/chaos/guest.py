"""A second sweep on the cluster that `tests.chaos` breaks: the service sends it, and again where it is lost.

The nodes share one machine, and with it the folder into which Ray unpacks a job's files. A node that needs them anew
takes them from under the job's own process, which then fails; that, too, is a reason to send it again.
"""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from dd_ray.cli import parse
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import TrialFolder
from dd_ray.sweep.plan import Plan
from tests.chaos.checks import check, undisturbed, watching
from tests.chaos.cluster import ROOT, Nodes
from tests.chaos.sweep import STUDY

FILE = Path(__file__).with_name("sweep.py")
NAME = "guest"
SECONDS_TO_SEND = 60
SECONDS_BETWEEN_LOOKS = 15
SECONDS_TO_GO_ON = 240
"""Without a new evaluation, after which something is wrong: it may have to wait for the lease of a lost driver."""
_ACTIVE = ("queued", "running")


@dataclass
class Guest:
    """The sweep, of other trials than the first one's, and the service that has it."""

    nodes: Nodes
    storage: Path
    expected: Mapping[str, TrialFolder]
    options: list[str]
    say: Callable[[str], None]
    """Prints a line with the time."""
    count: int = 0
    """Guests that have ended, each checked."""
    sent: int = 0
    problems: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._watch = ExitStack()
        self._begin()

    @classmethod
    def train_undisturbed(cls, folder: Path, options: list[str]) -> Mapping[str, TrialFolder]:
        """Return what its trials come to without Ray."""
        return undisturbed(_plan(folder, "undisturbed-guest", options))

    @property
    def plan(self) -> Plan:
        """What it is to do."""
        return _plan(self.storage, f"{NAME}-{self.count}", self.options)

    def tend(self) -> None:
        """Send it where nobody runs it, and begin another where it has finished."""
        if self.finished:
            self._end()
            self._begin()
        self._keep_going()

    def stop(self) -> str | None:
        """Ask the service to end it: what came of it, or None where it does not run."""
        running = [job for job, state in self._jobs() if state == "running"]
        if not running:
            return None
        started = time.monotonic()
        code, printed = self._ask("stop", running[-1])
        if code and "has ended already" not in printed:
            self.problems.append(f"the service did not stop {running[-1]}: {printed[-1000:]}")
        self._looked = -SECONDS_BETWEEN_LOOKS
        return f"{printed.split(';')[0].strip()} after {time.monotonic() - started:.1f} s"

    def finish(self) -> None:
        """Let it come to its end, and check it."""
        lines, since = -1, time.monotonic()
        while not self.finished:
            self._keep_going()
            time.sleep(1)
            if (now := sum(map(len, self._seen.lines.values()))) != lines:
                lines, since = now, time.monotonic()
            elif time.monotonic() - since > SECONDS_TO_GO_ON:
                self.problems.append(f"{self.plan.options.name} has not gone on for {SECONDS_TO_GO_ON} s")
                break
        self._end()

    @property
    def finished(self) -> bool:
        """True if all its trials have ended."""
        if not (self.storage / self.plan.options.name / "sweep.json").exists():
            return False
        sweep = SweepFolder.at(self.plan.location)
        return all(sweep.trial(key).outcome() is not None for key in self.expected)

    def _begin(self) -> None:
        self._looked = -SECONDS_BETWEEN_LOOKS
        self._seen = self._watch.enter_context(watching(Path(self.plan.location)))

    def _end(self) -> None:
        self._watch.close()
        problems = check(self.plan, self._seen, self.expected, set()) if self.finished else []
        self.problems += [f"{self.plan.options.name}: {problem}" for problem in problems]
        self.say(f"{self.plan.options.name} has ended{'' if self.problems else ', and all is as it should be'}")
        self.count += 1

    def _keep_going(self) -> None:
        if time.monotonic() - self._looked < SECONDS_BETWEEN_LOOKS:
            return
        self._looked = time.monotonic()
        states = [state for _, state in self._jobs()]
        if not {*states} & {*_ACTIVE}:
            self._send(states[-1] if states else "not known")

    def _send(self, state: str) -> None:
        code, printed = self._ask(
            "submit", "--storage", str(self.storage), str(FILE), *self.options, f"--name={NAME}-{self.count}"
        )
        found = re.search(r"Submitted as (\S+);", printed)
        if "try again later" in printed:  # a cluster that has just started
            return
        if code or not found:
            self.problems.append(f"the service sends nothing, with exit code {code}: {printed[-1000:]}")
        self.sent += 1
        self.say(f"{NAME}-{self.count} is {state}, and sent")

    def _jobs(self) -> list[tuple[str, str]]:
        """Return the IDs and states of the jobs with the guest that the cluster knows, the oldest first."""
        deadline = time.monotonic() + SECONDS_TO_SEND
        while (answer := self._ask("list"))[0] != 0 and time.monotonic() < deadline:
            time.sleep(1)  # the cluster's dashboard is still starting
        if answer[0] != 0:
            self.problems.append(f"the service answers with exit code {answer[0]}: {answer[1][-1000:]}")
        rows = [line.split() for line in answer[1].splitlines()]
        return [(row[0], row[3]) for row in rows if len(row) > 3 and row[1] == self.plan.options.name]

    def _ask(self, command: str, *words: str) -> tuple[int | None, str]:
        """Run a command of the service: its exit code, None where it does not end, and what it prints."""
        asked = [sys.executable, "-m", "dd_ray.service", command, "--address", self.nodes.dashboard, *words]
        try:
            done = subprocess.run(
                asked,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS_TO_SEND,
                check=False,
                cwd=ROOT,
                env=os.environ | {"COLUMNS": "400"},  # so that no row of a list breaks
            )
        except subprocess.TimeoutExpired as error:
            return None, str(error.output)
        return done.returncode, done.stdout


def _plan(storage: Path, name: str, options: list[str]) -> Plan:
    return parse(STUDY, [f"--storage={storage}", f"--name={name}", *options])
