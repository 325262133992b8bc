"""What nodes answer before a sweep starts or when they join it, and what is made of it."""

import threading

import pytest
from ray import tune

from dd_ray.errors import UserError
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.versions import difference, versions
from dd_ray.tune import nodes
from dd_ray.tune.cluster import Resources
from dd_ray.tune.progress import Watcher


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A cluster of one node, which answers as it is told, and the sweep that it is asked about."""
    sweep = SweepFolder.at(tmp_path / "sweep")
    monkeypatch.setattr("ray.nodes", lambda: [{"NodeID": "n", "NodeManagerAddress": "10.0.0.7", "Alive": True}])

    def answers(writes=True, **answer):
        def ask(found, location, marker, replies, is_over):
            assert sweep.files.exists(marker)
            if writes:
                sweep.files.write(replies["n"], b"")
            return {"n": answer}

        monkeypatch.setattr(nodes, "_ask", ask)
        return sweep

    return answers


def test_a_node_like_ours_is_welcome_and_nothing_is_left_behind(cluster):
    sweep = cluster(versions=versions(), sees=True)
    nodes.check_nodes(sweep)
    assert not list(sweep.folder.iterdir())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"missing": "No module named 'dd_ray'"}, "10.0.0.7 lacks software .No module named 'dd_ray'"),
        ({"versions": versions() | {"torch": "1.0.0"}, "sees": True}, "10.0.0.7 has torch 1.0.0 instead of"),
        ({"versions": versions() | {"dd_ray": "0.1.0 (source ffff)"}, "sees": True}, "dd_ray 0.1.0 .source ffff"),
        (
            {"versions": versions(), "storage": "access was refused"},
            "cannot use --storage as this machine does: access was refused",
        ),
        ({"versions": versions(), "sees": False}, "10.0.0.7 and this machine do not see the same"),
        ({"versions": versions(), "sees": True, "writes": False}, "10.0.0.7 and this machine do not see the same"),
    ],
)
def test_a_node_that_differs_is_refused_by_its_address(cluster, answer, words):
    sweep = cluster(**answer)
    with pytest.raises(UserError, match=words):
        nodes.check_nodes(sweep)
    assert not list(sweep.folder.iterdir())


def test_builds_for_other_hardware_are_the_same_version():
    assert "+" not in versions()["torch"]
    assert difference({"torch": "2.13.0"}, {"torch": "2.13.0"}) == ""


def test_nodes_that_join_later_are_checked_and_left_out_if_they_differ(tmp_path, monkeypatch):
    sweep, left_out, asked = SweepFolder.at(tmp_path / "sweep"), {}, []
    silent = nodes._SilentNodeError("node late starts no worker within 90 s")
    monkeypatch.setattr(nodes, "SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(
        "ray.nodes",
        lambda: [{"NodeID": n, "NodeManagerAddress": n, "Alive": n != "dead"} for n in ("old", "dead", "like", "late")],
    )

    def ask(found, location, marker, replies, is_over):
        (node,) = found
        asked.append(node)
        if asked.count("late") == 1 and node == "late":
            raise silent
        sweep.files.write(replies[node], b"")
        return {node: {"versions": versions() if node == "like" else {}, "sees": True}}

    monkeypatch.setattr(nodes, "_ask", ask)
    seen = threading.Event()

    def leave_out(node, why):
        left_out[node] = why
        seen.set()

    with nodes.looking_at_newcomers(sweep, ("old",), leave_out):
        assert seen.wait(10)
    assert left_out.keys() == {"late"} and "node late has dd_ray none instead of" in left_out["late"]
    assert asked == ["like", "late", "late"]
    assert not list(sweep.folder.iterdir())


def test_a_node_that_is_left_out_has_no_room_and_gets_no_request(tmp_path, monkeypatch):
    found = [{"NodeID": n, "Alive": True, "Resources": {"CPU": 2.0}} for n in ("good", "bad")]
    monkeypatch.setattr("ray.nodes", lambda: found)
    watcher = Watcher(
        SweepFolder.at(tmp_path), iterations=1, num_trials=9, already_done={}, ended=(), shown=False, deadline=None
    )
    resources = Resources(cpus=1, gpus=0, grows=False)
    assert resources.trials_at_a_time(None, watcher.unfit) == 4
    assert resources.request(watcher.unfit) == {"cpu": 1, "gpu": 0}
    watcher.leave_out("bad", "node 10.0.0.7 has another torch.")
    assert watcher.ending == "shares changed"  # after which the sweep goes on
    assert resources.trials_at_a_time(None, watcher.unfit) == 2
    elsewhere = tune.PlacementGroupFactory([{"CPU": 1}], bundle_label_selector=[{"ray.io/node-id": "!in(bad)"}])
    assert resources.request(watcher.unfit) == elsewhere
