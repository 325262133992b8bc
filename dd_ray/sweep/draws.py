"""Optuna's samplers that `dd_ray.sweep.samplers` names, each from a seed and how many suggestions are random first."""

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, QMCSampler, RandomSampler, TPESampler


def tpe(seed: int, startup: int) -> BaseSampler:
    """The tree-structured Parzen estimator (Bergstra et al. 2011)."""
    return TPESampler(seed=seed, n_startup_trials=startup)


def gaussian_process(seed: int, startup: int) -> BaseSampler:
    """A Gaussian process, and where it expects to improve most (Jones et al. 1998). It brings PyTorch."""
    return GPSampler(seed=seed, n_startup_trials=startup)


def nsgaii(seed: int, startup: int) -> BaseSampler:
    """Generations of `startup` suggestions, each bred from the best before it (NSGA-II; Deb et al. 2002)."""
    return NSGAIISampler(seed=seed, population_size=max(2, startup))


def sobol(seed: int, startup: int) -> BaseSampler:
    """A Sobol sequence (1967), which fills the space evenly; only the first suggestion is random, by the seed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return QMCSampler(seed=seed, qmc_type="sobol")


def at_random(seed: int, startup: int) -> BaseSampler:
    """Independent draws (Bergstra and Bengio 2012)."""
    return RandomSampler(seed=seed)
