"""Trials whose networks a pack trains, in this process and without Ray."""

import io
import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from dd_ray.errors import UserError
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import TrialFolder
from dd_ray.sweep.plateau import Plateau
from dd_ray.training import Stack
from dd_ray.trial import pack as pack_module
from dd_ray.trial.board import Board
from dd_ray.trial.gpu_memory import check_memory
from dd_ray.trial.pack import PATIENCE, Pack
from dd_ray.trial.run import TrialRun
from dd_ray.trial.trainer import Work
from dd_ray.tune.pack_actors import PackTrainer
from tests.sweep.studies import planned
from tests.trial.test_run import finish, full_disk, without_times, work_on

pytestmark = pytest.mark.usefixtures("few_stills")

EVALUATE_AT = (0, 3, 6)


@pytest.fixture
def works(tmp_path):
    """Work on the four trials of the tiny study, in a folder of a name; the first and last differ in both axes."""

    def works(folder="sweep", evaluate_at=EVALUATE_AT, final_metrics=(), options=()):
        sweep = SweepFolder.at(tmp_path / folder)
        sweep.write_manifest({"study": "tiny", "axes": {}, "options": {}})
        return [work_on(sweep, trial, evaluate_at, final_metrics) for trial in planned(*options)]

    return works


@pytest.fixture
def one_thread():
    """PyTorch computes with one thread, as a worker does."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def in_pack(pack: Pack, work: Work) -> TrialRun:
    """A trial that a pack trains."""
    return TrialRun(work, lambda work: PackTrainer(work, lambda method, *of: getattr(pack, method)(*of)))


def finish_all(runs):
    """Finish trials at the same time, as trials do."""
    threads = [threading.Thread(target=lambda run=run: (finish(run), run.close())) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


def alone(work):
    """A trial that this process trains alone, to its end."""
    run = TrialRun(work)
    finish(run)
    run.close()
    return run


def arrays(folder, iteration):
    return np.load(io.BytesIO(folder.state(iteration)))


def assert_equal_trials(ours, theirs):
    """Evaluations, added scores, state and outcome of two trials are the same, bit for bit."""
    assert without_times(ours.evaluations()) == without_times(theirs.evaluations())
    assert ours.scores() == theirs.scores()
    assert ours.outcome() == theirs.outcome()
    states = [arrays(folder, theirs.states()[0]) for folder in (ours, theirs)]
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[1].files)


@pytest.mark.usefixtures("one_thread")
def test_trials_of_a_pack_are_those_that_a_process_each_would_give(works):
    pack = Pack("cpu", threads=1)
    runs = [in_pack(pack, work) for work in works("pack", final_metrics=["mcc", "notebook"])[::3]]
    finish_all(runs)
    for run, work in zip(runs, works("alone", final_metrics=["mcc", "notebook"])[::3], strict=True):
        assert_equal_trials(run.folder, alone(work).folder)


@pytest.mark.usefixtures("one_thread")
def test_a_fused_pack_gives_the_same_to_rounding(works):
    options = ["--learning-rate", "1e-5"]
    pack = Pack("cpu", threads=1, method="grouped")
    runs = [in_pack(pack, work) for work in works("pack", options=options)[::3]]
    finish_all(runs)
    for run, work in zip(runs, works("alone", options=options)[::3], strict=True):
        for ours, theirs in zip(run.folder.evaluations(), alone(work).folder.evaluations(), strict=True):
            assert ours.keys() == theirs.keys()
            assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
            assert ours["reconstruction_error"] == pytest.approx(theirs["reconstruction_error"], rel=1e-4)


def test_a_pack_runs_ahead_by_one_evaluation_and_waits_there(works):
    pack = Pack("cpu", threads=1)
    run = in_pack(pack, works()[0])
    assert run.advance().iteration == 0
    (member,) = pack._members.values()
    _until(lambda: member.snapshot is not None)
    _until(lambda: member.trial.iteration == 6)
    assert member.snapshot.iteration == 3
    assert [r.iteration for r in finish(run)] == [3, 6]
    run.close()


def _until(condition):
    for _ in range(500):
        if condition():
            return
        threading.Event().wait(0.01)
    pytest.fail("it did not come to that within five seconds")


@pytest.mark.usefixtures("one_thread")
def test_a_trial_that_leaves_while_its_pack_is_ahead_loses_no_evaluation(works):
    pack = Pack("cpu", threads=1)
    work = works("parts")[0]
    first = in_pack(pack, work)
    first.advance()
    (member,) = pack._members.values()
    _until(lambda: member.trial.iteration == 6)
    first.close()
    assert first.folder.states()[0] == 3
    assert len(first.folder.evaluations()) == 1
    second = in_pack(pack, work)
    finish_all([second])
    assert_equal_trials(second.folder, alone(works("alone")[0]).folder)


@pytest.mark.usefixtures("one_thread")
def test_a_trial_whose_process_was_lost_joins_again_from_its_latest_state(works):
    pack = Pack("cpu", threads=1)
    work = works("parts")[0]
    lost = in_pack(pack, work)
    lost.advance(), lost.advance()  # and nothing more is heard of it
    finish_all([in_pack(pack, work)])
    assert_equal_trials(lost.folder, alone(works("alone")[0]).folder)
    assert not pack._members and not pack._stacks


@pytest.mark.usefixtures("one_thread")
def test_an_evaluation_that_could_not_be_recorded_is_made_up_though_the_pack_is_ahead(works, monkeypatch):
    pack = Pack("cpu", threads=1)
    work = works("parts")[0]
    first = in_pack(pack, work)
    first.advance()
    (member,) = pack._members.values()
    _until(lambda: member.trial.iteration == 6)
    monkeypatch.setattr(TrialFolder, "record", full_disk)
    with pytest.raises(OSError, match="No space"):
        first.advance()
    _until(lambda: member.snapshot is not None)
    monkeypatch.undo()
    first.close()
    second = in_pack(pack, work)
    finish_all([second])
    assert_equal_trials(second.folder, alone(works("alone")[0]).folder)


@pytest.mark.usefixtures("one_thread")
def test_an_evaluation_that_has_no_memory_is_tried_again(works, monkeypatch):
    begin, failures = pack_module.PackMember.begin_snapshot, []

    def at_first_without_memory(self):
        fetch = begin(self)

        def fetched():
            if not failures:
                failures.append(self)
                raise torch.OutOfMemoryError("out of memory")
            return fetch()

        return fetched

    monkeypatch.setattr(pack_module.PackMember, "begin_snapshot", at_first_without_memory)
    run = in_pack(Pack("cpu", threads=1), works("pack")[0])
    finish_all([run])
    assert len(failures) == 1
    monkeypatch.undo()
    assert_equal_trials(run.folder, alone(works("alone")[0]).folder)


def _member(iteration):
    return SimpleNamespace(trial=SimpleNamespace(iteration=iteration), stack=STACK, patience=PATIENCE * 100)


STACK = SimpleNamespace(fused=True)


def test_trials_wait_for_those_a_little_behind_and_for_no_others():
    members = [_member(iteration) for iteration in (90, 7, 5, 2)]  # each may wait for two steps
    for _ in range(8):
        for member in pack_module._stepped(STACK, members):
            member.trial.iteration += 1
    assert [member.trial.iteration for member in members] == [98, 13, 13, 10]
    late, later = _member(0), _member(2)
    assert pack_module._stepped(SimpleNamespace(fused=False), [late, later]) == []
    late.stack = later.stack = apart = SimpleNamespace(fused=False)
    assert pack_module._stepped(apart, [late, later]) == [late, later]


def test_a_process_that_was_taken_for_lost_gets_nothing_of_its_successor(works):
    pack = Pack("cpu", threads=1)
    work = works()[0]
    lost, successor = in_pack(pack, work), in_pack(pack, work)
    with pytest.raises(KeyError):
        lost.advance()
    assert [r.iteration for r in finish(successor)] == [0, 3, 6]


def test_a_trial_that_is_not_heard_of_leaves(works, monkeypatch):
    monkeypatch.setattr(pack_module, "SILENCE", 0.2)
    pack = Pack("cpu", threads=1)
    silent = in_pack(pack, works()[0])
    _until(lambda: not pack._members and not pack._stacks)
    with pytest.raises(KeyError):
        silent.advance()


def test_pictures_are_of_their_own_evaluation_though_the_pack_is_ahead(works, monkeypatch):
    seen = {}
    monkeypatch.setattr(Board, "write", lambda self, iteration, metrics, pictures: seen.setdefault(iteration, pictures))
    ahead, together = works("ahead")[0], works("together")[0]
    pack = Pack("cpu", threads=1)
    run = in_pack(pack, ahead)
    (member,) = pack._members.values()
    for iteration in EVALUATE_AT:
        _until(lambda: member.has_news)
        _until(lambda i=iteration: member.trial.iteration == min(i + 3, 6))
        run.advance()
    from_ahead = dict(seen)
    seen.clear()
    alone(together)
    assert [*from_ahead] == [*seen] == [0, 3, 6]
    for iteration, pictures in seen.items():
        assert pictures.keys() == from_ahead[iteration].keys()
        assert all(np.allclose(pictures[name], from_ahead[iteration][name], atol=2) for name in pictures)
    assert any(not np.array_equal(seen[0][name], seen[6][name]) for name in seen[0])


def test_a_trial_that_could_not_join_may_try_again(works, monkeypatch):
    pack = Pack("cpu", threads=1)
    work = works()[0]
    monkeypatch.setattr(TrialFolder, "evaluations", full_disk)
    with pytest.raises(OSError, match="No space"):
        in_pack(pack, work)
    monkeypatch.undo()
    assert pack.is_whole()
    assert [r.iteration for r in finish(in_pack(pack, work))] == [0, 3, 6]


def test_a_trial_at_a_plateau_leaves_the_state_of_its_end_though_its_pack_is_ahead(works):
    rule = Plateau(metric="reconstruction_error", better="min", patience=1, min_delta=1.0, since=1)
    pack, work = Pack("cpu", 1), replace(works(evaluate_at=(0, 3, 6, 1000))[0], plateau=rule)
    run = in_pack(pack, work)
    (member,) = pack._members.values()
    ended = finish(run)[-1]
    assert (ended.state, ended.iteration) == ("at_plateau", 6)
    _until(lambda: member.trial.iteration > 6)
    run.close()
    assert run.folder.states()[0] == run.folder.outcome().iteration == 6 and not len(pack._members)
    other = alone(replace(works("alone", evaluate_at=(0, 3, 6, 1000))[0], plateau=rule))
    assert without_times(run.folder.evaluations()) == without_times(other.folder.evaluations())


def test_a_diverging_trial_ends_as_that_and_harms_no_other(works):
    pack = Pack("cpu", threads=1, method="grouped")
    good, bad = works("good")[0], works("bad", options=["--learning-rate", "1e30"])[0]
    runs = [in_pack(pack, work) for work in (good, bad)]
    finish_all(runs)
    assert [run.folder.outcome().state for run in runs] == ["finished", "diverged"]
    assert all(np.isfinite(arrays(runs[0].folder, 6)[name]).all() for name in ["weights/encoder.mu.bias"])


def test_trials_that_cannot_share_a_stack_share_a_pack(works):
    pack = Pack("cpu", threads=1)
    runs = [in_pack(pack, works(str(n), options=["--num-latents", str(n)])[0]) for n in (2, 3)]
    assert len(pack._stacks) == 2
    finish_all(runs)
    assert [len(run.folder.evaluations()) for run in runs] == [3, 3]


def test_a_pack_that_breaks_tells_all_who_wait_and_nothing_is_lost(works, monkeypatch):
    pack = Pack("cpu", threads=1)
    runs = [in_pack(pack, work) for work in works(evaluate_at=(0, 100_000))[:2]]
    for run in runs:
        run.advance()

    def broken(self, trials):
        raise MemoryError("of no single trial")

    monkeypatch.setattr(Stack, "step_trials", broken)
    for run in runs:
        with pytest.raises(RuntimeError, match="the pack has ended: of no single trial"):
            run.advance(), run.advance()
    assert not pack.is_whole()
    with pytest.raises(RuntimeError, match="the pack has ended"):
        runs[0].close()
    assert [row["iteration"] for row in runs[0].folder.evaluations()] == [0]


def test_a_refused_trial_leaves_the_pack_as_it_was(works, monkeypatch):
    pack = Pack("cpu", threads=1)
    ours, refused = works()[:2]
    in_pack(pack, ours)
    monkeypatch.setattr(pack, "_device", torch.device("cuda"))

    class Properties:
        total_memory = 1000

    monkeypatch.setattr(pack_module.torch.cuda, "get_device_properties", lambda device: Properties)
    with pytest.raises(UserError, match=r"2 trials on a GPU .* and 0 fit; give a smaller batch_size"):
        in_pack(pack, refused)
    assert pack.is_whole() and [m.config.key for m in pack._members.values()] == [ours.key]


@pytest.mark.parametrize("fit", [1, 2, 3, 9, 49, 98, 99, 100, 101, 250, 2500])
def test_the_share_that_is_named_lets_as_many_trials_share_a_gpu_as_fit(fit):
    with pytest.raises(UserError) as caught:
        check_memory(fit + 1, need=9, memory=10 * fit)
    share = float(str(caught.value).split("--gpus-per-trial ")[1].split()[0])
    at_a_time = int(1 / share + 1e-9)  # as Ray counts them
    check_memory(at_a_time, need=9, memory=10 * fit)
    assert at_a_time >= 0.95 * fit and (at_a_time == fit or fit > 100)


@pytest.mark.parametrize(("trials", "fits"), [(9, True), (10, False)])
def test_more_trials_than_fit_on_a_gpu_are_refused_with_the_remedy(trials, fits):
    if fits:
        check_memory(trials, need=100, memory=1000)
        return
    with pytest.raises(UserError, match=r"10 trials .* and 9 fit; give --gpus-per-trial 0.1111 or more"):
        check_memory(trials, need=100, memory=1000)
