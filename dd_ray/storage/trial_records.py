"""Reads, writes and checks the records of one trial: config, evaluations, scores, states, and how it ended.

What each file is, and where it lies, is said in `dd_ray.storage.sweep_folder`.
"""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dd_ray.config import TrialConfig, fields_with
from dd_ray.errors import UserError
from dd_ray.storage.files import Files, NoFileError
from dd_ray.storage.records import DamagedError, State, damaged, json_file, read_lines, read_object
from dd_ray.storage.seals import CHECK, checksum, first_wrong, is_whole, links, signed, unsigned
from dd_ray.storage.trial_attempts import ATTEMPTS

REACHING = ("finished", "stopped_early", "at_plateau")
"""States of trials that end with an evaluation."""
RECORDS = ("config.json", "metrics.jsonl", "scores.jsonl", "outcome.json", "seal.json")
"""Files of a trial that say what it is, how it did and how it ended."""
_STATE = re.compile(r"state-([0-9]{9}|[1-9][0-9]{9,})\.npz")
"""Matches what `_state_name` returns: whatever else lies in the folder is no state."""
LARGEST_SCORE = 1e305
"""Means and scales of larger scores are infinite, so that these count as infinite themselves."""
STATES_KEPT = 2
"""Number of states kept of a trial: the latest, and one to go back to if that is damaged."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The end of a trial: its state, and the iteration that it had reached."""

    state: State
    iteration: int
    error: str | None = None
    """The error of a failed trial."""
    trace: str | None = None
    """The traceback of that error."""
    seconds: float | None = None
    """The time that a trial out of time had taken."""

    def to_dict(self) -> dict[str, Any]:
        """Return the values to write and to seal. `seconds` is left out if None, since older outcomes have none."""
        values = asdict(self)
        return values if self.seconds is not None else {k: v for k, v in values.items() if k != "seconds"}


@dataclass(frozen=True, kw_only=True)
class TrialRecords:
    """All records of a trial."""

    config: dict[str, Any]
    label: str
    evaluations: list[dict[str, Any]]
    scores: dict[int, dict[str, float | None]]
    """Scores that were added later, by iteration."""
    outcome: Outcome | None
    notes: list[str]
    """Descriptions of harmless damage: what is damaged is left out here, and computed again."""


class TakenOverError(RuntimeError):
    """A worker that was cut off has come back, and another has its trial."""


@dataclass
class _Recorded:
    """The file as `TrialFolder.record` left it, which so need not read all evaluations before it adds another."""

    size: int = -1
    """Bytes of the file then; what another worker adds to it makes it another size."""
    iteration: int = -1
    check: str = ""


@dataclass(frozen=True)
class TrialFolder:
    """The files of one trial."""

    files: Files
    key: str
    """Key of the trial, see `TrialConfig.key`."""
    _recorded: _Recorded = field(default_factory=_Recorded, init=False, repr=False, compare=False)

    def create(self, config: dict[str, Any], label: str) -> None:
        """Write the config of the trial, unless it is there; and the path of its data, if that has moved."""
        if not self.files.exists("config.json") or self._has_moved(config):
            if not self.files.exists("metrics.jsonl"):
                # Made durable with the next file, and not by the worker, which would wait for it.
                self.files.write("metrics.jsonl", b"", durable=False)
            # Converted through JSON, which turns tuples into lists, since the checksum is of the values as they are
            # read back.
            described = json.loads(json_file({"config": config, "label": label}))
            self.files.write("config.json", json_file(signed(described, self.key)))

    def _has_moved(self, config: dict[str, Any]) -> bool:
        # Not asked of the storage, which may be slow, for the many trials whose data is no file.
        places = {name: config[name] for name in fields_with(in_key=False) if config.get(name) is not None}
        return bool(places) and not places.items() <= self.describe()["config"].items()

    def describe(self) -> dict[str, Any]:
        """Return the `config` and `label` that the trial was created with.

        Raises:
            FileNotFoundError: it was not created.
            DamagedError: they are not what was written, or belong to another trial.
        """
        described = read_object(self.files, "config.json")
        if not is_whole(described, self.key):
            raise damaged(self.files, "config.json", "it is not what was written for this trial")
        if CHECK not in described and self._key_of(described["config"]) != self.key:
            raise damaged(self.files, "config.json", "it is that of another trial")
        return unsigned(described)

    def _key_of(self, config: dict[str, Any]) -> str:
        try:
            return TrialConfig.from_dict(config).key
        except (UserError, TypeError, ValueError, LookupError, AttributeError) as error:  # of a value of a wrong type
            raise damaged(self.files, "config.json", f"it is no config: {error}") from error

    def evaluations(self) -> list[dict[str, Any]]:
        """Return the recorded evaluations. A last line that a kill cut short counts as not written.

        If an iteration occurs twice, the first counts: two workers may have recorded it at the same moment.

        Raises:
            DamagedError: they are not what was recorded, as far as can be told without the trial's outcome.
        """
        return [_finite(unsigned(row)) for row in self._signed_evaluations()]

    def sound(self) -> TrialRecords | None:
        """Return all records; None if there are none, or they contradict each other and the trial begins anew."""
        try:
            return self.read()
        except (FileNotFoundError, DamagedError):
            return None

    def sound_evaluations(self) -> list[dict[str, Any]]:
        """Return the recorded evaluations of `sound`; an empty list if that is None."""
        records = self.sound()
        return records.evaluations if records else []

    def _signed_evaluations(self) -> list[dict[str, Any]]:
        """Return the recorded evaluations, each with its checksum, even if it was recorded without one."""
        rows: dict[int, dict[str, Any]] = {}
        for row in read_lines(self.files, "metrics.jsonl"):
            rows.setdefault(row["iteration"], row)
        recorded = list(rows.values())
        chain = links(self.key, recorded)
        if (wrong := first_wrong(recorded, chain)) is not None:
            which = f"the evaluation of iteration {recorded[wrong]['iteration']} is not what was recorded"
            raise damaged(self.files, "metrics.jsonl", f"{which} of this trial after those before it")
        return [{**row, CHECK: link} for row, link in zip(recorded, chain, strict=True)]

    def take(self) -> str:
        """Make the caller the only writer of evaluations, and return a token that proves it.

        Raises:
            FileNotFoundError: the trial was removed, and none of its files is to come back.
        """
        self.files.read("config.json")
        token = uuid.uuid4().hex
        self.files.write("owner", token.encode(), durable=False)
        return token

    def check_owner(self, token: str) -> None:
        """Make sure that no other worker has taken the trial since the token was given.

        Raises:
            TakenOverError: another worker has.
            FileNotFoundError: the trial was removed.
        """
        if self.files.read("owner").decode() != token:
            raise TakenOverError("another worker has taken up this trial, since this one was taken for dead")

    def record(self, evaluation: dict[str, Any]) -> dict[str, Any]:
        """Append an evaluation, and return it as it will be read back. NaN and infinity become None.

        An evaluation that is there already stays as it is: a worker on a node that was cut off may still train a trial
        that was given to another, and both get the same results except for the times.
        """
        known, size = self._recorded, self._bytes_of_evaluations()
        if size != known.size or evaluation["iteration"] <= known.iteration:
            before = self._signed_evaluations()
            recorded = next((row for row in before if row["iteration"] == evaluation["iteration"]), None)
            if recorded is not None:
                return _finite(unsigned(recorded))
            known.check = before[-1][CHECK] if before else ""
        clean = _finite(evaluation)
        check = checksum(self.key, known.check, clean)
        line = json.dumps({**clean, CHECK: check}).encode() + b"\n"
        known.size = -1  # if the line cannot be added, what is there is read again
        self.files.append("metrics.jsonl", line)
        known.size, known.iteration, known.check = size + len(line), clean["iteration"], check
        return clean

    def _bytes_of_evaluations(self) -> int:
        return int(self.files.stamps("").get("metrics.jsonl", "0").partition(" ")[0])

    def add_scores(self, iteration: int, scores: Mapping[str, float]) -> None:
        """Append further scores of the network at an iteration, beside those of its evaluation. NaN becomes None.

        Raises:
            FileNotFoundError: the trial was removed, and none of its files is to come back.
        """
        self.files.read("config.json")
        row = signed({"iteration": iteration, **_finite(scores)}, self.key)
        self.files.append("scores.jsonl", json.dumps(row).encode() + b"\n")

    def scores(self, notes: list[str] | None = None) -> dict[int, dict[str, float | None]]:
        """Return the added scores by iteration; of a score that was added twice, the later value.

        Damaged ones are left out, since they can be added again, and described in `notes`.
        """
        notes = [] if notes is None else notes
        by_iteration: dict[int, dict[str, float | None]] = {}
        for row in read_lines(self.files, "scores.jsonl", notes):
            if is_whole(row, self.key):
                scores = _finite(unsigned(row))
                by_iteration.setdefault(scores.pop("iteration"), {}).update(scores)
            else:
                why = f"scores of iteration {row['iteration']} are not those of this trial"
                notes.append(str(damaged(self.files, "scores.jsonl", why)))
        return by_iteration

    def save_state(self, iteration: int, content: bytes) -> None:
        """Write the state of an iteration, and delete all but it and the one before.

        If there are later states, from which the trial went back since they are damaged, this one is kept nevertheless.
        """
        self.files.write(_state_name(iteration), content)
        others = [other for other in self.states() if other != iteration]
        for old in others[STATES_KEPT - 1 :]:
            self.files.remove(_state_name(old))

    def states(self) -> list[int]:
        """Return the iterations of which there are states, the latest first."""
        found = filter(None, map(_STATE.fullmatch, self.files.names()))
        return sorted((int(state[1]) for state in found), reverse=True)

    def state(self, iteration: int) -> bytes:
        """Read the state of an iteration."""
        return self.files.read(_state_name(iteration))

    def finish(self, outcome: Outcome) -> None:
        """Write how the trial ended, after the seal that binds it to its evaluations.

        The seal is durable, so that a power cut cannot leave an outcome beside the seal of another one.

        Raises:
            FileNotFoundError: the trial was removed, and none of its files is to come back.
        """
        self.files.read("config.json")
        ended = outcome.to_dict()
        try:
            recorded = [row[CHECK] for row in self._signed_evaluations()]
        except DamagedError:  # the next command finds the damage, too, and trains the trial again
            recorded = []
        seal = {"key": self.key, "evaluations": len(recorded), "last": "".join(recorded[-1:])}
        self.files.write("seal.json", json_file({**seal, "outcome": checksum(self.key, ended)}))
        self.files.write("outcome.json", json_file(ended), durable=False)

    def copy_to(self, other: "TrialFolder", label: str) -> None:
        """Copy the trial into an empty folder, under another label, and check the copy by its seals.

        Raises:
            FileNotFoundError: it was not created.
            DamagedError: it is damaged, or was changed meanwhile.
        """
        config = self.describe()["config"]
        states = [_state_name(iteration) for iteration in self.states()]
        for name in (*states, *(name for name in RECORDS if name != "config.json"), ATTEMPTS):
            if self.files.exists(name):
                other.files.write(name, self.files.read(name))
        other.create(config, label)
        other.read()

    def remove(self) -> None:
        """Remove all files of the trial. A kill in between leaves a trial that has not ended, or none.

        Its states go before its evaluations, so that no state is left from which the trial would go on without them.
        """
        states = [_state_name(iteration) for iteration in self.states()]
        for name in ("outcome.json", "seal.json", *states, "scores.jsonl", "metrics.jsonl"):
            self.files.remove(name)
        self.files.remove_folder()

    def reopen(self) -> None:
        """Remove the outcome, since the trial goes on."""
        self.files.remove("outcome.json")

    def has_lost_its_config(self) -> bool:
        """Return whether it was begun and has no config.

        One that is being created has only an empty file of evaluations.
        """
        names = self.files.names()
        if "config.json" in names:
            return False
        begun = {"outcome.json", "scores.jsonl", "owner", "seal.json"} & {*names}
        return bool(begun) or ("metrics.jsonl" in names and bool(read_lines(self.files, "metrics.jsonl", [])))

    def outcome(self) -> Outcome | None:
        """Return how the trial ended; None if it has not, or if its files contradict each other."""
        # A trial that has not ended needs no check.
        records = self.sound() if self.files.exists("outcome.json") else None
        return records.outcome if records else None

    def read(self) -> TrialRecords:
        """Read all records of the trial, and check them against each other.

        Raises:
            FileNotFoundError: it was not created.
            DamagedError: its files are not what was written, or contradict each other.
        """
        notes: list[str] = []
        # The outcome first: it is written last, so a trial that has one has all its evaluations.
        outcome, seal = self._ended(notes)
        evaluations = self._signed_evaluations()
        description = self.describe()
        if outcome is not None:
            self._check_complete(outcome, seal, evaluations)
        return TrialRecords(
            **description,
            evaluations=[_finite(unsigned(row)) for row in evaluations],
            scores=self.scores(notes),
            outcome=outcome,
            notes=notes,
        )

    def _ended(self, notes: list[str]) -> tuple[Outcome | None, dict[str, Any] | None]:
        """Return the outcome and the seal, if there are any. Damaged ones count as missing, and are written again.

        Raises:
            DamagedError: something else has the name of one of the files.
        """
        try:
            ended = read_object(self.files, "outcome.json")
            outcome = Outcome(**ended)
            seal = read_object(self.files, "seal.json") if self.files.exists("seal.json") else None
        except FileNotFoundError:
            return None, None
        except (DamagedError, TypeError) as error:
            if isinstance(error.__cause__, NoFileError):
                raise
            notes.append(str(error if isinstance(error, DamagedError) else self._wrong_outcome()))
            return None, None
        if seal is not None and (seal["key"], seal["outcome"]) != (self.key, checksum(self.key, outcome.to_dict())):
            notes.append(str(self._wrong_outcome()))
            return None, None
        return outcome, seal

    def _wrong_outcome(self) -> DamagedError:
        return damaged(self.files, "outcome.json", "it is not what was written for this trial")

    def _check_complete(self, outcome: Outcome, seal: dict[str, Any] | None, recorded: list[dict[str, Any]]) -> None:
        """Make sure that an ended trial has the evaluations that it ended with.

        Raises:
            DamagedError: some evaluations are missing.
        """
        number, last = (seal["evaluations"], seal["last"]) if seal else (0, "")
        sealed = [row[CHECK] for row in recorded[number - 1 : number]] if number else [last]
        reached = recorded[-1]["iteration"] if recorded else -1
        if sealed != [last] or (outcome.state in REACHING and reached < outcome.iteration):
            why = f"evaluations are missing: the trial ended at iteration {outcome.iteration}"
            raise damaged(self.files, "metrics.jsonl", f"{why}, and they end at {reached}" if recorded else why)


def _finite(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not abs(v) <= LARGEST_SCORE else v for k, v in values.items()}


def _state_name(iteration: int) -> str:
    return f"state-{iteration:09d}.npz"
