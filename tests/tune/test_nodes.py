"""What nodes answer before a sweep starts or when they join it, and what is made of it."""

import threading
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from ray import tune
from ray.exceptions import RayTaskError, TaskUnschedulableError

from dd_ray.errors import UserError
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.versions import difference, versions
from dd_ray.tune import nodes
from dd_ray.tune.gpus import check_gpus
from dd_ray.tune.progress import Watcher
from dd_ray.tune.resources import Resources
from dd_ray.tune.rounds import Rounds

pytestmark = pytest.mark.usefixtures("no_node_goes")


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
    silent, said = nodes._SilentNodeError("node late starts no worker within 90 s."), []
    monkeypatch.setattr(nodes, "SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(
        "ray.nodes",
        lambda: [{"NodeID": n, "NodeManagerAddress": n, "Alive": n != "dead"} for n in ("old", "dead", "like", "late")],
    )

    def ask(found, location, marker, replies, is_over):
        (node,) = found
        asked.append(node)
        if asked.count("late") < 3 and node == "late":
            raise silent
        sweep.files.write(replies[node], b"")
        return {node: {"versions": versions() if node == "like" else {}, "sees": True}}

    monkeypatch.setattr(nodes, "_ask", ask)
    seen = threading.Event()

    def leave_out(node, why):
        left_out[node] = why
        seen.set()

    with nodes.looking_at_newcomers(sweep, ("old",), leave_out, said.append):
        assert seen.wait(10)
    assert left_out.keys() == {"late"} and "node late has dd_ray none instead of" in left_out["late"]
    assert asked == ["like", "late", "late", "late"]
    assert said == ["node late starts no worker within 90 s. It is asked again."]  # once
    assert not list(sweep.folder.iterdir())


def test_one_that_fails_a_further_check_is_left_out(cluster):
    sweep, left_out, seen = cluster(versions=versions(), sees=True), {}, threading.Event()

    def check_gpu(node, is_over):
        assert node == "n" and not is_over()
        raise UserError("PyTorch finds no GPU.")

    def leave_out(node, why):
        left_out[node] = why
        seen.set()

    with nodes.looking_at_newcomers(sweep, (), leave_out, print, check_gpu):
        assert seen.wait(10)
    assert left_out == {"n": "PyTorch finds no GPU."}


GIB = 2**30


def gpu_node(address, cpus=64.0):
    """A node of one GPU, as Ray describes it."""
    return {"NodeManagerAddress": address, "Resources": {"CPU": cpus, "GPU": 1.0}}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((80 * GIB, GIB // 10, True), None),
        ((0, 0, False), r"PyTorch finds no GPU on node 10\.0\.0\.8, where Ray gives 0\.1 of one"),
        ((16 * GIB, GIB // 10, False), r"--precision bf16 needs .* and that of node 10\.0\.0\.8 is one before it"),
        ((2 * GIB, GIB, True), r"^node 10\.0\.0\.8: 10 trials on a GPU of 2 GiB take about 1,024 MiB each, and 1 fit"),
    ],
)
def test_each_node_is_asked_for_its_gpu(monkeypatch, answer, words):
    """Not one of them alone, which may be the one that is fit."""
    good = gpu_node("10.0.0.7"), (80 * GIB, GIB // 10, True)
    monkeypatch.setattr("dd_ray.tune.gpus._ask_gpus", lambda *asked: [good, (gpu_node("10.0.0.8"), answer)])
    options = SimpleNamespace(precision="bf16", max_concurrent=None)
    plan = SimpleNamespace(options=options, num_trials=30, examples=())
    resources = Resources(cpus=1, gpus=0.1, grows=False, packed=True)
    if words is None:
        check_gpus(resources, plan)
        return
    with pytest.raises(UserError, match=words):
        check_gpus(resources, plan)


@pytest.mark.parametrize(("cpus", "refused"), [(6.0, False), (8.0, True)])
def test_a_gpu_has_to_hold_no_more_trials_than_its_node_has_cpus_for(monkeypatch, cpus, refused):
    """A machine with a small GPU mostly has few CPUs: the sweep was refused for trials that Ray never gives it."""
    answer = 16 * GIB, GIB // 2, True
    monkeypatch.setattr("dd_ray.tune.gpus._ask_gpus", lambda *asked: [(gpu_node("10.0.0.8", cpus), answer)])
    plan = SimpleNamespace(options=SimpleNamespace(precision="tf32", max_concurrent=None), num_trials=90, examples=())
    with pytest.raises(UserError, match="32 trials on a GPU of 16 GiB") if refused else nullcontext():
        check_gpus(Resources(cpus=0.25, gpus=1 / 40, grows=False, packed=True), plan)


def test_a_node_that_is_being_taken_away_keeps_no_sweep_from_starting(cluster, monkeypatch):
    """As a spot machine is: it is alive until its trials have ended or its time is up, and Ray gives it no task."""

    def get(reply):
        raise TaskUnschedulableError("The task is not schedulable")

    cluster()
    monkeypatch.setattr("ray.get", get)
    monkeypatch.setattr(nodes, "SECONDS_TO_LEAVE", 0.0)
    assert nodes._answer_of("n", "10.0.0.7", "reply") is None


@pytest.mark.parametrize(
    ("raised", "words"),
    [
        (RuntimeError("CUDA error: unknown error\nCUDA kernel errors"), r"^the GPU of node 10\.0\.0\.8 does not work "),
        (UserError("mine.py cannot be read."), r"^mine\.py cannot be read\.$"),
    ],
)
def test_a_node_whose_gpu_fails_is_named_and_so_left_out(monkeypatch, raised, words):
    """Anything but a UserError would end the command, and keep the node where it joins later."""

    def get(reply):
        raise RayTaskError("_of_gpu", "a traceback", raised).as_instanceof_cause()

    asked = SimpleNamespace(options=lambda **options: SimpleNamespace(remote=lambda *task: "reply"))
    node = {"NodeID": "0a" * 28, "NodeManagerAddress": "10.0.0.8", "Alive": True, "Resources": {"CPU": 1.0, "GPU": 1.0}}
    monkeypatch.setattr("ray.nodes", lambda: [node])
    monkeypatch.setattr("ray.remote", lambda **options: lambda task: asked)
    monkeypatch.setattr("ray.wait", lambda replies, **options: (replies, []))
    monkeypatch.setattr("ray.get", get)
    plan = SimpleNamespace(options=SimpleNamespace(precision="float32", max_concurrent=None), num_trials=1, examples=())
    with pytest.raises(UserError, match=words):
        check_gpus(Resources(cpus=1, gpus=0.1, grows=False), plan)


def test_a_node_that_is_being_taken_away_has_no_room_though_it_is_alive(monkeypatch):
    """Sweeps that count on it would share more than there is, until it has gone."""
    found = [{"NodeID": n, "Alive": True, "Resources": {"CPU": 2.0}} for n in ("stays", "goes", "unfit")]
    monkeypatch.setattr("ray.nodes", lambda: found)
    monkeypatch.setattr("dd_ray.tune.resources.nodes_taken_away", {"goes": 0}.keys)
    resources = Resources(cpus=1, gpus=0, grows=False)
    assert (resources.slots(), resources.slots({"unfit": "why"})) == (4, 2)


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


def test_an_autoscaled_cluster_is_asked_for_no_more_nodes_once_some_were_unfit(tmp_path, monkeypatch, capsys):
    """Each that is left out ends for want of work, and would be replaced by one of its kind, at the user's cost."""
    nodes_of = {"head": {"CPU": 0.0}, "good": {"CPU": 2.0}}
    monkeypatch.setattr(
        "ray.nodes", lambda: [{"NodeID": n, "Alive": True, "Resources": found} for n, found in nodes_of.items()]
    )
    monkeypatch.setattr("dd_ray.tune.autoscaler.has_no_more_for", lambda bundle: False)
    watcher = Watcher(SweepFolder.at(tmp_path), iterations=1, num_trials=99, already_done={}, ended=())
    plan = SimpleNamespace(options=SimpleNamespace(max_concurrent=None))
    rounds = Rounds(plan, None, None, Resources(cpus=1, gpus=0, grows=True), watcher, "")
    limits = []

    def next_round(limit):
        limits.append(limit)

    for node in ("a", "b", "c", "d"):
        rounds._run(next_round, None)
        nodes_of[node] = {"CPU": 2.0}
        rounds._leave_out(node, f"node {node} has torch 1.0.0.")
    rounds._run(next_round, None)
    assert limits == [24, 24, 24, 2, 2]
    assert capsys.readouterr().err.count("asks for no more") == 1
    del nodes_of["good"]
    with pytest.raises(UserError, match=r"^node d has torch 1\.0\.0\. The cluster started 4 nodes .* no more\."):
        rounds._run(next_round, None)
    watcher.close()
