"""A trial in training: a model, its optimiser, and the step from one iteration to the next.

Shapes: P weights of a model, all in one vector; B videos, T frames, L latents.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils import vector_to_parameters

from dd_ray.config import OPTIMIZERS, TrialConfig
from dd_ray.config.extensions import naming, own_code_of
from dd_ray.data import Batch, Generators, Stream
from dd_ray.errors import UserError
from dd_ray.models import Model, Reconstruction, build_model
from dd_ray.objectives import Terms, Weights, objective
from dd_ray.training.convolutions import with_convolutions
from dd_ray.training.cpu_convolutions import CPU
from dd_ray.training.optimizers import nothing_kept, update_
from dd_ray.training.rates import Rates


@dataclass(frozen=True, kw_only=True)
class TrialState:
    """The complete state of a trial. It has no random numbers, which depend on seed and iteration alone."""

    config: TrialConfig
    iteration: int
    weights: dict[str, Tensor]
    """The model's parameters by name."""
    square_avg: dict[str, Tensor] = field(default_factory=dict)
    """The running mean of squared gradients of rmsprop, adam and adamw, by parameter name."""
    gradient_avg: dict[str, Tensor] = field(default_factory=dict)
    """The running mean of gradients of adam and adamw, or the direction of sgd, by parameter name."""
    recorded: int | None = None
    """Iteration of the last evaluation that was recorded when the state was saved; None if unknown."""

    @property
    def kept(self) -> dict[str, dict[str, Tensor]]:
        """The vectors that its optimiser keeps of earlier gradients, by the names in `OptimizerSpec.keeps`."""
        return {name: getattr(self, name) for name in OPTIMIZERS[self.config.optimizer].keeps}


class Trial:
    """A trial that can be stepped, saved and restored.

    Attributes:
        config: config of the trial.
        model: its network, whose parameters are views of `weights`.
        weights: [P].
        kept: the vectors [P] that its optimiser keeps from step to step, by the names in `OptimizerSpec.keeps`.
        iteration: how many batches it has learned from.
        terms: the objective on the last of them; None before the first and after a restore.
    """

    def __init__(self, config: TrialConfig, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.device = torch.device(device)
        self.model = with_convolutions(build_model(config), CPU if self.device.type == "cpu" else {}).to(self.device)
        initial = torch.cat([parameter.detach().flatten() for parameter in self.model.parameters()])
        self.iteration = 0
        self.terms: Terms | None = None
        self._parameters = list(self.model.parameters())
        self._generators = Generators()
        self.live_in(initial, nothing_kept(config, initial))

    @property
    def square_avg(self) -> Tensor:
        """The running mean of squared gradients [P], of an optimiser that keeps it."""
        return self.kept["square_avg"]

    def live_in(self, weights: Tensor, kept: Mapping[str, Tensor]) -> None:
        """Keep weights and optimiser state in these vectors [P], which hold them already."""
        self.weights, self.kept = weights, kept
        vector_to_parameters(weights, self._parameters)

    def step(self, batch: Batch) -> None:
        """Learn from the batch of this trial's iteration."""
        outputs = self.model(batch, self._noise(batch))
        terms = objective(self.config, outputs, Weights.at(self.config, self.iteration))
        # Parameters that are not used, such as the log-variance of a plain autoencoder's encoder, have gradient 0.
        gradients = torch.autograd.grad(terms.loss, self._parameters, allow_unused=True, materialize_grads=True)
        gradient = torch.cat([g.flatten() for g in gradients])
        update_(self.config, self.weights, self.kept, gradient, Rates.at(self.config, self.iteration))
        self.terms = terms.map(Tensor.detach)
        self.go_to(self.iteration + 1)

    @property
    def own_code(self) -> str:
        """What of its config is a user's own code, in words; empty if nothing is."""
        return own_code_of(self.config, "model", "network", "objective")

    @torch.no_grad()
    def check_own_code(self, batch: Batch) -> None:
        """Make sure that nothing but weights, batch and noise decides a step, since a state has nothing else.

        Raises:
            UserError: the code of a user's own makes or changes a buffer, draws random numbers, gives something else
                each time, or returns tensors of other shapes than those of `Reconstruction`, which the objective might
                stretch to fit; or it raises an error.
        """
        buffers = {name: buffer.clone() for name, buffer in self.model.named_buffers()}
        drawn = self._random_states()
        with naming(self.own_code):
            first, second = (self._checked_outputs(batch) for _ in range(2))
        for name, buffer in self.model.named_buffers():
            if name not in buffers:
                raise UserError(
                    f"{self.own_code} makes the buffer {name} as it is trained, and an interrupted trial would make it "
                    "of other images; let it be made in __init__."
                )
            if not _are_same(buffers[name], buffer):
                raise UserError(
                    f"{self.own_code} changes the buffer {name} as it is trained, and a trial's states keep its "
                    "parameters alone; let it keep nothing, as GroupNorm and BatchNorm2d(..., "
                    "track_running_stats=False) do, or learn it."
                )
        if any(not before.equal(after) for before, after in zip(drawn, self._random_states(), strict=True)):
            raise UserError(
                f"{self.own_code} draws random numbers, as dropout and randn_like do, and an interrupted trial would "
                "go on with others; let it take them from the noise that forward is given, of the model's noise_shape."
            )
        # But for the order in which a GPU adds up.
        if not all(_are_same(one, other, rtol=1e-4, atol=1e-5) for one, other in zip(first, second, strict=False)):
            raise UserError(
                f"{self.own_code} gives something else each time for the same weights, images and noise, and an "
                "interrupted trial would go on with others; let it keep nothing, and draw no random numbers."
            )

    def _checked_outputs(self, batch: Batch) -> list[Tensor]:
        """Return the outputs for a batch, and the loss of them."""
        outputs = self.model(batch, self._noise(batch))
        if isinstance(outputs, Reconstruction):
            self._check_shapes(outputs, batch)
        terms = objective(self.config, outputs, Weights.at(self.config, self.iteration))
        return [*(value for value in vars(outputs).values() if isinstance(value, Tensor)), terms.loss]

    def _check_shapes(self, outputs: Reconstruction, batch: Batch) -> None:
        num_frames = len(range(*outputs.frames.indices(batch.images.shape[1])))
        of_latents = (len(batch.images), num_frames, outputs.mu.shape[-1])
        expected = {
            **dict.fromkeys(("mu", "logvar", "latents", "mu_predicted"), of_latents),
            "target": (len(batch.images), outputs.target.shape[1], *self.config.image_shape),
            "reconstruction": tuple(outputs.target.shape),
        }
        for name, shape in expected.items():
            if (found := tuple(getattr(outputs, name).shape)) != shape:
                raise UserError(f"{self.own_code} gives {name} of shape {found}; give {shape}.")

    def _random_states(self) -> list[Tensor]:
        of_gpu = [torch.cuda.get_rng_state(self.device)] if self.device.type == "cuda" else []
        return [torch.get_rng_state(), *of_gpu]

    def go_to(self, iteration: int) -> None:
        """Move to an iteration, and set the values that the model's schedules have there."""
        self.iteration = iteration
        for name, value in self.model.scheduled_at(iteration).items():
            self.model.get_buffer(name).fill_(value)

    @property
    def diverged(self) -> bool:
        """True if the last loss was NaN or infinite, from which no network recovers."""
        return self.terms is not None and not bool(torch.isfinite(self.terms.loss))

    def state(self) -> TrialState:
        """Return a copy of the trial's complete state."""
        kept = {name: self._by_name(tensor.cpu().clone()) for name, tensor in self.kept.items()}
        return TrialState(
            config=self.config,
            iteration=self.iteration,
            weights=self._by_name(self.weights.detach().cpu().clone()),
            square_avg=kept.get("square_avg", {}),
            gradient_avg=kept.get("gradient_avg", {}),
        )

    def restore(self, state: TrialState) -> None:
        """Continue from a state.

        Raises:
            UserError: it is the state of another trial, or does not hold the weights of this trial's model.
        """
        if state.config.key != self.config.key:
            raise UserError(f"the state is of trial {state.config.key}, not of {self.config.key}.")
        shapes = {name: p.shape for name, p in self.model.named_parameters()}
        for kept in (state.weights, *state.kept.values()):
            if {name: tensor.shape for name, tensor in kept.items()} != shapes:
                raise UserError(f"the state of trial {state.config.key} does not hold the weights of its model.")
        self.weights.copy_(self._vector(state.weights))
        for name, tensors in state.kept.items():
            self.kept[name].copy_(self._vector(tensors))
        self.go_to(state.iteration)
        self.terms = None

    def _noise(self, batch: Batch) -> Tensor | None:
        normal = noise(self.config, self.model, batch.images.shape, self.iteration, self._generators)
        return None if normal is None else torch.from_numpy(normal).to(self.device)

    def _by_name(self, vector: Tensor) -> dict[str, Tensor]:
        named = dict(self.model.named_parameters())
        parts = vector.split([p.numel() for p in named.values()])
        return {name: part.view(p.shape) for (name, p), part in zip(named.items(), parts, strict=True)}

    def _vector(self, by_name: Mapping[str, Tensor]) -> Tensor:
        names = [name for name, _ in self.model.named_parameters()]
        return torch.cat([by_name[name].flatten() for name in names])


def _are_same(before: Tensor, after: Tensor, rtol: float = 0.0, atol: float = 0.0) -> bool:
    """Return whether a tensor is as it was; its NaN, which says that there is no value, stays NaN."""
    if (before.shape, before.dtype) != (after.shape, after.dtype):
        return False
    return torch.allclose(before, after, rtol=rtol, atol=atol, equal_nan=True)


def noise(
    config: TrialConfig,
    model: Model,
    images: Sequence[int],
    iteration: int,
    generators: Generators,
) -> NDArray[np.float32] | None:
    """Draw the standard normal noise of a trial at an iteration, for images [B, T, ...]; None if it takes none.

    Trials with the same seed have the same noise.
    """
    shape = model.noise_shape(*images[:2])
    if shape is None or not config.stochastic:
        return None
    return generators.at(config.seed, Stream.NOISE, iteration).standard_normal(shape, dtype=np.float32)
