"""The declarations of the datasets. A new one is an entry here, and its code in `dd_ray/data/`."""

from typing import TYPE_CHECKING

from dd_ray.config.arrays import check_arrays, factor_names
from dd_ray.config.dsprites import check_dsprites
from dd_ray.config.names import BACKGROUND_FACTORS, CIRCLE_FACTORS, CIRCLE_RADIUS, NUM_HELD_OUT, SPRITE_FACTORS
from dd_ray.config.specs import DatasetSpec, Registry
from dd_ray.errors import UserError

if TYPE_CHECKING:
    from dd_ray.config.trial import TrialConfig


CONDITIONS = ("contrast", "correlation", "occluder", "pixel_noise", "drop_rate", "dropped", "target")
"""The fields that make videos harder: of the scene, the correlation of its factors, and what happens to its frames."""


def _circles(config: "TrialConfig") -> tuple[str, ...]:
    several = tuple(f"circle{i + 1}_{axis}" for i in range(config.num_circles) for axis in "xy")
    return (CIRCLE_FACTORS if config.num_circles == 1 else several) + _background(config)


def _sprites(config: "TrialConfig") -> tuple[str, ...]:
    return SPRITE_FACTORS + _background(config)


def _background(config: "TrialConfig") -> tuple[str, ...]:
    return BACKGROUND_FACTORS if config.background == "gaussian" else ()


def _check_still_circles(config: "TrialConfig") -> None:
    if config.grid == "original" and not config.is_of_one_circle:
        raise UserError(
            "grid = original is the original's circles: num_circles = 1, background = gaussian, "
            f"circle_radius = {CIRCLE_RADIUS}, contrast = 1 and occluder = 0."
        )


def _check_moving_circles(config: "TrialConfig") -> None:
    _check_still_circles(config)
    if config.grid == "original" and (config.motion, config.num_frames, config.correlation) != ("linear", 10, 0):
        raise UserError(
            "grid = original is the original's videos: motion = linear, num_frames = 10 and correlation = 0."
        )
    if config.split == "levels" and config.background == "black":
        raise UserError(
            "split = levels holds out levels of what rests in a video, and on black all that is there moves; "
            "give background = gaussian."
        )


def _check_still_sprites(config: "TrialConfig") -> None:
    if config.grid == "original" and config.background != "black":
        raise UserError("grid = original is the layout of dSprites, which are on black; give background = black.")


_NUM_SPRITES = 3 * 6 * 40 * 32 * 32 - NUM_HELD_OUT - 1_509
"""Number of training sprites, without those that look exactly like a held-out one, as after a whole turn."""

STILL_CIRCLES = DatasetSpec(
    name="still_circles",
    make="dd_ray.data.circles:make_circles",
    painter="dd_ray.data.circles:circle_painter",
    factors=_circles,
    training_size=262_144 - NUM_HELD_OUT,
    videos="moving_circles",
    finite=True,
    reads=("background", "num_circles"),
    check=_check_still_circles,
)
MOVING_CIRCLES = DatasetSpec(
    name="moving_circles",
    make="dd_ray.data.circles:make_circles",
    painter="dd_ray.data.circles:circle_painter",
    factors=_circles,
    training_size=200_000 - NUM_HELD_OUT,
    moving=True,
    finite=True,
    reads=("background", "num_circles", "motion", "num_frames", "circle_radius", *CONDITIONS),
    check=_check_moving_circles,
)
STILL_SPRITES = DatasetSpec(
    name="still_sprites",
    make="dd_ray.data.sprites:make_sprites",
    painter="dd_ray.data.sprites:sprite_painter",
    stills="dd_ray.data.sprites:sprite_stills",
    factors=_sprites,
    training_size=_NUM_SPRITES,
    videos="moving_sprites",
    finite=True,
    reads=("background",),
    check=_check_still_sprites,
)
MOVING_SPRITES = DatasetSpec(
    name="moving_sprites",
    make="dd_ray.data.sprites:make_sprites",
    painter="dd_ray.data.sprites:sprite_painter",
    stills="dd_ray.data.sprites:sprite_stills",
    factors=_sprites,
    training_size=_NUM_SPRITES,  # as for still ones, since no published set has moving ones
    moving=True,
    reads=("background", "motion", "moves", "num_frames", *CONDITIONS),
)
DSPRITES = DatasetSpec(
    name="dsprites",
    make="dd_ray.data.dsprites:make_dsprites",
    painter="dd_ray.data.dsprites:dsprites_painter",
    stills="dd_ray.data.dsprites:dsprites_stills",
    factors=_sprites,
    training_size=_NUM_SPRITES,
    videos="moving_sprites",
    finite=True,
    reads=("background", "dsprites_file", "dsprites_md5"),
    check=check_dsprites,
)

ARRAYS = DatasetSpec(
    name="arrays",
    make="dd_ray.data.arrays:ArraysDataset",
    painter="dd_ray.data.arrays:arrays_painter",
    stills="dd_ray.data.arrays:arrays_stills",
    pictures="dd_ray.data.arrays:arrays_pictures",
    factors=factor_names,
    training_size=0,
    drawn=False,
    reads=("data_file", "data_factors", "data_contents"),
    check=check_arrays,
)

DATASETS = Registry("dataset", [STILL_CIRCLES, MOVING_CIRCLES, STILL_SPRITES, MOVING_SPRITES, DSPRITES, ARRAYS])


def video_datasets() -> tuple[str, ...]:
    """Return the names of the datasets of videos."""
    return tuple(name for name, spec in DATASETS.items() if spec.moving)
