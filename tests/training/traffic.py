"""Bytes that a step of many trials moves, counted on PyTorch's meta device, without computing anything.

Each operation reads its operands once and writes its results once; views move nothing. What a cache holds between two
operations is counted all the same, so this is what a GPU moves whose cache is small beside the tensors.
"""

from collections import Counter
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from dd_ray.config import TrialConfig
from dd_ray.training import triton_convolutions
from dd_ray.training.fused import Block, Method
from dd_ray.training.graphs import Pool


def bytes_of_step(monkeypatch: Any, config: TrialConfig, capacity: int, method: Method) -> Counter[str]:
    """Bytes by operation of a step of a block that all see one batch; kernels of our own are named after themselves."""
    moved: Counter[str] = Counter()

    def launch(name: str, grid: Any, *arguments: Any, **constants: Any) -> None:
        moved[name] += sum(map(bytes_of, {id(t): t for t in arguments if isinstance(t, Tensor)}.values()))

    monkeypatch.setattr(triton_convolutions, "_launch", launch)
    with _Counting(moved):
        step_of_nothing(config, capacity, method)
    return moved


def step_of_nothing(config: TrialConfig, capacity: int, method: Method, shared: bool = True) -> None:
    """Take a step of a block on a device that computes nothing; `shared`: all see one batch."""
    block = Block(config, capacity, torch.device("meta"), Pool())
    of_batch = (() if shared else (capacity,)) + (config.batch_size, config.frames)
    images = torch.empty(*of_batch, *config.image_shape, device="meta")
    factors = torch.empty(*of_batch, len(config.factor_names), device="meta")
    block._feed._batches[shared] = images, factors
    block._take(method, shared)


class _Counting(TorchDispatchMode):
    def __init__(self, moved: Counter[str]) -> None:
        super().__init__()
        self._moved = moved

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not _is_view(func) and "empty" not in str(func):
            read = {id(t): t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)}
            written = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
            self._moved[str(func)] += sum(map(bytes_of, [*read.values(), *written]))
        return out


def _is_view(func: Any) -> bool:
    if func is torch.ops.aten._unsafe_view.default:  # which hides that it is one
        return True
    returns = [r.alias_info for r in func._schema.returns]
    return bool(returns) and all(info is not None and not info.is_write for info in returns)


def bytes_of(tensor: Tensor) -> int:
    """Of its numbers; of those that trials share, once."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())
