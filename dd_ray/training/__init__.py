"""Training: a stack of trials, and a trial's checkpoint. Knows nothing of Ray and keeps no files."""

from dd_ray.training.checkpoint import dump_state, load_state
from dd_ray.training.memory import keep_freed_memory
from dd_ray.training.stack import Stack, group_into_stacks
from dd_ray.training.trial import Trial, TrialState

__all__ = [
    "Stack",
    "Trial",
    "TrialState",
    "dump_state",
    "group_into_stacks",
    "keep_freed_memory",
    "load_state",
]
