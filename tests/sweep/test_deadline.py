"""When a sweep is to have ended."""

import re
import time

import pytest

from dd_ray.sweep.deadline import LONGEST_JOB, OF_SLURM, Deadline, deadline_of


def job_ending_in(seconds):
    return {OF_SLURM: str(round(time.time() + seconds))}


def test_without_a_budget_or_a_job_there_is_none():
    assert deadline_of(None, time.monotonic(), {}) is None


@pytest.mark.parametrize(("budget", "to_end"), [(40, 10), (240, 60), (7200, 60)])
def test_a_budget_counts_from_the_start_and_leaves_time_to_end_in(budget, to_end):
    deadline = deadline_of(budget, 1000.0, {})
    assert (deadline.at, deadline.at - deadline.stops_at) == (1000 + budget, to_end)


def test_trials_stop_when_their_time_has_come_and_not_before():
    began = time.monotonic()
    assert deadline_of(40, began - 31, {}).has_come()
    assert not deadline_of(40, began - 20, {}).has_come()


def test_the_limit_of_a_slurm_job_holds_where_no_budget_is_given():
    deadline = deadline_of(None, time.monotonic(), job_ending_in(600))
    assert deadline.at - time.monotonic() == pytest.approx(600, abs=2)
    assert "when Slurm ends this job (--time-budget says otherwise)" in str(deadline)


def test_a_budget_that_is_given_goes_before_the_limit_of_the_job():
    deadline = deadline_of(7200, time.monotonic(), job_ending_in(600))
    assert deadline.at - time.monotonic() == pytest.approx(7200, abs=2)
    assert "after its --time-budget of 2.0 hours" in str(deadline)


@pytest.mark.parametrize("end", ["", "never", "-1"])
def test_an_end_that_is_none_is_no_limit(end):
    assert deadline_of(None, time.monotonic(), {OF_SLURM: end}) is None


@pytest.mark.parametrize("seconds", [-60, 2 * LONGEST_JOB])
def test_an_end_that_has_passed_or_that_no_job_has_is_no_limit(seconds):
    assert deadline_of(None, time.monotonic(), job_ending_in(seconds)) is None


@pytest.mark.parametrize(("days", "when"), [(0, r"\d\d:\d\d:\d\d"), (40, r"\d\d:\d\d on \d\d [A-Z][a-z]+")])
def test_the_day_of_an_end_is_said_where_it_is_another(days, when):
    at = time.monotonic() + days * 86400
    assert re.fullmatch(f"Ends by {when} at the latest, as asked.", str(Deadline(at, at, "as asked")))
