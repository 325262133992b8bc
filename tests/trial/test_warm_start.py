"""Trials that begin with the weights of a trial of another sweep: what is taken, told, recorded and refused."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dd_ray.cli import describe, parse
from dd_ray.config import TrialConfig
from dd_ray.errors import UserError
from dd_ray.report.about import about
from dd_ray.results import final, load, print_cells
from dd_ray.storage.starts import WEIGHTS, keep_start
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import Outcome
from dd_ray.sweep.manifest import check_agrees, make_manifest
from dd_ray.sweep.plan import Plan
from dd_ray.training import Stack, load_state
from dd_ray.trial.run import TrialRun
from dd_ray.trial.trainer import Work
from tests.storage.object_store import ObjectStore
from tests.sweep.studies import TINY

Asked = Callable[..., Plan]
USUAL = ("--beta", "0.1", "--gamma", "0.5", "--evaluations", "2")


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    """Makes the plan of a command into the storage of the test."""
    return lambda *words: parse(TINY, ["--storage", str(tmp_path), *USUAL, *words])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of one trial that has finished."""
    plan = parse(TINY, ["--storage", str(tmp_path_factory.mktemp("storage")), "--name", "first", *USUAL])
    return train(plan).folder


@pytest.fixture
def first(finished: Path, tmp_path: Path) -> tuple[SweepFolder, str]:
    """A copy of that sweep beside those of the test, and the key of its trial."""
    sweep = SweepFolder.open(shutil.copytree(finished, tmp_path / "first"))
    return sweep, sweep.trials()[0].key


def train(plan: Plan) -> SweepFolder:
    """Train the first trial of a plan, as a command and its worker do."""
    sweep = SweepFolder.at(plan.location)
    if plan.start:
        keep_start(plan.start, sweep)
    sweep.write_manifest(make_manifest(plan, sweep.manifest()))
    trial = plan.trials[0]
    sweep.trial(trial.key).create(trial.config.to_dict(), trial.label)
    at, usual = plan.evaluate_at, {"device": "cpu", "threads": 1, "precision": "float32", "hparams": ["beta"]}
    run = TrialRun(Work(sweep=sweep.location, key=trial.key, evaluate_at=at, **usual))  # type: ignore[arg-type]
    while run.advance().state is None:
        pass
    run.close()
    return sweep


def test_a_trial_begins_with_the_weights_of_another_and_says_so_everywhere(
    asked: Asked, first: tuple[SweepFolder, str], capsys: pytest.CaptureFixture[str]
) -> None:
    source, key = first
    plan = asked("--name", "second", "--from", f"{source.location}:{key}", "--lambda", "1")
    describe(plan)
    said = f"begins with the weights of trial {key} of {source.location} at iteration 6, and not from scratch"
    assert said in capsys.readouterr().out
    sweep = train(plan)

    before, after = (load(each.location) for each in (source, sweep))
    config = TrialConfig.from_dict(sweep.trial(plan.keys[0]).describe()["config"])
    assert plan.start is not None
    assert (config.warm_start, config.warm_start_weights) == (plan.start.place, plan.start.weights)
    ends, begins = before.iloc[-1], after.iloc[0]
    assert begins["iteration"] == 0 and ends["iteration"] == 6
    assert begins["reconstruction_error"] == ends["reconstruction_error"] != before["reconstruction_error"].iloc[0]

    print_cells(final(after))
    assert f"All trials began with the weights of trial {key} of {source.location} at iteration 6, and not from" in (
        " ".join(capsys.readouterr().out.split())
    )
    assert not any(name.endswith("_untrained") and final(after)[name].notna().any() for name in final(after))
    assert "and not from scratch" in about(sweep)["question"] and "scratch" not in about(source)["question"]


def test_both_sweeps_may_be_on_an_object_store(object_store: ObjectStore, first: tuple[SweepFolder, str]) -> None:
    local, key = first
    storage = object_store.url("warm")
    from_here = parse(TINY, ["--storage", storage, "--name", "second", *USUAL, "--from", f"{local.location}:{key}"])
    sweep = train(from_here)
    source = f"{sweep.location}:{from_here.keys[0]}"
    from_there = parse(TINY, ["--storage", storage, "--name", "third", *USUAL, "--from", source, "--lambda", "1"])
    assert from_there.start is not None and from_there.start.place == source
    ends, begins = load(sweep.location).iloc[-1], load(train(from_there).location).iloc[0]
    assert begins["reconstruction_error"] == ends["reconstruction_error"]


def test_a_sweep_goes_on_with_the_weights_that_it_took_though_they_are_gone(
    asked: Asked, first: tuple[SweepFolder, str]
) -> None:
    source, key = first
    plan = asked("--name", "second", "--from", f"{source.location}:{key[:8]}", "--lambda", "1", "--evaluations", "6")
    sweep = train(plan)
    shutil.rmtree(source.folder)  # they are kept in the sweep
    again = asked("--name", "second", "--from", f"{source.location}:{key[:8]}", "--lambda", "1", "--evaluations", "6")
    assert again.trials == plan.trials
    folder = sweep.trial(plan.keys[0])
    ended = folder.state(6)
    for name in folder.files.names():
        if name.startswith("state-") or name in ("outcome.json", "seal.json", "metrics.jsonl"):
            folder.files.remove(name)
    train(again)
    one, other = (load_state(content) for content in (ended, folder.state(6)))
    assert all(np.array_equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_keys_of_before_stay_and_no_trial_is_taken_for_one_from_scratch(
    asked: Asked, first: tuple[SweepFolder, str]
) -> None:
    source, key = first
    warm = asked("--name", "second", "--from", f"{source.location}:{key}")
    cold = asked("--name", "second")
    assert key == TrialConfig.from_dict(cold.trials[0].config.to_dict()).key == cold.keys[0] != warm.keys[0]
    place = f"{source.location}:{key}"
    for before, now, was, is_now in ((warm, cold, place, "not given"), (cold, warm, "not given", place)):
        sweep = SweepFolder.at(before.location)
        sweep.write_manifest(make_manifest(before, {}))
        said = f"something else: from was {was} and is now {is_now}. Choose another --name, or give the old values."
        with pytest.raises(UserError, match=re.escape(said)):
            check_agrees(now, sweep)
        check_agrees(before, sweep)
    trained_on = replace(warm, axes={**warm.axes, WEIGHTS: ("0" * 32,)})
    SweepFolder.at(warm.location).write_manifest(make_manifest(warm, {}))
    with pytest.raises(UserError, match=r"something else: warm-start-weights was \S+ and is now 0{32}\."):
        check_agrees(trained_on, SweepFolder.at(warm.location))
    with pytest.raises(UserError, match="is for sweeps, which take these weights"):
        Stack([warm.trials[0].config])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--from {place} --num-latents 5", "do not fit this network: .* is 4.* there and 5.* here"),
        ("--from {place} --network mlp", "do not fit this network: .* is .* there and absent here|is absent there"),
        ("--from {sweep}:ffff", "--from .*:ffff names no trials; `python -m dd_ray.results"),
        ("--from {sweep}", "names no trial; give SWEEP:KEY, such as"),
        ("--from nowhere:{key}", "nowhere is no folder; give the folder of a sweep"),
        ("--from {place} {place}", "a sweep begins with the weights of one trial; give one"),
        ("--from s3://key:secret@bucket/sweep:{key}", "a URL with keys would be stored with the sweep"),
        ("--from {place} --warm-start-weights 0123456789abcdef@6:0123456789abcdef", "has the weights .*, not 0123"),
        ("--warm-start-weights 0123456789abcdef@6:0123456789abcdef", "is filled in where --from|warm_start is given"),
    ],
)
def test_what_cannot_be_taken_is_refused_before_anything_starts(
    words: str, said: str, asked: Asked, first: tuple[SweepFolder, str]
) -> None:
    source, key = first
    given = words.format(place=f"{source.location}:{key}", sweep=source.location, key=key)
    with pytest.raises(UserError, match=said):
        asked("--name", "second", *given.split())


def test_a_trial_that_has_not_ended_or_is_damaged_gives_no_weights(
    asked: Asked, first: tuple[SweepFolder, str]
) -> None:
    source, key = first
    words = ("--name", "second", "--from", f"{source.location}:{key}")
    folder = source.trial(key)
    folder.files.write("state-000000006.npz", b"\x80\x04cos\nsystem\n")  # a pickle, which is not loaded
    with pytest.raises(UserError, match="is damaged or was not written by dd_ray"):
        asked(*words)
    folder.finish(Outcome(state="diverged", iteration=6))
    with pytest.raises(UserError, match="is of a trial that has diverged; give one that is finished"):
        asked(*words)
    folder.reopen()
    with pytest.raises(UserError, match="is of a trial that has not ended; give one"):
        asked(*words)


def test_other_weights_under_the_same_name_are_refused(asked: Asked, first: tuple[SweepFolder, str]) -> None:
    source, key = first
    plan = asked("--name", "second", "--from", f"{source.location}:{key}")
    sweep = train(plan)
    assert plan.start is not None
    sweep.files.write(f"starts/{plan.start.digest}.npz", source.trial(key).state(3))
    with pytest.raises(UserError, match="are not those that were taken before; give another --name"):
        asked("--name", "second", "--from", f"{source.location}:{key}")
