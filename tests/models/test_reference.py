"""The networks and losses are those of the original study, with its faults where they are asked for.

`model_outputs.npz` holds what the original's own code makes of four videos (the still models: of their first
frames): every number of it is computed here again from its weights and its noise.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from dd_ray.config import TrialConfig
from dd_ray.data import FACTORS, Batch
from dd_ray.models import Model, build_model
from dd_ray.models.original import translate_weights
from dd_ray.objectives import kl_divergence, objective, prediction_error

INPUTS = ("videos", "eps", "state_dict")
GAMMAS = ("0.0", "0.3", "0.75", "1.0")
Outputs = dict[str, Tensor]


@pytest.fixture(scope="module")
def recorded(reference):
    return dict(np.load(reference / "model_outputs.npz"))


@pytest.fixture(scope="module")
def videos(reference, recorded):
    file = np.load(reference / "moving_images.npz")
    np.testing.assert_array_equal(file["images"][:4], recorded["videos"])
    columns = [file["factor_names"].tolist().index(name) for name in FACTORS]
    factors = torch.from_numpy(file["factors"][:4][..., columns])
    return Batch(torch.from_numpy(recorded["videos"])[:, :, None] / 255, factors, FACTORS)


@pytest.fixture(scope="module")
def stills(videos):
    return Batch(videos.images[:, :1], videos.factors[:, :1], FACTORS)


def original_network(recorded, name: str, **settings) -> tuple[TrialConfig, Model]:
    config = TrialConfig(model=name, **settings)
    model = build_model(config)
    prefix = f"{name}/state_dict/"
    weights = {key.removeprefix(prefix): value for key, value in recorded.items() if key.startswith(prefix)}
    missing, unexpected = model.load_state_dict(translate_weights(weights), strict=False)
    assert set(missing) <= {"alpha", "gamma"}
    assert not unexpected
    return config, model


def _tensor(recorded, name: str, shape: tuple[int, ...]) -> Tensor:
    return torch.from_numpy(recorded[name]).view(shape)


def _supervised_encoder(recorded, videos, stills) -> Outputs:
    config, model = original_network(recorded, "supervised_encoder")
    # This network of theirs was compared with the background first.
    background_first = [2, 3, 0, 1]
    names = tuple(FACTORS[i] for i in background_first)
    stills = Batch(stills.images, stills.factors[..., background_first], names)
    outputs = model(stills)
    loss = objective(config, outputs).loss
    return {"supervised_encoder/prediction": outputs.predicted[:, 0], "supervised_encoder/loss": loss}


def _beta_vae(recorded, videos, stills) -> Outputs:
    config, model = original_network(recorded, "beta_vae", beta=3)
    outputs = model(stills, _tensor(recorded, "beta_vae/eps", (4, 1, 4)))
    terms = objective(config, outputs)
    return {
        "beta_vae/mu": outputs.mu[:, 0],
        "beta_vae/logvar": outputs.logvar[:, 0],
        "beta_vae/reconstruction": outputs.reconstruction[:, 0],
        "beta_vae/reconstruction_loss": terms.parts["reconstruction"],
        "beta_vae/kl": terms.parts["kl"],
        "beta_vae/kl_per_latent": kl_divergence(outputs.mu, outputs.logvar).mean(dim=(0, 1)),
        "beta_vae/loss_at_beta_3": terms.loss,
    }


def _predictive_vae(recorded, videos, stills) -> Outputs:
    config, model = original_network(recorded, "predictive_vae", beta=3, lam=7, compat="original")
    outputs = model(videos, _tensor(recorded, "predictive_vae/eps", (4, 10, 4)))
    parts = objective(config, outputs).parts
    return {
        "predictive_vae/mu": outputs.mu,
        "predictive_vae/logvar": outputs.logvar,
        # The original predicts 0 for the frames that have no past; here they are never looked at.
        "predictive_vae/mu_predicted": torch.nn.functional.pad(outputs.mu_predicted[:, 2:], (0, 0, 2, 0)),
        "predictive_vae/reconstruction": outputs.reconstruction,
        "predictive_vae/reconstruction_loss": parts["reconstruction"],
        "predictive_vae/kl_mean_over_frames": parts["kl"],
        "predictive_vae/original_prediction_loss": parts["prediction"],
        "predictive_vae/corrected_prediction_loss": prediction_error(outputs.mu, outputs.mu_predicted),
    }


def _inertia_vae(gamma: str) -> Callable[..., Outputs]:
    def compute(recorded, videos, stills) -> Outputs:
        prefix = f"inertia_vae/gamma_{gamma}/"
        config, model = original_network(recorded, "inertia_vae", beta=3, gamma=float(gamma))
        noise = _tensor(recorded, prefix + "eps", (4, 9, 4))
        outputs = model(videos, noise)
        encoded, _ = model.encode(videos.images[:, :9])
        unscored = model.decode(model.sample(outputs.mu, outputs.logvar, noise)[:, :1])
        computed = {
            "mu": outputs.mu,
            "mu_encoded": encoded,
            "mu_predicted": outputs.mu_predicted,
            "logvar": outputs.logvar,
            "reconstruction": torch.cat([unscored, outputs.reconstruction], dim=1),
            "reconstruction_loss": objective(config, outputs).parts["reconstruction"],
            "kl_summed_over_9_frames": kl_divergence(outputs.mu, outputs.logvar).sum() / 4,
        }
        return {prefix + name: value for name, value in computed.items()}

    return compute


NETWORKS = {
    "supervised_encoder": _supervised_encoder,
    "beta_vae": _beta_vae,
    "predictive_vae": _predictive_vae,
    **{f"inertia_vae/gamma_{gamma}": _inertia_vae(gamma) for gamma in GAMMAS},
}


def _assert_close(computed: Tensor, expected: np.ndarray, name: str) -> None:
    assert computed.numel() == expected.size, name
    error = np.abs(computed.detach().numpy().reshape(expected.shape) - expected).max()
    # A KL near 0 is the difference of numbers near 1, whose last bit in float32 is 6e-8.
    last_bit = 6e-8 if "kl" in name else 0
    assert error <= 1e-5 * np.abs(expected).max() + last_bit, f"{name}: {error}"


@pytest.mark.parametrize("network", NETWORKS)
def test_every_output_is_that_of_the_original(recorded, videos, stills, network):
    computed = NETWORKS[network](recorded, videos, stills)
    expected = {name for name in recorded if name.startswith(f"{network}/") and not set(name.split("/")) & set(INPUTS)}
    assert set(computed) == expected
    for name, value in computed.items():
        _assert_close(value, recorded[name], name)


def test_no_network_of_the_original_is_left_out(recorded):
    groups = {name.rpartition("/")[0] for name in recorded if not set(name.split("/")) & set(INPUTS)}
    assert groups == set(NETWORKS)


def test_the_original_predictive_objective_has_its_faults_in_it(recorded, videos):
    config, model = original_network(recorded, "predictive_vae", beta=3, lam=7, compat="original")
    loss = objective(config, model(videos, _tensor(recorded, "predictive_vae/eps", (4, 10, 4)))).loss
    names = ("reconstruction_loss", "kl_mean_over_frames", "original_prediction_loss")
    terms = [float(recorded[f"predictive_vae/{name}"].item()) for name in names]
    assert loss.item() == pytest.approx(terms[0] + 3 * terms[1] + 7 * terms[2], rel=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0])
def test_the_original_inertia_objective_is_that_of_gamma_075_whatever_is_asked(recorded, videos, gamma):
    config, model = original_network(recorded, "inertia_vae", beta=3, gamma=gamma, compat="original")
    prefix = "inertia_vae/gamma_0.75/"
    outputs = model(videos, _tensor(recorded, prefix + "eps", (4, 9, 4)))
    _assert_close(outputs.mu, recorded[prefix + "mu"], "mu")
    reconstruction, kl = (recorded[prefix + name] for name in ("reconstruction_loss", "kl_summed_over_9_frames"))
    assert objective(config, outputs).loss.item() == pytest.approx(float(reconstruction + 3 * kl), rel=1e-6)


def test_without_compat_the_kl_leaves_out_the_frame_that_is_not_decoded(recorded, videos):
    prefix = "inertia_vae/gamma_0.3/"
    config, model = original_network(recorded, "inertia_vae", beta=3, gamma=0.3)
    outputs = model(videos, _tensor(recorded, prefix + "eps", (4, 9, 4)))
    first = kl_divergence(outputs.mu[:, :1], outputs.logvar[:, :1]).sum() / 4
    all_nine = float(recorded[prefix + "kl_summed_over_9_frames"])
    assert objective(config, outputs).parts["kl"].item() == pytest.approx(all_nine - first.item(), rel=1e-4)
