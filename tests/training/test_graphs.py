"""Capturing steps, where CUDA is played by stand-ins: what is done when it fails."""

import warnings
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from dd_ray.training import graphs
from dd_ray.training.graphs import Pool, captured


class Stream:
    def wait_stream(self, other: "Stream") -> None:
        pass


class Graph:
    def replay(self) -> str:
        return "replayed"


class Device:
    """Captures as CUDA does: a capture that fails in ending leaves its own stream the current one."""

    def __init__(self) -> None:
        self.here = self.current = Stream()
        self.fails_with: Exception | None = None
        self.handles = 0

    @contextmanager
    def stream(self, stream: Stream) -> Any:
        before, self.current = self.current, stream
        yield
        self.current = before

    @contextmanager
    def graph(self, graph: Graph, pool: int) -> Any:
        self.current = Stream()
        try:
            yield
        finally:
            if self.fails_with is not None:
                raise self.fails_with
            self.current = self.here

    def new_pool(self) -> int:
        self.handles += 1
        return self.handles

    def set_stream(self, stream: Stream) -> None:
        self.current = stream


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    device = Device()
    for name, value in {
        "Stream": Stream,
        "CUDAGraph": Graph,
        "stream": device.stream,
        "graph": device.graph,
        "current_stream": lambda: device.current,
        "set_stream": device.set_stream,
        "empty_cache": lambda: None,
        "graph_pool_handle": device.new_pool,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch._C, "_cuda_clearCublasWorkspaces", lambda: None, raising=False)
    monkeypatch.setattr(graphs, "_broken", [])
    return device


def test_a_step_is_captured_after_it_has_warmed_up(device: Device) -> None:
    prepared: list[int] = []
    step = captured(lambda: prepared.append(1), lambda: "taken", Pool())
    assert step() == "replayed" and len(prepared) == graphs.WARM_UPS


def test_where_a_capture_fails_steps_are_taken_as_they_are_with_one_warning(device: Device) -> None:
    device.fails_with = RuntimeError("operation not permitted when stream is capturing")
    with pytest.warns(UserWarning, match="could not be captured: operation not permitted"):
        step = captured(lambda: None, lambda: "taken", Pool())
    assert step() == "taken" and device.current is device.here
    device.fails_with = None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # PyTorch's memory does not recover from it, so nothing is captured again.
        assert captured(lambda: None, lambda: "taken", Pool())() == "taken"


@pytest.mark.parametrize(
    ("of_step", "of_ending"),
    [(torch.OutOfMemoryError("of a step"), None), (None, RuntimeError("CUDA error: out of memory"))],
)
def test_memory_that_runs_out_is_told_as_such_and_the_next_step_is_captured(device, of_step, of_ending):
    def take() -> str:
        if of_step is not None:
            raise of_step
        return "taken"

    device.fails_with = of_ending
    with pytest.raises(torch.OutOfMemoryError):
        captured(lambda: None, take, Pool())
    assert device.current is device.here
    device.fails_with = None
    assert captured(lambda: None, lambda: "taken", Pool())() == "replayed"


def test_memory_that_runs_out_and_breaks_the_capture_is_told_as_such(device: Device) -> None:
    def take() -> str:
        raise torch.OutOfMemoryError("of a step")

    device.fails_with = RuntimeError("unjoined work")
    with pytest.raises(torch.OutOfMemoryError), pytest.warns(UserWarning, match="unjoined work"):
        captured(lambda: None, take, Pool())
    assert captured(lambda: None, lambda: "taken", Pool())() == "taken"


def test_graphs_share_memory_and_none_takes_that_of_graphs_that_are_gone(device: Device) -> None:
    pool = Pool()
    first, second = Graph(), Graph()
    assert pool.handle_for(first) == pool.handle_for(second) == 1  # type: ignore[arg-type]
    del first
    assert pool.handle_for(Graph()) == 1  # type: ignore[arg-type]
    del second
    assert pool.handle_for(Graph()) == 2  # type: ignore[arg-type]
