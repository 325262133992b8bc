"""What the driver records of trials, and says of them, from what Tune tells it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dd_ray.config import TrialConfig
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import Outcome
from dd_ray.trial.report import TrialReport
from dd_ray.tune import progress
from dd_ray.tune.progress import Watcher

CONFIG = TrialConfig(model="beta_vae", beta=0.1)


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    """A sweep with one trial."""
    folder = SweepFolder.at(tmp_path)
    folder.write_manifest({"study": "mine", "axes": {}, "options": {}})
    folder.trial(CONFIG.key).create(CONFIG.to_dict(), "beta=0.1")
    return folder


@pytest.fixture
def watcher(sweep: SweepFolder, monkeypatch: pytest.MonkeyPatch) -> Watcher:
    """It records whenever it is asked to."""
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_RECORDS", -1)
    return Watcher(sweep, iterations=100, num_trials=2, already_done={}, ended=(), shown=True)


def trial_at(report: TrialReport, error_file: Path | None = None) -> Any:
    """What a watcher looks at of a trial of Tune."""
    return SimpleNamespace(
        config={"key": CONFIG.key},
        custom_trial_name="beta=0.1",
        last_result=report.to_tune(),
        error_file=error_file and str(error_file),
        run_metadata=SimpleNamespace(num_failures=3),
    )


def running_in(sweep: SweepFolder, watcher: Watcher) -> list[str]:
    """The trials that the sweep's record says to be running."""
    watcher.record()
    return (sweep.progress() or {})["running"]


def test_a_trial_runs_until_it_has_ended(sweep: SweepFolder, watcher: Watcher) -> None:
    trial = trial_at(TrialReport(iteration=100, state="finished"))
    watcher.on_trial_start(0, [], trial)
    assert running_in(sweep, watcher) == [CONFIG.key] and watcher.left == 2
    watcher.on_trial_complete(0, [], trial)
    assert running_in(sweep, watcher) == [] and watcher.left == 1
    assert sweep.trial(CONFIG.key).outcome() is None  # its worker has written it


@pytest.mark.parametrize("is_removed", [True, False])
def test_of_a_sweep_that_was_removed_or_taken_over_nothing_is_recorded(
    sweep: SweepFolder, watcher: Watcher, *, is_removed: bool
) -> None:
    if is_removed:
        sweep.files.remove("sweep.json")
        watcher.record()
    watcher.stop("lock lost")
    watcher.record()
    watcher.on_trial_error(0, [], trial_at(TrialReport(iteration=50)))
    watcher.close()
    assert sweep.progress() is None and sweep.trial(CONFIG.key).outcome() is None


def test_a_sweep_that_is_removed_stays_so_before_its_command_has_noticed(sweep: SweepFolder, watcher: Watcher) -> None:
    sweep.files.remove_folder()
    watcher.on_trial_error(0, [], trial_at(TrialReport(iteration=50)))
    watcher.on_trial_complete(0, [], trial_at(TrialReport(iteration=40)))
    watcher.close()
    assert not sweep.folder.exists()


def test_a_trial_that_its_scheduler_stopped_is_recorded_as_such(sweep: SweepFolder, watcher: Watcher) -> None:
    sweep.trial(CONFIG.key).record({"iteration": 40, "kl": 1.0})
    watcher.on_trial_complete(0, [], trial_at(TrialReport(iteration=40)))
    assert sweep.trial(CONFIG.key).outcome() == Outcome(state="stopped_early", iteration=40)
    assert watcher.ended == {CONFIG.key}


def test_a_trial_that_ends_with_its_sweep_has_not_ended(sweep: SweepFolder, watcher: Watcher) -> None:
    watcher.stop("interrupted")
    watcher.on_trial_complete(0, [], trial_at(TrialReport(iteration=40)))
    assert sweep.trial(CONFIG.key).outcome() is None and watcher.left == 2


def test_the_bar_ends_full_where_seeds_of_a_failed_suggestion_did_not_start(watcher: Watcher) -> None:
    watcher.on_trial_result(0, [], trial_at(TrialReport(iteration=100)), TrialReport(iteration=100).to_tune())
    watcher.close()
    assert (watcher._bar.n, watcher._bar.total) == (100, 100)


def test_the_rate_is_that_of_the_last_evaluation_though_it_is_of_fewer_iterations(watcher: Watcher) -> None:
    watcher._bar.mininterval = 0
    for reached in (90, 95):
        watcher._advance(CONFIG.key, reached)
    assert watcher._bar.last_print_n == 95


def test_a_trial_that_is_given_up_has_failed_with_its_error(
    sweep: SweepFolder, watcher: Watcher, tmp_path: Path
) -> None:
    trace = tmp_path / "error.txt"
    trace.write_text("Failure # 1\nValueError: first\n\nFailure # 2\nTraceback:\n  more\nOSError: gone\n\n")
    trial = trial_at(TrialReport(iteration=40), trace)
    watcher.on_trial_start(0, [], trial)
    watcher.on_trial_error(0, [], trial)
    outcome = sweep.trial(CONFIG.key).outcome()
    assert outcome is not None and (outcome.state, outcome.iteration, outcome.error) == ("failed", 40, "OSError: gone")
    assert running_in(sweep, watcher) == [] and watcher.left == 1


CUDA = "RuntimeError: CUDA error: an illegal memory access was encountered"


@pytest.mark.parametrize(
    ("below", "error"),
    [
        (f"{CUDA}\nCompile with `TORCH_USE_CUDA_DSA`.", f"{CUDA} Compile with `TORCH_USE_CUDA_DSA`."),
        ("RuntimeError: in Linear:\n\tMissing key: weight.\n", "RuntimeError: in Linear: Missing key: weight."),
        (f"E: first\n{'long ' * 100}", f"E: first {'long ' * 58}long..."),
        ("KeyError: 'x'", "KeyError: 'x'"),
    ],
)
def test_an_error_begins_with_the_first_line_of_its_message(
    below: str, error: str, sweep: SweepFolder, watcher: Watcher, tmp_path: Path
) -> None:
    trace = tmp_path / "error.txt"
    trace.write_text(f'Failure # 1 (now)\nray::train()\n  File "a.py", line 3, in step\n    f()\n    ^^^\n{below}\n')
    trial = trial_at(TrialReport(iteration=40), trace)
    watcher.on_trial_start(0, [], trial)
    watcher.on_trial_error(0, [], trial)
    outcome = sweep.trial(CONFIG.key).outcome()
    assert outcome is not None and outcome.error == error


def test_a_worker_that_was_lost_is_told_by_the_last_line(tmp_path: Path) -> None:
    trace = tmp_path / "error.txt"
    trace.write_text("Failure # 1 (now)\nThe actor died.\n\tpid: 3\nIts worker process has died.\n\n")
    assert progress._error_of(trial_at(TrialReport(iteration=40), trace)) == "Its worker process has died."


def test_failures_count_anew_for_a_trial_that_gets_further(
    sweep: SweepFolder, watcher: Watcher, capsys: pytest.CaptureFixture[str]
) -> None:
    trial = trial_at(TrialReport(iteration=0))
    counts = []
    for iteration in (None, 10, None, 30):
        trial.run_metadata.num_failures = 3
        if iteration is not None:
            sweep.trial(CONFIG.key).save_state(iteration, b"state")
        watcher.on_trial_start(0, [], trial)
        watcher.on_trial_recover(0, [], trial)
        counts.append(trial.run_metadata.num_failures)
        assert running_in(sweep, watcher) == []
    assert counts == [3, 1, 3, 1]
    assert "beta=0.1 is tried again from iteration 30: no message" in capsys.readouterr().err
