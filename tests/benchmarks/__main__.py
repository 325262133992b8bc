"""All benchmarks: `python -m tests.benchmarks`."""

from tests.benchmarks import overhead, rendering, sweep, training

if __name__ == "__main__":
    for benchmark in (rendering, training, sweep, overhead):
        print(f"\n## {benchmark.__doc__.partition(':')[0]}\n", flush=True)
        benchmark.main()
