"""Finds the weights that trials begin with in place of their seed's: those of a trial of another sweep.

They are read as bytes, and copied into the sweep that begins with them, as `starts/DIGEST.npz`: so it goes on though
the other sweep is gone, or has trained further. `dd_ray.training.load_state`, which unpickles nothing, reads them.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from dd_ray.config.checks import WEIGHTS_TAKEN
from dd_ray.config.urls import own_path
from dd_ray.errors import UserError
from dd_ray.storage.files import NoFileError
from dd_ray.storage.records import DamagedError
from dd_ray.storage.sweep_folder import SweepFolder

PLACE, WEIGHTS = "warm_start", "warm_start_weights"
"""Config fields of where weights come from, and of which ones they are."""
SETTLED = ("finished", "stopped_early", "out_of_time", "at_plateau")
"""States of trials whose weights can be taken. Those of others may change, or are none."""
_NAMED = re.compile(r"(?P<sweep>.+):(?P<key>[0-9a-f]{4,16})")


@dataclass(frozen=True, kw_only=True)
class Start:
    """The weights of a trial at an iteration."""

    sweep: str
    """Folder or URL of its sweep."""
    key: str
    iteration: int
    digest: str
    """A hash of its state, of 16 hexadecimal digits."""

    @classmethod
    def of(cls, place: str, weights: str) -> Self:
        """Return the start that a config names in its two fields."""
        found = WEIGHTS_TAKEN.fullmatch(weights)
        assert found, "a config has been checked"
        iteration = int(found["iteration"])
        return cls(sweep=_named(place)[0], key=found["key"], iteration=iteration, digest=found["digest"])

    @property
    def place(self) -> str:
        """The value of `warm_start`."""
        return f"{self.sweep}:{self.key}"

    @property
    def weights(self) -> str:
        """The value of `warm_start_weights`."""
        return f"{self.key}@{self.iteration}:{self.digest}"

    def __str__(self) -> str:
        return f"the weights of trial {self.key} of {self.sweep} at iteration {self.iteration:,}"


def start_named(text: str, own: SweepFolder) -> Start:
    """Return the start that SWEEP:KEY names: the one that a sweep has taken from there, or else the trial's latest.

    Args:
        text: folder or URL of a sweep, and the key of a trial or its beginning.
        own: the sweep that begins with it, which need not exist.

    Raises:
        UserError: there is no such trial, or it has not ended with weights.
    """
    sweep, beginning = _named(text)
    taken = _taken_before(own)
    if taken and taken.sweep == sweep and taken.key.startswith(beginning):
        return taken
    folder = SweepFolder.open(sweep)
    found = [trial for trial in folder.trials() if trial.key.startswith(beginning)]
    if len(found) != 1:
        raise UserError(
            f"warm_start = {text} names {len(found) or 'no'} trials; `python -m dd_ray.results {sweep} --out FILE.csv` "
            "lists their keys."
        )
    (trial,), outcome = found, found[0].outcome()
    state = outcome.state if outcome else "not ended"
    iterations = trial.states()
    if state not in SETTLED or not iterations:
        raise UserError(
            f"warm_start = {text} is of a trial that has {'no state' if state in SETTLED else state}; give one that "
            f"is {', '.join(SETTLED[:-1])} or {SETTLED[-1]}."
        )
    digest = _digest(trial.state(iterations[0]))
    return Start(sweep=sweep, key=trial.key, iteration=iterations[0], digest=digest)


def start_of(config: Mapping[str, Any]) -> Start | None:
    """Return the start of a config, or of the axes of a sweep; None if it begins with the weights of its seed."""
    place, weights = config.get(PLACE), config.get(WEIGHTS)
    if not place or not weights:
        return None
    return Start.of(*(value if isinstance(value, str) else value[0] for value in (place, weights)))


def read_start(start: Start, own: SweepFolder) -> bytes:
    """Read the state of a start from the sweep that begins with it, or from where it comes from.

    Raises:
        UserError: it is gone, or another one.
    """
    copy, trial = own.files, SweepFolder.at(start.sweep).trial(start.key)
    try:
        content = copy.read(_name(start)) if copy.exists(_name(start)) else trial.state(start.iteration)
    except (FileNotFoundError, NoFileError) as error:
        raise UserError(f"{start} are not there any more; give others, and another --name.") from error
    if _digest(content) != start.digest:
        raise UserError(f"{start} are not those that were taken before; give another --name to take them.")
    return content


def keep_start(start: Start, own: SweepFolder) -> None:
    """Copy the state of a start into the sweep that begins with it."""
    if not own.files.exists(_name(start)):
        own.files.write(_name(start), read_start(start, own))


def _named(text: str) -> tuple[str, str]:
    """Return the sweep and the key in SWEEP:KEY, the sweep as it is found from anywhere."""
    found = _NAMED.fullmatch(text)
    if not found:
        raise UserError(
            f"warm_start = {text} names no trial; give SWEEP:KEY, such as results/inertia_grid_quick:6ca659f37b34e5ac."
        )
    sweep = found["sweep"]
    return sweep if "://" in sweep else str(own_path(sweep)), found["key"]


def _taken_before(own: SweepFolder) -> Start | None:
    """Return the start that a sweep has a copy of; None if it has none."""
    try:
        manifest = own.manifest()
    except DamagedError:  # the command sets it aside
        return None
    axes: Mapping[str, Sequence[Any]] = manifest.get("axes", {})
    start = start_of({name: [value for value in values if value] for name, values in axes.items()})
    return start if start and own.files.exists(_name(start)) else None


def _name(start: Start) -> str:
    return f"starts/{start.digest}.npz"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
