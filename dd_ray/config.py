"""What one trial is.

A `TrialConfig` says everything that decides the numbers a trial gives, and nothing else: how long it is
trained, where it runs and how often it is evaluated belong to the sweep. It is frozen, keyword-only and
validated once, here; all other code trusts it.
"""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self, get_args

from dd_ray.errors import UserError

Model = Literal["supervised_encoder", "beta_vae", "predictive_vae", "inertia_vae"]
Network = Literal["conv32"]
Likelihood = Literal["gaussian", "bernoulli"]
Decode = Literal["filtered", "extrapolated"]
Compat = Literal["none", "original"]
Objective = Literal["beta", "capacity", "tcvae", "slowness"]
Sampling = Literal["weighted", "stratified"]
Schedule = Literal["constant", "linear", "cyclic", "cosine"]
Dataset = Literal["still_circles", "moving_circles"]
Grid = Literal["continuous", "original"]
Motion = Literal["linear", "axis", "bounce"]

NUM_HELD_OUT = 10_000
"""Images or videos of the original's finite sets that training never sees, however many of them are used."""
VIDEO_MODELS = ("predictive_vae", "inertia_vae")
TRAINING_SIZES: dict[str, int] = {"still_circles": 262_144 - NUM_HELD_OUT, "moving_circles": 200_000 - NUM_HELD_OUT}
"""Images or videos of the original's finite sets that training sees, by dataset."""


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """One trial: a model, its objective, its data and its seed.

    Raises `UserError` where values are out of range, contradict each other, or would have no effect.
    """

    model: Model
    """Which of the model variants to train."""
    network: Network = "conv32"
    """Encoder and decoder architecture."""
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
    """objective = tcvae: N, of how many samples a batch is drawn; that of the original's set where it is not given."""
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
    """Training and test images: still pictures or videos of a circle before a Gaussian background."""
    grid: Grid = "continuous"
    """Factors drawn from the unit cube, or the finite set of the original study."""
    motion: Motion = "linear"
    """moving_circles: straight, along one coordinate only (axis), or reflected at the border (bounce)."""
    num_frames: int = 10
    """T, frames of a video (moving_circles)."""
    dataset_seed: int = 0
    """Seed of the training stream. All trials of a sweep share it, and so see the same batches."""
    num_test: int = 512
    """How many held-out videos, or still images, each evaluation uses."""

    batch_size: int = 64
    """B, videos (or still images) of a training batch."""
    learning_rate: float = 1e-4
    """Step size of RMSprop."""
    seed: int = 0
    """Seed of the initial weights and of the sampling noise."""

    def __post_init__(self) -> None:
        for check in (
            _check_types,
            _check_ranges,
            _check_beta,
            _check_model_takes_its_options,
            _check_objective,
            _check_model_takes_its_data,
        ):
            check(self)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C, H, W of an image."""
        return (1, 32, 32)

    @property
    def frames(self) -> int:
        """T of a sample; a still image is a video of one frame."""
        return self.num_frames if self.dataset == "moving_circles" else 1

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
        return self.tc_num_data or TRAINING_SIZES[self.dataset]

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

    @property
    def key(self) -> str:
        """Content address of the trial: 16 hexadecimal digits.

        Hashes the fields that differ from their defaults, β always as β, so that a config keeps its key
        when a later version adds fields, and β given in either form is the same trial.
        """
        values = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        values.pop("beta_norm", None)
        values["beta"] = float(f"{self.beta_value:.12g}")
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _check_types(config: TrialConfig) -> None:
    for field in fields(config):
        value = getattr(config, field.name)
        choices = get_args(field.type)
        if choices and all(isinstance(choice, str) for choice in choices):
            if value not in choices:
                raise UserError(f"{field.name} = {value!r} is not one of {', '.join(choices)}.")
            continue
        types = choices or (field.type,)
        # An integer is a fine float, in Python and in JSON; a truth value is neither.
        if isinstance(value, bool) and bool not in types:
            raise UserError(f"{field.name} = {value!r} must be a number.")
        if isinstance(value, int) and float in types:
            object.__setattr__(config, field.name, float(value))
        elif not isinstance(value, types):
            names = " or ".join(t.__name__ for t in types)
            raise UserError(f"{field.name} = {value!r} must be of type {names}.")


def _check_ranges(config: TrialConfig) -> None:
    lowest = {
        "num_latents": 1,
        "batch_size": 1,
        "num_test": 2,
        "seed": 0,
        "dataset_seed": 0,
        "beta": 0,
        "beta_norm": 0,
        "lam": 0,
        "capacity_max": 0,
        "capacity_weight": 0,
        "capacity_iterations": 1,
        "slowness_weight": 0,
        "schedule_iterations": 1,
        "schedule_cycles": 1,
        "tc_num_data": 1,
    }
    for name, bound in lowest.items():
        value = getattr(config, name)
        if value is not None and not (value >= bound and math.isfinite(value)):
            raise UserError(f"{name} = {value} is out of range; give a finite number of at least {bound}.")
    for name in ("seed", "dataset_seed"):
        if getattr(config, name) >= 2**64:
            raise UserError(f"{name} = {getattr(config, name)} is out of range; give an integer below 2**64.")
    if not 0 <= config.gamma <= 1:
        raise UserError(f"gamma = {config.gamma} is out of range; γ is a share, give a number in [0, 1].")
    if not math.isfinite(config.alpha):
        raise UserError(f"alpha = {config.alpha} is out of range; give a finite number.")
    for name in ("learning_rate", "slowness_rate"):
        if not 0 < getattr(config, name) < math.inf:
            raise UserError(f"{name} = {getattr(config, name)} is out of range; give a positive number.")
    if config.delay not in (0, 1):
        raise UserError(f"delay = {config.delay} is out of range; give 0 or 1.")


def _check_beta(config: TrialConfig) -> None:
    given = [name for name in ("beta", "beta_norm") if getattr(config, name) is not None]
    if what := _without_beta(config):
        if config.beta_schedule != "constant":
            raise UserError(f"beta_schedule = {config.beta_schedule} has no effect on {what}; leave it out.")
        if any(getattr(config, name) > 0 for name in given):
            value = getattr(config, given[0])
            raise UserError(f"{given[0]} = {value} has no effect on {what}; leave it out, or give 0.")
    elif len(given) == 2:
        raise UserError(
            f"both beta = {config.beta} and beta_norm = {config.beta_norm} are given; give one, "
            f"beta_norm = beta · {config.num_latents} / {math.prod(config.image_shape)}."
        )
    elif not given:
        raise UserError(f"{config.model} needs beta or beta_norm, and neither is given.")


def _without_beta(config: TrialConfig) -> str | None:
    """What β has no effect on, where it has none."""
    if config.model == "supervised_encoder":
        return config.model
    if not config.stochastic:
        return "a model with stochastic = False"
    return "objective = capacity" if config.objective == "capacity" else None


_OPTIONS_OF_OBJECTIVES = {
    "capacity_max": "capacity",
    "capacity_weight": "capacity",
    "capacity_iterations": "capacity",
    "capacity_schedule": "capacity",
    "tc_sampling": "tcvae",
    "tc_num_data": "tcvae",
    "slowness_weight": "slowness",
    "slowness_rate": "slowness",
}


def _check_objective(config: TrialConfig) -> None:
    defaults = {field.name: field.default for field in fields(config)}
    for name, objective in _OPTIONS_OF_OBJECTIVES.items():
        value = getattr(config, name)
        if value != defaults[name] and config.objective != objective:
            raise UserError(
                f"{name} = {value} has no effect on objective = {config.objective}; "
                f"leave it out, or use objective = {objective}."
            )
    if config.objective == "beta":
        return
    if not config.stochastic:
        raise UserError(f"objective = {config.objective} has no effect on a model with stochastic = False; give beta.")
    if config.compat == "original":
        raise UserError(f"objective = {config.objective} with compat = original: its faults are of objective = beta.")
    if config.objective == "tcvae":
        _check_tcvae(config)
    first = 1 + config.delay if config.model == "inertia_vae" else 0
    if config.objective == "slowness" and config.frames - first < 2:
        raise UserError(
            f"objective = slowness needs two latents in time, and {config.model} has {config.frames - first} here; "
            "use dataset = moving_circles, with more num_frames."
        )


def _check_tcvae(config: TrialConfig) -> None:
    if config.tc_num_data is None and config.dataset not in TRAINING_SIZES:
        raise UserError(f"objective = tcvae needs tc_num_data, since the size of {config.dataset} is not known to it.")
    if config.batch_size < 2:
        raise UserError(f"batch_size = {config.batch_size} is too few for objective = tcvae; give at least 2.")
    if config.num_data < config.batch_size:
        raise UserError(
            f"tc_num_data = {config.tc_num_data} is less than batch_size = {config.batch_size}; give at least that."
        )


_OPTIONS_OF_MODELS = {
    "num_latents": ("beta_vae", *VIDEO_MODELS),
    "gamma": ("inertia_vae",),
    "delay": ("inertia_vae",),
    "decode": ("inertia_vae",),
    "lam": VIDEO_MODELS,
    "alpha": VIDEO_MODELS,
    "learn_alpha": VIDEO_MODELS,
    "compat": VIDEO_MODELS,
    "stochastic": ("beta_vae", *VIDEO_MODELS),
    "likelihood": ("beta_vae", *VIDEO_MODELS),
    **dict.fromkeys(("objective", *_OPTIONS_OF_OBJECTIVES), ("beta_vae", *VIDEO_MODELS)),
    "gamma_schedule": ("inertia_vae",),
    "lam_schedule": VIDEO_MODELS,
    "schedule_iterations": ("beta_vae", *VIDEO_MODELS),
    "schedule_cycles": ("beta_vae", *VIDEO_MODELS),
}


def _check_model_takes_its_options(config: TrialConfig) -> None:
    defaults = {field.name: field.default for field in fields(config)}
    for name, models in _OPTIONS_OF_MODELS.items():
        value = getattr(config, name)
        if value != defaults[name] and config.model not in models:
            instead = f"give {defaults[name]}, or use {' or '.join(models)}"
            raise UserError(f"{name} = {value} has no effect on {config.model}; {instead}.")
    if config.compat == "original" and config.gamma_schedule != "constant":
        raise UserError(
            f"gamma_schedule = {config.gamma_schedule} with compat = original, whose γ is 0.75; leave it out."
        )
    if config.compat == "original" and config.model == "inertia_vae" and config.lam > 0:
        raise UserError(f"lam = {config.lam} with compat = original: the original inertia model had no λ; give 0.")
    if config.compat == "original" and config.model == "predictive_vae" and (config.learn_alpha or config.alpha != 1):
        raise UserError("alpha and learn_alpha have no effect with compat = original, whose penalty predicts nothing.")


def _check_model_takes_its_data(config: TrialConfig) -> None:
    if config.grid == "original" and config.num_test > NUM_HELD_OUT:
        raise UserError(
            f"num_test = {config.num_test} is more than the {NUM_HELD_OUT} that grid = original holds out; "
            f"give at most {NUM_HELD_OUT}."
        )
    if config.dataset == "still_circles":
        if config.model in VIDEO_MODELS:
            raise UserError(f"{config.model} needs videos; use dataset = moving_circles, not still_circles.")
        if config.motion != "linear" or config.num_frames != 10:
            name = "motion" if config.motion != "linear" else "num_frames"
            raise UserError(f"{name} = {getattr(config, name)} has no effect on still_circles; leave it out.")
        return
    if config.num_frames < 3:
        raise UserError(f"num_frames = {config.num_frames} is too few; a linear prediction needs at least 3.")
    if config.model == "inertia_vae" and config.lam > 0 and config.num_frames - config.delay < 3:
        raise UserError(
            f"num_frames = {config.num_frames} leaves no predicted latent for lam = {config.lam}; give 4 or more."
        )
    if config.grid == "original" and (config.motion != "linear" or config.num_frames != 10):
        raise UserError("grid = original is the original's videos: motion = linear and num_frames = 10.")
