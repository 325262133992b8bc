"""Watching a sweep from its driver: a progress bar, and what only the driver knows."""

import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import Any, Literal

from ray.tune import Callback
from ray.tune.experiment import Trial
from tqdm.auto import tqdm

from dd_ray.command_line import progress_bar
from dd_ray.errors import printable
from dd_ray.storage.sweep_folder import Outcome, SweepFolder
from dd_ray.sweep.deadline import Deadline
from dd_ray.trial.report import TrialReport
from dd_ray.tune.private import forgive_failures, trace_of

SECONDS_BETWEEN_RECORDS = 10
"""Between two writings of `progress.json`."""

Ending = Literal["interrupted", "out of time", "storage full", "lock lost", "shares changed", "ray lost"]
"""Why a sweep, or a round of it, stops before all trials have ended."""


class Watcher(Callback):
    """Follows the trials: moves the bar, and writes down which were stopped early or failed.

    It lives through all rounds of a sweep (see `run`).

    Args:
        sweep: where outcomes and progress are written.
        iterations: how far each trial goes.
        num_trials: how many trials there are, or will be.
        already_done: iterations that need not be done again, by the key of their trial.
        ended: keys of the trials that have ended before.
        shown: whether there is a bar to see, and what is said beside it.
        deadline: when all are to stop, if there is one.
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
            shown, total=self._total, initial=sum(already_done.values()), unit="it", desc="sweep", smoothing=0.05
        )
        self.running: set[str] = set()
        """Keys of the trials in training."""
        self.ending: Ending | None = None
        """Why all trials are to stop before they are done."""
        self.now_and_then: Callable[[], None] = lambda: None
        """Called every few seconds by the round that runs."""
        self.after_records: Callable[[], None] = lambda: None
        """Called every few seconds, after what the sweep's progress was written."""
        self._failed_at: dict[str, int] = {}
        self._recorded = 0.0
        self._closed = False
        self._show()

    @property
    def left(self) -> int:
        """Trials that have not ended."""
        return self._num_trials - len(self.ended)

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its callbacks into a file that nobody reads, and not all of this can be."""
        return {}

    def stop(self, why: Ending) -> None:
        """End all trials before they are done, and leave their states behind."""
        if self.ending in (None, "shares changed"):
            self.ending = why

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Write down how far the sweep is, now and then, and end it when its time is up."""
        if self._deadline is not None and self._deadline.has_come():
            self.stop("out of time")
        if not self._closed and time.monotonic() - self._recorded > SECONDS_BETWEEN_RECORDS:
            self._recorded = time.monotonic()
            self._record()
            self.now_and_then()
            self.after_records()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Count it as running."""
        self.running.add(_key(trial))
        self._show()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Move the bar, and pass on what the trial has to say."""
        report = TrialReport.from_tune(result)
        for note in report.notes:
            self._say(f"{trial}: {note}")
        if report.storage_full is not None:
            self.stop("storage full")
        self._advance(_key(trial), report.iteration)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Write down that it was stopped early, if it was; its worker cannot know."""
        report = TrialReport.from_tune(trial.last_result)
        if report.state is None and self.ending is None:
            self._finish(trial, Outcome(state="stopped_early", iteration=report.iteration))
        self._end(trial, report.state or ("unfinished" if self.ending else "stopped_early"))

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Say why a trial is tried again. Only tries in a row that do not get further count as failures."""
        key = _key(trial)
        self.running.discard(key)
        states = self._sweep.trial(key).states()
        if states and states[0] > self._failed_at.get(key, 0):
            forgive_failures(trial)
        self._failed_at[key] = states[0] if states else 0
        self._say(
            f"{trial.custom_trial_name} is tried again from iteration {self._failed_at[key]:,}: {_last_line(trial)}"
        )

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Write down the error of a trial that is given up."""
        reached = TrialReport.from_tune(trial.last_result).iteration
        outcome = Outcome(state="failed", iteration=reached, error=_last_line(trial), trace=trace_of(trial))
        self._finish(trial, outcome)
        self._end(trial, "failed")

    def close(self) -> None:
        """Leave the bar as it is, and say that nothing runs any more."""
        self._closed = True
        self._bar.close()
        self.running.clear()
        self._record()

    def _finish(self, trial: Trial, outcome: Outcome) -> None:
        # A Tune whose Ray has died may go on for a while, when the sweep may be another command's.
        if not self._closed:
            self._sweep.trial(_key(trial)).finish(outcome)

    def _end(self, trial: Trial, state: str) -> None:
        self.running.discard(_key(trial))
        if state != "unfinished":
            self.ended.add(_key(trial))
            self._states[state] += 1
            # What it will not do any more leaves the total.
            self._total -= self._iterations - self._done[_key(trial)]
            self._bar.total = self._total
        self._show()

    def _advance(self, key: str, reached: int) -> None:
        self._bar.update(max(0, reached - self._done[key]))
        self._done[key] = max(reached, self._done[key])
        self._show()

    def _record(self) -> None:
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
            self._say(f"progress.json could not be written: {error}")

    def _say(self, text: str) -> None:
        if self._shown:
            tqdm.write(printable(text, lines=True), file=sys.stderr)

    def _show(self) -> None:
        counts = {"running": len(self.running), **self._states}
        text = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.items())
        self._bar.set_postfix_str(text, refresh=False)


def _key(trial: Trial) -> str:
    return trial.config["key"]


def _last_line(trial: Trial) -> str:
    """The exception itself, which the trace in the trial's error file ends with."""
    lines = [line.strip() for line in trace_of(trial).splitlines() if line.strip()]
    return lines[-1] if lines else "no message"
