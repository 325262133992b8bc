"""The front page of a storage: its sweeps, how far each is, and a link to its page."""

import html
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from dd_ray import results
from dd_ray.command_line import duration
from dd_ray.errors import UserError, printable
from dd_ray.report.about import about, name_of
from dd_ray.report.live import PAGE
from dd_ray.results.sentences import sentences
from dd_ray.results.table import alive
from dd_ray.storage.files import open_files
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.sweep_folder import SweepFolder, in_parallel
from dd_ray.sweep.study import TELLS

FRONT = "index.html"
"""Name of the front page in the folder of the storage."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """What the front page says of a sweep."""

    name: str
    study: str
    question: str
    state: str
    progress: str
    """Trials that have ended, of all, and what became of those that did not finish."""
    began: str
    machine: str
    finding: str
    """What came out so far, with an interval; empty where there is nothing to compare."""
    has_page: bool

    @classmethod
    def of(cls, sweep: SweepFolder) -> "Line":
        """The line of a sweep."""
        trials, said, progress = sweep.trials(), about(sweep), alive(sweep)
        states = [outcome.state for outcome in in_parallel(lambda trial: trial.outcome(), trials) if outcome]
        others = [state for state in ("stopped_early", "out_of_time", "diverged", "failed") if state in states]
        counts = ", ".join(f"{states.count(state)} {state.replace('_', ' ')}" for state in others)
        left = progress["seconds_left"] if progress else None
        state = "complete" if trials and len(states) == len(trials) else "not running"
        if progress and progress["running"]:
            state = "running" + (f", about {duration(left)} left" if left else "")
        return cls(
            name=name_of(sweep.location),
            study=said["study"] or "",
            question=said["question"] or "",
            state=state,
            progress=f"{len(states)} of {len(trials)} trials" + (f" ({counts})" if counts else ""),
            began=(said["began"] or "").partition("T")[0],
            machine=said["machine"] or "",
            finding=_finding(sweep) if "finished" in states else "",
            has_page=sweep.files.exists(PAGE),
        )


def sweeps_in(storage: str) -> list[str]:
    """Names of the sweeps that a storage holds; none where it is none."""
    found = open_files(storage)
    names = [name for name in found.names() if "/" not in name]
    holds = in_parallel(lambda name: found.at(name).exists("sweep.json"), names)
    return [name for name, is_sweep in zip(names, holds, strict=True) if is_sweep]


def is_storage(location: str) -> bool:
    """Whether a folder or URL holds sweeps and is none itself."""
    return not open_files(location).exists("sweep.json") and bool(sweeps_in(location))


def front_page(storage: str, link: Callable[[Line], str | None], *, refresh: int | None = None) -> str:
    """The page that lists the sweeps of a storage, those begun last first.

    Args:
        storage: folder or URL.
        link: where the page of a sweep is, relative to this one; None where it has none.
        refresh: seconds after which it is to be loaded anew.
    """
    lines = [line for name in sweeps_in(storage) if (line := _line(sweep_location(storage, name)))]
    lines.sort(key=lambda line: (line.began, line.name), reverse=True)
    rows = "".join(_row(line, link(line)) for line in lines)
    written = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%d %H:%M UTC")
    again = f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    title = html.escape(f"Sweeps in {storage.partition('?')[0]}")
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">{again}
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer"><title>{title}</title><link rel="icon" href="data:,">
<style>{files("dd_ray.report").joinpath("report.css").read_text(encoding="utf-8")}</style></head>
<body><header><div><h1>{title}</h1><p>{len(lines)} sweeps, as they were at {written}.</p></div></header>
<main><section class="panel"><div class="scroll" tabindex="0" role="region" aria-label="Sweeps"><table class="sweeps">
<thead><tr>{"".join(f'<th scope="col" class="text">{name}</th>' for name in HEADINGS)}</tr></thead>
<tbody>{rows}</tbody></table></div></section></main></body></html>
"""


def _line(location: str) -> Line | None:
    """The line of a sweep; None, with a sentence on stderr, of one that is damaged."""
    try:
        return Line.of(SweepFolder.open(location))
    except UserError as error:
        print(printable(error), file=sys.stderr)
        return None


HEADINGS = ("Sweep", "State", "Trials", "Begun", "Study and question", "What came out", "Machine")


def _finding(sweep: SweepFolder) -> str:
    """The first of the sentences that a grid's command ends with."""
    manifest = sweep.manifest() or {}
    if "search" in manifest:
        return ""
    said = sentences(results.final(results.load(sweep.location)), manifest.get("tells", TELLS))
    return said[0] if said else ""


def _row(line: Line, link: str | None) -> str:
    name = html.escape(line.name)
    first = f'<a href="{html.escape(link)}">{name}</a>' if link else name
    what = f"{html.escape(line.study)}<br>{html.escape(line.question)}"
    cells = [html.escape(text) for text in (line.state, line.progress, line.began)]
    whole = [first, *cells, what, html.escape(line.finding), html.escape(line.machine)]
    return "<tr>" + "".join(f'<td class="text">{cell}</td>' for cell in whole) + "</tr>"
