"""CUDA graphs played on a CPU: what is captured is a list of PyTorch's operations, which a replay runs again.

As in a graph, each operation reads and writes the memory that it had in the capture, and nothing of Python is run
again. So what a replay must see has to be in memory that stays in place.
"""

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Tape:
    """Stands in for `torch.cuda.CUDAGraph`."""

    def __init__(self) -> None:
        self._calls: list[Callable[[], None]] = []

    def replay(self) -> None:
        """Run the operations again."""
        for call in self._calls:
            call()

    @contextmanager
    def captures(self) -> Any:
        """Write down the operations of a block, which are run as well."""
        with _Recorder(self._calls):
            yield


class _Recorder(TorchDispatchMode):
    def __init__(self, calls: list[Callable[[], None]]) -> None:
        super().__init__()
        self._calls = calls

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}:
            raise RuntimeError("operation not permitted when stream is capturing")
        out = func(*args, **(kwargs or {}))
        kept = [tensor for tensor in tree_leaves(out) if isinstance(tensor, Tensor)]

        def again() -> None:
            new = [tensor for tensor in tree_leaves(func(*args, **(kwargs or {}))) if isinstance(tensor, Tensor)]
            for old, computed in zip(kept, new, strict=True):
                if old.data_ptr() != computed.data_ptr():  # else it is a view, or was written in place
                    old.copy_(computed)

        self._calls.append(again)
        return out
