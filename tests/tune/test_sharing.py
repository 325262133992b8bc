"""Fair parts of a cluster."""

from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace

import pytest
from ray.exceptions import GetTimeoutError

from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.tune import pack_actors, sharing
from dd_ray.tune.progress import Watcher
from dd_ray.tune.resources import Resources, slots_on
from dd_ray.tune.rounds import Round, Rounds, _Limit
from dd_ray.tune.sharing import NAMESPACE, Presence, fair_share


@pytest.mark.parametrize(
    ("mine", "others", "share"),
    [
        (1.0, [], 1.0),
        (0.3, [], 0.3),
        (1.0, [1.0], 0.5),
        (1.0, [0.2], 0.8),
        (0.2, [1.0], 0.2),
        (1.0, [1.0, 0.1], 0.45),
        (1.0, [1.0, 1.0, 1.0], 0.25),
        (0.4, [0.4, 0.1], 0.4),
        (1.0, [0.0], 1.0),
    ],
)
def test_who_wants_less_leaves_the_rest_to_the_others(mine, others, share):
    assert fair_share(mine, others) == pytest.approx(share)


def test_shares_fill_the_whole_and_no_one_with_less_than_it_wants_has_less_than_another():
    wants = [0.05, 0.9, 0.3, 0.7, 0.3]
    shares = [fair_share(want, wants[:i] + wants[i + 1 :]) for i, want in enumerate(wants)]
    assert sum(shares) == pytest.approx(1)
    unsatisfied = [share for share, want in zip(shares, wants, strict=True) if share < want]
    assert min(unsatisfied) == pytest.approx(max(shares))


class Announced(Presence):
    """A sweep's entry among others of a dictionary, without Ray."""

    def __init__(self, name: str, parts: dict[str, float]) -> None:
        self._name, self._parts = name, parts
        self._entry = SimpleNamespace(set=SimpleNamespace(remote=partial(parts.__setitem__, name)))

    def _others(self) -> list[float]:
        return [part for name, part in self._parts.items() if name != self._name]


@pytest.mark.parametrize(
    ("most", "limits"),
    [((None, None), (50, 50)), ((4, None), (4, 96)), ((4, 30), (4, 30)), ((70, None), (50, 50)), ((4, 200), (4, 96))],
)
def test_a_sweep_that_runs_few_trials_at_a_time_leaves_the_rest_of_a_cluster(monkeypatch, most, limits):
    monkeypatch.setattr("dd_ray.tune.resources._nodes", lambda without: [{"CPU": 60.0}, {"CPU": 40.0}])
    parts: dict[str, float] = {}
    watcher = SimpleNamespace(left=1000, unfit={})
    both = []
    for name, at_a_time in zip("ab", most, strict=True):
        plan = SimpleNamespace(options=SimpleNamespace(max_concurrent=at_a_time))
        resources = Resources(cpus=1, gpus=0, grows=False, shared=True)
        rounds = SimpleNamespace(resources=resources, plan=plan, lock=None, watcher=watcher)
        both.append(_Limit(rounds, Announced(name, parts)))
    for limit in both:
        limit.current()  # each learns of the other
    assert tuple(limit.current() for limit in both) == limits


def test_a_sweep_that_is_alone_has_what_it_wants_and_always_room_for_a_trial():
    alone = Announced("a", {})
    assert [alone.slots(wanted, 100) for wanted in range(1, 120)] == [*range(1, 101), *[100] * 19]
    assert alone.slots(5, 0) == 1  # as of a cluster whose nodes have yet to come
    assert Announced("a", {str(other): 1.0 for other in range(9)}).slots(5, 4) == 1


@pytest.mark.parametrize(
    ("node", "cpus", "gpus", "slots"),
    [
        ({"CPU": 0.3}, 0.1, 0.0, 3),  # by floats, a last digit less
        ({"CPU": 100.0, "GPU": 2.0}, 1, 0.4, 4),  # two on each GPU, and none on both
        ({"CPU": 100.0, "GPU": 5.0}, 1, 2.0, 2),
        ({"CPU": 100.0, "GPU": 1.0}, 1, 1 / 99, 99),
        ({"CPU": 3.0, "GPU": 1.0}, 1, 0.1, 3),
        ({"CPU": 8.0}, 1, 0.5, 0),
    ],
)
def test_a_node_holds_as_many_trials_as_its_cpus_and_single_gpus_do(node, cpus, gpus, slots):
    assert slots_on(node, cpus, gpus) == slots


def test_a_cluster_without_room_runs_a_trial_at_a_time(monkeypatch):
    monkeypatch.setattr("dd_ray.tune.resources._nodes", lambda without: [])
    assert Resources(cpus=1, gpus=0, grows=False).trials_at_a_time(None) == 1


def test_a_sweep_whose_share_shrinks_goes_on_with_fewer_trials_in_the_next_round(tmp_path, monkeypatch):
    """Tune does not tell of the trials that end with a round; counted as running, they would end each that follows."""
    monkeypatch.setattr("dd_ray.tune.resources._nodes", lambda without: [{"CPU": 4.0}])
    watcher = Watcher(
        SweepFolder.at(tmp_path), iterations=1, num_trials=99, already_done={}, ended=(), shown=False, deadline=None
    )
    parts: dict[str, float] = {}
    limits, running = [], []
    resources = Resources(cpus=1, gpus=0, grows=False)
    plan = SimpleNamespace(options=SimpleNamespace(max_concurrent=None))
    rounds = Rounds(plan, None, SimpleNamespace(held=True), resources, watcher, "")

    def next_round(limit):
        limits.append(limit)
        return Round(search_alg=SimpleNamespace(max_concurrent=limit), scheduler=None) if len(limits) < 4 else None

    def fit():
        for key in range(min(limits[-1], 4)):
            watcher.on_trial_start(0, [], SimpleNamespace(config={"key": str(key)}))
        parts["b"] = 1.0  # another sweep begins
        watcher.now_and_then()
        running.append(len(watcher.running))

    monkeypatch.setattr(Rounds, "_tuner", lambda self, this: SimpleNamespace(fit=fit))
    monkeypatch.setattr("dd_ray.tune.rounds.while_ray_lives", lambda work, is_over: work())
    monkeypatch.setattr("dd_ray.tune.rounds.ending_stopped_workers", lambda watcher: nullcontext())
    rounds._run(next_round, Announced("a", parts))
    assert running == [4, 2]


def test_a_sweep_that_does_not_answer_in_time_keeps_its_share(monkeypatch):
    """As on a busy machine: another one would take its part, and end a round to give it back."""
    there, answers = ["mine", "other"], [0.7, GetTimeoutError("2 s")]

    def get(reply, timeout):
        if isinstance(answer := answers.pop(0), Exception):
            raise answer
        return answer

    monkeypatch.setattr(sharing, "list_named_actors", lambda **of: [{"namespace": NAMESPACE, "name": n} for n in there])
    monkeypatch.setattr("ray.get_actor", lambda name, namespace: SimpleNamespace(get=SimpleNamespace(remote=str)))
    monkeypatch.setattr("ray.get", get)
    mine = Presence.__new__(Presence)
    mine._name, mine._known = "mine", {}
    assert [mine._others(), mine._others()] == [[0.7], [0.7]]
    there.remove("other")
    assert mine._others() == []


def test_what_a_sweep_depends_on_is_at_its_driver_and_not_on_a_node_that_may_go(monkeypatch):
    asked, mine = [], "0a" * 28

    def options(**options):
        asked.append(options)
        return SimpleNamespace(remote=lambda: None)

    monkeypatch.setattr("ray.remote", lambda actor: SimpleNamespace(options=options))
    monkeypatch.setattr("ray.kill", lambda actor: None)
    monkeypatch.setattr("ray.get_runtime_context", lambda: SimpleNamespace(get_node_id=lambda: mine))
    monkeypatch.setattr(pack_actors, "wait_until_ready", lambda actor: None)
    Presence()
    with pack_actors.running_registry("/results/mine"):
        assert [(each["scheduling_strategy"].node_id, each["num_cpus"]) for each in asked] == [(mine, 0)] * 2
    assert asked[1]["max_restarts"] == asked[1]["max_task_retries"] == -1
