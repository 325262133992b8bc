"""Asks every node whether its GPU serves the trials of a sweep: if PyTorch finds it, its precision and its memory."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dd_ray.config import TrialConfig
from dd_ray.config.extensions import Extension, load_extensions, loaded
from dd_ray.errors import UserError, first_line
from dd_ray.sweep.plan import Plan
from dd_ray.trial.gpu_memory import check_memory
from dd_ray.tune.resources import Resources, slots_on

SECONDS_FOR_GPU = 60
SECONDS_FOR_OTHER_GPUS = 15
"""Seconds that other nodes have to answer once one has; they may be full."""
SECONDS_OF_A_MOMENT = 0.5


def check_gpus(
    resources: Resources, plan: Plan, nodes: Collection[str] | None = None, is_over: Callable[[], bool] = lambda: False
) -> None:
    """Make sure that a trial's PyTorch finds its GPU on each node where Ray gives it one, and that a pack fits there.

    Nodes with no room are left out: each trial checks again.

    Args:
        resources: resources of a trial.
        plan: the plan to train.
        nodes: IDs of the nodes to check, those without a GPU among them; all where they are not given.
        is_over: returns True once no answer is needed any more.

    Raises:
        UserError: PyTorch finds no GPU, one without the plan's precision, or the trials do not fit.
    """
    precision, most = plan.options.precision, plan.options.max_concurrent or plan.num_trials
    if precision == "bf16" and not resources.gpus:
        raise UserError("--precision bf16 needs GPUs, and trials have none here; take float32.")
    if not resources.gpus:
        return
    for node, (memory, need, bfloat16) in _ask_gpus(resources, plan.examples, nodes, is_over):
        address = node["NodeManagerAddress"]
        if not memory:
            raise UserError(
                f"PyTorch finds no GPU on node {address}, where Ray gives {resources.gpus:g} of one; install PyTorch "
                "with CUDA there, or give --gpus-per-trial 0."
            )
        if precision == "bf16" and not bfloat16:
            raise UserError(
                "--precision bf16 needs GPUs of NVIDIA's Ampere generation or later, and that of node "
                f"{address} is one before it; take tf32 or float32."
            )
        if resources.packed:
            on_a_gpu = min(int(1 / resources.gpus + 1e-9), slots_on(node["Resources"], resources.cpus, resources.gpus))
            try:
                check_memory(min(plan.num_trials, most, on_a_gpu), need, memory)
            except UserError as error:
                raise UserError(f"node {address}: {error}") from error


def _ask_gpus(
    resources: Resources, examples: Sequence[TrialConfig], nodes: Collection[str] | None, is_over: Callable[[], bool]
) -> list[tuple[dict[str, Any], tuple[int, int, bool]]]:
    """Return each node that answers, as Ray describes it, and what `_of_gpu` returns there."""
    task: Any = ray.remote(num_cpus=resources.cpus, num_gpus=resources.gpus, max_retries=0)(_of_gpu)
    configs = [config.to_dict() for config in examples]
    pending = {
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            configs, loaded()
        ): node
        for node in ray.nodes()
        if node["Alive"] and (nodes is None or node["NodeID"] in nodes)
        if slots_on(node["Resources"], resources.cpus, resources.gpus)
    }
    deadline, ready = time.monotonic() + SECONDS_FOR_GPU, list[Any]()
    while len(ready) < len(pending) and time.monotonic() < deadline and not is_over():
        ready, _ = ray.wait(list(pending), num_returns=len(pending), timeout=SECONDS_OF_A_MOMENT)
        if ready:
            deadline = min(deadline, time.monotonic() + SECONDS_FOR_OTHER_GPUS)
    answers = []
    for reply in ready:
        with suppress(ray.exceptions.NodeDiedError, ray.exceptions.TaskUnschedulableError):  # the node has gone
            answers.append((pending[reply], _answer_of(pending[reply]["NodeManagerAddress"], reply)))
    return answers


def _answer_of(address: str, reply: Any) -> tuple[int, int, bool]:
    """Return a node's answer.

    Raises:
        UserError: the node cannot tell, as one whose GPU has failed.
    """
    try:
        return ray.get(reply)  # type: ignore[no-any-return]
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from error
        raise UserError(
            f"the GPU of node {address} does not work ({type(error.cause).__name__}: {first_line(error.cause)}); "
            "look at nvidia-smi there, or take it out of the cluster."
        ) from error


def _of_gpu(examples: Sequence[Mapping[str, Any]], extensions: Sequence[Extension]) -> tuple[int, int, bool]:
    """Return the bytes of this process's GPU, 0 for none, those of the largest trial, and if it has bfloat16."""
    import torch  # noqa: PLC0415  # on the node, and not in the driver

    from dd_ray.training import bytes_per_trial, has_bfloat16  # noqa: PLC0415

    if not torch.cuda.is_available():
        return 0, 0, False
    load_extensions(extensions)
    configs, gpu = [TrialConfig.from_dict(dict(config)) for config in examples], torch.device("cuda")
    need = max(bytes_per_trial(config, "auto", gpu) for config in configs)
    return torch.cuda.get_device_properties(0).total_memory, need, has_bfloat16(gpu)
