"""Model variants in a Tuner of one's own: under Tune's schedulers, searchers and loggers, and without Ray."""

import json
import re
import signal
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
import torch
from ray import tune
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.logger import JsonLoggerCallback
from ray.tune.schedulers import HyperBandScheduler, MedianStoppingRule, PopulationBasedTraining
from ray.tune.trainable import trainable as tune_trainable

from dd_ray.config import MODELS, TrialConfig
from dd_ray.errors import UserError
from dd_ray.metrics import reported_by
from dd_ray.training import Stack, dump_state, load_state
from dd_ray.tune import trainable
from dd_ray.tune.trainables import STATE, VariantTrainable, kept_in_range
from tests.sweep.studies import ROOT

SMALL: dict[str, Any] = {"num_frames": 3, "batch_size": 2, "num_test": 8, "iterations": 2}
INERTIA = {**SMALL, "beta": 0.1, "gamma": 0.5, "learning_rate": 1e-3}
LEARNS, RESTS = 3e-4, 1e-30
"""A learning rate at which the error falls from the first batches on, and one that changes no weight."""
EXAMPLE = re.compile(r"<!-- example of a Tuner -->\n```python\n(.*?)```", re.DOTALL)


# Without Ray: what Tune calls, called by hand.


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Begins a trial of a variant."""
    monkeypatch.setattr(tune_trainable, "DEFAULT_STORAGE_PATH", str(tmp_path / "tune"))

    def begin(model: str = "inertia_vae", /, **config: Any) -> VariantTrainable:
        return trainable(model)(config={**INERTIA, **config} if model == "inertia_vae" else {**SMALL, **config})

    return begin


def _saved(trial: VariantTrainable, folder: Path) -> bytes:
    folder.mkdir(exist_ok=True)
    trial.save_checkpoint(str(folder))
    assert [file.name for file in folder.iterdir()] == [STATE]
    return (folder / STATE).read_bytes()


@pytest.mark.parametrize("model", MODELS)
def test_each_variant_tells_what_it_reads_and_reports_what_a_sweep_records(model: str, begin) -> None:
    variant = trainable(model)
    assert issubclass(variant, tune.Trainable) and variant.__name__ == model
    assert MODELS[model].title in str(variant.__doc__)
    fields = re.findall(r"^    (\w+) = ", str(variant.__doc__), re.MULTILINE)
    assert {"iterations", "seed"} <= {*fields} and ("gamma" in fields) == (model == "inertia_vae")
    values = {"beta": 0.1} if "beta" in fields else {}
    report = begin(model, **values).train()
    config = TrialConfig(model=model, **{k: v for k, v in SMALL.items() if k != "iterations"}, **values)
    assert reported_by(config) <= report.keys()
    assert (report["iteration"], report["diverged"], report["done"]) == (2, False, False)


def test_a_trial_saves_and_goes_on_bit_for_bit(begin, tmp_path: Path) -> None:
    undisturbed, first, second = begin(), begin(), begin()
    undisturbed.step()
    first.step()
    content = _saved(first, tmp_path / "state")
    second.load_checkpoint(str(tmp_path / "state"))
    assert second.step() == pytest.approx(undisturbed.step(), abs=0, nan_ok=True)
    assert _saved(second, tmp_path / "second") == _saved(undisturbed, tmp_path / "undisturbed") != content


def test_a_checkpoint_is_what_a_stack_of_the_same_config_has_and_holds_no_pickle(begin, tmp_path: Path) -> None:
    trial = begin(seed=3)
    trial.step()
    config = TrialConfig(model="inertia_vae", seed=3, **{k: v for k, v in INERTIA.items() if k != "iterations"})
    stack = Stack([config])
    stack.step(2)
    assert _saved(trial, tmp_path / "state") == dump_state(stack[config.key].state())
    with np.load(tmp_path / "state" / STATE, allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)


def test_the_checkpoint_of_another_config_is_taken_over_with_one_s_own_hyperparameters(begin, tmp_path: Path) -> None:
    theirs, ours = begin(), begin(gamma=0.9, beta=1.0, learning_rate=RESTS, seed=4)
    theirs.step()
    state = load_state(_saved(theirs, tmp_path / "theirs"))
    ours.load_checkpoint(str(tmp_path / "theirs"))
    assert ours.step()["iteration"] == 4
    after = load_state(_saved(ours, tmp_path / "ours"))
    assert (after.config.gamma, after.config.beta, after.config.seed) == (0.9, 1.0, 4)
    assert after.weights.keys() == state.weights.keys()
    assert all(torch.equal(after.weights[name], state.weights[name]) for name in state.weights)
    assert not all(torch.equal(after.square_avg[name], state.square_avg[name]) for name in state.square_avg)


def test_the_checkpoint_of_another_network_is_refused_in_a_sentence(begin, tmp_path: Path) -> None:
    theirs, ours = begin(num_latents=3), begin(gamma=0.1)
    _saved(theirs, tmp_path / "theirs")
    before = _saved(ours, tmp_path / "before")
    with pytest.raises(UserError, match=r"\(num_latents = 3 there and 4 here\); let trials take over states only"):
        ours.load_checkpoint(str(tmp_path / "theirs"))
    assert _saved(ours, tmp_path / "after") == before


def test_a_damaged_or_missing_checkpoint_is_refused_by_name(begin, tmp_path: Path) -> None:
    trial = begin()
    (tmp_path / "state").mkdir()
    with pytest.raises(UserError, match=rf"{STATE} cannot be read"):
        trial.load_checkpoint(str(tmp_path / "state"))
    (tmp_path / "state" / STATE).write_bytes(b"PK")
    with pytest.raises(UserError, match=rf"{STATE} is damaged"):
        trial.load_checkpoint(str(tmp_path / "state"))


def test_a_process_that_is_used_again_keeps_nothing_of_the_trial_before(begin, tmp_path: Path) -> None:
    used, fresh = begin(gamma=0.1, num_latents=3, seed=1), begin(gamma=0.9, seed=2)
    used.step()
    assert used.reset_config({**INERTIA, "gamma": 0.9, "seed": 2})
    assert used.step() == pytest.approx(fresh.step(), abs=0, nan_ok=True)
    assert _saved(used, tmp_path / "used") == _saved(fresh, tmp_path / "fresh")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"gama": 0.5}, "'gama' is not a field of a trial's config; did you mean gamma?"),
        ({"lambda": 0.5}, "'lambda' is not a field of a trial's config; give lam."),
        ({"zzz": 1}, "'zzz' is not a field of a trial's config; the fields are iterations, network, "),
        ({"gamma": 1.08}, "gamma = 1.08 is out of range; γ is a share, give a number in [0, 1]."),
        ({"beta": None}, "inertia_vae needs beta or beta_norm, and neither is given."),
        ({"capacity_max": 3.0}, "capacity_max = 3.0 has no effect with objective = beta; "),
        ({"model": "beta_vae"}, "model = 'beta_vae' in the config of inertia_vae; give trainable('beta_vae')."),
        ({"iterations": 0}, "iterations = 0 trains nothing; give an integer of at least 1."),
        ({"iterations": 2.5}, "iterations = 2.5 trains nothing; give an integer of at least 1."),
    ],
)
def test_a_config_that_is_wrong_is_refused_in_a_sentence(config: dict[str, Any], told: str, begin) -> None:
    with pytest.raises(UserError) as refused:
        begin(**config)
    assert str(refused.value).startswith(told)


def test_a_trainable_that_there_is_not_is_refused_at_once() -> None:
    with pytest.raises(UserError, match=r"model = 'vae' is not one of supervised_encoder, .*inertia_vae"):
        trainable("vae")
    with pytest.raises(UserError, match=r"precision = 'half' is not one of float32, tf32"):
        trainable("inertia_vae", precision="half")  # type: ignore[arg-type]


def test_numbers_of_numpy_are_numbers(begin) -> None:
    trial = begin(gamma=np.float64(0.25), seed=np.int64(5), batch_size=np.int64(3), iterations=np.int64(1))
    assert trial.step()["iteration"] == 1


def test_what_a_scheduler_multiplies_stays_in_range() -> None:
    given = {"gamma": 1.08, "beta": 0.1, "train_share": -0.2, "learning_rate": 1e-3, "seed": 3, "iterations": 5}
    kept = kept_in_range({**given, "decode": "filtered", "stochastic": True})
    assert kept == {**given, "gamma": 1.0, "train_share": 0.0, "decode": "filtered", "stochastic": True}


def test_a_trial_that_diverges_ends_with_no_number_to_be_ranked_by(begin) -> None:
    report = begin(learning_rate=1e20).train()
    assert report["diverged"] and report["done"]
    assert np.isnan(report["reconstruction_error"]) and np.isnan(report["loss"])


# On Ray: one process at a time, so that trials are paused and processes used again.


@pytest.fixture(scope="module")
def one_core(ray_folder: str):
    """A Ray of one CPU and of a GPU that PyTorch does not find."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        patch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
        patch.setenv("PYTHONPATH", str(ROOT))
        ray.init("local", num_cpus=1, num_gpus=1, include_dashboard=False, log_to_driver=False, _temp_dir=ray_folder)
        yield
        ray.shutdown()
    for number, handler in handlers.items():
        signal.signal(number, handler)


def fit(
    tmp_path: Path,
    space: dict[str, Any],
    scheduler: Any = None,
    *,
    resources: dict[str, float] | None = None,
    stop: int = 4,
    callbacks: Sequence[Callback] = (),
) -> tune.ResultGrid:
    """Run trials of the inertia VAE, ranked by their reconstruction error."""
    tuner = tune.Tuner(
        tune.with_resources(trainable("inertia_vae"), resources or {"cpu": 1}),
        param_space={**INERTIA, **space},
        tune_config=tune.TuneConfig(metric="reconstruction_error", mode="min", scheduler=scheduler, reuse_actors=True),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path),
            name="mine",
            stop={"training_iteration": stop},
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=True),
            callbacks=[JsonLoggerCallback(), *callbacks],
            verbose=0,
        ),
    )
    return tuner.fit()


class Reached(Callback):
    """Iterations of all reports, by learning rate.

    Tune's own table may lack some: where a trial goes on after a pause, Tune replaces its log by the latest copy of it,
    and makes one every ten seconds.
    """

    def __init__(self) -> None:
        self.iterations: dict[float, list[int]] = defaultdict(list)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self.iterations[trial.config["learning_rate"]].append(result["iteration"])


def _state_of(checkpoint: tune.Checkpoint):
    return load_state(Path(checkpoint.path) / STATE)


@pytest.mark.ray
@pytest.mark.slow
def test_the_example_of_the_readme_searches_with_optuna_and_asha_and_a_logger_of_tune(
    one_core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = EXAMPLE.findall((ROOT / "sweeps" / "README.md").read_text())
    assert len(code.splitlines()) <= 30
    smaller = {
        '"iterations": 500,': '"num_frames": 4, "batch_size": 2, "num_test": 8, "iterations": 2,',
        "num_samples=20": "num_samples=4",
        "max_t=5000, grace_period=1000": "max_t=8, grace_period=2, reduction_factor=2",
        "RunConfig(": f"RunConfig(storage_path={str(tmp_path)!r}, name='mine', callbacks=[JsonLoggerCallback()], ",
    }
    for text, instead in smaller.items():
        assert code.count(text) == 1
        code = code.replace(text, instead)
    names: dict[str, Any] = {"JsonLoggerCallback": JsonLoggerCallback}
    exec(compile(code, "sweeps/README.md", "exec"), names)

    logged = {file.parent.name: file.read_text().splitlines() for file in (tmp_path / "mine").glob("*/result.json")}
    reports = [[json.loads(line) for line in lines] for lines in logged.values()]
    assert len(reports) == 4
    assert all([report["iteration"] for report in each] == [*range(2, 2 * len(each) + 1, 2)] for each in reports)
    assert max(len(each) for each in reports) == 4
    assert len({each[0]["config"]["gamma"] for each in reports}) == 4
    best = names["best"]
    assert best.metrics["reconstruction_error"] == min(each[-1]["reconstruction_error"] for each in reports)
    assert _state_of(best.checkpoint).config.gamma == best.config["gamma"]
    assert str(best.checkpoint.path) in capsys.readouterr().out


@pytest.mark.ray
@pytest.mark.slow
def test_hyperband_pauses_trials_that_go_on_from_their_states(one_core, tmp_path: Path) -> None:
    # Its first bracket is of two trials that go to the end, and its second of two, of which the better one does.
    scheduler = HyperBandScheduler(time_attr="training_iteration", max_t=2, reduction_factor=2)
    reached = Reached()
    space = {"learning_rate": tune.grid_search([1e-4, 2e-4, LEARNS, RESTS])}
    results = fit(tmp_path, space, scheduler, callbacks=[reached])
    assert not results.errors, results.errors
    assert reached.iterations == {1e-4: [2, 4], 2e-4: [2, 4], LEARNS: [2, 4], RESTS: [2]}


@pytest.mark.ray
@pytest.mark.slow
def test_the_median_stops_what_does_not_learn(one_core, tmp_path: Path) -> None:
    scheduler = MedianStoppingRule(time_attr="iteration", grace_period=4, min_samples_required=2)
    reached = Reached()
    space = {"learning_rate": tune.grid_search([1e-4, LEARNS, RESTS])}
    results = fit(tmp_path, space, scheduler, callbacks=[reached])
    assert not results.errors, results.errors
    assert reached.iterations == {1e-4: [2, 4, 6, 8], LEARNS: [2, 4, 6, 8], RESTS: [2, 4]}


@pytest.mark.ray
@pytest.mark.slow
def test_pbt_gives_a_trial_that_does_not_learn_the_weights_of_one_that_does(one_core, tmp_path: Path) -> None:
    # What is perturbed learns nothing more, so its weights stay those that it took over.
    # In step, since there is one process: else it turns to the same trial for ever.
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration",
        synch=True,
        perturbation_interval=1,
        hyperparam_mutations={"learning_rate": lambda: RESTS},
        resample_probability=1.0,
        custom_explore_fn=kept_in_range,
    )
    # With this seed, the error of the one that learns falls at each report.
    space = {"learning_rate": tune.grid_search([LEARNS, RESTS]), "seed": 2}
    results = fit(tmp_path, space, scheduler, stop=3)
    better, worse = sorted(results, key=lambda result: -result.config["learning_rate"])
    assert not better.error and not worse.error
    assert (tmp_path / "mine" / "pbt_global.txt").read_text()  # a line for each exploit

    taken = _state_of(worse.checkpoint)
    assert (better.config["learning_rate"], taken.config.learning_rate) == (LEARNS, RESTS)
    sources = [_state_of(checkpoint) for checkpoint, _ in better.best_checkpoints]
    alike = [
        source.iteration
        for source in sources
        if all(torch.equal(source.weights[name], taken.weights[name]) for name in taken.weights)
    ]
    assert (alike, taken.iteration) == ([4], 6)


@pytest.mark.ray
@pytest.mark.slow
def test_what_fails_a_trial_is_its_error_and_a_share_of_a_gpu_is_asked_for(one_core, tmp_path: Path) -> None:
    results = fit(tmp_path, {"gamma": tune.grid_search([0.5, 2.0])}, resources={"cpu": 0.5, "gpu": 0.25})
    errors = " ".join(map(str, results.errors))
    assert len(results.errors) == 2
    assert "UserError: this trial was given a share of a GPU, but its PyTorch finds none" in errors
    assert "UserError: gamma = 2.0 is out of range; γ is a share, give a number in [0, 1]." in errors
