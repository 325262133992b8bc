"""Schedulers compare a trial with all that came by before it, also in an earlier run."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from ray.tune.schedulers import TrialScheduler

from dd_ray.cli import parse
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.tune import medians, rungs
from dd_ray.tune.medians import MedianRule
from dd_ray.tune.private import rungs_of
from dd_ray.tune.run import _judge
from dd_ray.tune.rungs import RememberingASHA
from tests.sweep.studies import TINY

OPTIONS = {"time_attr": "iteration", "metric": "error", "mode": "min", "max_t": 100, "grace_period": 10}


def scheduler(recorded, **options):
    return RememberingASHA(recorded, **{**OPTIONS, "reduction_factor": 2, **options})


def report(asha, name, iteration, error):
    """What becomes of a trial that reports; it is taken up at its first report."""
    trial = SimpleNamespace(trial_id=f"trial of {name}", config={"key": name})
    if trial.trial_id not in asha._trial_info:
        asha.on_trial_add(None, trial)
    return asha.on_trial_result(None, trial, {"iteration": iteration, "error": error})


def evaluations(errors):
    """Evaluations every 10 iterations."""
    return [{"iteration": 10 * i, "error": error} for i, error in enumerate(errors)]


def test_without_a_past_the_first_trial_goes_on_whatever_its_score():
    assert report(scheduler({}), "bad", 10, 9.0) == TrialScheduler.CONTINUE


def test_a_trial_is_compared_with_those_of_an_earlier_run():
    asha = scheduler({"a": evaluations([9, 0.1]), "b": evaluations([9, 0.2])})
    assert report(asha, "good", 10, 0.05) == TrialScheduler.CONTINUE
    assert report(asha, "bad", 10, 0.5) == TrialScheduler.STOP


@pytest.mark.parametrize("mode", ["min", "max"])
def test_a_resumed_sweep_decides_as_an_uninterrupted_one(mode):
    sign = 1 if mode == "min" else -1
    past = {"a": [9, 0.3, 0.2, 0.2], "b": [9, 0.1, 0.1], "c": [9, 0.2]}
    past = {name: evaluations([sign * error for error in errors]) for name, errors in past.items()}
    never_stopped = scheduler({}, mode=mode)
    for name, rows in past.items():
        for row in rows:
            report(never_stopped, name, row["iteration"], row["error"])
    resumed = scheduler(past, mode=mode)
    for name, iteration, error in [("c", 20, 0.3), ("b", 40, 0.05), ("d", 10, 0.15), ("d", 20, 0.4), ("a", 40, 0.3)]:
        decisions = [report(asha, name, iteration, sign * error) for asha in (never_stopped, resumed)]
        assert decisions[0] == decisions[1], (name, iteration)


def test_a_score_at_the_last_iteration_is_in_no_rung_whether_the_sweep_was_resumed_or_not():
    past = {"a": {20: 0.2, 100: 0.1}, "b": {20: 0.1, 90: 0.3}}  # b is out of time at 90; rungs are at 10, 20, 40 and 80
    running = scheduler({})
    for name, errors in past.items():
        (iteration, error), (last, final) = errors.items()
        assert report(running, name, iteration, error) == TrialScheduler.CONTINUE
        trial = SimpleNamespace(trial_id=f"trial of {name}", config={"key": name})
        running.on_trial_complete(None, trial, {"iteration": last, "error": final})
    rows = {name: [{"iteration": at, "error": error} for at, error in errors.items()] for name, errors in past.items()}
    for asha in (running, scheduler(rows)):
        assert [list(scores.values()) for scores in rungs_of(asha)] == [[-0.3], [], [-0.2, -0.1], []]
        assert report(asha, "c", 80, 0.2) == TrialScheduler.CONTINUE


def test_a_trial_that_goes_on_is_not_compared_with_itself():
    asha = scheduler({"a": evaluations([9, 0.5])})
    assert report(asha, "a", 10, 0.9) == TrialScheduler.CONTINUE
    (_, scores) = asha._brackets[0]._rungs[-1]
    assert scores == {"trial of a": -0.5}


def test_later_scores_are_not_entered_at_a_rung_that_was_passed_over():
    errors = {20: 0.4, 30: 0.3, 60: 0.2}  # rungs are at 10, 20, 40 and 80
    running = scheduler({})
    for name, better in (("a", 0.0), ("b", 0.1)):
        verdicts = [report(running, name, iteration, error - better) for iteration, error in errors.items()]
        assert verdicts == [TrialScheduler.CONTINUE] * 3
    resumed = scheduler({"a": [{"iteration": iteration, "error": error} for iteration, error in errors.items()]})
    for asha in (running, resumed):
        assert [len(scores) > 0 for _, scores in asha._brackets[0]._rungs] == [False, True, True, False]
        # Of a command that evaluates more often: at 10, the others have no score.
        assert report(asha, "c", 10, 0.5) == TrialScheduler.CONTINUE


def test_scores_that_are_no_number_are_not_compared_with():
    asha = scheduler({"a": [{"iteration": 10, "error": None}, {"iteration": 20}]})
    assert all(not scores for _, scores in asha._brackets[0]._rungs)


def test_brackets_are_of_the_sizes_of_hyperband_and_a_trial_stays_in_its_own():
    options = {"grace_period": 10, "max_t": 100, "reduction_factor": 3, "brackets": 3}
    hyperband, again = scheduler({}, **options), scheduler({}, **options)
    brackets = [hyperband._bracket_of(f"{number:016x}") for number in range(6000)]
    assert brackets == [again._bracket_of(f"{number:016x}") for number in range(6000)]
    # η^r / (r + 1) for r = 2, 1, 0 halvings: 3, 1.5 and 1.
    shares = [brackets.count(bracket) / len(brackets) for bracket in range(3)]
    assert shares == pytest.approx([3 / 5.5, 1.5 / 5.5, 1 / 5.5], abs=0.03)


def test_trials_of_a_bracket_are_compared_with_its_own_alone_from_its_first_rung_on():
    hyperband = scheduler({}, brackets=2)
    keys = [[f"{n}" for n in range(50) if hyperband._bracket_of(f"{n}") == bracket][:2] for bracket in range(2)]
    past = {keys[0][0]: evaluations([9, 0.1, 0.1]), keys[1][0]: evaluations([9, 0.3, 0.3])}
    resumed = scheduler(past, brackets=2)
    assert report(resumed, keys[1][1], 10, 0.9) == TrialScheduler.CONTINUE  # its first rung is at 20
    assert report(resumed, keys[1][1], 20, 0.2) == TrialScheduler.CONTINUE
    assert report(resumed, keys[0][1], 10, 0.2) == TrialScheduler.STOP


@pytest.mark.parametrize(("grace", "factor", "number"), [(1, 3, 4), (2, 2, 4), (4, 3, 2)])
def test_hyperband_has_as_many_brackets_as_asha_has_rungs(grace, factor, number):
    plan = parse(TINY, f"--iterations 30 --grace-period {grace} --reduction-factor {factor}".split())
    (bracket,) = rungs.asha(plan, {})._brackets
    assert len(rungs.hyperband(plan, {})._brackets) == len(bracket._rungs) == number


@pytest.mark.parametrize(("name", "verdict"), [("linear_r2", "CONTINUE"), ("reconstruction_error", "STOP")])
def test_the_median_takes_what_is_better_from_the_metric(name, verdict):
    plan = parse(TINY, ["--scheduler", "median", "--grace-period", "1", "--metric", name])
    rule = medians.median(plan, {key: [{"iteration": 1, name: 0.5}] for key in "abc"})
    result = {"iteration": 1, name: 0.6}
    assert rule.on_trial_result(None, SimpleNamespace(config={"key": "d"}), result) == verdict


def median(recorded, sign=-1.0):
    return MedianRule(recorded, metric="error", sign=sign, grace_period=10, iterations=40)


def told(rule, key, iteration, error):
    trial = SimpleNamespace(trial_id=f"trial of {key}", config={"key": key})
    return rule.on_trial_result(None, trial, {"iteration": iteration, "error": error})


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_a_best_that_is_worse_than_the_median_of_the_others_means_is_stopped(sign):
    # Means from iteration 10 to 20: 0.2, 0.3 and 0.5, whose median is 0.3; what comes later does not count.
    errors = {"a": [9, 0.3, 0.1, 0.0], "b": [9, 0.4, 0.2], "c": [9, 0.6, 0.4, 0.3]}
    past = {key: evaluations([-sign * error for error in row]) for key, row in errors.items()}
    for best, verdict in ((0.29, TrialScheduler.CONTINUE), (0.31, TrialScheduler.STOP)):
        rule = median(past, sign)
        assert told(rule, "d", 10, -sign * best) == TrialScheduler.CONTINUE  # the median is 0.4 there
        assert told(rule, "d", 20, -sign * 0.9) == verdict


def test_the_median_is_that_of_its_definition_whenever_trials_are_evaluated():
    rng = np.random.default_rng(0)
    scores: dict[str, dict[int, float]] = {}
    rule, verdicts = median({}), []
    for _ in range(400):  # at iterations of their own, also before those that are known, and again
        key, iteration, error = f"k{rng.integers(8)}", int(rng.integers(5, 40)), float(rng.random())
        if iteration >= 10:
            scores.setdefault(key, {})[iteration] = -error
        others = [of for other, of in scores.items() if other != key and min(of) <= iteration <= max(of)]
        means = [np.mean([score for at, score in of.items() if at <= iteration]) for of in others]
        best = max((score for at, score in scores.get(key, {}).items() if at <= iteration), default=math.inf)
        stopped = len(means) >= 3 and best < np.median(means)
        verdicts.append(told(rule, key, iteration, error))
        assert verdicts[-1] == (TrialScheduler.STOP if stopped and iteration >= 10 else TrialScheduler.CONTINUE)
    assert 20 < verdicts.count(TrialScheduler.STOP) < 380


def test_the_median_asks_for_three_others_a_score_and_an_iteration_before_the_last():
    past = {key: evaluations([9, 0.1, 0.1, 0.1, 0.1]) for key in "abc"}
    two = {key: past[key] for key in "ab"}
    assert told(median(two), "d", 20, 0.9) == TrialScheduler.CONTINUE
    assert told(median(past), "d", 20, 0.9) == TrialScheduler.STOP
    for iteration, error in ((0, 0.9), (20, None), (20, float("nan")), (40, 0.9)):
        assert told(median(past), "d", iteration, error) == TrialScheduler.CONTINUE


def test_a_score_at_the_median_goes_on_and_one_that_is_no_number_counts_for_no_other():
    rule = median({key: evaluations([9, 0.1, 0.1]) for key in "abc"})
    assert told(rule, "d", 20, 0.1) == TrialScheduler.CONTINUE
    assert told(rule, "e", 20, math.nan) == TrialScheduler.CONTINUE
    assert told(rule, "f", 20, 0.9) == TrialScheduler.STOP


def test_the_evaluation_in_which_a_trial_diverged_is_not_compared_with(tmp_path):
    words = ["--metric", "linear_r2", "--grace-period", "1", "--storage", str(tmp_path)]
    plan, sweep = parse(TINY, words), SweepFolder.at(tmp_path / "sweep")
    sound, diverged = plan.trials[:2]
    for trial, loss in ((sound, 9.0), (diverged, math.nan)):
        folder = sweep.trial(trial.key)
        folder.create(trial.config.to_dict(), trial.label)
        folder.record({"iteration": 1, "loss": loss, "linear_r2": 0.5})
    first, *later = reversed(rungs_of(_judge(plan, sweep, plan.source(sweep))))
    assert first == {sound.key: 0.5} and not any(later)
