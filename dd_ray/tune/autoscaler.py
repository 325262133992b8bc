"""Asks an autoscaled cluster for what it could still start. Ray's own counts only know the nodes that are up.

It is read from the reports of the autoscaler (v2, the default of `ray up` since 2.50 and of KubeRay with Ray since
2.47).
"""

import time
from collections.abc import Mapping
from typing import Any

import ray

from dd_ray.tune.private import autoscaler_status

SECONDS_TO_ANSWER = 60
SECONDS_BETWEEN_LOOKS = 0.5


def is_present() -> bool:
    """Return whether the cluster starts nodes for waiting requests."""
    return autoscaler_status().autoscaling_state.autoscaler_state_version > 0


def has_no_more_for(bundle: Mapping[str, float]) -> bool:
    """Return whether requests for the same kinds of resources wait that no node which may still come has room for."""
    groups = autoscaler_status().autoscaling_state.infeasible_gang_resource_requests
    return any(set(request.resources_bundle) == set(bundle) for group in groups for request in group.requests)


def would_start_a_node_for(bundle: Mapping[str, float]) -> bool:
    """Return whether the autoscaler would start a node for a request, or has started one that others fill for now.

    The request is really made: in its next round, after some seconds, the autoscaler reports those that it cannot
    fulfil.
    """
    if not is_present():
        return False
    group = ray.util.placement_group([dict(bundle)])
    try:
        return _sees_a_way(group, bundle, time.monotonic() + SECONDS_TO_ANSWER)
    finally:
        ray.util.remove_placement_group(group)


def _sees_a_way(group: Any, bundle: Mapping[str, float], deadline: float) -> bool:
    asked_at: int | None = None
    while time.monotonic() < deadline:
        if group.wait(SECONDS_BETWEEN_LOOKS):
            return True
        status = autoscaler_status()
        if _has(status.autoscaling_state.infeasible_gang_resource_requests, group):
            return _has_or_starts_one_as_large(status, bundle)
        state = status.cluster_resource_state
        if asked_at is None and _has(state.pending_gang_resource_requests, group):
            asked_at = state.cluster_resource_state_version
        seen = status.autoscaling_state.last_seen_cluster_resource_state_version
        if asked_at is not None and seen > asked_at:
            return True
    return False


def _has_or_starts_one_as_large(status: Any, bundle: Mapping[str, float]) -> bool:
    """Return whether a node that has come, or one that comes for another request, holds as much when it is free."""
    refused = {group.details for group in status.autoscaling_state.infeasible_gang_resource_requests}
    groups = status.cluster_resource_state.pending_gang_resource_requests
    met = [each.resources_bundle for group in groups if group.details not in refused for each in group.requests]
    come = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return any(all(held.get(kind, 0) >= number for kind, number in bundle.items()) for held in (*come, *met))


def _has(requests: Any, group: Any) -> bool:
    return any(request.details.startswith(group.id.hex()) for request in requests)
