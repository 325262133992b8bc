"""A trial ends at a plateau by its recorded evaluations alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dd_ray.cli import parse
from dd_ray.errors import UserError
from dd_ray.storage.trial_records import Outcome
from dd_ray.sweep.plateau import Plateau
from tests.sweep.studies import TINY


def rows(values):
    """Evaluations with these values of a metric, from iteration 0 on."""
    return [{"iteration": i, "mcc": value, "error": value} for i, value in enumerate(values)]


def rule(patience=2, min_delta=0.0, since=0, better="min"):
    """A rule by the error, or by MCC."""
    metric = "error" if better == "min" else "mcc"
    return Plateau(metric=metric, better=better, patience=patience, min_delta=min_delta, since=since)


@pytest.mark.parametrize(
    ("values", "options", "reached"),
    [
        ([3, 2, 1], {}, False),
        ([1, 1, 1], {}, True),  # no better than the best is no improvement
        ([1, 2, 0.5, 2], {}, False),
        ([1, 2, 0.5, 2, 2], {}, True),
        ([1, 2], {"patience": 1}, True),
        ([1, 2, 3], {"better": "max"}, False),
        ([3, 2, 1], {"better": "max"}, True),
        ([1, 0.95, 0.9], {"min_delta": 0.1}, True),  # 0.05, and not more than 0.1, below the best
        ([1, 0.95, 0.85], {"min_delta": 0.1}, False),
        ([0, 5, 4, 3], {"since": 1}, False),  # the network before training is no measure
        ([0, 5, 4, 3], {}, True),
        ([None, float("nan")], {}, True),
        ([1, None, 0.5, float("nan")], {}, False),
        ([], {}, False),
    ],
)
def test_a_plateau_is_so_many_evaluations_without_an_improvement(values, options, reached):
    assert rule(**options).is_reached(rows(values)) == reached


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.floats(-2, 2)), max_size=12), st.integers(1, 4), st.floats(0, 1))
def test_what_is_reached_stays_reached_whatever_comes_after(values, patience, min_delta):
    by_length = [rule(patience, min_delta).is_reached(rows(values[:n])) for n in range(len(values) + 1)]
    assert by_length == sorted(by_length)


@pytest.mark.parametrize(
    ("options", "ended"),
    [
        ("--stop-at-plateau 2", True),
        ("--stop-at-plateau 2 --iterations 60", True),
        ("--stop-at-plateau 3", False),
        ("--stop-at-plateau 2 --metric linear_r2", False),
        ("", False),
    ],
)
def test_a_trial_at_a_plateau_has_ended_unless_the_plan_sees_none(options, ended):
    plan = parse(TINY, ["--grace-period", "1", *options.split()])
    improving = [{"linear_r2": i / 9, "reconstruction_error": max(1.0, 3 - i), "iteration": i} for i in range(5)]
    assert plan.has_ended(Outcome(state="at_plateau", iteration=4), lambda: improving) == ended


@pytest.mark.parametrize(("evaluate_at", "can"), [([0, 1, 2, 3], False), ([0, 1, 2, 3, 4], True)])
def test_a_trial_can_end_early_where_an_evaluation_is_left_after_the_first_and_two_without_gain(evaluate_at, can):
    assert rule(patience=2, since=1).can_be_reached(evaluate_at) == can


def test_the_plan_says_when_a_trial_ends(capsys):
    plan = parse(TINY, "--stop-at-plateau 2 --min-delta 0.01 --evaluations 6 --grace-period 2 --scheduler none".split())
    assert plan.compared_by() == [
        "a trial ends at a plateau: after 2 evaluations in a row, from iteration 2 on, without lower "
        "reconstruction_error by more than 0.01"
    ]
    few = parse(TINY, "--stop-at-plateau 2 --evaluations 2 --scheduler none".split())
    assert few.compared_by()[0].endswith("reconstruction_error, of which there are too few for that (--evaluations)")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--stop-at-plateau 0", "--stop-at-plateau 0 is out of range; give 1 or more."),
        ("--min-delta 0.1", "--min-delta 0.1 has no effect without --stop-at-plateau N; give both."),
        ("--stop-at-plateau 2 --confirm 5", "--stop-at-plateau 2 ends some; leave one out."),
        ("--stop-at-plateau 2 --min-delta inf", "--min-delta inf is out of range; give a finite number."),
        ("--time-budget inf", "--time-budget inf is out of range; give a finite number."),
        ("--stop-at-plateau 2 --min-delta -1", "--min-delta -1.0 is out of range; give 0 or more."),
        (
            "--stop-at-plateau 2 --scheduler none --metric loss",
            "--metric loss cannot rank these trials, since neither more nor less of it makes a better network; choose",
        ),
        (
            "--model supervised_encoder supervised_decoder --beta --gamma",
            "since not all of them report it; they have none in common; leave some out, or give --scheduler none.",
        ),
        ("--stop-at-plateau 2 --scheduler none --grace-period 99", "--grace-period 99 is more than --iterations 6"),
    ],
)
def test_what_ends_no_trial_is_refused(options, said):
    with pytest.raises(UserError, match=said):
        parse(TINY, options.split())
