"""What trained networks are asked for, against closed forms, and against pictures whose circles are where they are."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from dd_ray import probes
from dd_ray.cells import encode_stills, load_originals
from dd_ray.config import MOVING, TrialConfig
from dd_ray.data import FACTORS, Batch, make_dataset, render_circles
from dd_ray.errors import UserError
from dd_ray.models import VideoVAE, build_model
from dd_ray.models.inertia_vae import InertiaVAE
from dd_ray.probes import (
    Lag,
    circle_lags,
    dream,
    find_circles,
    held_out_picture,
    held_out_videos,
    latent_table,
    middle_picture,
    place_of,
    reconstruct,
    traversal,
)
from tests.small import CONFIGS, DATA, VAES, WITH_CODE, name_of, small

WITH_DECODER = [config for config in CONFIGS if config.model in VAES]
EXAMPLES = np.random.default_rng(0).random((60, len(FACTORS)))


def network(config: TrialConfig) -> VideoVAE:
    model = build_model(config).eval()
    assert isinstance(model, VideoVAE)
    return model


def show_latents(model: VideoVAE) -> None:
    """Latents that respond strongly and a decoder that shows it; those of an untrained network hardly move."""
    with torch.no_grad():
        model.encoder.mu.weight *= 100
        [*model.decoder.modules()][-1].weight *= 10


@pytest.mark.parametrize("config", WITH_DECODER, ids=name_of)
def test_a_traversal_moves_one_latent_and_leaves_the_others(config: TrialConfig) -> None:
    model = network(config)
    show_latents(model)
    shown = traversal(model, config, steps=5)
    assert shown.shape == (config.num_latents, 5, *config.image_shape[1:]) and shown.dtype == np.uint8
    base = encode_stills(model, config, middle_picture(config).factors[None])[0]
    base[2] = 1.5  # three quarters from −3 to 3
    with torch.inference_mode():
        expected = model.decode(torch.from_numpy(base)[None, None])[0, 0, 0].numpy() * 255
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


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_the_middle_picture_is_a_held_out_one(config: TrialConfig) -> None:
    picture = middle_picture(config)
    factors = make_dataset(config).test_factors()
    assert (factors[picture.video, picture.frame] == picture.factors).all()
    assert (np.square(factors - 0.5).sum(-1) >= np.square(picture.factors - 0.5).sum()).all()


def test_a_picture_is_found_by_its_number_or_refused() -> None:
    config = small("inertia_vae")
    factors = make_dataset(config).test_factors()
    assert (held_out_picture(config, 7, 4).factors == factors[7, 4]).all()
    for video, frame in ((8, 0), (-1, 0), (0, 5)):
        with pytest.raises(UserError, match=f"no frame {frame} of held-out video {video}; the held-out set has 8"):
            held_out_picture(config, video, frame)


@pytest.mark.parametrize("config", WITH_DECODER, ids=name_of)
def test_reconstructions_stand_beside_the_frames_that_they_should_be(config: TrialConfig) -> None:
    model, batch = network(config), make_dataset(config).test_set()
    originals, reconstructions = reconstruct(model, batch)
    lost = 1 + config.delay if config.model == "inertia_vae" else 0
    assert originals.shape == reconstructions.shape == (8, config.frames - lost, *config.image_shape[1:])
    np.testing.assert_array_equal(originals, (batch.images[:, lost:, 0] * 255).round().numpy())
    np.testing.assert_allclose(reconstructions, model(batch).reconstruction[:, :, 0].detach() * 255, atol=0.51)


def test_reconstructions_do_not_depend_on_how_many_are_made_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    config = small("inertia_vae")
    model, batch = network(config), make_dataset(config).test_set()
    show_latents(model)
    whole = reconstruct(model, batch)[1]
    monkeypatch.setattr(probes, "CHUNK", 3)
    assert np.abs(reconstruct(model, batch)[1].astype(int) - whole).max() <= 1


def test_the_table_has_what_each_latent_does() -> None:
    config = small("beta_vae", num_test=200)
    model, batch = network(config), make_dataset(config).test_set()
    mu, logvar = torch.zeros(200, 5, 4), torch.zeros(200, 5, 4)
    mu[..., 0] = -4 * (batch.factors[..., 3] - 0.5)
    mu[..., 1] = batch.factors[..., 0] * 1e-3
    logvar[..., 0] = -2
    replies = iter(zip(mu.split(probes.CHUNK), logvar.split(probes.CHUNK), strict=True))
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


@pytest.mark.parametrize("config", WITH_CODE, ids=name_of)
def test_every_variant_has_a_table(config: TrialConfig) -> None:
    model, batch = build_model(config).eval(), make_dataset(config).test_set()
    table = latent_table(model, config, batch)
    supervised = config.model == "supervised_encoder"
    assert len(table) == (len(config.factor_names) if supervised else 4)
    assert set(table["follows"]) <= set(config.factor_names)
    posterior = not supervised and config.stochastic
    assert table[["kl", "posterior_variance"]].notna().all(axis=None) == posterior


@pytest.mark.parametrize("model_name", ["beta_vae", "predictive_vae", "inertia_vae"])
def test_a_dream_goes_on_in_a_straight_line_of_latents(model_name: str) -> None:
    config = small(model_name)
    model = network(config)
    show_latents(model)
    frames = make_dataset(config).test_set().images[:2, :2]
    with torch.inference_mode():
        e_btl, _ = model.encode(frames)
        z1 = 0.7 * e_btl[:, 1] + 0.3 * e_btl[:, 0]
        z_btl = torch.stack([e_btl[:, 0] + i * (z1 - e_btl[:, 0]) for i in range(6)], dim=1)
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
                lambda: circle_lags(model, batch), lambda: dream(model, batch.images, 0, 9)):  # fmt: skip
        with pytest.raises(UserError, match="needs a decoder, which a supervised encoder"):
            ask()


def test_a_supervised_decoder_shows_what_it_draws_and_has_no_latents() -> None:
    config = small("supervised_decoder")
    model, batch = build_model(config), make_dataset(config).test_set()
    originals, drawn = reconstruct(model, batch)
    assert originals.shape == drawn.shape == (8, 5, 32, 32)
    np.testing.assert_array_equal(originals, (batch.images[:, :, 0] * 255).round().numpy())
    for ask in (lambda: traversal(model, config), lambda: latent_table(model, config, batch),
                lambda: dream(model, batch.images, 0, 9), lambda: encode_stills(model, config, EXAMPLES)):  # fmt: skip
        with pytest.raises(UserError, match="latents"):
            ask()


def seen(change: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]) -> NDArray[np.float64]:
    """Errors [N, 2] of the places found in the examples, after a change of (circles, backgrounds) in [0, 255]."""
    without = backgrounds_of(EXAMPLES)
    with_circle = render_circles(EXAMPLES).astype(float)
    pictures = np.round(change(with_circle - without, without)).clip(0, 255).astype(np.uint8)
    return find_circles(pictures[:, None], EXAMPLES[:, 2:])[:, 0] - place_of(EXAMPLES[:, :2])


def backgrounds_of(factors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Backgrounds without their circles: the darker of two pictures with circles at opposite corners."""
    pictures = [np.concatenate([np.full((len(factors), 2), place), factors[:, 2:]], axis=1) for place in (0.0, 1.0)]
    return np.minimum(*map(render_circles, pictures)).astype(float)


def blurred(pictures: NDArray[Any], width: float) -> NDArray[Any]:
    return gaussian_filter(pictures, (0, width, width))


def test_a_circle_is_found_to_a_tenth_of_a_pixel() -> None:
    assert np.abs(seen(lambda circles, without: circles + without)).max() < 0.1
    for change in (
        lambda circles, without: blurred(circles, 1) + without,
        lambda circles, without: 0.5 * blurred(circles, 1) + without,
        lambda circles, without: 0.7 * (circles + without) + 20,
        lambda circles, without: blurred(circles, 2) + without,
    ):
        errors = seen(change)
        assert np.sqrt(np.square(errors).mean()) < 0.1
        assert np.abs(errors.mean(axis=0)).max() < 0.02


def test_a_circle_is_found_before_a_background_that_is_a_little_off() -> None:
    moved = EXAMPLES + np.random.default_rng(1).normal(0, 0.03, EXAMPLES.shape) * [0, 0, 1, 1]
    off = render_circles(moved.clip(0, 1))
    errors = find_circles(off[:, None], EXAMPLES[:, 2:])[:, 0] - place_of(EXAMPLES[:, :2])
    assert np.sqrt(np.square(errors).mean()) < 0.1


def test_a_circle_in_a_larger_picture_is_found_at_the_same_place() -> None:
    large = render_circles(EXAMPLES, 64)
    errors = find_circles(large[:, None], EXAMPLES[:, 2:])[:, 0] - place_of(EXAMPLES[:, :2])
    assert np.abs(errors).max() < 0.1


@pytest.mark.parametrize("roll", [0, 1], ids=["its background", "another background"])
def test_no_circle_is_found_where_there_is_none(roll: int) -> None:
    assert np.isnan(seen(lambda circles, without: np.roll(without, roll, axis=0))).all()
    assert np.isnan(seen(lambda circles, without: 0.15 * circles + without)).all()


class Late(VideoVAE):
    """A network that shows the circle `late` frames behind where it is; the first frames as they are."""

    def __init__(self, config: TrialConfig, late: float) -> None:
        super().__init__(config)
        self.late = late

    def forward(self, batch: Batch, noise: object = None) -> Any:
        factors = batch.factors.numpy().astype(float)
        steps = np.diff(factors, axis=1)
        factors = (factors - self.late * np.concatenate([steps[:, :1], steps], axis=1)).clip(0, 1)
        pictures = render_circles(factors.reshape(-1, 4)).reshape(*batch.images.shape)
        return Shown(target=batch.images, reconstruction=torch.from_numpy(pictures).float() / 255)


class Shown:
    """The part of a `Reconstruction` that is looked at."""

    def __init__(self, **tensors: torch.Tensor) -> None:
        self.__dict__.update(tensors)


@pytest.mark.parametrize("late", [0.0, 1.0, 2.0, -0.5])
def test_the_lag_is_that_of_a_circle_known_to_be_late(late: float) -> None:
    config = small("beta_vae", num_frames=10)
    batch = make_dataset(config).test_set()
    # Slow ones in the middle, so that what is late or ahead stays in the picture.
    middle = torch.tensor([0.5, 0.5, 0.0, 0.0])
    factors = torch.where(middle > 0, middle + 0.5 * (batch.factors - 0.5), batch.factors)
    lags = circle_lags(Late(config, late), make_dataset(config).render(factors))
    speeds = np.linalg.norm(np.diff(place_of(factors[..., :2].numpy()), axis=1), axis=-1)[:, :1]
    np.testing.assert_allclose(lags, np.broadcast_to(late * speeds, lags.shape), atol=0.15)
    assert np.abs(lags - late * speeds).mean() < 0.05


def test_there_is_no_lag_without_a_circle_or_without_a_motion() -> None:
    config = small("inertia_vae")
    model, batch = network(config), make_dataset(config).test_set()
    assert circle_lags(model, batch).shape == (8, 3)
    assert np.isnan(Lag.of(circle_lags(model, batch)).median)
    resting = make_dataset(config).render(batch.factors[:, :1].expand(-1, 5, -1).contiguous())
    assert np.isnan(circle_lags(Late(small("beta_vae"), 0), resting)).all()
    stills = small("beta_vae", dataset="still_circles")
    with pytest.raises(UserError, match="give videos"):
        circle_lags(network(stills), make_dataset(stills).test_set())


def test_a_filter_is_shown_videos_of_its_own_length() -> None:
    config = small("inertia_vae")
    model, batch = network(config), make_dataset(replace(config, num_frames=7)).test_set()
    assert isinstance(model, InertiaVAE)
    for ask in (lambda: reconstruct(model, batch), lambda: latent_table(model, config, batch)):
        with pytest.raises(UserError, match="videos of 7 frames do not fit a filter of 5"):
            ask()


@pytest.mark.parametrize("config", [config for config in CONFIGS if config.dataset in MOVING], ids=name_of)
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


@pytest.mark.parametrize("data", DATA)
def test_only_one_circle_before_a_gaussian_has_a_lag(data: dict[str, Any]) -> None:
    config = small("beta_vae", **data)
    with pytest.raises(UserError, match="the lag is that of one circle"):
        circle_lags(build_model(config), make_dataset(config).test_set())


def test_the_original_shows_the_circle_at_the_lowest_beta_only(reference: Path) -> None:
    lags = {}
    for subject in load_originals(reference):
        if isinstance(subject.model, VideoVAE):
            batch = held_out_videos(subject.config, 32)
            lags[subject.settings["beta_norm"]] = circle_lags(subject.model, batch)
    shown = {beta_norm: np.isfinite(values).mean() for beta_norm, values in lags.items()}
    assert shown[0.001] > 0.95 and max(share for beta, share in shown.items() if beta > 0.001) < 0.05
    # A frame by itself has no past to lag behind.
    assert abs(np.nanmedian(lags[0.001])) < 0.1
