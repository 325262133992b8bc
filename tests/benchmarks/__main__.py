"""All benchmarks, for most of an hour: `python -m tests.benchmarks`; one: `python -m tests.benchmarks.NAME`."""

import argparse
from importlib import import_module
from importlib.util import find_spec

ALONE, WITH_RAY = ("rendering", "training", "convolutions", "studies", "stack"), ("sweep", "overhead", "packed")

if __name__ == "__main__":
    argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__).parse_args()
    for name in (*ALONE, *(WITH_RAY if find_spec("ray") else ())):
        benchmark = import_module(f"tests.benchmarks.{name}")
        print(f"\n## {(benchmark.__doc__ or name).partition(':')[0]}\n", flush=True)
        benchmark.main()
