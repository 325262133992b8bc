"""Training: a stack of trials, and a trial's checkpoint. It needs no Ray and writes no files."""

from dd_ray.config.names import Precision
from dd_ray.training.checkpoint import dump_state, load_state
from dd_ray.training.footprint import bytes_per_trial
from dd_ray.training.memory import keep_freed_memory
from dd_ray.training.precision import has_bfloat16, set_precision
from dd_ray.training.stack import Stack, StackMethod, group_into_stacks, shared_fields
from dd_ray.training.trial import Trial, TrialState

__all__ = [
    "Precision",
    "Stack",
    "StackMethod",
    "Trial",
    "TrialState",
    "bytes_per_trial",
    "dump_state",
    "group_into_stacks",
    "has_bfloat16",
    "keep_freed_memory",
    "load_state",
    "set_precision",
    "shared_fields",
]
