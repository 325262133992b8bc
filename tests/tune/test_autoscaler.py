"""What a growing cluster could still give, from what its autoscaler reports."""

from types import SimpleNamespace

import pytest

from dd_ray.sweep.options import SweepOptions
from dd_ray.tune import autoscaler
from dd_ray.tune.resources import Resources

pytestmark = pytest.mark.usefixtures("no_node_goes")
GROUP = "abc123"


def status(*, present=True, infeasible=(), pending=(), version=7, seen=7):
    """A report of the autoscaler, as Ray's message has it."""

    def requests(names):
        """Requests by their names, each for a CPU unless a dictionary says otherwise."""
        bundles = names if isinstance(names, dict) else {name: {"CPU": 1} for name in names}
        return [
            SimpleNamespace(details=f"{name}:PENDING", requests=[SimpleNamespace(resources_bundle=bundle)])
            for name, bundle in bundles.items()
        ]

    return SimpleNamespace(
        autoscaling_state=SimpleNamespace(
            autoscaler_state_version=int(present),
            infeasible_gang_resource_requests=requests(infeasible),
            last_seen_cluster_resource_state_version=seen,
        ),
        cluster_resource_state=SimpleNamespace(
            pending_gang_resource_requests=requests(pending), cluster_resource_state_version=version
        ),
    )


@pytest.fixture
def cluster(monkeypatch):
    """A cluster whose reports are given one after another, and the placement groups that were taken back."""
    removed = []

    def reports(*statuses, placed=False, nodes=()):
        remaining = list(statuses)
        report = lambda: remaining.pop(0) if len(remaining) > 1 else remaining[0]  # noqa: E731
        monkeypatch.setattr(autoscaler, "autoscaler_status", report)
        group = SimpleNamespace(id=SimpleNamespace(hex=lambda: GROUP), wait=lambda seconds: placed)
        monkeypatch.setattr(autoscaler.ray.util, "placement_group", lambda bundles: group)
        monkeypatch.setattr(autoscaler.ray.util, "remove_placement_group", removed.append)
        monkeypatch.setattr(autoscaler.ray, "nodes", lambda: [{"Alive": True, "Resources": node} for node in nodes])
        monkeypatch.setattr(autoscaler, "SECONDS_TO_ANSWER", 0.2)
        return removed

    return reports


def test_without_an_autoscaler_no_node_will_come(cluster):
    removed = cluster(status(present=False))
    assert not autoscaler.is_present()
    assert not autoscaler.would_start_a_node_for({"CPU": 1})
    assert not removed


def test_what_it_calls_infeasible_will_never_come(cluster):
    removed = cluster(status(), status(pending=[GROUP]), status(pending=[GROUP], infeasible=[GROUP]))
    assert not autoscaler.would_start_a_node_for({"GPU": 9})
    assert len(removed) == 1


@pytest.mark.parametrize(
    ("theirs", "comes"),
    [({"CPU": 1}, True), ({"CPU": 1, "GPU": 1}, True), ({"CPU": 0.5}, False), ({"GPU": 1}, False)],
)
def test_a_node_that_starts_for_others_will_have_room_for_ours(cluster, theirs, comes):
    """The limit of nodes was reached by those that start for another sweep: this one was said never to fit."""
    full = status(infeasible=[GROUP, "fff"], pending={GROUP: {"CPU": 1}, "fff": {"CPU": 1}, "eee": theirs})
    removed = cluster(status(), full)
    assert autoscaler.would_start_a_node_for({"CPU": 1}) == comes
    assert len(removed) == 1
    cluster(status(), status(infeasible=[GROUP], pending=[GROUP]), nodes=[theirs])  # it has come just now
    assert autoscaler.would_start_a_node_for({"CPU": 1}) == comes


def test_another_s_infeasible_request_is_not_ours(cluster):
    other = {"infeasible": ["fff"], "pending": [GROUP]}
    cluster(status(), status(**other, version=7, seen=6), status(**other, version=8, seen=8))
    assert autoscaler.would_start_a_node_for({"CPU": 1})


def test_a_request_that_it_has_seen_and_not_refused_will_be_met(cluster):
    removed = cluster(status(), status(pending=[GROUP], version=7, seen=7), status(pending=[GROUP], version=9, seen=8))
    assert autoscaler.would_start_a_node_for({"CPU": 1})
    assert len(removed) == 1


def test_an_autoscaler_that_says_nothing_gives_nothing(cluster):
    removed = cluster(status(pending=[GROUP], version=7, seen=7))
    assert not autoscaler.would_start_a_node_for({"CPU": 1})
    assert len(removed) == 1


@pytest.mark.parametrize(
    ("grows", "most", "at_a_time"), [(False, None, 4), (False, 3, 3), (True, None, 16), (True, 5, 5)]
)
def test_a_cluster_that_grows_gets_more_trials_than_it_holds(monkeypatch, grows, most, at_a_time):
    monkeypatch.setattr("ray.nodes", lambda: [{"NodeID": "n", "Alive": True, "Resources": {"CPU": 2.0}}] * 2)
    monkeypatch.setattr(autoscaler, "autoscaler_status", status)
    assert Resources(cpus=1, gpus=0, grows=grows).trials_at_a_time(most) == at_a_time


@pytest.mark.parametrize(("waits", "at_a_time"), [({"CPU": 1}, 4), ({"CPU": 0.25, "GPU": 0.5}, 16), ({"GPU": 8}, 16)])
def test_one_that_has_grown_to_its_end_gets_what_it_holds(monkeypatch, waits, at_a_time):
    """Else two sweeps that share it would be given all of it each, and the first would keep that."""
    monkeypatch.setattr("ray.nodes", lambda: [{"NodeID": "n", "Alive": True, "Resources": {"CPU": 4.0}}])
    monkeypatch.setattr(autoscaler, "autoscaler_status", lambda: status(infeasible={GROUP: waits}))
    assert Resources(cpus=1, gpus=0, grows=True).trials_at_a_time(None) == at_a_time


UP, GPU_WORKER = [{"CPU": 0.0}], {"CPU": 8.0, "GPU": 1.0}


@pytest.mark.parametrize(
    ("nodes", "comes", "options", "asked"),
    [
        (UP, GPU_WORKER, {}, (0.25, 1 / 40, True)),
        (UP, GPU_WORKER, {"pack": "off"}, (1, 0.1, False)),
        (UP, GPU_WORKER, {"gpus_per_trial": 0.05}, (0.25, 0.05, True)),
        (UP, GPU_WORKER, {"gpus_per_trial": 0.0}, (1, 0, False)),
        (UP, {"CPU": 8.0}, {}, (1, 0, False)),
        ([*UP, {"CPU": 8.0}], GPU_WORKER, {}, (0.25, 1 / 40, True)),
        ([{"CPU": 2.0}], GPU_WORKER, {}, (0.25, 1 / 40, True)),
        ([{"CPU": 2.0}], GPU_WORKER, {"gpus_per_trial": 0.0}, (1, 0, False)),
        ([{"CPU": 2.0}], {"CPU": 8.0}, {}, (1, 0, False)),
        ([*UP, GPU_WORKER], {"CPU": 8.0}, {}, (0.25, 1 / 40, True)),
    ],
)
def test_trials_run_on_the_gpus_of_workers_that_are_yet_to_come(monkeypatch, nodes, comes, options, asked):
    """A cluster of Kubernetes or a cloud has a head alone at first, and starts the workers that are asked for.

    Those with GPUs are started for trials that ask for CPUs alone, too: what CPUs the head has must not decide.
    """
    monkeypatch.setattr("ray.nodes", lambda: [{"NodeID": "n", "Alive": True, "Resources": node} for node in nodes])
    monkeypatch.setattr(autoscaler, "is_present", lambda: True)
    monkeypatch.setattr(
        autoscaler, "would_start_a_node_for", lambda bundle: all(comes.get(kind, 0) >= n for kind, n in bundle.items())
    )
    found = Resources.of_cluster(SweepOptions(**options), shared=True)
    assert (found.cpus, found.gpus, found.packed) == asked
