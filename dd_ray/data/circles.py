"""Circles, still and moving: draws their factors, and turns factors into images."""

from functools import partial

import numpy as np
import torch

from dd_ray.config import CIRCLE_FACTORS, DATASETS, TrialConfig
from dd_ray.data.correlation import correlated
from dd_ray.data.dataset import ContinuousDataset, Dataset, FiniteDataset, Paint
from dd_ray.data.motion import PATHS
from dd_ray.data.occlusion import paint_circles
from dd_ray.data.original import BACKGROUND_LEVELS, StillImages, Videos
from dd_ray.data.rendering import grid_backgrounds, render_videos
from dd_ray.data.split import Draw, Factors


def make_circles(config: TrialConfig, device: torch.device) -> Dataset:
    """Make the dataset of still or moving circles, drawn from the unit cube or from the original's finite sets."""
    still = not DATASETS[config.dataset].moving
    if config.grid == "original":
        paint = partial(render_videos, grid=grid_backgrounds(BACKGROUND_LEVELS, device), image_size=config.image_size)
        return FiniteDataset(config, device, paint, StillImages() if still else Videos())
    draw = _draw_stills(config) if still else _draw_videos(config)
    return ContinuousDataset(config, device, circle_painter(config), draw)


def circle_painter(config: TrialConfig) -> Paint:
    """Return the function that turns any factors of circles into images."""
    if config.is_of_one_circle:
        return partial(render_videos, image_size=config.image_size)
    return partial(
        paint_circles,
        num_circles=config.num_circles,
        image_size=config.image_size,
        radius=config.circle_radius,
        contrast=config.contrast,
    )


def _draw_stills(config: TrialConfig) -> Draw:
    num_factors = len(config.factor_names)
    return lambda rng, n: rng.random((n, 1, num_factors), dtype=np.float32)


def _draw_videos(config: TrialConfig) -> Draw:
    num_resting = len(config.factor_names) - len(CIRCLE_FACTORS) * config.num_circles

    def draw(rng: np.random.Generator, n: int) -> Factors:
        moving = [PATHS[config.motion](rng.random, n, config.num_frames) for _ in range(config.num_circles)]
        resting = rng.random((n, 1, num_resting))
        if config.correlation:
            resting = correlated(resting, moving[0][:, :1], config.correlation)
        resting = np.broadcast_to(resting, (n, config.num_frames, num_resting))
        return np.concatenate([*moving, resting], axis=-1).astype(np.float32)

    return draw
