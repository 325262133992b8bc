"""The page and the pictures of a large sweep: `python -m tests.benchmarks.report [FOLDER]`.

The sweep has 216 cells of three seeds with 31 evaluations each, whose numbers are drawn from a formula, and networks as
they are before training. It is kept in FOLDER, if that is given, for the next time. The first table has what is
written; the second, where there is a Chromium with its driver, what a reader waits for: each step done several times,
with all parts of the page drawn once before.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from dd_ray.figures import reconstruction_errors, traversals
from dd_ray.figures.network_pictures import Options as Traversals
from dd_ray.metrics import REPORTED
from dd_ray.report.command import Options, write_report
from tests.benchmarks.table import Table, show
from tests.figures.networks import write_trained_sweep
from tests.figures.sweeps import Values

AXES = {
    "beta": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0],
    "gamma": [0.0, 0.3, 0.5, 0.7, 0.8, 0.9],
    "lam": [0.0, 1.0, 3.0, 10.0, 30.0, 100.0],
    "background": ["gaussian"],  # without which reconstruction errors have no regions
    "width_factor": [0.5],
    "seed": [0, 1, 2],
}
EVALUATED = tuple(range(0, 301, 10))
TITLE = "216 cells × 3 seeds × 31 evaluations"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = "--headless=new --no-sandbox --disable-dev-shm-usage --use-angle=swiftshader --enable-unsafe-swiftshader"
REPEATS = 7
FIRST_VIEWS = 3
SECONDS_TO_WAIT = 300
FIRST_VIEW = """
new MutationObserver((_, observer) => {
  if (document.documentElement?.dataset.ready !== "yes") return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => { window.firstView = performance.now(); }));
}).observe(document, { attributes: true, subtree: true, attributeFilter: ["data-ready"] });
"""


def numbers_of(config: Values, iteration: int) -> Values:
    """Numbers that rise with γ and fall with the iteration, with noise of their own for each trial."""
    place = [round(1000 * config[name]) for name in ("beta", "gamma", "lam", "seed")]
    noise = np.random.default_rng([*place, iteration]).normal(size=len(REPORTED))
    base = 0.3 + 0.4 * config["gamma"] + 0.1 * np.log10(1 + config["lam"]) + 0.1 / (1 + iteration / 30)
    return {name: float(base + 0.02 * part) for name, part in zip(REPORTED, noise, strict=True)} | {"active_units": 4.0}


def main(args: Sequence[str] = ()) -> None:
    """Write the page and the figures of a large sweep, and print how long each takes to write and to use."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="where the sweep is kept; a temporary one by default")
    folder = parser.parse_args(args).folder
    with tempfile.TemporaryDirectory() as temporary:
        path = (folder or Path(temporary)) / "large"
        if not (path / "sweep.json").exists():
            write_trained_sweep(path, AXES, metrics=numbers_of, evaluated=EVALUATED)
        out = Path(temporary)
        tables = [_written(str(path), out)]
        driver, browser = shutil.which("chromedriver"), next(filter(None, map(shutil.which, BROWSERS)), None)
        if driver and browser:
            tables.append(_used(out / "2.html", driver, browser))
        show(tables)


def _written(path: str, out: Path) -> Table:
    def page(videos: int) -> list[Path]:
        return [write_report(Options(path=path, videos=videos, out=out / f"{videos}.html"))]

    made = {
        "page without pictures": lambda: page(0),
        "page with pictures": lambda: page(2),
        "reconstruction_errors": lambda: reconstruction_errors.write_errors(
            reconstruction_errors.Options(path=path, out=out)
        ),
        "traversals": lambda: traversals.write_traversals(Traversals(path=path, out=out)),
    }
    rows = []
    for name, write in made.items():
        began = time.perf_counter()
        files = write()
        rows.append([name, time.perf_counter() - began, len(files), sum(file.stat().st_size for file in files) / 1e6])
    return Table(title=TITLE, columns=("written", "s", "files", "MB"), rows=rows)


def _used(page: Path, driver: str, browser: str) -> Table:
    """Milliseconds that a reader waits for a page with pictures, and for what changes after each step."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in [*FLAGS.split(), "--window-size=1400,900"]:
        options.add_argument(flag)
    opened: Any = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        opened.set_script_timeout(SECONDS_TO_WAIT)
        opened.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": FIRST_VIEW})
        opened.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        rows = [["first view", *_summed([_first_view(opened, page) for _ in range(FIRST_VIEWS)])]]
        opened.execute_script(Path(__file__).with_name("report_clicks.js").read_text("utf-8"))
        _called(opened, "seeAll")
        for step in opened.execute_script("return benchmark.steps"):
            _called(opened, "see", step)
            rows.append([step, *_summed([_step(opened, step, turn) for turn in range(REPEATS)])])
    finally:
        opened.quit()
    columns = ("step", "ms", "ms, longest", "ms until all", "ms of a processor")
    note = (
        "Medians, of the first picture after a step, and of all that is in sight. The processor is that of the page's "
        "main thread, and does not wait for what else this machine runs."
    )
    return Table(title=f"{TITLE}, in a browser", columns=columns, rows=rows, note=note)


def _summed(measured: Sequence[tuple[float, float, float]]) -> tuple[float, float, float, float]:
    """Median and longest wait for a picture, and the medians of that for all, and of the processor's time."""
    first, everything, worked = zip(*measured, strict=True)
    return median(first), max(first), median(everything), median(worked)


def _called(browser: Any, name: str, *arguments: Any) -> Any:
    """What one of the benchmark's own functions on the page comes to."""
    call = "const [name, given, done] = arguments; benchmark[name](...given).then(done, (error) => done(String(error)))"
    return browser.execute_async_script(call, name, arguments)


def _worked(browser: Any) -> float:
    """Milliseconds that the page's main thread has worked."""
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return 1000 * next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def _step(browser: Any, step: str, turn: int) -> tuple[float, float, float]:
    """Milliseconds from a step to the next picture, to that of all in sight, and those that the main thread worked."""
    before = _worked(browser)
    first, everything = _called(browser, "time", step, turn)
    return first, everything, _worked(browser) - before


def _first_view(browser: Any, page: Path) -> tuple[float, float, float]:
    """Milliseconds from the beginning of the loading to the first complete picture, twice, and those of work."""
    browser.get("about:blank")
    before = _worked(browser)
    browser.get(page.as_uri())
    end = time.monotonic() + SECONDS_TO_WAIT
    while (seen := browser.execute_script("return window.firstView ?? null")) is None:
        if time.monotonic() > end:
            raise TimeoutError(f"{page} was not drawn within {SECONDS_TO_WAIT} s.")
        time.sleep(0.05)
    return float(seen), float(seen), max(_worked(browser) - before, 0.0)


if __name__ == "__main__":
    main(sys.argv[1:])
