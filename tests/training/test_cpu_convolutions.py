"""The last layer of a decoder, computed in another way on a CPU."""

import pytest
import torch
from torch import nn

from dd_ray.config import NETWORKS
from dd_ray.training import Trial
from dd_ray.training.cpu_convolutions import CPUConvTranspose2d
from tests.small import small


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("size", "stride", "padding", "more"), [(3, 2, 1, 1), (4, 2, 1, 0), (3, 1, 0, 0), (5, 3, 2, 2)]
)
def test_output_and_gradients_are_those_of_pytorch(channels, size, stride, padding, more):
    theirs = nn.ConvTranspose2d(6, channels, size, stride, padding, output_padding=more, dtype=torch.float64)
    ours = CPUConvTranspose2d(6, channels, size, stride, padding, output_padding=more, dtype=torch.float64)
    ours.load_state_dict(theirs.state_dict())
    images = torch.randn(3, 6, 5, 7, dtype=torch.float64, requires_grad=True)
    outputs = [layer(images) for layer in (ours, theirs)]
    torch.testing.assert_close(*outputs)
    weights = torch.randn_like(outputs[0])
    gradients = [
        torch.autograd.grad((weights * out).sum(), [images, *layer.parameters()])
        for out, layer in zip(outputs, (ours, theirs), strict=True)
    ]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "mlp"])
def test_decoders_of_trials_on_a_cpu_have_it(network):
    model = Trial(small("beta_vae", network=network, image_size=64 if network == "conv64" else 32)).model
    last = [layer for layer in model.modules() if isinstance(layer, nn.ConvTranspose2d)][-1]
    assert isinstance(last, CPUConvTranspose2d) and last.out_channels == 1
