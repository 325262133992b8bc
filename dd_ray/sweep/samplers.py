"""Samplers: what a search tries next, by what came out. Each is declared here once, without Optuna."""

from dataclasses import dataclass

from dd_ray.config.extensions import KINDS
from dd_ray.config.specs import Code, Registry, Spec
from dd_ray.config.trial_fields import REGISTRIES


@dataclass(frozen=True, kw_only=True)
class SamplerSpec(Spec):
    """A rule by which the points of a search are drawn."""

    title: str
    """What people call it."""
    build: Code
    """From a seed and the number of suggestions that are drawn at random first to a sampler of Optuna, which is made
    anew for each suggestion and learns from what its study holds."""


TPE = SamplerSpec(name="tpe", title="TPE", build="dd_ray.sweep.suggestions:tpe")
SAMPLERS = Registry("sampler", [TPE])

# Known to extensions as the other kinds are, which stand on floors that cannot name this one.
REGISTRIES[SAMPLERS.kind], KINDS[SAMPLERS.kind] = SAMPLERS, SamplerSpec
