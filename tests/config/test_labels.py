"""Names of trials."""

from dd_ray.config import TrialConfig
from dd_ray.config.labels import label_of, parts_of, with_parts


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
