"""The page of a sweep: what is in the file, and what it does in a browser."""

import base64
import hashlib
import io
import json
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import Normalize
from PIL import Image
from plotly.offline import get_plotlyjs

from dd_ray import results
from dd_ray.cli import parse
from dd_ray.errors import UserError
from dd_ray.figures import effects as figure_of_effects
from dd_ray.figures import grid_maps, learning_curves
from dd_ray.figures.colour_scale import ColourScale
from dd_ray.figures.effects import names_of as names_of_effects
from dd_ray.probes.answers import dream, held_out_videos, reconstruct, traversal
from dd_ray.probes.lag import Lag, circle_lags
from dd_ray.probes.networks import load_networks
from dd_ray.report import command as report
from dd_ray.report import content as contents
from dd_ray.report.command import Options, write_report
from dd_ray.report.content import collect
from dd_ray.report.page import SCRIPTS, as_json, joined_script
from dd_ray.report.pictures import GREYS, NUM_LAGGING, sprite
from dd_ray.results.arms import arms_of
from dd_ray.results.effects import effects
from dd_ray.results.printing import print_cells
from dd_ray.results.summary import summarise
from dd_ray.results.tradeoffs import points
from dd_ray.storage.files.locations import name_of
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import Outcome
from dd_ray.sweep.manifest import make_manifest
from tests.figures.networks import spoil, write_trained_sweep
from tests.figures.sweeps import GRID, Values, by_seed, measure, summary_of, write_sweep
from tests.report.unpacking import block, unpacked
from tests.sweep.searching import plan_of, run
from tests.sweep.studies import TINY

FOLDER = files("dd_ray.report") / "js"
HOSTILE = "</script><script>window.hacked=1</script><img src=x onerror=window.hacked=1>&\u2028'\""
Shown = tuple[pd.DataFrame, dict[str, Any], Any]


class Page(HTMLParser):
    """What a browser makes of a page, as far as these tests ask."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            attributes, content = self.scripts.pop()
            self.scripts.append((attributes, content + data))

    def block(self, name: str) -> Any:
        (content,) = (content for attributes, content in self.scripts if attributes.get("id") == name)
        return json.loads(content)

    def packed(self, name: str) -> bytes:
        (content,) = (content for attributes, content in self.scripts if attributes.get("id") == name)
        return block(content)

    def numbers(self) -> Any:
        return unpacked(self.packed("data"))


def page_of(path: Path, **options: Any) -> Page:
    return Page(write_report(Options(path=str(path), **options)).read_text(encoding="utf-8"))


def cell_at(content: Any, **at: Any) -> int:
    (place,) = (place for place, cell in enumerate(content["cells"]) if cell["at"] == at)
    return place


def decoded(of: dict[str, Any]) -> np.ndarray:
    """Pictures of a sprite, [rows, columns, H, W]."""
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(of["png"]))).convert("L"))
    height, width = sheet.shape[0] // of["rows"], sheet.shape[1] // of["columns"]
    return sheet.reshape(of["rows"], height, of["columns"], width).transpose(0, 2, 1, 3)


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of one seed, which is only read."""
    return write_sweep(tmp_path_factory.mktemp("grid") / "s", GRID)


@pytest.fixture(scope="module")
def of_grid(grid: Path) -> Any:
    return collect(grid)


def test_every_number_is_the_maps(tmp_path: Path) -> None:
    def ended(config: Values) -> tuple[str, int]:
        return ("stopped_early", 150) if config["gamma"] == 0.9 and config["seed"] else ("finished", 300)

    path = write_sweep(tmp_path / "s", {**GRID, "seed": [0, 1, 2]}, ended)
    content = page_of(path, videos=0).numbers()
    assert content["iterations"] == [0, 150, 300]
    assert len(content["cells"]) == 12
    table, manifest = results.load(path), results.manifest_of(path)
    for time, iteration in enumerate(content["iterations"]):
        for row in summarise(table, manifest, iteration=iteration).cells.to_dict("records"):
            (metric,) = (metric for metric in content["metrics"] if metric["name"] == row["metric"])
            cell = cell_at(content, beta=row["beta"], gamma=row["gamma"], lam=row["lam"])
            assert metric["mean"][time][cell] == pytest.approx(row["mean"], rel=1e-5)
            assert content["marks"][metric["mark"][time][cell]]["name"] == row["mark"]
            assert metric["seeds"][time][cell] == row["seeds"]
            half = metric["half"][time][cell]
            expected = row["high"] - row["mean"]
            assert half is None if np.isnan(expected) else half == pytest.approx(expected, rel=1e-4, abs=1e-12)


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """The trials of a sweep of which a reference failed, its manifest, and what its page shows."""
    path = tmp_path_factory.mktemp("failing") / "s"
    write_sweep(path, {**GRID, "seed": [0, 1, 2]}, _failing_at_the_reference)
    return results.load(path), results.manifest_of(path), page_of(path, videos=0).numbers()


@pytest.mark.parametrize("field", ["gamma", "lam"])
def test_differences_are_those_of_the_map_of_differences(failing: Shown, field: str) -> None:
    trials, manifest, content = failing
    assert [reference["field"] for reference in content["references"]] == ["gamma", "lam"]
    compared = 0
    for time, iteration in enumerate(content["iterations"]):
        summary = summarise(trials, manifest, iteration=iteration, reference=field)
        for row in summary.cells.to_dict("records"):
            (metric,) = (metric for metric in content["metrics"] if metric["name"] == row["metric"])
            difference = metric["differences"][field]
            cell = cell_at(content, beta=row["beta"], gamma=row["gamma"], lam=row["lam"])
            mean = difference["mean"][time][cell]
            assert (mean is None) == np.isnan(row["mean"])
            assert mean is None or mean == pytest.approx(row["mean"], rel=1e-5)
            assert content["marks"][difference["mark"][time][cell]]["name"] == row["mark"]
            assert (cell in difference["differs"][time]) == row["differs"]
            compared += mean is not None
    assert compared > 20
    references = [cell for cell, about in enumerate(content["cells"]) if about["at"][field] == 0]
    for metric in content["metrics"]:
        difference = metric["differences"][field]
        assert difference["min"] == -difference["max"] < 0
        assert {content["marks"][difference["mark"][-1][cell]]["name"] for cell in references} == {"reference"}
        assert {difference["mean"][-1][cell] for cell in references} == {None}


def test_differences_of_several_maps_have_a_family_each(tmp_path: Path) -> None:
    def ended(config: Values) -> tuple[str, int]:
        return ("failed", -1) if config["decode"] == "filtered" and config["beta"] else ("finished", 300)

    def spread(config: Values, iteration: int) -> Values:
        return {"mcc": 0.5 + 0.01 * config["gamma"] * config["seed"]}

    axes = {**GRID, "decode": ["extrapolated", "filtered"], "seed": [0, 1, 2]}
    path = write_sweep(tmp_path / "s", axes, ended, spread)
    content = collect(path)
    families = content["metrics"][0]["differences"]["gamma"]["families"][-1]
    decoded = [{content["cells"][cell]["at"]["decode"] for cell in some} for some in families.values()]
    assert all("differences" in family for family in families)
    assert sorted(map(sorted, decoded)) == [["extrapolated"], ["filtered"]]


def _failing_at_the_reference(config: Values) -> tuple[str, int]:
    at_reference = config["gamma"] == 0 and config["beta"] == 0.1 and config["lam"] == 0
    return ("failed", 150) if at_reference else ("finished", 300)


def test_the_best_region_and_the_fronts_are_those_of_the_figures(tmp_path: Path) -> None:
    def measured(config: Values, iteration: int) -> Values:
        rate = 9 / (1 + config["beta"]) + config["gamma"] - 0.1 * config["lam"]
        return {**measure(config, iteration), "kl": rate}

    path = write_sweep(tmp_path / "s", {**GRID, "seed": [0, 1]}, metrics=measured)
    content, summary = collect(path), summary_of(path, metrics=["kl", "reconstruction_error", "mcc"])
    pairs = [(pair["x"], pair["y"]) for pair in content["tradeoffs"]]
    assert pairs == [("kl", "reconstruction_error")] + [("reconstruction_error", name) for name in ("linear_r2", "mcc")]
    on_axes = list(summary.layout.axes)
    for metric in content["metrics"]:
        if metric["name"] in ("reconstruction_error", "mcc"):
            cells = summary.cells[summary.cells["metric"] == metric["name"]]
            assert metric["best"][-1] == [
                cell_at(content, **at) for at in cells[cells["best"]][on_axes].to_dict("records")
            ]
            region = cells[cells["in_best_region"]][on_axes].to_dict("records")
            assert sorted(metric["region"][-1]) == sorted(cell_at(content, **at) for at in region)
    for pair, size in ((pairs[0], 2), (pairs[2], 12)):
        rows = points(summary, [pair])
        expected = sorted(cell_at(content, **at) for at in rows[rows["on_front"]][on_axes].to_dict("records"))
        assert len(expected) == size
        assert sorted(content["tradeoffs"][pairs.index(pair)]["front"][-1]) == expected


def test_metrics_have_the_values_that_they_can_be_within(of_grid: Any) -> None:
    within = {metric["name"]: metric["within"] for metric in of_grid["metrics"]}
    assert within["mcc"] == [0, 1] and within["linear_r2"] == [None, 1]


def test_without_cells_at_0_nothing_is_compared(tmp_path: Path) -> None:
    content = collect(write_sweep(tmp_path / "s", {"beta": [0.1, 1.0], "gamma": [0.5, 0.9]}))
    assert content["references"] == [] and content["metrics"][0]["differences"] == {}


def test_single_seeds_have_the_numbers_of_the_table(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {**GRID, "seed": [0, 1]})
    table = results.load(path).set_index(["key", "iteration"])
    content = collect(path)
    trials = [trial for cell in content["cells"] for trial in cell["trials"]]
    assert len({trial["key"] for trial in trials}) == 24
    for trial in trials:
        for name, curve in trial["curves"].items():
            expected = [table.loc[(trial["key"], iteration), name] for iteration in content["iterations"]]
            known = [value if value is not None else np.nan for value in curve]
            np.testing.assert_allclose(known, np.asarray(expected, float), rtol=1e-5)


def test_one_scale_holds_the_end_of_all_slices_and_collapse_is_dark(of_grid: Any) -> None:
    metrics = {metric["name"]: metric for metric in of_grid["metrics"]}
    error, r2 = metrics["reconstruction_error"], metrics["linear_r2"]
    ends = [value for value in error["mean"][-1] if value is not None]
    assert (error["min"], error["max"]) == (min(ends), max(ends))
    assert r2["min"] == min(*r2["untrained"], *r2["mean"][-1])
    assert (metrics["active_units"]["min"], metrics["active_units"]["max"]) == (0, 4)
    maps = [metrics[name]["colours"] for name in ("reconstruction_error", "mcc", "active_units")]
    assert maps == ["viridis_r", "viridis", "cividis"]
    black = of_grid["colours"]["viridis_r"]["black"]
    assert black[0] and not black[-1]


def test_a_part_of_a_metric_is_coloured_and_named_as_the_whole(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", GRID, metrics=lambda c, i: {**measure(c, i), "linear_r2/circle_x": c["gamma"]})
    (part,) = collect(path, metrics=["linear_r2/circle_x"])["metrics"]
    said = [part[name] for name in ("label", "short", "better", "colours")]
    assert said == ["R², circle x", "R², circle x", "max", "viridis"]
    assert part["differences"]["gamma"]["colours"] == "RdBu"


def test_the_file_needs_nothing_else(tmp_path: Path) -> None:
    path = write_trained_sweep(tmp_path / "s", {"beta": [0.1, 1.0]})
    text = write_report(Options(path=str(path))).read_text(encoding="utf-8")
    page = Page(text)
    assert page.packed("library").decode() == get_plotlyjs()
    own = re.sub(r'(<script type="application/gzip" id="\w+">)[^<]*(?=</script>)', r"\1", text)
    assert len(own) < len(text)
    own += json.dumps(page.numbers(), ensure_ascii=False)
    assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]|@import|@font-face|\bfetch\(|XMLHttpRequest|WebSocket", own)
    sources = [value for _, name, value in page.attributes if name in ("src", "href", "action", "srcset")]
    assert sources and all(value and value.startswith(("#", "data:")) for value in sources)


def test_the_policy_forbids_every_request_and_names_the_scripts(tmp_path: Path) -> None:
    page = page_of(write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]}), videos=0)
    (policy,) = (value for _, name, value in page.attributes if name == "content" and value and "default-src" in value)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert set(rules) == {"default-src", "script-src", "style-src", "img-src", "base-uri", "form-action"}
    assert not any("http" in rule or "*" in rule for rule in rules.values())
    assert "'unsafe-inline'" not in rules["script-src"]
    run_by_browser = [content for attributes, content in page.scripts if "type" not in attributes]
    assert len(run_by_browser) == 1
    for script in (*run_by_browser, page.packed("library").decode()):  # which the first adds to the page
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in rules["script-src"]


def hostile_sweep(path: Path) -> Path:
    """A sweep whose study, labels and errors are hostile."""
    write_sweep(path, {"beta": [0.1, 1.0]}, lambda c: ("failed", 150) if c["beta"] == 1 else ("finished", 300))
    sweep = SweepFolder.at(path)
    sweep.write_manifest({**sweep.manifest(), "study": HOSTILE, "question": HOSTILE})
    for cell in sweep.trials():
        described = cell.describe()
        cell.files.write("config.json", json.dumps({**described, "label": f"beta=1,{HOSTILE}"}).encode())
        if (outcome := cell.outcome()) and outcome.state == "failed":
            cell.finish(Outcome(state="failed", iteration=150, error=HOSTILE))
    return path


def test_the_script_parses(tmp_path: Path) -> None:
    (tmp_path / "script.js").write_text(joined_script(served=True), encoding="utf-8")
    assert not node("--check", str(tmp_path / "script.js"))  # else it says what is wrong


def node(*arguments: str) -> str:
    program = shutil.which("node")
    if program is None:
        pytest.skip("needs node: apt-get install nodejs")
    ran = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert not ran.returncode, ran.stderr
    return ran.stdout


STUBS = """const get = (_, key) => (key === Symbol.toPrimitive ? () => "" : anything);
const anything = new Proxy(() => {}, { get, apply: () => anything });
const $ = anything, element = anything, document = anything, store = anything;
const whenRead = () => {}, KEEPING = [], LOOK = [];
"""
"""What stands for the page where parts of its script run without one."""


def _of_script(expression: str, before: str = "") -> Any:
    """What an expression is beside what the script defines that needs no page."""
    names = ("text", "plots", "columns", "parallel")
    script = "\n".join((FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in names)
    return json.loads(node("-e", f"{STUBS}{before}\n{script}\nconsole.log(JSON.stringify({expression}))"))


def test_no_text_in_a_table_that_the_page_gives_is_a_formula() -> None:
    values = [
        "=1+1",
        "+1+1",
        "@SUM(A1)",
        "-a",
        "a=b",
        -0.5,
        "-0.5",
        None,
        True,
        "x,y",
        'say "a"',
        "a\rb",
        '=HYPER("u")',
    ]
    line = _of_script(f"csvLine({json.dumps(values)})")
    assert line == ('\'=1+1,\'+1+1,\'@SUM(A1),\'-a,a=b,-0.5,-0.5,,true,"x,y","say ""a""","a\rb","\'=HYPER(""u"")"\n')


@pytest.mark.parametrize(
    ("values", "places", "ticks"),
    [
        ([1, 10, 1000], [0, 1, 3], ["1", "10", "100", "1000"]),
        ([0, 1, 1000], [-0.3, 0, 3], ["0", "1", "10", "100", "1000"]),
        ([0, 5], [math.log10(5) - 0.1, math.log10(5)], ["0", "5"]),
        ([0, 0], [-0.1, -0.1], ["0"]),
    ],
)
def test_0_has_a_place_of_its_own_on_a_logarithmic_axis(
    values: list[float], places: list[float], ticks: list[str]
) -> None:
    axis = _of_script(f"logarithmic({values})")
    assert axis["values"] == pytest.approx(places) and list(dict.fromkeys(axis["ticktext"])) == ticks


def test_settings_have_as_many_digits_as_labels() -> None:
    values = [0.1234567890123, 1 / 3, 1e-7, 0.1, 12345678, 1.0, None, True, "mean"]
    wanted = ["0.123457", "0.333333", "1e-7", "0.1", "12345678", "1", "none", "true", "mean"]
    assert _of_script(f"{json.dumps(values)}.map(settingText)") == wanted


@pytest.mark.parametrize(("half", "said"), [(0.01, ""), (0.02, ", though its interval holds 0"), (None, "")])
def test_a_difference_whose_interval_holds_0_is_said_to_be_one(half: float | None, said: str) -> None:
    metric = {"differs": [[0]], "mean": [[-0.011]], "half": [[half]]}
    page = "const state = { time: 0 }, data = { layout: { rest: [] } };"
    told = _of_script(f"distinctionOf({json.dumps(metric)}, 0)", page)
    assert told == f", not 0, for the map as a whole{said}"


WORDS = ["", "32", "64,32", " a", 'a"b', "a, =c", "b", "=b", "none"]


def test_a_value_that_is_clicked_is_kept_alone_whatever_text_it_is() -> None:
    axis = json.dumps({"values": WORDS, "text": WORDS})
    clicked = [*([word] for word in WORDS), WORDS[1:4], WORDS[4:]]
    keeps = "axis.values.filter((value) => fitsAny(filterOfValues(axis, some), value, value))"
    assert _of_script(f"((axis) => {json.dumps(clicked)}.map((some) => {keeps}))({axis})") == clicked
    typed = "[fitsAny('=b, 64', 'b', 'b'), fitsAny('a b', 'a b c', 'a b c'), fitsAny('1, 2', 2, '2')]"
    assert _of_script(typed) == [True] * 3


def test_cells_are_kept_by_signs_as_they_are_printed_or_by_what_they_are_not() -> None:
    typed = ["≥ 2", "≤2", "!=2", "≠ 1, 2", "!= b"]
    keeps = f"{json.dumps(typed)}.map((typed) => [1, 2, 3].filter((value) => fitsAny(typed, value, `${{value}}`)))"
    assert _of_script(keeps) == [[2, 3], [1, 2], [1, 3], [3], [1, 2, 3]]
    assert _of_script("['a', 'b', 'bc'].filter((value) => fitsAny('!= b', value, value))") == ["a", "bc"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("β = 0.1, γ = 0.5, λ = 0", [["β", "=0.1"], ["γ", "=0.5"], ["λ", "=0"]]),
        ("γ = 0, 0.5", [["γ", "0, 0.5"]]),
        ("R², stills > 0.6", [["R², stills", ">0.6"]]),
        ("β ≤ 0.1, γ ≠ 0.5", [["β", "<=0.1"], ["γ", "!=0.5"]]),
        ("β = 0.1, R², stills > 0.6 and λ=0", [["β", "=0.1"], ["R², stills", ">0.6"], ["λ", "=0"]]),
    ],
)
def test_a_cell_is_kept_by_its_whole_name(typed: str, meant: list[list[str]]) -> None:
    columns = [{"name": name, "title": name} for name in ("β", "γ", "λ", "R²", "R², stills")]
    clauses = f"clausesOf({json.dumps(typed)}).map(({{ name, filter }}) => [name, filter])"
    assert _of_script(f"(columnsOfTable = {json.dumps(columns)}, {clauses})") == meant


@pytest.mark.parametrize(
    "typed", ["linear_r2", "linear r2", "R²", "Linear R² (mean of factors)", "linear r² (Mean of factors)", "Linear R²"]
)
def test_a_metric_is_meant_by_each_name_that_the_page_shows(typed: str) -> None:
    metric = {"label": "Linear R² (mean of factors)"}
    columns = [{"name": "beta", "title": "β"}, {"name": "linear_r2", "title": "R²", "metric": metric}]
    clauses = f"clausesOf({json.dumps(typed + ' > 0.5')}).map(({{ column, filter }}) => [column?.name, filter])"
    assert _of_script(f"(columnsOfTable = {json.dumps(columns)}, {clauses})") == [["linear_r2", ">0.5"]]


@pytest.mark.parametrize(
    ("values", "part", "kept"),
    [
        (["a_vae", "b_vae", "none"], [-0.2, 1.3], ["a_vae", "b_vae"]),
        (["a_vae", "b_vae", "none"], [0.9, 1.1], ["b_vae"]),
        (["a_vae", "b_vae", "none"], [1.2, 1.8], []),
        ([False, True], [0.9, 1.1], [True]),
        ([0.1, 0.5, 1.0], [0.9, 2.1], [0.5, 1.0]),
    ],
)
@pytest.mark.parametrize("search", [False, True])
def test_a_part_of_an_axis_of_places_keeps_its_values(
    values: list[Any], part: list[float], kept: list[Any], search: bool
) -> None:
    if search and isinstance(values[0], float):
        return  # an axis of numbers that were drawn
    axis = json.dumps({"values": values, "text": list(map(str, values)), "log": False})
    before = f"const isSearch = {json.dumps(search)}, state = {{ filters: {{}} }}, cells = [], axis = {axis};"
    column = "{ name: 'x', axis }"
    keeps = "axis.values.filter((value, i) => fitsAny(filter, value, axis.text[i]))"
    found = f"((filter) => [{keeps}, (state.filters.x = filter, rangeAlong({column}))])(filterOf({column}, {part}))"
    some, shown = _of_script(found, before)
    assert some == kept
    assert [i for i in range(len(values)) if shown[0] <= i <= shown[1]] == [values.index(value) for value in kept]


def test_a_part_of_a_logarithmic_axis_that_has_its_0_keeps_0() -> None:
    before = "const isSearch = true, state = { filters: {} }, cells = [0, 1, 100];"
    column = "{ name: 'x', axis: { log: true, values: [0, 1, 100] }, value: (cell) => cells[cell] }"
    assert _of_script(f"filterOf({column}, [-0.3, 1])", before) == "0..10"
    assert _of_script(f"filterOf({column}, [-0.1, 1])", before) == "0.7943..10"


def test_an_axis_of_counts_begins_at_0_also_where_a_count_is_missing() -> None:
    metric = json.dumps({"count": True, "min": 0, "max": 4})
    axis = _of_script(f"metricDimension({metric}, [4, 2, null])")
    assert axis["ticktext"] == ["none", "0", "1", "2", "3", "4"]
    assert axis["range"] == [axis["tickvals"][0], 4] and axis["tickvals"] == sorted(axis["tickvals"])


def test_no_file_of_the_script_uses_a_name_of_a_later_one() -> None:
    assert sorted(f"{name}.js" for name in SCRIPTS) == sorted(path.name for path in FOLDER.iterdir())
    comments_and_strings = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\])*"', re.DOTALL)
    texts = [comments_and_strings.sub("", (FOLDER / f"{name}.js").read_text(encoding="utf-8")) for name in SCRIPTS]
    where: dict[str, int] = {}
    for place, text in enumerate(texts):
        for name, several in re.findall(r"^(?:function|const|let|class) (?:([\w$]+)|\{(.*?)\})", text, re.MULTILINE):
            for one in [name] if name else [part.split(":")[-1].strip() for part in several.split(",")]:
                assert one not in where, f"{one} is defined twice"
                where[one] = place
    assert len(where) > 100
    for place, (file, text) in enumerate(zip(SCRIPTS, texts, strict=True)):
        used = {*re.findall(r"(?<![\w$.])[\w$]+(?![\w$]|: )", text)}  # neither x.name nor {name: x}
        later = {name: SCRIPTS[where[name]] for name in used if where.get(name, 0) > place}
        assert not later, f"{file}.js uses what only later files define: {later}"


def test_the_page_writes_numbers_as_the_figures_do() -> None:
    random = np.random.default_rng(0)
    cases: list[tuple[dict[str, Any], float]] = []
    expected = []
    for magnitude in [*10.0 ** np.arange(-9, 9), 1e-300, 1e-12, 1e18, 1e30, 1e300]:
        ends = sorted(magnitude * random.uniform(-2, 2, 2))
        furthest = float(magnitude * random.uniform(1, 9))
        for scale in (
            ColourScale("kl", Normalize(*ends), "cividis", ""),
            ColourScale("kl", Normalize(0, furthest), "cividis", ""),
            ColourScale("kl", Normalize(-furthest, furthest), "RdBu", "", signed=True),
        ):
            low, high = scale.norm.vmin or 0.0, scale.norm.vmax or 0.0
            for value in (0.0, *random.uniform(low, high, 20).tolist()):
                expected.append(scale.text(value))
                cases.append(({"signed": scale.signed, "digits": scale.digits, "decimals": scale.decimals}, value))
    noises = (None, 1e-300, 3e-6, 0.02, 1.0, 50.0, 2000.0, 1e30)
    halves = [ColourScale("kl", Normalize(0, 1), "cividis", "", noise=noise) for noise in noises]
    several = [0.0, *10.0 ** random.uniform(-8, 4, 40), 2e-300, 1.5e-12, 2e20, 2.6e30, 3e300]
    expected_halves = [scale.interval_text(half) for scale in halves for half in several]
    of_halves = [({"interval_decimals": scale.interval_decimals}, half) for scale in halves for half in several]
    source = (FOLDER / "text.js").read_text(encoding="utf-8")
    call = f"console.log(JSON.stringify({json.dumps(cases)}.map(([metric, value]) => shown(metric, value))))"
    assert json.loads(node("--eval", source + call)) == expected
    call = f"console.log(JSON.stringify({json.dumps(of_halves)}.map(([metric, half]) => halfOf(metric, half))))"
    assert json.loads(node("--eval", source + call)) == expected_halves


def test_hostile_labels_and_errors_stay_text(tmp_path: Path) -> None:
    text = write_report(Options(path=str(hostile_sweep(tmp_path / "s")), videos=0)).read_text(encoding="utf-8")
    page = Page(text)
    assert [attributes for attributes, _ in page.scripts if "type" not in attributes] == [{}]
    assert not [tag for tag, name, _ in page.attributes if name.startswith("on") or tag == "img"]
    content = page.numbers()
    assert content["study"] == content["about"]["question"] == HOSTILE
    trials = [trial for cell in content["cells"] for trial in cell["trials"]]
    assert [trial["error"] for trial in trials] == [None, HOSTILE]
    assert all(trial["label"].endswith(HOSTILE) for trial in trials)


def test_json_cannot_end_its_element() -> None:
    written = as_json({HOSTILE: ["<!--", HOSTILE]})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {HOSTILE: ["<!--", HOSTILE]}
    with pytest.raises(ValueError, match="JSON"):
        as_json(float("nan"))


def test_pictures_are_those_of_the_network(tmp_path: Path) -> None:
    path = write_trained_sweep(tmp_path / "s", {"beta": [0.1, 1.0], "seed": [0, 1]})
    page = page_of(path, videos=3)
    pictures = page.block("pictures-1")
    (subject,), _ = load_networks(path, results.final(results.load(path)).query("beta == 1 and seed == 0"))
    assert (pictures["seed"], pictures["iteration"]) == (0, 300)
    step = 255 / (GREYS - 1)
    originals, reconstructions = reconstruct(subject.model, held_out_videos(subject.config, 3))
    source, whole = page.block("originals")  # for all cells; the second of the dreams, with the frames before
    videos = held_out_videos(subject.config, 3).images[:1]
    dreamt = np.concatenate([dream(subject.model, videos[:, :3], gamma, 9) for gamma in pictures["dream"]["gammas"]])
    assert (pictures["dream"]["seen"], pictures["dream"]["delay"], pictures["dream"]["original"]) == (3, 1, 1)
    assert decoded(whole).shape[:2] == (1, 10)
    lag = Lag.of(circle_lags(subject.model, held_out_videos(subject.config, NUM_LAGGING)))
    assert pictures["lag"]["shown"] == round(lag.shown, 2) and pictures["lag"]["pixels"] is None  # untrained
    for shown, expected in [
        (pictures["dream"]["sprite"], dreamt),
        (source, originals),
        (pictures["reconstruction"], reconstructions),
        (pictures["traversal"], traversal(subject.model, subject.config)),
    ]:
        assert np.abs(decoded(shown).astype(int) - expected).max() <= step
    assert len(pictures["latents"]) == subject.config.num_latents


def test_a_sprite_keeps_the_pictures_in_their_places() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5)).astype(np.uint8)
    made = sprite(pictures)
    assert (made["rows"], made["columns"]) == (2, 3)
    assert np.abs(decoded(made).astype(int) - pictures).max() <= 255 / (GREYS - 1)
    ends = np.asarray([0, 255], np.uint8).reshape(1, 2, 1, 1)
    np.testing.assert_array_equal(decoded(sprite(ends)), ends)


def test_cells_without_a_usable_network_say_so(tmp_path: Path) -> None:
    ended = {0.1: ("finished", 300), 0.5: ("missing", -1), 1.0: ("diverged", 150), 2.0: ("finished", 300)}

    def change(trial: Any) -> None:
        if trial.config.beta == 1.0:
            spoil(trial)

    path = write_trained_sweep(tmp_path / "s", {"beta": list(ended)}, lambda c: ended[c["beta"]], change=change)
    content = collect(path)
    sweep = SweepFolder.at(path)
    damaged = sweep.trial(content["cells"][3]["trials"][0]["key"])
    damaged.files.write("state-000000300.npz", b"no state")
    page = page_of(path)
    pictured = [page.block(f"pictures-{cell}") for cell in range(4)]
    assert ["note" in pictures for pictures in pictured] == [False, True, True, True]
    assert "never evaluated" in pictured[1]["note"]
    assert "not finite" in pictured[2]["note"]
    assert all(str(tmp_path) not in pictures["note"] for pictures in pictured[1:])


def test_a_sweep_of_216_cells_is_small(tmp_path: Path) -> None:
    axes = {"beta": [0.0, 0.003, 2.0], "gamma": [0, 0.25, 0.5, 0.75, 0.9, 1.0], "lam": [0, 1]}  # a sixth of them
    path = write_sweep(tmp_path / "s", axes, evaluated=range(0, 301, 60))
    content = collect(path)
    assert len(content["cells"]) == 216 // 6
    # Noise does not compress: no picture of a network takes more.
    noise = np.random.default_rng(0).integers(0, 256, (6, 8, 32, 32)).astype(np.uint8)
    most = 216 * len(as_json({"traversal": sprite(noise[:, :7]), "reconstruction": sprite(noise[:2])}))
    assert 6 * len(as_json(content)) + len(get_plotlyjs()) + most < 20e6


def test_of_many_evaluations_some_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MOST_ITERATIONS", 5)
    evaluated = [0, 2, 4, 6, 8, 100]  # one too many
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]}, lambda config: ("finished", 100), evaluated=evaluated)
    shown = collect(path)
    assert len(shown["iterations"]) == 5
    assert (shown["iterations"][0], shown["iterations"][-1]) == (0, 100)
    assert shown["thinned"]


def test_a_search_is_its_suggestions(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    run(plan, lambda cell: ("finished", {"reconstruction_error": 0.1 + cell.config.gamma, "mcc": 0.5}))
    path = tmp_path / "search"
    content = page_of(path, videos=0).numbers()
    assert content["kind"] == "search"
    assert [axis["field"] for axis in content["axes"]] == ["beta", "gamma"]
    assert sorted(cell["suggestion"] for cell in content["cells"]) == [0, 1, 2, 3, 4]
    error = content["metrics"][0]
    for cell, value in zip(content["cells"], error["mean"][-1], strict=True):
        assert len(cell["trials"]) == 2
        assert value == pytest.approx(0.1 + cell["at"]["gamma"], rel=1e-4)
    best = min(range(5), key=lambda cell: error["mean"][-1][cell])
    assert [cell["on_front"] for cell in content["cells"]] == [cell == best for cell in range(5)]
    found = content["found"]
    (objective,) = found["objectives"]
    assert (objective["name"], found["states"]) == ("reconstruction_error", ["finished"] * 5)
    assert objective["best"] == [min(objective["mean"][: i + 1]) for i in range(5)]
    shares = found["importance"]["of"]["reconstruction_error"]
    assert found["importance"]["fields"] == ["β", "γ"] and sum(shares) == pytest.approx(1, abs=1e-5)
    assert shares[1] > shares[0]  # the error is that of γ alone
    with pytest.raises(UserError, match="this is a search"):
        collect(path, places={"x": "gamma"})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--metrics", "accuracy"], "'accuracy' is not a column"),
        (["--x", "delta"], "'delta' is no axis"),
        (["--videos", "-1"], "is negative"),
        (["--out", "sweep.json/report.html"], "cannot be written"),
    ],
)
def test_what_does_not_exist_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]}))
    with pytest.raises(SystemExit) as exited:
        report.main([".", *arguments, *(["--videos", "0"] if "--videos" not in arguments else [])])
    assert exited.value.code == 2
    assert message in capsys.readouterr().err


def test_a_sweep_without_evaluations_is_refused(tmp_path: Path) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]}, lambda config: ("missing", -1))
    with pytest.raises(UserError, match="nothing to report"):
        collect(path)


def test_a_sweep_of_which_all_diverged_is_refused_in_these_words(tmp_path: Path) -> None:
    none = {"reconstruction_error": None, "mcc": None}
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]}, lambda config: ("diverged", 150), lambda config, at: none)
    curves = learning_curves.Options(path=str(path))
    for refused in (lambda: collect(path), lambda: learning_curves.write_learning_curves(curves)):
        with pytest.raises(UserError, match="2 diverged of 2 trials"):
            refused()


def test_the_command_writes_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]})
    report.main([str(path), "--videos", "0"])
    assert capsys.readouterr().out.strip() == str(path / "report.html")
    assert (path / "report.html").stat().st_size < 7e6


@pytest.mark.parametrize(
    ("fixed", "shown"),
    [
        ({"model": ["beta_vae"], "dataset": ["still_circles"], "beta": [0.1, 1.0]}, True),
        ({"model": ["predictive_vae"], "beta": [0.1, 1.0], "num_frames": [4]}, True),
        ({"model": ["inertia_vae"], "beta": [0.1, 1.0], "num_frames": [5, 6]}, True),
        (
            {"model": ["predictive_vae"], "beta": [0.1], "dataset": ["moving_sprites"], "moves": ["scale", "position"]},
            True,
        ),
        ({"model": ["supervised_encoder"], "dataset": ["still_circles"], "learning_rate": [1e-4, 1e-3]}, False),
        ({"model": ["supervised_decoder"], "dataset": ["still_circles"], "learning_rate": [1e-4, 1e-3]}, False),
    ],
    ids=["still", "videos", "lengths", "sprites", "no decoder", "no encoder"],
)
def test_every_model_is_pictured_or_says_why_not(tmp_path: Path, fixed: dict[str, list[Any]], shown: bool) -> None:
    path = write_trained_sweep(tmp_path / "s", fixed)
    page = page_of(path, videos=1)
    for cell in range(len(page.numbers()["cells"])):
        pictures = page.block(f"pictures-{cell}")
        assert ("reconstruction" in pictures) == shown
        assert shown or "decoder" in pictures["note"]
        if shown:
            still = fixed["model"] == ["beta_vae"]
            assert (pictures["dream"] is None) == still
            assert (pictures["lag"] is None) == (still or "moving_sprites" in fixed.get("dataset", []))


def test_a_page_says_what_its_sweep_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = parse(TINY, ["--storage", str(tmp_path), "--name", "mine"])
    path = write_sweep(tmp_path / "mine", {"beta": [0.1, 1.0]})
    sweep = SweepFolder.at(path)
    written = make_manifest(plan, {**sweep.manifest(), "began": "2026-01-02T03:04:05+00:00"})
    sweep.write_manifest({**written, "command": ["dd-ray tiny", "--name", "a b"], "options": {"iterations": 300}})
    page = page_of(path, videos=0)
    said = page.numbers()["about"]
    assert (said["name"], said["study"], said["question"]) == ("mine", "tiny", TINY.question)
    assert said["began"].startswith("2026-01-02") and said["asked"] > said["began"]
    assert said["command"] == "dd-ray tiny --name 'a b'"
    assert "torch " in said["versions"] and " cores" in said["machine"]
    assert collect(write_sweep(tmp_path / "old", {"beta": [0.1, 1.0]}))["about"]["machine"] is None
    monkeypatch.chdir(path)
    assert SweepFolder.open(".").name == "mine"
    assert name_of("s3://bucket/sweeps/mine?region=x") == "mine"


def test_effects_are_those_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_sweep(tmp_path / "s", {**GRID, "seed": [0, 1, 2]}, metrics=_noisy)
    shown = collect(path)["effects"]
    found = effects(summary_of(path, metrics=["mcc"]))
    expected, of = found.to_dict("records"), shown["of"]["mcc"]
    assert [row["name"] for row in shown["rows"]] == names_of_effects(found)
    assert [row["interaction"] for row in shown["rows"]] == [bool(row["other_axis"]) for row in expected]
    assert of["effect"] == pytest.approx([row["effect"] for row in expected], rel=1e-5)
    assert of["high"] == pytest.approx([row["ci_high"] for row in expected], rel=1e-5)
    assert any(of["differs"]) and not all(of["differs"])
    figure_of_effects.main([str(path), "--metrics", "mcc", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    assert all(text in printed for text in of["text"]) and shown["title"].split(",")[0] in printed


def _noisy(config: Values, iteration: int) -> Values:
    place = [config["seed"], int(10 * config["gamma"]), int(config["lam"]), int(100 * config["beta"])]
    return {"mcc": 0.1 * config["gamma"] + 0.01 * np.random.default_rng(place).random(), "active_units": 4.0}


def test_values_that_agree_to_six_digits_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    axes = {"beta": [0.1, 1.0], "lam": [0.0, 1.0000001, 1.0000002], "seed": [0, 1]}
    path = write_sweep(tmp_path / "s", axes, metrics=_noisy)
    content = collect(path)
    assert [axis["text"] for axis in content["axes"]] == [["0.1", "1"], ["0", "1.0000001", "1.0000002"]]
    names = [row["name"] for row in content["effects"]["rows"]]
    assert "λ: 0 → 1.0000001" in names and "λ: 0 → 1.0000002" in names
    figure_of_effects.main([str(path), "--metrics", "mcc", "--out", str(tmp_path)])
    assert "λ: 0 → 1.0000002" in capsys.readouterr().out


def test_figures_and_tables_tell_such_values_apart_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    axes = {"beta": [0.1, 1.0], "gamma": [0.0, 0.5, 0.5000001], "lam": [0.0, 1.0000001, 1.0000002]}
    path = write_sweep(tmp_path / "s", axes)
    summary, trials = summary_of(path, metrics=["mcc"]), results.final(results.load(path))
    drawn = grid_maps.draw(summary, [ColourScale.of(summary, "mcc")], "title")
    first, *_ = panels = [panel for panel in drawn.axes if panel.get_title()]
    assert [panel.get_title() for panel in panels] == ["λ = 0", "λ = 1.0000001", "λ = 1.0000002"]
    assert [label.get_text() for label in first.get_xticklabels()] == ["0", "0.5", "0.5000001"]
    curves = learning_curves.Options(path=str(path), out=tmp_path, metrics=("mcc",), cells=("beta=0.1",))
    named = pd.read_csv(learning_curves.write_learning_curves(curves)[-1])["cell"].unique()
    assert len(named) == 9 and "β = 0.1, γ = 0.5000001, λ = 1.0000002" in named
    arms = arms_of(trials)
    assert arms is not None and len({arm.name for arm in arms.others}) == 8
    print_cells(trials, width=100)
    told = capsys.readouterr().out
    assert "1.0000001" in told and "1.0000002" in told and "0.5000001" in told


def test_effects_of_one_seed_have_no_word_of_intervals(
    grid: Path, of_grid: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = of_grid["effects"]
    assert "interval" not in shown["title"] and "*" not in shown["title"]
    assert {*shown["of"]["mcc"]["low"]} == {None} and not any("[" in text for text in shown["of"]["mcc"]["text"])
    figure_of_effects.main([str(grid), "--out", str(tmp_path)])
    assert "interval" not in capsys.readouterr().out
    assert collect(write_sweep(tmp_path / "one", {"beta": [0.1]}))["effects"] is None


@pytest.mark.parametrize(
    ("first", "second", "marked"),
    [
        ("diverged", "diverged", "diverged"),
        ("diverged", "unfinished", "diverged"),
        ("stopped_early", "unfinished", "stopped_early"),
        ("unfinished", "unfinished", "complete"),
    ],
)
def test_no_trial_that_ended_before_the_last_iteration_is_complete_where_the_sweep_stands(
    first: str, second: str, marked: str, tmp_path: Path
) -> None:
    axes = {"beta": [0.1], "gamma": [0.0, 0.5], "seed": [0, 1]}
    path = write_sweep(tmp_path / "s", axes, by_seed((first, 150), (second, 150)))
    shown = collect(path)
    assert (shown["iterations"], shown["last"]) == ([0, 150], 300)
    (before, now), (_, difference) = (
        [{shown["marks"][mark]["name"] for mark in marks} for marks in of["mark"]]
        for of in (shown["metrics"][0], shown["metrics"][0]["differences"]["gamma"])
    )
    assert (before, now, difference) == ({"complete"}, {marked}, {"reference", marked})
    assert bool(shown["tradeoffs"][0]["front"][-1]) is (marked == "complete")
    assert (shown["effects"] is None) is (second == "diverged")


def test_notes_are_kept_beside_the_sweep_and_stay_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_sweep(tmp_path / "s", {"beta": [0.1, 1.0]})
    assert collect(path)["notes"] == ""
    report.main([str(path), "--videos", "0", "--note", HOSTILE])
    assert capsys.readouterr().out.splitlines() == [f"Note kept:   {path / 'notes.md'}", str(path / "report.html")]
    (path / "notes.md").write_text("by hand", encoding="utf-8")
    report.main([str(path), "--videos", "0", "--note", "two\nlines"])
    notes = collect(path)["notes"]
    assert re.fullmatch(r"by hand\n- \d{4}-\d\d-\d\d \d\d:\d\d UTC: two\n  lines\n", notes)
    assert Page((path / "report.html").read_text(encoding="utf-8")).numbers()["notes"] == notes
    for arguments, message in ([str(path), "--note", " "], "is empty"), ([str(tmp_path), "--note", "x"], "no sweep"):
        with pytest.raises(SystemExit) as exited:
            report.main(arguments)
        assert exited.value.code == 2 and message in capsys.readouterr().err
