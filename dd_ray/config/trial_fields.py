"""The fields of a config, each with its help, its range and what else is known of it.

A new hyperparameter is an annotated field here, and its use. If only some model, dataset or objective reads it, these
also name it in their `reads`. Extensions bring fields of their own, see `config_fields`.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from functools import cache
from typing import Annotated, Any, get_args

from dd_ray.config.datasets import DATASETS
from dd_ray.config.field import ABOVE_0, FINITE, POSITIVE, SHARE, Option, Within, at_least, at_most, option_of, type_of
from dd_ray.config.models import MODELS
from dd_ray.config.names import (
    CIRCLE_RADIUS,
    DSPRITES_MD5,
    MOST_CIRCLES,
    WIDEST,
    Background,
    Compat,
    Decode,
    Dropped,
    Grid,
    LearnGamma,
    LearningRateSchedule,
    Likelihood,
    Motion,
    Moves,
    PosteriorVariance,
    Sampling,
    Schedule,
    Split,
    Target,
)
from dd_ray.config.networks import NETWORKS
from dd_ray.config.objectives import OBJECTIVES
from dd_ray.config.optimizers import OPTIMIZERS
from dd_ray.config.specs import Registry, cached_until_change

REGISTRIES: dict[str, Registry[Any]] = {
    registry.kind: registry for registry in (MODELS, NETWORKS, DATASETS, OBJECTIVES, OPTIMIZERS)
}
"""The registries from which fields choose by name, by kind."""

SAMPLES = {"stochastic": (True,)}
RISING = ("linear", "cyclic", "cosine")
SCHEDULES = ("beta_schedule", "gamma_schedule", "lam_schedule")
ANY_RISING = dict.fromkeys(SCHEDULES, RISING)
ANY_CYCLIC = dict.fromkeys((*SCHEDULES, "capacity_schedule"), ("cyclic",))
CONDITIONED = dict.fromkeys(("occluder", "pixel_noise", "drop_rate"), (ABOVE_0,))
SPLITS = {"split": ("samples", "levels", "combinations")}

FROM_0, FROM_1 = (at_least(0),), (at_least(1),)
LATENTS, FRAMES = (*FROM_1, at_most(10_000)), (at_most(10_000),)
SAMPLES_AT_ONCE = (*FROM_1, at_most(1_000_000))
TESTED = (at_least(2), at_most(1_000_000))
ITERATIONS = (*FROM_1, at_most(999_999_999))
NUM_DATA = (*FROM_1, at_most(10**15))
SEEDS = (at_least(0), Within("give an integer below 2**64", high=2**64 - 1))
GAMMAS = (Within("γ is a share, give a number in [0, 1]", 0, 1),)
WIDTHS = (Within(f"give a number in (0, {WIDEST}]", 0, WIDEST, above=True),)
CIRCLES = (Within(f"give 1 to {MOST_CIRCLES}", 1, MOST_CIRCLES),)
RADII = (Within("give a number of pixels in [1, 16]", 1, 16),)
CONTRASTS = (Within("give a number in (0, 1]", 0, 1, above=True),)
CORRELATIONS = (Within("give a number in [-1, 1]", -1, 1),)
BARS = (Within("give a width in pixels in [0, 63]", 0, 63),)
TRAIN_SHARES = (Within("it is a share, give a number in (0, 1]", 0, 1, above=True),)
WARM_UPS = (*FROM_0, at_most(999_999_999))
MOMENTA = (Within("give a number in [0, 0.999999]", 0, 0.999999),)
FALLING = {"learning_rate_schedule": ("linear", "cosine")}
BETA_NORM = r"β$_{\mathrm{norm}}$"


@dataclass(frozen=True, kw_only=True)
class TrialFields:
    """The fields of a trial's config."""

    model: Annotated[str, Option(choices="model")]
    """The model variant to train."""
    network: Annotated[str, Option(choices="network", of_data=True)] = "conv32"
    """Encoder and decoder architecture; conv32 takes images of 32×32, conv64 of 64×64, mlp both."""
    width_factor: Annotated[float, Option(within=WIDTHS)] = 1.0
    """Factor on the channels and units of all hidden layers of the network."""
    image_size: Annotated[int, Option(of_data=True)] = 32
    """Height and width of the images: 32, or 64, which they are drawn at and reduced from."""
    num_latents: Annotated[int, Option(within=LATENTS)] = 4
    """L, the number of latent dimensions."""

    beta: Annotated[float | None, Option(within=FROM_0, symbol="β", free=True, needs=(SAMPLES,))] = None
    """β, the weight of the KL term. Give either this or beta_norm."""
    beta_norm: Annotated[float | None, Option(within=FROM_0, symbol=BETA_NORM, free=True, needs=(SAMPLES,))] = None
    """β·L/N, with N pixels × channels (Higgins et al. 2017, p. 15). Give either this or beta."""
    gamma: Annotated[float, Option(within=GAMMAS, symbol="γ", free=True)] = 0.0
    """γ in [0, 1], representational inertia: the share of the prediction in each latent (inertia_vae)."""
    lam: Annotated[float, Option(within=FROM_0, symbol="λ", option="lambda", free=True)] = 0.0
    """λ ≥ 0, the weight of the linear prediction error of the latents (predictive_vae, inertia_vae)."""
    alpha: Annotated[float, Option(within=(FINITE,), symbol="α", free=True)] = 1.0
    """α, how much of the last step the linear prediction repeats; 1 is constant velocity."""
    learn_alpha: bool = False
    """Learn α with the weights, starting at alpha."""
    stochastic: bool = True
    """Sample the latents and pay their KL; false gives the plain autoencoder (β has no effect there)."""
    likelihood: Likelihood = "gaussian"
    """Reconstruction term: gaussian is the squared error, bernoulli the cross-entropy."""
    delay: Annotated[int, Option(within=(Within("give 0 or 1", 0, 1),))] = 1
    """inertia_vae: latent i is decoded to frame i + delay (0 or 1)."""
    decode: Decode = "filtered"
    """inertia_vae: decode the latent itself, or the one extrapolated by α times its last step."""
    learn_gamma: Annotated[LearnGamma, Option(needs=({"gamma_schedule": ("constant",)},))] = "none"
    """inertia_vae: learn γ with the weights, starting at gamma: one for all latents (shared), or one for each."""
    posterior: Annotated[PosteriorVariance, Option(needs=(SAMPLES,))] = "encoder"
    """inertia_vae: the variances of its latents, the encoder's own, or those that the filter makes of them."""
    compat: Compat = "none"
    """original repeats the published code's faults: γ fixed at 0.75, its prediction loss, its KL average."""

    objective: Annotated[str, Option(choices="objective", needs=(SAMPLES,))] = "beta"
    """Terms added to the reconstruction: β·KL, |KL − C|, the KL in three terms, slowness or constant velocity."""
    capacity_max: Annotated[float, Option(within=FROM_0, free=True)] = 20.0
    """objective = capacity: the C, in nats per frame, that its schedule leads to."""
    capacity_weight: Annotated[float, Option(within=FROM_0, free=True)] = 100.0
    """objective = capacity: the weight of |KL − C|."""
    capacity_iterations: Annotated[
        int, Option(within=ITERATIONS, free=True, needs=({"capacity_schedule": RISING},))
    ] = 100_000
    """objective = capacity: iterations until C is capacity_max."""
    capacity_schedule: Annotated[Schedule, Option(free=True)] = "linear"
    """objective = capacity: how C rises from 0 to capacity_max; constant is capacity_max from the beginning."""
    tc_sampling: Sampling = "weighted"
    """objective = tcvae: how the density of all latents is estimated from a batch."""
    tc_num_data: Annotated[int | None, Option(within=NUM_DATA)] = None
    """objective = tcvae: N, the number of samples that batches are drawn from; by default that of the finite set, also
    where a split leaves fewer of them for training, whose number is to be given then."""
    slowness_weight: Annotated[float, Option(within=FROM_0, free=True)] = 10.0
    """objective = slowness: the weight of the KL of a frame's latents from their prior about the frame before."""
    slowness_rate: Annotated[float, Option(within=(POSITIVE,), free=True)] = 6.0
    """objective = slowness: the rate of the Laplace distribution of the latents' steps; 1 / rate is its scale."""
    velocity_scale: Annotated[float, Option(within=(POSITIVE,), free=True)] = 0.1
    """objective = velocity: s, the standard deviation of the change of a latent's velocity from frame to frame."""
    velocity_alpha: Annotated[float, Option(within=(FINITE,), free=True)] = 1.0
    """objective = velocity: the share of a latent's last step that its prior repeats; 1 is constant velocity."""
    beta_schedule: Annotated[Schedule, Option(free=True, needs=(SAMPLES,))] = "constant"
    """Rise of β from 0 to its value; constant has it from the beginning."""
    gamma_schedule: Schedule = "constant"
    """Rise of γ from 0 to its value (inertia_vae)."""
    lam_schedule: Annotated[Schedule, Option(option="lambda-schedule", free=True)] = "constant"
    """Rise of λ from 0 to its value (predictive_vae, inertia_vae)."""
    schedule_iterations: Annotated[int, Option(within=ITERATIONS, free=True, needs=(ANY_RISING,))] = 10_000
    """Iterations until β, γ and λ are at their values for good, where their schedules are not constant."""
    schedule_cycles: Annotated[
        int,
        Option(within=ITERATIONS, free=True, needs=(ANY_CYCLIC,)),
    ] = 4
    """Number of cycles of a cyclic schedule, each of which begins at 0."""

    dataset: Annotated[str, Option(choices="dataset", of_data=True)] = "moving_circles"
    """Training and test images: stills or videos, of circles or of sprites; dsprites and arrays are those of a file."""
    grid: Annotated[Grid, Option(of_data=True)] = "continuous"
    """Factors drawn from the unit cube, or the finite set of the original: the original study's, or dSprites'."""
    background: Annotated[Background, Option(of_data=True)] = "gaussian"
    """Behind circles and sprites: a Gaussian, whose place is two more factors, or black."""
    num_circles: Annotated[int, Option(within=CIRCLES, of_data=True)] = 1
    """Number of circles in a picture; each is brighter than the ones before and hides them."""
    motion: Annotated[Motion, Option(of_data=True, needs=({"moves": ("position",)},))] = "linear"
    """Paths of what moves: straight (linear), along one coordinate only (axis), or reflected at the border (bounce)."""
    moves: Annotated[Moves, Option(of_data=True)] = "position"
    """moving_sprites: the factor that moves in a video; the others rest."""
    num_frames: Annotated[int, Option(within=FRAMES, of_data=True)] = 10
    """T, frames of a video (moving_circles, moving_sprites)."""
    circle_radius: Annotated[float, Option(within=RADII, of_data=True)] = CIRCLE_RADIUS
    """moving_circles: radius of the circles, in pixels of 64; above 7.5 they may reach over the border."""
    contrast: Annotated[float, Option(within=CONTRASTS, of_data=True)] = 1.0
    """Videos: c; a circle or sprite of value v in front of value b is drawn as b + c (v − b)."""
    correlation: Annotated[float, Option(within=CORRELATIONS, of_data=True, needs=({"background": ("gaussian",)},))] = (
        0.0
    )
    """Videos: ρ of the Gaussian copula of the places of the background and of the first thing, in the first frame."""
    occluder: Annotated[float, Option(within=BARS, of_data=True)] = 0.0
    """Videos: width, in pixels of 64, of an upright grey bar in the middle that hides what passes behind it."""
    pixel_noise: Annotated[float, Option(within=(SHARE,), of_data=True)] = 0.0
    """Videos: standard deviation of Gaussian noise of each pixel and frame, where black is 0 and white is 1."""
    drop_rate: Annotated[float, Option(within=(SHARE,), of_data=True)] = 0.0
    """Videos: the probability that a frame, except for the first, is lost."""
    dropped: Annotated[Dropped, Option(of_data=True, needs=({"drop_rate": (ABOVE_0,)},))] = "black"
    """The picture in place of a lost frame: black, or the last frame that was not lost (frozen)."""
    target: Annotated[Target, Option(of_data=True, needs=(CONDITIONED,))] = "seen"
    """The frames that a model reconstructs: those that it sees, or clean ones, without bar, noise and losses."""
    dsprites_file: Annotated[str | None, Option(of_data=True, in_key=False)] = None
    """dsprites: path or URL of the public .npz; never downloaded unasked. Where it lies is not in the key."""
    dsprites_md5: Annotated[str, Option(of_data=True)] = DSPRITES_MD5
    """dsprites: MD5 of that file. Another file of the same layout needs its own."""
    data_file: Annotated[str | None, Option(of_data=True, in_key=False)] = None
    """arrays: path of an .npz, or of a folder of .npy files, with images. Where it lies is not in the key."""
    data_factors: Annotated[str | None, Option(of_data=True)] = None
    """arrays: its factors, with commas: NAME, NAME:category or NAME:period=P; else as its factor_names say."""
    data_contents: Annotated[str | None, Option(of_data=True)] = None
    """arrays: checksum and sizes of the file, which are filled in; a file of other contents is refused."""
    dataset_seed: Annotated[int | None, Option(within=SEEDS, of_data=True)] = 0
    """Seed of the training stream; trials that share it see the same batches. By default, in a sweep, it is each
    trial's own seed, so that means over seeds are also means over streams."""
    split: Annotated[Split, Option(of_data=True)] = "none"
    """The data held out of training: samples of a finite set, levels of each factor, or combinations of their
    halves."""
    train_share: Annotated[
        float,
        Option(within=TRAIN_SHARES, of_data=True, needs=(SPLITS,)),
    ] = 1.0
    """p, the share of the samples, of the levels of each factor, or of combinations, that is left for training."""
    num_test: Annotated[int, Option(within=TESTED)] = 512
    """Number of held-out videos, or still images, of each evaluation; all, if a file holds out fewer."""

    batch_size: Annotated[int, Option(within=SAMPLES_AT_ONCE)] = 64
    """B, videos (or still images) of a training batch."""
    learning_rate: Annotated[float, Option(within=(POSITIVE,), free=True)] = 1e-4
    """η, the step size of the optimiser."""
    learning_rate_schedule: Annotated[LearningRateSchedule, Option(free=True)] = "constant"
    """Fall of the learning rate to 0: none (constant), linear, or along half a period of a cosine."""
    learning_rate_iterations: Annotated[int, Option(within=ITERATIONS, free=True, needs=(FALLING,))] = 10_000
    """Iterations until the learning rate is 0, where its schedule is not constant; nothing is learned after them."""
    warm_up_iterations: Annotated[int, Option(within=WARM_UPS, free=True)] = 0
    """Iterations in which the learning rate rises linearly to its value, before it falls."""
    optimizer: Annotated[str, Option(choices="optimizer")] = "rmsprop"
    """Rule by which weights follow their gradients, with PyTorch's equations and defaults: RMSprop (Lecture 6.5 of
    Hinton), Adam, AdamW, or gradient descent."""
    momentum: Annotated[float, Option(within=MOMENTA, free=True)] = 0.0
    """optimizer = sgd: the share of the last step's direction that each step goes on in."""
    weight_decay: Annotated[float, Option(within=FROM_0, free=True)] = 0.01
    """optimizer = adamw: the share of each weight, times the learning rate, that a step takes off. It draws a learned α
    to 0 and a learned γ to ½."""
    clip_gradient: Annotated[float | None, Option(within=(POSITIVE,))] = None
    """The largest norm of a trial's gradient over all weights, to which a larger one is scaled; any where not given."""
    warm_start: Annotated[str | None, Option(option="from", free=True, in_key=False)] = None
    """SWEEP:KEY, a trial of another sweep, by its folder or URL, whose last weights trials begin with in place of their
    seed's."""
    warm_start_weights: Annotated[str | None, Option(free=True)] = None
    """from: key, iteration and checksum of these weights, which are filled in; other weights are refused."""
    seed: Annotated[int, Option(within=SEEDS, free=True)] = 0
    """Seed of the initial weights and of the sampling noise."""


SECTIONS = {"model": "model", "objective": "objective", "dataset": "data", "batch_size": "training"}
"""The section of `TrialFields` that each of these fields begins."""


def section_of(name: str) -> str:
    """Return the section of a field: model, objective, data or training; own for an option of an extension."""
    section = "own"
    for field in fields(TrialFields):
        section = SECTIONS.get(field.name, section)
        if field.name == name:
            return section
    return "own"


@cached_until_change
def config_fields() -> tuple[Field[Any], ...]:
    """Return all fields of a config: those of `TrialFields`, and the options that extensions declare."""
    return (*fields(TrialFields), *(field for options in option_classes() for field in fields(options)))


def option_classes() -> tuple[type[Any], ...]:
    """Return the dataclasses of the options that extensions declare, each once."""
    specs = (spec for registry in REGISTRIES.values() for spec in registry.values())
    return tuple(dict.fromkeys(spec.options for spec in specs if spec.options is not None))


def field_names() -> tuple[str, ...]:
    """Return the names of all fields of a config."""
    return tuple(field.name for field in config_fields())


@cached_until_change
def defaults() -> Mapping[str, Any]:
    """Return the default of each field by its name; None if it has none."""
    return {field.name: None if field.default is MISSING else field.default for field in config_fields()}


@cached_until_change
def fields_with(**known: bool) -> tuple[str, ...]:
    """Return the names of the fields whose `Option` has these values, as in `fields_with(of_data=True)`."""
    options = ((field.name, option_of(field)) for field in config_fields())
    return tuple(n for n, option in options if all(getattr(option, each) == value for each, value in known.items()))


def choices_of(field: Field[Any]) -> tuple[str, ...]:
    """Return the names that a field chooses from; an empty tuple if its values are not names."""
    kind = option_of(field).choices
    if kind is not None:
        return tuple(REGISTRIES[kind])
    return _literals(field)


@cache
def _literals(field: Field[Any]) -> tuple[str, ...]:
    choices = get_args(type_of(field))
    return choices if all(isinstance(choice, str) for choice in choices) else ()
