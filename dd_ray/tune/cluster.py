"""Connects to the Ray that a sweep runs on, and measures what it can hold."""

import os
import secrets
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import ray
from ray import tune
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from dd_ray.config import TrialConfig
from dd_ray.config.extensions import Extension, load_extensions, loaded
from dd_ray.errors import UserError, first_line
from dd_ray.storage.private import PrivateFolder, make_private, make_private_file
from dd_ray.sweep.options import SweepOptions
from dd_ray.sweep.plan import Plan
from dd_ray.trial.gpu_memory import check_memory
from dd_ray.tune import autoscaler
from dd_ray.tune.environment import has_token, token_file
from dd_ray.tune.private import SOCKETS_BELOW, nodes_taken_away
from dd_ray.tune.pulse import shut_down
from dd_ray.tune.start import NotStartedError, RayStart

SECONDS_FOR_GPU = 60
SECONDS_FOR_OTHER_GPUS = 15
"""Seconds that other nodes have to answer once one has; they may be full."""
SECONDS_OF_A_MOMENT = 0.5
DEFAULT_GPU_SHARE = 0.1
DEFAULT_PACKED_SHARE, DEFAULT_PACKED_CPUS = 1 / 40, 0.25
"""Default shares of a GPU and of a core for a trial in a pack, whose own process only scores and records."""
SLOTS_TO_GROW_FROM = 16
"""Number of trials that ask a cluster for nodes when it has no room for any."""
MOST_UNFIT_NODES = 3
"""Number of nodes on which no trial can run after which a sweep asks an autoscaled cluster for no more: each costs."""


SECONDS_OF_START = "5 to 10 seconds"
_NAME_A_FOLDER = ("RAY_TMPDIR", *(("TMPDIR",) if sys.platform.startswith("linux") else ()))
"""Variables that name the folder for Ray's files, as Ray takes them."""
_BELOW = "/r"


def say_nothing(*words: str, flush: bool = False) -> None:
    """Print nothing, in place of `print`."""


@dataclass(frozen=True)
class Resources:
    """The resources that each trial gets."""

    cpus: float
    gpus: float
    grows: bool
    """True if the cluster starts nodes for waiting trials."""
    packed: bool = False
    """True if the trials that share a GPU are trained by one process."""
    shared: bool = False
    """True if the cluster outlasts the sweep, so that other sweeps may run beside it."""
    checked: tuple[str, ...] = ()
    """IDs of the nodes of such a cluster that were checked before the sweep began."""

    @classmethod
    def of_cluster(cls, options: SweepOptions, shared: bool = False) -> Self:
        """Choose the resources that the connected cluster can give to each trial.

        Args:
            options: options of the sweep.
            shared: whether the cluster outlasts the sweep.

        Raises:
            UserError: it could never hold a trial.
        """
        nodes = _nodes()
        most = {kind: max((node.get(kind, 0) for node in nodes), default=0) for kind in ("CPU", "GPU")}
        resources = cls._asked(options, shared, on_gpus=most["GPU"] > 0)
        if not most["GPU"] and options.gpus_per_trial is None:
            # Only the autoscaler tells whether workers that come have GPUs. It starts these for a CPU's sake too.
            on_gpus = cls._asked(options, shared, on_gpus=True)
            if autoscaler.would_start_a_node_for(on_gpus.bundle):
                return on_gpus
        if not resources.slots() and not autoscaler.would_start_a_node_for(resources.bundle):
            raise UserError(
                f"no node can hold a trial of {resources.cpus:g} CPUs (--cpus-per-trial) and {resources.gpus:g} GPUs "
                f"(--gpus-per-trial): the largest of {len(nodes)} nodes have {most['CPU']:g} CPUs and {most['GPU']:g} "
                "GPUs; ask for less."
            )
        return resources

    @classmethod
    def _asked(cls, options: SweepOptions, shared: bool, *, on_gpus: bool) -> Self:
        """Return what the options ask for; where they do not say, a share of a GPU if trials are to run on GPUs."""
        gpus, cpus = options.gpus_per_trial, options.cpus_per_trial
        packed = options.pack == "on" or (options.pack == "auto" and (on_gpus if gpus is None else gpus > 0))
        if gpus is None:
            gpus = (DEFAULT_PACKED_SHARE if packed else DEFAULT_GPU_SHARE) if on_gpus else 0.0
        if cpus is None:
            cpus = DEFAULT_PACKED_CPUS if packed and gpus else 1
        return cls(cpus, gpus, autoscaler.is_present(), packed, shared)

    @property
    def bundle(self) -> dict[str, float]:
        """Return the resources in Ray's form."""
        return {"CPU": self.cpus, "GPU": self.gpus} if self.gpus else {"CPU": self.cpus}

    def request(self, without: Collection[str]) -> dict[str, float] | tune.PlacementGroupFactory:
        """Return the resources as Tune takes them, on any node but those with the IDs `without`."""
        if not without:
            return {"cpu": self.cpus, "gpu": self.gpus}
        elsewhere = {"ray.io/node-id": f"!in({','.join(sorted(without))})"}
        return tune.PlacementGroupFactory([self.bundle], bundle_label_selector=[elsewhere])

    def slots(self, without: Collection[str] = ()) -> int:
        """Return the number of trials that the cluster holds at the moment, on any node but those `without`."""
        return sum(_slots(node, self.cpus, self.gpus) for node in _nodes(without))

    def gives_up(self, unfit: Collection[str]) -> bool:
        """Return whether to ask the cluster for no more nodes, since those that it has started are `unfit`."""
        return self.grows and len(unfit) >= MOST_UNFIT_NODES

    def trials_at_a_time(self, most: int | None, without: Collection[str] = ()) -> int:
        """Return the most trials to run at a time: while the cluster can grow, more than it holds, so that it grows."""
        slots = self.slots(without)
        grows = self.grows and not self.gives_up(without) and not autoscaler.has_no_more_for(self.bundle)
        wanted = max(2 * slots, SLOTS_TO_GROW_FROM) if grows else slots
        return max(1, min(wanted, most or wanted))


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
            on_a_gpu = min(int(1 / resources.gpus + 1e-9), _slots(node["Resources"], resources.cpus, resources.gpus))
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
        if _slots(node["Resources"], resources.cpus, resources.gpus)
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


@contextmanager
def connected(address: str | None, say: Callable[..., None] = say_nothing) -> Iterator[bool]:
    """Connect to the cluster at `address` (`auto` or `host:port`), or start a Ray for the block.

    If this process is connected already, that connection is used and kept. `prepare_to_join` must be called first,
    before Ray is imported.

    Args:
        address: of the cluster, or None.
        say: prints what is being done.

    Yields:
        Whether the cluster outlasts the sweep.

    Raises:
        UserError: the cluster's Ray or Python is another version.
    """
    if ray.is_initialized():
        yield True
        return
    if address is None:
        with _own_ray(say):
            yield False
        return
    start = RayStart({"address": address})
    try:
        _wait_to_join(start, address)
        yield True
    finally:
        _leave(start)


@contextmanager
def _own_ray(say: Callable[..., None]) -> Iterator[None]:
    """Start a Ray in a folder that nobody else can enter, since Ray makes its files there writable to everyone."""
    asked = {name: os.environ[name] for name in _NAME_A_FOLDER if os.environ.get(name)}
    folder = PrivateFolder(asked, len(_BELOW) + SOCKETS_BELOW)
    if folder.refused:
        say(f"Ray's files are in {folder.path.parent}: {folder.refused}.")
    say(f"Starting Ray on this machine, which takes {SECONDS_OF_START}.", flush=True)
    with folder.for_a_while():
        _prepare_token()
        options = {"num_cpus": _cpus_if_fewer(), "include_dashboard": False, "_temp_dir": f"{folder.path}{_BELOW}"}
        start = RayStart({"address": "local", **options})
        try:
            if (why := _failed(start)) and not start.is_under_way:
                say(f"Ray has not started ({why}), as on a busy machine; trying once more.", flush=True)
                start.leave()
                start = RayStart({"address": "local", **options})
                why = _failed(start)
            if why:
                folder.keep()
                raise NotStartedError(
                    f"Ray has not started ({why}). The same command tries it again; where that does not help, its logs "
                    f"tell more: {folder.path}{_BELOW}/session_latest/logs."
                )
            yield
        finally:
            if start.is_under_way:
                folder.leave_to_the_end()
            _leave(start)


def _failed(start: RayStart) -> str:
    """Return why a start has failed; empty if Ray has started."""
    try:
        start.wait()
    except Exception as error:  # whatever Ray raises
        return _in_one_line(error)
    return ""


def _leave(start: RayStart) -> None:
    # What is under way cannot be left: it ends with the process.
    if not start.is_under_way:
        shut_down()
        start.leave()


def _wait_to_join(start: RayStart, address: str) -> None:
    try:
        start.wait()
    except ConnectionError as error:
        raise UserError(f"the Ray at --address {address} has gone while it was joined; start it again.") from error
    except NotStartedError as error:
        raise NotStartedError(f"the Ray at --address {address} does not let us join: {error}.") from error
    except RuntimeError as error:  # another version of Ray or Python
        raise UserError(f"the Ray at --address {address} cannot be joined: {_in_one_line(error)}") from error


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def _cpus_if_fewer() -> int | None:
    """Return the CPUs that this process may use if these are not all; else None, and Ray counts within a quota."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    return usable if usable != os.cpu_count() else None


def _prepare_token() -> None:
    """Make a token before Ray does, since every user of the machine could read Ray's for a while.

    It is kept in the user's home; where that cannot be written, in the environment, which only this user can read.
    """
    path = token_file()
    with suppress(OSError):
        if path is not None:
            make_private(path)
            if not has_token() and _asks_for_token():
                make_private_file(path, _new_token())
    if not has_token() and _asks_for_token():
        os.environ["RAY_AUTH_TOKEN"] = _new_token()


def _asks_for_token() -> bool:
    return os.environ.get("RAY_AUTH_MODE", "token") == "token"


@cache
def _new_token() -> str:
    """Return a token: always the same one, since Ray reads it once in the life of a process."""
    return secrets.token_hex(32)


def _nodes(without: Collection[str] = ()) -> list[dict[str, float]]:
    """Return the resources of each node that takes work, but for those `without`."""
    left_out = {*without, *nodes_taken_away()}
    return [node["Resources"] for node in ray.nodes() if node["Alive"] and node["NodeID"] not in left_out]


def _slots(node: dict[str, float], cpus: float, gpus: float) -> int:
    by_cpu = node.get("CPU", 0) / cpus
    # Ray gives shares of a single GPU, or whole ones: two halves of different GPUs are not a GPU.
    by_gpu = node.get("GPU", 0) * int(1 / gpus) if 0 < gpus <= 1 else node.get("GPU", 0) / gpus if gpus else by_cpu
    return int(min(by_cpu, by_gpu) + 1e-9)
