"""Names and sizes that a config is made of: the values its fields take, and what goes with what."""

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

NUM_HELD_OUT = 10_000
"""Images or videos of the original's finite sets that training never sees, however many of them are used."""
MOST_CIRCLES = 4

CIRCLE_RADIUS = 6.4
"""Of the original's circles, in pixels of the canvas of 64×64 that everything is drawn on."""

CIRCLE_FACTORS = ("circle_x", "circle_y")
SPRITE_FACTORS = ("sprite_shape", "sprite_scale", "sprite_orientation", "sprite_x", "sprite_y")
BACKGROUND_FACTORS = ("background_x", "background_y")
DSPRITES_MD5 = "7da33b31b13a06f4b04a70402ce90c2e"
"""Of the public `dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz` (github.com/google-deepmind/dsprites-dataset), which
publishes none itself; this is what others check theirs by, such as github.com/karnwatcharasupat/latte."""
WIDEST = 8
"""The largest width_factor; mlp has hundreds of millions of weights then."""
