"""A user's own file: what it declares counts as ours, and what is wrong with it is one sentence with file and line."""

import json
import math
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dd_ray
from dd_ray import results
from dd_ray.cli import parse
from dd_ray.config import MODELS, NETWORKS, OPTIMIZERS, TrialConfig, data_config, field_names, resolve
from dd_ray.config.declarations import codes_of, is_recalled, kind_of
from dd_ray.config.extensions import (
    Extension,
    declared_by,
    instances_of,
    load_extensions,
    load_files,
    loaded,
    taken_from,
    unload,
)
from dd_ray.config.options import product
from dd_ray.config.recorded import changed_since, recall, record
from dd_ray.config.trial_fields import REGISTRIES
from dd_ray.errors import UserError
from dd_ray.evaluation import model_scores, untrained_scores
from dd_ray.metrics import REPORTED, Code, further_scores, with_untrained
from dd_ray.models import build_model
from dd_ray.probes.networks import load_model
from dd_ray.storage.records import json_file
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep import Study
from dd_ray.sweep.manifest import check_agrees, make_manifest
from dd_ray.sweep.samplers import SAMPLERS
from dd_ray.training import Stack, dump_state, load_state
from dd_ray.trial.scoring import trials_to_score
from tests.processes import python
from tests.sweep.studies import TINY, load_study

FOLDER = Path(__file__).parents[1] / "extensions"
FILES = sorted(file for file in FOLDER.glob("*.py") if file.stem != "__init__")
BLUR = FOLDER / "blur_vae.py"
SMALL: dict[str, Any] = {"num_frames": 5, "batch_size": 4, "num_test": 8, "learning_rate": 1e-3}


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Leaves nothing declared that was not before."""
    before = {kind: dict(registry) for kind, registry in REGISTRIES.items()}
    yield
    for extension in loaded():
        unload(extension.name)
    for kind, registry in REGISTRIES.items():
        for name in set(registry) - set(before[kind]):
            registry.withdraw(name)


def _file(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def _config(**changes: Any) -> TrialConfig:
    return TrialConfig(**{"model": "blur_vae", "beta": 0.5, **SMALL, **changes})


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_example_is_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 40


def test_there_is_an_example_of_each_kind() -> None:
    load_files(FILES)
    specs = [spec for extension in loaded() for spec in declared_by(extension)]
    assert {kind_of(spec) for spec in specs} == set(REGISTRIES)
    assert instances_of(Study)


def test_its_options_are_fields_and_part_of_the_key() -> None:
    before = TrialConfig(model="beta_vae", beta=0.1, dataset="still_circles").key
    load_files([BLUR])
    assert "blur" in field_names()
    assert len({_config(**changes).key for changes in ({}, {"blur": 0.2}, {"blur": 0.7}, {"blur": 0.5})}) == 3
    assert TrialConfig(model="beta_vae", beta=0.1, dataset="still_circles").key == before
    assert _config(blur=0.2).to_dict()["blur"] == 0.2
    assert TrialConfig.from_dict(_config(blur=0.2).to_dict()) == _config(blur=0.2)


@pytest.mark.parametrize("sent", [False, True])
def test_it_finds_files_beside_it_also_where_the_working_folder_is_another(
    sent: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "options.txt").write_text("0.25")
    reads = 'HERE = Path(__file__).parent\nUSUAL = float((HERE / "options.txt").read_text())\n'
    text = BLUR.read_text().replace("import torch\n", f"from pathlib import Path\n\nimport torch\n\n{reads}", 1)
    _file(tmp_path, text.replace("] = 0.5", "] = USUAL"))
    monkeypatch.chdir(tmp_path)
    read = Extension.read("mine.py")
    monkeypatch.chdir(FOLDER)
    load_extensions([pickle.loads(pickle.dumps(read)) if sent else read])
    assert _config().to_dict()["blur"] == 0.25


def test_a_sweep_of_other_defaults_is_not_gone_on_with(tmp_path: Path) -> None:
    words = ["--model", "blur_vae", "--blur", "0.25", "0.5", "--gamma", "--storage", str(tmp_path), "--extension"]
    study = replace(TINY, axes=("beta", "blur"))
    before = parse(study, [*words, str(BLUR)])
    sweep = SweepFolder.at(before.location)
    sweep.write_manifest(make_manifest(before, {}))
    check_agrees(before, sweep)
    unload(BLUR.name)
    edited = _file(tmp_path, BLUR.read_text().replace("] = 0.5", "] = 0.25"), BLUR.name)
    after = parse(study, [*words, str(edited)])
    with pytest.raises(UserError, match=r"other defaults: blur was 0\.5 and is now 0\.25\..* choose another --name"):
        check_agrees(after, sweep)
    assert {t.key for t in before.trials if t.config.blur == 0.5} == {
        t.key for t in after.trials if t.config.blur == 0.25
    }


@pytest.mark.parametrize("default", ["0.25", "0.75"])
def test_networks_of_other_defaults_are_loaded_as_they_were_trained(tmp_path: Path, default: str) -> None:
    words = f"--model blur_vae --blur 0.25 0.5 --gamma --batch-size 4 --storage {tmp_path} --extension".split()
    plan = parse(replace(TINY, axes=("beta", "blur")), [*words, str(BLUR)])
    sweep = SweepFolder.at(plan.location)
    sweep.write_manifest(make_manifest(plan, {}))
    for trial in plan.trials:
        folder = sweep.trial(trial.key)
        folder.create(trial.config.to_dict(), trial.label)
        folder.save_state(0, dump_state(Stack([trial.config])[trial.key].state()))
    unload(BLUR.name)
    load_files([_file(tmp_path, BLUR.read_text().replace("] = 0.5", f"] = {default}"), BLUR.name)])
    blurs = {trial.key: trial.config.to_dict()["blur"] for trial in plan.trials}
    assert {key: load_model(plan.location, key).config.to_dict()["blur"] for key in blurs} == blurs


def test_a_sweep_with_an_option_that_was_removed_since_is_told_of_in_a_sentence(tmp_path: Path) -> None:
    words = f"--model blur_vae --gamma --storage {tmp_path} --extension".split()
    study = replace(TINY, axes=("beta",))
    plan = parse(study, [*words, str(BLUR)])
    sweep = SweepFolder.at(plan.location)
    sweep.write_manifest(make_manifest(plan, {}))
    for trial in plan.trials:
        sweep.trial(trial.key).create(trial.config.to_dict(), trial.label)
    unload(BLUR.name)
    text = BLUR.read_text().replace(" options=BlurOptions,", "").replace("config.blur", "0.5")
    after = parse(study, [*words, str(_file(tmp_path, text, BLUR.name))])
    said = rf"{plan.location} has trials with option blur of blur_vae\.py, which is not in the file"
    for opened in (lambda: check_agrees(after, sweep), lambda: results.load(plan.location)):
        with pytest.raises(UserError, match=said):
            opened()
    unload(BLUR.name)
    assert set(results.load(plan.location)["blur"]) == {0.5}


@pytest.mark.parametrize(
    ("kind", "high", "lower", "values"), [("float", "1", "0.6", ("0.5", "0.9")), ("int", "9", "5", ("2", "7"))]
)
def test_a_sweep_of_values_that_a_narrowed_range_refuses_is_not_gone_on_with(
    tmp_path: Path, kind: str, high: str, lower: str, values: tuple[str, str]
) -> None:
    words = f"--model blur_vae --gamma --storage {tmp_path} --extension {tmp_path / BLUR.name} --blur".split()
    study = replace(TINY, axes=("beta", "blur"))
    text = BLUR.read_text().replace("Annotated[float,", f"Annotated[{kind},").replace("] = 0.5", "] = 0")

    def write(high: str) -> None:
        _file(tmp_path, text.replace("[0, 1]", f"[0, {high}]").replace("0, 1)", f"0, {high})"), BLUR.name)

    write(high)
    before = parse(study, [*words, *values])
    sweep = SweepFolder.at(before.location)
    sweep.write_manifest(make_manifest(before, {}))
    unload(BLUR.name)
    write(lower)
    after = parse(study, [*words, values[0]])
    said = f"has trials of blur {values[1]}, which is out of range now (give a number in [0, {lower}])"
    with pytest.raises(UserError, match=re.escape(said)):
        check_agrees(after, sweep)


def test_its_options_are_swept_checked_and_refused_where_they_have_no_effect() -> None:
    load_files([BLUR])
    assert len(product({"model": ("blur_vae", "beta_vae"), "beta": (0.1,), "blur": (0.0, 0.5)})) == 3
    with pytest.raises(UserError, match=r"blur = 1\.5 is out of range; give a number in \[0, 1\]"):
        _config(blur=1.5)
    with pytest.raises(UserError, match="blur = 'much' must be of type float"):
        _config(blur="much")
    with pytest.raises(UserError, match=r"blur = 0\.2 has no effect on inertia_vae; give 0\.5, or use blur_vae"):
        _config(model="inertia_vae", blur=0.2)
    with pytest.raises(UserError, match="compat = original has no effect on blur_vae"):
        _config(compat="original")


def test_a_metric_of_it_is_computed_and_has_its_columns() -> None:
    load_files([FOLDER / "explained.py"])
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(1000, 2)) * (2.0, 1.0)
    code = Code(latents=latents, factors=rng.random((1000, 2)), factor_names=("a_x", "b_x"), encode=None)
    scores = further_scores(["first_axis"], code)
    assert scores["first_axis"] == scores["first_axis_active"] == pytest.approx(0.8, abs=0.03)
    assert REPORTED["first_axis"].short == "1st axis" and "first_axis_active" in with_untrained()
    recorded = json.loads(json.dumps(record()))
    unload("explained.py")
    assert "first_axis" not in REPORTED
    recall(recorded)
    assert REPORTED["first_axis"].label.startswith("Variance")


def test_the_columns_of_a_metric_are_recalled_with_their_ends_and_as_counts(tmp_path: Path) -> None:
    declared = "columns={'mine': Metric('x', 'x', 'min', within=(0, 1)), 'number': Metric('n', 'n', None, count=True)}"
    text = f"from dd_ray.metrics import Metric, ScoreSpec\nA = ScoreSpec(name='a', compute=dict, {declared}, cost=1)\n"
    load_files([_file(tmp_path, text)])
    columns = {name: REPORTED[name] for name in ("mine", "mine_active", "number", "number_active")}
    assert columns["mine_active"].within == (0, 1) and columns["number_active"].count
    recorded = json.loads(json.dumps(record()))
    unload("mine.py")
    recall(recorded)
    assert {name: REPORTED[name] for name in columns} == columns


@pytest.mark.usefixtures("few_stills")
@pytest.mark.filterwarnings("ignore::dd_ray.metrics.FewPointsWarning")
def test_scores_before_training_are_of_its_own_code_with_its_options(tmp_path: Path) -> None:
    own = "    def code(self, images):\n        return (self.blur - super().code(images)).abs()\n\n    def forward("
    load_files([_file(tmp_path, BLUR.read_text().replace("    def forward(", own), BLUR.name)])
    for config in (_config(blur=0.0), _config(blur=0.01), _config(model="predictive_vae")):  # of equal weights
        scores = untrained_scores(config, ["mcc"])
        expected = model_scores(build_model(config), config, ["mcc"])
        assert scores == {name: expected[name] for name in scores} and scores


def test_an_optimiser_of_it_takes_steps_and_is_recalled() -> None:
    load_files([FOLDER / "signs.py"])
    stack = Stack([TrialConfig(model="beta_vae", beta=0.1, optimizer="signs", **SMALL)])
    stack.step()
    assert [trial.iteration for trial in stack] == [1]
    recorded = json.loads(json.dumps(record()))
    unload("signs.py")
    recall(recorded)
    assert TrialConfig(model="beta_vae", beta=0.1, optimizer="signs").optimizer == "signs"


def test_what_has_no_registry_is_found_by_its_class() -> None:
    load_files([FOLDER / "alpha_study.py"])
    assert [study.name for study in instances_of(Study)] == ["alpha_grid"]
    assert instances_of(TrialConfig) == []


def test_a_sampler_of_it_draws_the_points_of_a_search() -> None:
    load_files([FOLDER / "random_search.py"])
    search = load_study(FOLDER.parents[1] / "sweeps" / "inertia_search.py")
    plan = parse(search, ["--sampler", "own_random"])
    assert "drawn by random search for" in plan.contents()[0]
    assert resolve(SAMPLERS["own_random"].build)(1, 10).__class__.__name__ == "RandomSampler"


def test_a_study_of_it_is_run_by_its_name() -> None:
    options = ["--extension", FOLDER / "alpha_study.py", "--dry-run"]
    done = python("-m", "dd_ray", "alpha_grid", *options)
    assert done.returncode == 0 and "6 trials = 3 alpha × 2 gamma" in done.stdout
    done = python("-m", "dd_ray", "beta_gird", *options)
    assert done.returncode == 2 and "there is no study or command beta_gird, also none of" in done.stderr
    assert "did you mean beta_grid?" in done.stderr


def test_the_order_of_files_does_not_matter() -> None:
    load_files([BLUR, FOLDER / "free_bits.py"])
    key = _config(blur=0.2, objective="free_bits", free_nats=0.1).key
    for extension in loaded():
        unload(extension.name)
    load_files([FOLDER / "free_bits.py", BLUR])
    assert _config(blur=0.2, objective="free_bits", free_nats=0.1).key == key


def test_a_network_of_it_is_trained_and_kept() -> None:
    load_files([BLUR])
    stack = Stack([_config(blur=0.2), _config(blur=0.2, seed=1)])
    stack.step(2)
    trial = next(iter(stack))
    state = load_state(dump_state(trial.state()))
    assert state.config == trial.config and state.iteration == 2
    assert pickle.loads(pickle.dumps(trial.config)) == trial.config


def test_it_is_run_from_its_text_where_there_is_no_file() -> None:
    sent = Extension("elsewhere.py", BLUR.read_text())
    load_extensions([sent])
    assert resolve(MODELS["blur_vae"].build).__name__ == "BlurVAE"
    load_extensions([sent])  # again, as a worker that goes on with another trial does
    with pytest.raises(UserError, match=r"another elsewhere\.py is loaded already"):
        load_extensions([Extension("elsewhere.py", "")])


def test_what_a_sweep_recorded_is_read_without_running_it() -> None:
    load_files([BLUR])
    recorded, values = json.loads(json.dumps(record())), _config(blur=0.2).to_dict()
    key = _config(blur=0.2).key
    unload(BLUR.name)
    with pytest.raises(UserError, match="'blur' is not a config field"):
        TrialConfig.from_dict(values)
    recall(recorded)
    config = TrialConfig.from_dict(values)
    assert config.key == key and config.traits.title == "blur VAE" and config.blur == 0.2
    with pytest.raises(UserError, match=r"out of range; give a number in \[0, 1\]"):
        TrialConfig.from_dict(values | {"blur": 3.0})
    with pytest.raises(UserError, match=r"the code of blur_vae\.py.*; give --extension blur_vae\.py, or .*load_files"):
        Stack([config])
    load_files([BLUR])  # in the place of what was recorded
    Stack([_config(blur=0.2)]).step()


def _claims(name: str, option: str, default: float, kind: str = "model", **more: Any) -> list[dict[str, Any]]:
    """A record as anybody may write it."""
    about = {"within": [], "symbol": None, "free": False, "of_data": False, "in_key": True}
    options = [{"name": option, "type": "float", "default": default, **about}]
    spec = {"kind": kind, "name": name, "title": "x", "reads": ["beta"], "options": options, **more}
    return [{"file": f"{name}.py", "digest": "", "declares": [spec]}]


@pytest.mark.parametrize(
    ("kind", "code", "more"),
    [
        ("model", "build", {}),
        ("dataset", "make", {"training_size": 9}),
        ("dataset", "pictures", {"training_size": 9}),
        ("dataset", "check", {"training_size": 9}),
        ("metric", "compute", {"columns": {"theirs": ["x", "x", "max"]}, "cost": 1.0}),
    ],
)
def test_no_code_that_a_record_names_is_taken(kind: str, code: str, more: dict[str, Any]) -> None:
    (claim,) = _claims("theirs", "their_option", 0.5, kind, **more, **{code: "os:system"})
    if kind != "model":
        del claim["declares"][0]["title"]
    recall([claim])
    spec = REGISTRIES[kind]["theirs"]
    assert getattr(spec, code) != "os:system" and "os:system" not in codes_of(spec)
    assert is_recalled(spec)


@pytest.mark.parametrize("size", ["9", json.loads(json_file(np.int64(9)))])
def test_a_number_of_numpy_s_is_recalled_as_it_is_and_as_it_was_recorded_before(size: object) -> None:
    (claim,) = _claims("theirs", "their_option", 0.5, "dataset", training_size=size)
    del claim["declares"][0]["title"]
    recall([claim])
    assert REGISTRIES["dataset"]["theirs"].training_size == 9


@pytest.mark.parametrize("option", ["gamma", "seed", "key", "to_dict", "num_data", "sweep"])
def test_a_record_changes_nothing_of_other_configs(option: str) -> None:
    before = TrialConfig(model="beta_vae", beta=0.1)
    recall(_claims("theirs", option, 0.75))
    after = TrialConfig(model="beta_vae", beta=0.1)
    assert (after.key, after.to_dict()) == (before.key, before.to_dict())


def test_a_record_does_not_rename_a_column_that_there_is() -> None:
    before = dict(REPORTED)
    renamed = {name: ["x", "x", "min"] for name in ("dci_disentanglement", "theirs")}
    (claim,) = _claims("theirs", "their_option", 0.5, "metric", columns=renamed, cost=1.0, masked=False)
    del claim["declares"][0]["title"]
    recall([claim])
    assert dict(REPORTED) == before | {"theirs": REPORTED["theirs"]} and "dci_disentanglement" in before


def test_a_network_s_numbers_are_recalled_by_image_size() -> None:
    """As keys of JSON the sizes are texts."""
    given = {"gflop_per_frame": {32: 0.5}, "weights": {32: 130}, "kept": {32: 50, 64: 200}}
    (claim,) = _claims("theirs", "their_option", 0.5, "network", **given)
    del claim["declares"][0]["title"]
    recall(json.loads(json.dumps([claim])))
    assert {name: getattr(NETWORKS["theirs"], name) for name in given} == given


_NEEDED: dict[str, dict[str, Any]] = {
    "network": {"gflop_per_frame": {"32": 1}},
    "dataset": {"training_size": 1e5},
    "metric": {"columns": {"theirs": ["x", "x", "max"]}, "cost": 1},
}


def _claim_of(kind: str, wrong: dict[str, Any]) -> list[dict[str, Any]]:
    """A record of each kind, or of a model with an option, of which some is wrong."""
    (claim,) = _claims("theirs", "their_option", 0.5, "model" if kind == "option" else kind, **_NEEDED.get(kind, {}))
    (spec,) = claim["declares"]
    if kind in _NEEDED:
        del spec["title"]
    (option,) = spec["options"]
    option["within"] = [["give a number from 0", 0, math.inf, False]]
    (option if kind == "option" else spec).update(wrong)
    return [claim]


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("model", {"title": 5}),
        ("model", {"reads": "beta"}),
        ("model", {"reads": [5]}),
        ("model", {"idle_in_original": None}),
        ("model", {"warm_up": "x"}),
        ("model", {"warm_up": 10**400}),
        ("network", {"gflop_per_frame": {"32": "x"}}),
        ("network", {"gflop_per_frame": {"\N{SUPERSCRIPT TWO}": 1.0}}),
        ("dataset", {"factors": [["x"]]}),
        ("dataset", {"videos": 5}),
        ("metric", {"columns": ["theirs"]}),
        ("metric", {"columns": {"theirs": ["x", 5, "max"]}}),
        ("metric", {"columns": {"theirs": ["x", "x", "more"]}}),
        ("metric", {"columns": {"theirs": ["x", "x", "max", "os:system"]}}),
        ("metric", {"columns": {"theirs": ["x", "x", "max", False, [0]]}}),
        ("metric", {"columns": {"theirs": ["x", "x", "max", False, [0, "x"]]}}),
        ("metric", {"cost": math.nan}),
        ("option", {"default": "x"}),
        ("option", {"default": [0.5]}),
        ("option", {"default": 10**400}),
        ("option", {"default": -1.0}),
        ("option", {"within": [["x", "0", 1, False]]}),
        ("option", {"within": ["x"]}),
        ("option", {"symbol": 5}),
        ("option", {"free": "x"}),
    ],
)
def test_a_record_of_a_wrong_type_is_refused_and_declares_nothing(kind: str, wrong: dict[str, Any]) -> None:
    before = TrialConfig(model="beta_vae", beta=0.1)
    with pytest.raises((TypeError, ValueError)):
        recall(_claim_of(kind, wrong))
    registry = REGISTRIES["model" if kind == "option" else kind]
    assert "theirs" not in registry and TrialConfig(model="beta_vae", beta=0.1).to_dict() == before.to_dict()
    recall(_claim_of(kind, {}))
    assert "theirs" in registry


def test_models_that_share_options_are_recalled(tmp_path: Path) -> None:
    load_files(
        [
            _file(
                tmp_path,
                _with_option("mine: float = 0.5") + "B = ModelSpec(name='b', title='x', build=dict, options=O)\n",
            )
        ]
    )
    recorded, keys = json.loads(json.dumps(record())), [_of(name).key for name in "ab"]
    unload("mine.py")
    for _ in range(2):
        recall(recorded)
        assert [_of(name).key for name in "ab"] == keys


def _of(model: str) -> TrialConfig:
    return TrialConfig(model=model, mine=0.2)  # type: ignore[call-arg]


def test_sweeps_whose_extensions_have_an_option_of_one_name_are_read_beside_each_other() -> None:
    for name, default in (("one", 0.5), ("two", 0.7)):
        recall(_claims(name, "blur", default))
    configs = [TrialConfig.from_dict({"model": name, "beta": 0.1, "blur": 0.7}) for name in ("one", "two")]
    assert [config.to_dict()["blur"] for config in configs] == [0.7, 0.7]


def test_of_a_record_kinds_that_a_process_has_not_imported_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    load_files([FOLDER / "explained.py", BLUR])
    recorded = json.loads(json.dumps(record()))
    unload("explained.py")
    unload(BLUR.name)
    monkeypatch.delitem(REGISTRIES, "metric")
    recall(recorded)
    assert "blur_vae" in MODELS and "first_axis" not in REPORTED


def test_files_of_which_a_sweep_recorded_another_text_are_named(tmp_path: Path) -> None:
    load_files([BLUR, FOLDER / "bars.py"])
    recorded = json.loads(json.dumps(record()))
    assert changed_since(recorded) == changed_since([]) == ""
    unload(BLUR.name)
    load_files([_file(tmp_path, BLUR.read_text() + "# changed\n", BLUR.name)])
    assert changed_since(recorded) == "blur_vae.py"
    unload(BLUR.name)
    load_files([_file(tmp_path, BLUR.read_text() + "# changed\n", "blur_vae_2.py")])
    assert changed_since(recorded) == "blur_vae_2.py"


def test_a_record_does_not_take_the_place_of_code() -> None:
    load_files([BLUR])
    recall(json.loads(json.dumps(record())))
    stack = Stack([_config()])
    stack.step()
    assert [trial.iteration for trial in stack] == [1] and not next(iter(stack)).diverged


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import nothing_of_this_name\n", r"mine\.py:1 does not import: ModuleNotFoundError"),
        ("x = 1\n\n1 / 0\n", r"mine\.py:3 does not import: ZeroDivisionError"),
        ("def f(:\n", r"mine\.py:1 does not import: SyntaxError"),
        ("def f():\n    raise OSError('disk')\n\n\nf()\n", r"mine\.py:2 does not import: OSError: disk"),
        ("x = 1\n", r"mine\.py declares nothing; give it a ModelSpec"),
        (
            "from dd_ray.config import ModelSpec\n\nA = ModelSpec(\n    name='beta_vae', title='x', build=dict)\n",
            r"mine\.py:3 declares model beta_vae, which there is already; choose another name",
        ),
        (
            "from dd_ray.config import ModelSpec\nA = ModelSpec(name='mine', title='x', build='Mine')\n",
            r"mine\.py:2 declares model mine by 'Mine'; name the class",
        ),
        (
            "from dd_ray.config import ModelSpec\nA = ModelSpec(name='mine', title='x', build=Mine)\n",
            r"mine\.py:2 does not import: NameError: name 'Mine' is not defined",
        ),
        (
            "from dataclasses import dataclass\nfrom dd_ray.config import ModelSpec\n@dataclass\nclass O:\n"
            "    gamma: float = 1.0\nA = ModelSpec(name='mine', title='x', build=dict, options=O)\n",
            r"mine\.py:6 declares model mine with option gamma, which there is already",
        ),
        (
            "from dataclasses import dataclass\nfrom dd_ray.config import ModelSpec\n@dataclass\nclass O:\n"
            "    mine: list = ()\nA = ModelSpec(name='mine', title='x', build=dict, options=O)\n",
            r"mine\.py:6 declares model mine with option mine; give it a default, and one of the types float",
        ),
        ("import sys\n\nsys.exit(0)\n", r"mine\.py:3 does not import: SystemExit: 0"),
        (
            "from dd_ray.config import ModelSpec\nA = ModelSpec(name='a/b', title='x', build=dict)\n",
            r"mine\.py:2 declares model a/b; give it a name of letters",
        ),
        (
            "from dd_ray.config import ModelSpec\nA = ModelSpec(name='a', title='x', build=dict)\n"
            "B = ModelSpec(name='a', title='y', build=dict)\n",
            r"mine\.py:2 declares model a, which there is already",
        ),
        (
            "from dd_ray.config import ModelSpec\nA = ModelSpec(name='a', title='x', build=dict())\n",
            r"mine\.py:2 declares model a by {}; name the class",
        ),
        *(
            (
                f"from dd_ray.config import ModelSpec\nA = ModelSpec(name='a', title='x', build='{module}:Net')\n",
                rf"mine\.py:2 declares model a by '{module}:Net', whose module is not found",
            )
            for module in ("no_such_module", "no_such.module", "dd_ray.no_such_module")
        ),
        (
            "from dd_ray.config import ModelSpec\nA = ModelSpec(name='a', title='x', build=dict, reads=('gama',))\n",
            r"mine\.py:2 declares model a, which reads 'gama', and there is no such option; did you mean gamma\?",
        ),
        (
            "from dd_ray.config import ModelSpec\nA = ModelSpec(name='a', title='x', build=dict, reads=('beta'))\n",
            r"mine\.py:2 declares model a, whose reads is 'beta'; give a tuple, such as \('beta',\)",
        ),
        (
            "from dd_ray.config import NetworkSpec\n"
            "A = NetworkSpec(name='a', features=dict, decoder=dict, gflop_per_frame=0.1)\n",
            r"mine\.py:2 declares network a, whose gflop_per_frame is 0\.1; give a dictionary",
        ),
    ],
)
def test_what_is_wrong_with_it_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    names = field_names()
    with pytest.raises(UserError, match=message) as caught:
        load_files([_file(tmp_path, text)])
    assert str(caught.value).endswith((".", "?")) and "\n" not in str(caught.value)
    assert not loaded() and field_names() == names


def test_files_may_read_the_options_of_each_other(tmp_path: Path) -> None:
    head = "from dataclasses import dataclass\nfrom dd_ray.config import ModelSpec\n"
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text(f"{head}A = ModelSpec(name='a', title='x', build=dict, reads=('strength',))\n")
    other.write_text(
        f"{head}@dataclass\nclass O:\n    strength: float = 1.0\n"
        "B = ModelSpec(name='b', title='y', build='json:loads', options=O)\n"
    )
    load_files([one, other])
    assert "strength" in field_names()


def test_a_file_that_was_edited_since_it_was_loaded_is_told_from_another(tmp_path: Path) -> None:
    load_files([BLUR])
    with pytest.raises(UserError, match=r"another blur_vae\.py is loaded already; .* edited since, restart Python"):
        load_files([_file(tmp_path, "x = 1", BLUR.name)])


def _with_option(option: str, model: str = "options=O") -> str:
    head = "from dataclasses import dataclass\nfrom typing import Annotated\nfrom dd_ray.config import *\n"
    options = f"@dataclass(frozen=True)\nclass O:\n    {option}\n"
    return f"{head}{options}A = ModelSpec(name='a', title='x', build=dict, {model})\n"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("iterations: int = 3", "option iterations, which there is already"),  # of the sweep
        ("startup: int = 3", "option startup, which there is already"),  # of a search
        ("frames: int = 3", "option frames, which there is already"),  # a property of configs
        ("key: str = ''", "option key, which there is already"),
        ("cells: int = 3", "option cells, which there is already"),  # a column of a search's suggestions
        ("mcc: float = 0.5", "option mcc, which there is already"),  # columns of the table
        ("mig_stills_active: float = 0.5", "option mig_stills_active, which there is already"),
        ("state: str = ''", "option state, which there is already"),
        ("mine: Annotated[float, Option(option='lambda')] = 0.5", "option lambda, which there is already"),
        ("mine: Annotated[float, Option(option='a b')] = 0.5", "option mine, whose name is 'a b' on a command line"),
        ("mine: Annotated[float, Option(within=Within('x', 0, 1))] = 0.5", "option mine, whose within is no tuple"),
        (
            "mine: Annotated[int, Option(within=(Within('give 1 to 6', 1, 6),))] = 8",
            "option mine, .* 8 .*; give 1 to 6",
        ),
        (
            "mine: Annotated[str, Option(within=(Within('give 1 to 6', 1, 6),))] = ''",
            "option mine, .* '' is out of its",
        ),
        ("other: int = 1; mine = 0.5", "option mine without a type; write mine: float = 0.5"),
        ("mine: float = None", "option mine, whose default is None; give a finite number"),
        ("mine: float = float('nan')", "option mine, whose default is nan; give a finite number"),
        ("mine: int = 0.5", "option mine, whose default is 0.5; give a whole number"),
        ("mine: int = True", "option mine, whose default is True; give a whole number"),
    ],
)
def test_what_is_wrong_with_an_option_is_one_sentence(tmp_path: Path, option: str, message: str) -> None:
    with pytest.raises(UserError, match=f"mine.py:7 declares model a with {message}.*[.]$"):
        load_files([_file(tmp_path, _with_option(option))])
    assert not loaded() and "a" not in MODELS


def test_options_are_a_dataclass(tmp_path: Path) -> None:
    for wrong in ("options=O()", "options=dict"):
        with pytest.raises(UserError, match=r"mine\.py:7 declares model a with options that are no dataclass"):
            load_files([_file(tmp_path, _with_option("mine: float = 0.5", wrong))])


READS_WHAT_ALL_READ = """
from dd_ray.config import *
from dd_ray.config.models import VAE
from dd_ray.models.beta_vae import BetaVAE
M = ModelSpec(name="mine", title="x", build=BetaVAE, reads=(*VAE, "beta", "network"), needs_videos=True)
D = DatasetSpec(name="dots", make=dict, painter=dict, factors=(), training_size=9, moving=True, reads=("seed", "lam"))
U = OptimizerSpec(name="signs", keeps=(), update=dict, reads=("learning_rate",))
"""


def test_what_all_may_read_has_its_effect_on_all_where_a_file_says_that_it_reads_it(tmp_path: Path) -> None:
    axes = {"model": ("predictive_vae",), "beta": (0.1, 1.0), "network": ("conv32", "mlp"), "seed": (0, 1)}
    axes |= {"lam": (1.0, 2.0), "learning_rate": (1e-4, 1e-3), "dataset": ("moving_circles",)}
    before = product(axes)
    load_files([_file(tmp_path, READS_WHAT_ALL_READ)])
    assert [config.key for config in product(axes)] == [config.key for config in before]
    assert len(product(axes | {"model": ("mine", "beta_vae"), "lam": (0.0,)})) == 32
    assert TrialConfig(model="mine", dataset="dots", optimizer="signs", beta=0.1, learning_rate=0.1).beta_value == 0.1


def test_an_optimiser_keeps_what_a_state_has_a_place_for(tmp_path: Path) -> None:
    text = "from dd_ray.config import OptimizerSpec\nA = OptimizerSpec(name='a', update=dict, keeps=('momentum',))\n"
    with pytest.raises(
        UserError, match=r"mine\.py:2 declares optimizer a, which keeps 'momentum'; name it square_avg or"
    ):
        load_files([_file(tmp_path, text)])
    assert not loaded() and "a" not in OPTIMIZERS


def _declared_with_option(spec: str, option: str) -> str:
    head = "from dataclasses import dataclass\nfrom typing import Annotated\nfrom dd_ray.config import *\n"
    head += "from dd_ray.metrics import ScoreSpec\n"
    return f"{head}@dataclass(frozen=True)\nclass O:\n    {option}\nA = {spec[:-1]}, name='a', options=O)\n"


_OF_DATASET = "DatasetSpec(make=dict, painter=dict, factors=('x',), training_size=9)"
_OF_OBJECTIVE = "ObjectiveSpec(title='x', penalty=dict)"
_PLAIN, _FREE = "mine: float = 0.5", "mine: Annotated[float, Option(free=True)] = 0.5"


@pytest.mark.parametrize(
    ("spec", "option", "message"),
    [
        ("OptimizerSpec(update=dict, keeps=())", _PLAIN, "optimizer a with options, which have no effect"),
        ("ScoreSpec(compute=dict, columns={}, cost=1.0)", _PLAIN, ".* a with options, which have no effect"),
        (_OF_DATASET, _PLAIN, r"dataset a with option mine, by which .*; annotate it with Option\(of_data"),
        (_OF_OBJECTIVE, _FREE, "objective a with option mine, which is free"),
    ],
)
def test_an_option_that_would_not_reach_each_trial_is_refused(
    tmp_path: Path, spec: str, option: str, message: str
) -> None:
    with pytest.raises(UserError, match=rf"mine\.py:8 declares {message}.*[.]$"):
        load_files([_file(tmp_path, _declared_with_option(spec, option))])
    assert not loaded() and "mine" not in field_names()


def test_an_option_of_a_dataset_is_one_of_its_data(tmp_path: Path) -> None:
    text = _declared_with_option(_OF_DATASET, "mine: Annotated[float, Option(of_data=True)] = 0.5")
    load_files([_file(tmp_path, text)])
    few, many = (TrialConfig(model="beta_vae", beta=0.1, dataset="a", mine=mine) for mine in (0.1, 0.9))
    assert data_config(few.data) != data_config(many.data)


def test_types_of_options_may_be_text(tmp_path: Path) -> None:
    text = _with_option("mine: Annotated[float, Option(within=(Within('give 1 or less', high=1),))] = 0.5")
    load_files([_file(tmp_path, f"\ufefffrom __future__ import annotations\n{text}")])
    assert TrialConfig(model="a", mine=1).key != TrialConfig(model="a").key
    with pytest.raises(UserError, match=r"mine = 2\.0 is out of range; give 1 or less"):
        TrialConfig(model="a", mine=2)


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_an_option_without_a_range_takes_finite_numbers(tmp_path: Path, value: str) -> None:
    load_files([_file(tmp_path, _with_option("mine: float = 0.5"))])
    with pytest.raises(UserError, match=f"mine = {value} is out of range; give a finite number"):
        TrialConfig(model="a", mine=float(value))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("'mcc': Metric('x', 'x', None)", "column mcc, which there is already"),
        ("'gamma': Metric('x', 'x', None)", "column gamma, which there is already"),
        ("'seconds': Metric('x', 'x', None)", "column seconds, which there is already"),
        ("'dci_completeness': Metric('x', 'x', None)", "column dci_completeness, which there is already"),
        ("'mine': Metric('x', 'x', 'higher')", "column mine, whose better is 'higher'; give 'min', 'max' or None"),
        (
            "'mine': Metric('x', 'x', None, within=1)",
            r"column mine, whose within is 1; give two numbers, such as \(0, 1\)",
        ),
    ],
)
def test_what_is_wrong_with_a_column_is_one_sentence(tmp_path: Path, column: str, message: str) -> None:
    head = "from dd_ray.metrics import Metric, ScoreSpec\n"
    text = f"{head}A = ScoreSpec(name='a', compute=dict, columns={{{column}}}, cost=0.1)\n"
    with pytest.raises(UserError, match=f"mine.py:2 declares metric a with {message}"):
        load_files([_file(tmp_path, text)])


@pytest.mark.parametrize("word", ["auto", "all", "none"])
def test_a_score_is_not_named_as_a_word_that_asks_for_scores(tmp_path: Path, word: str) -> None:
    text = "from dd_ray.metrics import Metric, ScoreSpec\n"
    text += f"S = ScoreSpec(name={word!r}, compute=len, columns={{'mine': Metric('x', 'x', None)}}, cost=1)\n"
    with pytest.raises(UserError, match=rf"mine\.py:2 declares metric {word}, which there is already"):
        load_files([_file(tmp_path, text)])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing.py", "cannot be read"),
        ("models.txt", "is no Python file"),
        ("my-models.py", "has a name that Python does not import; rename it"),
        ("my models.py", "has a name that Python does not import; rename it"),
    ],
)
def test_what_is_no_file_is_said(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(UserError, match=rf"--extension .*{name} {said}"):
        load_files([tmp_path / name])


def test_a_command_line_names_several() -> None:
    found, rest = taken_from(["--beta", "1", "--extension", str(BLUR), str(FOLDER / "bars.py"), "--seeds", "2"])
    assert found == (str(BLUR), str(FOLDER / "bars.py")) and rest == ["--beta", "1", "--seeds", "2"]
    assert {extension.name for extension in loaded()} == {"blur_vae.py", "bars.py"}


def test_ray_is_not_to_be_imported_before_a_cluster_is_joined(tmp_path: Path) -> None:
    file = _file(tmp_path, "from ray import tune\n")
    (tmp_path / "ray").mkdir()  # in place of Ray itself, which takes seconds
    for name in ("__init__.py", "tune.py"):
        _file(tmp_path / "ray", "", name)
    code = f"from dd_ray.config.extensions import load_files\nload_files([{str(file)!r}])"
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "mine.py imports ray when it is loaded" in done.stderr


def test_a_command_tells_it_with_code_2_and_no_traceback(tmp_path: Path) -> None:
    file = _file(tmp_path, "import nothing_of_this_name\n")
    study = Path(__file__).parents[2] / "sweeps" / "inertia_grid.py"
    done = python(study, "--dry-run", "--extension", file)
    assert done.returncode == 2 and done.stderr.startswith("error: mine.py:1 does not import")
    assert "Traceback" not in done.stderr and not done.stdout


BLURRED = {"model": "blur_vae"}
MENDED = "    def forward"
CHANGED = [
    # A file, a part of it, what stands there instead, options, and what is said.
    (
        ("blur_vae.py", "e[:, 1:] +", "e[:, 2:] +", BLURRED),
        r"^model = blur_vae raises RuntimeError in forward \(blur_vae\.py:31\): The size of .*; correct it\."
        r"\n  blur_vae\.py:31, in forward: mu = torch\.cat",
    ),
    (("blur_vae.py", "self.blur = config.blur", "self.blur = config.blurred", BLURRED), r"in __init__ \(blur_vae"),
    (("blur_vae.py", "e[:, 1:] +", "e[:, 1:] / 0 +", BLURRED), r"^model = blur_vae gives a loss that is no finite"),
    (
        (
            "blur_vae.py",
            MENDED,
            f"    def code(self, x):\n        return self.encode(x)[0].mean(1)\n\n{MENDED}",
            BLURRED,
        ),
        r"^model = blur_vae encodes into codes of shape \(4, 4\); give \(4, 1, L\)\.$",
    ),
    (
        ("bars.py", "lit.to(torch.uint8) * 255", "lit.float()", {"dataset": "bars"}),
        r"^dataset = bars paints float32 images .*; give uint8",
    ),
    (
        ("bars.py", "= rng.random(", "= np.random.default_rng().random(", {"dataset": "bars"}),
        r"^dataset = bars draws other factors for the same batch each time.*; let it draw",
    ),
    (
        ("bars.py", "lit.to(torch.uint8)", "lit.to(torch.byte8)", {"dataset": "bars"}),
        r"^dataset = bars raises AttributeError in paint \(bars\.py:16\)",
    ),
    (
        ("free_bits.py", 'return {"free_bits"', 'return {} and {"free_bits"', {"objective": "free_bits"}),
        r"^the penalty of objective = free_bits has no term, so that it reads beta, beta_norm, beta_schedule, "
        r"free_nats for nothing; give it a term, or let it read none\.$",
    ),
    (
        ("signs.py", "gradient.sign()", "gradient.signs()", {"optimizer": "signs"}),
        r"^optimizer = signs raises AttributeError in signs \(signs\.py:8\)",
    ),
    (
        ("explained.py", "float(variances[0] / variances.sum())", "str(variances)", {"final_metrics": ["first_axis"]}),
        r"^score first_axis gives a str as first_axis; give a number\.$",
    ),
    (
        ("explained.py", '{"first_axis": float', '{"second_axis": float', {"final_metrics": ["first_axis"]}),
        r"^score first_axis gives column second_axis, which it does not declare; add it to columns\.$",
    ),
]


@pytest.mark.parametrize(("change", "message"), CHANGED)
def test_what_its_code_does_wrong_is_said_before_anything_starts(tmp_path: Path, change: Any, message: str) -> None:
    name, part, instead, chosen = change
    text = (FOLDER / name).read_text()
    assert part in text
    file = _file(tmp_path, text.replace(part, instead, 1), name)
    options = {"beta": 0.1, "gamma": 0, "lam": 0, "seeds": 2, "storage": str(tmp_path), **SMALL, **chosen}
    with pytest.raises(UserError, match=message):
        dd_ray.plan("inertia_grid", extension=[str(file)], **options)


@pytest.mark.parametrize("code", [None, "return self.encode(x)[0] + 1"])
def test_a_model_whose_scores_of_stills_are_not_of_its_latents_is_told_of(
    tmp_path: Path, code: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    text = BLUR.read_text()
    recurrent = text.replace("self.alpha)", "self.alpha)\n        mu = mu + torch.arange(mu.shape[1])[:, None]", 1)
    if code is not None:
        recurrent = recurrent.replace(MENDED, f"    def code(self, x):\n        {code}\n\n{MENDED}")
    file = _file(tmp_path, recurrent, "blur_vae.py")
    options = {"beta": 0.1, "gamma": 0, "lam": 0, "storage": str(tmp_path), **SMALL, **BLURRED}
    dd_ray.plan("inertia_grid", extension=[str(file)], **options)
    told = (
        "model = blur_vae gives a picture at rest other latents than its encoder's means, from which scores of stills "
        "and traversals are computed; give it a method `code` that returns the latents of a picture.\n"
    )
    assert capsys.readouterr().err == ("" if code else told)


@pytest.mark.parametrize("blurs", [[0.0, 0.3, 0.9], [0.9, 0.3, 0.0]])
def test_a_fault_at_one_end_of_an_own_option_is_said_before_anything_starts(tmp_path: Path, blurs: list[float]) -> None:
    text = BLUR.read_text().replace("config.blur", "config.blur / (0.9 - config.blur)")
    options = {"beta": 0.1, "gamma": 0, "lam": 0, "seeds": 2, "storage": str(tmp_path), **SMALL, **BLURRED}
    with pytest.raises(UserError, match=r"^model = blur_vae raises ZeroDivisionError in __init__"):
        dd_ray.plan("inertia_grid", extension=[str(_file(tmp_path, text, BLUR.name))], **options | {"blur": blurs})


@pytest.mark.parametrize("given", [False, True])
def test_a_model_that_mixes_frames_without_the_encoders_means_is_told_of(
    tmp_path: Path, given: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    text = BLUR.read_text().replace("needs_videos=True", "needs_videos=True, mixes_frames=True")
    if given:
        text = text.replace("kl_frames=every)", "kl_frames=every, encoded=e)")
    options = {"beta": 0.1, "gamma": 0, "lam": 0, "storage": str(tmp_path), **SMALL, **BLURRED}
    dd_ray.plan("inertia_grid", extension=[str(_file(tmp_path, text, BLUR.name))], **options)
    told = (
        "model = blur_vae mixes frames, but its outputs have no encoded, so that prediction_ratio_encoder and "
        "straightness_encoder are left out; let forward return the encoder's means as encoded.\n"
    )
    assert capsys.readouterr().err == ("" if given else told)


def test_a_model_that_leaves_what_rests_as_it_is_is_not_told_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"beta": 0.1, "gamma": 0, "lam": 0, "storage": str(tmp_path), **SMALL, **BLURRED}
    dd_ray.plan("inertia_grid", extension=[str(BLUR)], **options)
    assert not capsys.readouterr().err


def test_code_for_gpus_alone_is_refused_only_where_trials_run_on_cpus(tmp_path: Path) -> None:
    file = _file(tmp_path, BLUR.read_text().replace("e[:, 1:] +", "e[:, 1:].to('cuda') +", 1), "blur_vae.py")
    options = {"beta": 0.1, "gamma": 0, "lam": 0, "storage": str(tmp_path), "extension": [str(file)], **SMALL}
    assert dd_ray.plan("inertia_grid", address="auto", model="blur_vae", **options).num_trials
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match=r"^model = blur_vae raises .*(?i:cuda)"):
            dd_ray.plan("inertia_grid", model="blur_vae", **options)


def test_a_dry_run_says_what_its_code_does_wrong(tmp_path: Path) -> None:
    file = _file(tmp_path, BLUR.read_text().replace("batch.images", "batch.imges"), "blur_vae.py")
    asked = "--model blur_vae --beta 0.1 --gamma 0 --lambda 0 --dry-run --storage".split()
    done = python("-m", "dd_ray", "inertia_grid", "--extension", file, *asked, tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: model = blur_vae raises AttributeError in forward (blur_vae.py:30): ")
    assert "Traceback" not in done.stderr


def test_a_score_of_it_is_known_to_who_asks_for_it_without_the_file(tmp_path: Path) -> None:
    load_files([FOLDER / "explained.py"])
    sweep = SweepFolder.at(tmp_path)
    sweep.write_manifest({"study": "tiny", "axes": {}, "options": {}, "extensions": record()})
    sweep.trial("0" * 16).create(TrialConfig(model="beta_vae", beta=0.1).to_dict(), "one")
    unload("explained.py")
    with pytest.raises(UserError, match=r"needs the code of explained\.py.* give --extension explained\.py"):
        trials_to_score(sweep.location, ["first_axis"])
