"""Runs packs on a Ray cluster, one for each GPU of which trials get shares, and connects trials to them.

It does not import PyTorch: a trial in a pack has neither a network nor a context of the GPU.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dd_ray.metrics import Code, columns_of, further_scores
from dd_ray.trial.trainer import CodeParts, Joined, Progress, Work
from dd_ray.tune.private import actor_id, wait_until_ready

CALLS_AT_A_TIME = 256
"""The most trials that may wait for a pack at the same time."""
_VISIBLE = "CUDA_VISIBLE_DEVICES"

NodeAndGpu = tuple[str, str]
"""A node, and the GPU there of which a trial has a share, as CUDA names it; empty if it has none."""


class PackActor:
    """A pack in a process of its own, the only one with a context of its GPU."""

    def __init__(self, gpu: str, device: str, threads: int) -> None:
        # Before PyTorch is loaded, which then sees this GPU alone, whatever Ray shows an actor without one.
        os.environ[_VISIBLE] = gpu
        from dd_ray.trial.pack import Pack  # noqa: PLC0415

        self._pack = Pack(device, threads)

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the pack."""
        return getattr(self._pack, method)(*arguments)


class Registry:
    """Starts packs where there are none. The packs end with it, and it ends with the command that runs the sweep."""

    def __init__(self) -> None:
        self._packs: dict[NodeAndGpu, ActorHandle[Any]] = {}

    def pack_at(self, place: NodeAndGpu, device: str, threads: int, broken: str | None) -> "ActorHandle[Any]":
        """Return the pack of a GPU; a new one in place of that with the id `broken`."""
        pack = self._packs.get(place)
        if pack is not None and actor_id(pack) == broken:
            ray.kill(pack)
            pack = None
        if pack is None:
            node, gpu = place
            actor: Any = ray.remote(PackActor)
            pack = self._packs[place] = actor.options(
                num_cpus=0,
                max_concurrency=CALLS_AT_A_TIME,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False),
            ).remote(gpu, device, threads)
        return pack


@contextmanager
def running_registry(sweep: str) -> Iterator[None]:
    """Run the registry of a sweep in a folder or at a URL, and so its packs, during the block.

    It is on the node of the command that runs the sweep, since Ray would take any, and all packs would end with that.
    If its process is lost, Ray starts it again, without the packs, whose trials are then tried again.
    """
    actor: Any = ray.remote(Registry)
    handle = actor.options(
        name=_registry_of(sweep),
        num_cpus=0,
        max_restarts=-1,
        max_task_retries=-1,
        scheduling_strategy=NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False),
    ).remote()
    wait_until_ready(handle)
    try:
        yield
    finally:
        ray.kill(handle)


def _registry_of(sweep: str) -> str:
    """Return the name of a sweep's registry, since sweeps of one program share the namespace of its Ray."""
    return f"packs of {sweep}"


Call = Callable[..., Any]
"""Calls a method of `Pack` by its name."""

_untrained: dict[tuple[str, tuple[str, ...]], dict[str, float]] = {}
"""Scores of untrained networks that this process has computed, by the digest of their weights and the scores' names."""


class PackTrainer:
    """The trainer of a trial whose network is trained by a pack."""

    def __init__(self, work: Work, call: Call) -> None:
        self._call = call
        joined: Joined = call("join", work)
        self._member = joined.member
        self.notes, self.began_at, self.frames_per_step = joined.notes, joined.began_at, joined.frames_per_step

    def train(self, seconds: float) -> Progress:
        """Wait until the pack has trained to the next evaluation, or for some seconds."""
        return self._call("train", self._member, seconds)  # type: ignore[no-any-return]

    def state(self, recorded: int) -> tuple[int, bytes] | None:
        """Return iteration and state from the pack."""
        return self._call("state", self._member, recorded)  # type: ignore[no-any-return]

    def code(self) -> Code | None:
        """Return the network's code of held-out still pictures."""
        return self._code(untrained=False)

    def untrained_scores(self, names: Sequence[str]) -> dict[str, float]:
        """Compute the scores of the untrained network, once for trials of this process that begin alike."""
        known = (self._call("initial_digest", self._member), tuple(names))
        if known not in _untrained:
            code = self._code(untrained=True)
            _untrained[known] = {} if code is None else further_scores(names, code)
        return columns_of(names, _untrained[known])

    def show(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Let the pack, which has the pictures, write an evaluation for TensorBoard."""
        self._call("show", self._member, iteration, dict(metrics))

    def close(self, final: Mapping[str, float | None] | None) -> None:
        """Leave the pack."""
        self._call("leave", self._member, final)

    def _code(self, untrained: bool) -> Code | None:
        member = self._member
        parts: CodeParts | None = self._call("code", member, untrained)
        if parts is None:
            return None
        return Code(
            latents=parts.latents,
            factors=parts.factors,
            factor_names=parts.factor_names,
            encode=(lambda factors: self._call("encode", member, untrained, factors)) if parts.can_be_asked else None,
        )


def pack_here(sweep: str, device: str, threads: int) -> Call:
    """Return the sweep's pack of this trial's GPU; a new one if the pack has ended."""
    place = (ray.get_runtime_context().get_node_id(), os.environ.get(_VISIBLE, ""))
    registry = ray.get_actor(_registry_of(sweep))
    pack: Any = ray.get(registry.pack_at.remote(place, device, threads, None))
    try:
        whole = ray.get(pack.call.remote("is_whole"))
    except ray.exceptions.ActorDiedError:
        whole = False
    if not whole:
        pack = ray.get(registry.pack_at.remote(place, device, threads, actor_id(pack)))
    return lambda method, *arguments: _answer(pack.call.remote(method, *arguments))


def _answer(call: Any) -> Any:
    """Wait for the answer to a call, and raise an error as it was raised there.

    Ray raises one of the same class, but without its attributes, by which a full storage is known.
    """
    try:
        return ray.get(call)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
