"""The README's recipe of a new model, followed for four models that the package has never seen.

Two have latents, one with the package's networks and one without, one encodes alone, and one draws alone.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dd_ray import probes
from dd_ray.config import MODELS, ModelSpec, TrialConfig
from dd_ray.config.models import PREDICTION, VAE
from dd_ray.config.options import product
from dd_ray.data import Batch, make_dataset
from dd_ray.errors import UserError
from dd_ray.evaluation import PicturedRegions, encode_stills, evaluate, model_scores, region_errors
from dd_ray.figures.network_pictures import title_of
from dd_ray.metrics import reported_by
from dd_ray.models import FactorPrediction, ImagePrediction, Reconstruction, VideoVAE, base, build_model
from dd_ray.models.prediction import predict_linearly
from dd_ray.probes.networks import Network
from dd_ray.training import Stack, Trial, dump_state, load_state
from tests.training.test_axes import CHANGES, moves_the_loss
from tests.training.test_contract import assert_same

pytestmark = pytest.mark.usefixtures("few_stills")


class BlurVAE(VideoVAE):
    """z_t ~ N(½ (e_{t−1} + e_t), σ_t²), and z_0 of e_0 alone; all frames are decoded."""

    def forward(self, batch: Batch, noise: Tensor | None = None) -> Reconstruction:
        encoded, logvar = self.encode(batch.images)
        mu = torch.cat([encoded[:, :1], (encoded[:, 1:] + encoded[:, :-1]) / 2], dim=1)
        every_frame = slice(0, mu.shape[1])
        return Reconstruction(
            mu=mu,
            logvar=logvar,
            latents=self.sample(mu, logvar, noise),
            mu_predicted=predict_linearly(mu, self.alpha),
            frames=every_frame,
            kl_frames=every_frame,
            reconstruction=self.reconstruct(mu, logvar, noise),
            target=batch.target,
        )


class LinearVAE(base.Model):
    """μ = W x and x̂ = sigmoid(V z), with σ = 1 and none of the package's networks."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__(config)
        self.num_latents = config.num_latents
        self.register_buffer("alpha", torch.tensor(1.0))
        self.down = nn.Linear(config.image_size**2, config.num_latents)
        self.up = nn.Linear(config.num_latents, config.image_size**2)

    def noise_shape(self, batch_size: int, num_frames: int) -> tuple[int, ...]:
        return (batch_size, num_frames, self.num_latents)

    def code(self, images: Tensor) -> Tensor:
        return self.down(images.flatten(2))

    def decode(self, latents: Tensor) -> Tensor:
        return self.up(latents).sigmoid().unflatten(2, (1, self.image_size, self.image_size))

    def forward(self, batch: Batch, noise: Tensor | None = None) -> Reconstruction:
        mu = self.code(batch.images)
        latents = mu if noise is None else mu + noise
        every_frame = slice(0, mu.shape[1])
        return Reconstruction(
            mu=mu,
            logvar=torch.zeros_like(mu),
            latents=latents,
            mu_predicted=predict_linearly(mu, self.alpha),
            frames=every_frame,
            kl_frames=every_frame,
            reconstruction=self.decode(latents),
            target=batch.target,
        )


class LinearEncoder(base.Model):
    """Factors as linear functions of the pixels."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__(config)
        self.factors = nn.Linear(config.image_size**2, len(config.factor_names))

    def code(self, images: Tensor) -> Tensor:
        return self.factors(images.flatten(2))

    def forward(self, batch: Batch, noise: Tensor | None = None) -> FactorPrediction:
        return FactorPrediction(predicted=self.code(batch.images), target=batch.factors)


class LinearDecoder(base.Model):
    """Pixels as logistic functions of the factors."""

    def __init__(self, config: TrialConfig) -> None:
        super().__init__(config)
        self.pixels = nn.Linear(len(config.factor_names), config.image_size**2)

    def redraw(self, batch: Batch) -> Tensor:
        return self.pixels(batch.factors).sigmoid().view(batch.images.shape)

    def forward(self, batch: Batch, noise: Tensor | None = None) -> ImagePrediction:
        return ImagePrediction(reconstruction=self.redraw(batch), target=batch.images)


NEW = {
    spec.name: spec
    for spec in (
        ModelSpec(name="blur_vae", title="blur VAE", build=BlurVAE, reads=(*VAE, *PREDICTION), needs_videos=True),
        ModelSpec(name="linear_vae", title="linear VAE", build=LinearVAE, reads=VAE),
        ModelSpec(name="linear_encoder", title="linear encoder", build=LinearEncoder, draws=False),
        ModelSpec(name="linear_decoder", title="linear decoder", build=LinearDecoder, encodes=False),
    )
}
SMALL: dict[str, Any] = {"num_frames": 5, "batch_size": 4, "num_test": 8, "learning_rate": 1e-3, "seed": 2}
WITH_LATENTS = ("blur_vae", "linear_vae")
SIZES = {"blur_vae": 4, "linear_vae": 4, "linear_encoder": 4, "linear_decoder": None}
"""How many numbers the code of each has."""
each_model = pytest.mark.parametrize("name", NEW)


@pytest.fixture(autouse=True)
def recipe() -> Iterator[None]:
    """What the recipe has one write beside the model's own code."""
    for spec in NEW.values():
        MODELS.declare(spec)
    yield
    for name in NEW:
        MODELS.withdraw(name)


def _config(name: str, **changes: Any) -> TrialConfig:
    own = {"blur_vae": {"beta": 0.5, "lam": 10.0}, "linear_vae": {"beta": 0.5}}.get(name, {})
    return TrialConfig(**{"model": name, **SMALL, **own, **changes})


def _trained(config: TrialConfig, iterations: int) -> Trial:
    stack = Stack([config])
    stack.step(iterations)
    return stack[config.key]


@each_model
def test_it_trains_and_resumes_bit_for_bit(name: str) -> None:
    config = _config(name)
    before, undisturbed = Trial(config).state().weights, _trained(config, 4)
    assert not any(torch.equal(weights, before[part]) for part, weights in undisturbed.state().weights.items())
    stack = Stack()
    stack.add(config, load_state(dump_state(_trained(config, 2).state())))
    stack.step(2)
    assert_same(stack[config.key], undisturbed)


@each_model
def test_it_gets_in_a_stack_the_gradients_that_it_gets_alone(name: str) -> None:
    configs = [_config(name), _config(name, seed=4)]
    together = Stack(configs, method="grouped")
    together.step()
    for config in configs:
        # After the first step v = (1 − ρ) g², so that √v has the size of each gradient.
        ours, theirs = together[config.key].square_avg.sqrt(), _trained(config, 1).square_avg.sqrt()
        assert (ours - theirs).norm() < 1e-5 * theirs.norm()


@each_model
def test_its_evaluation_reports_what_the_sweep_expects_without_building_it(name: str) -> None:
    config = _config(name, split="levels", train_share=0.5)
    dataset, model = make_dataset(config), build_model(config)
    evaluation = evaluate(model, config, dataset.test_set(), seen_set=dataset.seen_set())
    metrics = {metric for metric in evaluation.metrics if "/" not in metric}
    assert metrics == reported_by(config)
    assert ("reconstruction_error" in metrics) == bool(evaluation.pictures) == (name != "linear_encoder")
    assert ("mig" in metrics) == bool(model_scores(model, config, ["mcc"])) == (name != "linear_decoder")
    assert ("kl" in metrics) == (evaluation.traversal is not None) == (name in WITH_LATENTS)


def _asked(name: str) -> tuple[TrialConfig, base.Model, Batch]:
    config = _config(name)
    return config, build_model(config).eval(), make_dataset(config).test_set()


def _is_missing(name: str, what: str, ask: Callable[[], Any]) -> None:
    title = NEW[name].title
    with pytest.raises(UserError, match=f"{what}.* a {title}|a {title}.* {what}"):
        ask()


@each_model
def test_its_code_is_shown_or_said_to_be_missing(name: str) -> None:
    config, model, batch = _asked(name)
    factors = batch.factors[:, 0].numpy()
    if size := SIZES[name]:
        assert encode_stills(model, config, factors).shape == (8, size)
        assert len(probes.latent_table(model, config, batch)) == size
    else:
        _is_missing(name, "latents", lambda: encode_stills(model, config, factors))
        _is_missing(name, "latents", lambda: probes.latent_table(model, config, batch))


@each_model
def test_its_drawings_are_shown_or_said_to_be_missing(name: str) -> None:
    _, model, batch = _asked(name)
    pictured = PicturedRegions.of(batch.factors[:, 0].numpy())
    if name == "linear_encoder":
        _is_missing(name, "decoder", lambda: probes.reconstruct(model, batch))
        _is_missing(name, "decoder", lambda: region_errors(model, pictured))
    else:
        originals, drawn = probes.reconstruct(model, batch)
        assert originals.shape == drawn.shape == (8, 5, 32, 32)
        assert all(np.isfinite(errors).all() for errors in region_errors(model, pictured).values())


@each_model
def test_its_latents_are_moved_or_said_to_be_missing(name: str) -> None:
    config, model, batch = _asked(name)
    if name in WITH_LATENTS:
        assert probes.traversal(model, config, steps=3).shape == (4, 3, 32, 32)
        assert probes.dream(model, batch.images[:2, :3], 0.5, 6).shape == (2, 6, 32, 32)
    else:
        what = "decoder" if name == "linear_encoder" else "latents"
        _is_missing(name, what, lambda: probes.traversal(model, config))
        _is_missing(name, what, lambda: probes.dream(model, batch.images, 0, 9))


def test_it_is_swept_with_the_options_that_it_takes_and_refuses_the_others() -> None:
    assert len(product({"model": ("blur_vae",), "beta": (0.1, 1.0), "lam": (0.0, 1.0)})) == 4
    assert len(product({"model": ("beta_vae", "blur_vae"), "beta": (0.1,), "lam": (0.0, 1.0)})) == 3
    with pytest.raises(UserError, match=r"gamma = 0\.5 has no effect on blur_vae"):
        _config("blur_vae", gamma=0.5)
    with pytest.raises(UserError, match=r"beta = 0\.1 has no effect on linear_encoder; .* or blur_vae"):
        _config("linear_encoder", beta=0.1)
    with pytest.raises(UserError, match="blur_vae needs videos"):
        TrialConfig(model="blur_vae", beta=0.1, dataset="still_circles")


NOT_ITS_OWN = {"gamma", "gamma_schedule", "learn_gamma", "posterior", "delay", "decode", "compat", "dataset"}
"""What it does not read, and still images, which it refuses."""


@pytest.mark.parametrize("field", sorted(CHANGES))
def test_each_option_moves_its_loss_or_is_refused(field: str) -> None:
    changes = CHANGES[field]
    without_beta = field in ("beta_norm", "stochastic") or changes.get("objective") == "capacity"
    given = ({"beta": None} if without_beta else {}) | ({"num_frames": 10} if field in ("grid", "dataset") else {})
    if field in NOT_ITS_OWN:
        with pytest.raises(UserError, match=rf"{field} = .* has no effect on blur_vae|needs videos"):
            _config("blur_vae", **given | changes)
        return
    changed = _config("blur_vae", **given | changes)
    usual = {"split": "none", "train_share": 1.0} if field == "split" else {field: getattr(_config("blur_vae"), field)}
    if field in ("beta_norm", "stochastic"):
        usual |= {"beta": 0.5}
    assert moves_the_loss(changed, TrialConfig(**changed.to_dict() | usual))


def test_its_lambda_weighs_the_error_of_the_prediction() -> None:
    # So large, as the latents of an untrained network hardly move.
    config = _config("blur_vae", lam=1e7)
    with_lam, without = _trained(config, 1).terms, _trained(replace(config, lam=0.0), 1).terms
    assert with_lam.parts["prediction"] == without.parts["prediction"] > 0
    added = with_lam.loss - without.loss
    torch.testing.assert_close(added, 1e7 * with_lam.parts["prediction"], rtol=1e-3, atol=0)


def test_what_is_decoded_in_the_place_of_a_latent_is_its_own_business() -> None:
    class AheadVAE(BlurVAE):
        def decoder_input(self, mu: Tensor) -> Tensor:
            return mu + 1

    config = _config("blur_vae")
    model, images = AheadVAE(config).eval(), make_dataset(config).test_set().images[:2, :3]
    with torch.inference_mode():
        seen = model.decode(model.code(images) + 1)[:, :, 0].numpy() * 255
    np.testing.assert_allclose(probes.dream(model, images, 0.0, 3), seen, atol=0.51)


def test_a_figure_names_it_by_its_title() -> None:
    config = _config("blur_vae")
    settings = {"beta": 0.5}
    subject = Network(name="b", settings=settings, config=config, model=build_model(config), state="finished")
    assert title_of(subject) == "blur VAE, β = 0.5"


def test_a_model_that_makes_nothing_of_a_batch_is_none() -> None:
    class Nothing(base.Model):
        pass

    with pytest.raises(TypeError, match="forward"):
        Nothing(_config("linear_encoder"))
