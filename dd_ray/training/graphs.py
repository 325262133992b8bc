"""A step as one launch: CUDA graphs, and trials side by side on streams."""

import warnings
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any, TypeVar
from weakref import WeakSet

import torch

NUM_STREAMS = 8
WARM_UPS = 3
"""Runs before a capture, in which libraries choose their algorithms and take their memory."""

Result = TypeVar("Result")


class Pool:
    """Memory that captured graphs share: they run one after the other, and leave nothing there."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._graphs: WeakSet[torch.cuda.CUDAGraph] = WeakSet()

    def handle_for(self, graph: torch.cuda.CUDAGraph) -> Any:
        """As `torch.cuda.graph` takes it. One that no graph uses any more is not to be used again."""
        if not self._graphs:
            self._handle = torch.cuda.graph_pool_handle()
        self._graphs.add(graph)
        return self._handle


_broken: list[str] = []
"""Why this process captures no more: where a capture fails in ending, PyTorch allocates as if it went on forever."""


def captured(prepare: Callable[[], object], take: Callable[[], object], pool: Pool) -> Callable[[], object]:
    """`take` as a CUDA graph: one launch, and no work for the host. Where it cannot be captured, `take` as it is.

    Args:
        prepare: does most of what `take` does, and changes nothing; it is run to warm up.
        take: is captured, and not run. It reads and writes memory that stays where it is.
        pool: memory that it may share with other graphs.

    Raises:
        torch.OutOfMemoryError: there is not the memory for it.
    """
    if _broken:
        return take
    torch.cuda.empty_cache()  # what steps that were not captured hold
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
        torch.cuda.set_stream(here)  # which a capture that fails in ending leaves elsewhere
        if isinstance(error, torch.OutOfMemoryError):
            raise
        if "out of memory" in str(error):  # of CUDA itself, when the graph is made of what was captured
            raise torch.OutOfMemoryError(str(error)) from None
        _broken.append(str(error))
        warnings.warn(f"steps are taken kernel by kernel, since one could not be captured: {error}", stacklevel=2)
        if isinstance(error.__context__, torch.OutOfMemoryError):
            raise error.__context__ from None
        return take
    return graph.replay


def release_memory() -> None:
    """Give back what PyTorch holds of a GPU and does not use."""
    if not _broken:
        torch.cuda.empty_cache()


def _capture(graph: torch.cuda.CUDAGraph, take: Callable[[], object], pool: Pool) -> None:
    # A workspace that cuBLAS keeps for a stream would be part of the graph, and be given back with another one: the
    # graph is to have its own (pytorch/pytorch issue 193402).
    torch._C._cuda_clearCublasWorkspaces()
    try:
        with torch.cuda.graph(graph, pool=pool.handle_for(graph)):
            take()
    finally:
        torch._C._cuda_clearCublasWorkspaces()


def side_by_side(calls: Sequence[Callable[[], Result]], device: torch.device) -> list[Result]:
    """What the calls return: at the same time on a few streams of a GPU, else one after the other."""
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
    finally:  # memory may run out, and a capture ends only where all streams have come together
        for stream in streams:
            here.wait_stream(stream)
    return results
