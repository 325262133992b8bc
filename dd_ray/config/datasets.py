"""The datasets by the names that a config gives them: all that is known of each without rendering any of it.

A new one is an entry here, its name in `names.Dataset`, and a line in `dd_ray.data.registry.DATASETS`, which says how
it is drawn.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dd_ray.config.arrays import check_arrays, factor_names
from dd_ray.config.dsprites import check_dsprites
from dd_ray.config.names import BACKGROUND_FACTORS, CIRCLE_FACTORS, NUM_HELD_OUT, SPRITE_FACTORS, Dataset
from dd_ray.errors import UserError

if TYPE_CHECKING:
    from dd_ray.config.trial import TrialConfig


def _refuse_nothing(config: "TrialConfig") -> None:
    """What a dataset has that suits every other field."""


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What is known of a dataset without rendering any of it."""

    factors: Callable[["TrialConfig"], tuple[str, ...]]
    """Names of its F factors, THING_COORDINATE each."""
    training_size: int
    """How many images or videos it counts for that training sees, where objective = tcvae does not say otherwise; 0
    where a file says it."""
    moving: bool = False
    """Whether its samples are videos."""
    videos: Dataset | None = None
    """Of still pictures: the dataset of moving ones of their kind, where there is one."""
    finite: bool = False
    """Whether it has a finite set, grid = original."""
    drawn: bool = True
    """Whether it has pictures of any factors; if not, it has those of a file alone."""
    options: tuple[str, ...] = ()
    """Fields of a config that have an effect on some datasets only: those that have one on this."""
    check: Callable[["TrialConfig"], None] = _refuse_nothing
    """Raises a `UserError` where the other fields do not suit it."""


def _circles(config: "TrialConfig") -> tuple[str, ...]:
    several = tuple(f"circle{i + 1}_{axis}" for i in range(config.num_circles) for axis in "xy")
    return (CIRCLE_FACTORS if config.num_circles == 1 else several) + _background(config)


def _sprites(config: "TrialConfig") -> tuple[str, ...]:
    return SPRITE_FACTORS + _background(config)


def _background(config: "TrialConfig") -> tuple[str, ...]:
    return BACKGROUND_FACTORS if config.background == "gaussian" else ()


def _check_still_circles(config: "TrialConfig") -> None:
    if config.grid == "original" and not config.is_of_one_circle:
        raise UserError("grid = original is the original's circles: num_circles = 1 and background = gaussian.")


def _check_moving_circles(config: "TrialConfig") -> None:
    _check_still_circles(config)
    if config.grid == "original" and (config.motion != "linear" or config.num_frames != 10):
        raise UserError("grid = original is the original's videos: motion = linear and num_frames = 10.")
    if config.split == "levels" and config.background == "black":
        raise UserError(
            "split = levels holds out levels of what rests in a video, and on black all that is there moves; "
            "give background = gaussian."
        )


def _check_still_sprites(config: "TrialConfig") -> None:
    if config.grid == "original" and config.background != "black":
        raise UserError("grid = original is the layout of dSprites, which are on black; give background = black.")


_DSPRITES = 3 * 6 * 40 * 32 * 32 - NUM_HELD_OUT - 1_509
"""Without those that have the very picture of one that is held out, such as the same sprite after a whole turn."""

DATASET_INFO: dict[Dataset, DatasetInfo] = {
    "still_circles": DatasetInfo(
        factors=_circles,
        training_size=262_144 - NUM_HELD_OUT,
        videos="moving_circles",
        finite=True,
        options=("background", "num_circles"),
        check=_check_still_circles,
    ),
    "moving_circles": DatasetInfo(
        factors=_circles,
        training_size=200_000 - NUM_HELD_OUT,
        moving=True,
        finite=True,
        options=("background", "num_circles", "motion", "num_frames"),
        check=_check_moving_circles,
    ),
    "still_sprites": DatasetInfo(
        factors=_sprites,
        training_size=_DSPRITES,
        videos="moving_sprites",
        finite=True,
        options=("background",),
        check=_check_still_sprites,
    ),
    "moving_sprites": DatasetInfo(
        factors=_sprites,
        training_size=_DSPRITES,  # as the still ones, since no published set has moving ones
        moving=True,
        options=("background", "motion", "moves", "num_frames"),
    ),
    "dsprites": DatasetInfo(
        factors=_sprites,
        training_size=_DSPRITES,
        videos="moving_sprites",
        finite=True,
        options=("background", "dsprites_file", "dsprites_md5"),
        check=check_dsprites,
    ),
    "arrays": DatasetInfo(
        factors=factor_names,
        training_size=0,
        drawn=False,
        options=("data_file", "data_factors", "data_contents"),
        check=check_arrays,
    ),
}

MOVING = tuple(name for name, info in DATASET_INFO.items() if info.moving)
"""Datasets of videos."""
OPTIONS_OF_DATASETS = {option for info in DATASET_INFO.values() for option in info.options}
"""Fields that have an effect on some datasets only."""
