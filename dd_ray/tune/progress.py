"""Watches a sweep from its driver: shows a progress bar, and records what only the driver knows."""

import math
import re
import sys
import textwrap
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Literal

from ray.tune import Callback
from ray.tune.experiment import Trial
from tqdm.auto import tqdm

from dd_ray.command_line import progress_bar
from dd_ray.config.extensions import loaded
from dd_ray.errors import printable
from dd_ray.storage.files import trouble
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import Outcome
from dd_ray.sweep.deadline import Deadline
from dd_ray.trial.report import TrialReport
from dd_ray.tune.private import forgive_failures, trace_of

SECONDS_BETWEEN_RECORDS = 10
"""Seconds between two writings of `progress.json`."""

STARTING = "starting processes"
"""Words beside the bar until a trial has reported."""

MOST_OF_THE_REST = 300
"""Characters of an error's message that are shown beside its first line."""

Ending = Literal[
    "interrupted",
    "out of time",
    "storage full",
    "storage blocked",
    "storage read-only",
    "lock lost",
    "shares changed",
    "ray lost",
]
"""Reasons why a sweep, or a round of it, stops before all trials have ended."""

UNWRITABLE: tuple[Ending, ...] = ("storage blocked", "storage read-only")
"""Endings after which nothing at all can be written."""


class Watcher(Callback):
    """Follows the trials: moves the bar, and records which were stopped early or failed.

    There is one for all rounds of a sweep (see `run`).

    Args:
        sweep: the sweep, to which outcomes and progress are written.
        iterations: iterations of each trial.
        num_trials: number of trials that there are, or will be.
        already_done: iterations that need not be done again, by the key of their trial.
        ended: keys of the trials that have ended before.
        shown: whether to show the bar, and to print messages beside it.
        deadline: the time at which all trials stop, if there is one.
    """

    def __init__(
        self,
        sweep: SweepFolder,
        *,
        iterations: int,
        num_trials: int,
        already_done: Mapping[str, int],
        ended: Collection[str],
        shown: bool = True,
        deadline: Deadline | None = None,
    ) -> None:
        self._sweep = sweep
        self._deadline = deadline
        self._shown = shown
        self._iterations = iterations
        self._num_trials = num_trials
        self._done = defaultdict(int, already_done)  # a search makes trials as it goes
        self.ended = set(ended)
        """Keys of the trials that have ended."""
        self._states: Counter[str] = Counter()
        self._total = num_trials * iterations
        self._bar = progress_bar(
            shown,
            total=self._total,
            initial=sum(already_done.values()),
            unit="it",
            desc="sweep",
            smoothing=0.05,
            postfix=STARTING,
        )
        self._any_heard = False
        self.unfit: dict[str, str] = {}
        """Why no trial can run on some nodes that joined while the sweep ran, by their IDs."""
        self.running: set[str] = set()
        """Keys of the trials in training."""
        self.ending: Ending | None = None
        """Why all trials shall stop before they are done; None while they need not."""
        self.now_and_then: Callable[[], None] = lambda: None
        """Called every few seconds by the round that runs."""
        self.beside: Callable[[], None] = lambda: None
        """Called every few seconds, for what is done beside the sweep."""
        self._failed_at: dict[str, int] = {}
        self._recorded = self._called = 0.0
        self._ended_at = math.inf
        self._heard: dict[str, tuple[float, str | None]] = {}
        """By trial in training, the time of its last report, and the address of its node if that is known."""
        self._closed = False
        self._show()

    @property
    def left(self) -> int:
        """Number of trials that have not ended."""
        return self._num_trials - len(self.ended)

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing, since Tune pickles callbacks into a file that nobody reads, and this cannot be pickled."""
        return {}

    def begin_round(self) -> None:
        """Expect the trials of another round. Those of the last one ended with it, of which Tune tells nothing."""
        self.ending = None
        self.running.clear()
        self._heard.clear()

    def stop(self, why: Ending) -> None:
        """End all trials before they are done, with their states saved."""
        if self.ending in (None, "shares changed"):
            self.ending = why
            if why != "shares changed":  # after which the sweep goes on
                self._ended_at = time.monotonic()

    def leave_out(self, node: str, why: str) -> None:
        """Go on without a node, which would take one trial after another, and fail each."""
        self.unfit = self.unfit | {node: why}
        self.say(f"{why} The sweep goes on without it.")
        self.stop("shares changed")

    @contextmanager
    def ending_with_the_storage(self) -> Iterator[None]:
        """End the sweep where the block finds the storage full or read-only, or without an answer.

        It is for callbacks: what one raises, Tune takes for a failure of the trial, and tries this again.
        """
        try:
            yield
        except Exception as error:  # Optuna may hide the storage's own
            if (ending := trouble(error)) is None:
                raise
            self.stop(ending)

    @property
    def seconds_since_end(self) -> float:
        """Seconds since the sweep was told to end; 0 where it was not."""
        return max(0.0, time.monotonic() - self._ended_at)

    def silent_at(self, seconds: float) -> set[str | None]:
        """Return the addresses of nodes with a trial that has been silent for so long; None for an unknown address."""
        now = time.monotonic()
        return {address for heard, address in list(self._heard.values()) if now - heard > seconds}

    def record(self) -> None:
        """Write the sweep's progress into its folder, every few seconds.

        It is for a thread other than Tune's, which may wait for a storage that does not answer.
        """
        if not self._closed and time.monotonic() - self._recorded > SECONDS_BETWEEN_RECORDS:
            self._recorded = time.monotonic()
            self._record()

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """End the sweep when its time is up, and call `now_and_then` and `beside` every few seconds."""
        if self._deadline is not None and self._deadline.has_come():
            self.stop("out of time")
        if not self._closed and time.monotonic() - self._called > SECONDS_BETWEEN_RECORDS:
            self._called = time.monotonic()
            self.now_and_then()
            self.beside()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Count the trial as running."""
        self.running.add(_key(trial))
        self._heard[_key(trial)] = time.monotonic(), None
        self._show()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Move the bar, and print the trial's messages."""
        report = TrialReport.from_tune(result)
        self._any_heard = True
        self._heard[_key(trial)] = time.monotonic(), result.get("node_ip")
        for note in report.notes:
            self.say(f"{trial}: {note}")
        if report.storage is not None:
            self.stop(report.storage)
        self._advance(_key(trial), report.iteration)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record that the trial was stopped early, if it was, since its worker cannot know."""
        report = TrialReport.from_tune(trial.last_result)
        if report.state is None and self.ending is None:
            self._finish(trial, Outcome(state="stopped_early", iteration=report.iteration))
        self._end(trial, report.state or ("unfinished" if self.ending else "stopped_early"))

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Print why a trial is tried again. Only tries in a row that do not get further count as failures."""
        key = _key(trial)
        self._is_over(key)
        states = self._sweep.trial(key).states()
        if states and states[0] > self._failed_at.get(key, 0):
            forgive_failures(trial)
        self._failed_at[key] = states[0] if states else 0
        self.say(
            f"{trial.custom_trial_name} is tried again from iteration {self._failed_at[key]:,}: {_error_of(trial)}"
        )

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record the error of a trial that is given up."""
        reached = TrialReport.from_tune(trial.last_result).iteration
        outcome = Outcome(state="failed", iteration=reached, error=_error_of(trial), trace=trace_of(trial))
        self._finish(trial, outcome)
        self._end(trial, "failed")

    def close(self) -> None:
        """Close the bar, which is full where nothing is left, and record that nothing runs any more."""
        self._closed = True
        if self.ending is None:  # as of suggestions without a value, of which some seeds did not start
            self._total = self._bar.total = self._bar.n
        self._bar.close()
        self.running.clear()
        if self.ending not in UNWRITABLE:
            self._record()

    def _finish(self, trial: Trial, outcome: Outcome) -> None:
        # A Tune whose Ray has died may go on for a while, when another command may run the sweep.
        if not self._closed and self.ending != "lock lost":
            with self.ending_with_the_storage(), suppress(FileNotFoundError):  # it was removed
                self._sweep.trial(_key(trial)).finish(outcome)

    def _end(self, trial: Trial, state: str) -> None:
        self._is_over(_key(trial))
        if state != "unfinished":
            self.ended.add(_key(trial))
            self._states[state] += 1
            # Iterations that it will not do any more are taken from the total.
            self._total -= self._iterations - self._done[_key(trial)]
            self._bar.total = self._total
        self._show()

    def _is_over(self, key: str) -> None:
        self.running.discard(key)
        self._heard.pop(key, None)

    def _advance(self, key: str, reached: int) -> None:
        self._bar.update(max(0, reached - self._done[key]))
        self._done[key] = max(reached, self._done[key])
        self._show()

    def _record(self) -> None:
        if self.ending == "lock lost":  # another command runs the sweep now, or it was removed
            return
        rate = self._bar.format_dict["rate"] or 0.0
        left = (self._total - self._bar.n) / rate if rate else None
        progress = {
            "time": time.time(),
            "running": sorted(self.running),
            "iterations_per_second": rate,
            "seconds_left": left,
        }
        try:
            self._sweep.write_progress(progress)
        except OSError as error:  # nothing depends on it
            if (found := trouble(error)) in UNWRITABLE:
                self.stop(found)
            self.say(f"progress.json could not be written: {error}")

    def say(self, text: str) -> None:
        """Say something beside the bar."""
        if self._shown:
            tqdm.write(printable(text, lines=True), file=sys.stderr)

    def _show(self) -> None:
        counts = {"running": len(self.running), **self._states}
        text = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.items())
        if not self._any_heard and self.ending is None:
            text = f"{text}, {STARTING}"
        self._bar.set_postfix_str(text, refresh=False)


def _key(trial: Trial) -> str:
    return trial.config["key"]


def _error_of(trial: Trial) -> str:
    """Return the exception that ended a trial, in one line, and its place in a user's own file."""
    trace = trace_of(trial).rpartition("Failure # ")[2]  # Tune appends one to another
    own = {extension.name for extension in loaded()}
    places = [f" ({file}:{line})" for file, line in re.findall(r'File "(.+)", line (\d+)', trace) if file in own]
    return "".join([_exception_of(trace), *places[-1:]]) or "no message"


def _exception_of(trace: str) -> str:
    """Return the exception below the last frame of a traceback, in one line; without frames, the last line."""
    frames, _, last = trace.rpartition('\n  File "')
    message = re.search(r"^\S.*", last.partition("\n")[2], re.MULTILINE | re.DOTALL) if frames else None
    lines = [line.strip() for line in (message[0] if message else trace).splitlines() if line.strip()]
    if message is None:
        return "".join(lines[-1:])
    return f"{lines[0]} {textwrap.shorten(' '.join(lines[1:]), MOST_OF_THE_REST, placeholder='...')}".rstrip()
