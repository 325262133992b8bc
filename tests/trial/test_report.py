"""What a trial reports comes through Ray Tune's results as it was."""

import pytest

from dd_ray.trial.report import TrialReport

REPORTS = [
    TrialReport(iteration=3),
    TrialReport(iteration=3, metrics={"kl": 1.0, "mcc": 0.5}, notes=("a state was damaged",)),
    TrialReport(iteration=6, metrics={"kl": 1.0}, state="finished"),
    TrialReport(iteration=6, state="diverged"),
    TrialReport(iteration=2, storage="storage full"),
]


@pytest.mark.parametrize("report", REPORTS)
def test_a_report_is_the_same_after_tune_has_added_to_it(report):
    assert TrialReport.from_tune(report.to_tune() | {"training_iteration": 4, "config": {"key": "a"}}) == report


@pytest.mark.parametrize("report", REPORTS)
def test_tune_sees_metrics_and_whether_the_trial_is_done(report):
    result = report.to_tune()
    assert result["done"] == (report.state is not None)
    assert {**report.metrics, "iteration": report.iteration}.items() <= result.items()


@pytest.mark.parametrize("result", [None, {}, {"done": True}])
def test_a_trial_that_has_reported_nothing_is_at_its_start(result):
    assert TrialReport.from_tune(result) == TrialReport(iteration=0)
