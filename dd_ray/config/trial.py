"""What one trial is.

A `TrialConfig` says everything that decides the numbers a trial gives, and nothing else: how long it is
trained, where it runs and how often it is evaluated belong to the sweep. It is frozen, keyword-only and
validated once, here; all other code trusts it.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Self, get_args

from dd_ray.config.arrays import Contents, contents_of
from dd_ray.config.checks import CHECKS
from dd_ray.config.datasets import DATASET_INFO
from dd_ray.config.effects import takes
from dd_ray.config.names import (
    BACKGROUND_FACTORS,
    CIRCLE_FACTORS,
    DATA_FIELDS,
    DSPRITES_MD5,
    NOT_IN_KEY,
    Background,
    Compat,
    Dataset,
    Decode,
    Grid,
    Likelihood,
    Model,
    Motion,
    Moves,
    Network,
    Objective,
    Sampling,
    Schedule,
    Split,
)
from dd_ray.config.traits import TRAITS, Traits
from dd_ray.errors import UserError


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """One trial: a model, its objective, its data and its seed.

    Raises `UserError` where values are out of range, contradict each other, or would have no effect.
    """

    model: Model
    """Which of the model variants to train."""
    network: Network = "conv32"
    """Encoder and decoder architecture; conv32 takes images of 32×32, conv64 of 64×64, mlp both."""
    width_factor: float = 1.0
    """What the channels and units of all hidden layers of the network are multiplied by."""
    image_size: int = 32
    """Height and width of the images: 32, or 64, which they are drawn at and reduced from."""
    num_latents: int = 4
    """L, the number of latent dimensions."""

    beta: float | None = None
    """β, the weight of the KL term. Give either this or beta_norm."""
    beta_norm: float | None = None
    """β·L/N, with N pixels × channels (Higgins et al. 2017, p. 15). Give either this or beta."""
    gamma: float = 0.0
    """γ in [0, 1], representational inertia: the share of the prediction in each latent (inertia_vae)."""
    lam: float = 0.0
    """λ ≥ 0, the weight of the linear prediction error of the latents (predictive_vae, inertia_vae)."""
    alpha: float = 1.0
    """α, how much of the last step the linear prediction repeats; 1 is constant velocity."""
    learn_alpha: bool = False
    """Learn α with the weights, starting at alpha."""
    stochastic: bool = True
    """Sample the latents and pay their KL; false gives the plain autoencoder (β has no effect there)."""
    likelihood: Likelihood = "gaussian"
    """Reconstruction term: gaussian is the squared error, bernoulli the cross-entropy."""
    delay: int = 1
    """inertia_vae: latent i is decoded to frame i + delay (0 or 1)."""
    decode: Decode = "filtered"
    """inertia_vae: decode the latent itself, or the one extrapolated by α times its last step."""
    compat: Compat = "none"
    """original repeats the published code's faults: γ fixed at 0.75, its prediction loss, its KL average."""

    objective: Objective = "beta"
    """What is added to the reconstruction: β·KL, |KL − C|, the KL in three terms of which β weighs one, or slowness."""
    capacity_max: float = 20.0
    """objective = capacity: the C, in nats per frame, that its schedule leads to."""
    capacity_weight: float = 100.0
    """objective = capacity: the weight of |KL − C|."""
    capacity_iterations: int = 100_000
    """objective = capacity: iterations until C is capacity_max."""
    capacity_schedule: Schedule = "linear"
    """objective = capacity: how C gets from 0 to capacity_max; constant is capacity_max from the beginning."""
    tc_sampling: Sampling = "weighted"
    """objective = tcvae: how the density of all latents is estimated from a batch."""
    tc_num_data: int | None = None
    """objective = tcvae: N, of how many samples a batch is drawn; of the dataset's finite set where it is not given."""
    slowness_weight: float = 10.0
    """objective = slowness: the weight of the KL between a frame's latents and what the frame before makes likely."""
    slowness_rate: float = 6.0
    """objective = slowness: the rate of the Laplace distribution of the latents' steps; 1 / rate is its scale."""
    beta_schedule: Schedule = "constant"
    """How β gets from 0 to its value; constant has it from the beginning."""
    gamma_schedule: Schedule = "constant"
    """How γ gets from 0 to its value (inertia_vae)."""
    lam_schedule: Schedule = "constant"
    """How λ gets from 0 to its value (predictive_vae, inertia_vae)."""
    schedule_iterations: int = 10_000
    """Iterations until β, γ and λ are at their values for good, where their schedules are not constant."""
    schedule_cycles: int = 4
    """How often a cyclic schedule begins at 0."""

    dataset: Dataset = "moving_circles"
    """Training and test images: stills or videos, of circles or of sprites; dsprites and arrays are those of a file."""
    grid: Grid = "continuous"
    """Factors drawn from the unit cube, or the finite set of the original: the original study's, or dSprites'."""
    background: Background = "gaussian"
    """Behind circles and sprites: a Gaussian, whose place is two more factors, or black."""
    num_circles: int = 1
    """Circles in a picture; each hides those before it and is brighter."""
    motion: Motion = "linear"
    """Of what moves: straight, along one coordinate only (axis), or reflected at the border (bounce)."""
    moves: Moves = "position"
    """moving_sprites: the factor that moves in a video; the others rest."""
    num_frames: int = 10
    """T, frames of a video (moving_circles, moving_sprites)."""
    dsprites_file: str | None = None
    """dsprites: path or URL of the public .npz; never downloaded unasked. Where it lies is not in the key."""
    dsprites_md5: str = DSPRITES_MD5
    """dsprites: MD5 of that file. Another file of the same layout needs its own."""
    data_file: str | None = None
    """arrays: path of an .npz, or of a folder of .npy files, with images. Where it lies is not in the key."""
    data_factors: str | None = None
    """arrays: its factors, with commas: NAME, NAME:category or NAME:period=P; else as its factor_names say."""
    data_contents: str | None = None
    """arrays: checksum and sizes of the file, which are filled in; a file of other contents is refused."""
    dataset_seed: int = 0
    """Seed of the training stream. All trials of a sweep share it, and so see the same batches."""
    split: Split = "none"
    """What else is held out of training, and tested on: samples of a finite set, or levels of each factor."""
    train_share: float = 1.0
    """p, the share of the samples, or of the levels of each factor, that split leaves for training."""
    num_test: int = 512
    """How many held-out videos, or still images, each evaluation uses; of a file that holds out fewer, all."""

    batch_size: int = 64
    """B, videos (or still images) of a training batch."""
    learning_rate: float = 1e-4
    """Step size of RMSprop."""
    seed: int = 0
    """Seed of the initial weights and of the sampling noise."""

    def __post_init__(self) -> None:
        for check in CHECKS:
            check(self)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C, H, W of an image."""
        return (self.contents.channels if self.contents else 1, self.image_size, self.image_size)

    @property
    def contents(self) -> Contents | None:
        """What its file holds, with dataset = arrays."""
        return contents_of(self)

    @property
    def of_videos(self) -> bool:
        """Whether its samples are videos."""
        return self.contents.num_frames > 1 if self.contents else DATASET_INFO[self.dataset].moving

    @property
    def frames(self) -> int:
        """T of a sample; a still image is a video of one frame."""
        if self.contents:
            return self.contents.num_frames
        return self.num_frames if self.of_videos else 1

    @property
    def traits(self) -> Traits:
        """What its model needs, and what can be asked of it."""
        return TRAITS[self.model]

    def takes(self, name: str) -> bool:
        """Whether a field has an effect on its model, beside some values of the other fields."""
        return takes(self.model, name)

    @property
    def latent_delay(self) -> int:
        """Frames from the one that a latent encodes to the one that it is decoded to."""
        return self.delay if self.takes("delay") else 0

    @property
    def num_latents_in_time(self) -> int:
        """n of a sample; the last frames are only decoded to, where there is a delay."""
        return self.frames - self.latent_delay

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Names of the F factors, each in [0, 1], in the order of every array of factors: THING_COORDINATE.

        Of several circles, circle1 lies behind circle2. `sprite_shape` is a category, 0 a square, ½ an ellipse, 1 a
        heart; `sprite_orientation` is periodic, 0 and 1 being the same, and for an ellipse ½ as well, for a square ¼.
        """
        return DATASET_INFO[self.dataset].factors(self)

    @property
    def is_of_one_circle(self) -> bool:
        """Whether its pictures are the original study's: one circle in front of a Gaussian."""
        return DATASET_INFO[self.dataset].drawn and self.factor_names == CIRCLE_FACTORS + BACKGROUND_FACTORS

    @property
    def data(self) -> dict[str, Any]:
        """What decides its samples: `DATA_FIELDS` with their values."""
        return {name: getattr(self, name) for name in DATA_FIELDS}

    @property
    def beta_value(self) -> float:
        """β whichever of beta and beta_norm was given: β = beta_norm · N / L; 0 where no KL is paid."""
        if self.beta is not None:
            return self.beta
        if self.beta_norm is not None:
            return self.beta_norm * math.prod(self.image_shape) / self.num_latents
        return 0.0

    @property
    def beta_norm_value(self) -> float:
        """β_norm whichever of beta and beta_norm was given: β · L / N."""
        if self.beta_norm is not None:
            return self.beta_norm
        return self.beta_value * self.num_latents / math.prod(self.image_shape)

    @property
    def num_data(self) -> int:
        """N, of how many samples objective = tcvae takes a batch to be drawn."""
        if self.contents and not self.tc_num_data:
            return self.contents.num_samples - self.contents.num_held_out
        return self.tc_num_data or DATASET_INFO[self.dataset].training_size

    @property
    def num_tested(self) -> int:
        """How many held-out samples an evaluation uses: num_test, or as many as a file holds out."""
        return min(self.num_test, self.contents.num_held_out) if self.contents else self.num_test

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The config of a dictionary such as `to_dict` gives. Unknown keys raise."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise UserError(f"{unknown[0]!r} is not a config field; the fields are {', '.join(sorted(known))}.")
        if "model" not in values:
            raise UserError(f"model is not given; it is one of {', '.join(get_args(Model))}.")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """All fields, as JSON can hold them."""
        return asdict(self)

    @cached_property
    def key(self) -> str:
        """Content address of the trial: 16 hexadecimal digits.

        Hashes the fields that differ from their defaults, β always as β, so that a config keeps its key
        when a later version adds fields, and β given in either form is the same trial.
        """
        values = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        for name in ("beta_norm", *NOT_IN_KEY):
            values.pop(name, None)
        values["beta"] = float(f"{self.beta_value:.12g}")
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def data_config(data: Mapping[str, Any]) -> TrialConfig:
    """A config that stands for data whatever is trained on them: of the same data, the same one.

    Args:
        data: fields of `DATA_FIELDS` with their values, such as `TrialConfig.data`; others have their defaults.
    """
    return TrialConfig(model="beta_vae", beta=0.0, **data)
