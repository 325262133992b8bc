"""The page of a sweep in a headless browser: hover, click, slide, type, touch."""

import os
import shutil
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import pytest

from dd_ray.cli import parse
from dd_ray.metrics import REPORTED
from dd_ray.report import content as contents
from dd_ray.report import server
from dd_ray.report.command import Options, write_report
from dd_ray.report.content import collect
from dd_ray.report.page import render
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep import LogUniform, Search
from dd_ray.sweep.planned import PlannedTrial
from dd_ray.sweep.search_plan import SearchPlan
from tests.figures.networks import write_trained_sweep
from tests.figures.sweeps import GRID, Values, by_seed, write_sweep
from tests.report.test_report import HOSTILE, hostile_sweep
from tests.report.test_server import record, serving
from tests.results.test_timeline import FIRST
from tests.results.test_timeline import record as attempt
from tests.sweep.searching import TINY_SEARCH, plan_of, run

pytestmark = pytest.mark.browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = """--headless=new --no-sandbox --disable-quic --no-first-run --disable-background-networking
    --disable-component-update --disable-sync --disable-dev-shm-usage"""
# With an emulated graphics card a page is put together three times as slowly, but for the parts that need one.
WITH_WEBGL = "--use-angle=swiftshader --enable-unsafe-swiftshader --disable-gpu-compositing"
WITHOUT_WEBGL = "--disable-gpu --disable-software-rasterizer"
# A page draws what is out of sight when the reader has rested, and its server is asked every few seconds.
IN_HASTE = """const later = setTimeout;
    window.setTimeout = (run, wait = 0, ...given) => later(run, wait < 200 ? wait : wait / 20, ...given);"""
LEFT, UP, RIGHT, DOWN, ENTER = "\ue012", "\ue013", "\ue014", "\ue015", "\ue007"  # of WebDriver
PHONE = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": False}
WAIT = 60  # seconds: the machine may be busy

Start = Callable[..., Any]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Opens browsers, which end with the module: `start(width=1200, height=900, touch=False, webgl=False)`."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")
    opened = []

    def open_browser(width: int = 1200, height: int = 900, touch: bool = False, webgl: bool = False) -> Any:
        options = webdriver.ChromeOptions()
        options.binary_location = browser
        for flag in [*f"{FLAGS} {WITH_WEBGL if webgl else WITHOUT_WEBGL}".split(), f"--window-size={width},{height}"]:
            options.add_argument(flag)
        if touch:
            metrics = {"width": width, "height": height, "pixelRatio": 2.0, "touch": True}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        service = webdriver.ChromeService(driver, log_output=os.devnull)
        opened.append(webdriver.Chrome(options=options, service=service))
        opened[-1].execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": IN_HASTE})
        return opened[-1]

    yield open_browser
    for one in opened:
        one.quit()


@pytest.fixture(scope="module")
def browser(start: Start) -> Any:
    """Draws no parallel coordinates, which without a graphics card take a second on each page."""
    return start()


@pytest.fixture(scope="module")
def webgl(start: Start) -> Any:
    return start(webgl=True)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a grid of 12 cells and two seeds, with networks; one cell failed, some were stopped."""
    path = tmp_path_factory.mktemp("report") / "s"
    write_trained_sweep(path, {**GRID, "seed": [0, 1]}, _ended)
    return write_report(Options(path=str(path)))


def _ended(config: Values) -> tuple[str, int]:
    if config["gamma"] == 0.9 and config["beta"] == 0.1:
        return "failed", -1
    return ("stopped_early", 150) if config["gamma"] == 0.5 else ("finished", 300)


def show(browser: Any, page: Path) -> Any:
    """Open a page and wait until it can be used."""
    browser.get("about:blank")
    complaints(browser)  # of a page before
    browser.get(page.as_uri())
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "yes")
    settle(browser)
    return browser


def until(condition: Callable[[], Any]) -> Any:
    """Wait for what a browser does in its own time."""
    end = time.monotonic() + WAIT
    while not (value := condition()):
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.05)
    return value


def settle(browser: Any) -> None:
    """Wait until everything is drawn as it is now: what is out of sight is drawn a moment later."""
    until(lambda: browser.execute_script("return document.documentElement.dataset.drawn !== 'no'"))


def text(browser: Any, name: str) -> str:
    settle(browser)
    return str(browser.execute_script("return document.getElementById(arguments[0]).innerText", name))


def press(browser: Any, name: str, *keys: str) -> None:
    browser.find_element("id", name).send_keys(*keys)


def scroll_to(browser: Any, name: str) -> None:
    browser.execute_script("document.getElementById(arguments[0]).scrollIntoView({block: 'center'})", name)


def place_on_map(browser: Any, x: int, y: int) -> dict[str, float]:
    """Where the middle of a cell of the map is in the window."""
    scroll_to(browser, "map")
    settle(browser)
    script = """const map = document.getElementById('map'), box = map.getBoundingClientRect(), plot = map._fullLayout;
        return {x: box.left + plot.xaxis._offset + plot.xaxis.l2p(arguments[0]),
                y: box.top + plot.yaxis._offset + plot.yaxis.l2p(arguments[1])}"""
    return dict(browser.execute_script(script, x, y))


def mouse(browser: Any, kind: str, at: dict[str, float], held: bool = False) -> None:
    button = {"button": "left", "clickCount": 1} if kind != "mouseMoved" else {"buttons": int(held)}
    browser.execute_cdp_cmd("Input.dispatchMouseEvent", {"type": kind, **at, **button})


def click(browser: Any, at: dict[str, float]) -> None:
    for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
        mouse(browser, kind, at)


def complaints(browser: Any) -> list[str]:
    """What the page has said in the console since the last time, without how long the graphics driver takes."""
    messages = [entry["message"] for entry in browser.get_log("browser")]
    return [message for message in messages if "GL Driver Message (OpenGL, Performance" not in message]


def shown_rows(browser: Any) -> list[list[str]]:
    script = """return [...document.querySelectorAll('#table tbody tr')]
        .map((row) => [...row.cells].map((cell) => cell.textContent))"""
    settle(browser)
    return [list(row) for row in browser.execute_script(script)]


def test_it_draws_without_complaint_and_without_a_request(webgl: Any, page: Path) -> None:
    show(webgl, page)
    webgl.execute_script("document.getElementById('parallel').scrollIntoView()")
    until(lambda: webgl.execute_script("return document.querySelectorAll('#parallel .axis-title').length"))
    assert complaints(webgl) == []
    assert webgl.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert "12 cells, 24 trials" in text(webgl, "summary")
    assert len(shown_rows(webgl)) == 12
    blocked = "return fetch('http://localhost:9').then(() => 'sent', () => 'blocked')"
    assert webgl.execute_script(blocked) == "blocked"
    assert all("Content Security Policy" in complaint for complaint in complaints(webgl))


def test_hovering_tells_a_cell_and_clicking_chooses_it(browser: Any, page: Path) -> None:
    show(browser, page)
    at = place_on_map(browser, 1, 1)
    mouse(browser, "mouseMoved", at)
    hover = "return document.querySelector('#map .hoverlayer').textContent"
    assert "β = 0.1, γ = 0.5, λ = 0" in until(lambda: browser.execute_script(hover))
    assert "stopped early at iteration 150" in browser.execute_script(hover)
    click(browser, at)
    until(lambda: text(browser, "cell-title") == "β = 0.1, γ = 0.5, λ = 0")
    assert "stopped early at iteration 150" in text(browser, "reading")
    assert "S stopped early" in text(browser, "legend") and "F failed" in text(browser, "legend")
    strips = browser.execute_script("return document.querySelectorAll('#pictures .strip').length")
    assert (
        strips == 2 * 4 + 4 + 1 + 3
    )  # two videos and their differences of two, four latents, a dreamt video at three γ
    assert "first 3 frames" in text(browser, "pictures")
    assert "of the frames show a circle" in text(browser, "lag")
    until(lambda: browser.execute_script("return document.querySelectorAll('#curves .scatter').length >= 8"))
    rows = browser.execute_script("return document.getElementById('seeds').rows.length")
    assert rows == 1 + 2
    assert "gamma" in browser.execute_script("return document.getElementById('config').textContent")
    selected = browser.execute_script("return document.querySelector('tr[aria-selected=true]').innerText")
    assert selected.split()[:3] == ["0.1", "0.5", "0"]


def test_seeds_that_did_not_get_as_far_are_told_from_those_of_the_mean(browser: Any, tmp_path: Path) -> None:
    ended = by_seed(("finished", 300), ("unfinished", 150), ("unfinished", 0))
    path = write_sweep(
        tmp_path / "s", {"beta": [0.1], "seed": [0, 1, 2]}, ended, metrics=lambda _, at: {"mcc": at / 1000}
    )
    show(browser, write_report(Options(path=str(path), videos=0)))
    said = "0.300 (1 of 3 seeds at iteration 300), unfinished at iteration 150 in 2 of 3 seeds"
    assert said in text(browser, "reading")
    press(browser, "iteration", LEFT)
    until(lambda: text(browser, "map-title").endswith("iteration 150"))
    head, *rows = text(browser, "seeds").splitlines()[1:]  # below what they are
    assert head.split("\t")[2] == "Last evaluation"
    assert [row.split("\t")[2:] for row in rows] == [["300", "0.150"], ["150", "0.150"], ["0", "–"]]
    said = "0.150 ± 0 (2 of 3 seeds at iteration 150), unfinished at iteration 0 in 1 of 3 seeds"
    assert said in text(browser, "reading")
    assert complaints(browser) == []


def test_what_an_interval_is_stands_where_it_is_written(browser: Any, page: Path, tmp_path: Path) -> None:
    show(browser, page)
    said = "of a variance pooled over cells where they vary alike; dd-ray results prints that of each cell's own seeds."
    assert any(" ± " in value for value in shown_rows(browser)[0])
    assert said in text(browser, "map-help") and said in text(browser, "table-help")
    show(browser, write_report(Options(path=str(write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]})))))
    assert not any(" ± " in value for value in shown_rows(browser)[0])
    assert "±" not in text(browser, "map-help") + text(browser, "table-help")
    assert complaints(browser) == []


def test_a_cell_that_failed_is_shown_with_its_error_and_without_pictures(browser: Any, page: Path) -> None:
    show(browser, page)
    click(browser, place_on_map(browser, 2, 1))
    until(lambda: text(browser, "cell-title") == "β = 0.1, γ = 0.9, λ = 0")
    assert "boom" in text(browser, "seeds")
    assert "never evaluated" in text(browser, "pictures")
    assert complaints(browser) == []


def test_sliders_and_metric_change_the_map(browser: Any, page: Path) -> None:
    show(browser, page)
    click(browser, place_on_map(browser, 0, 0))
    until(lambda: text(browser, "cell-title") == "β = 0, γ = 0, λ = 0")
    values = "return document.getElementById('map').data[0].z[0][0]"
    at_end = browser.execute_script(values)
    press(browser, "slice-lam", RIGHT)
    until(lambda: text(browser, "cell-title") == "β = 0, γ = 0, λ = 10")
    assert browser.execute_script(values) != at_end
    press(browser, "iteration", LEFT)
    until(lambda: text(browser, "map-title").endswith("iteration 150"))
    assert text(browser, "iteration-value") == "150 of 300"
    # Stopped at 150, a cell has had all the training that this map asks for.
    until(lambda: "stopped" not in text(browser, "legend"))
    browser.execute_script("""const select = document.getElementById('metric'); select.value = 'mcc';
        select.dispatchEvent(new Event('change'))""")
    until(lambda: text(browser, "map-title") == "MCC at iteration 150")
    assert text(browser, "reading").startswith("β = 0, γ = 0, λ = 10 — MCC")
    scale = browser.execute_script("const [heat] = document.getElementById('map').data; return [heat.zmin, heat.zmax]")
    press(browser, "slice-lam", LEFT)
    until(lambda: text(browser, "cell-title").endswith("λ = 0"))
    assert scale == browser.execute_script(
        "const [heat] = document.getElementById('map').data; return [heat.zmin, heat.zmax]"
    )
    assert complaints(browser) == []


@pytest.mark.slow
def test_a_slider_to_a_map_that_lacks_the_chosen_cell_leads_to_the_nearest_or_to_none(
    browser: Any, tmp_path: Path
) -> None:
    axes = {"beta": [0.1, 1.0], "gamma": [0.5, 0.9], "lam": [0.0, 10.0], "seed": [0]}
    of_vae = {"model": ["beta_vae"], "gamma": [0.0], "lam": [0.0]}
    show(browser, write_report(Options(path=str(write_sweep(tmp_path / "s", axes, beside=of_vae)), videos=0)))
    press(browser, "slice-model", LEFT)
    click(browser, place_on_map(browser, 0, 1))
    until(lambda: text(browser, "cell-title") == "β = 1, γ = 0, λ = 0, model = beta_vae")
    press(browser, "slice-lam", RIGHT)  # the β-VAE has no λ
    until(lambda: text(browser, "cell-title") == "No cell chosen")
    assert text(browser, "legend") == "the sweep has no cell here"
    press(browser, "iteration", LEFT)
    until(lambda: text(browser, "map-title").endswith("iteration 150"))
    assert text(browser, "reading") == ""  # it told a cell of another map, at another iteration
    assert not browser.execute_script("return document.getElementById('seeds').checkVisibility()")
    press(browser, "slice-lam", LEFT)
    until(lambda: text(browser, "cell-title").endswith("λ = 0, model = beta_vae"))
    click(browser, place_on_map(browser, 0, 1))
    press(browser, "slice-model", RIGHT)
    until(lambda: text(browser, "cell-title") == "β = 1, γ = 0.5, λ = 0, model = inertia_vae")
    assert browser.execute_script("return document.getElementById('seeds').checkVisibility()")
    assert complaints(browser) == []


@contextmanager
def as_wide_as(browser: Any, width: int) -> Iterator[None]:
    """A window of another width, which may change meanwhile."""
    widen(browser, width)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def widen(browser: Any, width: int) -> None:
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**PHONE, "width": width, "height": 900})


def select(browser: Any, name: str, value: str) -> None:
    script = "const [id, value] = arguments; const made = document.getElementById(id); made.value = value;"
    browser.execute_script(script + "made.dispatchEvent(new Event('change'))", name, value)


def test_the_maps_of_all_values_of_a_slider_stand_below_the_map_and_can_be_clicked(browser: Any, page: Path) -> None:
    with as_wide_as(browser, 1400):
        show(browser, page)
        scroll_to(browser, "multiples")
        until(lambda: browser.execute_script("return document.getElementById('multiples').data"))
        titles = "return document.getElementById('multiples').layout.annotations.map(({text}) => text)"
        assert browser.execute_script(titles) == ["<b>λ = 0</b>", "λ = 10"]
        place = """const plot = document.getElementById('multiples'), full = plot._fullLayout;
            const box = plot.getBoundingClientRect();
            return {x: box.left + full.xaxis2._offset + full.xaxis2.l2p(1),
                    y: box.top + full.yaxis2._offset + full.yaxis2.l2p(1)}"""
        click(browser, browser.execute_script(place))
        until(lambda: text(browser, "cell-title") == "β = 0.1, γ = 0.5, λ = 10")
        until(lambda: browser.execute_script(titles) == ["λ = 0", "<b>λ = 10</b>"])
        left, right = browser.execute_script("""return [...document.querySelectorAll('.column')].map((column) =>
            [...column.children].map(({id}) => id))""")
        assert left == ["overview", "multiples-section", "curves-section"] and right == ["cell"]
        assert complaints(browser) == []


def test_a_map_of_differences_does_not_mark_what_has_no_spread(browser: Any, page: Path) -> None:
    show(browser, page)
    select(browser, "metric", "mcc")
    select(browser, "compared", "lam")
    until(lambda: text(browser, "map-title") == "MCC minus that at λ = 0 at iteration 300")
    click(browser, place_on_map(browser, 0, 0))
    until(lambda: text(browser, "cell-title") == "β = 0, γ = 0, λ = 0")
    assert "what the others are compared with" in text(browser, "legend")
    press(browser, "slice-lam", RIGHT)  # where the MCC is 0.1 higher for every seed, to the last digit
    until(lambda: text(browser, "cell-title") == "β = 0, γ = 0, λ = 10")
    assert "MCC minus that at λ = 0: +0.100 ± 0 (2 seeds), complete" in text(browser, "reading")
    assert "for the map as a whole" not in text(browser, "reading") + text(browser, "legend")
    labels, scale = browser.execute_script("""const [heat, letters] = document.getElementById('map').data;
        return [letters.text, [heat.zmin, heat.zmax]]""")
    assert any(label.startswith("+0.100") for label in labels) and not any("▲" in label for label in labels)
    assert scale[0] == -scale[1] < 0
    select(browser, "metric", "active_units")
    until(lambda: "of counts: no interval, and no cell is marked" in text(browser, "legend"))
    select(browser, "metric", "mcc")
    select(browser, "compared", "")
    until(lambda: text(browser, "map-title") == "MCC at iteration 300")
    assert complaints(browser) == []


def test_the_best_cell_is_chosen_first_starred_and_outlined(browser: Any, page: Path) -> None:
    show(browser, page)
    assert text(browser, "cell-title") == "β = 0, γ = 0, λ = 0"  # with the smallest error of the complete cells
    assert "the best of the complete cells" in text(browser, "legend") and "outlined" in text(browser, "legend")
    labels, paths = browser.execute_script("""const map = document.getElementById('map');
        return [map.data[1].text, map.layout.shapes.filter((shape) => shape.name === 'best region')
            .map((shape) => shape.path)]""")
    assert sum("★" in label for label in labels) == 1
    assert len(paths) == 2 and paths[0] == paths[1]  # black on white


@pytest.mark.slow
def test_numbers_and_letters_stay_within_their_cell_and_its_frame(browser: Any, tmp_path: Path) -> None:
    def collapsing(config: Values, iteration: int) -> Values:
        return {"reconstruction_error": 0.0123 + config["beta"] / 100, "active_units": 4.0 * (config["beta"] < 1)}

    axes = {"beta": [0.1 * i for i in range(1, 18)], "gamma": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}
    path = write_sweep(tmp_path / "s", axes, metrics=collapsing)
    show(browser, write_report(Options(path=str(path), videos=0)))
    texts = """return [...document.querySelectorAll('#map .textpoint text')]
        .map((text) => [text.textContent, text.getBoundingClientRect().width])"""
    widths = dict(until(lambda: browser.execute_script(texts)))
    cell = place_on_map(browser, 1, 0)["x"] - place_on_map(browser, 0, 0)["x"]
    assert any(text.endswith("C") for text in widths)
    assert max(widths.values()) < 0.92 * cell - 6


def test_a_star_says_which_maps_it_is_the_best_of(browser: Any, tmp_path: Path) -> None:
    def spread(config: Values, iteration: int) -> Values:
        of_gamma = config["gamma"] if config["decode"] == "extrapolated" else 0
        return {"mcc": 0.5 + 0.1 * of_gamma + 0.001 * config["seed"]}

    axes = {"beta": [0.1, 1.0], "gamma": [0.0, 0.5], "lam": [0.0, 10.0], "decode": ["extrapolated", "filtered"]}
    path = write_sweep(tmp_path / "s", {**axes, "seed": [0, 1, 2]}, metrics=spread)
    show(browser, write_report(Options(path=str(path), videos=0)))
    assert "without collapse where decode = extrapolated" in text(browser, "legend")
    assert "the best where decode = extrapolated" in text(browser, "reading")
    press(browser, "slice-decode", RIGHT)
    until(lambda: "no ★ no cell can be told apart where decode = filtered" in text(browser, "legend"))
    assert complaints(browser) == []


def test_luck_and_the_family_of_differences_are_those_of_the_map_shown(browser: Any, tmp_path: Path) -> None:
    def spread(config: Values, iteration: int) -> Values:
        noise = 0.001 if config["decode"] == "extrapolated" else 0.01
        return {"mcc": 0.5 + 0.1 * config["gamma"] + noise * config["seed"] * (1 + config["gamma"])}

    def ended(config: Values) -> tuple[str, int]:
        return ("failed", -1) if config["decode"] == "filtered" and config["beta"] == 1 else ("finished", 300)

    axes = {"beta": [0.1, 1.0], "gamma": [0.0, 0.5, 0.9], "lam": [0.0, 10.0], "decode": ["extrapolated", "filtered"]}
    path = write_sweep(tmp_path / "s", {**axes, "seed": [0, 1, 2]}, ended, metrics=spread)
    show(browser, write_report(Options(path=str(path), videos=0)))
    expected = {
        "": ("up to 0.0009", "up to 0.009"),
        "gamma": ("(8 differences: Dunnett's", "(4 differences: Dunnett's"),
    }
    for compared, told in expected.items():
        select(browser, "compared", compared)
        for key, decode, said in zip((LEFT, RIGHT), axes["decode"], told, strict=True):
            press(browser, "slice-decode", key)
            until(lambda decode=decode: f"decode = {decode}" in text(browser, "legend"))
            assert said in text(browser, "legend") and text(browser, "legend").count("differences:") == bool(compared)
    assert complaints(browser) == []


@pytest.mark.slow
def test_a_map_without_a_number_has_no_bracket_as_it_has_no_bar(browser: Any, tmp_path: Path) -> None:
    def some(config: Values, iteration: int) -> Values:
        return {"mcc": 0.5 + 0.01 * (1 + config["lam"]) * config["seed"]}

    axes = {"beta": [0.1, 1.0], "gamma": [0.0, 0.5], "lam": [0.0, 10.0], "seed": [0, 1, 2]}
    show(browser, write_report(Options(path=str(write_sweep(tmp_path / "s", axes, metrics=some)), videos=0)))
    brackets = """return document.getElementById('map').layout.shapes
        .filter(({name}) => name === 'least significant difference').length"""
    assert browser.execute_script(brackets) == 3
    select(browser, "compared", "lam")  # at λ = 0, with which all else is compared
    until(lambda: "minus that at λ = 0" in text(browser, "map-title"))
    until(lambda: browser.execute_script(brackets) == 0)
    assert "on the colour bar" not in text(browser, "legend")
    press(browser, "slice-lam", RIGHT)
    until(lambda: browser.execute_script(brackets) == 3)
    assert complaints(browser) == []


def test_without_webgl_the_page_says_so_itself(browser: Any, page: Path) -> None:
    show(browser, page)
    scroll_to(browser, "parallel")
    until(lambda: browser.execute_script("return document.getElementById('parallel').data"))
    assert text(browser, "parallel").strip().startswith("This browser has no WebGL")
    found = """const place = document.getElementById('parallel').querySelector('.hint');
        return [getComputedStyle(place).color, getComputedStyle(document.getElementById('parallel-help')).color,
            place.parentElement.style.background, place.parentElement.onclick,
            document.querySelectorAll('#parallel .no-webgl').length]"""
    colour, of_hints, background, clicked, boxes = browser.execute_script(found)
    assert colour == of_hints and (background, clicked, boxes) == ("", None, 0)


@pytest.mark.slow
def test_the_words_above_a_colour_bar_are_clear_of_its_bracket(browser: Any, tmp_path: Path) -> None:
    def some(config: Values, iteration: int) -> Values:
        return {"mcc": 0.5 + 0.1 * config["gamma"] * config["seed"], "active_units": 4.0}

    axes = {"beta": [0.1, 1.0], "gamma": [0.0, 0.5], "seed": [0, 1, 2]}
    show(browser, write_report(Options(path=str(write_sweep(tmp_path / "s", axes, metrics=some)), videos=0)))
    select(browser, "metric", "mcc")
    select(browser, "compared", "gamma")
    ends = """const [words, ...lines] = [document.querySelector('#map .cbtitle'),
            ...document.querySelectorAll('#map .shapelayer path')].map((one) => one.getBoundingClientRect());
        return [words.bottom, Math.min(...lines.map(({top}) => top)), words.height]"""
    until(lambda: "minus that at γ = 0" in text(browser, "map-title"))
    until(lambda: "blue" in browser.execute_script("return document.querySelector('#map .cbtitle').textContent"))
    assert "least significant difference" in text(browser, "legend")
    words, bracket, height = browser.execute_script(ends)
    assert height > 0 and words < bracket


@pytest.mark.slow
def test_a_colour_bar_stays_above_its_map_however_the_window_changes(browser: Any, page: Path) -> None:
    gap = """const [bar, cells] = ['.cbaxis', '.heatmaplayer'].map((part) =>
            document.querySelector(`#map ${part}`).getBoundingClientRect());
        return [cells.top - bar.bottom, bar.height, document.getElementById('map').layout.width]"""
    show(browser, page)
    below, height, width = browser.execute_script(gap)
    assert 0 < below < 6
    try:
        for narrow in (300, 240, 700):
            browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**PHONE, "width": narrow})
            until(lambda width=width: browser.execute_script(gap)[2] != width)
            settle(browser)
            *measured, width = browser.execute_script(gap)
            assert measured == pytest.approx([below, height], abs=0.5)  # of one line, as it was
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.slow
def test_without_a_best_cell_the_fullest_map_is_shown_first_and_what_a_cell_lacks_is_said(
    browser: Any, tmp_path: Path
) -> None:
    def some(config: Values, iteration: int) -> Values:
        return {"reconstruction_error": 0.1, "active_units": 4.0, "mcc": 0.5 if config["lam"] else None}

    write_sweep(tmp_path / "s", {"beta": [0.1], "gamma": [0.0], "lam": [0.0]}, metrics=some)
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0], "gamma": [0.0, 0.5], "lam": [10.0]}, metrics=some)
    show(browser, write_report(Options(path=str(path), videos=0)))
    assert text(browser, "cell-title") == "β = 0.1, γ = 0, λ = 10"
    titles = "return document.getElementById('curves').layout?.annotations.map((title) => title.text)"
    assert "MCC" in until(lambda: browser.execute_script(titles))
    press(browser, "slice-lam", LEFT)
    until(lambda: text(browser, "cell-title") == "β = 0.1, γ = 0, λ = 0")
    until(lambda: "MCC: no value" in browser.execute_script(titles))
    assert complaints(browser) == []


def test_where_nothing_is_complete_a_trade_off_has_no_front(browser: Any, tmp_path: Path) -> None:
    ended = by_seed(("finished", 300), ("unfinished", 150))
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0], "seed": [0, 1]}, ended)
    show(browser, write_report(Options(path=str(path), videos=0)))
    scroll_to(browser, "tradeoffs")
    until(lambda: "unfinished (hollow)" in text(browser, "tradeoffs-legend"))
    assert "front" not in text(browser, "tradeoffs-legend")


def test_a_click_or_a_key_in_a_trade_off_chooses_the_cell(browser: Any, page: Path) -> None:
    show(browser, page)
    scroll_to(browser, "tradeoffs")
    until(lambda: browser.execute_script("return document.querySelectorAll('#tradeoffs .point').length"))
    place = """const plot = document.getElementById('tradeoffs'), full = plot._fullLayout;
        const trace = plot.data.findIndex((one) => one.customdata);
        const cell = plot.data[trace].customdata.at(-3); const box = plot.getBoundingClientRect();
        return {x: box.left + full.xaxis._offset + full.xaxis.d2p(plot.data[trace].x[cell]),
                y: box.top + full.yaxis._offset + full.yaxis.d2p(plot.data[trace].y[cell]), cell}"""
    cell = browser.execute_script(place)["cell"]
    row = (
        "return [...document.querySelectorAll('tr[data-cell]')].find((row) => row.ariaSelected === 'true').dataset.cell"
    )
    assert int(browser.execute_script(row)) != cell

    def chosen() -> bool:
        """Click once more: a busy browser may not have been listening yet, or may have moved the plot."""
        scroll_to(browser, "tradeoffs")
        at = browser.execute_script(place)
        click(browser, {"x": at["x"], "y": at["y"]})
        time.sleep(0.5)
        return int(browser.execute_script(row)) == cell

    until(chosen)
    press(browser, "tradeoffs", RIGHT)
    until(lambda: int(browser.execute_script(row)) != cell)
    press(browser, "tradeoffs", LEFT)
    until(lambda: int(browser.execute_script(row)) == cell)
    assert "γ = 0.5" in text(browser, "tradeoffs-legend") and "■ λ = 10" in text(browser, "tradeoffs-legend")
    assert "stopped early (hollow)" in text(browser, "tradeoffs-legend")
    assert "failed" not in text(browser, "tradeoffs-legend")  # which have no point
    front = browser.execute_script("return document.getElementById('tradeoffs').data[0].x")
    assert front == sorted(front) and front
    assert complaints(browser) == []


def test_arrow_keys_move_over_the_map_and_are_read_out(browser: Any, page: Path) -> None:
    show(browser, page)
    click(browser, place_on_map(browser, 0, 0))
    until(lambda: text(browser, "cell-title") == "β = 0, γ = 0, λ = 0")
    assert browser.execute_script("return document.getElementById('map').tabIndex") == 0
    press(browser, "map", RIGHT, UP)
    until(lambda: text(browser, "cell-title") == "β = 0.1, γ = 0.5, λ = 0")
    reading = browser.find_element("id", "reading")
    assert reading.get_attribute("aria-live") == "polite"
    assert reading.text.startswith("β = 0.1, γ = 0.5, λ = 0 — ")
    press(browser, "map", UP)  # where there is nothing
    assert text(browser, "cell-title") == "β = 0.1, γ = 0.5, λ = 0"


def test_the_table_sorts_filters_and_is_used_by_keyboard(browser: Any, page: Path) -> None:
    show(browser, page)
    headings = browser.find_elements("css selector", "#table thead button")
    names = [heading.text.split(" ▲")[0] for heading in headings]
    column = names.index("R²")
    headings[column].click()  # the best first
    values = [row[column] for row in shown_rows(browser)]
    numbers = [float(value.split(" ±")[0]) for value in values if value != "–"]
    assert numbers == sorted(numbers, reverse=True) and values[len(numbers) :] == ["–", "–"]
    sort = browser.execute_script("return document.querySelectorAll('#table thead th')[arguments[0]].ariaSort", column)
    assert sort == "descending"
    filters = browser.find_elements("css selector", "#table thead input")
    filters[names.index("γ")].send_keys(">0.2")
    filters[names.index("State")].send_keys("stopped")
    assert [row[:3] for row in sorted(shown_rows(browser))] == [
        [beta, "0.5", lam] for beta in ("0", "0.1") for lam in ("0", "10")
    ]
    assert "4 of 12 rows" in text(browser, "rows-shown")
    row = browser.find_elements("css selector", "#table tbody tr:not([hidden])")[0]
    row.send_keys(DOWN)
    second = browser.switch_to.active_element
    expected = second.text.split()[:3]
    second.send_keys(ENTER)
    name = "β = {}, γ = {}, λ = {}".format(*expected)
    until(lambda: text(browser, "cell-title") == name)
    browser.find_element("id", "clear").click()
    assert len(shown_rows(browser)) == 12


@pytest.mark.slow
def test_brushing_an_axis_filters_the_table(webgl: Any, page: Path) -> None:
    show(webgl, page)

    def brushed() -> bool:
        """Draw once more if nothing came of it: a busy browser may not have been listening yet."""
        scroll_to(webgl, "parallel")  # again, since what is above it may have been drawn since
        brush(webgl, axis=1, begin=0.35, end=0.65)
        patience = time.monotonic() + WAIT / 6
        while "12 of 12" in text(webgl, "rows-shown") and time.monotonic() < patience:
            time.sleep(0.05)
        return "4 of 12 rows" in text(webgl, "rows-shown")

    until(brushed)
    assert {row[1] for row in shown_rows(webgl)} == {"0.5"}


def brush(browser: Any, axis: int, begin: float, end: float) -> None:
    """Take away what was drawn on an axis, and draw along a part of it, 0 at its top and 1 at its bottom."""
    script = """const axis = document.querySelectorAll('#parallel .axis-brush .background')[arguments[0]];
        if (!axis) return null; const box = axis.getBoundingClientRect();
        return {x: box.left + box.width / 2, top: box.top, height: box.height}"""
    box = until(lambda: browser.execute_script(script, axis))
    corner, upper, lower = ({"x": box["x"], "y": box["top"] + part * box["height"]} for part in (0.02, begin, end))
    click(browser, corner)
    mouse(browser, "mouseMoved", upper)
    mouse(browser, "mousePressed", upper)
    mouse(browser, "mouseMoved", lower, held=True)
    mouse(browser, "mouseReleased", lower)


def test_light_and_dark_have_enough_contrast(browser: Any, page: Path) -> None:
    show(browser, page)
    seen = set()
    for theme in ("light", "dark"):
        press(browser, "theme", ENTER)
        until(lambda theme=theme: text(browser, "theme") == f"Theme: {theme}")
        colours = browser.execute_script("""
            const of = (name, what) => getComputedStyle(document.querySelector(name))[what];
            return [of('#summary', 'color'), of('body', 'backgroundColor'), of('#reading', 'color'),
                    of('.panel', 'backgroundColor'), of('.hint', 'color'),
                    getComputedStyle(document.getElementById('query'), '::placeholder').color]""")
        soft, back, ink, panel, hint, example = (
            [int(part) for part in c[c.index("(") + 1 : -1].split(",")[:3]] for c in colours
        )
        assert min(contrast(soft, back), *(contrast(one, panel) for one in (ink, hint, example))) >= 4.5
        seen.add(colours[1])
    assert len(seen) == 2
    drawn = browser.execute_script("return document.getElementById('map').layout.font.color")
    assert drawn == colours[2]
    assert complaints(browser) == []


def contrast(one: list[int], other: list[int]) -> float:
    """WCAG 2.1."""

    def luminance(colour: list[int]) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (part / 255 for part in colour)]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.slow
def test_the_colours_follow_the_system(browser: Any, page: Path) -> None:
    backgrounds = []
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        show(browser, page)
        backgrounds.append(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert len(set(backgrounds)) == 2


@pytest.mark.slow
def test_effects_are_whole_on_a_phone(browser: Any, page: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        show(browser, page)
        scroll_to(browser, "effects")
        settle(browser)
        script = "const table = document.getElementById('effects'); return [table, table.parentElement]"
        widths = [int(one.get_property("offsetWidth")) for one in browser.execute_script(script)]
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert 0 < widths[0] <= widths[1]


@pytest.mark.slow
def test_a_phone_needs_no_scrolling_to_the_side_and_a_tap_chooses(start: Start, page: Path) -> None:
    phone = show(start(360, 740, touch=True), page)
    width = "return [document.documentElement.scrollWidth, innerWidth]"
    assert phone.execute_script(width) == [360, 360]
    at = place_on_map(phone, 1, 1)
    phone.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [at]})
    phone.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    until(lambda: text(phone, "cell-title") == "β = 0.1, γ = 0.5, λ = 0")
    assert phone.execute_script(width) == [360, 360]
    sizes = phone.execute_script("""return [...document.querySelectorAll('select, input[type=range], #theme')]
        .filter((control) => control.offsetParent).map((control) => control.offsetHeight)""")
    assert min(sizes) >= 40
    assert complaints(phone) == []


def test_hostile_labels_and_errors_are_only_shown(browser: Any, tmp_path: Path) -> None:
    path = hostile_sweep(tmp_path / "s")
    SweepFolder.open(path).add_note(HOSTILE)
    show(browser, write_report(Options(path=str(path), videos=0)))
    assert "</script>" in text(browser, "notes")
    press(browser, "map", RIGHT)  # the failed cell
    until(lambda: "<img src=x" in text(browser, "seeds"))
    assert "</script>" in text(browser, "seeds")
    assert browser.execute_script("return window.hacked ?? null") is None
    assert browser.execute_script("return document.querySelectorAll('img').length") == 0
    assert complaints(browser) == []


ENDS = """const { data, layout } = document.getElementById(arguments[0]);
    return [...new Set(data.map((trace) => trace.yaxis))].map((axis) => {
        const values = data.filter((trace) => trace.yaxis === axis).flatMap(({ y, error_y: bars }) => y.flatMap(
            (at, i) => (at === null ? [] : [at - (bars?.arrayminus[i] ?? 0), at + (bars?.array[i] ?? 0)])));
        return [Math.min(...values), Math.max(...values), ...layout[axis.replace('y', 'yaxis')].range]; });"""
"""The least and the largest number of each panel of a plot, with its intervals, and the ends of its vertical axis."""


def test_intervals_and_axes_end_where_a_metric_can(browser: Any, tmp_path: Path) -> None:
    def spread(config: Values, iteration: int) -> Values:
        of_seed = config["seed"] ** 2 * iteration / 3000
        return {"reconstruction_error": of_seed, "linear_r2": 1.0, "mcc": 1 - of_seed, "loss": of_seed}

    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0], "seed": [0, 1, 2]}, metrics=spread)
    show(browser, write_report(Options(path=str(path), videos=0)))
    press(browser, "pin", ENTER)
    for name in ("curves", "compared-curves", "tradeoffs"):
        scroll_to(browser, name)
        until(lambda name=name: browser.execute_script(f"return document.getElementById('{name}').data?.length"))
        panels = browser.execute_script(ENDS, name)
        if name != "tradeoffs":  # which have the error on the other axis
            (least, _, bottom, top), *panels, objective = panels
            assert least == 0 and -0.1 * top < bottom <= 0
            assert objective[0] < -0.1  # it may be any number
        assert len(panels) == 2
        for _, most, bottom, top in panels:
            assert most == 1 and 1 <= top < 1 + 0.1 * (1 - bottom)
    assert complaints(browser) == []


@pytest.mark.parametrize("seeds", [2, 3])
def test_bands_of_curves_begin_at_three_seeds_as_in_figures(browser: Any, tmp_path: Path, seeds: int) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0], "seed": [*range(seeds)]})
    show(browser, write_report(Options(path=str(path), videos=0)))
    press(browser, "pin", ENTER)
    for name in ("curves", "compared-curves"):
        scroll_to(browser, name)
        drawn = f"return document.getElementById('{name}').data?.filter(({{fill}}) => fill).map(({{x}}) => x.length)"
        ends = until(lambda drawn=drawn: browser.execute_script(drawn))
        assert {*ends} <= ({0} if seeds == 2 else {0, 6}) and max(ends) == (0 if seeds == 2 else 6)
    assert ("interval" in text(browser, "curves-help")) == (seeds == 3)
    assert complaints(browser) == []


@pytest.mark.slow
def test_one_of_anything_is_counted_as_one_and_files_are_named_by_their_map(browser: Any, tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1]}, evaluated=[300])
    show(browser, write_report(Options(path=str(path), videos=0)))
    assert text(browser, "summary") == "1 cell, 1 trial with its seed: 1 finished."
    assert text(browser, "kept").startswith("1 cell is kept.") and "1 of 1 row, at" in text(browser, "rows-shown")
    scroll_to(browser, "timeline-section")
    until(lambda: text(browser, "timeline-help").startswith("Of 1 trial no times"))
    select(browser, "metric", "mcc")
    until(lambda: text(browser, "map-title") == "MCC at iteration 300")
    buttons = browser.find_elements("css selector", ".downloads button")
    names = [button.accessible_name for button in buttons if button.is_displayed()]
    assert "SVG file: MCC at iteration 300" in names and "CSV file: Trade-offs" in names
    assert "PNG file: The metric of all cells over iterations" in names and len({*names}) == len(names)
    assert complaints(browser) == []


@pytest.mark.slow
def test_cells_and_groups_of_one_evaluation_are_points(browser: Any, tmp_path: Path) -> None:
    def ended(config: Values) -> tuple[str, int]:
        return ("unfinished", 0 if config["beta"] == 1 or config["gamma"] else 300)

    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0], "gamma": [0.0, 0.5]}, ended)
    show(browser, write_report(Options(path=str(path), videos=0)))
    scroll_to(browser, "groups")
    until(lambda: browser.execute_script("return document.getElementById('groups').data?.length"))
    drawn = """return document.getElementById('groups').data.map(({mode, customdata, name}) =>
        [mode, name ?? new Set(customdata).size])"""
    cells, means = [["lines", 1], ["markers", 1], ["markers", 2]], [["markers", "0"], ["markers", "0.5"]]
    assert browser.execute_script(drawn) == [*cells, *[["markers", 0]] * 2, *means, ["lines", 1]]
    assert complaints(browser) == []


@pytest.mark.slow
def test_a_sweep_of_one_axis_and_one_evaluation_is_drawn(browser: Any, tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0, 2.0]}, evaluated=[300])
    show(browser, write_report(Options(path=str(path), videos=0)))
    assert text(browser, "cell-title").startswith("β = ")
    assert "without pictures" in text(browser, "pictures")
    assert complaints(browser) == []


def test_a_search_is_a_scatter_plot(browser: Any, tmp_path: Path) -> None:
    run(plan_of(tmp_path), lambda cell: ("finished", {"reconstruction_error": 0.1 + cell.config.gamma, "mcc": 0.5}))
    show(browser, write_report(Options(path=str(tmp_path / "search"), videos=0)))
    assert "no grid" in text(browser, "map-help")
    kinds = browser.execute_script("return document.getElementById('map').data.map((trace) => trace.type)")
    assert kinds == ["scatter"] * 3  # suggestions, the chosen one, and those that are pinned
    before = text(browser, "cell-title")
    assert before.startswith("Suggestion ")
    press(browser, "map", LEFT, RIGHT)
    until(lambda: text(browser, "cell-title").startswith("Suggestion "))
    browser.execute_script("""const up = document.getElementById('up'); up.value = 'reconstruction_error';
        up.dispatchEvent(new Event('change'))""")
    assert "error" in browser.execute_script("return document.getElementById('map').layout.yaxis.title.text").lower()
    scroll_to(browser, "found")
    best = "return document.getElementById('found').data?.[0].y"
    assert until(lambda: browser.execute_script(best)) == sorted(browser.execute_script(best), reverse=True)
    bars = "return document.getElementById('found').data.flatMap((one) => one.error_y?.array ?? [])"
    assert not any(browser.execute_script(bars)) and "Bars" not in text(browser, "found-help")  # of two seeds
    shares = text(browser, "importance").split()
    assert shares[0] == "Drawn" and "β" in shares and shares[-1].endswith("%")
    scroll_to(browser, "groups")
    until(lambda: browser.execute_script("return document.getElementById('groups').data?.length"))
    assert not browser.execute_script("return document.getElementById('effects-section').checkVisibility()")
    assert complaints(browser) == []


@pytest.mark.slow
def test_the_marks_of_a_search_stand_at_its_points(browser: Any, tmp_path: Path) -> None:
    def ends(trial: PlannedTrial) -> tuple[str, Values]:
        score = 0.1 + trial.config.gamma + 0.001 * trial.config.seed
        return ("failed" if trial.config.gamma > 0.5 else "finished"), {"reconstruction_error": score}

    run(plan_of(tmp_path), ends)
    show(browser, write_report(Options(path=str(tmp_path / "search"), videos=0)))
    letters = set(browser.execute_script("return document.getElementById('map').data[0].text"))
    assert {"★", "F"} <= letters
    legend = text(browser, "legend")
    assert "★ the best" in legend and "F failed" in legend
    assert "outlined" not in legend  # in a scatter plot nothing is
    brackets = "return document.getElementById('map').layout.shapes.filter(({name}) => /least/.test(name)).length"
    assert "least significant difference" in legend and browser.execute_script(brackets) == 3
    assert complaints(browser) == []


@pytest.mark.slow
def test_a_suggestion_at_0_of_a_logarithmic_axis_is_a_point_too(browser: Any, tmp_path: Path) -> None:
    drawn = {"lam": LogUniform(0.01, 100.0), "beta": LogUniform(0.01, 1.0)}
    search = Search(space=drawn, objectives=("reconstruction_error",))
    models = {"model": ("beta_vae", "predictive_vae")}  # the first has no λ
    presets = {"quick": replace(TINY_SEARCH.presets["quick"], axes=models, seeds=1, suggestions=8)}
    study = replace(TINY_SEARCH, axes=("lam",), fixed={"num_frames": 4}, search=search, presets=presets)
    plan = cast(SearchPlan, parse(study, ["--storage", str(tmp_path), "--name", "search"]))
    run(plan, lambda cell: ("finished", {"reconstruction_error": 0.1 + cell.config.lam}))
    show(browser, write_report(Options(path=str(tmp_path / "search"), videos=0)))
    points = "return document.querySelector('#map .scatterlayer .trace').querySelectorAll('path.point').length"
    assert until(lambda: browser.execute_script(points)) == 8
    assert "0" in browser.execute_script("return document.getElementById('map').layout.xaxis.ticktext")
    assert complaints(browser) == []


def test_a_served_page_grows_with_its_sweep_and_keeps_what_was_chosen(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "LEAST_SECONDS", 0.2)
    path = write_sweep(tmp_path / "s", GRID, lambda config: ("unfinished", 0))
    with serving(path) as served:
        browser.get("about:blank")
        complaints(browser)
        browser.get(served.link)
        until(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "yes")
        browser.execute_script("window.loadedOnce = true")
        select(browser, "metric", "mcc")
        click(browser, place_on_map(browser, 1, 1))
        until(lambda: text(browser, "cell-title") == "β = 0.1, γ = 0.5, λ = 0")
        browser.find_element("css selector", "#table thead input").send_keys("0.1")
        until(lambda: text(browser, "live") == "Nothing runs at the moment.")
        record(path, 150)
        until(lambda: text(browser, "map-title") == "MCC at iteration 150")
        assert text(browser, "cell-title") == "β = 0.1, γ = 0.5, λ = 0"
        assert "6 of 12 rows" in text(browser, "rows-shown")
        assert browser.execute_script("return document.activeElement.value") == "0.1"
        assert browser.execute_script("return window.loadedOnce")
        curve = "return document.getElementById('curves').data.find((trace) => trace.line.width > 2).x"
        until(lambda: browser.execute_script(curve) == [0, 150])
        assert complaints(browser) == []


def test_an_address_shows_what_its_sender_saw(browser: Any, page: Path) -> None:
    show(browser, page)
    select(browser, "metric", "mcc")
    select(browser, "compared", "lam")
    press(browser, "slice-lam", RIGHT)
    click(browser, place_on_map(browser, 1, 0))
    until(lambda: text(browser, "cell-title") == "β = 0, γ = 0.5, λ = 10")
    press(browser, "iteration", LEFT)
    browser.find_element("css selector", "#table thead input").send_keys("0.1")
    until(lambda: "iteration=150" in browser.current_url and "filter.beta=0.1" in browser.current_url)
    link = browser.current_url
    show(browser, page)
    assert text(browser, "map-title").startswith("Error") or "150" not in text(browser, "map-title")
    browser.get("about:blank")
    browser.get(link)
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "yes")
    assert text(browser, "map-title") == "MCC minus that at λ = 0 at iteration 150"
    assert text(browser, "cell-title") == "β = 0, γ = 0.5, λ = 10"
    assert "6 of 12 rows" in text(browser, "rows-shown")
    assert complaints(browser) == []


def test_an_address_of_a_page_that_grows_shows_what_its_sender_saw(browser: Any, tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]}, lambda config: ("unfinished", 150))
    page = write_report(Options(path=str(path), videos=0))
    show(browser, page)
    select(browser, "metric", "mcc")
    until(lambda: "metric=mcc" in browser.current_url)
    link = browser.current_url
    assert "complete up to here" in text(browser, "reading")
    record(path, 300)
    write_report(Options(path=str(path), videos=0))
    browser.refresh()  # one who waits for newer numbers
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "yes")
    assert text(browser, "map-title").endswith("at iteration 300")
    browser.get("about:blank")
    browser.get(link)
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "yes")
    assert text(browser, "map-title").endswith("at iteration 150")
    assert complaints(browser) == []


@pytest.mark.slow
def test_an_iteration_that_is_no_longer_shown_is_the_nearest(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents, "MOST_ITERATIONS", 5)
    evaluated = range(0, 310, 50)  # more than a page shows
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]}, evaluated=evaluated)
    show(browser, write_report(Options(path=str(path), videos=0)))
    for wanted in evaluated[:3]:
        browser.execute_script("location.hash = arguments[0]", f"metric=mcc&iteration={wanted}")
        near = {f"MCC at iteration {wanted + away}" for away in (-50, 0, 50)}
        until(lambda near=near: text(browser, "map-title") in near)
    assert complaints(browser) == []


@pytest.mark.slow
def test_a_hostile_address_is_ignored(browser: Any, page: Path) -> None:
    browser.get("about:blank")
    complaints(browser)
    browser.get(
        f"{page.as_uri()}#metric=__proto__&cell=toString&compared=constructor&iteration=x&sort=-%3Cb%3E&up=valueOf"
    )
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "yes")
    assert text(browser, "cell-title") == "β = 0, γ = 0, λ = 0"
    assert complaints(browser) == []


@pytest.mark.slow
def test_each_plot_is_kept_as_a_picture_and_as_numbers(webgl: Any, page: Path) -> None:
    show(webgl, page)
    webgl.execute_script("""window.kept = []; HTMLAnchorElement.prototype.click = function () {
        kept.push([this.download, this.href]); }""")
    for name in ("multiples", "parallel"):
        scroll_to(webgl, name)
        until(lambda name=name: webgl.execute_script("return document.getElementById(arguments[0]).data", name))
    press(webgl, "map", "p")
    until(lambda: webgl.execute_script("return document.querySelectorAll('#compared-curves .scatter').length"))
    names = ("map", "multiples", "curves", "compared-curves", "groups", "tradeoffs", "parallel")
    scroll_to(webgl, "groups")
    until(lambda: webgl.execute_script("return document.querySelectorAll('#groups .scatter').length"))
    for bar in filter(lambda bar: bar.is_displayed(), webgl.find_elements("css selector", ".downloads")):
        for button in bar.find_elements("css selector", "button"):
            webgl.execute_script("arguments[0].click()", button)
    until(lambda: webgl.execute_script("return kept.length") == 3 * len(names) + 1)
    kept = dict(webgl.execute_script("return kept"))
    pictured = [f"s_{name}.{kind}" for name in names for kind in ("csv", "png", "svg")]
    assert sorted(kept) == sorted([*pictured, "s_effects.csv"])
    assert all(kept[f"s_{name}.png"].startswith("data:image/png;base64,") for name in names)
    assert all("<svg" in unquote(kept[f"s_{name}.svg"]) for name in names)
    rows = unquote(kept["s_map.csv"].partition(",")[2]).splitlines()
    heading = "beta,gamma,lam,iteration,reconstruction_error,reconstruction_error_half"
    assert rows[0] == f"{heading},reconstruction_error_seeds,reconstruction_error_state"
    assert len(rows) == 1 + 6 and rows[1].startswith("0,0,0,300,0.") and rows[1].endswith(",2,complete")
    assert complaints(webgl) == []


@pytest.mark.slow
def test_parallel_lines_can_be_seen_in_the_dark(webgl: Any, page: Path) -> None:
    show(webgl, page)
    scroll_to(webgl, "parallel")
    script = """const [trace] = document.getElementById('parallel').data ?? [];
        return trace && [trace.line.colorscale.map(([, colour]) => colour), trace.dimensions.map((one) => one.ticktext),
            getComputedStyle(document.querySelector('.panel')).backgroundColor]"""
    light, *_ = until(lambda: webgl.execute_script(script))
    press(webgl, "theme", ENTER, ENTER)
    until(lambda: text(webgl, "theme") == "Theme: dark")
    scroll_to(webgl, "parallel")  # what is out of sight is drawn later
    until(lambda: webgl.execute_script(script)[0] != light)
    colours, ticks, back = webgl.execute_script(script)
    panel = [int(part) for part in back[4:-1].split(",")[:3]]
    assert min(contrast([int(part) for part in colour[4:-1].split(",")], panel) for colour in colours) >= 2.9
    assert max(len(tick) for axis in ticks for tick in axis) <= 8


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core, which finds what keeps people from reading a page, from the npm registry."""
    folder, npm = tmp_path_factory.mktemp("axe"), shutil.which("npm")
    if not npm:
        pytest.skip("needs npm, which fetches axe-core")
    try:
        subprocess.run([npm, "pack", "axe-core"], cwd=folder, check=True, capture_output=True, timeout=WAIT)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("axe-core cannot be fetched from the npm registry")
    with tarfile.open(next(folder.glob("*.tgz"))) as packed:
        script = packed.extractfile("package/axe.min.js")
        assert script
        return script.read().decode()


def in_scheme(browser: Any, scheme: str | None) -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}] if scheme else []
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_keeps_anyone_from_reading_the_pages(webgl: Any, page: Path, axe: str, scheme: str) -> None:
    front = write_report(Options(path=str(page.parents[1])))
    in_scheme(webgl, scheme)
    webgl.set_script_timeout(5 * WAIT)
    found = {}
    for one in (page, front):
        webgl.get(one.as_uri()) if one == front else show(webgl, one)
        for name in ("multiples", "tradeoffs", "parallel") if one == page else ():
            scroll_to(webgl, name)
            until(lambda name=name: webgl.execute_script("return document.getElementById(arguments[0]).data", name))
        webgl.execute_script(axe)
        run = "const done = arguments[0]; axe.run(document, {resultTypes: ['violations']}).then(done)"
        for violation in webgl.execute_async_script(run)["violations"]:
            if violation["impact"] in ("serious", "critical"):
                found[violation["id"]] = [node["html"][:200] for node in violation["nodes"]]
    in_scheme(webgl, None)
    assert found == {}


def test_the_table_is_one_stop_and_arrow_keys_move_in_it(browser: Any, page: Path) -> None:
    show(browser, page)
    stops = "return document.querySelectorAll('#table [tabindex=\"0\"]').length"
    assert browser.execute_script(stops) == 1
    browser.execute_script("document.querySelector('#table [tabindex=\"0\"]').focus()")
    active = "return [document.activeElement.tagName, document.activeElement.textContent.split(' ')[0]]"

    def pressed(*keys: str) -> list[str]:
        browser.switch_to.active_element.send_keys(*keys)
        return list(browser.execute_script(active))

    assert pressed(RIGHT) == ["BUTTON", "γ"]
    assert pressed(DOWN)[0] == "INPUT"
    assert pressed(DOWN)[0] == "TR" and pressed(DOWN)[0] == "TR"
    pressed(ENTER)
    until(lambda: text(browser, "cell-title") == "β = 0, γ = 0.5, λ = 0")
    assert pressed(UP)[0] == "TR" and pressed(UP)[0] == "INPUT"
    assert browser.execute_script(stops) == 1
    sliders = "return [...document.querySelectorAll('input[type=range]')].map((slider) => slider.ariaLabel)"
    assert all(browser.execute_script(sliders))
    assert complaints(browser) == []


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a grid of 64 cells, with every metric that there is."""
    numbers = {name: (place + 1) / 100 for place, name in enumerate(REPORTED)}
    axes = {"beta": [2.0**power for power in range(8)], "gamma": [place / 10 for place in range(8)]}
    path = tmp_path_factory.mktemp("wide") / "s"
    write_sweep(path, axes, metrics=lambda config, iteration: numbers | {"kl": config["beta"]}, evaluated=[300])
    return write_report(Options(path=str(path)))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_ordered_colours_can_be_seen(browser: Any, wide: Path, scheme: str) -> None:
    in_scheme(browser, scheme)
    show(browser, wide)
    scroll_to(browser, "groups")
    until(lambda: browser.execute_script("return document.getElementById('groups').data?.length"))
    script = """const lines = document.getElementById('groups').data.filter(({ name }) => name);
        const samples = [...document.querySelectorAll('#groups-legend b')].map((one) => getComputedStyle(one).color);
        const panel = getComputedStyle(document.getElementById('groups-section')).backgroundColor;
        return [lines.map(({ line }) => line.color), samples, panel]"""
    lines, samples, back = browser.execute_script(script)
    drawn = "return document.getElementById('groups').data.map(({ line }) => [line.width, line.color])"
    order = browser.execute_script(drawn)[:-1]  # the last is the chosen cell
    assert [width for width, _ in order] == [1] * 8 + [6.5] * 8 + [3.5] * 8  # thick ones, and their edges, above
    assert {(*numbers_of(colour),) for width, colour in order if width == 6.5} == {(*numbers_of(back),)}
    faint = """return ['groups', 'tradeoffs'].flatMap((id) => document.getElementById(id).data ?? [])
        .filter(({ line, opacity }) => line?.width === 1 && opacity < 1).length"""
    scroll_to(browser, "tradeoffs")
    until(lambda: browser.execute_script("return document.getElementById('tradeoffs').data?.length"))
    assert browser.execute_script(faint) == 0
    in_scheme(browser, None)
    drawn = [[int(line[place : place + 2], 16) for place in (1, 3, 5)] for line in lines]
    assert drawn == [numbers_of(sample) for sample in samples] and len(drawn) == 8
    black = [contrast(colour, [0, 0, 0]) for colour in drawn]
    assert all(one < other for one, other in pairwise(black))  # in the order of their values
    assert min(contrast(colour, numbers_of(back)) for colour in drawn) >= 3


def numbers_of(colour: str) -> list[int]:
    """Red, green and blue of rgb(R, G, B)."""
    return [int(part) for part in colour[4:-1].split(",")[:3]]


@pytest.mark.slow
def test_rows_of_a_large_table_come_as_they_are_scrolled_to(browser: Any, wide: Path) -> None:
    show(browser, wide)
    scroll_to(browser, "table-title")
    there = "return [...document.querySelectorAll('#table tr[data-cell]')].map((row) => row.ariaRowIndex).join()"
    first, second = ",".join(map(str, range(2, 32))), ",".join(map(str, range(36, 66)))
    until(lambda: browser.execute_script(there) == first)
    height = "return document.getElementById('table').offsetHeight"
    before = browser.execute_script(height)
    browser.execute_script("const box = document.getElementById('table').closest('.scroll'); box.scrollTop = 1e6")
    until(lambda: browser.execute_script(there) == second)
    assert browser.execute_script(height) == pytest.approx(before, abs=3)
    assert browser.execute_script("return document.getElementById('table').ariaRowCount") == "65"
    press(browser, "query", "beta >= 64")
    until(lambda: len(shown_rows(browser)) == 16)
    press(browser, "let-go", ENTER)
    until(lambda: browser.execute_script(there).count(",") == 29)
    browser.execute_script("document.querySelector('#table thead button').focus()")
    for _ in range(2 + 33):  # from the heading past its filter and the rows that are there
        browser.switch_to.active_element.send_keys(DOWN)
    assert browser.execute_script("return document.activeElement.ariaRowIndex") == "35"
    browser.switch_to.active_element.send_keys(ENTER)
    chosen = "return document.querySelector('#table [aria-selected=true]').ariaRowIndex"
    until(lambda: browser.execute_script(chosen) == "35")
    assert complaints(browser) == []


@pytest.mark.slow
def test_of_many_metrics_some_have_an_axis_until_more_are_asked_for(webgl: Any, wide: Path) -> None:
    show(webgl, wide)
    scroll_to(webgl, "parallel-title")
    axes = "return [...document.querySelectorAll('#parallel .axis-title')].map((title) => title.textContent)"
    few = until(lambda: webgl.execute_script(axes))
    assert len(few) == 16 and few[:2] == ["β", "γ"]
    columns = webgl.execute_script("return document.querySelectorAll('#table thead th').length") - 2  # state, seeds
    assert f"{columns - 16} further metrics" in text(webgl, "parallel-left")
    webgl.execute_script("document.querySelector('#table thead input[aria-label$=\"MCC\"]').focus()")
    webgl.switch_to.active_element.send_keys("> 0")
    scroll_to(webgl, "parallel-title")
    until(lambda: any(title.startswith("MCC") for title in webgl.execute_script(axes)))
    press(webgl, "more-axes", ENTER)
    until(lambda: len(webgl.execute_script(axes)) == 60)
    assert f"{columns - 60} further metrics" in text(webgl, "parallel-left")
    press(webgl, "more-axes", ENTER)
    until(lambda: len(webgl.execute_script(axes)) == 16)
    assert complaints(webgl) == []


@pytest.mark.slow
def test_a_wide_table_is_laid_on_paper_in_parts(webgl: Any, wide: Path) -> None:
    show(webgl, wide)
    webgl.execute_script("dispatchEvent(new Event('beforeprint'))")
    webgl.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    widths = """return [...document.querySelectorAll('table, .plot')].filter((one) => one.offsetParent)
        .map((one) => one.getBoundingClientRect().right)"""
    assert max(webgl.execute_script(widths)) <= 1000
    parts = """return [...document.querySelectorAll('#table-section table.part')].map((part) =>
        [part.rows.length, [...part.rows[0].cells].map((cell) => cell.textContent)])"""
    rows, titles = zip(*webgl.execute_script(parts), strict=True)
    assert set(rows) == {65}
    assert all(some[:2] == titles[0][:2] for some in titles)
    columns = webgl.execute_script("return document.querySelectorAll('#table thead th').length")
    assert sum(len(some) - 2 for some in titles) == columns - 2
    assert "further metrics have no axis here" in text(webgl, "parallel-left")
    webgl.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    webgl.execute_script("dispatchEvent(new Event('afterprint'))")
    assert webgl.execute_script("return document.querySelectorAll('table.part, table.in-parts').length") == 0
    assert complaints(webgl) == []


@pytest.mark.slow
def test_what_a_choice_changes_of_a_plot_is_what_drawing_it_anew_shows(browser: Any, page: Path) -> None:
    """Shapes and annotations that are exchanged one by one, and all of them at once."""
    show(browser, page)
    scroll_to(browser, "tradeoffs")
    until(lambda: browser.execute_script("return document.querySelectorAll('#tradeoffs .point').length"))
    drawn = """return ['map', 'tradeoffs'].map((id) => [
        document.getElementById(id).layout.shapes, document.getElementById(id).layout.annotations,
        document.querySelectorAll(`#${id} .shapelayer path`).length,
        document.querySelectorAll(`#${id} .annotation`).length])"""
    for cell in (1, 3, 4):
        row = f"document.querySelector('#table tr[data-cell=\"{cell}\"]').click()"
        browser.execute_script(row)
        press(browser, "pin", ENTER)
    until(lambda: browser.execute_script("return document.querySelectorAll('#tradeoffs .annotation').length") >= 3)
    press(browser, "pin", ENTER)  # no longer
    scroll_to(browser, "tradeoffs")
    until(lambda: browser.execute_script("return document.querySelectorAll('#tradeoffs .annotation').length") == 4)
    changed = browser.execute_script(drawn)
    browser.execute_script("dispatchEvent(new Event('beforeprint')); dispatchEvent(new Event('afterprint'))")
    assert browser.execute_script(drawn) == changed


@pytest.mark.slow
def test_paper_holds_the_slices_the_pictures_and_whole_tables(webgl: Any, page: Path) -> None:
    show(webgl, page)
    press(webgl, "theme", ENTER, ENTER)
    until(lambda: text(webgl, "theme") == "Theme: dark")
    webgl.execute_script("dispatchEvent(new Event('beforeprint'))")
    webgl.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert text(webgl, "map-slices") == "λ = 0"
    widths = """return [...document.querySelectorAll('table, .plot, .sprites')].filter((one) => one.offsetParent)
        .map((one) => one.getBoundingClientRect().right)"""
    assert max(webgl.execute_script(widths)) <= 1000
    rows = "return [...document.querySelectorAll('#table tbody tr')].filter((row) => row.offsetHeight).length"
    assert webgl.execute_script(rows) == 12
    adjusted = "return getComputedStyle(document.querySelector('.strip')).printColorAdjust"
    assert webgl.execute_script(adjusted) == "exact"
    ink = "return document.getElementById('map').layout.font.color"
    assert webgl.execute_script(ink) == "rgb(27, 31, 36)"
    empty = """return [...document.querySelectorAll('.plot')]
        .filter((one) => one.offsetParent && !one.querySelector('svg, canvas')).map((one) => one.id)"""
    assert webgl.execute_script(empty) == []
    webgl.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    webgl.execute_script("dispatchEvent(new Event('afterprint'))")
    assert webgl.execute_script(ink) != "rgb(27, 31, 36)"
    assert complaints(webgl) == []


@pytest.mark.slow
def test_text_of_twice_the_size_fits_a_phone_and_grows_in_plots_too(start: Start, page: Path) -> None:
    phone = show(start(360, 740, touch=True), page)
    phone.execute_script("document.documentElement.style.fontSize = '200%'")
    press(phone, "theme", ENTER)  # which draws anew
    until(lambda: phone.execute_script("return document.getElementById('map').layout.font.size") == 24)
    assert phone.execute_script("return [document.documentElement.scrollWidth, innerWidth]") == [360, 360]
    assert phone.execute_script("return parseFloat(getComputedStyle(document.querySelector('.hint')).fontSize)") > 25
    assert complaints(phone) == []


@pytest.mark.slow
def test_plots_have_room_for_text_of_twice_the_size(browser: Any, page: Path, wide: Path) -> None:
    show(browser, page)
    larger = "document.documentElement.style.fontSize = arguments[0]; dispatchEvent(new Event('resize'))"
    browser.execute_script(larger, "200%")
    until(lambda: browser.execute_script("return document.getElementById('map').layout.font.size") == 24)
    at, across, above = (place_on_map(browser, x, y) for x, y in ((0, 0), (1, 0), (0, 1)))
    boxes = """return [...document.querySelectorAll(arguments[0])].map((one) => one.getBoundingClientRect())
        .map(({ left, right, top, bottom }) => [left, right, top, bottom])"""
    texts = browser.execute_script(boxes, "#map .textpoint text")
    assert len(texts) == 6 and max(right - left for left, right, _, _ in texts) < across["x"] - at["x"]
    assert max(bottom - top for _, _, top, bottom in texts) < at["y"] - above["y"]
    show(browser, wide)
    browser.execute_script(larger, "200%")
    scroll_to(browser, "tradeoffs")
    until(lambda: browser.execute_script("return document.getElementById('tradeoffs').layout?.font.size") == 24)
    settle(browser)
    titles = browser.execute_script(boxes, "#tradeoffs .infolayer text[class$=title]")
    apart = [
        one[1] <= other[0] or other[1] <= one[0] or one[3] <= other[2] or other[3] <= one[2]
        for one, other in combinations(titles, 2)
    ]
    assert len(apart) > 10 and all(apart)
    browser.execute_script(larger, "")


KEPT = "return [...document.querySelectorAll('#table tbody tr')].length"


def test_one_filter_holds_for_all_views(browser: Any, page: Path) -> None:
    show(browser, page)
    scroll_to(browser, "tradeoffs")
    until(lambda: browser.execute_script("return document.querySelectorAll('#tradeoffs .point').length"))
    scroll_to(browser, "parallel")
    lines = "return document.getElementById('parallel').data?.[0].dimensions[0].values.length"
    until(lambda: browser.execute_script(lines) == 12)
    press(browser, "query", "gamma >= 0.5 and state: stopped")
    until(lambda: "4 of 12 cells are kept" in text(browser, "kept"))
    until(lambda: browser.execute_script(KEPT) == 4)
    scroll_to(browser, "parallel")  # which is not drawn while it is out of sight
    until(lambda: browser.execute_script(lines) == 4)
    veiled = """return document.getElementById('map').layout.shapes.filter((shape) => shape.name === 'not kept')
        .map((shape) => shape.path.split('Z').length - 1)"""
    assert browser.execute_script(veiled) == [4]  # of six on this slice, two stay
    faint = """return document.getElementById('tradeoffs').data.find((trace) => trace.customdata).marker.opacity
        .filter((opacity) => opacity === 1).length"""
    until(lambda: browser.execute_script(faint) == 4)
    until(lambda: "keep=gamma" in browser.current_url)
    press(browser, "query", " and speed > 1")
    until(lambda: "Nothing here is called speed" in text(browser, "kept"))
    press(browser, "let-go", ENTER)
    until(lambda: browser.execute_script(KEPT) == 12)
    assert browser.execute_script("return document.getElementById('query').value") == ""
    assert complaints(browser) == []


@pytest.fixture(scope="module")
def timed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a sweep of six trials on two machines, one of them tried twice, the second time a day later."""
    path = write_sweep(tmp_path_factory.mktemp("timed") / "s", {"beta": [0.0, 0.1], "gamma": [0.0, 0.5, 0.9]})
    for i, trial in enumerate(SweepFolder.open(path).trials()):
        host, device = ("<b>here</b>", "cpu") if i < 4 else ("there", "GPU 1")
        attempt(
            trial, 10.0 * (i % 2), host, device, ended=FIRST + 10.0 * (i % 2) + 9, how="error" if i == 0 else "finished"
        )
    attempt(SweepFolder.open(path).trials()[0], 86_400, "there", "GPU 1", ended=FIRST + 86_430, how="finished")
    return write_report(Options(path=str(path), videos=0))


@pytest.mark.slow
def test_a_timeline_shows_when_and_where_trials_ran(browser: Any, timed: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "America/New_York"})
    show(browser, timed)
    scroll_to(browser, "timeline")
    until(lambda: browser.execute_script("return document.getElementById('timeline').data"))
    bars = """return document.getElementById('timeline').data
        .map((bars) => [bars.name, bars.y, bars.base, bars.marker.opacity])"""
    (finished, rows, begun, _), (failed, *_) = browser.execute_script(bars)
    assert (finished, failed, len(rows)) == ("finished", "error", 6)
    assert set(begun) == {f"2026-11-{time}.000" for time in ("26T11:00:00", "26T11:00:10", "27T11:00:00")}
    assert len(browser.execute_script("return document.getElementById('timeline').layout.xaxis.rangebreaks")) == 1
    assert "<b>here</b>" in text(browser, "timeline") and "America/New_York" in text(browser, "timeline-help")
    press(browser, "timeline", UP, UP, UP, LEFT)
    first = text(browser, "timeline-reading")
    press(browser, "timeline", DOWN)
    second = text(browser, "timeline-reading")
    assert all("26 Nov 2026, 11:00:00 for 9 s" in told and "<b>here</b>, CPU" in told for told in (first, second))
    assert sorted("failed, and was tried again" in told for told in (first, second)) == [False, True]
    press(browser, "query", "gamma = 0.5")
    until(lambda: set(browser.execute_script(bars)[0][3]) == {0.12, 1})
    browser.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": ""})
    assert complaints(browser) == []


def test_values_that_are_clicked_are_kept(browser: Any, page: Path) -> None:
    show(browser, page)
    scroll_to(browser, "map")
    tick = """const tick = [...document.querySelectorAll('#map .xtick text')].find((one) => one.textContent === '0.9')
        .getBoundingClientRect(); return {x: tick.left + tick.width / 2, y: tick.top + tick.height / 2}"""
    click(browser, browser.execute_script(tick))
    until(lambda: browser.execute_script(KEPT) == 4)
    browser.execute_script("document.getElementById('by-value').open = true")
    buttons = browser.find_elements("css selector", "#values [data-field=gamma] button")
    assert [button.get_attribute("aria-pressed") for button in buttons] == ["false", "false", "true"]
    buttons[0].send_keys(ENTER)
    until(lambda: browser.execute_script(KEPT) == 8)
    assert {row[1] for row in shown_rows(browser)} == {"0", "0.9"}
    buttons[1].send_keys(ENTER)  # all of them, which is no filter
    until(lambda: browser.execute_script(KEPT) == 12)
    until(lambda: "filter.gamma" not in browser.current_url)
    assert complaints(browser) == []


@pytest.mark.slow
def test_values_that_agree_to_six_digits_are_kept_apart(browser: Any, tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0], "lam": [0.0, 1.0000001, 1.0000002]})
    show(browser, write_report(Options(path=str(path), videos=0)))
    scroll_to(browser, "by-value")
    browser.execute_script("document.getElementById('by-value').open = true")
    buttons = browser.find_elements("css selector", "#values [data-field=lam] button")
    buttons[1].send_keys(ENTER)
    until(lambda: browser.execute_script(KEPT) == 2)
    assert [button.get_attribute("aria-pressed") for button in buttons] == ["false", "true", "false"]
    buttons[1].send_keys(ENTER)
    press(browser, "query", "lambda <= 1.0000001")
    until(lambda: browser.execute_script(KEPT) == 4)
    press(browser, "query", " and lambda = 1")  # the nearest
    until(lambda: browser.execute_script(KEPT) == 2)


def test_pinned_cells_are_compared_and_play_together(browser: Any, page: Path) -> None:
    show(browser, page)
    assert not browser.execute_script("return document.getElementById('compared-section').checkVisibility()")
    press(browser, "map", "p", RIGHT, "p")
    until(lambda: text(browser, "pin") == "Pinned as B: unpin (P)")
    script = "return [...document.querySelectorAll('#compared-table tr')].map((row) => row.innerText.split('\\t'))"
    rows = browser.execute_script(script)
    assert rows[0] == ["", "A", "B"] and rows[1] == ["γ", "0", "0.5"]
    assert rows[2] == ["state", "complete", "stopped early at iteration 150"]
    (error,) = (row for row in rows if row[0].startswith("Reconstruction error"))
    assert all(" ± " in value for value in error[1:])
    assert " ±: 95% intervals" in text(browser, "compared-help")  # of two seeds there are no bands
    drawn = "return document.getElementById('compared-curves').data?.map((trace) => trace.line.dash)"
    assert {"solid", "dash"} <= {*until(lambda: browser.execute_script(drawn))}
    assert browser.execute_script("return document.getElementById('map').layout.annotations.length") == 2
    places = "return [...document.querySelectorAll('#stage .frame')].map((one) => one.style.backgroundPositionX)"
    assert len(browser.execute_script(places)) == 2 * (2 * 3 + 4) and {*browser.execute_script(places)} == {"0%"}
    press(browser, "frame", LEFT, RIGHT)
    assert len({*browser.execute_script(places)}) == 2  # a video and a traversal, each at its second step
    press(browser, "play", ENTER)
    until(lambda: int(browser.execute_script("return document.getElementById('frame').value")) >= 3)
    press(browser, "play", ENTER)
    assert text(browser, "play") == "Play"
    until(lambda: browser.current_url.count("pin=") == 2)
    link = browser.current_url
    browser.get("about:blank")
    browser.get(link)
    until(lambda: browser.execute_script("return document.documentElement.dataset.ready") == "yes")
    assert browser.execute_script(script)[0] == ["", "A", "B"]
    press(browser, "map", "p")  # the chosen one, which is B
    until(lambda: browser.execute_script(script)[0] == ["", "A"])
    assert "Pin another cell" in text(browser, "compared-help")
    assert complaints(browser) == []


def test_effects_and_curves_of_all_cells_follow_the_metric_and_the_filter(browser: Any, page: Path) -> None:
    show(browser, page)
    select(browser, "metric", "mcc")
    until(lambda: text(browser, "effects-title") == "What each axis changes: MCC")
    script = "return [...document.querySelectorAll('#effects tr')].map((row) => row.innerText.split('\\t'))"
    rows = {row[0]: row[-1] for row in browser.execute_script(script)}
    assert rows["λ: 0 → 10"].startswith("+0.1") and "β: 0 → 0.1" in rows  # 0.1 more at λ = 10, for every seed
    assert any("λ: 0 → 10, with " in name for name in rows)
    scroll_to(browser, "groups")
    drawn = "return document.getElementById('groups').data?.map((trace) => new Set(trace.customdata ?? []).size)"
    until(lambda: browser.execute_script(drawn) == [4] * 3 + [0] * 6 + [1])  # thin, edges, thick; the chosen cell
    dashes = "return document.getElementById('groups').data.map((trace) => trace.line.dash).filter(Boolean)"
    assert browser.execute_script(dashes) == ["solid", "dash", "dashdot", "dot"]  # dotted: the chosen cell
    assert "━ ━ ━ γ = 0.5 (4)" in text(browser, "groups-legend")
    select(browser, "group", "lam")
    until(lambda: browser.execute_script(drawn) == [6, 6, 0, 0, 0, 0, 1])
    press(browser, "query", "lambda: 10")
    until(lambda: browser.execute_script(drawn) == [0, 6, 0, 0, 0, 0, 0])
    assert "λ = 0 (0)" in text(browser, "groups-legend") and "λ = 10 (6)" in text(browser, "groups-legend")
    until(lambda: "group=lam" in browser.current_url)
    assert not browser.execute_script("return document.getElementById('notes').checkVisibility()")
    assert complaints(browser) == []


def test_effects_are_of_the_last_iteration_that_a_trial_has_reached(browser: Any, tmp_path: Path) -> None:
    axes = {"beta": [0.1, 1.0], "gamma": [0.0, 0.5]}
    path = write_sweep(tmp_path / "s", axes, lambda config: ("unfinished", 150))
    show(browser, write_report(Options(path=str(path), videos=0)))
    assert text(browser, "map-title").endswith("iteration 150")
    assert "Of all complete trials at iteration 150," in text(browser, "effects-help")
    assert complaints(browser) == []


@pytest.mark.slow
def test_numbers_that_a_narrow_map_had_no_room_for_are_there_once_it_is_wide(browser: Any, page: Path) -> None:
    show(browser, page)
    numbers = """return [...document.querySelectorAll('#map .textpoint text')]
        .filter(({ textContent }) => textContent.startsWith('0.01')).length"""
    scroll_to(browser, "map")
    there = until(lambda: browser.execute_script(numbers))
    with as_wide_as(browser, 200):
        until(lambda: browser.execute_script(numbers) == 0)
        widen(browser, 1200)
        until(lambda: browser.execute_script(numbers) == there)
    assert complaints(browser) == []


def test_curves_end_with_the_last_evaluation(browser: Any, page: Path) -> None:
    show(browser, page)
    click(browser, place_on_map(browser, 1, 0))  # which was stopped at iteration 150, and keeps its number on maps
    until(lambda: text(browser, "cell-title") == "β = 0, γ = 0.5, λ = 0")
    press(browser, "pin", ENTER)
    ends = """const { data } = document.getElementById(arguments[0]) ?? {};
        return data?.filter(({ line }) => line.width > 2 || line.dash)
            .map(({ x, y }) => Math.max(...x.filter((_, i) => y[i] !== null)))"""
    groups = [*[300, 150, None] * 2, 150]
    for name, expected in (("curves", [150] * 5), ("compared-curves", [150] * 5), ("groups", groups)):
        scroll_to(browser, name)
        found = until(lambda name=name: browser.execute_script(ends, name))
        assert found == expected, name
    browser.execute_script("HTMLAnchorElement.prototype.click = function () { window.kept = this.href; }")
    for name, empty in (("curves", ",,,"), ("compared-curves", ",,"), ("groups", ",,")):
        browser.execute_script(f"""document.getElementById('{name}').closest('section')
            .querySelector('.downloads:last-of-type button:last-of-type').click()""")
        kept = until(lambda: browser.execute_script("const had = window.kept; window.kept = null; return had"))
        rows = [row for row in unquote(kept).splitlines() if ",300," in row and "0.9" not in row]
        assert rows and any(row.endswith(empty) for row in rows), name
    assert complaints(browser) == []


@pytest.mark.slow
def test_trade_offs_say_which_cells_look_alike(browser: Any, tmp_path: Path) -> None:
    axes = {**GRID, "decode": ["filtered", "extrapolated"], "motion": ["linear", "axis"]}
    show(browser, write_report(Options(path=str(write_sweep(tmp_path / "s", axes)), videos=0)))
    scroll_to(browser, "tradeoffs")
    told = "; lines run along β; cells that differ in decode or motion alone look alike. Click"
    until(lambda: told in text(browser, "tradeoffs-help"))
    assert complaints(browser) == []


@pytest.mark.slow
def test_the_axes_of_a_single_network_do_not_show_its_rounding(browser: Any, tmp_path: Path) -> None:
    scores = {"reconstruction_error": 0.012345678, "mcc": 0.612345678, "kl": 8.12345678, "linear_r2": 0.712345678}
    path = write_sweep(tmp_path / "s", {"beta": [0.1]}, metrics=lambda config, iteration: scores)
    show(browser, write_report(Options(path=str(path), videos=0)))
    scroll_to(browser, "tradeoffs")
    ranges = """const { layout } = document.getElementById('tradeoffs');
        return layout && Object.entries(layout).flatMap(([name, { range }]) => /^[xy]axis/.test(name) ? [range] : [])"""
    for low, high in until(lambda: browser.execute_script(ranges)):
        assert high - low > 0.1 * high


@pytest.mark.slow
def test_long_names_of_metrics_do_not_run_into_each_other(browser: Any, tmp_path: Path) -> None:
    names = [f"separation_of_the_circle_and_the_background_{part}" for part in range(4)]
    path = write_sweep(tmp_path / "s", {"beta": [0.1]}, metrics=lambda config, iteration: dict.fromkeys(names, 0.5))
    show(browser, write_report(Options(path=str(path), videos=0, metrics=tuple(names))))
    places = """return [...document.querySelectorAll('#curves .annotation-text')]
        .map((text) => text.getBoundingClientRect()).map(({ left, right, top }) => [Math.round(top), left, right])"""
    scroll_to(browser, "curves")
    titles = sorted(until(lambda: browser.execute_script(places)))
    assert len(titles) == len(names)
    for (top, _, right), (next_top, left, _) in pairwise(titles):
        assert right < left or top != next_top


@pytest.mark.slow
def test_long_names_of_fields_and_values_need_no_scrolling_to_the_side(browser: Any, tmp_path: Path) -> None:
    content = collect(write_sweep(tmp_path / "s", GRID))
    long = "share_of_the_frame_before_in_each_latent_of_a_model_of_one's_own"
    for axis in content["axes"]:
        axis["text"] = [f"{long}_{text}" for text in axis["text"]]
        for row in content["effects"]["rows"]:
            row["name"] = row["name"].replace(axis["symbol"], f"{long}_{axis['symbol']}")
        axis["symbol"] = f"{long}_{axis['symbol']}"
        if axis["field"] == content["layout"]["x"]:
            axis["text"][0] = ""  # as an own option may have it
    page = tmp_path / "page.html"
    page.write_text(render(content, [], []), encoding="utf-8")
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    try:
        show(browser, page)
        browser.execute_script("document.getElementById('by-value').open = true")
        for name in ("effects", "tradeoffs", "groups"):
            scroll_to(browser, name)
            settle(browser)
        beyond = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert browser.execute_script(beyond) == 0
        names = "return [...document.querySelectorAll('#effects th')].map((one) => one.scrollWidth - one.clientWidth)"
        assert {*browser.execute_script(names)} == {0}
        boxes = """return [...document.querySelectorAll('#map .ytick text, #map .ytitle, #multiples .annotation-text')]
            .map((text) => text.getBoundingClientRect()).map(({ left, right, width }) => [left, right, width])"""
        scroll_to(browser, "map")
        assert all(
            left >= 0 and right <= PHONE["width"] and width for left, right, width in browser.execute_script(boxes)
        )
        inner = "return document.getElementById('map')._fullLayout.xaxis._length"
        assert browser.execute_script(inner) > PHONE["width"] / 3
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert complaints(browser) == []


def test_a_click_draws_no_more_than_what_depends_on_it(browser: Any, page: Path) -> None:
    show(browser, page)
    scroll_to(browser, "tradeoffs")
    until(lambda: browser.execute_script("return document.querySelectorAll('#tradeoffs .point').length"))
    at = place_on_map(browser, 1, 1)
    browser.execute_script("""window.touched = {};
        const parts = {table: '#table', controls: '#controls', effects: '#effects', kept: '#values'};
        for (const [name, where] of Object.entries(parts)) {
            touched[name] = 0;
            new MutationObserver((changes) => { touched[name] += changes.length; }).observe(
                document.querySelector(where),
                {subtree: true, childList: true, attributes: true, characterData: true});
        }""")
    click(browser, at)
    until(lambda: text(browser, "cell-title") == "β = 0.1, γ = 0.5, λ = 0")
    chosen = """return document.getElementById('tradeoffs').layout.shapes.filter(({name}) => name === 'chosen')
        .map(({xanchor}) => xanchor)"""
    x = "return document.getElementById('tradeoffs').data.find((trace) => trace.customdata).x"
    number = "return Number(document.querySelector('tr[aria-selected=true]').dataset.cell)"
    until(lambda: browser.execute_script(chosen)[0] == browser.execute_script(x)[browser.execute_script(number)])
    touched = browser.execute_script("return touched")
    assert touched.pop("table") == 2  # the row that is chosen, and the one that was
    assert touched == dict.fromkeys(("controls", "effects", "kept"), 0)
    assert complaints(browser) == []


def test_without_javascript_a_page_says_so_and_shows_nothing_empty(browser: Any, page: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get("about:blank")
        browser.get(page.as_uri())
        shown = browser.find_element("tag name", "body").text
        controls = browser.find_elements("css selector", "a, button, select, input, summary, h2")
        assert not any(control.is_displayed() for control in controls)
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert shown.startswith("s\n") and "dd-ray results prints its numbers" in shown


def test_a_page_that_is_cut_off_says_so(browser: Any, page: Path, tmp_path: Path) -> None:
    whole = page.read_text(encoding="utf-8")
    begin = whole.index('id="data">') + len('id="data">')
    end = whole.index("</script>", begin)
    cut = tmp_path / "cut.html"
    cut.write_text(whole[: begin + (end - begin) // 8 * 4] + whole[end:], encoding="utf-8")
    browser.get(cut.as_uri())
    assert until(lambda: text(browser, "unread").startswith("This page cannot be read: "))
