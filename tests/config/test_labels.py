"""Names of trials."""

import pytest

from dd_ray.config import TrialConfig, field_names
from dd_ray.config.labels import LONGEST_LABEL, joined_labels, label_of, parts_of, with_parts


def test_a_label_is_read_back_as_it_was_written():
    values = TrialConfig(model="predictive_vae", beta=0.1, lam=1e-5, seed=3).to_dict()
    label = label_of(values, ["beta", "lam", "model"])
    assert label == "beta=0.1,lambda=1e-05,model=predictive_vae,seed=3"
    assert parts_of(label) == {"beta": "0.1", "lambda": "1e-05", "model": "predictive_vae", "seed": "3"}
    assert with_parts(parts_of(label)) == label


def test_what_has_no_effect_is_left_out_and_the_seed_comes_last():
    values = TrialConfig(model="supervised_encoder", seed=1).to_dict()
    assert label_of(values, ["seed", "gamma", "num_frames"]).endswith("seed=1")
    assert "gamma" not in label_of(values, ["gamma"])


@pytest.mark.parametrize("text", ["../../../elsewhere", "a/b", "x,y=1", "long" * 100, "two\nlines", "\0"])
def test_a_text_in_a_label_names_one_folder_and_one_value(text: str) -> None:
    values = TrialConfig(model="beta_vae", beta=0.1).to_dict() | {"word": text}  # as of an option of an extension
    label = label_of(values, ["beta", "word"])
    assert "/" not in label and label.isprintable() and len(label.encode()) < LONGEST_LABEL
    assert list(parts_of(label)) == ["beta", "word", "seed"]


def test_a_label_of_many_fields_is_short_enough_for_a_folder() -> None:
    values = TrialConfig(model="inertia_vae", beta=0.1, gamma=0.5, lam=1.0, seed=12).to_dict()
    label = label_of(values, [name for name in field_names() if name != "beta_norm"])
    assert 200 < len(label.encode()) <= LONGEST_LABEL and label.endswith(",seed=12")


def test_trials_of_several_sweeps_have_the_form_of_beta_that_their_labels_name():
    configs = {key: TrialConfig(model="beta_vae", beta=beta) for key, beta in (("k1", 0.1), ("k2", 0.2))}
    values = {key: config.to_dict() | {"beta_norm": config.beta / 256} for key, config in configs.items()}
    for named, expected in ((("beta_norm", "beta_norm"), "beta_norm"), (("beta_norm", "beta"), "beta")):
        trials = {key: (f"{name}=0,seed=0", values[key]) for key, name in zip(values, named, strict=True)}
        labels = joined_labels(trials)
        assert [[*parts_of(label)] for label in labels.values()] == [[expected, "seed"]] * 2
