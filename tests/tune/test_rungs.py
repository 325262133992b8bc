"""Asha compares a trial with all that came by before it, also in an earlier run."""

from types import SimpleNamespace

import pytest
from ray.tune.schedulers import TrialScheduler

from dd_ray.tune.rungs import RememberingASHA

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


def test_a_trial_that_goes_on_is_not_compared_with_itself():
    asha = scheduler({"a": evaluations([9, 0.5])})
    assert report(asha, "a", 10, 0.9) == TrialScheduler.CONTINUE
    (_, scores) = asha._brackets[0]._rungs[-1]
    assert scores == {"trial of a": -0.5}


def test_scores_that_are_no_number_are_not_compared_with():
    asha = scheduler({"a": [{"iteration": 10, "error": None}, {"iteration": 20}]})
    assert all(not scores for _, scores in asha._brackets[0]._rungs)
