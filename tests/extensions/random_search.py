"""A sampler of one's own: every suggestion is drawn at random, and nothing is learned (Bergstra and Bengio 2012)."""

from dd_ray.sweep import SamplerSpec


def at_random(seed, startup):
    """Optuna's random sampler; the seed is another one for each suggestion."""
    from optuna.samplers import RandomSampler  # Optuna is imported once a search begins

    return RandomSampler(seed=seed)


RANDOM = SamplerSpec(name="own_random", title="random search", build=at_random)
