"""Training: a stack of trials, and a trial's checkpoint. It needs no Ray and writes no files.

A trial
    trial                    its model and its optimiser, from one iteration to the next
    checkpoint               its state as bytes
    optimizers, rates        the update of weights, and its rates
    rmsprop, adam, sgd       the optimisers
A stack of trials
    stack                    trials that share network and data
    batches                  their batches, some of which a CPU renders ahead
    blocks                   trials in blocks that are stepped as one
    choice                   the method that is fastest on a device
    fused                    the step of a block
    feed, draws              the inputs of a step, and what the host draws for the next one
    graphs, painting         a step, and the painting of its images, as one launch
Convolutions
    convolutions             other layers in place of PyTorch's
    cpu_convolutions         layers on a CPU, by
    cpu_kernels              kernels.cpp, if it was compiled
    triton_layers            layers on a GPU, by
    triton_convolutions      our kernels in Triton,
    triton_kernels           which are here
A device
    precision                how exactly it multiplies
    memory, footprint        memory that is kept, and how much a trial takes
"""

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
