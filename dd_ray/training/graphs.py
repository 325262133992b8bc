"""A step as one launch: CUDA graphs, and trials side by side on streams."""

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any, TypeVar

import torch

NUM_STREAMS = 8
WARM_UPS = 3
"""Runs before a capture, in which libraries choose their algorithms and take their memory."""

Result = TypeVar("Result")


def captured(prepare: Callable[[], object], take: Callable[[], object], pool: Any) -> Callable[[], None]:
    """`take` as a CUDA graph: one launch, and no work for the host.

    Args:
        prepare: does most of what `take` does, and changes nothing; it is run to warm up.
        take: is captured, and not run. It reads and writes memory that stays where it is.
        pool: memory that it may share with graphs which run before or after it, and leave nothing there.

    Raises:
        torch.OutOfMemoryError: there is not the memory for it.
    """
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            prepare()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # A workspace that cuBLAS keeps for a stream would be part of the graph, and be given back with another one: the
    # graph is to have its own (pytorch/pytorch issue 193402).
    torch._C._cuda_clearCublasWorkspaces()
    try:
        with torch.cuda.graph(graph, pool=pool):
            take()
    except RuntimeError as error:
        # Ending a capture that memory ran out of may fail too, of which memory is the cause.
        raise error.__context__ if isinstance(error.__context__, torch.OutOfMemoryError) else error from None
    finally:
        torch._C._cuda_clearCublasWorkspaces()
    return graph.replay


def side_by_side(calls: Sequence[Callable[[], Result]], device: torch.device) -> list[Result]:
    """What the calls return: at the same time on a few streams of a GPU, else one after the other."""
    if device.type != "cuda":
        return [call() for call in calls]
    here = torch.cuda.current_stream()
    streams = [torch.cuda.Stream() for _ in range(min(NUM_STREAMS, len(calls)))]
    for stream in streams:
        stream.wait_stream(here)
    results = []
    for call, stream in zip(calls, cycle(streams), strict=False):
        with torch.cuda.stream(stream):
            results.append(call())
    for stream in streams:
        here.wait_stream(stream)
    return results
