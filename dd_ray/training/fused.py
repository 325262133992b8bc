"""Computes trials as one: each layer of K networks is one operation, and on a GPU a whole step is one graph.

The models are written for one trial; `torch.func.vmap` turns their computation into that of K trials, whose weights and
buffers are stacked. This is horizontally fused training as in HFTA (Wang et al. 2021, MLSys), without operators of its
own.

Shapes: K slots for trials, P weights of a model, B videos, T frames, L latents, C×H×W pixels.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from functools import partial
from types import MethodType
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from dd_ray.config import TrialConfig
from dd_ray.data import Batch
from dd_ray.errors import UserError
from dd_ray.models import build_model
from dd_ray.models.networks.layers import images_kept_as
from dd_ray.objectives import Terms, Weights, objective
from dd_ray.training.convolutions import with_convolutions
from dd_ray.training.feed import Feed
from dd_ray.training.graphs import Pool, captured, side_by_side
from dd_ray.training.optimizers import nothing_kept, update_
from dd_ray.training.precision import cut_to_tf32, multiplies_tf32
from dd_ray.training.trial import Trial
from dd_ray.training.triton_convolutions import is_available
from dd_ray.training.triton_layers import TRITON

Method = Literal["grouped", "streams", "triton"]
"""Ways to compute the convolutions of K trials: as one convolution with K groups; trial by trial, on a GPU on parallel
streams; or by our own kernels in Triton. Batched matrix products of unfolded images were tried and taken out: by count
they move 190 GB in a step of 36 trials, eight times as much as our kernels."""
METHODS: tuple[Method, ...] = get_args(Method)
LAYERS: Mapping[Method, Mapping[type[nn.Module], type[nn.Module]]] = {"triton": TRITON}
"""The layers that a method uses in place of PyTorch's."""
ROUNDING = 0.02
"""By how much gradients may differ from the rounding of TF32; wrong gradients differ by more."""
ROUNDED_MORE = 3
"""How many times the error of PyTorch's own gradients by rounded numbers may be added to that. At its first steps a
network's are off by 0.1%; after some hundreds, when what its images ask for nearly cancels, by up to 9% with bfloat16
and as much where TF32's numbers are cut instead of rounded; ours in another direction, and up to twice as far."""
COMPARED = 4
"""About how many trials' gradients are compared."""
STEPS_TO_SETTLE = 20
"""Steps that a block takes kernel by kernel before steps are captured: trials join one by one as their processes start,
and each time a captured step would have to be captured anew."""


def methods_of(device: torch.device) -> tuple[Method, ...]:
    """Return the methods that can be tried on a device."""
    return tuple(method for method in METHODS if method != "triton" or is_available(device))


class _ConfigOfAll:
    """The config of all trials of a block, as their objective or model sees it: what they have in common.

    A user's own objective could ask it for β, which trials differ in; it gets each one's from `Weights`. A user's own
    model that keeps the config could ask it for γ.

    Args:
        reader: the field that names what reads it: objective or model.
        remedy: the end of the message that refuses trials that differ in what is read.
        config: config of one of the trials.
        trials: returns the trials in the block.
    """

    def __init__(self, reader: str, remedy: str, config: TrialConfig, trials: Callable[[], Iterable[Trial]]) -> None:
        self._reader, self._remedy = f"{reader} = {getattr(config, reader)}", remedy
        self._config, self._trials = config, trials
        self._told: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._config, name)
        if getattr(value, "__self__", None) is self._config:
            return MethodType(value.__func__, self)  # what a method reads counts, too
        if name not in self._told and not callable(value):
            self._told[name] = value
            for trial in self._trials():
                self.check(trial.config)
        return value

    def check(self, config: TrialConfig) -> None:
        """Make sure that a trial's config has the values that were told, since a captured step goes on with them.

        Raises:
            UserError: one differs.
        """
        for name, value in self._told.items():
            if (its := getattr(config, name)) != value:
                raise UserError(
                    f"{self._reader} reads config.{name}, which is {value} and {its} in trials that are computed as "
                    f"one; {self._remedy}."
                )


class Block:
    """Slots for trials that are stepped as one.

    A trial in a slot has its weights in the block, so that nothing is copied between a step and an evaluation. Slots
    that are free, or whose trial does not take part in a step, are computed as well, but not changed.
    """

    def __init__(self, config: TrialConfig, capacity: int, device: torch.device, pool: Pool) -> None:
        self.config = config
        from_weights = "let it take what trials differ in from its weights"
        self._config_of_all = _ConfigOfAll("objective", from_weights, config, lambda: self.trials)
        in_buffer = "let it keep what trials differ in in a buffer (register_buffer)"
        self._config_of_model = _ConfigOfAll("model", in_buffer, config, lambda: self.trials)
        self.slots: list[Trial | None] = [None] * capacity
        self.device = device
        model = build_model(config)
        self._names_and_shapes = {name: p.shape for name, p in model.named_parameters()}
        self._numbers = _numbers_of(model)
        size = sum(p.numel() for p in model.parameters())
        self.weights = torch.zeros(capacity, size, device=device)
        self.kept = nothing_kept(config, self.weights)
        self.buffers = {
            name: torch.zeros(capacity, *buffer.shape, dtype=buffer.dtype, device=device)
            for name, buffer in model.named_buffers()
        }
        # Only the structure of the models is used, so they need no memory for weights.
        model.to("meta")
        self._models = {method: with_convolutions(deepcopy(model), LAYERS.get(method, {})) for method in METHODS}
        for each in self._models.values():
            _replace_config(each, self._config_of_model)
        self._feed = Feed(capacity, model, config, device)
        self._loss = torch.zeros(capacity, device=device)
        self._parts: dict[str, Tensor] = {}
        self._steps: dict[tuple[Method, bool], Callable[[], object]] = {}
        self.num_steps = 0
        """Number of steps that it has taken."""
        self._pool = pool
        self._slot: dict[str, int] = {}
        self._shown: set[int] = set()

    @property
    def trials(self) -> list[Trial]:
        """The trials in its slots."""
        return [trial for trial in self.slots if trial is not None]

    @property
    def settled(self) -> bool:
        """True if no trial has joined or left for a while."""
        return self.num_steps >= STEPS_TO_SETTLE

    def add(self, trial: Trial) -> None:
        """Give a trial the first free slot.

        Raises:
            UserError: its model or objective has a value that is not the others', and would be computed with theirs.
        """
        self._config_of_all.check(trial.config)
        self._config_of_model.check(trial.config)
        self._check_numbers(trial)
        slot = self._slot[trial.config.key] = self.slots.index(None)
        self.slots[slot] = trial
        self.weights[slot].copy_(trial.weights)
        for name, tensor in trial.kept.items():
            self.kept[name][slot].copy_(tensor)
        trial.live_in(self.weights[slot], {name: tensor[slot] for name, tensor in self.kept.items()})
        for name, buffer in trial.model.named_buffers():
            self.buffers[name][slot].copy_(buffer)
            _set_buffer(trial.model, name, self.buffers[name][slot])

    def _check_numbers(self, trial: Trial) -> None:
        """Make sure that what a user's own model keeps outside of weights and buffers is the same in all trials."""
        for name, its in _numbers_of(trial.model).items():
            if (ours := self._numbers.get(name, its)) != its:
                raise UserError(
                    f"model = {trial.config.model} keeps {name}, which is {ours} and {its} in trials that are computed "
                    "as one; let it keep it in a buffer (register_buffer)."
                )

    def remove(self, trial: Trial) -> None:
        """Free the slot of a trial, which keeps a copy of its weights."""
        slot = self._slot.pop(trial.config.key)
        self.slots[slot] = None
        self._shown.discard(slot)
        trial.live_in(trial.weights.clone(), {name: tensor.clone() for name, tensor in trial.kept.items()})
        for name, buffer in list(trial.model.named_buffers()):
            _set_buffer(trial.model, name, buffer.clone())
        if trial.terms is not None:
            trial.terms = trial.terms.map(Tensor.clone)
        # A free slot is computed all the same; without the NaN of a trial that diverged.
        for stacked in (self.weights, *self.kept.values(), *self.buffers.values()):
            stacked[slot].zero_()

    def step(self, trials: Iterable[Trial], batches: Mapping[int, Batch], method: Method) -> None:
        """Train some of its trials for one iteration, each on the batch of its iteration."""
        active = self._by_slot(trials)
        shared = self._feed.fill(active, batches)
        if self.settled:
            self._step(method, shared)()
        else:
            self._take(method, shared)
        self.num_steps += 1
        for slot, trial in active.items():
            trial.go_to(trial.iteration + 1)
            if slot not in self._shown:  # these are views, which later steps write to
                parts = {name: part[slot] for name, part in self._parts.items()}
                trial.terms = Terms(loss=self._loss[slot], parts=parts)
                self._shown.add(slot)

    def rehearsal(
        self, trials: Iterable[Trial], batches: Mapping[int, Batch], method: Method
    ) -> Callable[[], Callable[[], object]]:
        """Return a function that prepares a step which changes no trial, to measure how long a step takes."""

        def prepare() -> Callable[[], object]:
            shared = self._feed.fill(self._by_slot(trials), batches)
            self._feed.rest()
            return self._step(method, shared)

        return prepare

    def agrees(self, trials: Iterable[Trial], batches: Mapping[int, Batch], method: Method) -> bool:
        """Return whether a method's gradients equal PyTorch's for each trial alone, up to rounding as of TF32.

        Where numbers are multiplied with fewer bits, they may also differ by what that changes in PyTorch's.
        """
        active = self._by_slot(trials)
        shared = self._feed.fill(active, batches)
        every = max(1, len(active) // COMPARED)
        compared = list(active)[::every]
        ours = self._gradients(method, shared)[0][compared]
        with images_kept_as(torch.float32):
            exact = rounded = self._gradients_alone(self.weights, compared, shared)
        if multiplies_tf32():
            rounded = self._gradients_alone(cut_to_tf32(self.weights), compared, shared)
        allowed = ROUNDING * exact.norm(dim=1) + ROUNDED_MORE * (rounded - exact).norm(dim=1)
        alike = (ours - exact).norm(dim=1) <= allowed
        return bool((alike | ~(exact + rounded).isfinite().all(dim=1)).all())

    def isolates(self, trials: Iterable[Trial], batches: Mapping[int, Batch], method: Method) -> bool:
        """Return whether the gradients of finite trials stay finite beside one that is NaN. The weights are restored.

        Kernels for few channels treat several groups as one, with zeros in between, and zero times NaN is NaN.
        """
        active = self._by_slot(trials)
        shared = self._feed.fill(active, batches)
        broken = list(active)[len(active) // 2]
        others = [slot for slot in active if slot != broken]
        finite = self._finite(method, shared)
        kept = self.weights[broken].clone()
        self.weights[broken].fill_(float("nan"))
        try:
            still_finite = self._finite(method, shared)
        finally:
            self.weights[broken].copy_(kept)
        return bool((still_finite | ~finite)[others].all())

    def _finite(self, method: Method, shared: bool) -> Tensor:
        """Return whether gradients and loss of each slot are finite, bool [K]."""
        gradient, loss, _ = self._gradients(method, shared)
        return gradient.isfinite().all(dim=1) & loss.isfinite()

    def close(self) -> None:
        """Free the memory of captured steps; they are captured again when they are needed."""
        self._steps.clear()

    def _by_slot(self, trials: Iterable[Trial]) -> dict[int, Trial]:
        return {self._slot[trial.config.key]: trial for trial in trials}

    def _step(self, method: Method, shared: bool) -> Callable[[], object]:
        """Return the step that uses the present inputs, captured as a graph if the device has graphs."""
        if (method, shared) not in self._steps:
            prepare, take = (lambda: self._gradients(method, shared)), (lambda: self._take(method, shared))
            _, loss, parts = prepare()
            self._keep_terms(loss, parts, torch.zeros_like(self._feed.active))
            of_gpu = self.device.type == "cuda"
            self._steps[method, shared] = captured(prepare, take, self._pool) if of_gpu else take
        return self._steps[method, shared]

    def _take(self, method: Method, shared: bool) -> None:
        feed = self._feed
        gradient, loss, parts = self._gradients(method, shared)
        self._keep_terms(loss, parts, feed.active)
        # Last, since a step that memory runs out in is taken again.
        update_(self.config, self.weights, self.kept, gradient, feed.rates, active=feed.active[:, None])

    def _keep_terms(self, loss: Tensor, parts: dict[str, Tensor], active: Tensor) -> None:
        if not self._parts:
            self._parts = {name: torch.zeros_like(self._loss) for name in parts}
        for kept, new in [(self._loss, loss), *((self._parts[name], part) for name, part in parts.items())]:
            kept.copy_(new.detach().where(active, kept))

    def _gradients(self, method: Method, shared: bool) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Compute gradients [K, P], losses [K] and their parts of all slots; `shared`: all see the same batch."""
        loss, weights, of_batch = self._loss_by(method), self.weights.detach().requires_grad_(), None if shared else 0
        batch = self._feed.batch(shared)
        arguments = (weights, self._own(), *batch)
        if method == "streams":
            losses, parts = self._one_by_one(loss, arguments, shared)
        else:
            losses, parts = vmap(loss, in_dims=(0, 0, *[of_batch] * len(batch)))(*arguments)
        # The gradient of the sum, since each loss depends on its own weights alone. `torch.func.grad` would also keep
        # what a second derivative needs, which is as much again.
        (gradient,) = torch.autograd.grad(losses.sum(), weights)
        return gradient, losses.detach(), {name: part.detach() for name, part in parts.items()}

    def _gradients_alone(self, weights: Tensor, slots: Sequence[int], shared: bool) -> Tensor:
        """Compute the gradients [n, P] of n slots, each alone, at weights [K, P]."""
        return torch.stack([self._gradient_alone(weights[slot], slot, shared) for slot in slots])

    def _gradient_alone(self, weights: Tensor, slot: int, shared: bool) -> Tensor:
        """Compute the gradient [P] of a slot by PyTorch's convolutions of one trial: no groups, and little memory."""
        weights, batch = weights.detach().requires_grad_(), self._feed.batch(shared)
        of_slot = batch if shared else [part[slot] for part in batch]
        value, _ = self._loss_by("streams")(weights, _row(self._own(), slot), *of_slot)
        (gradient,) = torch.autograd.grad(value, weights)
        return gradient

    def _loss_by(self, method: Method) -> Callable[..., tuple[Tensor, dict[str, Tensor]]]:
        """Return a function that computes a trial's loss and its parts from its weights, other inputs and batch."""
        model, feed, config = self._models[method], self._feed, cast("TrialConfig", self._config_of_all)

        def loss(weights: Tensor, own: Mapping[str, Any], *tensors: Tensor) -> Any:
            values = self._by_name(weights) | own["buffers"]
            outputs = functional_call(model, values, (Batch.of(tensors, feed.factor_names), own.get("noise")))
            terms = objective(config, outputs, Weights(**own["scalars"]))
            return terms.loss, terms.parts

        return loss

    def _own(self) -> dict[str, Any]:
        """Return the inputs that each slot has of its own, [K, ...]."""
        noise = {} if self._feed.noise is None else {"noise": self._feed.noise}
        return {"buffers": self.buffers, "scalars": self._feed.scalars, **noise}

    def _one_by_one(
        self, loss: Callable[..., Any], arguments: Sequence[Any], shared: bool
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute what `vmap` would, by a call for each slot. The backward pass of each runs on the same stream."""
        weights, own, *batch = arguments
        calls = [
            partial(loss, of_slot, _row(own, slot), *(batch if shared else _row(batch, slot)))
            for slot, of_slot in enumerate(weights.unbind())
        ]
        losses, parts = zip(*side_by_side(calls, self.device), strict=True)
        names = parts[0].keys()
        return torch.stack(losses), {name: torch.stack([part[name] for part in parts]) for name in names}

    def _by_name(self, weights: Tensor) -> dict[str, Tensor]:
        shapes = self._names_and_shapes
        parts = weights.split([shape.numel() for shape in shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}


def _numbers_of(model: nn.Module) -> dict[str, float]:
    """Return the numbers that a model and its parts keep as attributes of Python, by name."""
    found = ((path, name, value) for path, part in model.named_modules() for name, value in vars(part).items())
    return {f"{path}.{name}".lstrip("."): value for path, name, value in found if type(value) in (int, float)}


def _replace_config(model: nn.Module, config: _ConfigOfAll) -> None:
    """Give a model and its parts another config in place of the one that they keep, if they do."""
    for part in model.modules():
        for name in [name for name, value in vars(part).items() if isinstance(value, TrialConfig)]:
            setattr(part, name, config)


def _row(stacked: Any, slot: int) -> Any:
    """Return the entries of one trial from tensors [K, ...] in lists and dictionaries."""
    if isinstance(stacked, dict):
        return {name: _row(value, slot) for name, value in stacked.items()}
    if isinstance(stacked, list):
        return [_row(value, slot) for value in stacked]
    return stacked[slot]


def _set_buffer(model: nn.Module, name: str, tensor: Tensor) -> None:
    path, _, last = name.rpartition(".")
    setattr(model.get_submodule(path), last, tensor)
