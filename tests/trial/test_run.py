"""One trial in training, without Ray."""

import io
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.event_file_writer import AtomicCounter

from dd_ray.data import make_dataset
from dd_ray.metrics import COMPARABLE, FURTHER
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_attempts import attempts
from dd_ray.storage.trial_records import TakenOverError, TrialFolder
from dd_ray.sweep.plateau import Plateau
from dd_ray.training import Trial, dump_state
from dd_ray.trial import run as trial_run
from dd_ray.trial.held_out_sets import held_out_sets
from dd_ray.trial.run import TrialRun, Work
from dd_ray.trial.states import latest_state
from tests.small import small
from tests.sweep.studies import planned

pytestmark = pytest.mark.usefixtures("few_stills")

EVALUATE_AT = (0, 3, 6)


@pytest.fixture
def start(tmp_path):
    """Starts a trial of the tiny study in a folder, with other config values if asked."""
    open_runs = []

    def start(folder="sweep", evaluate_at=EVALUATE_AT, final_metrics=(), **options):
        arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        trial = planned("--beta", "0.1", "--gamma", "0.5", *arguments)[0]
        sweep = SweepFolder.at(tmp_path / folder)
        sweep.write_manifest({"study": "tiny", "command": ["dd-ray tiny", "--name", "a b"], "axes": {}, "options": {}})
        open_runs.append(TrialRun(work_on(sweep, trial, evaluate_at, final_metrics)))
        return open_runs[-1]

    yield start
    for run in open_runs:
        run.close()


def work_on(sweep, trial, evaluate_at, final_metrics):
    """A trial that is new in a sweep, as a worker is told of it."""
    sweep.trial(trial.key).create(trial.config.to_dict(), trial.label)
    return Work(
        sweep=sweep.location,
        key=trial.key,
        evaluate_at=evaluate_at,
        device="cpu",
        threads=1,
        precision="float32",
        hparams=["beta"],
        final_metrics=final_metrics,
    )


def finish(run):
    """Advance until the trial says that it is done."""
    results = [run.advance()]
    while results[-1].state is None:
        results.append(run.advance())
    return results


def test_the_times_that_are_recorded_have_passed(start):
    began = time.perf_counter()
    run = start()
    finish(run)
    passed = time.perf_counter() - began
    rows = run.folder.evaluations()
    assert [row["iteration"] for row in rows] == list(EVALUATE_AT)
    assert rows[0]["training_seconds"] < rows[1]["training_seconds"] < rows[2]["training_seconds"]
    assert all(0 <= row["training_seconds"] <= row["seconds"] <= passed for row in rows)


def full_disk(folder, *content):
    raise OSError(28, "No space left on device")


def without_times(evaluations):
    return [{k: v for k, v in row.items() if "seconds" not in k and "speed" not in k} for row in evaluations]


def test_a_trial_is_evaluated_untrained_and_at_each_point(start):
    run = start()
    results = finish(run)
    assert [r.iteration for r in results] == [0, 3, 6]
    assert [row["iteration"] for row in run.folder.evaluations()] == [0, 3, 6]
    assert run.folder.outcome().state == results[-1].state == "finished"


def test_every_metric_is_reported_and_recorded(start):
    run = start()
    results = finish(run)
    of_other_trials = {"factor_error", "factor_error_seen", "reconstruction_error_seen"}
    of_other_trials |= {"reconstruction_error_hidden", "reconstruction_error_dropped"}
    expected = {*COMPARABLE, "loss"} - of_other_trials | {"loss/kl", "kl/latent_3", "linear_r2/circle_x"}
    assert expected <= set(results[-1].metrics) and expected <= set(run.folder.evaluations()[-1])
    frames = run.folder.describe()["config"]["batch_size"] * run.folder.describe()["config"]["num_frames"]
    speeds = [results[-1].metrics[f"speed/{what}_per_second"] for what in ("frames", "iterations")]
    assert speeds[0] == pytest.approx(frames * speeds[1]) and speeds[1] > 0


def test_costly_scores_are_of_the_last_evaluation_and_of_the_untrained_network(start):
    run = start(final_metrics=["mcc", "notebook"])
    results = finish(run)
    columns = {column for name in ("mcc", "notebook") for column in FURTHER[name].all_columns}
    rows = run.folder.evaluations()
    assert (
        not any(columns & set(row) for row in rows[:-1])
        and columns <= set(rows[-1])
        and columns <= set(results[-1].metrics)
    )
    assert set(run.folder.scores()) == {0} and columns <= set(run.folder.scores()[0])
    assert rows[-1]["seconds"] - rows[-1]["training_seconds"] > rows[1]["seconds"] - rows[1]["training_seconds"]


def test_costly_scores_do_not_change_what_is_trained_and_are_the_same_after_a_kill(start, monkeypatch):
    undisturbed = start("undisturbed", final_metrics=["mcc"])
    finish(undisturbed)
    plain = start("plain")
    finish(plain)
    first = start("parts", final_metrics=["mcc"])
    first.advance(), first.advance()
    monkeypatch.setattr(TrialFolder, "record", full_disk)
    with pytest.raises(OSError, match="No space"):
        first.advance()
    monkeypatch.undo()
    second = start("parts", final_metrics=["mcc"])
    assert [r.iteration for r in finish(second)] == [6]
    assert without_times(second.folder.evaluations()) == without_times(undisturbed.folder.evaluations())
    assert second.folder.scores() == undisturbed.folder.scores()
    assert second.folder.files.read("scores.jsonl").count(b"\n") == 1
    states = [np.load(io.BytesIO(run.folder.state(6))) for run in (second, undisturbed, plain)]
    assert all(np.array_equal(states[0][name], state[name]) for state in states[1:] for name in states[0].files)


def test_a_trial_that_goes_further_has_its_costly_scores_at_the_new_end_too(start):
    finish(start(final_metrics=["mcc"]))
    longer = start(evaluate_at=(0, 3, 6, 9), final_metrics=["mcc"])
    finish(longer)
    assert [row["iteration"] for row in longer.folder.evaluations() if "mcc_stills" in row] == [6, 9]


def test_progress_is_reported_between_evaluations(start):
    run = start(evaluate_at=(0, 100_000))
    run.advance()
    result = run.advance(seconds=0.05)
    assert 0 < result.iteration < 100_000
    assert not result.metrics and result.state is None


def test_an_interrupted_trial_goes_on_and_equals_an_undisturbed_one(start):
    whole = start("whole")
    finish(whole)
    first = start("parts", evaluate_at=(0, 3, 100_000))
    first.advance(), first.advance(), first.advance(seconds=0.02)
    reached = first.trainer.member.trial.iteration
    first.close()
    second = start("parts", evaluate_at=(0, 3, reached + 5))
    assert second.trainer.member.trial.iteration == reached > 3
    finish(second)
    undisturbed = start("undisturbed", evaluate_at=(0, 3, reached + 5))
    finish(undisturbed)
    assert without_times(second.folder.evaluations()) == without_times(undisturbed.folder.evaluations())
    states = [np.load(io.BytesIO(run.folder.state(reached + 5))) for run in (second, undisturbed)]
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0].files)


def test_a_trial_out_of_its_time_is_no_finished_one_and_goes_on_with_more_of_it(start):
    first = start("parts", evaluate_at=(0, 3, 100_000))
    first.advance(), first.advance()
    first.work = replace(first.work, time_budget=first.clock.total + 0.05)
    last, ended = finish(first)[-1], first.folder.outcome()
    assert last.state == ended.state == "out_of_time" and ended.seconds >= first.work.time_budget
    assert first.folder.states()[0] == ended.iteration == last.iteration > 3
    assert [row["iteration"] for row in first.folder.evaluations()] == [0, 3]
    first.close()
    points = (0, 3, ended.iteration + 5)
    second, undisturbed = start("parts", evaluate_at=points), start("undisturbed", evaluate_at=points)
    assert second.trainer.began_at == ended.iteration
    finish(second), finish(undisturbed)
    assert without_times(second.folder.evaluations()) == without_times(undisturbed.folder.evaluations())
    states = [np.load(io.BytesIO(run.folder.state(points[-1]))) for run in (second, undisturbed)]
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0].files)


def test_time_that_is_up_at_an_evaluation_ends_a_trial_there(start):
    run = start()
    run.work = replace(run.work, time_budget=0.0)
    results = finish(run)
    assert (len(results), results[0].state, run.folder.states()) == (1, "out_of_time", [0])
    assert results[0].metrics and [row["iteration"] for row in run.folder.evaluations()] == [0]


PLATEAU = Plateau(metric="reconstruction_error", better="min", patience=2, min_delta=1.0, since=1)
"""No trial of the tiny study becomes better by 1, so that each ends at its third evaluation from iteration 1 on."""


def with_plateau(run):
    """The run, to end at a plateau."""
    run.work = replace(run.work, plateau=PLATEAU)
    return run


def test_a_trial_at_a_plateau_ends_there_and_goes_on_without_the_rule(start):
    points = (0, 1, 2, 3, 4, 5)
    first = with_plateau(start("parts", evaluate_at=points))
    last, ended = finish(first)[-1], first.folder.outcome()
    assert (last.state, last.iteration) == (ended.state, ended.iteration) == ("at_plateau", 3) and last.metrics
    first.close()
    assert first.folder.states()[0] == 3
    finish(start("parts", evaluate_at=points)), finish(start("undisturbed", evaluate_at=points))
    parts, undisturbed = (start(name, evaluate_at=points).folder for name in ("parts", "undisturbed"))
    assert without_times(parts.evaluations()) == without_times(undisturbed.evaluations())


def test_a_trial_that_was_killed_before_it_could_say_so_ends_at_the_same_plateau(start):
    points = (0, 1, 2, 3, 4, 5)
    for _ in range(4):  # as if killed after each evaluation, the last time before its outcome was written
        killed = start(evaluate_at=points)
        killed.advance()
        killed.close()
    assert killed.evaluated_at == 3 and killed.folder.outcome() is None
    (result,) = finish(with_plateau(start(evaluate_at=points)))
    assert (result.state, result.iteration) == ("at_plateau", 3)
    assert [row["iteration"] for row in killed.folder.evaluations()] == [0, 1, 2, 3]


def test_a_trial_that_completes_is_finished_though_it_is_at_a_plateau(start):
    run = with_plateau(start(evaluate_at=(0, 1, 2, 3)))
    assert finish(run)[-1].state == run.folder.outcome().state == "finished"


def test_a_finished_trial_goes_further_when_asked(start):
    finish(start())
    longer = start(evaluate_at=(0, 3, 6, 9))
    assert [r.iteration for r in finish(longer)] == [9]
    assert [row["iteration"] for row in longer.folder.evaluations()] == [0, 3, 6, 9]


def test_an_evaluation_lost_between_state_and_record_is_made_up(start):
    first = start()
    first.advance(), first.advance()
    first.close()
    lines = (first.folder.files.local / "metrics.jsonl").read_text().splitlines(keepends=True)
    recorded = first.folder.evaluations()
    (first.folder.files.local / "metrics.jsonl").write_text(lines[0])
    second = start()
    finish(second)
    assert not second.notes
    assert without_times(second.folder.evaluations())[:2] == without_times(recorded)


def test_a_trial_that_has_lost_evaluations_before_its_state_is_trained_again(start):
    undisturbed = start("undisturbed")
    finish(undisturbed)
    first = start()
    first.advance(), first.advance(), first.advance()
    first.close()
    (first.folder.files.local / "outcome.json").unlink()
    lines = (first.folder.files.local / "metrics.jsonl").read_text().splitlines(keepends=True)
    (first.folder.files.local / "metrics.jsonl").write_text(lines[0])
    second = start()
    assert "trained again" in second.notes[0] and f"aside/{first.folder.key}-1" in second.notes[0]
    assert second.trainer.began_at == 0
    finish(second)
    assert without_times(second.folder.evaluations()) == without_times(undisturbed.folder.evaluations())


def test_what_is_in_the_place_of_tensorboard_s_folder_is_set_aside(start):
    first = start()
    first.close()
    folder = first.folder.files.local.parents[1]
    shutil.rmtree(folder / "tensorboard")
    (folder / "tensorboard").write_bytes(bytes(10))
    finish(start())
    assert (folder / "tensorboard").is_dir() and (folder / "aside" / "tensorboard-1").read_bytes() == bytes(10)


def test_the_state_of_another_trial_is_not_gone_on_from(start):
    other = start("other", seed=1)
    finish(other)
    first = start()
    first.advance(), first.advance()
    first.close()
    first.folder.save_state(3, other.folder.state(3))
    second = start()
    assert second.trainer.began_at == 0 and f"of trial {other.folder.key}" in second.notes[0]


@pytest.mark.parametrize(("write", "goes_on_from"), [("save_state", 3), ("record", 6)])
def test_a_full_disk_at_either_write_of_the_last_evaluation_loses_nothing(start, monkeypatch, write, goes_on_from):
    first = start()
    first.advance(), first.advance()
    monkeypatch.setattr(TrialFolder, write, full_disk)
    with pytest.raises(OSError, match="No space"):
        first.advance()
    monkeypatch.undo()
    second = start()
    assert second.trainer.member.trial.iteration == goes_on_from
    assert [r.iteration for r in finish(second)] == [6]
    assert [row["iteration"] for row in second.folder.evaluations()] == [0, 3, 6]


def test_a_state_of_another_iteration_than_it_is_named_after_is_not_gone_on_from(tmp_path):
    trial = Trial(small("beta_vae"))
    folder = SweepFolder.at(tmp_path).trial(trial.config.key)
    for iteration in (0, 6):
        folder.save_state(iteration, dump_state(trial.state()))
    state, (note,) = latest_state(folder)
    assert state is not None and state.iteration == 0 and "it is that of iteration 0" in note


@pytest.mark.parametrize(("damaged", "goes_on_from"), [([6], 3), ([6, 3], 0)])
def test_damaged_states_are_gone_back_from_and_nothing_is_recorded_twice(start, damaged, goes_on_from):
    first = start()
    finish(first)
    first.close()
    for iteration in damaged:
        first.folder.save_state(iteration, first.folder.state(iteration)[:1000])
    second = start(evaluate_at=(0, 3, 6, 9))
    assert second.trainer.member.trial.iteration == goes_on_from
    assert len(second.notes) == len(damaged) and "damaged" in second.notes[0]
    finish(second)
    undisturbed = start("undisturbed", evaluate_at=(0, 3, 6, 9))
    finish(undisturbed)
    assert without_times(second.folder.evaluations()) == without_times(undisturbed.folder.evaluations())


def test_a_worker_that_was_taken_for_dead_writes_nothing_more(start):
    first = start()
    first.advance()
    second = start()
    finish(second)
    with pytest.raises(TakenOverError):
        first.advance()
    assert [row["iteration"] for row in second.folder.evaluations()] == [0, 3, 6]
    assert second.folder.states() == [6, 3]


def test_a_worker_that_was_taken_for_dead_leaves_no_state_as_it_ends(start, monkeypatch):
    first = start(evaluate_at=(0, 100_000))
    first.advance()
    second = start(evaluate_at=(0, 100_000))
    first.advance(seconds=0.02)
    first.close()
    assert second.folder.states() == [0]


@pytest.mark.parametrize("how", ["closed", "advanced"])
def test_a_trial_that_was_removed_does_not_come_back_with_its_worker(start, how):
    run = start(evaluate_at=(0, 3, 100_000))
    run.advance()
    shutil.rmtree(run.folder.files.local)
    if how == "advanced":
        with pytest.raises(FileNotFoundError):
            run.advance()
    run.close()
    assert not run.folder.files.local.exists()


def test_a_trial_that_is_removed_before_its_worker_has_begun_does_not_come_back(start, monkeypatch):
    folder = start("other").folder  # of the same config
    monkeypatch.setattr(trial_run, "_local", lambda work: shutil.rmtree(SweepFolder.at(work.sweep).folder / "cells"))
    with pytest.raises(FileNotFoundError):
        start()
    assert folder.files.exists("config.json") and not (folder.files.local.parents[2] / "sweep" / "cells").exists()


def test_a_state_is_left_behind_between_evaluations_too(start, monkeypatch):
    monkeypatch.setattr(trial_run, "SECONDS_PER_STATE", 0.0)
    run = start(evaluate_at=(0, 100_000))
    run.advance()
    result = run.advance(seconds=0.02)
    assert run.folder.states()[0] == result.iteration > 0


def test_a_step_that_raises_leaves_the_last_good_state(start, monkeypatch):
    run = start()
    run.advance(), run.advance()
    before = run.folder.states()

    def half_a_step(iterations=1):
        run.trainer.member.trial.iteration += 1
        raise MemoryError

    monkeypatch.setattr(run.trainer.member.stack, "step", half_a_step)
    with pytest.raises(MemoryError):
        run.advance()
    run.close()
    assert run.folder.states() == before == [3, 0]


def test_tensorboard_of_a_resumed_trial_has_each_evaluation_once(start, monkeypatch):
    """Also where the resumed trial's event file would come before the first one's, by a name that ends with 10."""
    monkeypatch.setattr("tensorboard.summary.writer.event_file_writer._global_uid", AtomicCounter(9))
    first = start()
    first.advance(), first.advance()
    first.close()
    second = start()
    finish(second)
    second.close()
    folder = second.folder.files.local.parents[1] / "tensorboard" / "beta=0.1,gamma=0.5,seed=0"
    assert [e.step for e in EventAccumulator(str(folder)).Reload().Scalars("evaluation/mcc")] == [0, 3, 6]


def test_weights_that_break_in_the_last_step_end_the_trial_as_diverged(start):
    run = start(evaluate_at=(0, 1), **{"learning-rate": 1e30})
    assert finish(run)[-1].state == run.folder.outcome().state == "diverged"


def test_a_trial_whose_outcome_was_lost_ends_at_the_evaluation_in_which_it_had_diverged(start):
    def begun():
        return start(evaluate_at=(0, 1, 2), learning_rate=100)

    ended = finish(begun())[-1]
    assert (ended.state, ended.iteration) == ("diverged", 1)
    run = begun()
    run.folder.reopen()
    (again,) = finish(run)
    assert (again.state, again.iteration, again.metrics) == ("diverged", 1, {})
    assert run.folder.outcome().iteration == 1


def test_a_diverged_network_with_cross_entropy_is_no_failure(start):
    run = start(**{"learning-rate": 1e30, "likelihood": "bernoulli"})
    assert finish(run)[-1].state == "diverged"


def test_a_loss_that_is_not_a_number_ends_the_trial_as_diverged(start):
    run = start(**{"learning-rate": 1e30})
    results = finish(run)
    assert results[-1].state == run.folder.outcome().state == "diverged"
    assert not any(np.isnan(v) for r in results for v in r.metrics.values())


def test_time_is_accounted_for(start):
    run = start()
    finish(run)
    rows = run.folder.evaluations()
    assert all(0 <= row["training_seconds"] <= row["seconds"] for row in rows)
    assert rows[0]["seconds"] < rows[1]["seconds"] < rows[2]["seconds"]


def test_tensorboard_has_scalars_pictures_and_hparams(start):
    run = start(final_metrics=["mcc"])
    finish(run)
    run.close()
    folder = run.folder.files.local.parents[1] / "tensorboard" / "beta=0.1,gamma=0.5,seed=0"
    events = EventAccumulator(str(folder)).Reload()
    tags = events.Tags()
    assert {"evaluation/reconstruction_error", "evaluation/kl", "kl/latent_0", "loss/kl"} <= set(tags["scalars"])
    assert [event.step for event in events.Scalars("evaluation/mcc")] == [0, 3, 6]
    assert [event.step for event in events.Scalars("final/mcc_stills")] == [6]
    assert not [tag for tag in tags["scalars"] if tag.endswith("_active")]
    assert len(tags["images"]) == 2
    assert all([event.step for event in events.Images(tag)] == [0, 3, 6] for tag in tags["images"])
    assert any("hparams" in name for name in events.summary_metadata)
    text = {tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in tags["tensors"]}
    assert "| beta | 0.1 |" in text["config/text_summary"]
    assert text["command/text_summary"] == "    dd-ray tiny --name 'a b'"
    assert "question/text_summary" in text


def test_tensorboard_has_pictures_of_a_few_evaluations_and_no_curve_without_a_value(start):
    run = start(evaluate_at=tuple(range(12)), gamma=1)
    finish(run)
    run.close()
    folder = next((run.folder.files.local.parents[1] / "tensorboard").iterdir())
    events = EventAccumulator(str(folder), size_guidance={"images": 0}).Reload()
    assert all([event.step for event in events.Images(tag)] == [0, 3, 6, 8, 11] for tag in events.Tags()["images"])
    # At γ = 1 nothing moves, so there is no motion to compare with.
    assert run.folder.evaluations()[-1]["prediction_ratio"] is None
    assert not {"evaluation/prediction_ratio", "evaluation/straightness"} & set(events.Tags()["scalars"])
    assert all(np.isfinite(event.value) for tag in events.Tags()["scalars"] for event in events.Scalars(tag))


def test_the_held_out_set_of_one_trial_is_not_that_of_another_which_differs_in_its_pictures_or_its_split():
    large, circles = small("beta_vae", network="mlp", image_size=64), small("beta_vae", num_circles=2)
    split = [small("beta_vae", split="levels", train_share=share) for share in (0.3, 1.0)]
    plain = small("beta_vae")
    for config in (plain, large, circles, *split, plain):
        dataset = make_dataset(config)
        held_out, seen = held_out_sets(config, dataset)
        assert held_out.images.equal(dataset.test_set().images)
        assert (seen is None) == (dataset.split == "none")
        assert seen is None or seen.images.equal(dataset.seen_set().images)
    other = small("beta_vae", beta=0.1)
    assert held_out_sets(plain, make_dataset(plain))[0] is held_out_sets(other, make_dataset(other))[0]


def test_a_trial_with_a_split_reports_the_error_of_seen_data_beside_that_of_held_out_data(start):
    finish(start(split="levels", **{"train-share": 0.5}))
    run = start(split="levels", **{"train-share": 0.5})
    rows = run.folder.evaluations()
    assert all(0 < row["reconstruction_error_seen"] != row["reconstruction_error"] for row in rows)


def test_each_attempt_at_a_trial_says_how_it_ended(start, monkeypatch):
    first = start()
    first.advance()
    first.close()
    second = start()
    with monkeypatch.context() as patched:
        patched.setattr(second.trainer, "train", lambda seconds: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            second.advance()
    start()  # it is killed: nobody closes it before the next one has begun
    last = start()
    finish(last)
    tried = attempts(last.folder.files)
    assert [(a.recorded, a.how, a.iteration) for a in tried] == [
        (-1, "left", 0),
        (0, "error", 0),
        (0, None, None),
        (0, "finished", 6),
    ]
    assert (tried[1].error, {a.device for a in tried}) == ("ZeroDivisionError: division by zero", {"cpu"})


def test_a_trial_whose_network_cannot_be_made_has_an_attempt_too(start):
    run = start()
    run.close()

    def without_memory(work):
        raise MemoryError("too large")

    with pytest.raises(MemoryError):
        TrialRun(run.work, without_memory)
    assert attempts(run.folder.files)[-1].error == "MemoryError: too large"
