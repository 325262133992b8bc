"""What a command prints of its search when nothing runs any more."""

import re
from pathlib import Path

import pytest

from dd_ray import results
from dd_ray.results.suggestions import SuggestionsCameOut, load, print_best, search_of
from dd_ray.storage.sweep_folder import SweepFolder
from tests.sweep.searching import bowl, plan_of, run


def test_the_best_suggestion_is_printed_with_its_interval_and_the_seeds_to_train_it_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(tmp_path, *"--suggestions 4 --seed 7 3 --scheduler none".split())
    trained = run(plan, bowl)
    error = min(
        sum(bowl(trial)[1]["reconstruction_error"] or 0 for trial in trained[i : i + 2]) / 2 for i in (0, 2, 4, 6)
    )
    print_best(load(plan.location), search_of(SweepFolder.open(plan.location)))
    printed = capsys.readouterr().out
    assert "Best suggestion of 4 finished suggestions" in printed
    # Student's t of two values that lie 0.04 apart: 12.706 × 0.04 / 2.
    assert f" {error:.4g} ± 0.25 " in printed
    assert "with other seeds, --seed 8 and on" in printed


def test_a_front_is_printed_from_the_best_in_its_first_objective_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = plan_of(tmp_path, *"--objectives mcc reconstruction_error --suggestions 12 --seeds 1".split())
    run(plan, bowl)
    table = load(plan.location)
    print_best(table, search_of(SweepFolder.open(plan.location)))
    front = table[table["on_front"]].sort_values("mcc", ascending=False)
    assert 1 < len(front) < 12
    rows = re.findall(r"^ +(\d+) ", capsys.readouterr().out, re.MULTILINE)
    assert [*map(int, rows)] == front["suggestion"].tolist()


def test_what_is_left_of_a_search_that_ends_early_is_what_was_interrupted_or_never_made(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, *"--suggestions 5 --seeds 2 --scheduler none".split())
    for ended, left in ((5, "3 suggestions"), (4, "1 suggestion"), (9, "")):  # each in a command that goes on
        trained = run(plan, bowl, kill_after=ended)
        table = results.load(plan.location)
        came_out = SuggestionsCameOut(plan, SweepFolder.open(plan.location), table)
        assert came_out.left(table) == left
        assert {trial.key for trial in trained} <= came_out.keys
    assert len(came_out.keys) == 10
