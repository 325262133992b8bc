"""All of PyTorch's switches for how a GPU multiplies agree, whichever was asked for before."""

import pytest
import torch
from torch import nn

from dd_ray.errors import UserError
from dd_ray.models.networks.conv32 import Conv32Decoder, Conv32Features
from dd_ray.models.networks.layers import keep_images_as
from dd_ray.training import set_precision
from tests.small import small

CONFIG = small("beta_vae")


@pytest.fixture(autouse=True)
def as_before():
    """Other tests have PyTorch's own defaults, but for what it cannot say any more."""
    yield
    keep_images_as(torch.float32)
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = True, False


def test_the_switches_agree():
    for precision in ("float32", "tf32", "tf32", "bf16", "float32"):
        set_precision(precision)
        fast = precision != "float32"
        assert torch.backends.cudnn.allow_tf32 is torch.backends.cuda.matmul.allow_tf32 is fast
        kinds = (torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn)
        assert [kind.fp32_precision for kind in kinds] == [{True: "tf32", False: "ieee"}[fast]] * 3
        with torch.backends.cudnn.flags(enabled=True, deterministic=True):  # which asks for all of them
            pass


@pytest.mark.parametrize("kind", [Conv32Features, Conv32Decoder])
def test_images_between_layers_are_bfloat16_and_all_else_is_float32(kind):
    torch.manual_seed(0)
    network = kind(CONFIG) if kind is Conv32Features else kind(CONFIG, 4)
    inputs = torch.rand(8, 1, 32, 32) if kind is Conv32Features else torch.randn(8, 4)
    types = []
    for layer in network.convs:
        layer.register_forward_hook(lambda layer, given, out: types.append(out.dtype))
    exact = _results(network, inputs)
    set_precision("bf16")
    types.clear()
    rounded = _results(network, inputs)
    assert types == [torch.bfloat16] * 3 + [torch.float32]
    assert {result.dtype for result in rounded} == {torch.float32}
    errors = [float((one - other).norm() / other.norm()) for one, other in zip(rounded, exact, strict=True)]
    assert 1e-3 < max(errors) < 0.05  # one rounding is 2⁻⁹


def _results(network: nn.Module, inputs: torch.Tensor) -> list[torch.Tensor]:
    out = network(inputs)
    gradients = torch.autograd.grad(out.square().sum(), list(network.parameters()))
    return [out.detach(), *gradients]


def test_a_cpu_refuses_it():
    with pytest.raises(UserError, match="bf16 needs a GPU"):
        set_precision("bf16", torch.device("cpu"))
