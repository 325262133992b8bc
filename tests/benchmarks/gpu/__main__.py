"""One sitting at a GPU: `python -m tests.benchmarks.gpu --minutes 8.5 --out DIR`.

Phases with a limit each, that of the paper's grid getting what the others leave:

    P0   10 s  the card and its measured ceilings; at most 30, however short the sitting
    P1   40 s  each method: three trials beside a CPU to 1e-5, captured, NaN kept apart in both precisions
    P2   80 s  36 trials by each method, ours first, in each precision: timed replays, host, memory, largest kernels
    P3   90 s  the tests that need a GPU
    P4  190 s  the paper's grid with the fastest, as a real sweep
    P5   50 s  packed beside processes of one captured trial each
    P6   50 s  216, 1 and 8 trials by the two fastest

Each case is a process of its own, ended where it takes too long; this one has no CUDA. Every result is a line of
`results.jsonl`, on the disk at once. The same command in the same folder does what was not done. `--prepare` makes the
sweep of P4 on a machine that has what a sweep's command line needs; a lent machine may be without. Without Ray, on a
CPU with small sizes, to see that it works. Our kernels are compiled beside P0 and P1, by most cores. `python -m
tests.benchmarks.gpu.tiles` says what to try next, and without a GPU `gpu.ahead` compiles our kernels for it before, and
`gpu.instructions` says what they compile to.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.benchmarks.gpu.record import latest, outcomes, tell, told
from tests.benchmarks.gpu.table import table

ROOT = Path(__file__).parents[3]
LEAST = 3.0
"""Seconds below which no case is begun."""
FIRST = 30.0
"""Seconds that P0 may take in a short sitting, too: a machine's first import of PyTorch takes long, and what follows
depends on the device that P0 tells."""
TO_END = 5.0
"""Seconds in which a process that was killed ends; one that waits for a GPU that hangs may never do so."""
RESERVE = 12.0
"""Seconds that the paper's grid has to leave its states behind."""
GPU_TESTS = ("tests/training/test_fused_gpu.py", "tests/data/test_rendering.py")
METHODS = ("triton", "grouped", "streams")
PROCESSES = (1, 8, 16)


@dataclass(frozen=True)
class Case:
    """A case to run: its name, which the results have, and what follows the interpreter on its command line."""

    name: str
    command: Sequence[str]


@dataclass(frozen=True)
class Begun:
    """A case whose process was started, what that says, and when it was."""

    case: Case
    process: subprocess.Popen[bytes]
    log: Path
    at: float


CORES = max(1, (os.cpu_count() or 1) - 2)
"""That compile; two are left to the cases beside them."""
KERNELS = Case("kernels", ["-m", "tests.benchmarks.gpu.ahead", "--processes", str(CORES)])
"""Beside P0 and P1, which would compile one after the other; what is compiled by then is on the disk."""


@dataclass(frozen=True)
class Sitting:
    """What is asked for."""

    out: Path
    scratch: Path
    minutes: float
    small: bool

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those of the device."""
        return ("tf32", "bf16", "float32") if self.on_gpu else ("float32",)

    @property
    def on_gpu(self) -> bool:
        """As the first case told."""
        return latest(told(self.out), "ceilings", "device") == "cuda"

    @property
    def methods(self) -> tuple[str, ...]:
        """Those of the device."""
        return METHODS if self.on_gpu else METHODS[1:]

    @property
    def count(self) -> int:
        """Trials of the grid, or few."""
        return 3 if self.small else 36

    def case(self, name: str, kind: str, *arguments: object) -> Case:
        """One of `cases`."""
        size = "small" if self.small else "whole"
        command = ["-m", "tests.benchmarks.gpu.cases", str(self.out), name, size, kind, *map(str, arguments)]
        return Case(name, command)

    def fastest(self) -> list[tuple[str, str]]:
        """Methods and precisions by their time for the grid's number of trials, but for those that are wrong."""
        results, times = told(self.out), {}
        for method in self.methods:
            if latest(results, f"correct {method}", "agrees") is False:
                continue
            for precision in self.precisions:
                case = f"speed {self.count} {method} {precision}"
                ms = latest(results, case, "step_ms")
                if ms is not None and latest(results, case, "agrees") is not False:
                    times[method, precision] = ms
        return sorted(times, key=lambda each: times[each])


def _ceilings(sitting: Sitting) -> list[Case]:
    return [sitting.case("ceilings", "ceilings")]


def _correct(sitting: Sitting) -> list[Case]:
    """Ours last, since its kernels are compiled meanwhile."""
    return [sitting.case(f"correct {method}", "correct", method) for method in reversed(sitting.methods)]


def _speed(sitting: Sitting) -> list[Case]:
    cases = [
        sitting.case(f"speed {sitting.count} {method} {precision}", "speed", method, precision, sitting.count)
        for method in sitting.methods
        for precision in sitting.precisions
        if method == "triton" or precision != "bf16"
    ]
    precision = sitting.precisions[0]
    search = (
        f"speed {sitting.count} grouped {precision} search",
        "speed",
        "grouped",
        precision,
        sitting.count,
        "search",
    )
    return [*cases, sitting.case(*search)]


def _paper(sitting: Sitting, seconds: float) -> list[Case]:
    results = told(sitting.out)
    begun = latest(results, "paper", "precision")  # in which an earlier sitting has trained it in part
    ranked = [each for each in sitting.fastest() if begun in (None, each[1])]
    trials = latest(results, "paper", "trials")
    if trials is not None and latest(results, "paper", "ended") == trials:
        return []
    if not ranked or not (sitting.out / "records.tar.gz").exists():
        return []
    ends = time.time() + seconds - RESERVE  # by the clock, since it takes a while until the process trains
    return [sitting.case("paper", "paper", *ranked[0], ends, sitting.scratch)]


def _sizes(sitting: Sitting) -> list[Case]:
    counts = (4, 1) if sitting.small else (216, 1, 8)
    return [
        sitting.case(f"speed {count} {method} {precision}", "speed", method, precision, count)
        for method, precision in sitting.fastest()[:2]
        for count in counts
    ]


def _processes(sitting: Sitting) -> list[Case]:
    """One trial takes no groups, so that `grouped` is PyTorch's plain convolutions, captured."""
    counts = (1, 2) if sitting.small else PROCESSES
    precision = sitting.precisions[0]
    return [sitting.case(f"processes {n} {precision}", "processes", "grouped", precision, n) for n in counts]


def _tests(sitting: Sitting) -> list[Case]:
    many = ["-n", "12"] if find_spec("xdist") and not sitting.small else ["-n", "0"]
    files = GPU_TESTS[:1] if sitting.small else GPU_TESTS
    some = ["-k", "come_and_go"] if sitting.small else []
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:benchmark", "--maxfail", "30", "-m", "gpu", *many, *some]
    each = ["-p", "tests.benchmarks.gpu.each_test", "--out", str(sitting.out)]
    return [Case("tests", ["-m", "pytest", *options, *each, *files])]


PHASES: tuple[tuple[str, float, Callable[[Sitting], list[Case]] | None], ...] = (
    ("P0", 10, _ceilings),
    ("P1", 40, _correct),
    ("P2", 80, _speed),
    ("P3", 90, _tests),
    ("P4", 190, None),
    ("P5", 50, _processes),
    ("P6", 50, _sizes),
)
"""What matters most comes first, in case that a machine is taken back; what phases leave before the grid, it gets."""


def sit(sitting: Sitting) -> None:
    """Go through the phases, and tell of each case how it ended."""
    scale = sitting.minutes * 60 / sum(seconds for _, seconds, _ in PHASES)
    ends = time.monotonic() + sitting.minutes * 60
    kernels = None if sitting.small else _begin(sitting, KERNELS)
    for i, (phase, seconds, cases_of) in enumerate(PHASES):
        now = time.monotonic()
        later = scale * sum(seconds for _, seconds, _ in PHASES[i + 1 :])
        if cases_of is None:
            limit = ends - later - now
            cases = _paper(sitting, limit)
        else:
            limit, cases = max(scale * seconds, FIRST if i == 0 else 0.0), cases_of(sitting)
        phase_ends = min(ends, now + limit)
        done = outcomes(told(sitting.out))
        for case in cases:
            if done.get(case.name) != "done" or case.name == "paper":
                _run(sitting, phase, case, phase_ends - time.monotonic())
        if kernels and phase == "P1":  # what follows is timed
            _finish(sitting, phase, kernels, phase_ends - time.monotonic())


def _run(sitting: Sitting, phase: str, case: Case, seconds: float) -> None:
    if seconds < LEAST:
        tell(sitting.out, case.name, phase=phase, outcome="no time")
    else:
        _finish(sitting, phase, _begin(sitting, case), seconds)


def _begin(sitting: Sitting, case: Case) -> Begun:
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        # Of its own, as a case that is ended in a method's midst would have later ones do without the method.
        "XDG_CACHE_HOME": str(sitting.scratch / "caches" / case.name),
    }
    log = sitting.scratch / f"{case.name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *case.command],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Begun(case, process, log, time.monotonic())


def _finish(sitting: Sitting, phase: str, begun: Begun, seconds: float) -> None:
    """Wait for a case for so long at most, and tell how it ended."""
    case, code, outcome = begun.case, None, "too long"
    try:
        code = begun.process.wait(max(0.0, seconds))
        outcome = "done" if code == 0 else "failed"
    except subprocess.TimeoutExpired:
        pass
    finally:
        _end(begun.process)
    said = begun.log.read_text(errors="replace").splitlines()
    more: dict[str, Any] = {} if outcome == "done" else {"code": code, "said": said[-12:]}
    if case.name == "tests":
        more["last"] = next((line for line in reversed(said) if " in " in line), "")
    tell(sitting.out, case.name, phase=phase, outcome=outcome, wall_s=round(time.monotonic() - begun.at, 1), **more)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a case with all processes that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(TO_END)


def _prepare(sitting: Sitting) -> str | None:
    """Make the sweep of P4 where there is none yet; why it cannot be made, if that is so."""
    if (sitting.out / "records.tar.gz").exists():
        return None
    code = (
        "import sys; from pathlib import Path; from tests.benchmarks.gpu.paper import prepare; "
        "prepare(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == 'small')"
    )
    where = [str(sitting.out), str(sitting.scratch), "small" if sitting.small else "whole"]
    done = subprocess.run([sys.executable, "-c", code, *where], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1] if done.returncode else None


def main(args: Sequence[str]) -> None:
    """Sit, and print the table last."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results, and of those of before")
    parser.add_argument("--minutes", type=float, default=8.5, help="of the whole sitting")
    parser.add_argument("--small", action="store_true", help="sizes of a test")
    parser.add_argument("--prepare", action="store_true", help="make the sweep of P4, and no more")
    options = parser.parse_args(args)
    out = options.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dd_ray-gpu-") as scratch:
        sitting = Sitting(out, Path(scratch), options.minutes, options.small)
        why_not = _prepare(sitting)
        if why_not:
            tell(out, "paper", outcome="not prepared", said=[why_not])
        if not options.prepare:
            sit(sitting)
    lines = table(told(out))
    (out / "table.txt").write_text("\n".join(lines) + "\n")
    print("\n".join(lines), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
