"""A trial outside of any sweep: it has no folder, and its caller keeps its state."""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor

from dd_ray.config import TrialConfig, fields_with
from dd_ray.errors import UserError
from dd_ray.evaluation import evaluate
from dd_ray.metrics import reported_by
from dd_ray.training import Precision, Stack, Trial, TrialState, dump_state, keep_freed_memory, set_precision
from dd_ray.trial.devices import device_named
from dd_ray.trial.held_out_sets import held_out_sets
from dd_ray.trial.report import TrialReport


class StandaloneTrial:
    """The network of a config, which is trained and scored some iterations at a time.

    Args:
        config: config of the trial.
        device: cpu or cuda.
        precision: precision of matrix products and convolutions on a GPU.
    """

    def __init__(self, config: TrialConfig, device: str = "cpu", precision: Precision = "float32") -> None:
        keep_freed_memory()
        of_trial = device_named(device)
        set_precision(precision, of_trial)
        self.config = config
        self._stack = Stack([config], device=of_trial)

    @property
    def trial(self) -> Trial:
        """The network in training."""
        return self._stack[self.config.key]

    def advance(self, iterations: int) -> TrialReport:
        """Train for so many iterations, then score the network on held-out data.

        Returns:
            Every metric that trials of this config report. Those without a value are NaN, as all are after divergence,
            since a scheduler that ranks by a metric expects it in each report.
        """
        self._stack.step(iterations)
        scores = {} if self.trial.diverged else self._scores()
        diverged = not math.isfinite(scores.get("loss", math.nan))
        missing = dict.fromkeys(reported_by(self.config), math.nan)
        # Some scores are finite where the loss is not, and would rank it among those that have not diverged.
        metrics = missing if diverged else missing | scores
        return TrialReport(iteration=self.trial.iteration, metrics=metrics, state="diverged" if diverged else None)

    def state(self) -> bytes:
        """Return the state, as `load_state` reads it."""
        return dump_state(self.trial.state())

    def take_over(self, state: TrialState) -> None:
        """Continue from a state of this trial or of another: with its weights, optimiser state and iteration.

        All else stays as this trial's config says.

        Raises:
            UserError: it holds the weights of another network. This trial is then unchanged.
        """
        self._check_fits(state)
        self._stack.remove(self.config.key)
        self._stack.add(self.config, replace(state, config=self.config))

    def _scores(self) -> dict[str, float]:
        held_out, seen = held_out_sets(self.config, self._stack.dataset)
        return evaluate(self.trial.model, self.config, held_out, self.trial.iteration, seen).metrics

    def _check_fits(self, state: TrialState) -> None:
        ours = _shapes(dict(self.trial.model.named_parameters()))
        theirs = [_shapes(tensors) for tensors in (state.weights, *state.kept.values())]
        if state.kept.keys() == self.trial.kept.keys() and all(shapes == ours for shapes in theirs):
            return
        raise UserError(
            f"the state of trial {state.config.key} does not fit the network of {self.config.key}"
            f"{_what_differs(state.config, self.config)}; let trials take over states only where they differ in "
            "fields that leave the weights' shapes alone, such as beta, gamma and learning_rate."
        )


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in tensors.items()}


def _what_differs(theirs: TrialConfig, ours: TrialConfig) -> str:
    """List the fields in which two configs differ, except for those that do not affect the network."""
    there, here, free = theirs.to_dict(), ours.to_dict(), fields_with(free=True)
    names = [name for name in here if name not in free and there.get(name) != here[name]]
    told = (f"{name} = {there.get(name)!r} there and {here[name]!r} here" for name in names)
    return f" ({', '.join(told)})" if names else ""
