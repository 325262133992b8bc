"""Where circles are found, and how far they are behind, in pictures whose circles are where they are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from dd_ray.config import TrialConfig
from dd_ray.data import FACTORS, Batch, make_dataset, render_circles
from dd_ray.errors import UserError
from dd_ray.models import VideoVAE, build_model
from dd_ray.probes.answers import held_out_videos
from dd_ray.probes.lag import Lag, circle_lags, find_circles, place_of
from dd_ray.probes.networks import load_originals
from tests.small import DATA, small

EXAMPLES = np.random.default_rng(0).random((60, len(FACTORS)))


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
    model, batch = build_model(config).eval(), make_dataset(config).test_set()
    assert circle_lags(model, batch).shape == (8, 3)
    assert np.isnan(Lag.of(circle_lags(model, batch)).median)
    resting = make_dataset(config).render(batch.factors[:, :1].expand(-1, 5, -1).contiguous())
    assert np.isnan(circle_lags(Late(small("beta_vae"), 0), resting)).all()
    stills = small("beta_vae", dataset="still_circles")
    with pytest.raises(UserError, match="give videos"):
        circle_lags(build_model(stills), make_dataset(stills).test_set())
    with pytest.raises(UserError, match="needs a decoder"):
        circle_lags(build_model(small("supervised_encoder")), batch)


OTHER_FACTORS = [data for data in DATA if small("beta_vae", **data).factor_names != small("beta_vae").factor_names]


@pytest.mark.parametrize("data", OTHER_FACTORS)
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
