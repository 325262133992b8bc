"""Checks of the config fields that name the public dSprites file."""

import re
from typing import TYPE_CHECKING

from dd_ray.config.urls import absolute_path, holds_key, split_url
from dd_ray.errors import UserError

if TYPE_CHECKING:
    from dd_ray.config.trial import TrialConfig


def check_dsprites(config: "TrialConfig") -> None:
    """Raise a `UserError` if the file is not named, or other fields do not suit its pictures.

    Also turn the checksum into lower case, and make a path absolute, since workers run in other folders.
    """
    if config.grid != "original" or config.background != "black":
        raise UserError("dsprites are a finite set of pictures on black; give grid = original, background = black.")
    if not config.dsprites_file:
        raise UserError(
            "dsprites needs dsprites_file, the path or URL of dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz "
            "(github.com/google-deepmind/dsprites-dataset); still_sprites needs no file."
        )
    if not re.fullmatch("[0-9a-f]{32}", config.dsprites_md5.lower()):
        raise UserError(f"dsprites_md5 = {config.dsprites_md5} is no MD5; give 32 hexadecimal digits.")
    object.__setattr__(config, "dsprites_md5", config.dsprites_md5.lower())
    if "://" in config.dsprites_file:
        _check_url(config.dsprites_file)
        return
    object.__setattr__(config, "dsprites_file", absolute_path("dsprites_file", config.dsprites_file))


def _check_url(file: str) -> None:
    try:
        url = split_url(file)
    except ValueError as error:
        raise UserError(f"dsprites_file = {error}; correct it, or give a path.") from error
    if holds_key(url):
        raise UserError("dsprites_file holds a key, which would be stored; give keys in the environment.")
