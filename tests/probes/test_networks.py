"""Finding trials and their networks, and showing them still pictures."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from dd_ray import results
from dd_ray.data import Batch, held_out_pictures, render_stills, still_images
from dd_ray.errors import UserError
from dd_ray.evaluation import encode_pictures, encode_stills
from dd_ray.figures.common import folder_of
from dd_ray.figures.networks import subjects_of
from dd_ray.models import build_model
from dd_ray.probes import networks
from dd_ray.probes.networks import choose, load_model, load_networks, load_originals
from dd_ray.storage.sweep_folder import SweepFolder
from tests.figures.networks import spoil, write_trained_sweep
from tests.figures.sweeps import GRID, measure, write_sweep
from tests.small import WITH_CODE, each, small


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 β × 3 γ × 2 λ × 2 seeds; linear R² grows with γ, λ and the seed, and γ = 0.9 stopped early."""
    return write_trained_sweep(
        tmp_path_factory.mktemp("sweep") / "s",
        {**GRID, "seed": [0, 1]},
        lambda config: ("stopped_early", 150) if config["gamma"] == 0.9 else ("finished", 300),
    )


@pytest.fixture(scope="module")
def table(path: Path) -> pd.DataFrame:
    """Its table, which those who choose from it leave as it is."""
    return results.load(path)


def chosen(table: pd.DataFrame, *words: str) -> list[tuple[Any, ...]]:
    trials = choose(table, words)
    return list(trials[["beta", "gamma", "lam", "seed"]].itertuples(index=False, name=None))


def test_nothing_said_chooses_every_trial_at_its_last_evaluation(table: pd.DataFrame) -> None:
    trials = choose(table, [])
    assert len(trials) == trials["key"].nunique() == 2 * 3 * 2 * 2
    assert set(trials["iteration"]) == {150, 300}


def test_parts_of_labels_choose_all_trials_that_have_them(table: pd.DataFrame) -> None:
    assert chosen(table, "beta=0.1,gamma=0.5,lambda=10") == [(0.1, 0.5, 10, 0), (0.1, 0.5, 10, 1)]
    assert chosen(table, "lam=10,gamma=0.5,beta=0.10,seed=1") == [(0.1, 0.5, 10, 1)]
    assert len(chosen(table, "model=inertia_vae")) == 24


def test_trials_without_a_value_are_chosen_as_their_labels_and_figures_name_them(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [1.0], "clip_gradient": [None, 0.5], "seed": [0, 1]})
    table = results.load(path)
    trials = choose(table, ["clip_gradient=None"])
    assert trials["clip_gradient"].isna().all() and len(trials) == 2
    assert chosen(table, "clip_gradient=none") == chosen(table, *trials["label"])


def test_words_are_joined_in_their_order_without_repeats(table: pd.DataFrame) -> None:
    last, first = "beta=0.1,gamma=0.5,lambda=0,seed=1", "beta=0,gamma=0,lambda=0,seed=0"
    assert chosen(table, last, first, last) == [(0.1, 0.5, 0, 1), (0, 0, 0, 0)]
    assert chosen(table, first, last) == [(0, 0, 0, 0), (0.1, 0.5, 0, 1)]


def test_a_trial_is_known_by_the_first_digits_of_its_key(table: pd.DataFrame) -> None:
    key = choose(table, ["beta=0,gamma=0,lambda=0,seed=1"])["key"].item()
    assert chosen(table, key) == chosen(table, key[:8]) == [(0, 0, 0, 1)]


def test_the_best_is_that_of_finished_trials_which_fit_the_rest(table: pd.DataFrame) -> None:
    # γ = 0.9 would win, and was stopped.
    assert chosen(table, "best:linear_r2") == [(0, 0.5, 10, 1)]
    assert chosen(table, "best:linear_r2,lambda=0,beta=0.1") == [(0.1, 0.5, 0, 1)]
    assert chosen(table, "best:reconstruction_error,beta=0.1") == [(0.1, 0, 0, 0)]
    assert chosen(table, "min:linear_r2,gamma=0.5,beta=0") == [(0, 0.5, 0, 0)]
    assert chosen(table, "best:mcc,gamma=0.9,beta=0") == [(0, 0.9, 10, 1)]


def test_a_collapsed_network_is_not_the_best(tmp_path: Path) -> None:
    collapse = {0.0: 4.0, 0.5: 0.0, 0.9: 0.0}
    path = write_sweep(
        tmp_path / "s",
        {"gamma": [*collapse], "beta": [0.1]},
        metrics=lambda config, i: {**measure(config, i), "active_units": collapse[config["gamma"]]},
    )
    table = results.load(path)
    assert chosen(table, "best:mcc") == [(0.1, 0.0, 0, 0)]
    assert chosen(table, "best:reconstruction_error,gamma=0.5") == [(0.1, 0.5, 0, 0)]
    with pytest.raises(UserError, match="could choose has a value of mcc and an active unit; choose by other parts"):
        chosen(table, "best:mcc,gamma=0.9")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("nonsense", "'nonsense' names no trials"),
        ("beta=7", "no trial of this sweep fits 'beta=7'"),
        ("beta=low", "beta is a number"),
        ("speed=1", "'speed' is not a config field"),
        ("best:accuracy", "'best:accuracy' names no trials"),
        ("best:active_units", "no better side"),
        ("best:mcc,min:kl", "ranks trials twice; give best:mcc or min:kl, or both in words of their own"),
        ("best:mmc", r"'best:mmc' names no trials; did you mean best:mcc\?"),
        ("most:mcc", "'most:mcc' names no trials"),
        ("best:motoin", "'best:motoin' names no trials; give best:METRIC"),  # a text has no best
        ("max:motion", "'max:motion' names no trials; give best:METRIC"),
        ("max:error", "has a value of error"),
        ("best:seconds", "no better side; give min:seconds"),
        ("abc", "'abc' names no trials"),
        ("ffffffffffffffff", "no trial of this sweep fits"),
    ],
)
def test_words_that_choose_nothing_are_refused(table: pd.DataFrame, word: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        choose(table, [word])


def test_a_trial_s_network_has_the_weights_of_its_latest_state(tmp_path: Path) -> None:
    def shift(trial: Any) -> None:
        next(trial.model.parameters()).add_(1)

    path = write_trained_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.5]}, change=shift)
    (trial,) = SweepFolder.at(path).trials()
    loaded = load_model(path, trial.key)
    assert (loaded.config.gamma, loaded.iteration, loaded.model.training) == (0.5, 300, False)
    initial = dict(build_model(loaded.config).named_parameters())
    first = next(iter(initial))
    for name, weights in loaded.model.named_parameters():
        torch.testing.assert_close(weights, initial[name] + (name == first))


def test_a_trial_s_network_is_computed_by_layers_of_pytorch_that_can_be_traced_and_differentiated(
    path: Path, table: pd.DataFrame
) -> None:
    loaded = load_model(path, choose(table, ["best:linear_r2"]).iloc[0]["key"])
    trained = load_networks(path, choose(table, [loaded.key or ""]))[0][0]
    images = torch.rand(3, *loaded.config.image_shape, generator=torch.Generator().manual_seed(0))
    expected = trained.model.code(images[:, None])
    torch.testing.assert_close(loaded.model.code(images[:, None]), expected)
    of_each = torch.func.vmap(lambda image: loaded.model.code(image[None, None])[0])(images)
    torch.testing.assert_close(of_each, expected)
    traced = torch.export.export(loaded.model.encoder, (images,)).module()
    torch.testing.assert_close(traced(images)[0], expected[:, 0])


def test_the_first_digits_of_a_key_are_those_of_one_trial(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = SweepFolder.at(path).trials()[0].key
    assert load_model(path, key[:8]).key == key
    for digits in (key[:3], "", key + "0"):
        with pytest.raises(UserError, match=f"no trial of key '{digits}'"):
            load_model(path, digits)
    monkeypatch.setattr(networks, "_SHORTEST_KEY", 0)
    with pytest.raises(UserError, match=r"24 trials of .* have keys that begin with ; give more digits"):
        load_model(path, "")


def test_what_is_no_selection_no_key_and_no_table_is_refused(path: Path, table: pd.DataFrame) -> None:
    row = choose(table, ["best:linear_r2"]).iloc[0]
    with pytest.raises(
        UserError, match=r"'best:linear_r2' is text; give a list of words, such as \['best:linear_r2'\]"
    ):
        choose(table, "best:linear_r2")
    with pytest.raises(UserError, match=r"not of type Series; give that of a row, row\['key'\]"):
        load_model(path, row)
    with pytest.raises(UserError, match=r"not of type Series; give those of choose, or rows.iloc\[\[0\]\]"):
        load_networks(path, row)


def test_a_trial_that_is_not_there_or_has_no_network_is_refused(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1]})
    (trial,) = SweepFolder.at(path).trials()
    with pytest.raises(UserError, match="no trial of key 'abc'"):
        load_model(path, "abc")
    with pytest.raises(UserError, match="no trained network yet"):
        load_model(path, trial.key)
    with pytest.raises(UserError, match="none of the 1 chosen trials"):
        load_networks(path, choose(results.load(path), []))


def test_trials_without_a_usable_network_are_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = {0.1: ("finished", 300), 0.2: ("diverged", 150), 0.3: ("missing", -1)}

    def change(trial: Any) -> None:
        if trial.config.beta == 0.2:
            spoil(trial)

    path = write_trained_sweep(tmp_path / "s", {"beta": [*ended]}, lambda c: ended[c["beta"]], change=change)
    subjects = subjects_of(path, [], None, all_seeds=True)
    assert [subject.config.beta for subject in subjects] == [0.1]
    lines = capsys.readouterr().err.splitlines()
    assert sorted(line.rpartition("(")[2] for line in lines) == ["diverged)", "missing)"]


def test_subjects_carry_what_tells_them_apart(path: Path) -> None:
    (subject,) = subjects_of(path, ["beta=0.1,gamma=0.9,lambda=10,seed=1"], None, all_seeds=False)
    assert subject.settings == {"beta": 0.1, "gamma": 0.9, "lam": 10, "seed": 1}
    assert (subject.state, subject.iteration) == ("stopped_early", 150)
    assert subject.key == subject.config.key


def test_without_a_selection_the_first_seed_stands_for_a_trial(path: Path) -> None:
    assert {subject.config.seed for subject in subjects_of(path, [], None, all_seeds=False)} == {0}


def test_there_has_to_be_something_to_show() -> None:
    with pytest.raises(UserError, match="nothing to show"):
        subjects_of(None, [], None, all_seeds=True)


@pytest.mark.parametrize("config", each(WITH_CODE))
def test_the_latent_of_a_picture_is_that_of_a_video_at_rest_in_its_last_frame(config: Any) -> None:
    model = build_model(config).eval()
    random = np.random.default_rng(0).random((5, len(config.factor_names)))
    pictures = held_out_pictures(config, 10)[1][:5] if config.contents else render_stills(config, random)
    videos = still_images(pictures).expand(-1, config.frames, -1, -1, -1)
    factors = torch.from_numpy(random).float()[:, None].expand(-1, config.frames, -1)
    with torch.no_grad():
        outputs = model(Batch(videos, factors, config.factor_names))
    shown = outputs.mu if config.traits.has_latents else outputs.predicted
    np.testing.assert_allclose(encode_pictures(model, pictures), shown[:, -1], rtol=1e-4, atol=1e-6)
    if not config.contents:
        np.testing.assert_array_equal(encode_stills(model, config, random), encode_pictures(model, pictures))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_the_filter_is_at_rest_in_a_video_at_rest_at_any_gamma(gamma: float, alpha: float) -> None:
    model = build_model(small("inertia_vae", gamma=gamma, alpha=alpha))
    at_rest = torch.randn(3, 1, 4, generator=torch.Generator().manual_seed(0)).expand(-1, 4, -1)
    torch.testing.assert_close(model.filter(at_rest), at_rest)


def test_originals_are_ordered_by_beta_and_told_by_their_names(reference: Path) -> None:
    subjects = load_originals(reference)
    found = [subject.settings.get("beta_norm") for subject in subjects]
    assert found == [None, 0.001, 0.0055, 0.0302, 0.1657, 0.9103, 5.0]
    assert [subject.config.model for subject in subjects] == ["supervised_encoder"] + ["beta_vae"] * 6
    (alone,) = load_originals(reference / "checkpoints" / subjects[1].name)
    assert alone.settings == {"beta_norm": 0.001}


def test_a_folder_without_checkpoints_or_with_other_files_is_refused(tmp_path: Path, reference: Path) -> None:
    with pytest.raises(UserError, match="holds no checkpoint"):
        load_originals(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        load_originals(tmp_path / "nowhere")
    shutil.copy(reference / "README.md", tmp_path / "notes")
    with pytest.raises(UserError, match="notes is not a checkpoint"):
        load_originals(tmp_path)


def test_what_all_trials_share_is_no_setting_that_tells_them_apart(tmp_path: Path) -> None:
    path = write_trained_sweep(tmp_path / "s", {"beta": [0.1, 1.0], "num_test": [8]})
    subjects, _ = load_networks(path, results.final(results.load(path)))
    assert [dict(subject.settings) for subject in subjects] == [{"beta": 0.1, "seed": 0}, {"beta": 1.0, "seed": 0}]


def test_figures_of_a_sweep_at_a_url_go_here(tmp_path: Path) -> None:
    assert folder_of(str(tmp_path), None) == tmp_path / "figures"
    assert folder_of("s3://bucket/sweeps/s", None) == Path("figures")
    assert folder_of("s3://bucket/sweeps/s", tmp_path) == tmp_path
    with pytest.raises(UserError, match="give --out FOLDER"):
        folder_of(None, None)
