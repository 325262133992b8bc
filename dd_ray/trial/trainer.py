"""The interface of a trainer, which trains a trial's network: in this process, or in a pack with other trials.

It does not import PyTorch, which a trial in a pack does not need.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from numpy.typing import NDArray

from dd_ray.config.extensions import Extension
from dd_ray.config.names import Precision
from dd_ray.metrics import Code, HeldOut
from dd_ray.sweep.plateau import Plateau


@dataclass(frozen=True, kw_only=True)
class Work:
    """The task of a worker: which trial to train, how far, and on what."""

    sweep: str
    """Folder or URL of the sweep."""
    key: str
    evaluate_at: Sequence[int]
    device: str
    threads: int
    precision: Precision
    """Precision on a GPU, see `dd_ray.training.set_precision`."""
    hparams: Sequence[str]
    """Config fields that TensorBoard shows as hyperparameters."""
    reported: Sequence[str] = ()
    """The metrics that any trial of the sweep reports, whose names TensorBoard shows beside them."""
    extensions: Sequence[Extension] = ()
    """The user's files that declare what it is made of."""
    time_budget: float | None = None
    """Seconds after which it is ended."""
    plateau: Plateau | None = None
    """The rule that ends it where it does not improve."""
    final_metrics: Sequence[str] = ()
    """Scores of `dd_ray.metrics.FURTHER` that are added to the last evaluation."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A network at an evaluation."""

    iteration: int
    held_out: HeldOut
    state: bytes
    """The state, as `dump_state` writes it."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of a trainer since it was last asked."""

    iteration: int
    """Iteration of the network, or of the snapshot if there is one."""
    steps: int
    training_seconds: float
    evaluating_seconds: float
    diverged: bool = False
    snapshot: Snapshot | None = None
    """The network at the next evaluation, if that was reached."""


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A pack's answer to a trial that has joined it."""

    member: str
    """Its name in the pack. If another process takes up the same trial, it gets another name."""
    notes: list[str]
    began_at: int
    frames_per_step: int


@dataclass(frozen=True, kw_only=True)
class CodeParts:
    """A `Code` without its function that encodes further pictures."""

    latents: NDArray[Any]
    factors: NDArray[Any]
    factor_names: Sequence[str]
    can_be_asked: bool = True
    """True if pictures of other factors can be encoded."""


class Trainer(Protocol):
    """Trains the network of a trial from its latest state, and stops for each evaluation."""

    notes: list[str]
    """Messages for the user about the state that it began with."""
    began_at: int
    """Iteration of the state that it began with."""
    frames_per_step: int
    """B·T, the number of frames of a batch."""

    def train(self, seconds: float) -> Progress:
        """Train until the next evaluation, or for some seconds."""
        ...

    def state(self, recorded: int) -> tuple[int, bytes] | None:
        """Return iteration and state to resume from; None if there is no usable state.

        Args:
            recorded: iteration of the last recorded evaluation. The state is not beyond the evaluation that follows it.
        """
        ...

    def code(self) -> Code | None:
        """Return the network's code, which scores can ask to encode further pictures; None if it is not finite."""
        ...

    def untrained_scores(self, names: Sequence[str]) -> dict[str, float]:
        """Return scores of the network as it was before its training, by column."""
        ...

    def show(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Write an evaluation for TensorBoard, with its pictures if it is one of a few."""
        ...

    def close(self, final: Mapping[str, float | None] | None) -> None:
        """Give up the network. The final metrics, if any, are shown in TensorBoard beside the hyperparameters."""
        ...
