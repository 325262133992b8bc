"""The suggestions of a search, as Optuna's log beside the sweep has them: opens, reads and mends it.

A suggestion is a point of the space, and a trial of the Optuna study; with each seed it is a trial of the sweep. Its
value is the mean over these trials.

The study is `optuna.log` in the sweep's folder, in Optuna's journal format, with a line for each change. This works on
network file systems, unlike SQLite's locks, and `optuna-dashboard` can open it.
"""

import io
import json
import math
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from dd_ray.errors import printable
from dd_ray.storage.files import LocalFiles
from dd_ray.storage.names import LOG
from dd_ray.storage.records import DamagedError, damaged, lines_before_damage, read_lines
from dd_ray.storage.sweep_folder import SweepFolder

SECONDS_TO_A_STALE_LOCK = 10
"""After so many seconds, a lock of the log counts as left by a killed command, since writing a line takes less."""
TRIALS = "cells"
"""Attribute of an Optuna trial, and column of the table of suggestions: keys of its trials."""
RETRY_OF = "retry_of"
"""Attribute of an Optuna trial: number of an earlier one at the same point, of which a trial failed."""

_SETS_STATE, _SETS_INTERMEDIATE_VALUE = 6, 7
"""Codes of lines in Optuna's journal format."""

WITH_VALUES = {"finished", "at_plateau"}
"""States of trials whose last evaluation is the value of their suggestion."""
Evaluations = list[dict[str, Any]]


def open_storage(folder: Path) -> JournalStorage:
    """Open Optuna's storage in a sweep's folder, for the command that runs the search.

    A line that a kill or a full disk cut short is removed, since Optuna would append the next one to it and read
    neither. The lock of a killed command is removed after a while.

    Raises:
        DamagedError: the log is damaged.
    """
    path, files = folder / LOG, LocalFiles(folder)
    read_lines(files, LOG)
    files.drop_cut_line(LOG)
    lock = JournalFileOpenLock(str(path), grace_period=SECONDS_TO_A_STALE_LOCK)
    return _understood(files, JournalFileBackend(str(path), lock_obj=lock))


def read_storage(folder: Path) -> JournalStorage:
    """Return what Optuna's storage in a sweep's folder holds now, for those who look at it.

    The file stays as it is: a last line without an end may be one that the search's command is writing.

    Raises:
        DamagedError: the log is damaged.
    """
    files = LocalFiles(folder)
    return _understood(files, _Lines(read_lines(files, LOG)))


class _Lines(BaseJournalBackend):
    """Lines of a log that were read, to which none can be added."""

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self._lines = lines

    def read_logs(self, log_number_from: int) -> list[dict[str, Any]]:
        """Return the lines from one on."""
        return self._lines[log_number_from:]

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Refuse to add lines."""
        raise io.UnsupportedOperation(f"{LOG} was opened to be read")


def _understood(files: LocalFiles, log: BaseJournalBackend) -> JournalStorage:
    try:
        storage = JournalStorage(log)
    except Exception as error:  # Optuna may raise any error for lines that it does not understand
        raise damaged(files, LOG, f"Optuna cannot read it: {type(error).__name__} {error}") from error
    for study in storage.get_all_studies():
        for asked in storage.get_all_trials(study._study_id, deepcopy=False):
            if asked.values is not None and len(asked.values) != len(study.directions):
                raise damaged(files, LOG, f"suggestion {asked.number} has {len(asked.values)} values")
    return storage


def mend_log(sweep: SweepFolder) -> None:
    """Set a damaged log aside, and go on with the lines before the damage. For the command that runs the search.

    Suggestions that are lost are drawn again, and their values read again: no trial is lost, and trials of a point that
    is drawn again need no training. A suggestion that the damage cut short while it was drawn is drawn anew at another
    point, as after a kill.
    """
    try:
        open_storage(sweep.folder)
    except DamagedError as error:
        now = sweep.set_aside(LOG)
        print(f"{printable(error)} It is in {now} now.", file=sys.stderr)
        _keep_what_is_before(sweep, Path(now))


def open_again(sweep: SweepFolder, keys: Collection[str]) -> list[int]:
    """Take back the results that Optuna was told of the suggestions whose trials are to be removed from the sweep.

    Their points and all other suggestions stay. For Optuna they run, as after a kill, so that the search's command
    trains what they lack and tells their values anew.

    Args:
        sweep: a search. The caller holds its lock.
        keys: keys of the trials.

    Returns:
        The numbers of the suggestions in Optuna's log, over all of its studies.

    Raises:
        DamagedError: the log is damaged.
    """
    open_storage(sweep.folder)  # refuses a damaged log, which `mend_log` is for
    lines = read_lines(sweep.files, LOG)
    having = [line["trial_id"] for line in lines if {*keys} & {*line.get("user_attr", {}).get(TRIALS, [])}]
    kept = [line for line in lines if not (line.get("trial_id") in having and _tells(line))]
    if len(kept) < len(lines):
        sweep.files.write(LOG, b"".join(json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in kept))
    return having


def _tells(line: Mapping[str, Any]) -> bool:
    """Return whether a line of the log has a value of a suggestion, or how it ended."""
    ended = line["op_code"] == _SETS_STATE and TrialState(line["state"]).is_finished()
    return ended or line["op_code"] == _SETS_INTERMEDIATE_VALUE


def _keep_what_is_before(sweep: SweepFolder, damaged_log: Path) -> None:
    try:
        whole = lines_before_damage(LocalFiles(damaged_log.parent), damaged_log.name, LOG)
    except DamagedError:  # it is not a file
        return
    sweep.files.write(LOG, whole)
    try:
        open_storage(sweep.folder)
    except DamagedError:
        sweep.files.remove(LOG)


def current_trials(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials of a study, without those that were replaced by another suggestion of their point."""
    all_asked = [asked for asked in study.get_trials(deepcopy=False) if TRIALS in asked.user_attrs]
    retried = {asked.user_attrs.get(RETRY_OF) for asked in all_asked}
    return [asked for asked in all_asked if asked.number not in retried]


def common_iterations(evaluations: Sequence[Evaluations]) -> list[int]:
    """Return the iterations at which all of some trials were evaluated, in order."""
    return sorted(set.intersection(*({row["iteration"] for row in rows} for rows in evaluations)))


def mean(scores: Sequence[float | None]) -> float:
    """Average over seeds; NaN if one has no score, since leaving it out would flatter the others."""
    return float(np.mean([math.nan if score is None else score for score in scores])) if scores else math.nan
