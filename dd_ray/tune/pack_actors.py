"""Packs on a Ray cluster: one for each GPU of a node that trials are given shares of, and the trials that use it.

Without PyTorch: a trial in a pack holds neither networks nor a context of its GPU.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import ray
from ray.actor import ActorHandle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dd_ray.metrics import Code, further_scores
from dd_ray.trial.trainer import CodeParts, Joined, Progress, Work
from dd_ray.tune.private import actor_id, wait_until_ready

REGISTRY = "packs"
"""Name of the actor that knows the packs of a sweep, in the namespace of the command that runs it."""
CALLS_AT_A_TIME = 256
"""Trials of a pack that may wait for it at the same time."""
_VISIBLE = "CUDA_VISIBLE_DEVICES"

Place = tuple[str, str]
"""A node, and the GPU of it that a trial was given a share of, as CUDA names it; empty where it was given none."""


class PackActor:
    """A pack in a process of its own, which alone has a context of its GPU."""

    def __init__(self, gpu: str, device: str, threads: int) -> None:
        os.environ[_VISIBLE] = (
            gpu  # before PyTorch is loaded: it sees this GPU alone, whatever Ray shows an actor that asks for none
        )
        from dd_ray.trial.pack import Pack  # noqa: PLC0415

        self._pack = Pack(device, threads)

    def call(self, method: str, *arguments: Any) -> Any:
        """Call a method of the pack."""
        return getattr(self._pack, method)(*arguments)


class Registry:
    """Starts a pack where there is none. The packs end with it, and it with the command that runs the sweep."""

    def __init__(self) -> None:
        self._packs: dict[Place, ActorHandle[Any]] = {}

    def pack_at(self, place: Place, device: str, threads: int, broken: str | None) -> "ActorHandle[Any]":
        """The pack of a GPU; another one in place of that with the id `broken`."""
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
def running_registry() -> Iterator[None]:
    """The registry of a sweep, and so its packs, while it lasts."""
    actor: Any = ray.remote(Registry)
    handle = actor.options(name=REGISTRY, num_cpus=0).remote()
    wait_until_ready(handle)
    try:
        yield
    finally:
        ray.kill(handle)


Call = Callable[..., Any]
"""Calls a method of `Pack` by its name."""


class PackTrainer:
    """The trainer of a trial whose network a pack trains."""

    def __init__(self, work: Work, call: Call) -> None:
        self._call = call
        joined: Joined = call("join", work)
        self._member = joined.member
        self.notes, self.began_at, self.frames_per_step = joined.notes, joined.began_at, joined.frames_per_step

    def train(self, seconds: float) -> Progress:
        """Wait for the pack."""
        return self._call("train", self._member, seconds)  # type: ignore[no-any-return]

    def state(self, recorded: int) -> tuple[int, bytes] | None:
        """Of what is not yet evaluated."""
        return self._call("state", self._member, recorded)  # type: ignore[no-any-return]

    def code(self) -> Code | None:
        """Ask the network for its code of held-out still pictures."""
        return self._code(untrained=False)

    def untrained_scores(self, names: Sequence[str]) -> dict[str, float]:
        """Remembered for trials of this process that begin alike."""
        known = (self._call("initial_digest", self._member), tuple(names))
        if known not in _untrained:
            code = self._code(untrained=True)
            _untrained[known] = {} if code is None else further_scores(names, code)
        return {column: value for column, value in _untrained[known].items() if column != "active_units_stills"}

    def show(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """The pack has the pictures, and writes for TensorBoard."""
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


def pack_here(device: str, threads: int) -> Call:
    """The pack of the GPU that this trial was given a share of; a new one in place of one that has ended."""
    place = (ray.get_runtime_context().get_node_id(), os.environ.get(_VISIBLE, ""))
    registry = ray.get_actor(REGISTRY)
    pack: Any = ray.get(registry.pack_at.remote(place, device, threads, None))
    try:
        whole = ray.get(pack.call.remote("is_whole"))
    except ray.exceptions.ActorDiedError:
        whole = False
    if not whole:
        pack = ray.get(registry.pack_at.remote(place, device, threads, actor_id(pack)))
    return lambda method, *arguments: ray.get(pack.call.remote(method, *arguments))


_untrained: dict[tuple[str, tuple[str, ...]], dict[str, float]] = {}
