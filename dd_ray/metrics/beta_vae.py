"""The β-VAE score: can a linear classifier tell which factor two pictures share?"""

import numpy as np

from dd_ray.metrics.arrays import Mask, varies
from dd_ray.metrics.interventions import NUM_TEST, NUM_TRAIN, Encode, check_number, draw_batches, encode_all


def beta_vae_score(encode: Encode, num_factors: int, mask: Mask | None = None, *, seed: int = 0) -> float:
    """β-VAE score (Higgins et al. 2017, sec. 3), for continuous factors uniform in [0, 1].

    A vote draws 64 pairs of samples that share one factor k, at a value of their own, and differ in the
    others, and averages how far apart their latents are:

        z_diff = mean_pairs |z − z′|   [L]

    A linear classifier, here multinomial logistic regression of standardised z_diff with scikit-learn's
    defaults, is fitted to tell k from 800 votes; the score is the share of 800 further ones it gets right.

    Each column of z_diff is standardised by its mean and deviation over the 800 votes, which the paper does not do: its
    classifier weighs latents by their size, and one of size 1e-3 would hardly be looked at. So this score, like all
    others here, is blind to size, and higher than the published one where latents differ much in it.

    Args:
        encode: factors [N, F] to latents [N, L].
        num_factors: F.
        mask: [L], which latents to look at; if none of them varies the score is 0.
        seed: of the factors drawn; the same seed asks every network about the same pictures.

    Returns:
        In [0, 1]; chance is 1/F, its standard error √(p(1 − p)/800). It is the most lenient score: the
        classifier may weigh all latents, so mixtures that are not exactly symmetric are told apart, and it
        is 1 for codes that no other score calls disentangled. A pair rotated by 45° is guessed. Blind to
        size.

    Raises:
        ValueError: there is no factor, or `encode` does not return finite [N, L].

    Cost: 204,800 samples rendered and encoded, which is nearly all of it: 10 s for circles on one core.
    """
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    check_number(num_factors)
    rng = np.random.default_rng(seed)
    fixed, first = draw_batches(rng, NUM_TRAIN + NUM_TEST, num_factors)
    second = rng.random(first.shape)
    votes = np.arange(len(fixed))
    second[votes, :, fixed] = first[votes, :, fixed]
    differences = np.abs(encode_all(encode, first, mask) - encode_all(encode, second, mask)).mean(axis=1)
    train, test = differences[:NUM_TRAIN], differences[NUM_TRAIN:]
    if not varies(train).any():
        return 0.0
    mean, scale = train.mean(axis=0), np.where(varies(train), train.std(axis=0), 1)
    classifier = LogisticRegression(max_iter=1_000).fit((train - mean) / scale, fixed[:NUM_TRAIN])
    return float(classifier.score((test - mean) / scale, fixed[NUM_TRAIN:]))
