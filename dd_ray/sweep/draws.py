"""Makes the samplers of Optuna that `dd_ray.sweep.samplers` names, from a seed and the number of random suggestions."""

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler


def tpe(seed: int, startup: int) -> BaseSampler:
    """Make the tree-structured Parzen estimator (Bergstra et al. 2011)."""
    return TPESampler(seed=seed, n_startup_trials=startup)


def gaussian_process(seed: int, startup: int) -> BaseSampler:
    """Make the sampler of a Gaussian process, which draws where it expects to improve most (Jones et al. 1998)."""
    return GPSampler(seed=seed, n_startup_trials=startup)


def nsgaii(seed: int, startup: int) -> BaseSampler:
    """Make NSGA-II: generations of `startup` suggestions, each bred from the best before it (Deb et al. 2002)."""
    return NSGAIISampler(seed=seed, population_size=max(2, startup))


def sobol(seed: int, startup: int) -> BaseSampler:
    """Make the sampler of a Sobol sequence (1967), which fills space evenly; the seed draws its first suggestion."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return QMCSampler(seed=seed, qmc_type="sobol")


def at_random(seed: int, startup: int) -> BaseSampler:
    """Make the sampler of independent draws (Bergstra and Bengio 2012)."""
    return RandomSampler(seed=seed)
