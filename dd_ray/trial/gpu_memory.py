"""Checks that the trials of a pack fit into the memory of their GPU."""

from dd_ray.errors import UserError

SHARE_OF_MEMORY = 0.9
"""The share of a GPU's memory that trials of a pack may take; the rest is for its context and for evaluations."""


def check_memory(num_trials: int, need: int, memory: int) -> None:
    """Make sure that a GPU has enough memory for the trials of a pack.

    Args:
        num_trials: number of trials that share the GPU.
        need: bytes that each takes.
        memory: bytes that the GPU has.

    Raises:
        UserError: it has not enough.
    """
    fit = int(SHARE_OF_MEMORY * memory / need)
    if num_trials > fit:
        remedy = f"give --gpus-per-trial {_share_for(fit):g} or more" if fit else "give a smaller batch_size"
        raise UserError(
            f"{num_trials} trials on a GPU of {memory / 2**30:.0f} GiB take about {need / 2**20:,.0f} MiB each, and "
            f"{fit} fit; {remedy}."
        )


def _share_for(fit: int) -> float:
    """Return the smallest share of a GPU, in the ten-thousandths that Ray counts, of which it has at most so many."""
    share = max(1, int(1e4 / fit))
    return (share if 10_000 // share <= fit else share + 1) / 1e4
