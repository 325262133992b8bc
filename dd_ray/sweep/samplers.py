"""Samplers, which choose what a search tries next by the results so far. Each is declared here once, without Optuna."""

from dataclasses import dataclass

from dd_ray.config.declarations import KINDS
from dd_ray.config.specs import CodeOrName, Registry, Spec
from dd_ray.config.trial_fields import REGISTRIES

MOST_OBJECTIVES = 2


@dataclass(frozen=True, kw_only=True)
class SamplerSpec(Spec):
    """A rule by which the points of a search are drawn."""

    title: str
    """Its name in prose."""
    build: CodeOrName
    """Makes a sampler of Optuna from a seed and the number of suggestions that are drawn at random first. It is made
    anew for each suggestion, and learns from what its study holds."""
    package: str | None = None
    """Name, for pip and for Python, of a package that it needs and that does not come with dd_ray."""
    most_objectives: int = MOST_OBJECTIVES
    """The most objectives that it can search for at a time."""


TPE = SamplerSpec(name="tpe", title="TPE", build="dd_ray.sweep.draws:tpe")
GP = SamplerSpec(name="gp", title="a Gaussian process", build="dd_ray.sweep.draws:gaussian_process")
NSGAII = SamplerSpec(name="nsgaii", title="NSGA-II", build="dd_ray.sweep.draws:nsgaii")
CMAES = SamplerSpec(name="cmaes", title="CMA-ES", build="dd_ray.sweep.cma_es:CmaEs", package="cmaes", most_objectives=1)
QMC = SamplerSpec(name="qmc", title="a Sobol sequence", build="dd_ray.sweep.draws:sobol")
RANDOM = SamplerSpec(name="random", title="random search", build="dd_ray.sweep.draws:at_random")
SAMPLERS = Registry("sampler", [TPE, GP, NSGAII, CMAES, QMC, RANDOM])

# Registered with extensions here, since the modules of these tables lie below this one and cannot import it.
REGISTRIES[SAMPLERS.kind], KINDS[SAMPLERS.kind] = SAMPLERS, SamplerSpec
