"""Who trains the network of a trial, as the trial sees it: this process, or a pack that it shares with other trials.

Without PyTorch, which a trial in a pack does not load.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from dd_ray.config.extensions import Extension
from dd_ray.metrics import Code, HeldOut

Precision = Literal["float32", "tf32"]
"""Of matrix products and convolutions on a GPU."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a worker is to do: one trial, how far, and on what."""

    sweep: str
    """Folder or URL."""
    key: str
    evaluate_at: Sequence[int]
    device: str
    threads: int
    precision: Precision
    """As `dd_ray.training.set_precision` takes it."""
    hparams: Sequence[str]
    """Config fields that TensorBoard lists runs by."""
    extensions: Sequence[Extension] = ()
    """The user's files that declare what it is made of."""
    time_budget: float | None = None
    """Seconds after which it is ended."""
    final_metrics: Sequence[str] = ()
    """Scores of `dd_ray.metrics.FURTHER` that the last evaluation has beside its own."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A network at an evaluation."""

    iteration: int
    held_out: HeldOut
    state: bytes
    """As `dump_state` writes it."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a trainer did since it was last asked."""

    iteration: int
    """Where the network is, or was at the snapshot."""
    steps: int
    training_seconds: float
    evaluating_seconds: float
    diverged: bool = False
    snapshot: Snapshot | None = None
    """Of the next iteration at which there is to be an evaluation, where it was reached."""


@dataclass(frozen=True, kw_only=True)
class Joined:
    """What a trial that has joined knows of its network."""

    member: str
    """What it is called in the pack; another process that takes up the same trial is called otherwise."""
    notes: list[str]
    began_at: int
    frames_per_step: int


@dataclass(frozen=True, kw_only=True)
class CodeParts:
    """A `Code` but for what it asks of the network."""

    latents: NDArray[Any]
    factors: NDArray[Any]
    factor_names: Sequence[str]
    can_be_asked: bool = True
    """Whether there are pictures of other factors."""


class Trainer(Protocol):
    """Trains the network of a trial from its latest state, and stops for each evaluation."""

    notes: list[str]
    """What whoever watches should know of where it began."""
    began_at: int
    """Iteration of the state that it began with."""
    frames_per_step: int
    """B·T."""

    def train(self, seconds: float) -> Progress:
        """Go on until the next evaluation, or for some seconds."""
        ...

    def state(self, recorded: int) -> tuple[int, bytes] | None:
        """Iteration and state to go on from; None where it is of no use.

        Args:
            recorded: iteration of the last evaluation that is. The state is not beyond the one that follows it.
        """
        ...

    def code(self) -> Code | None:
        """The network as it is, for scores of pictures that it is yet to be shown; None where it is not finite."""
        ...

    def untrained_scores(self, names: Sequence[str]) -> dict[str, float]:
        """The same scores of the network as it was before its training, by column."""
        ...

    def show(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Show an evaluation in TensorBoard, with the pictures of its snapshot where it is one of a few."""
        ...

    def close(self, final: Mapping[str, float | None] | None) -> None:
        """Let go of the network. TensorBoard lists the final metrics, if any, beside the hyperparameters."""
        ...
