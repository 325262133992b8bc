"""The config of a trial.

A `TrialConfig` holds everything that decides the numbers of a trial, and nothing else: how long it is trained, where it
runs and how often it is evaluated belong to the sweep. It is frozen, keyword-only and validated once, here; all other
code trusts it. Its fields are defined, with their help, in `trial_fields`.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, make_dataclass
from functools import cached_property
from typing import Any, Self

from dd_ray.config.arrays import Contents, contents_of
from dd_ray.config.checks import CHECKS
from dd_ray.config.datasets import DATASETS
from dd_ray.config.effects import takes
from dd_ray.config.models import MODELS
from dd_ray.config.names import CIRCLE_RADIUS, DIGITS_IN_KEY, ONE_CIRCLE_FACTORS
from dd_ray.config.specs import ModelSpec, cached_until_change
from dd_ray.config.trial_fields import TrialFields, config_fields, fields_with, option_classes
from dd_ray.errors import UserError, did_you_mean


@dataclass(frozen=True, kw_only=True)
class TrialConfig(TrialFields):
    """The config of one trial: a model, its objective, its data and its seed.

    If extensions declare options of their own, it has fields for these as well.

    Raises a `UserError` if values are out of range, contradict each other, or have no effect.
    """

    def __new__(cls, **values: Any) -> Self:
        made: Any = object.__new__(_with_options() if cls is TrialConfig else cls)
        return made  # type: ignore[no-any-return]

    def __reduce__(self) -> tuple[Any, ...]:
        # Its class may have been made at run time, so that pickle could not find it by its name.
        return (_remade, (self.to_dict(),))

    def __post_init__(self) -> None:
        for check in CHECKS:
            check(self)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C, H, W of an image."""
        return (self.contents.channels if self.contents else 1, self.image_size, self.image_size)

    @property
    def contents(self) -> Contents | None:
        """The contents of its file, with dataset = arrays; None for other datasets."""
        return contents_of(self)

    @property
    def of_videos(self) -> bool:
        """True if its samples are videos."""
        return self.contents.num_frames > 1 if self.contents else DATASETS[self.dataset].moving

    @property
    def frames(self) -> int:
        """T, the number of frames of a sample; a still image is a video of one frame."""
        if self.contents:
            return self.contents.num_frames
        return self.num_frames if self.of_videos else 1

    @property
    def traits(self) -> ModelSpec:
        """The declaration of its model."""
        return MODELS[self.model]

    def takes(self, name: str) -> bool:
        """Return whether a field can have an effect on its model, with some values of the other fields."""
        return takes(self.model, name)

    @property
    def latent_delay(self) -> int:
        """Number of frames from the one that a latent encodes to the one that it is decoded to."""
        return self.delay if self.takes("delay") else 0

    @property
    def num_latents_in_time(self) -> int:
        """n, the number of a sample's latents in time: its frames less the delay, as the last are only decoded to."""
        return self.frames - self.latent_delay

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Names of the F factors, each in [0, 1], in the order of every array of factors: THING_COORDINATE.

        Of several circles, circle1 lies behind circle2. `sprite_shape` is a category: 0 a square, ½ an ellipse, 1 a
        heart. `sprite_orientation` is periodic: 0 and 1 look the same, for an ellipse ½ does too, and for a square
        every ¼.
        """
        return DATASETS[self.dataset].factor_names(self)

    @property
    def is_of_one_circle(self) -> bool:
        """True if its pictures are those of the original study: one circle in front of a Gaussian."""
        as_original = (self.circle_radius, self.contrast, self.occluder) == (CIRCLE_RADIUS, 1, 0)
        named = self.factor_names == ONE_CIRCLE_FACTORS
        return DATASETS[self.dataset].drawn and named and as_original

    @property
    def data(self) -> dict[str, Any]:
        """The fields that its data depend on, with their values."""
        return {name: getattr(self, name) for name in fields_with(of_data=True)} | {"dataset_seed": self.stream_seed}

    @property
    def stream_seed(self) -> int:
        """Seed of its training stream: `dataset_seed`, or its own seed where that is None."""
        return self.seed if self.dataset_seed is None else self.dataset_seed

    @property
    def beta_value(self) -> float:
        """β, given as beta or as beta_norm = β · L / N, with N pixels × channels; 0 without a KL term."""
        if self.beta is not None:
            return self.beta
        if self.beta_norm is not None:
            return self.beta_norm * math.prod(self.image_shape) / self.num_latents
        return 0.0

    @property
    def beta_norm_value(self) -> float:
        """β_norm = β · L / N, whether beta or beta_norm was given."""
        if self.beta_norm is not None:
            return self.beta_norm
        return self.beta_value * self.num_latents / math.prod(self.image_shape)

    @property
    def num_data(self) -> int:
        """N, the number of samples of which objective = tcvae takes a batch to be drawn."""
        if self.contents and not self.tc_num_data:
            return self.contents.num_samples - self.contents.num_held_out
        return self.tc_num_data or DATASETS[self.dataset].training_size

    @property
    def num_tested(self) -> int:
        """Number of held-out samples that an evaluation uses: num_test, or all of a file's if these are fewer."""
        return min(self.num_test, self.contents.num_held_out) if self.contents else self.num_test

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Make a config of a dictionary such as `to_dict` returns. Unknown keys raise a `UserError`."""
        known = {each.name for each in config_fields()}
        if unknown := sorted(set(values) - known):
            meant = did_you_mean(unknown[0], known, f"the fields are {', '.join(sorted(known))}.")
            raise UserError(f"{unknown[0]!r} is not a config field; {meant}")
        if "model" not in values:
            raise UserError(f"model is not given; it is one of {', '.join(MODELS)}.")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as values of JSON."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @cached_property
    def key(self) -> str:
        """Key of the trial, which follows from its content: 16 hexadecimal digits.

        It is a hash of the fields that differ from their defaults, so that a config keeps its key when a later version
        adds fields. β enters as β whether beta or beta_norm was given, so that both forms are the same trial.
        """
        values = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}
        for name in ("beta_norm", *fields_with(in_key=False)):
            values.pop(name, None)
        values["beta"] = rounded_in_key(self.beta_value)
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def rounded_in_key(value: float) -> float:
    """Round a number to the digits that β has in a key: one form, computed from the other, differs in the last."""
    return float(f"{value:.{DIGITS_IN_KEY}g}")


def data_config(data: Mapping[str, Any]) -> TrialConfig:
    """Return a config that stands for held-out data, whichever model is trained: the same one for the same data.

    Args:
        data: the fields that the data depend on with their values, as in `TrialConfig.data`. All others take their
            defaults, and so does the seed of the training stream, on which no held-out sample depends.
    """
    return TrialConfig(**{"model": "beta_vae", "beta": 0.0, **data, "dataset_seed": 0})


@cached_until_change
def _with_options() -> type[TrialConfig]:
    """Return the class of configs with the options that extensions declare, in any order of declaration."""
    own = sorted((each for options in option_classes() for each in fields(options)), key=lambda each: each.name)
    if not own:
        return TrialConfig
    added = [(each.name, each.type, field(default=each.default)) for each in own if each.default is not MISSING]
    return make_dataclass("TrialConfig", added, bases=(TrialConfig,), frozen=True, kw_only=True)


def _remade(values: dict[str, Any]) -> TrialConfig:
    return TrialConfig.from_dict(values)
