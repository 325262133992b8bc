"""Several sweeps on one cluster: each takes its share of it, and all of it while it is alone.

Ray gives its resources to who asked first and keeps them there until that one lets go, so a sweep that
reuses its workers would keep a cluster to its end. Instead every running sweep is known to the others by a
named actor, which ends with it, and each limits itself.
"""

import contextlib
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import ray
from ray.util import list_named_actors

NAMESPACE = "dd_ray_sweeps"
SECONDS_TO_ANSWER = 2


def fair_share(mine: float, others: Sequence[float]) -> float:
    """Max-min fair part of a whole, for one that wants `mine` of it beside others.

    Who wants less than an equal part gets what it wants, and the rest is split among the others alike
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
    """A sweep's entry among those that run on the cluster, there as long as its driver."""

    def __init__(self) -> None:
        entry: Any = ray.remote(num_cpus=0)(_Entry)
        self._name = uuid4().hex
        self._entry = entry.options(name=self._name, namespace=NAMESPACE, max_concurrency=2).remote()

    def slots(self, wanted: int, capacity: int) -> int:
        """Trials that this sweep may run at a time.

        Args:
            wanted: how many it has to run.
            capacity: how many of them the cluster holds.

        Returns:
            1 to `capacity`.
        """
        part = min(1.0, wanted / max(capacity, 1))
        self._entry.set.remote(part)
        share = fair_share(part, self._others())
        return max(1, int(share * capacity + 1e-9))

    def _others(self) -> list[float]:
        parts: list[float] = []
        for actor in list_named_actors(all_namespaces=True):
            if actor["namespace"] == NAMESPACE and actor["name"] != self._name:
                with contextlib.suppress(ValueError, ray.exceptions.RayError):  # it has just ended
                    entry: Any = ray.get_actor(actor["name"], namespace=NAMESPACE)
                    part: Any = ray.get(entry.get.remote(), timeout=SECONDS_TO_ANSWER)
                    parts.append(part)
        return parts


class _Entry:
    """What a sweep wants, as a part of the cluster."""

    def __init__(self) -> None:
        self._part = 0.0

    def set(self, part: float) -> None:
        self._part = part

    def get(self) -> float:
        return self._part
