"""A user's own model or network whose trials could not be gone on with is refused as it joins a stack."""

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from dd_ray.config import MODELS, NETWORKS, ModelSpec, NetworkSpec
from dd_ray.config.models import VAE
from dd_ray.errors import UserError
from dd_ray.models.beta_vae import BetaVAE
from dd_ray.models.networks.mlp import MLPDecoder, MLPFeatures
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
        (nn.BatchNorm1d, r"^network = own changes the buffer encoder\S*running_mean .* GroupNorm"),
    ],
)
def test_a_layer_that_draws_or_keeps_something_is_refused(declare, layer, message, method):
    with pytest.raises(UserError, match=message):
        _stack_of_own_network(declare, layer, method)


@METHODS
def test_a_model_that_changes_a_buffer_is_refused(declare, method):
    declare(MODELS, ModelSpec(name="own", title="own", build=_Counting, reads=VAE))
    with pytest.raises(UserError, match=r"^model = own changes the buffer steps .* parameters alone"):
        Stack([small("own", network="mlp", width_factor=0.05)], method=method)


@METHODS
@pytest.mark.parametrize("layer", [nn.LayerNorm, lambda size: nn.BatchNorm1d(size, track_running_stats=False)])
def test_a_layer_that_keeps_nothing_is_trained(declare, layer, method):
    stack = _stack_of_own_network(declare, layer, method)
    stack.step(2)
    assert all(trial.iteration == 2 for trial in stack)
