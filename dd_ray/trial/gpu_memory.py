"""Whether the trials of a pack fit on their GPU."""

from dd_ray.errors import UserError

SHARE_OF_MEMORY = 0.9
"""Of a GPU, what the trials of a pack may take; the rest is for its context and for evaluations."""


def check_memory(num_trials: int, need: int, memory: int) -> None:
    """Make sure that a pack has the memory for its trials.

    Args:
        num_trials: that share a GPU.
        need: bytes of each.
        memory: bytes of the GPU.

    Raises:
        UserError: it has not.
    """
    fit = int(SHARE_OF_MEMORY * memory / need)
    if num_trials > fit:
        remedy = f"give --gpus-per-trial {1 / fit:.2g} or more" if fit else "give a smaller batch_size"
        raise UserError(
            f"{num_trials} trials on a GPU of {memory / 2**30:.0f} GiB take about {need / 2**20:,.0f} MiB each, and "
            f"{fit} fit; {remedy}."
        )
