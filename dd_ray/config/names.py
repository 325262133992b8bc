"""Names and sizes that a config is made of: the values its fields take, and what goes with what."""

from typing import Literal

Model = Literal["supervised_encoder", "supervised_decoder", "beta_vae", "predictive_vae", "inertia_vae"]
Network = Literal["conv32", "conv64", "mlp"]
Likelihood = Literal["gaussian", "bernoulli"]
Decode = Literal["filtered", "extrapolated"]
Compat = Literal["none", "original"]
Objective = Literal["beta", "capacity", "tcvae", "slowness"]
Sampling = Literal["weighted", "stratified"]
Schedule = Literal["constant", "linear", "cyclic", "cosine"]
Dataset = Literal["still_circles", "moving_circles", "still_sprites", "moving_sprites", "dsprites", "arrays"]
"""The keys of `datasets.DATASET_INFO`."""
Grid = Literal["continuous", "original"]
Background = Literal["gaussian", "black"]
Moves = Literal["position", "orientation", "scale"]
Motion = Literal["linear", "axis", "bounce"]
Split = Literal["none", "samples", "levels"]

NUM_HELD_OUT = 10_000
"""Images or videos of the original's finite sets that training never sees, however many of them are used."""
MOST_CIRCLES = 4

CIRCLE_FACTORS = ("circle_x", "circle_y")
SPRITE_FACTORS = ("sprite_shape", "sprite_scale", "sprite_orientation", "sprite_x", "sprite_y")
BACKGROUND_FACTORS = ("background_x", "background_y")
DSPRITES_MD5 = "7da33b31b13a06f4b04a70402ce90c2e"
"""Of the public `dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz` (github.com/google-deepmind/dsprites-dataset), which
publishes none itself; this is what others check theirs by, such as github.com/karnwatcharasupat/latte."""
NOT_IN_KEY = ("dsprites_file", "data_file")
"""Fields that say where something is, not what: its content has a field of its own, with its checksum."""
DATA_FIELDS = (
    *("dataset", "grid", "background", "num_circles", "motion", "moves", "num_frames"),
    *("dsprites_file", "dsprites_md5", "data_file", "data_factors", "data_contents"),
    *("dataset_seed", "image_size", "network", "split", "train_share"),
)
"""Fields that decide what a sample of the data is; the network, since it is made for an image size."""
WIDEST = 8
"""The largest width_factor; mlp has hundreds of millions of weights then."""
IMAGE_SIZES = {"conv32": (32,), "conv64": (64,), "mlp": (32, 64)}
"""Heights and widths of the images that each network is made for."""
