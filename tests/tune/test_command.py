"""The command line of a sweep, as a user runs it: on Ray, with its exit codes and messages.

Each trial's process imports PyTorch, which takes seconds, and training none. So there are few commands, which are
forked, and most train in one process: one sweep is looked at by several tests, and only two are drawn. One asks what
the others know of the cluster that they join.
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from dd_ray import results
from dd_ray.cli import main, parse
from dd_ray.storage.names import MANIFEST
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import Outcome
from dd_ray.sweep.manifest import make_manifest
from tests.processes import Command, know_the_cluster, python
from tests.sweep.studies import ROOT, TINY, TINY_OPTIONS, load_study
from tests.tune.conftest import (
    FOUR_TRIALS,
    ONE_AT_A_TIME,
    SCORED,
    Ran,
    ray_head,
    sweep,
    sweep_words,
)


def copied(four_trials: Ran, tmp_path: Path) -> None:
    """A sweep of one's own to go on with."""
    shutil.copytree(four_trials.folder, tmp_path / "mine")


@pytest.mark.ray
def test_one_command_on_one_machine_gives_trials_a_table_a_map_and_a_page(four_trials):
    done, folder = four_trials
    page = folder / "report.html"
    assert done.stdout.count(f"Page:        {page.as_uri()}") == 2 and page.stat().st_size > 1e6
    assert "4 trials = 2 beta × 2 gamma" in done.stdout
    assert "2 trials at a time" in done.stdout or "1 trials at a time" in done.stdout
    assert "24/24" in done.stderr  # the progress bar at its end
    table = results.load(folder)
    assert set(table["state"]) == {"finished"}
    assert sorted(table["iteration"].unique()) == [0, 3, 6]
    assert len(results.final(table)) == 4
    for path in ("results.csv", "figures/grid_maps.png", "sweep.json"):
        assert (folder / path).is_file()
        assert path == "sweep.json" or str(folder / path) in done.stdout
    assert f"tensorboard --logdir {folder / 'tensorboard'}" in done.stdout
    assert len(list((folder / "tensorboard").iterdir())) == 4


@pytest.mark.ray
def test_the_same_command_again_keeps_what_is_there(four_trials, tmp_path):
    copied(four_trials, tmp_path)
    before = results.load(tmp_path / "mine")
    again = sweep(*FOUR_TRIALS, *SCORED, "--storage", tmp_path, "--name", "mine")
    assert again.returncode == 0, again.stderr
    assert "ended before and are kept: 4; to run: 0" in again.stdout
    assert results.load(tmp_path / "mine").equals(before)


@pytest.mark.ray
def test_a_wider_command_adds_to_what_is_there_and_a_failing_trial_fails_alone(
    cluster, four_trials, tmp_path, monkeypatch
):
    copied(four_trials, tmp_path)
    before = results.load(tmp_path / "mine")
    trained = results.final(before).set_index(["beta", "gamma"])
    damaged = trained.loc[(1, 0)]
    events = tmp_path / "mine" / "tensorboard" / damaged["label"]
    shutil.rmtree(events)
    events.write_text("in the way")
    (tmp_path / "mine" / "aside").write_text("where it would be set aside")
    monkeypatch.setenv("RAY_ADDRESS", cluster)  # `auto` finds it
    options = ["--address", "auto", *ONE_AT_A_TIME, "--storage", tmp_path, "--name", "mine", "--max-failures", "1"]
    wider = python(*sweep_words(), *FOUR_TRIALS, *options, "--learning-rate", "1e-5", "1e30", "--iterations", "9")
    assert wider.returncode == 1, wider.stderr
    after = results.load(tmp_path / "mine")
    kept = after[after["key"].isin(before["key"]) & (after["iteration"] <= 6)]
    assert kept["seconds"].tolist() == before["seconds"].tolist()
    last = results.final(after).set_index("key")
    assert last.loc[damaged["key"], "state"] == "failed"
    assert "FileExistsError" in last.loc[damaged["key"], "error"] and "FileExistsError" in wider.stderr
    assert "is tried again from iteration 6" in wider.stderr
    others = last.loc[trained["key"].drop((1, 0))]
    assert set(others["state"]) == {"finished"} and set(others["iteration"]) == {9}
    new = last.drop(trained["key"])  # they diverge, which is no failure
    assert len(new) == 4 and set(new["state"]) == {"diverged"} and set(new["learning_rate"]) == {1e30}


@pytest.mark.ray
@pytest.mark.slow
def test_a_sweep_on_an_object_store_goes_on_there(cluster, object_store, four_trials, tmp_path):
    prefix = tmp_path.name
    storage = SweepFolder.at(object_store.url(f"{prefix}/mine")).files
    theirs = SweepFolder.open(four_trials.folder)
    storage.write("sweep.json", theirs.files.read("sweep.json"))
    for trial in theirs.trials():
        if trial.describe()["config"]["gamma"] == 0:
            for name in trial.files.names():
                storage.at("cells", trial.key).write(name, trial.files.read(name))
    options = [*FOUR_TRIALS, *SCORED, *ONE_AT_A_TIME, "--address", cluster]
    wider = sweep(*options, "--storage", object_store.url(prefix), "--name", "mine", figures=True)
    assert wider.returncode == 0, wider.stderr
    assert "ended before and are kept: 2; to run: 2" in wider.stdout
    kept = SweepFolder.open(object_store.url(f"{prefix}/mine"))
    assert kept.files.names() == [
        *("cells", "figures", "progress.json", "report.html", "results.csv", "sweep.json", "tensorboard")
    ]
    assert kept.files.names("figures") == ["grid_maps.csv", "grid_maps.png"]
    assert len(kept.files.names("tensorboard")) == 2
    same = ["key", "iteration", "reconstruction_error", "mcc", "loss"]
    assert results.load(kept.location)[same].equals(results.load(four_trials.folder)[same])


def test_a_contradiction_is_refused_before_ray_starts(tmp_path, capfd):
    study = load_study(ROOT / "tests" / "sweep" / "small_grid.py")
    plan = parse(study, TINY_OPTIONS)
    SweepFolder.at(tmp_path / "mine").write_manifest(make_manifest(plan, {}))
    with pytest.raises(SystemExit) as ended:
        main(study, [*TINY_OPTIONS, "--motion", "bounce", "--storage", str(tmp_path), "--name", "mine"])
    assert_refused(ended.value.code, capfd.readouterr().err, "motion was linear and is now bounce", "--name")


def test_what_another_command_has_run_while_this_one_waited_for_the_lock_is_not_contradicted(
    tmp_path, capfd, monkeypatch
):
    args, lock = ["--storage", str(tmp_path), "--name", "mine"], SweepFolder.lock

    def waited_for(sweep):
        sweep.write_manifest(make_manifest(parse(TINY, args), {}))
        return lock(sweep)

    monkeypatch.setattr(SweepFolder, "lock", waited_for)
    monkeypatch.setattr("dd_ray.tune.run.connected", None)  # it must not come so far
    with pytest.raises(SystemExit) as ended:
        main(TINY, [*args, "--batch-size", "8"])
    assert_refused(ended.value.code, capfd.readouterr().err, "batch-size was 2 and is now 8", "--name")


@pytest.mark.parametrize("content", [None, "{"], ids=["lost", "damaged"])
def test_a_finished_sweep_gets_a_lost_or_damaged_record_of_what_was_asked_for_again(content, tmp_path, capfd):
    args = ["--storage", str(tmp_path), "--name", "mine", "--no-page"]
    plan = parse(TINY, args)
    sweep = SweepFolder.at(plan.location)
    for planned in plan.trials:
        trial = sweep.trial(planned.key)
        trial.create(planned.config.to_dict(), planned.label)
        trial.record({"iteration": 6, "kl": 1.0})
        trial.finish(Outcome(state="finished", iteration=6))
    if content is not None:
        (sweep.folder / MANIFEST).write_text(content)
    with pytest.raises(SystemExit) as ended:
        main(TINY, args)
    assert ended.value.code == 0, capfd.readouterr().err
    assert sweep.manifest()["axes"]["gamma"] == [0.0, 0.5]
    assert len(results.load(sweep.location)) == 4


SIX_TRIALS = "--beta 0.01 0.1 1 --gamma 0 0.5 --lambda 0 --iterations 8 --evaluations 8 --max-concurrent 1".split()


def stopped_early_by_asha(cluster, folder):
    """Run six trials of which ASHA stops some, and return the command's options but for those of ASHA."""
    options = [*SIX_TRIALS, "--address", cluster, "--storage", folder, "--name", "mine"]
    done = sweep(*options, *"--scheduler asha --grace-period 1 --reduction-factor 2".split())
    assert done.returncode == 0, done.stderr
    assert "stopped early" in done.stdout
    return options


@pytest.mark.ray
def test_asha_stops_trials_early(cluster, tmp_path):
    stopped_early_by_asha(cluster, tmp_path)
    trials = results.final(results.load(tmp_path / "mine"))
    stopped = trials[trials["state"] == "stopped_early"]
    assert len(stopped) > 0 and (stopped["iteration"] < 8).all()
    assert (trials[trials["state"] == "finished"]["iteration"] == 8).all()


@pytest.mark.ray
@pytest.mark.slow
def test_trials_that_asha_stopped_go_on_where_nothing_stops_them(cluster, tmp_path):
    options = stopped_early_by_asha(cluster, tmp_path)
    assert sweep(*options, "--scheduler", "none").returncode == 0
    trials = results.final(results.load(tmp_path / "mine"))
    assert set(trials["state"]) == {"finished"}
    assert set(trials["iteration"]) == {8}


@pytest.mark.ray
def test_an_interrupt_ends_the_sweep_and_the_same_command_goes_on(cluster, tmp_path):
    options = [*"--beta 0.1 --gamma 0.5 --lambda 0 --scheduler none --address".split(), cluster]
    options += ["--storage", str(tmp_path), "--name", "mine", "--evaluations", "40"]
    running = Command(*sweep_words(), *options, "--iterations", "100000", first=know_the_cluster)
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("mine/cells/*/state-*.npz")):
        assert time.monotonic() < deadline and running.is_running()
        time.sleep(0.2)
    running.interrupt()
    done = running.ended()
    assert done.returncode == 130, done.stderr
    assert "the same command goes on" in done.stderr and "unfinished" in done.stdout
    assert results.load(tmp_path / "mine")["state"].iloc[-1] == "unfinished"


@pytest.mark.ray
def test_a_gpu_that_the_cluster_does_not_have_is_refused(cluster, tmp_path):
    options = ["--address", cluster, "--gpus-per-trial", "0.5", "--storage", tmp_path, "--name", "mine"]
    done = sweep(*options)
    assert_refused(done.returncode, done.stderr, "0.5 GPUs (--gpus-per-trial)")
    assert not (tmp_path / "mine" / "sweep.json").exists()


@pytest.mark.ray
@pytest.mark.slow
def test_a_cluster_that_asks_for_no_token_is_refused_unless_that_is_wanted(tmp_path, token):
    # Not forked from a process that has imported Ray, which reads then that there are tokens.
    def sweep(*options):
        command = [sys.executable, *sweep_words(), *map(str, options)]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=ROOT)

    one_trial = "--beta 1 --gamma 0 --lambda 0 --iterations 6 --learning-rate 1e-5 --scheduler none".split()
    options = [*one_trial, "--storage", tmp_path, "--name", "mine"]
    with (
        tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder,
        ray_head(folder, {"RAY_AUTH_MODE": "disabled"}) as address,
    ):
        refused = sweep("--address", address, *options)
        assert_refused(refused.returncode, refused.stderr, address, "asks for no token", "--insecure")
        assert not (tmp_path / "mine" / "cells").exists()
        allowed = sweep("--address", address, "--insecure", *options)
        assert allowed.returncode == 0, allowed.stderr


@pytest.mark.ray
def test_a_wrong_token_is_refused(cluster, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("RAY_AUTH_TOKEN", "f" * 64)
    with pytest.raises(SystemExit) as ended:
        main(TINY, ["--address", cluster, "--storage", str(tmp_path)])
    assert_refused(ended.value.code, capfd.readouterr().err, cluster, "asks for a token")


def test_auto_says_in_time_that_there_is_no_cluster(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert_no_answer("auto", tmp_path, monkeypatch, capfd)


def test_an_address_where_something_else_answers_is_refused_in_time(tmp_path, monkeypatch, capfd):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        assert_no_answer(f"127.0.0.1:{deaf.getsockname()[1]}", tmp_path, monkeypatch, capfd)


def assert_no_answer(address, folder, monkeypatch, capfd):
    """Refused when the time to answer is over; joining itself would wait for minutes."""
    monkeypatch.setattr("dd_ray.tune.joining.SECONDS_TO_ANSWER", 3)
    started = time.monotonic()
    with pytest.raises(SystemExit) as ended:
        main(TINY, ["--address", address, "--storage", str(folder), "--name", "mine"])
    assert time.monotonic() - started < 30
    assert_refused(ended.value.code, capfd.readouterr().err, f"--address {address}", "no Ray answers")
    assert not list(folder.glob("*/cells"))


def assert_refused(code, stderr, *words):
    """Exit code 2, one message that names the words, no traceback."""
    assert code == 2
    assert "Traceback" not in stderr
    assert len(stderr.strip().splitlines()) == 1 or "╭" in stderr
    assert all(word in stderr for word in words), stderr


BAD_OPTIONS = [
    (["--gama", "1"], ["--gama"]),
    (["--gamma", "much"], ["--gamma", "much"]),
    (["--gamma", "1.5"], ["1.5", "[0, 1]"]),
    (["--beta", "-0.1"], ["-0.1", "at least 0"]),
    (["--beta", "nan"], ["nan"]),
    (["--lambda", "-2"], ["-2", "at least 0"]),
    (["--num-frames", "2"], ["--num-frames 2", "at least 3"]),
    (["--num-latents", "0"], ["--num-latents 0", "at least 1"]),
    (["--iterations", "0"], ["--iterations 0", "1 or more"]),
    (["--seeds", "0"], ["--seeds 0", "1 or more"]),
    (["--seeds", "2", "--seed", "4"], ["--seeds 2", "--seed 4"]),
    (["--metric", "factor_error"], ["--metric factor_error", "mcc"]),
    (["--gpus-per-trial", "2"], ["--gpus-per-trial 2", "one GPU"]),
    (["--storage", "ftp://host/x"], ["ftp://", "unknown kind"]),
    (["--beta", "0.1", "--beta-norm", "0.2"], ["--beta 0.1", "--beta-norm 0.2"]),
    (["--gamma", "0", "0"], ["--gamma 0.0 0.0", "twice"]),
    (["--beta", "0.1", "0.1000000000000001"], ["same trial", "12 digits"]),
    (["--model", "beta_vae", "--gamma", "0.5"], ["--gamma 0.5", "no effect on beta_vae"]),
    (["--metric", "kl"], ["--metric kl", "mcc"]),
    (["--grace-period", "99"], ["--grace-period 99", "--iterations 6"]),
    (["--reduction-factor", "1"], ["--reduction-factor 1"]),
    (["--cpus-per-trial", "0"], ["--cpus-per-trial 0"]),
    (["--gpus-per-trial", "-1"], ["--gpus-per-trial -1"]),
    (["--price-per-gpu-hour", "-1"], ["--price-per-gpu-hour -1"]),
    (["--max-concurrent", "0"], ["--max-concurrent 0"]),
    (["--name", "a/b"], ["--name 'a/b'"]),
    (["--preset", "huge"], ["huge", "quick"]),
    (["--address", "somewhere"], ["--address somewhere", "host:port"]),
    (["--address", "ray://127.0.0.1:10001"], ["--address ray://127.0.0.1:10001", "host:port"]),
    (["--dry-run", "--address", "localhost:65536"], ["--address localhost:65536", "host:port"]),
    (["--dry-run", "--address", "my host:6379"], ["--address my host:6379", "host:port"]),
    (["--address", "127.0.0.1:1"], ["127.0.0.1:1", "no Ray answers"]),
]


@pytest.mark.parametrize(("options", "words"), BAD_OPTIONS, ids=lambda value: " ".join(value)[:30])
def test_bad_options_are_refused_before_anything_starts(options, words, tmp_path, capfd):
    with pytest.raises(SystemExit) as ended:
        main(TINY, ["--storage", str(tmp_path), *options])
    captured = capfd.readouterr()
    assert_refused(ended.value.code, captured.err or captured.out, *words)
    assert not list(tmp_path.glob("*/sweep.json"))


@pytest.mark.parametrize("options", [[], ["--dry-run"]], ids=["run", "dry run"])
def test_storage_that_cannot_be_written_is_refused(options, tmp_path, capfd):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SystemExit) as ended:
        main(TINY, ["--storage", str(tmp_path / "file"), *options])
    assert_refused(ended.value.code, capfd.readouterr().err, "cannot be written", "--storage")


def test_a_dry_run_prints_every_trial_and_starts_nothing(tmp_path, capfd):
    main(TINY, ["--dry-run", "--storage", str(tmp_path), "--seeds", "2"])
    printed = capfd.readouterr().out
    assert "8 trials = 2 beta × 2 gamma × 2 seed" in printed
    assert "6 iterations each, 48 in all" in printed
    assert "of one core of this machine" in printed
    assert printed.count("gamma=0.5") == 4
    assert printed.endswith("\nDry run: nothing was started.\n")
    assert not list(tmp_path.iterdir())


def test_a_dry_run_is_refused_where_the_command_itself_would_be(tmp_path, capfd):
    args = ["--storage", str(tmp_path), "--name", "mine"]
    plan = parse(TINY, args)
    SweepFolder.at(plan.location).write_manifest(make_manifest(plan, {}))
    main(TINY, [*args, "--dry-run", "--seeds", "2"])
    capfd.readouterr()
    with pytest.raises(SystemExit) as ended:
        main(TINY, [*args, "--dry-run", "--num-latents", "3"])
    printed = capfd.readouterr()
    assert_refused(ended.value.code, printed.err, "holds a sweep of something else", "num-latents", "now 3")
    assert "of one core of this machine" in printed.out and "nothing was started" not in printed.out


def test_a_price_is_an_upper_bound_from_the_original_s_hour_a_trial(tmp_path, capfd):
    options = "--num-frames 10 --batch-size 64 --iterations 50000 --seeds 9 --price-per-gpu-hour 2".split()
    main(TINY, ["--dry-run", "--storage", str(tmp_path), *options])
    assert "at most 36.0 hours of a GPU, 72.00 at 2 an hour" in capfd.readouterr().out


def test_an_interrupt_before_anything_runs_leaves_no_traceback(tmp_path, capfd, monkeypatch):
    def interrupted(plan, began):
        raise KeyboardInterrupt

    monkeypatch.setattr("dd_ray.cli.execute", interrupted)
    with pytest.raises(SystemExit) as ended:
        main(TINY, ["--storage", str(tmp_path)])
    assert ended.value.code == 130
    assert "the same command goes on" in capfd.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    words = " ".join([sys.executable, *sweep_words(figures=True)])
    command = f"{words} --preset full --dry-run --storage {tmp_path} | head -1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert "small_grid" in done.stdout
    assert done.stderr == ""


def test_help_shows_every_option_with_its_docstring(capfd):
    with pytest.raises(SystemExit) as ended:
        main(TINY, ["--help"])
    printed = capfd.readouterr().out
    assert ended.value.code == 0
    for words in ("--address", "--gpus-per-trial", "--lambda X", "representational inertia", "--dry-run", "RMSprop"):
        assert words in printed
