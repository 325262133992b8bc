"""Names and sizes that config fields take as values, and constants of the original study."""

from typing import Literal

Likelihood = Literal["gaussian", "bernoulli"]
Decode = Literal["filtered", "extrapolated"]
PosteriorVariance = Literal["encoder", "filtered"]
LearnGamma = Literal["none", "shared", "per_latent"]
Compat = Literal["none", "original"]
Sampling = Literal["weighted", "stratified"]
Schedule = Literal["constant", "linear", "cyclic", "cosine"]
LearningRateSchedule = Literal["constant", "linear", "cosine"]
Grid = Literal["continuous", "original"]
Background = Literal["gaussian", "black"]
Moves = Literal["position", "orientation", "scale"]
Motion = Literal["linear", "axis", "bounce"]
Dropped = Literal["black", "frozen"]
Target = Literal["seen", "clean"]
Split = Literal["none", "samples", "levels", "combinations"]
Precision = Literal["float32", "tf32", "bf16"]
"""Precision of matrix products and convolutions on a GPU, see `dd_ray.training.set_precision`."""

BETAS = ("beta", "beta_norm")
"""The two forms of β, as fields, of which a config has one."""
DIGITS_IN_KEY = 12
"""Significant digits of β in a trial's key."""
NUM_HELD_OUT = 10_000
"""Number of images or videos of the original study's finite sets that training never sees."""
MOST_CIRCLES = 4

CIRCLE_RADIUS = 6.4
"""Radius of the original study's circles, in pixels of the canvas of 64×64 on which everything is drawn."""

CIRCLE_FACTORS = ("circle_x", "circle_y")
SPRITE_FACTORS = ("sprite_shape", "sprite_scale", "sprite_orientation", "sprite_x", "sprite_y")
BACKGROUND_FACTORS = ("background_x", "background_y")
ONE_CIRCLE_FACTORS = CIRCLE_FACTORS + BACKGROUND_FACTORS
"""Names of the factors of the original study's pictures, one circle in front of a Gaussian, in order."""
DSPRITES_MD5 = "7da33b31b13a06f4b04a70402ce90c2e"
"""MD5 of the public `dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz` (github.com/google-deepmind/dsprites-dataset). Its
authors publish none; other projects check against this one, such as github.com/karnwatcharasupat/latte."""
WIDEST = 8
"""The largest width_factor, at which mlp has hundreds of millions of weights."""
