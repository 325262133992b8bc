"""Declarations: all that a config chooses by name is declared once, with what is known of it without PyTorch.

A `Spec` is data. It names its code as `package.module:Name`, which `dd_ray.config.code.resolve` imports when it is
needed; in a user's own file it may hold the class or function itself. A `Registry` has the specs of one kind by name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from dd_ray.config.trial import TrialConfig

CodeOrName = str | Callable[..., Any]
"""Code of a declaration: `package.module:Name`, or the class or function itself."""
Check = Callable[["TrialConfig"], None]


def _accept(config: "TrialConfig") -> None:
    """Accept every config."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """The declaration of something that a config chooses by name."""

    name: str
    reads: tuple[str, ...] = ()
    """Config fields that it reads, and that others of its kind may not read: there they have no effect."""
    options: type | None = None
    """A dataclass of its own options, which become config fields: annotated fields with defaults and docstrings."""

    @property
    def all_reads(self) -> tuple[str, ...]:
        """All fields that it reads, including its own options."""
        own = () if self.options is None else tuple(each.name for each in fields(self.options))
        return (*self.reads, *own)


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Spec):
    """The declaration of a model variant: what it needs, and what it can do."""

    title: str
    """Its name in prose."""
    build: CodeOrName
    """The model's class, a subclass of `dd_ray.models.Model`."""
    encodes: bool = True
    """True if it gives pictures a code, which is scored: latents, or predicted factors."""
    draws: bool = True
    """True if it draws pictures and reports their reconstruction error; if not, it reports that of the factors."""
    needs_videos: bool = False
    """True if it works on videos only, and refuses still images."""
    warm_up: int = 0
    """Number of latents at the beginning of a video that are neither decoded nor penalised."""
    mixes_frames: bool = False
    """True if its latents combine the encoder's means of several frames; these means are then scored as well."""
    idle_in_original: tuple[str, ...] = ()
    """Fields that it does not read if compat = original, since the published code had no such option."""

    @property
    def has_latents(self) -> bool:
        """True if it draws pictures from its code, whose parts are then called latents."""
        return self.encodes and self.draws

    @property
    def one(self) -> str:
        """Its title with the article: `a supervised encoder`."""
        return f"{'an' if self.title.startswith((*'aeiou',)) else 'a'} {self.title}"


@dataclass(frozen=True, kw_only=True)
class NetworkSpec(Spec):
    """The declaration of a network: an encoder, and a decoder that mirrors it."""

    features: CodeOrName
    """The encoder's class, a subclass of `dd_ray.models.networks.Features`, built from a config."""
    decoder: CodeOrName
    """The decoder: a module from codes [N, D] to images, built from a config and D."""
    gflop_per_frame: Mapping[int, float]
    """By the height of the images: 10⁹ multiplications and additions of encoder and decoder together, forward and
    backward, per frame of a batch; about half of them are the encoder's. Its keys are the image sizes that the network
    takes."""
    weights: Mapping[int, int] = field(default_factory=dict)
    """By the height of the images: number of weights of encoder and decoder together, at width 1, without those of
    latents. This and the two below serve an estimate of memory, which leaves out what is not given."""
    kept: Mapping[int, int] = field(default_factory=dict)
    """By the height of the images: number of values that a step keeps of each frame for the backward pass, at width
    1."""
    units: int = 0
    """Number of features at the end of the encoder and at the beginning of the decoder, at width 1."""

    @property
    def image_sizes(self) -> tuple[int, ...]:
        """Heights and widths of the images that it is made for."""
        return tuple(self.gflop_per_frame)


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """The declaration of a dataset. Its `reads` are the data options that have an effect on it."""

    make: CodeOrName
    """Makes a `dd_ray.data.Dataset`, which has batches and a held-out set, from a config and a device."""
    painter: CodeOrName
    """Makes, from a config, a function that turns any factors in [0, 1] into images."""
    stills: CodeOrName = "dd_ray.data.stills:uniform_stills"
    """Returns factors [N, F] of N held-out still pictures, for a config and N."""
    pictures: CodeOrName | None = None
    """Returns these factors and their pictures [N, H, W, C], for a config and N, where no painter can draw them."""
    factors: Callable[["TrialConfig"], tuple[str, ...]] | tuple[str, ...]
    """Names of its F factors, THING_COORDINATE each, or a function that returns those of a config."""
    training_size: int
    """Number of training images or videos that objective = tcvae takes it to have, if tc_num_data does not say
    otherwise; 0 if its file tells."""
    moving: bool = False
    """True if its samples are videos."""
    drawn: bool = True
    """True if pictures of any factors can be drawn; if not, there are only those of a file."""
    videos: str | None = None
    """For still pictures, the dataset of videos of the same kind, if there is one."""
    finite: bool = False
    """True if it has a finite set of samples (grid = original)."""
    check: Check = _accept
    """Raises a `UserError` if the other fields of a config do not suit it."""

    def factor_names(self, config: "TrialConfig") -> tuple[str, ...]:
        """Return the names of the factors of a config's data."""
        return self.factors(config) if callable(self.factors) else tuple(self.factors)


@dataclass(frozen=True, kw_only=True)
class ObjectiveSpec(Spec):
    """The declaration of an objective: the terms that are added to the reconstruction error."""

    title: str
    penalty: CodeOrName
    """Computes the terms with their weights, by name, from a config, a `Posterior` and `Weights`. What trials
    that are computed as one may differ in, such as β, is in their `Weights`: the config is that of all of them."""
    check: Check = _accept
    """Raises a `UserError` if the other fields of a config do not suit it."""


KEPT = ("square_avg", "gradient_avg")
"""The vectors that a trial's state, and so an optimiser, can keep from step to step."""


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec(Spec):
    """A rule by which weights follow their gradient."""

    update: CodeOrName
    """Computes a `dd_ray.training.rates.Update` from the weights, the vectors kept so far, the gradient and `Rates`."""
    keeps: tuple[str, ...]
    """Names of the vectors, as long as the weights, that it keeps from step to step: none, one or both of `KEPT`."""

    @property
    def vectors_in_a_step(self) -> int:
        """Number of vectors as long as the weights that a step holds at most, for estimates of memory.

        They are weights, gradient and two terms of the update, and what is kept, each before and after the update.
        """
        return 4 + 2 * len(self.keeps)


Declared = TypeVar("Declared", bound=Spec)


class Registry(Mapping[str, Declared], Generic[Declared]):
    """The specs of one kind, by name, in the order in which they were declared.

    Args:
        kind: a word for one of them, such as `model`.
        specs: the specs to begin with.

    Attributes:
        ours: names of the specs that it began with.
    """

    def __init__(self, kind: str, specs: Sequence[Declared]) -> None:
        self.kind = kind
        self._specs = {spec.name: spec for spec in specs}
        self.ours = frozenset(self._specs)

    def __getitem__(self, name: str) -> Declared:
        return self._specs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def declare(self, spec: Declared) -> None:
        """Add a spec, or replace the one that has its name."""
        self._specs[spec.name] = spec
        _CHANGES.count += 1

    def withdraw(self, name: str) -> None:
        """Take a spec out."""
        del self._specs[name]
        _CHANGES.count += 1

    def reading(self, option: str) -> tuple[str, ...]:
        """Return the names of the specs that read a config field."""
        return tuple(name for name, spec in self._specs.items() if option in spec.all_reads)


@dataclass
class _Changes:
    count: int = 0


_CHANGES = _Changes()
"""Counts the changes of all registries."""
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def cached_until_change(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """Cache a function that reads the registries: it is computed again after any of them has changed."""

    def computed(changes: int, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        return function(*args, **kwargs)

    kept: Callable[..., _Result] = lru_cache(computed)

    @wraps(function)
    def cached(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        return kept(_CHANGES.count, *args, **kwargs)

    return cached
