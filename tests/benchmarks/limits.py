"""What a device can do, and what a trial asks of it: the time that no implementation goes below."""

from dataclasses import dataclass, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from dd_ray.config import TrialConfig
from dd_ray.data import Batch
from dd_ray.models import build_model
from dd_ray.objectives import objective
from tests.benchmarks.measure import seconds_of

MATRIX = {"cpu": 2048, "cuda": 8192}
COPIED = {"cpu": 2**27, "cuda": 2**31}
"""Bytes."""


@dataclass(frozen=True)
class Ceilings:
    """Of a device, as measured: operations a second in large matrix products, and bytes a second in a large copy."""

    flops: float
    bytes_per_second: float


def ceilings(device: torch.device) -> Ceilings:
    """Measure them, with the threads and the precision that are set."""
    size = MATRIX[device.type]
    a, b = (torch.randn(size, size, device=device) for _ in range(2))
    product = seconds_of(lambda: torch.mm(a, b), device, repeats=5)
    source = torch.randn(COPIED[device.type] // 4, device=device)
    target = torch.empty_like(source)
    copy = seconds_of(lambda: target.copy_(source), device, repeats=5)
    return Ceilings(flops=2 * size**3 / product, bytes_per_second=2 * COPIED[device.type] / copy)


@dataclass(frozen=True)
class Demand:
    """Of one iteration of one trial: operations, and bytes where every layer reads and writes its images once."""

    flops: float
    bytes: float

    def seconds(self, limit: Ceilings) -> float:
        """The longer of the two times."""
        return max(self.flops / limit.flops, self.bytes / limit.bytes_per_second)


def demand(config: TrialConfig) -> Demand:
    """Count them.

    Bytes: each layer writes its output, which the next one reads; going back, the gradient of each output is written
    and read, and the output read again for the gradients of the weights. With activation functions fused into the
    layers that is five times the outputs.
    """
    model = build_model(config)
    # A batch of two is enough to count on: all is proportional to it.
    few = replace(config, batch_size=2)
    images = torch.rand(2, few.frames, *few.image_shape)
    shape = model.noise_shape(2, few.frames) if few.stochastic else None
    outputs: list[int] = []
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d | torch.nn.Linear)]
    for layer in layers:
        layer.register_forward_hook(lambda module, args, out: outputs.append(out.numel() * out.element_size()))
    with FlopCounterMode(display=False) as counter:
        batch = Batch(images, torch.rand(2, few.frames, len(few.factor_names)), few.factor_names)
        objective(few, model(batch, None if shape is None else torch.randn(shape))).loss.backward()
    scale = config.batch_size / 2
    return Demand(flops=scale * counter.get_total_flops(), bytes=scale * 5 * sum(outputs))
