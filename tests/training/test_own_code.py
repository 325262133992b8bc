"""A user's own model, network or objective that would be trained otherwise than it says is refused."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dd_ray.config import MODELS, NETWORKS, OBJECTIVES, ModelSpec, NetworkSpec, ObjectiveSpec
from dd_ray.config.models import VAE
from dd_ray.errors import UserError
from dd_ray.models.base import Model
from dd_ray.models.beta_vae import BetaVAE
from dd_ray.models.networks.mlp import MLPDecoder, MLPFeatures
from dd_ray.objectives.posterior import Weighted
from dd_ray.training import Stack
from tests.small import small

METHODS = pytest.mark.parametrize("method", ["alone", "grouped"])


def _features_with(layer: Callable[[int], nn.Module]) -> type[MLPFeatures]:
    class Features(MLPFeatures):
        def __init__(self, config):
            super().__init__(config)
            self.own = layer(self.size)

        def forward(self, images):
            return self.own(super().forward(images))

    return Features


class _Grid(nn.Module):
    """Makes what it adds at its first images."""

    def __init__(self, size):
        super().__init__()
        self.register_buffer("grid", None)

    def forward(self, features):
        if self.grid is None:
            self.grid = torch.linspace(0, 1, features.shape[-1])
        return features + self.grid


class _Jitter(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.rng = np.random.default_rng(0)

    def forward(self, features):
        return features + 0.01 * torch.from_numpy(self.rng.standard_normal(features.shape, dtype=np.float32))


class _Constant(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.register_buffer("most", torch.tensor(torch.nan))  # none
        self.register_buffer("where", torch.arange(size) < size // 2)

    def forward(self, features):
        return torch.where(self.where, features, features.fmin(self.most))


class _Counting(BetaVAE):
    def __init__(self, config):
        super().__init__(config)
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, batch, noise=None):
        self.steps += 1
        return super().forward(batch, noise)


@pytest.fixture
def declare() -> Iterator[Callable[[object, object], None]]:
    """Declares something named `own`, which is withdrawn at the end."""
    declared = []

    def declare(registry, spec):
        registry.declare(spec)
        declared.append(registry)

    yield declare
    for registry in declared:
        registry.withdraw("own")


def _stack_of_own_network(declare, layer, method):
    features = _features_with(layer)
    declare(NETWORKS, NetworkSpec(name="own", features=features, decoder=MLPDecoder, gflop_per_frame={32: 0.001}))
    return Stack([small("beta_vae", network="own", width_factor=0.05)], method=method)


@METHODS
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda _: nn.Dropout(0.5), r"^network = own draws random numbers, as dropout .* noise_shape"),
        (_Jitter, r"^network = own gives something else each time for the same weights, images and noise"),
        (nn.BatchNorm1d, r"^network = own changes the buffer encoder\S*running_mean .* GroupNorm"),
        (_Grid, r"^network = own makes the buffer encoder\S*grid .* in __init__"),
    ],
)
def test_a_layer_that_draws_or_keeps_something_is_refused(declare, layer, message, method):
    with pytest.raises(UserError, match=message):
        _stack_of_own_network(declare, layer, method)


@METHODS
@pytest.mark.parametrize("build", [_Counting, f"{__name__}:_Counting"], ids=["itself", "by_name"])
def test_a_model_that_changes_a_buffer_is_refused(declare, build, method):
    declare(MODELS, ModelSpec(name="own", title="own", build=build, reads=VAE))
    with pytest.raises(UserError, match=r"^model = own changes the buffer steps .* parameters alone"):
        Stack([small("own", network="mlp", width_factor=0.05)], method=method)


class _Tuple(BetaVAE):
    def forward(self, batch, noise=None):
        return self.encode(batch.images)


@METHODS
@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda config: nn.Linear(1, 1), r"^model = own builds a Linear; let its class be a subclass of \S+Model"),
        (_Tuple, "^model = own returns a tuple from forward; return one of the classes of"),
    ],
)
def test_a_model_that_is_none_or_returns_something_else_is_refused(declare, build, message, method):
    declare(MODELS, ModelSpec(name="own", title="own", build=build, reads=VAE))
    with pytest.raises(UserError, match=message):
        Stack([small("own", network="mlp", width_factor=0.05)], method=method).step()


def _with(**changes: Callable[[Tensor], Tensor]) -> type[BetaVAE]:
    """A model that returns some tensors in other shapes."""

    class Changed(BetaVAE):
        def forward(self, batch, noise=None):
            outputs = super().forward(batch, noise)
            return replace(outputs, **{name: change(getattr(outputs, name)) for name, change in changes.items()})

    return Changed


@METHODS
@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            _with(reconstruction=lambda x: x[:, :1]),
            r"reconstruction of shape \(4, 1, 1, 32, 32\); give \(4, 5, 1, 32, 32",
        ),
        (_with(logvar=lambda x: x[:, -1:]), r"logvar of shape \(4, 1, 4\); give \(4, 5, 4\)"),
        (_with(mu_predicted=lambda x: x[:, 2:]), r"mu_predicted of shape \(4, 3, 4\); give \(4, 5, 4\)"),
        (_with(mu=lambda x: x[:, 1:]), r"mu of shape \(4, 4, 4\); give \(4, 5, 4\)"),
    ],
)
def test_outputs_that_do_not_fit_each_other_are_refused(declare, build, message, method):
    declare(MODELS, ModelSpec(name="own", title="own", build=build, reads=VAE, needs_videos=True))
    with pytest.raises(UserError, match=f"^model = own gives {message}"):
        Stack([small("own", network="mlp", width_factor=0.05)], method=method)


class _Fixed(Model):
    def forward(self, batch, noise=None):
        raise NotImplementedError


class _Bare(_Fixed):
    def __init__(self, config):
        self.image_size = config.image_size


def test_a_model_that_does_not_begin_as_its_class_does_is_refused(declare):
    declare(MODELS, ModelSpec(name="own", title="own", build=_Bare, reads=VAE))
    with pytest.raises(UserError, match=r"^model = own is no module yet; begin its __init__ with super\(\)\.__init__"):
        Stack([small("own")])


def test_a_model_without_a_parameter_is_refused(declare):
    declare(MODELS, ModelSpec(name="own", title="own", build=_Fixed, reads=VAE))
    with pytest.raises(UserError, match=r"^model = own has no parameter, and so nothing to train"):
        Stack([small("own")])


@METHODS
@pytest.mark.parametrize(
    ("penalty", "message"),
    [
        (lambda mu: mu.square().mean(), "something else than a dictionary"),
        (lambda mu: {"size": mu.square().mean()}, "something else than a dictionary"),
        (
            lambda mu: {"size": Weighted(1.0, mu.square())},
            r"size whose value is of shape \(4, \d+, \d+\); give a scalar",
        ),
        (lambda mu: {"size": Weighted(1.0, 0.5)}, "size whose value is a float; give a scalar"),
        (lambda mu: {"reconstruction": Weighted(1.0, mu.square().mean())}, "reconstruction, .* give it another name"),
        (lambda mu: {"prediction": Weighted(1.0, mu.square().mean())}, "prediction, .* give it another name"),
    ],
)
def test_a_penalty_that_would_not_reach_the_loss_as_it_is_is_refused(declare, penalty, message, method):
    code = lambda config, posterior, weights: penalty(posterior.mu)  # noqa: E731
    declare(OBJECTIVES, ObjectiveSpec(name="own", title="own", penalty=code, reads=("beta", "beta_norm")))
    with pytest.raises(UserError, match=f"^the penalty of objective = own .*{message}"):
        Stack([small("predictive_vae", objective="own", network="mlp", width_factor=0.05)], method=method).step()


@METHODS
@pytest.mark.parametrize(
    "layer", [nn.LayerNorm, lambda size: nn.BatchNorm1d(size, track_running_stats=False), _Constant]
)
def test_a_layer_that_keeps_nothing_is_trained(declare, layer, method):
    stack = _stack_of_own_network(declare, layer, method)
    stack.step(2)
    assert all(trial.iteration == 2 for trial in stack)
