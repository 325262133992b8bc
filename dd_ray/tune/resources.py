"""The resources that each trial of a sweep gets, and how many trials the connected cluster holds with them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

import ray
from ray import tune

from dd_ray.errors import UserError
from dd_ray.sweep.options import SweepOptions
from dd_ray.tune import autoscaler
from dd_ray.tune.private import nodes_taken_away

DEFAULT_GPU_SHARE = 0.1
DEFAULT_PACKED_SHARE, DEFAULT_PACKED_CPUS = 1 / 40, 0.25
"""Default shares of a GPU and of a core for a trial in a pack, whose own process only scores and records."""
SLOTS_TO_GROW_FROM = 16
"""Number of trials that ask a cluster for nodes when it has no room for any."""
MOST_UNFIT_NODES = 3
"""Number of nodes on which no trial can run after which a sweep asks an autoscaled cluster for no more: each costs."""


@dataclass(frozen=True)
class Resources:
    """The resources that each trial gets."""

    cpus: float
    gpus: float
    grows: bool
    """True if the cluster starts nodes for waiting trials."""
    packed: bool = False
    """True if the trials that share a GPU are trained by one process."""
    shared: bool = False
    """True if the cluster outlasts the sweep, so that other sweeps may run beside it."""
    checked: tuple[str, ...] = ()
    """IDs of the nodes of such a cluster that were checked before the sweep began."""

    @classmethod
    def of_cluster(cls, options: SweepOptions, shared: bool = False) -> Self:
        """Choose the resources that the connected cluster can give to each trial.

        Args:
            options: options of the sweep.
            shared: whether the cluster outlasts the sweep.

        Raises:
            UserError: it could never hold a trial.
        """
        nodes = _nodes()
        most = {kind: max((node.get(kind, 0) for node in nodes), default=0) for kind in ("CPU", "GPU")}
        resources = cls._asked(options, shared, on_gpus=most["GPU"] > 0)
        if not most["GPU"] and options.gpus_per_trial is None:
            # Only the autoscaler tells whether workers that come have GPUs. It starts these for a CPU's sake too.
            on_gpus = cls._asked(options, shared, on_gpus=True)
            if autoscaler.would_start_a_node_for(on_gpus.bundle):
                return on_gpus
        if not resources.slots() and not autoscaler.would_start_a_node_for(resources.bundle):
            raise UserError(
                f"no node can hold a trial of {resources.cpus:g} CPUs (--cpus-per-trial) and {resources.gpus:g} GPUs "
                f"(--gpus-per-trial): the largest of {len(nodes)} nodes have {most['CPU']:g} CPUs and {most['GPU']:g} "
                "GPUs; ask for less."
            )
        return resources

    @classmethod
    def _asked(cls, options: SweepOptions, shared: bool, *, on_gpus: bool) -> Self:
        """Return what the options ask for; where they do not say, a share of a GPU if trials are to run on GPUs."""
        gpus, cpus = options.gpus_per_trial, options.cpus_per_trial
        packed = options.pack == "on" or (options.pack == "auto" and (on_gpus if gpus is None else gpus > 0))
        if gpus is None:
            gpus = (DEFAULT_PACKED_SHARE if packed else DEFAULT_GPU_SHARE) if on_gpus else 0.0
        if cpus is None:
            cpus = DEFAULT_PACKED_CPUS if packed and gpus else 1
        return cls(cpus, gpus, autoscaler.is_present(), packed, shared)

    @property
    def bundle(self) -> dict[str, float]:
        """Return the resources in Ray's form."""
        return {"CPU": self.cpus, "GPU": self.gpus} if self.gpus else {"CPU": self.cpus}

    def request(self, without: Collection[str]) -> dict[str, float] | tune.PlacementGroupFactory:
        """Return the resources as Tune takes them, on any node but those with the IDs `without`."""
        if not without:
            return {"cpu": self.cpus, "gpu": self.gpus}
        elsewhere = {"ray.io/node-id": f"!in({','.join(sorted(without))})"}
        return tune.PlacementGroupFactory([self.bundle], bundle_label_selector=[elsewhere])

    def slots(self, without: Collection[str] = ()) -> int:
        """Return the number of trials that the cluster holds at the moment, on any node but those `without`."""
        return sum(slots_on(node, self.cpus, self.gpus) for node in _nodes(without))

    def gives_up(self, unfit: Collection[str]) -> bool:
        """Return whether to ask the cluster for no more nodes, since those that it has started are `unfit`."""
        return self.grows and len(unfit) >= MOST_UNFIT_NODES

    def trials_at_a_time(self, most: int | None, without: Collection[str] = ()) -> int:
        """Return the most trials to run at a time: while the cluster can grow, more than it holds, so that it grows."""
        slots = self.slots(without)
        grows = self.grows and not self.gives_up(without) and not autoscaler.has_no_more_for(self.bundle)
        wanted = max(2 * slots, SLOTS_TO_GROW_FROM) if grows else slots
        return max(1, min(wanted, most or wanted))


def _nodes(without: Collection[str] = ()) -> list[dict[str, float]]:
    """Return the resources of each node that takes work, but for those `without`."""
    left_out = {*without, *nodes_taken_away()}
    return [node["Resources"] for node in ray.nodes() if node["Alive"] and node["NodeID"] not in left_out]


def slots_on(node: Mapping[str, float], cpus: float, gpus: float) -> int:
    """Return the number of trials with these shares that a node with these resources holds."""
    by_cpu = node.get("CPU", 0) / cpus
    # Ray gives shares of a single GPU, or whole ones: two halves of different GPUs are not a GPU.
    by_gpu = (
        node.get("GPU", 0) * int(1 / gpus + 1e-9) if 0 < gpus <= 1 else node.get("GPU", 0) / gpus if gpus else by_cpu
    )
    return int(min(by_cpu, by_gpu) + 1e-9)
