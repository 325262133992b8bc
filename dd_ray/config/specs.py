"""Declarations: whatever a config chooses by name is declared once, with all that is known of it without PyTorch.

A `Spec` is data. It names its code as `package.module:Name`, which `dd_ray.config.code.resolve` imports where it is
needed; in a user's own file it may hold the class or function itself. `Registry` has the specs of one kind by name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from dd_ray.config.trial import TrialConfig

Code = str | Callable[..., Any]
"""`package.module:Name`, or the class or function itself."""
Check = Callable[["TrialConfig"], None]


def _accept(config: "TrialConfig") -> None:
    """Refuse nothing."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Something that a config chooses by name."""

    name: str
    reads: tuple[str, ...] = ()
    """Config fields that it reads and that others of its kind may not. On the others they have no effect."""
    options: type | None = None
    """A dataclass of options of its own: annotated fields with defaults and docstrings. They become config fields."""

    @property
    def all_reads(self) -> tuple[str, ...]:
        """Fields that it reads, its own options among them."""
        own = () if self.options is None else tuple(each.name for each in fields(self.options))
        return (*self.reads, *own)


@dataclass(frozen=True, kw_only=True)
class ModelSpec(Spec):
    """A model variant: what it needs, and what can be asked of it."""

    title: str
    """What people call it."""
    build: Code
    """A subclass of `dd_ray.models.Model`."""
    encodes: bool = True
    """Whether pictures have a code, which is scored: the latents, or the predicted factors."""
    draws: bool = True
    """Whether it draws pictures, whose reconstruction error it reports; if not, it reports that of the factors."""
    needs_videos: bool = False
    """Whether still images are refused."""
    warm_up: int = 0
    """Latents at the beginning of a video that are neither decoded nor penalised."""
    mixes_frames: bool = False
    """Whether it makes latents of the encoder's means of several frames; these means are then scored beside them."""
    idle_in_original: tuple[str, ...] = ()
    """Fields that it does not read where compat = original, since the published code had no such thing."""

    @property
    def has_latents(self) -> bool:
        """Whether what it draws is decoded from its code, whose parts are latents."""
        return self.encodes and self.draws

    @property
    def one(self) -> str:
        """The title with its article: `a supervised encoder`."""
        return f"{'an' if self.title[0] in 'aeiou' else 'a'} {self.title}"


@dataclass(frozen=True, kw_only=True)
class NetworkSpec(Spec):
    """An encoder and its mirror image as decoder."""

    features: Code
    """A subclass of `dd_ray.models.networks.Features`, built from a config."""
    decoder: Code
    """A module from codes [N, D] to images, built from a config and D."""
    gflop_per_frame: Mapping[int, float]
    """By the height of the images that it is made for: 10⁹ multiplications and additions of encoder and decoder,
    forward and backward, per frame of a batch; about half of them are the encoder's."""
    weights: Mapping[int, int] = field(default_factory=dict)
    """By the height of the images: weights of encoder and decoder together, at width 1, without those of latents. These
    three are for an estimate of memory, which leaves out what is not given."""
    kept: Mapping[int, int] = field(default_factory=dict)
    """By the height of the images: numbers that a step keeps of each frame for its backward pass, at width 1."""
    units: int = 0
    """Features that the encoder ends in, which the decoder begins with, at width 1."""

    @property
    def image_sizes(self) -> tuple[int, ...]:
        """Heights and widths of the images that it is made for."""
        return tuple(self.gflop_per_frame)


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Spec):
    """A dataset. Its `reads` are the options of data that have an effect on it."""

    make: Code
    """From a config and a device to a `dd_ray.data.Dataset`: its batches and its held-out set."""
    painter: Code
    """From a config to what turns any factors in [0, 1] into its images."""
    stills: Code = "dd_ray.data.stills:uniform_stills"
    """From a config and N to factors [N, F] of N held-out still pictures."""
    pictures: Code | None = None
    """From a config and N to these factors and their pictures [N, H, W, C], where the factors do not give them."""
    factors: Callable[["TrialConfig"], tuple[str, ...]] | tuple[str, ...]
    """Names of its F factors, THING_COORDINATE each, or what gives those of a config."""
    training_size: int
    """How many images or videos it counts for that training sees, where objective = tcvae does not say otherwise; 0
    where a file says it."""
    moving: bool = False
    """Whether its samples are videos."""
    drawn: bool = True
    """Whether it has pictures of any factors; if not, it has those of a file alone."""
    videos: str | None = None
    """Of still pictures: the dataset of moving ones of their kind, where there is one."""
    finite: bool = False
    """Whether it has a finite set, grid = original."""
    check: Check = _accept
    """Raises a `UserError` where the other fields do not suit it."""

    def factor_names(self, config: "TrialConfig") -> tuple[str, ...]:
        """Names of the factors of a config's data."""
        return self.factors(config) if callable(self.factors) else tuple(self.factors)


@dataclass(frozen=True, kw_only=True)
class ObjectiveSpec(Spec):
    """What is added to the reconstruction."""

    title: str
    penalty: Code
    """From a config, a `Posterior` and `Weights` to weighted terms by name."""
    check: Check = _accept
    """Raises a `UserError` where the other fields do not suit it."""


@dataclass(frozen=True, kw_only=True)
class OptimizerSpec(Spec):
    """A rule by which weights follow their gradient."""

    update: Code
    """From weights, what is kept of gradients before, a gradient and `Rates` to what is kept and the weights' step."""
    keeps: tuple[str, ...]
    """What it keeps of gradients before, a number a weight each: square_avg, gradient_avg."""


Declared = TypeVar("Declared", bound=Spec)


class Registry(Mapping[str, Declared], Generic[Declared]):
    """The specs of one kind, by name, in the order in which they were declared.

    Args:
        kind: what one of them is, in a word.
        specs: the first of them.
    """

    def __init__(self, kind: str, specs: Sequence[Declared]) -> None:
        self.kind = kind
        self._specs = {spec.name: spec for spec in specs}

    def __getitem__(self, name: str) -> Declared:
        return self._specs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def declare(self, spec: Declared) -> None:
        """Add a spec, or put it in the place of that of its name."""
        self._specs[spec.name] = spec
        CHANGES.count += 1

    def withdraw(self, name: str) -> None:
        """Take a spec out."""
        del self._specs[name]
        CHANGES.count += 1

    def reading(self, option: str) -> tuple[str, ...]:
        """Names of those that read a config field."""
        return tuple(name for name, spec in self._specs.items() if option in spec.all_reads)


@dataclass
class _Changes:
    count: int = field(default=0)


CHANGES = _Changes()
"""How often a registry has changed: what is computed from all of them is computed again then."""
