"""Two sweeps beside each other: what differs between them, what came out, and their maps of one metric in one scale.

The numbers are those of the sweeps' own pages, at the last iteration of each.
"""

import html
import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any
from urllib.parse import urlencode

import matplotlib as mpl

from dd_ray.config.options import option_name, shown
from dd_ray.errors import UserError
from dd_ray.figures.cell_marks import COLLAPSED
from dd_ray.figures.colour_scale import readable_on
from dd_ray.figures.common import MARKS
from dd_ray.figures.number_text import of_half, of_value

Content = Mapping[str, Any]
"""What `dd_ray.report.content.collect` gives of a sweep."""
BESIDE, METRIC = "beside", "metric"
"""Names in the query of the page's address."""
Maps = dict[str, dict[str, Any]]
"""Maps of a sweep by their titles: each one's values of fields that are no axes of it."""
ABSENT, _ = MARKS["absent"]
"""What stands in a place of a map where the sweep has no cell."""


def beside_body(names: Sequence[str], contents: Sequence[Content], findings: Sequence[str], metric: str | None) -> str:
    """Return the body of the page.

    Args:
        names: of the two sweeps.
        contents: their numbers.
        findings: what came out of each, in a sentence; empty where there is nothing to compare.
        metric: the metric of the maps; where none is given, the first that both have.

    Raises:
        UserError: one of them is a search, they have no metric in common, or one of them lacks the metric.
    """
    if searches := [name for name, content in zip(names, contents, strict=True) if content["kind"] == "search"]:
        raise UserError(f"{searches[0]} is a search, which has no map; choose two grids.")
    of = [{each["name"]: each for each in content["metrics"]} for content in contents]
    common = [name for name in of[0] if name in of[1]]
    if not common or metric not in (None, *common):
        raise UserError(f"{' and '.join(names)} have no metric {metric or ''} in common; both have {common or 'none'}.")
    name = metric or common[0]
    chosen = [one[name] for one in of]
    choices = " · ".join(_choice(names, of[0][other], current=other == name) for other in common)
    heads = "".join(f'<th scope="col" class="text">{html.escape(sweep)}</th>' for sweep in names)
    said = [text or "Nothing can be said yet." for text in findings]
    found = "".join(f'<td class="text finding">{html.escape(text)}</td>' for text in said)
    maps = _maps_of(contents)
    return f"""<section class="panel"><h2>What differs</h2>
<div class="scroll" tabindex="0" role="region" aria-label="What differs"><table class="differing">
<thead><tr><th scope="col"></th>{heads}</tr></thead><tbody>{_differing(contents)}
<tr><th scope="row">came out</th>{found}</tr></tbody></table></div></section>
<section class="panel"><h2>{html.escape(chosen[0]["label"])}</h2><p class="hint">{choices}</p>
<p class="hint">{html.escape(_numbers_in_words(names, contents, chosen))} {_scale_in_words(chosen)}
{html.escape(_best_in_words(names, contents, chosen))}{_letters(contents, chosen, maps)}</p>
<div class="pair">{_drawn(names, contents, chosen, maps)}</div></section>"""


def _choice(names: Sequence[str], metric: Mapping[str, Any], *, current: bool) -> str:
    label = html.escape(metric["short"])
    if current:
        return f"<b>{label}</b>"
    query = urlencode([*((BESIDE, name) for name in names), (METRIC, metric["name"])])
    return f'<a href="?{html.escape(query)}">{label}</a>'


def _values(content: Content) -> dict[str, list[Any]]:
    """Return the values that a sweep has of each config field, and of what else may differ."""
    found: dict[str, list[Any]] = {}
    for cell in content["cells"]:
        for field, value in {**content["common"], **cell["config"]}.items():
            if value not in found.setdefault(option_name(field), []):
                found[option_name(field)].append(value)
    seeds = sorted({trial["seed"] for cell in content["cells"] for trial in cell["trials"]})
    told = {name: [content["about"][name]] for name in ("question", "machine", "commit", "versions")}
    return {"study": [content["study"]], **found, "seed": seeds, "iterations": [content["last"]], **told}


def _differing(contents: Sequence[Content]) -> str:
    one, other = map(_values, contents)
    rows = []
    for name in dict.fromkeys([*one, *other]):
        here, there = one.get(name, []), other.get(name, [])
        if sorted(map(str, here)) != sorted(map(str, there)):
            cells = "".join(f'<td class="text">{html.escape(_listed(some))}</td>' for some in (here, there))
            rows.append(f'<tr><th scope="row">{html.escape(name)}</th>{cells}</tr>')
    return "".join(rows)


def _listed(values: Sequence[Any]) -> str:
    known = [value for value in values if value is not None]
    return " ".join(value if isinstance(value, str) else shown(value) for value in known) or "–"


def _ends(chosen: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Return the ends of the scale that both maps have."""
    lows, highs = ([metric[end] for metric in chosen if metric[end] is not None] for end in ("min", "max"))
    return min(lows, default=0.0), max(highs, default=1.0)


def _numbers_in_words(names: Sequence[str], contents: Sequence[Content], chosen: Sequence[Mapping[str, Any]]) -> str:
    """Return what the numbers are; of intervals, where there are any."""
    one, other = (f"{content['iterations'][-1]:,}" for content in contents)
    where = one if one == other else f"{one} of {names[0]} and {other} of {names[1]}"
    with_intervals = any(half is not None for metric in chosen for half in metric["half"][-1])
    return f"Means over seeds at iteration {where}{', ± half of their 95% intervals' if with_intervals else ''}."


def _best_in_words(names: Sequence[str], contents: Sequence[Content], chosen: Sequence[Mapping[str, Any]]) -> str:
    """Return what a star is the best of, and which sweeps have none; empty for a metric without a better side."""
    if not chosen[0]["better"]:
        return ""
    has_best = [bool(metric["best"][-1]) for metric in chosen]
    axes = [axis for content in contents for axis in content["axes"] if axis["field"] in content["layout"]["rest"]]
    further = " and ".join(dict.fromkeys(axis["symbol"] for axis in axes))
    of_all = "★ is the best of the complete cells without collapse, of all maps of its sweep"
    said = [f"{of_all}{f' that have its {further}' if further else ''}."] if any(has_best) else []
    lacking = [name for name, has in zip(names, has_best, strict=True) if not has]
    return " ".join([*said, *(f"No cell of {name} can be told apart as its best." for name in lacking)])


def _scale_in_words(chosen: Sequence[Mapping[str, Any]]) -> str:
    low, high = _ends(chosen)
    return f"All maps have one colour scale, from {low:.3g} to {high:.3g}."


def _letters(contents: Sequence[Content], chosen: Sequence[Mapping[str, Any]], maps: Sequence[Maps]) -> str:
    """Return a sentence that explains the letters of the maps; empty where they have none."""
    drawn = [content["marks"][mark] for content, of in zip(contents, chosen, strict=True) for mark in of["mark"][-1]]
    meanings = {mark["letter"]: mark["meaning"] for mark in drawn if mark["letter"]}
    if any(any(of["collapsed"][-1]) for of in chosen):
        meanings[COLLAPSED] = "collapsed: no active unit in some seed"
    if any(_has_gaps(content, at) for content, own in zip(contents, maps, strict=True) for at in own.values()):
        meanings[ABSENT] = MARKS["absent"][1]
    said = "; ".join(f"{letter} {meaning}" for letter, meaning in meanings.items())
    return html.escape(f" Letters: {said}.") if said else ""


def _drawn(
    names: Sequence[str], contents: Sequence[Content], chosen: Sequence[Mapping[str, Any]], maps: Sequence[Maps]
) -> str:
    """Return the maps of both, slice by slice, those of the same slice in the same row."""
    parts = []
    for title in dict.fromkeys([*maps[0], *maps[1]]):
        for name, content, metric, own in zip(names, contents, chosen, maps, strict=True):
            heading = html.escape(", ".join(filter(None, [name, title])))
            drawn = _map(content, metric, own[title], _ends(chosen)) if title in own else "<p>It has no such map.</p>"
            region = f'tabindex="0" role="region" aria-label="{heading}"'
            parts.append(f'<div class="scroll" {region}><h3>{heading}</h3>{drawn}</div>')
    return "".join(parts)


def _maps_of(contents: Sequence[Content]) -> list[Maps]:
    """Return the maps of each sweep that it has a cell of."""
    axes = [axis for content in contents for axis in content["axes"] if axis["field"] in content["layout"]["slices"]]
    slices = [_slices(content, {axis["field"]: axis["symbol"] for axis in axes}) for content in contents]
    return [
        {title: at for title, at in own.items() if _inside(content, at)}
        for content, own in zip(contents, slices, strict=True)
    ]


def _slices(content: Content, symbols: Mapping[str, str]) -> Maps:
    """Return what maps a sweep may have, by their titles: the values of fields that are no axes of a map.

    Args:
        content: of the sweep.
        symbols: of the fields that are no axes of the maps of either sweep; those that this sweep does not vary have
            its one value.
    """
    axes = {axis["field"]: axis for axis in content["axes"]}
    own, common = content["layout"]["slices"], content["common"]
    values = {
        field: [*zip(axes[field]["values"], axes[field]["text"], strict=True)]
        if field in own
        else [(common[field], "none" if common[field] is None else shown(common[field]))]
        for field in symbols
        if field in own or field in common
    }
    found: Maps = {}
    for chosen in product(*values.values()):
        at = dict(zip(values, chosen, strict=True))
        title = ", ".join(f"{symbols[field]} = {text}" for field, (_, text) in at.items())
        found[title] = {field: value for field, (value, _) in at.items() if field in own}
    return found


def _map(content: Content, metric: Mapping[str, Any], at: Mapping[str, Any], ends: tuple[float, float]) -> str:
    """Return a map as a table whose cells have the colours of their values."""
    (x, y), inside = _axes(content), _inside(content, at)
    columns, rows = ([*zip(axis["values"], axis["text"], strict=True)] if axis else [(None, "")] for axis in (x, y))
    corner = " \\ ".join(axis["symbol"] for axis in (y, x) if axis)
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for _, text in columns)
    body = "".join(
        f'<tr><th scope="row">{html.escape(text)}</th>'
        + "".join(_cell(content, metric, inside.get((column, row)), ends) for column, _ in columns)
        + "</tr>"
        for row, text in reversed(rows)
    )
    return (
        f'<table class="heat"><thead><tr><th>{html.escape(corner)}</th>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _axes(content: Content) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
    """Return the axes of a sweep's maps: that along x and that along y, of which it may have none."""
    axes = {axis["field"]: axis for axis in content["axes"]}
    return axes.get(content["layout"]["x"]), axes.get(content["layout"]["y"])


def _inside(content: Content, at: Mapping[str, Any]) -> dict[tuple[Any, Any], int]:
    """Return the cells of a map by their values along x and y."""
    x, y = (axis["field"] if axis else None for axis in _axes(content))
    return {
        (cell["at"].get(x), cell["at"].get(y)): place
        for place, cell in enumerate(content["cells"])
        if all(cell["at"][field] == value for field, value in at.items())
    }


def _has_gaps(content: Content, at: Mapping[str, Any]) -> bool:
    """Whether the sweep lacks a cell of a map."""
    return len(_inside(content, at)) < math.prod(len(axis["values"]) for axis in _axes(content) if axis)


def _cell(content: Content, metric: Mapping[str, Any], place: int | None, ends: tuple[float, float]) -> str:
    if place is None:
        return f"<td>{ABSENT}</td>"
    value = metric["mean"][-1][place]
    letters = ["★"] if place in metric["best"][-1] else []
    letters += filter(None, [content["marks"][metric["mark"][-1][place]]["letter"]])
    letters += [COLLAPSED] if metric["collapsed"][-1][place] else []
    if value is None:
        return f"<td>{' '.join(letters) or '–'}</td>"
    low, high = ends
    share = (value - low) / (high - low) if high > low else 0.5
    colour = mpl.colormaps[metric["colours"]](min(1.0, max(0.0, share)))[:3]
    half = metric["half"][-1][place]
    told = of_value(value, metric["digits"], metric["decimals"], count=metric["count"])
    told += "" if half is None else f" ± {of_half(half, metric['interval_decimals'])}"
    style = f"background:{mpl.colors.to_hex(colour)};color:{readable_on(colour)}"
    return f'<td style="{style}">{html.escape(" ".join([told, *letters]))}</td>'
