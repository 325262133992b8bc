"""Estimates the memory that a trial of a stack takes on a device."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from dd_ray.config import OPTIMIZERS, TrialConfig
from dd_ray.data import Batch
from dd_ray.models import build_model
from dd_ray.models.networks.layers import images_kept_as
from dd_ray.objectives import objective
from dd_ray.training.fused import Method, methods_of

TRANSIENT = 1.5
"""Most memory of a step, in units of what its forward pass keeps for the backward pass."""
OF_METHOD: Mapping[Method, float] = {"triton": 1.5, "grouped": 2.4, "streams": 3.1}
"""Memory of a method's captured step, in units of the count: measured for 36 trials of conv32 on an NVIDIA H200 (4.5,
7.2 and 9.5 GiB of 3.1; 216 trials with Triton: 27.4 of 18.6)."""


def bytes_per_trial(config: TrialConfig, method: Method | Literal["auto", "alone"], device: torch.device) -> int:
    """Estimate the memory that each trial adds to a stack on a device, without computing anything.

    What the forward pass keeps for the backward pass is counted on PyTorch's meta device, which has shapes but no
    numbers.

    Args:
        config: config of the trial.
        method: how the stack is computed; auto and alone are counted as the method that takes the least of those that
            the device has, since it is what remains when memory is short.
        device: device of the stack.

    Returns:
        Bytes, if the trial has a batch of its own.
    """
    methods = methods_of(device) if method == "auto" or method == "alone" else (method,)  # noqa: PLR1714  # for mypy
    return int(min(OF_METHOD[method] for method in methods) * counted_bytes(config))


def counted_bytes(config: TrialConfig) -> int:
    """Count the bytes of a trial with a batch of its own: what a step keeps and needs beside it, weights, and batch.

    Images between layers are counted in float32, also where they are bfloat16 and take half of that: the meta device
    has no automatic casts.
    """
    model = build_model(config).to("meta")
    images = torch.empty(config.batch_size, config.frames, *config.image_shape, device="meta")
    factors = torch.empty(config.batch_size, config.frames, len(config.factor_names), device="meta")
    clean = torch.empty_like(images) if config.target == "clean" else None
    batch = Batch(images, factors, config.factor_names, clean)
    shape = model.noise_shape(*images.shape[:2]) if config.stochastic else None
    noise = None if shape is None else torch.empty(shape, device="meta")
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        return tensor

    with images_kept_as(torch.float32), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = objective(config, model(batch, noise)).loss
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    copies = OPTIMIZERS[config.optimizer].vectors_in_a_step
    assert loss.requires_grad  # so that nothing that was counted is gone
    of_batch = sum(tensor.numel() * tensor.element_size() for tensor in batch.tensors if tensor is not factors)
    return int(TRANSIENT * sum(kept.values())) + copies * weights + of_batch
