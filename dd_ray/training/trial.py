"""One trial in training: a model, its optimiser, and the step from one iteration to the next."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.data import Batch, Stream, generator
from dd_ray.errors import UserError
from dd_ray.models import build_model
from dd_ray.objectives import Terms, objective


@dataclass(frozen=True, kw_only=True)
class TrialState:
    """All that a trial is at one moment. Random numbers follow from the seed and the iteration."""

    config: TrialConfig
    iteration: int
    weights: dict[str, Tensor]
    """The model's parameters by name."""
    square_avg: dict[str, Tensor]
    """RMSprop's running mean of squared gradients, by parameter name; empty before the first step."""


class Trial:
    """A trial that can be stepped, saved and restored.

    Attributes:
        config: what it is.
        model: its network.
        iteration: how many batches it has learned from.
        terms: the objective on the last of them; None before the first and after a restore.
    """

    def __init__(self, config: TrialConfig, device: torch.device | str = "cpu") -> None:
        self.config = config
        self.device = torch.device(device)
        self.model = build_model(config).to(self.device)
        self.optimizer = torch.optim.RMSprop(self.model.parameters(), lr=config.learning_rate, foreach=True)
        self.iteration = 0
        self.terms: Terms | None = None

    def step(self, batch: Batch) -> None:
        """Learn from the batch of this trial's iteration."""
        self.optimizer.zero_grad(set_to_none=True)
        self.terms = objective(self.config, self.model(batch, self._noise(batch)))
        self.terms.loss.backward()
        self.optimizer.step()
        self.iteration += 1

    @property
    def diverged(self) -> bool:
        """Whether the last loss was NaN or infinite, from which no network recovers."""
        return self.terms is not None and not bool(torch.isfinite(self.terms.loss))

    def state(self) -> TrialState:
        """A copy of all that the trial is."""
        by_parameter = self.optimizer.state
        named = dict(self.model.named_parameters())
        return TrialState(
            config=self.config,
            iteration=self.iteration,
            weights={name: p.detach().cpu().clone() for name, p in named.items()},
            square_avg={
                name: by_parameter[p]["square_avg"].cpu().clone() for name, p in named.items() if p in by_parameter
            },
        )

    def restore(self, state: TrialState) -> None:
        """Become what `state` says.

        Raises:
            UserError: it is the state of another trial, or does not hold the weights of this one's model.
        """
        if state.config.key != self.config.key:
            raise UserError(f"the state is of trial {state.config.key}, not of {self.config.key}.")
        shapes = {name: p.shape for name, p in self.model.named_parameters()}
        if {name: weights.shape for name, weights in state.weights.items()} != shapes:
            raise UserError(f"the state of trial {state.config.key} does not hold the weights of its model.")
        self.model.load_state_dict(state.weights, strict=False)
        self.optimizer.load_state_dict(self._optimizer_state(state))
        self.iteration = state.iteration
        self.terms = None

    def _noise(self, batch: Batch) -> Tensor | None:
        shape = self.model.noise_shape(*batch.images.shape[:2])
        if shape is None or not self.config.stochastic:
            return None
        normal = generator(self.config.seed, Stream.NOISE, self.iteration).standard_normal(shape, dtype="float32")
        return torch.from_numpy(normal).to(self.device)

    def _optimizer_state(self, state: TrialState) -> dict[str, Any]:
        step = torch.tensor(float(state.iteration))
        return {
            "state": {
                index: {"step": step.clone(), "square_avg": state.square_avg[name].clone()}
                for index, name in enumerate(dict(self.model.named_parameters()))
                if name in state.square_avg
            },
            "param_groups": self.optimizer.state_dict()["param_groups"],
        }
