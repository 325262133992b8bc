"""Kernels compiled before a GPU is lent: `python -m tests.benchmarks.gpu.ahead --out CACHE.tar.gz [--tiles]`.

Compiles for compute capability 90, without a GPU, what is launched by the cases `correct` and `speed` of a sitting and
by `tests/training/test_fused_gpu.py`, and with `--tiles` by `gpu.tiles`, into the folder TRITON_CACHE_DIR, and packs
that. So the machine with the GPU, after `tar xzf CACHE.tar.gz -C $TRITON_CACHE_DIR`, measures in place of compiling.
Without `--out` nothing is packed: so a sitting compiles what is not there yet by most cores, beside its first cases.
A launch there finds its kernel where these are the same on both machines:

- the build of Triton and the Python that it is for: a kernel's name in the cache has a hash of Triton's files in it;
- TRITON_CACHE_DIR, an absolute path, which files of the cache have in them, and all other variables TRITON_...;
- the kernels and the sizes that they are launched with: the same tree.

A launch that finds none compiles it as ever. What starts a kernel, a library of some lines of C, is not among these.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from dd_ray.config import TrialConfig
from tests.benchmarks.gpu import tiles
from tests.benchmarks.gpu.instructions import PRECISIONS
from tests.benchmarks.gpu.record import archive
from tests.benchmarks.stack import BASE
from tests.small import CONFIGS, small
from tests.training.compiled import compiled_for_an_h100, without_memory
from tests.training.launches import Launch, multiplied_as, recorded
from tests.training.traffic import step_of_nothing

Stacked = tuple[TrialConfig, int]
"""A config, and how many trials there are of it: one is launched otherwise than many, which are all alike."""

SITTING: tuple[Stacked, ...] = ((replace(BASE, batch_size=16), 3), (BASE, tiles.TRIALS), (BASE, 1))
NARROW: Stacked = (replace(small("inertia_vae"), width_factor=0.25), 9)
TESTS: tuple[Stacked, ...] = (*((config, 3) for config in CONFIGS), (small("inertia_vae"), 1))
KEPT = (".cubin", ".json")
"""Files of a cache that a launch reads."""


def launches(with_tiles: bool) -> Iterator[Launch]:
    """Tell what to compile, in a sitting's order; of launches that take the same code, all but one are left out."""
    known = set()
    steps = [(precision, stacked, True) for stacked in SITTING for precision in PRECISIONS]
    of_tests = [*(("ieee", stacked) for stacked in TESTS), ("ieee", NARROW), ("tf32", NARROW)]
    steps += [(*each, shared) for each in of_tests for shared in (True, False)]
    found: list[tuple[str, Callable[[], Iterable[Launch]]]] = []
    found += [(precision, partial(_of_step, stacked, shared)) for precision, stacked, shared in steps]
    found += [(precision, _of_tiles) for precision in tiles.PRECISIONS] if with_tiles else []
    for precision, of_part in found:
        with multiplied_as(precision):
            made = list(map(without_memory, of_part()))
        for launch in made:
            if repr(launch) not in known:
                known.add(repr(launch))
                yield launch


def _of_step(stacked: Stacked, shared: bool) -> list[Launch]:
    return recorded(partial(step_of_nothing, *stacked, "triton", shared))


def _of_tiles() -> Iterator[Launch]:
    for call in calls_of_nothing():
        for part in call.parts({}):
            yield from (launch for _, launch in call.launches(part))


def calls_of_nothing() -> list[tiles.Call]:
    """The calls that `gpu.tiles` times, on a device that computes nothing."""
    calls: list[tiles.Call] = []
    step = partial(step_of_nothing, BASE, tiles.TRIALS, "triton")
    recorded(lambda: calls.extend(tiles.calls_of(step)))
    return calls


def compiled(launch: Launch) -> str | None:
    """Compile a launch's kernel into Triton's cache; why that cannot be, if so."""
    try:
        compiled_for_an_h100(launch)
    except Exception as error:  # a compiler may raise any
        return f"{launch.name} {launch.what}: {error!r}"
    return None


def pack(cache: Path, out: Path) -> None:
    """Put into an archive what launches read of a cache."""
    with tempfile.TemporaryDirectory(prefix="dd_ray-kernels-") as folder:
        scratch = Path(folder)
        for path in cache.glob("*/*"):
            if path.suffix in KEPT:
                copy = scratch / path.relative_to(cache)
                copy.parent.mkdir(exist_ok=True)
                copy.write_bytes(_content(path))
        archive(out, scratch, sorted(scratch.glob("*/*")), level=6)


def _content(path: Path) -> bytes:
    """Of a file; of a kernel's list of its files, those that are packed: Triton 3.9 takes none of them if one lacks."""
    if not path.name.startswith("__grp__"):
        return path.read_bytes()
    group = json.loads(path.read_text())
    kept = {name: place for name, place in group["child_paths"].items() if name.endswith(KEPT)}
    return json.dumps({**group, "child_paths": kept}).encode()


def main(args: Sequence[str]) -> None:
    """Compile, by processes side by side, and pack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="archive of the cache; none is packed where it is not given")
    parser.add_argument("--tiles", action="store_true", help="what `gpu.tiles` launches, too")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="that compile")
    options = parser.parse_args(args)
    cache = Path(os.environ.get("TRITON_CACHE_DIR", ""))
    if options.out and not cache.is_absolute():
        parser.error("TRITON_CACHE_DIR has to be an absolute path, the same as on the machine with the GPU.")
    started = time.monotonic()
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        ended = list(pool.imap_unordered(compiled, launches(options.tiles)))  # while further ones are found
    if options.out:
        pack(cache, options.out)
    failed = [why for why in ended if why]
    print(f"{len(ended) - len(failed)} kernels in {time.monotonic() - started:.0f} s", *failed, sep="\n", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
