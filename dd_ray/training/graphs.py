"""Runs a step as one launch, by CUDA graphs, and trials in parallel on streams."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import cycle
from typing import Any, TypeVar
from weakref import WeakSet

import torch

NUM_STREAMS = 8
WARM_UPS = 3
"""Number of runs before a capture, in which libraries choose algorithms and allocate memory."""

Result = TypeVar("Result")


class Pool:
    """Memory that captured graphs share. They can, since they run one after the other and leave nothing there."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._graphs: WeakSet[torch.cuda.CUDAGraph] = WeakSet()

    def handle_for(self, graph: torch.cuda.CUDAGraph) -> Any:
        """Return the handle that `torch.cuda.graph` takes: a new one when no graph uses the old one any more."""
        if not self._graphs:
            self._handle = torch.cuda.graph_pool_handle()
        self._graphs.add(graph)
        return self._handle


_broken: list[str] = []
"""Reasons why this process captures no more: if a capture fails at its end, PyTorch allocates as if it never ended."""


def captured(prepare: Callable[[], object], take: Callable[[], object], pool: Pool) -> Callable[[], object]:
    """Capture `take` as a CUDA graph: one launch without work for the host. Where that fails, return `take` itself.

    Args:
        prepare: does most of what `take` does without changing anything; it is run to warm up.
        take: is captured, not run. It reads and writes memory that stays in place.
        pool: memory that it shares with other graphs.

    Raises:
        torch.OutOfMemoryError: there is not enough memory.
    """
    if _broken:
        return take
    torch.cuda.empty_cache()  # frees what steps hold that were not captured
    here, stream = torch.cuda.current_stream(), torch.cuda.Stream()
    stream.wait_stream(here)
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            prepare()
    here.wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        _capture(graph, take, pool)
    except RuntimeError as error:
        torch.cuda.set_stream(here)  # a capture that fails at its end leaves another stream
        if isinstance(error, torch.OutOfMemoryError):
            raise
        if "out of memory" in str(error):  # from CUDA itself, when it makes the graph
            raise torch.OutOfMemoryError(str(error)) from None
        _broken.append(str(error))
        warnings.warn(f"steps are taken kernel by kernel, since one could not be captured: {error}", stacklevel=2)
        if isinstance(error.__context__, torch.OutOfMemoryError):
            raise error.__context__ from None
        return take
    return graph.replay


def on(device: torch.device) -> AbstractContextManager[object]:
    """Make a GPU the current one, which streams, graphs and Triton's kernels are of, whatever their tensors are on."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def release_memory() -> None:
    """Free the memory of a GPU that PyTorch holds and does not use."""
    if not _broken:
        torch.cuda.empty_cache()


def _capture(graph: torch.cuda.CUDAGraph, take: Callable[[], object], pool: Pool) -> None:
    # A workspace that cuBLAS keeps for a stream would become part of the graph, and be freed with another one. So the
    # graph gets its own (pytorch/pytorch issue 193402).
    torch._C._cuda_clearCublasWorkspaces()
    try:
        with torch.cuda.graph(graph, pool=pool.handle_for(graph)):
            take()
    finally:
        torch._C._cuda_clearCublasWorkspaces()


def side_by_side(calls: Sequence[Callable[[], Result]], device: torch.device) -> list[Result]:
    """Return the results of calls that run in parallel on a few streams of a GPU, else one after the other."""
    if device.type != "cuda":
        return [call() for call in calls]
    here = torch.cuda.current_stream()
    streams = [torch.cuda.Stream() for _ in range(min(NUM_STREAMS, len(calls)))]
    for stream in streams:
        stream.wait_stream(here)
    results = []
    try:
        for call, stream in zip(calls, cycle(streams), strict=False):
            with torch.cuda.stream(stream):
                results.append(call())
    finally:  # also if memory runs out: a capture can end only after all streams have joined
        for stream in streams:
            here.wait_stream(stream)
    return results
