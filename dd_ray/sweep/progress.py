"""Watching a sweep from its driver: a progress bar, and the outcomes that only the driver knows."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from tqdm import tqdm

from dd_ray.sweep.store import Outcome, SweepFolder

SECONDS_BETWEEN_LINES = 15
"""Where the output is no terminal, the bar is a line now and then instead."""


class Watcher(Callback):
    """Follows the trials: moves the bar, and writes down which were stopped early or failed."""

    def __init__(self, sweep: SweepFolder, iterations: int, already_done: dict[str, int]) -> None:
        self._sweep = sweep
        self._iterations = iterations
        self._done = dict(already_done)
        self._states: Counter[str] = Counter()
        self._total = len(already_done) * iterations
        self._bar = tqdm(
            total=self._total,
            initial=sum(already_done.values()),
            unit="it",
            desc="sweep",
            dynamic_ncols=True,
            mininterval=0.5 if sys.stderr.isatty() else SECONDS_BETWEEN_LINES,
            smoothing=0.05,
        )
        self._running: set[str] = set()
        self._show()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Count it as running."""
        self._running.add(_key(trial))
        self._show()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Move the bar."""
        self._advance(_key(trial), result["iteration"])

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Write down that it was stopped early, if it was; its worker cannot know."""
        result = trial.last_result
        state = result.get("state", "stopped_early")
        if state == "stopped_early":
            self._finish(trial, Outcome(state=state, iteration=result["iteration"]))
        self._end(trial, state)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Write down the error of a trial that is given up."""
        reached = (trial.last_result or {}).get("iteration", 0)
        self._finish(trial, Outcome(state="failed", iteration=reached, error=_last_line(trial)))
        self._end(trial, "failed")

    def close(self) -> None:
        """Leave the bar as it is."""
        self._bar.close()

    def _finish(self, trial: Trial, outcome: Outcome) -> None:
        self._sweep.cell(_key(trial)).finish(outcome)

    def _end(self, trial: Trial, state: str) -> None:
        self._running.discard(_key(trial))
        self._states[state] += 1
        # What it will not do is no work done: it leaves the total.
        self._total -= self._iterations - self._done[_key(trial)]
        self._bar.total = self._total
        self._show()

    def _advance(self, key: str, reached: int) -> None:
        self._bar.update(max(0, reached - self._done[key]))
        self._done[key] = max(reached, self._done[key])
        self._show()

    def _show(self) -> None:
        counts = {"running": len(self._running), **self._states}
        text = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in counts.items())
        self._bar.set_postfix_str(text, refresh=False)


def _key(trial: Trial) -> str:
    return trial.config["key"]


def _last_line(trial: Trial) -> str:
    """The exception itself, which the trace in the trial's error file ends with."""
    # Trial.get_error reads the copy in the storage, which is made only after this call.
    trace = Path(trial.error_file).read_text() if trial.error_file else ""
    lines = [line.strip() for line in trace.splitlines() if line.strip()]
    return lines[-1] if lines else "no message; see the files under tune/"
