"""A sweep on a cluster to which everything happens: `python -m tests.chaos --minutes 30 --seed 1`.

Sweep after sweep runs on three nodes of one machine, while drivers, trials, nodes and the cluster itself are killed or
stopped, nodes join, the storage fills up and files are damaged, at random moments. Each sweep is then left to finish,
and held against what was seen while it ran and against the same trials trained without Ray. The exit code is 1 where
anything differs.

`--seed` decides what happens in which order; at which moment exactly also depends on the machine.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dd_ray.cli import parse
from dd_ray.storage.trial_records import TrialFolder
from dd_ray.sweep.plan import Plan
from tests.chaos.checks import Report, check, owners, read_log, undisturbed, watching
from tests.chaos.cluster import MOST_NODES, Nodes, Storage, Sweep, enter_namespace, prepare_ray, ray_folder
from tests.chaos.guest import Guest
from tests.chaos.sweep import STUDY

DAMAGED = "file damaged"
"""Where it is among the faults, every command that goes on with a sweep finds one more file damaged."""
SECOND_SWEEP = "second sweep stopped"
"""Where it is not among the faults, there is no second sweep, which takes half of the machine."""
SECONDS_TO_START = 180
"""Without any training, after which something is wrong."""
SECONDS_TO_NOTICE = 60
"""For a sweep to go on, or to end with a sentence, where something stands still or has died."""
SECONDS_TO_LEAVE = 30
"""For the workers of a driver that was killed."""
IMPATIENCE = 0.25
"""Share of the faults that do not wait until the sweep has got going again after the last."""
ONLY = "faults that happen; a second sweep runs where it may be stopped"
MOST_STARTS = 3
"""After so many ends by itself a sweep is given up."""
MOST_PROBLEMS = 20
"""After so many, no further sweep is begun."""


@dataclass
class Chaos:
    """What faults work on, and what came of them."""

    nodes: Nodes
    storage: Storage
    logs: Path
    """Folder in which workers write down what they do, a file for each sweep."""
    choice: random.Random
    kinds: list[str]
    """Faults that may happen."""
    pause: float
    """Most seconds before the next, beside the time to get going again."""
    guest: Guest | None = None
    """Another sweep on the same cluster, where that is stopped, too."""
    bag: list[str] = field(default_factory=list)
    """Kinds of faults still to come before all have their turn again."""
    has_tried_all: bool = False
    started: float = field(default_factory=time.monotonic)

    def begin(self, plan: Plan) -> None:
        """Turn to a new sweep."""
        self.log = self.logs / plan.options.name
        self.log.touch()
        self.folder = Path(plan.location)
        command = [sys.executable, "-m", "tests.chaos.sweep"]
        for name in ("seeds", "iterations", "evaluations", "storage", "name"):
            command.append(f"--{name}={getattr(plan.options, name)}")
        self.faults: list[str] = []
        self.problems: list[str] = []
        self.damaged: set[Path] = set()
        """States that were truncated."""
        self.say(f"{plan.options.name} begins, with {len(plan.trials)} trials")
        self.sweep = Sweep(command, self.nodes.address, self.log.with_suffix(".txt"))

    def say(self, text: str) -> None:
        """Print it with the time."""
        print(f"{time.monotonic() - self.started:7.1f} s  {text}", flush=True)

    def problem(self, text: str) -> None:
        """Note what must not be."""
        self.say(f"WRONG: {text}")
        self.problems.append(text)

    def wait(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Wait until something is so, or the sweep has ended: whether it is so."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.sweep.process.poll() is None:
            if ready():
                return True
            time.sleep(0.05)
        return False

    def trains(self) -> bool:
        """Wait until iterations are done: whether they are, before the sweep has ended."""
        size = self.log.stat().st_size if self.log.exists() else 0
        return self.wait(lambda: self.log.exists() and self.log.stat().st_size > size, SECONDS_TO_START)


def kill_driver(chaos: Chaos) -> str:
    """The process that runs the sweep, without warning."""
    code, _ = chaos.sweep.end(signal.SIGKILL)
    if code != 0:
        start_again(chaos)
    return f"exit code {code}"


def terminate_driver(chaos: Chaos) -> str:
    """As a batch system does."""
    return _stop_driver(chaos, signal.SIGTERM)


def interrupt_driver(chaos: Chaos) -> str:
    """As a user does."""
    return _stop_driver(chaos, signal.SIGINT)


def _stop_driver(chaos: Chaos, number: signal.Signals) -> str:
    training = chaos.sweep.said.count("sweep: ") > 0  # its progress bar, which stands there as long as trials run
    code, seconds = chaos.sweep.end(number)
    # Before there are trials, it ends at once: by the signal itself, or by a handler of Ray's while that connects.
    if code not in (0, 130, *([] if training else [-number, number, 1])):
        chaos.problem(f"{number.name} ended the sweep with exit code {code}: {chaos.sweep.said[-1000:]}")
    if code != 0:
        start_again(chaos)
    return f"exit code {code} after {seconds:.1f} s"


def kill_trial(chaos: Chaos) -> str | None:
    """A worker process with a trial."""
    if not chaos.wait(lambda: bool(chaos.nodes.trials()), SECONDS_TO_START):
        return None
    pid = chaos.choice.choice(chaos.nodes.trials() or [0])
    return f"process {pid}" if pid and _kill(pid) else None


def stop_trial(chaos: Chaos) -> str | None:
    """A worker process with a trial stands still, until it is ended."""
    if not chaos.trains() or not (pids := chaos.nodes.trials()):
        return None
    pid, started = chaos.choice.choice(pids), time.monotonic()
    if not _signal(pid, signal.SIGSTOP):
        return None
    if not chaos.wait(lambda: pid not in chaos.nodes.trials(), SECONDS_TO_NOTICE):
        chaos.problem(f"process {pid} was stopped, and nobody has noticed for {SECONDS_TO_NOTICE} s")
        _signal(pid, signal.SIGCONT)
    return f"process {pid}, for {time.monotonic() - started:.1f} s"


def kill_raylet(chaos: Chaos) -> str | None:
    """The process that starts and ends the workers of a node."""
    return f"with {chaos.nodes.kill_raylet(chaos.choice)} trials" if chaos.nodes.count > 1 else None


def kill_control_store(chaos: Chaos) -> str | None:
    """The process that knows the cluster, which is then started anew."""
    return _lose_cluster(chaos, chaos.nodes.kill_control_store)


def kill_head(chaos: Chaos) -> str | None:
    """The head with all its processes, and a cluster is started anew in its place."""
    return _lose_cluster(chaos, chaos.nodes.kill_head)


def _lose_cluster(chaos: Chaos, lose: Callable[[], None]) -> str | None:
    if not chaos.trains():
        return None
    lose()
    code, seconds = chaos.sweep.end()
    if code != 1 or "the same command goes on" not in chaos.sweep.said or seconds > SECONDS_TO_NOTICE:
        chaos.problem(f"exit code {code} after {seconds:.1f} s without a cluster: {chaos.sweep.said[-1000:]}")
    chaos.nodes.start_anew()
    chaos.sweep.address = chaos.nodes.address
    start_again(chaos)
    return f"exit code {code} after {seconds:.1f} s"


def kill_node(chaos: Chaos) -> str | None:
    """A node with all its trials; never the head, whose loss ends a Ray cluster."""
    return f"with {chaos.nodes.kill(chaos.choice)} trials" if chaos.nodes.count > 1 else None


def suspend_node(chaos: Chaos) -> str | None:
    """A node stands still until its trials have gone to others, and then goes on with them too, until it notices."""
    if chaos.nodes.count < 2 or not chaos.trains():
        return None

    def others_have_its_trials(pids: list[int]) -> None:
        chaos.wait(lambda: not set(owners(chaos.log).values()) & set(pids), SECONDS_TO_START)

    started, others = time.monotonic(), chaos.nodes.count - 1
    trials, given_up = chaos.nodes.suspend(chaos.choice, others_have_its_trials)
    if given_up > SECONDS_TO_NOTICE:
        chaos.problem(f"a suspended node was not given up within {SECONDS_TO_NOTICE} s")
    seconds = time.monotonic() - started
    return f"with {trials} trials, given up after {given_up:.1f} s; {others} others had them after {seconds:.1f} s"


def stop_guest(chaos: Chaos) -> str | None:
    """The service is asked to end the second sweep, and then to go on with it."""
    return chaos.guest.stop() if chaos.guest else None


def add_node(chaos: Chaos) -> str | None:
    """A node joins."""
    if chaos.nodes.count >= MOST_NODES:
        return None
    chaos.nodes.add()
    return f"now {chaos.nodes.count}"


def fill_storage(chaos: Chaos) -> str | None:
    """No room for anything, until the sweep has ended; then there is room again."""
    if not chaos.trains():
        return None
    chaos.storage.fill()
    code, seconds = chaos.sweep.end()
    chaos.storage.clear()
    if code != 1 or "The storage is full" not in chaos.sweep.said:
        chaos.problem(f"on a full storage the sweep ended with exit code {code}: {chaos.sweep.said[-1000:]}")
    start_again(chaos)
    return f"exit code {code} after {seconds:.1f} s"


def truncate_states(chaos: Chaos) -> str | None:
    """The newest state of a trial that has not ended, or now and then all of them, lose their ends.

    The worker that has the trial, if one has, is killed: nobody else reads a state.
    """
    trials = [path for path in chaos.folder.glob("cells/*") if not (path / "outcome.json").exists()]
    trials = sorted(trial for trial in trials if any(trial.glob("state-*.npz")))
    if not trials:
        return None
    trial, at_most = chaos.choice.choice(trials), chaos.choice.choice([1, 1, 1, None])
    states = sorted(trial.glob("state-*.npz"), reverse=True)[:at_most]
    for state in states:
        with contextlib.suppress(FileNotFoundError):  # newer ones have just replaced it
            os.truncate(state, int(chaos.choice.random() * state.stat().st_size))
            chaos.damaged.add(state)
    pid = owners(chaos.log).get(trial.name)
    killed = pid in chaos.nodes.trials() and _kill(pid)
    return f"{len(states)} of trial {trial.name[:6]}{', and its worker killed' if killed else ''}"


def damage_file(chaos: Chaos) -> str | None:
    """Any file of the sweep is cut, emptied, zeroed, or has a bit flipped, between two commands."""
    if not chaos.trains():
        return None
    code, _ = chaos.sweep.end(signal.SIGKILL)
    if code == 0:
        return None
    done = _damage_any(chaos)
    chaos.sweep.start()
    return done


def start_again(chaos: Chaos) -> None:
    """Start the sweep's command once more, where one of its files was damaged since the last has ended."""
    if DAMAGED in chaos.kinds and (done := _damage_any(chaos)) is not None:
        chaos.faults.append(DAMAGED)
        chaos.say(f"meanwhile {DAMAGED}: {done}")
    chaos.sweep.start()


def _damage_any(chaos: Chaos) -> str | None:
    deadline = time.monotonic() + SECONDS_TO_LEAVE
    while chaos.nodes.trials() and time.monotonic() < deadline:
        time.sleep(0.1)
    files = sorted(path for pattern in ("*.json", "cells/*/[!.]*") for path in chaos.folder.glob(pattern))
    if not files:  # as where the first command has ended before it wrote any
        return None
    path = chaos.choice.choice(files)
    how = _damage(path, chaos.choice)
    if path.parent != chaos.folder:
        chaos.seen.damaged.add(path.parent.name)
        chaos.damaged.add(path)
    return f"{path.relative_to(chaos.folder)} {how}"


def _damage(path: Path, choice: random.Random) -> str:
    content = bytearray(path.read_bytes())
    how = choice.choice(["emptied", "cut", "zeroed", "a bit flipped"])
    if how in ("emptied", "cut"):
        del content[choice.randrange(len(content) + 1) if how == "cut" else 0 :]
    elif how == "zeroed":
        content = bytearray(len(content))
    elif content:
        content[choice.randrange(len(content))] ^= 1 << choice.randrange(8)
    path.write_bytes(content)
    return how


def _kill(pid: int) -> bool:
    return _signal(pid, signal.SIGKILL)


def _signal(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:  # it has just ended
        return False
    return True


FAULTS: dict[str, Callable[[Chaos], str | None]] = {
    "driver killed": kill_driver,
    "driver terminated": terminate_driver,
    "driver interrupted": interrupt_driver,
    "trial killed": kill_trial,
    "trial stopped": stop_trial,
    "node killed": kill_node,
    "node suspended": suspend_node,
    "raylet killed": kill_raylet,
    "control store killed": kill_control_store,
    "head killed": kill_head,
    SECOND_SWEEP: stop_guest,
    "node added": add_node,
    "storage full": fill_storage,
    "state truncated": truncate_states,
    DAMAGED: damage_file,
}
"""What may happen. A fault says what it did, or returns None where it could not do it just then."""


def strike(chaos: Chaos) -> None:
    """Let one thing happen. Each kind has its turn before any has its next."""
    others = chaos.choice.sample(chaos.kinds, len(chaos.kinds))
    chaos.bag = chaos.bag or others
    # Where nothing that is in turn can be done, as to kill a node where only the head is left, another has its turn.
    for kind in [*chaos.bag, *others]:
        if chaos.sweep.process.poll() is not None:
            return
        if (done := FAULTS[kind](chaos)) is not None:
            chaos.bag = [each for each in chaos.bag if each != kind]
            chaos.faults.append(kind)
            chaos.say(f"{kind}: {done}")
            break
    chaos.has_tried_all |= not chaos.bag


def disturb(chaos: Chaos, until: float) -> None:
    """Let things happen to a sweep until the time is over and every kind has had its turn; then let it finish."""
    starts = 0
    while True:
        code = chaos.sweep.process.poll()
        if code == 0:
            return
        if code is not None:
            chaos.problem(f"the sweep ended by itself with exit code {code}: {chaos.sweep.said[-2000:]}")
            if (starts := starts + 1) > MOST_STARTS:
                return
            chaos.sweep.start()
        elif time.monotonic() > until and chaos.has_tried_all:
            if not chaos.trains() and chaos.sweep.process.poll() is None:
                chaos.problem(f"no trial was trained for {SECONDS_TO_START} s: {chaos.sweep.said[-2000:]}")
                chaos.sweep.process.kill()
                chaos.sweep.process.wait()
        else:
            if chaos.choice.random() > IMPATIENCE:
                chaos.trains()
            if chaos.guest:
                chaos.guest.tend()
            chaos.wait(lambda: False, chaos.choice.uniform(0, chaos.pause))
            strike(chaos)


def run_sweep(chaos: Chaos, plan: Plan, expected: Mapping[str, TrialFolder], report: Report, until: float) -> None:
    """Run a sweep, disturb it, check it, and add it to the report."""
    chaos.begin(plan)
    with watching(chaos.folder) as seen:
        chaos.seen = seen
        disturb(chaos, until)
    work = read_log(chaos.log, set(expected))
    # A node that goes on after it was given up cannot be kept from that, only from doing harm.
    overlaps = [] if "node suspended" in chaos.faults else work.overlaps
    for problem in [*check(plan, seen, expected, chaos.damaged), *overlaps]:
        chaos.problem(problem)
    chaos.say(f"{plan.options.name} has ended{'' if chaos.problems else ', and all is as it should be'}")
    report.sweeps += 1
    report.trials += len(plan.trials)
    report.evaluations += sum(map(len, seen.lines.values()))
    report.needed += plan.total_iterations
    report.done += work.iterations
    report.overlaps += len(work.overlaps)
    report.drafts += sum(path.is_file() for path in chaos.folder.glob("cells/*/.*"))
    report.faults.update(chaos.faults)
    if not chaos.problems:
        report.survived.update(chaos.faults)
        shutil.rmtree(chaos.folder)
    report.problems += [f"{plan.options.name}: {problem}" for problem in chaos.problems]


def run_sweeps(args: argparse.Namespace, scratch: Path, storage: Storage) -> Report:
    """Sweep after sweep of the same trials, until the time is over and every kind of fault has had its turn."""
    report, nodes = Report(), Nodes()
    chaos = Chaos(nodes, storage, scratch / "logs", random.Random(args.seed), args.only, args.pause)
    try:
        expected = undisturbed(_plan(args, scratch, "undisturbed"))
        if SECOND_SWEEP in args.only:
            options = [f"--seeds={args.seeds}", "--beta=0.3", *_lengths(args)]
            chaos.guest = Guest(nodes, storage.folder, Guest.train_undisturbed(scratch, options), options, chaos.say)
        chaos.say(f"{len(expected)} trials have been trained undisturbed; {nodes.count} nodes at {nodes.address}")
        until = time.monotonic() + 60 * args.minutes
        while (time.monotonic() < until or not chaos.has_tried_all) and len(report.problems) < MOST_PROBLEMS:
            plan = _plan(args, storage.folder, f"sweep-{report.sweeps}")
            run_sweep(chaos, plan, expected, report, until)
        if chaos.guest:
            chaos.guest.finish()
            report.guests, report.sent = chaos.guest.count, chaos.guest.sent
            report.problems += chaos.guest.problems
    finally:
        nodes.shutdown()
    return report


def main() -> int:
    """Run sweeps, report, and return the exit code."""
    args, started = _parse(), time.monotonic()
    enter_namespace()
    scratch = ray_folder()
    storage = Storage(scratch / "storage")
    (scratch / "logs").mkdir()
    prepare_ray(scratch, scratch / "logs", args.pace)
    try:
        report = run_sweeps(args, scratch, storage)
        if report.problems and args.keep:
            shutil.copytree(scratch, args.keep, ignore=shutil.ignore_patterns("session_*"), dirs_exist_ok=True)
    finally:
        storage.close()
        shutil.rmtree(scratch, ignore_errors=True)
    report.show(FAULTS, time.monotonic() - started)
    return 1 if report.problems else 0


def _plan(args: argparse.Namespace, storage: Path, name: str) -> Plan:
    return parse(STUDY, [f"--seeds={args.seeds}", *_lengths(args), f"--storage={storage}", f"--name={name}"])


def _lengths(args: argparse.Namespace) -> list[str]:
    return [f"--iterations={args.iterations}", f"--evaluations={args.iterations // 10}"]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--minutes", type=float, default=5.0, help="how long things happen; each kind happens at least once")
    add("--seed", type=int, default=0, help="decides what happens in which order")
    add("--only", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="KIND", help=ONLY)
    add("--seeds", type=int, default=6, help="of the trials: a sweep has four times as many")
    add("--iterations", type=int, default=200, help="of each trial, which is evaluated after every tenth")
    add("--pause", type=float, default=8.0, help="most seconds between two faults, beside those to get going again")
    add("--pace", type=float, default=0.05, help="seconds that an iteration waits, so that sweeps last")
    add("--keep", type=Path, help="folder for what went wrong: sweeps, what they printed, the log of iterations")
    return parser.parse_args()
