"""What one command adds to the sweep of another, and what contradicts it."""

import hashlib
import re

import numpy as np
import pytest

import dd_ray
from dd_ray.cli import main, parse
from dd_ray.config.extensions import unload
from dd_ray.errors import UserError
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.manifest import check_agrees, make_manifest
from tests.processes import python
from tests.sweep.studies import ROOT, TINY


@pytest.fixture
def sweep(tmp_path):
    """A sweep that the tiny study was asked for as it is."""
    folder = SweepFolder.at(tmp_path)
    folder.write_manifest(make_manifest(parse(TINY, []), {}))
    return folder


@pytest.mark.parametrize(
    "options",
    [
        "",
        "--gamma 0 0.5 0.9",
        "--gamma 0.9",
        "--beta 5",
        "--beta-norm 0.01",
        "--seeds 3",
        "--seed 7",
        "--iterations 60",
        "--batch-size 2 8",
        "--scheduler none --evaluations 3",
    ],
)
def test_what_extends_or_repeats_a_sweep_is_welcome(sweep, options):
    check_agrees(parse(TINY, options.split()), sweep)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--model predictive_vae --gamma 0", "model was inertia_vae and is now predictive_vae"),
        ("--batch-size 8", "batch-size was 2 and is now 8"),
        ("--motion bounce", "motion was linear and is now bounce"),
        ("--num-test 8 --num-frames 5", "num-frames was 4 and is now 5; num-test was 4 and is now 8"),
    ],
)
def test_what_contradicts_it_is_refused_with_the_difference(sweep, options, words):
    with pytest.raises(UserError, match=words):
        check_agrees(parse(TINY, options.split()), sweep)


def test_a_plan_in_python_is_refused_as_a_run_would_be(sweep):
    place = {"storage": sweep.files.local.parent, "name": sweep.name}
    assert dd_ray.plan(TINY, **place, gamma=[0, 0.9]).num_trials
    with pytest.raises(UserError, match="batch-size was 2 and is now 8"):
        dd_ray.plan(TINY, **place, batch_size=8)


def test_a_number_that_no_float32_holds_is_welcome_without_a_warning():
    assert parse(TINY, ["--beta", "1e300", "--gamma", "0"]).axes["beta"] == (1e300,)


def test_a_file_may_have_moved(tmp_path):
    old, new = (tmp_path / name / "d.npz" for name in ("old", "new"))
    for file in (old, new):
        file.parent.mkdir()
        file.write_text("not read here")
    md5 = hashlib.md5(b"not read here").hexdigest()
    options = ["--model", "beta_vae", "--dataset", "dsprites", "--grid", "original", "--background", "black"]
    options += ["--num-frames", "10", "--gamma"]
    before, after = (
        parse(TINY, [*options, "0", "--dsprites-md5", md5, "--dsprites-file", str(file)]) for file in (old, new)
    )
    folder = SweepFolder.at(tmp_path / "sweep")
    folder.write_manifest(make_manifest(before, {}))
    check_agrees(after, folder)
    assert [(c.key, c.label) for c in after.trials] == [(c.key, c.label) for c in before.trials]
    assert not any("d.npz" in trial.label for trial in after.trials)


def test_a_file_of_other_contents_is_refused_without_its_checksums(tmp_path):
    plans = []
    for name, white in (("one", 200), ("two", 255)):
        images = np.zeros((20, 4, 32, 32), np.uint8)
        images[:, :, 3] = white
        np.savez(tmp_path / f"{name}.npz", images=images)
        options = ["--dataset", "arrays", "--data-file", str(tmp_path / f"{name}.npz"), "--num-frames", "--num-test"]
        plans.append(parse(TINY, options))
    folder = SweepFolder.at(tmp_path / "sweep")
    folder.write_manifest(make_manifest(plans[0], {}))
    check_agrees(plans[0], folder)
    with pytest.raises(UserError, match=r"other images or factors than --data-file has now; .* the file as it was\.$"):
        check_agrees(plans[1], folder)


def test_another_study_is_refused(sweep):
    sweep.write_manifest(sweep.manifest() | {"study": "beta_grid"})
    with pytest.raises(UserError, match="study beta_grid, not tiny"):
        check_agrees(parse(TINY, []), sweep)


def test_a_field_that_was_swept_before_may_be_narrowed_later(sweep):
    sweep.write_manifest(make_manifest(parse(TINY, ["--batch-size", "2", "8"]), sweep.manifest()))
    check_agrees(parse(TINY, ["--batch-size", "8"]), sweep)


def test_the_manifest_has_the_values_of_all_commands(sweep):
    before = sweep.manifest() | dict.fromkeys(("began", "asked"), "2026-01-02T03:04:05+00:00")
    manifest = make_manifest(parse(TINY, ["--gamma", "0.9", "0.5", "--seeds", "2"]), before)
    assert manifest["began"] == before["began"] < manifest["asked"]
    assert manifest["axes"]["gamma"] == [0.0, 0.5, 0.9]
    assert manifest["axes"]["seed"] == [0, 1]
    assert manifest["axes"]["beta"] == [0.1, 1.0]
    assert manifest["options"]["seeds"] == 2
    assert manifest["axes"].keys() == parse(TINY, []).axes.keys()  # also those without effect
    assert manifest["tells"] == list(TINY.tells)
    assert set(manifest["versions"]) == {"dd_ray", "ray", "torch", "python"}


def test_a_dry_run_says_what_has_changed_since_the_sweep_was_last_run(tmp_path, capsys):
    file = tmp_path / "linear_network.py"
    file.write_text((ROOT / "tests" / "extensions" / "linear_network.py").read_text())
    asked = ["--storage", str(tmp_path), "--network", "linear", "--extension", str(file)]
    plan = parse(TINY, asked)
    SweepFolder.at(plan.location).write_manifest(made := make_manifest(plan, {}))
    main(TINY, [*asked, "--dry-run"])
    assert "Since" not in capsys.readouterr().out
    before = {**made["extensions"][0], "digest": "0" * 16}
    changed = {**made, "versions": {**made["versions"], "torch": "1.0"}, "extensions": [before]}
    SweepFolder.at(plan.location).write_manifest(changed)
    main(TINY, [*asked, "--dry-run"])
    said = capsys.readouterr().out
    assert "the software has changed: torch " in said and " instead of 1.0." in said
    assert "Since the sweep was last run, linear_network.py has changed;" in said


def test_who_goes_on_without_an_extension_is_told_which_it_is(tmp_path, capsys):
    asked = ["--storage", str(tmp_path), "--name", "mine"]
    of_file = ["--extension", str(ROOT / "tests" / "extensions" / "blur_vae.py")]
    plan = parse(TINY, [*asked, "--model", "blur_vae", "--gamma", "--blur", "0.5", *of_file])
    SweepFolder.at(plan.location).write_manifest(make_manifest(plan, {}))
    unload("blur_vae.py")
    for option, value in (("model", "blur_vae"), ("blur", "0.5")):
        said = f"In {plan.location}, {value if option == 'model' else option} is of blur_vae.py; give --extension blur_"
        with pytest.raises(SystemExit, match="2"):
            parse(TINY, [*asked, f"--{option}", value])
        assert said in capsys.readouterr().err
        with pytest.raises(UserError, match=re.escape(said)):
            dd_ray.plan(TINY, storage=tmp_path, name="mine", **{option: value})
    for words in (
        ["--iterations", "0"],
        ["--name", "a/b", "--model", "blur_vae"],
        ["--help"],
        ["--storage", "~x/blur"],
    ):
        with pytest.raises((UserError, SystemExit)) as ended:
            parse(TINY, [*asked, *words])
        assert "--extension blur" not in f"{ended.value} {capsys.readouterr().err}"
    with pytest.raises(UserError, match="is not a folder name"):
        dd_ray.plan(TINY, storage=tmp_path, name="a\0b")


def test_the_manifest_has_the_latest_record_of_each_extension(sweep, monkeypatch):
    other, old, new = ({"file": file, "digest": digest, "declares": []} for file, digest in ("b0", "a1", "a2"))
    monkeypatch.setattr("dd_ray.sweep.manifest.record", lambda: [new])
    manifest = make_manifest(parse(TINY, []), sweep.manifest() | {"extensions": [other, old]})
    assert manifest["extensions"] == [other, new]


def test_trials_of_an_extension_are_read_after_a_command_without_it(tmp_path):
    (tmp_path / "step.py").write_text("""
import sys
import dd_ray
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.manifest import check_agrees, make_manifest
from tests.processes import python
from tests.sweep.studies import ROOT, TINY

plan = dd_ray.plan(TINY, storage=sys.argv[1], network=sys.argv[2].split(), extension=sys.argv[3:])
sweep = SweepFolder.at(plan.location)
check_agrees(plan, sweep)
sweep.write_manifest(make_manifest(plan, sweep.manifest()))
for trial in plan.trials:
    sweep.trial(trial.key).create(trial.config.to_dict(), trial.label)
    sweep.trial(trial.key).record({"iteration": 0, "mcc": 0.5})
print(sorted(set(dd_ray.results.load(plan.location)["network"])))
""")
    for words in (["mlp linear", str(ROOT / "tests" / "extensions" / "linear_network.py")], ["mlp"]):
        done = python(tmp_path / "step.py", tmp_path, *words)
        assert (done.stdout, done.stderr) == ("['linear', 'mlp']\n", "")


def test_what_has_no_effect_on_a_sweep_s_trials_contradicts_nothing_and_is_not_recorded(tmp_path):
    folder = SweepFolder.at(tmp_path)
    commands = [
        ["--objective", "beta"],
        ["--objective", "beta", "capacity", "--capacity-iterations", "5"],
        ["--objective", "beta"],
    ]
    for command in commands:
        plan = parse(TINY, command)
        check_agrees(plan, folder)
        folder.write_manifest(make_manifest(plan, folder.manifest()))
    assert folder.manifest()["axes"]["capacity_iterations"] == [5]
    assert folder.manifest()["axes"]["objective"] == ["beta", "capacity"]
    with pytest.raises(UserError, match="capacity-iterations was 5 and is now 7"):
        check_agrees(parse(TINY, ["--objective", "beta", "capacity", "--capacity-iterations", "7"]), folder)
