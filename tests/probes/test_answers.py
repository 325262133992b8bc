"""What trained networks are asked for, against closed forms."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from dd_ray import probes
from dd_ray.config import TrialConfig, video_datasets
from dd_ray.data import make_dataset
from dd_ray.errors import UserError
from dd_ray.evaluation import encode_pictures, encode_stills
from dd_ray.models import VideoVAE, build_model
from dd_ray.models.inertia_vae import InertiaVAE
from dd_ray.probes.answers import (
    dream,
    held_out_picture,
    held_out_videos,
    latent_table,
    middle_picture,
    reconstruct,
    traversal,
)
from tests.small import ALWAYS, CONFIGS, VAES, WITH_CODE, each, small

WITH_DECODER = [config for config in CONFIGS if config.model in VAES]
OF_TRAINING = ("objective", "likelihood", "beta_schedule", "lam_schedule", "gamma_schedule")
"""What an untrained network that is asked has nothing to do with."""
PLAIN = TrialConfig(model="beta_vae", beta=1.0)
ASKED = {config for config in ALWAYS if all(getattr(config, name) == getattr(PLAIN, name) for name in OF_TRAINING)}


def network(config: TrialConfig) -> VideoVAE:
    model = build_model(config).eval()
    assert isinstance(model, VideoVAE)
    return model


def show_latents(model: VideoVAE) -> None:
    """Latents that respond strongly and a decoder that shows it; those of an untrained network hardly move."""
    with torch.no_grad():
        model.encoder.mu.weight *= 100
        [*model.decoder.modules()][-1].weight *= 10


def as_pictures(images: torch.Tensor) -> np.ndarray[Any, Any]:
    """[..., H, W] in grey or [..., H, W, 3] in colour, from 0 to 255, of images [..., C, H, W]."""
    scaled = (images.detach().movedim(-3, -1) * 255).numpy()
    return scaled[..., 0] if scaled.shape[-1] == 1 else scaled


def size_of(config: TrialConfig) -> tuple[int, ...]:
    """What stands at the end of the shape of pictures."""
    channels, *size = config.image_shape
    return (*size, *([channels] if channels > 1 else []))


@pytest.mark.parametrize("config", each(WITH_DECODER, ASKED))
def test_a_traversal_moves_one_latent_and_leaves_the_others(config: TrialConfig) -> None:
    model = network(config)
    show_latents(model)
    shown = traversal(model, config, steps=5)
    assert shown.shape == (config.num_latents, 5, *size_of(config)) and shown.dtype == np.uint8
    base = encode_pictures(model, middle_picture(config).picture[None])[0]
    base[2] = 1.5  # three quarters from −3 to 3
    with torch.inference_mode():
        expected = as_pictures(model.decode(torch.from_numpy(base)[None, None])[0, 0])
    np.testing.assert_allclose(shown[2, 3], expected, atol=0.51)


def test_a_traversal_at_the_base_s_own_value_is_the_reconstruction_of_the_base() -> None:
    config = small("beta_vae")
    model = network(config)
    show_latents(model)
    base = np.array([0.3, -0.2, 0.0, 2.0])
    shown = traversal(model, config, steps=1, low=2.0, base=base)
    at_rest = traversal(model, config, steps=3, low=-0.2, high=-0.2, base=base)
    assert (shown[3, 0] == at_rest[1, 0]).all() and (at_rest[1] == at_rest[1, :1]).all()
    assert (shown[0, 0] != at_rest[1, 0]).any()
    with pytest.raises(UserError, match=r"base of shape \(3,\) does not fit a network of 4"):
        traversal(model, config, base=np.zeros(3))


AS_DRAWN = [c for c in CONFIGS if (not c.occluder if c.target == "clean" else not (c.pixel_noise or c.drop_rate))]
"""Those whose targets are the pictures of their factors; others are noisy or lost, or have no bar where these do."""


@pytest.mark.parametrize("config", each(AS_DRAWN, ASKED))
def test_the_middle_picture_is_a_held_out_one(config: TrialConfig) -> None:
    picture = middle_picture(config)
    factors = make_dataset(config).test_factors()
    assert (factors[picture.video, picture.frame] == picture.factors).all()
    assert (np.square(factors - 0.5).sum(-1) >= np.square(picture.factors - 0.5).sum()).all()
    held_out = make_dataset(config).test_set().target[picture.video, picture.frame]
    np.testing.assert_array_equal(picture.shown, as_pictures(held_out).round())


def test_a_picture_is_found_by_its_number_or_refused() -> None:
    config = small("inertia_vae")
    factors = make_dataset(config).test_factors()
    assert (held_out_picture(config, 7, 4).factors == factors[7, 4]).all()
    for video, frame in ((8, 0), (-1, 0), (0, 5)):
        with pytest.raises(UserError, match=f"no frame {frame} of held-out video {video}; the held-out set has 8"):
            held_out_picture(config, video, frame)


@pytest.mark.parametrize("config", each(WITH_DECODER, ASKED))
def test_reconstructions_stand_beside_the_frames_that_they_should_be(config: TrialConfig) -> None:
    model, batch = network(config), make_dataset(config).test_set()
    originals, reconstructions = reconstruct(model, batch)
    lost = 1 + config.delay if config.model == "inertia_vae" else 0
    assert originals.shape == reconstructions.shape == (8, config.frames - lost, *size_of(config))
    np.testing.assert_array_equal(originals, as_pictures(batch.target[:, lost:]).round())
    np.testing.assert_allclose(reconstructions, as_pictures(model(batch).reconstruction), atol=0.51)


def test_reconstructions_do_not_depend_on_how_many_are_made_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    config = small("inertia_vae")
    model, batch = network(config), make_dataset(config).test_set()
    show_latents(model)
    whole = reconstruct(model, batch)[1]
    monkeypatch.setattr(probes.answers, "CHUNK", 3)
    assert np.abs(reconstruct(model, batch)[1].astype(int) - whole).max() <= 1


def test_the_table_has_what_each_latent_does() -> None:
    config = small("beta_vae", num_test=200)
    model, batch = network(config), make_dataset(config).test_set()
    mu, logvar = torch.zeros(200, 5, 4), torch.zeros(200, 5, 4)
    mu[..., 0] = -4 * (batch.factors[..., 3] - 0.5)
    mu[..., 1] = batch.factors[..., 0] * 1e-3
    logvar[..., 0] = -2
    replies = iter(zip(mu.split(probes.answers.CHUNK), logvar.split(probes.answers.CHUNK), strict=True))
    model.encode = lambda images: next(replies)  # type: ignore[method-assign]
    table = latent_table(model, config, batch)
    assert table["latent"].tolist() == [0, 1, 2, 3]
    assert table["follows"].tolist()[:2] == ["background_y", "circle_x"]
    np.testing.assert_allclose(table["correlation"], [-1, 1, 0, 0], atol=1e-6)
    assert table["active"].tolist() == [True, False, False, False]
    variance = 16 * float(batch.factors[..., 3].var(correction=0))
    np.testing.assert_allclose(table["variance"], [variance, 0, 0, 0], atol=1e-4)
    np.testing.assert_allclose(table["posterior_variance"], [np.exp(-2), 1, 1, 1], rtol=1e-6)
    kl = 0.5 * (float(mu[..., 0].square().mean()) + np.exp(-2) + 2 - 1)
    np.testing.assert_allclose(table["kl"], [kl, 0, 0, 0], atol=1e-4)


def test_the_table_of_a_filter_is_of_the_frames_that_the_kl_counts() -> None:
    config = small("inertia_vae")
    model, batch = network(config), make_dataset(config).test_set()
    with torch.no_grad():
        model.encoder.mu.weight *= 100
        model.encoder.logvar.weight *= 100
        outputs = model(batch)
    mu, variance = outputs.mu[:, 1:].double(), outputs.logvar[:, 1:].double().exp()
    kl = (mu.square() + variance - 1 - variance.log()).mean(dim=(0, 1)) / 2
    table = latent_table(model, config, batch)
    np.testing.assert_allclose(table["kl"], kl, rtol=1e-4)
    np.testing.assert_allclose(table["posterior_variance"], variance.mean(dim=(0, 1)), rtol=1e-5)


@pytest.mark.parametrize("config", each(WITH_CODE, ASKED))
def test_every_variant_has_a_table(config: TrialConfig) -> None:
    model, batch = build_model(config).eval(), make_dataset(config).test_set()
    table = latent_table(model, config, batch)
    latents = config.traits.has_latents
    assert len(table) == (4 if latents else len(config.factor_names))
    assert set(table["follows"]) <= set(config.factor_names or [None])
    assert table[["kl", "posterior_variance"]].notna().all(axis=None) == (latents and config.stochastic)


@pytest.mark.parametrize(
    ("model_name", "alpha"), [("beta_vae", 1.0), ("predictive_vae", 1.0), ("inertia_vae", 1.0), ("predictive_vae", 0.5)]
)
def test_a_dream_goes_on_in_a_straight_line_of_latents(model_name: str, alpha: float) -> None:
    """By steps of which each is α times the one before."""
    config = small(model_name, alpha=alpha)
    model = network(config)
    show_latents(model)
    frames = make_dataset(config).test_set().images[:2, :2]
    with torch.inference_mode():
        e_btl, _ = model.encode(frames)
        z1 = 0.7 * e_btl[:, 1] + 0.3 * e_btl[:, 0]
        steps = [sum(alpha**k for k in range(i)) for i in range(6)]
        z_btl = torch.stack([e_btl[:, 0] + step * (z1 - e_btl[:, 0]) for step in steps], dim=1)
        expected = model.decode(z_btl)[:, :, 0].numpy() * 255
    shown = dream(model, frames, 0.3, 6)
    assert shown.shape == (2, 6, *config.image_shape[1:]) and shown.dtype == np.uint8
    np.testing.assert_allclose(shown, expected, atol=0.6)
    assert (shown[:, 1:] != shown[:, :-1]).any(axis=(0, 2, 3)).all()


def test_a_dream_of_a_first_frame_alone_or_without_input_stays() -> None:
    config = small("inertia_vae", delay=0)
    model = network(config)
    show_latents(model)
    frames = make_dataset(config).test_set().images[:2, :3]
    for seen, gamma in [(frames[:, :1], 0.0), (frames, 1.0)]:
        shown = dream(model, seen, gamma, 5)
        assert (shown == shown[:, :1]).all()
    assert (dream(model, frames, 0.0, 5) != dream(model, frames, 0.9, 5)).any()


@pytest.mark.parametrize("decode", ["filtered", "extrapolated"])
def test_while_it_is_shown_everything_a_dream_is_the_reconstruction(decode: str) -> None:
    config = small("inertia_vae", decode=decode, alpha=0.5)
    model, batch = network(config), make_dataset(config).test_set()
    show_latents(model)
    shown = dream(model, batch.images[:, : config.num_frames - 1], config.gamma, config.num_frames - 1)
    assert np.abs(shown[:, 1:].astype(int) - reconstruct(model, batch)[1]).max() <= 1


@pytest.mark.parametrize(
    ("gamma", "seen", "total", "message"),
    [(1.5, 2, 4, "gamma = 1.5 is out of range"), (0.5, 4, 3, "3 frames cannot begin with 4")],
)
def test_a_dream_that_cannot_be_is_refused(gamma: float, seen: int, total: int, message: str) -> None:
    config = small("inertia_vae")
    with pytest.raises(UserError, match=message):
        dream(network(config), make_dataset(config).test_set().images[:1, :seen], gamma, total)


def test_a_supervised_encoder_has_nothing_to_show() -> None:
    config = small("supervised_encoder")
    model, batch = build_model(config), make_dataset(config).test_set()
    for ask in (lambda: traversal(model, config), lambda: reconstruct(model, batch),
                lambda: dream(model, batch.images, 0, 9)):  # fmt: skip
        with pytest.raises(UserError, match="needs a decoder, which a supervised encoder"):
            ask()


def test_a_supervised_decoder_shows_what_it_draws_and_has_no_latents() -> None:
    config = small("supervised_decoder")
    model, batch = build_model(config), make_dataset(config).test_set()
    originals, drawn = reconstruct(model, batch)
    assert originals.shape == drawn.shape == (8, 5, 32, 32)
    np.testing.assert_array_equal(originals, (batch.images[:, :, 0] * 255).round().numpy())
    factors = middle_picture(config).factors[None]
    for ask in (lambda: traversal(model, config), lambda: latent_table(model, config, batch),
                lambda: dream(model, batch.images, 0, 9), lambda: encode_stills(model, config, factors)):  # fmt: skip
        with pytest.raises(UserError, match="latents"):
            ask()


def test_a_filter_is_shown_videos_of_its_own_length() -> None:
    config = small("inertia_vae")
    model, batch = network(config), make_dataset(replace(config, num_frames=7)).test_set()
    assert isinstance(model, InertiaVAE)
    for ask in (lambda: reconstruct(model, batch), lambda: latent_table(model, config, batch)):
        with pytest.raises(UserError, match="videos of 7 frames do not fit an inertia VAE of 5"):
            ask()


@pytest.mark.parametrize("number", [-1, 0])
def test_no_videos_and_no_steps_of_a_traversal_are_refused(number: int) -> None:
    config = small("beta_vae")
    with pytest.raises(UserError, match=rf"num_videos = {number} is out of range; give 1 to 10000"):
        held_out_videos(config, number)
    with pytest.raises(UserError, match=rf"steps = {number} leaves nothing to draw; give 1 or more"):
        traversal(network(config), config, steps=number)


@pytest.mark.parametrize("config", each((c for c in CONFIGS if c.dataset in video_datasets()), ASKED))
def test_held_out_videos_are_the_start_of_the_test_set(config: TrialConfig) -> None:
    videos = held_out_videos(config, 3)
    torch.testing.assert_close(videos.images, make_dataset(config).test_set().images[:3])


@pytest.mark.parametrize("data", [{}, {"num_circles": 2}, {"dataset": "still_sprites", "background": "black"}])
def test_a_network_of_stills_is_shown_moving_ones_of_its_kind(data: dict[str, Any]) -> None:
    config = small("beta_vae", **{"dataset": "still_circles"} | data)
    videos = held_out_videos(config, 1)
    assert videos.images.shape == (1, 10, 1, 32, 32)
    assert videos.factor_names == config.factor_names
    assert not torch.equal(videos.factors[:, 0], videos.factors[:, 1])
