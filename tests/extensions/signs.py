"""An optimiser of one's own: steps of one length along the signs of the gradient (Bernstein et al. 2018, signSGD)."""

from dd_ray.config import OptimizerSpec


def signs(weights, kept, gradient, rates):
    """w ← w − η sign(g), elementwise; nothing is kept from step to step."""
    return {}, rates.learning_rate * gradient.sign()


SIGNS = OptimizerSpec(name="signs", update=signs, keeps=())
