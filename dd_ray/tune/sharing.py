"""Shares a cluster between sweeps: each takes its share, and all of the cluster while it is alone.

Ray gives resources to the first who asks, until they are released, so a sweep that reuses its workers would keep a
cluster until its end. Instead every running sweep has a named actor, which ends with it and which the other sweeps see,
and each sweep limits itself.
"""

import contextlib
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import ray
from ray.util import list_named_actors
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

NAMESPACE = "dd_ray_sweeps"
SECONDS_TO_ANSWER = 2


def fair_share(mine: float, others: Sequence[float]) -> float:
    """Return the max-min fair part of a whole for a sweep that wants `mine` of it, beside others.

    A sweep that wants less than an equal part gets what it wants, and the rest is split equally among the others
    (Bertsekas and Gallager 1992, Data Networks, section 6.5.2).
    """
    rest = 1.0
    waiting = sorted([mine, *others])
    for i, wanted in enumerate(waiting):
        share = min(wanted, rest / (len(waiting) - i))
        if wanted == mine:
            return share
        rest -= share
    return rest


class Presence:
    """A sweep's entry among those that run on the cluster. It lasts as long as the sweep's driver."""

    def __init__(self) -> None:
        entry: Any = ray.remote(_Entry)
        self._name = uuid4().hex
        self._known: dict[str, float] = {}
        # On the driver's own node: Ray would take any, and without its entry a sweep has no share beside others.
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        self._entry = entry.options(
            name=self._name, namespace=NAMESPACE, num_cpus=0, max_concurrency=2, scheduling_strategy=here
        ).remote()

    def slots(self, wanted: int, capacity: int) -> int:
        """Return the number of trials that this sweep may run at a time.

        Args:
            wanted: number of trials that it has to run.
            capacity: number of them that the cluster holds.

        Returns:
            A number from 1 to `capacity`.
        """
        part = wanted / max(capacity, 1)
        self._entry.set.remote(part)
        share = fair_share(part, self._others())
        return max(1, int(share * capacity + 1e-9))

    def _others(self) -> list[float]:
        """Return the parts that the other sweeps want; of one that does not answer in time, the last that is known."""
        named = {actor["name"] for actor in list_named_actors(all_namespaces=True) if actor["namespace"] == NAMESPACE}
        self._known = {name: part for name, part in self._known.items() if name in named}
        for name in named - {self._name}:
            with contextlib.suppress(ValueError, ray.exceptions.RayError):  # it has just ended, or its machine is busy
                entry: Any = ray.get_actor(name, namespace=NAMESPACE)
                part: Any = ray.get(entry.get.remote(), timeout=SECONDS_TO_ANSWER)
                self._known[name] = part
        return list(self._known.values())


class _Entry:
    """The part of the cluster that a sweep wants."""

    def __init__(self) -> None:
        self._part = 0.0

    def set(self, part: float) -> None:
        self._part = part

    def get(self) -> float:
        return self._part
