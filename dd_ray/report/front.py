"""The front page of a storage: its sweeps, how far each is, and a link to its page."""

import html
import sys
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from dd_ray import results
from dd_ray.command_line import counted, duration
from dd_ray.errors import UserError, printable
from dd_ray.report.about import about
from dd_ray.report.beside import BESIDE
from dd_ray.report.live import PAGE
from dd_ray.results import suggestions
from dd_ray.results.sentences import sentences
from dd_ray.results.table import STATES, alive
from dd_ray.storage.files import Files, open_files
from dd_ray.storage.files.locations import sweep_location
from dd_ray.storage.names import MANIFEST
from dd_ray.storage.sweep_folder import SweepFolder, in_parallel
from dd_ray.sweep.study import TELLS
from dd_ray.sweep.suggestions import TRIALS

FIRST = "first"
"""Name in the query of the front page's address, of the sweep that is to be laid beside another."""
FRONT = "index.html"
"""Name of the front page in the folder of the storage."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the front page, about one sweep."""

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


@dataclass(frozen=True, kw_only=True)
class _Recorded:
    """The part of a line that follows from the records of a sweep alone."""

    said: Mapping[str, Any]
    """Of `dd_ray.report.about`."""
    trials: int
    """Those that the sweep will have."""
    states: Sequence[str]
    """Of the trials that have ended."""
    finding: str

    @classmethod
    def of(cls, sweep: SweepFolder) -> "_Recorded":
        trials = sweep.trials()
        states = [outcome.state for outcome in in_parallel(lambda trial: trial.outcome(), trials) if outcome]
        finding = _finding(sweep) if "finished" in states else ""
        return cls(
            said=about(sweep),
            trials=len(trials) + _to_come(sweep, {t.key for t in trials}),
            states=states,
            finding=finding,
        )


class Lines:
    """Lines of sweeps. The records of one are read anew only where the size or time of one of their files is another.

    Reading them takes seconds for a large sweep; to compare sizes and times takes some milliseconds.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, _Recorded]] = {}

    def of(self, sweep: SweepFolder) -> Line:
        """Return the line of a sweep.

        Raises:
            UserError: it is damaged.
        """
        stamp = sweep.stamp()  # before the records, which may grow meanwhile
        known = self._known.get(sweep.location)
        recorded = known[1] if known and known[0] == stamp else _Recorded.of(sweep)
        self._known[sweep.location] = stamp, recorded
        return _line(sweep, recorded)


def _line(sweep: SweepFolder, recorded: _Recorded) -> Line:
    states, said, progress = recorded.states, recorded.said, alive(sweep)
    others = [state for state in STATES if state in states and state != "finished"]
    counts = ", ".join(f"{states.count(state)} {state.replace('_', ' ')}" for state in others)
    left = progress["seconds_left"] if progress else None
    state = "complete" if recorded.trials and len(states) == recorded.trials else "not running"
    if progress and progress["running"]:
        state = "running" + (f", about {duration(left)} left" if left else "")
    return Line(
        name=sweep.name,
        study=said["study"] or "",
        question=said["question"] or "",
        state=state,
        progress=f"{len(states)} of {recorded.trials} trials" + (f" ({counts})" if counts else ""),
        began=(said["began"] or "").partition("T")[0],
        machine=said["machine"] or "",
        finding=recorded.finding,
        has_page=sweep.files.exists(PAGE),
    )


def sweeps_in(storage: str) -> list[str]:
    """Return the names of the sweeps that a storage holds; none where it is none."""
    found = open_files(storage)
    names = [name for name in found.names() if "/" not in name and _is_text(name)]
    holds = in_parallel(lambda name: _is_sweep(found.at(name)), names)
    return [name for name, is_sweep in zip(names, holds, strict=True) if is_sweep]


def _is_text(name: str) -> bool:
    """Return whether a folder's name can stand in a page and in an address: it may be any bytes."""
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def _is_sweep(files: Files) -> bool:
    try:
        return files.exists(MANIFEST)
    except PermissionError:  # a folder that others may not enter, such as lost+found
        return False


def is_storage(location: str) -> bool:
    """Return whether a folder or URL holds sweeps and is none itself."""
    return not open_files(location).exists(MANIFEST) and bool(sweeps_in(location))


def front_page(
    storage: str,
    link: Callable[[Line], str | None],
    *,
    refresh: int | None = None,
    lines: Lines | None = None,
    pairs: bool = False,
    first: str | None = None,
) -> str:
    """Return the page that lists the sweeps of a storage, those begun last first.

    Args:
        storage: folder or URL.
        link: where the page of a sweep is, relative to this one; None where it has none.
        refresh: seconds after which it is to be loaded anew.
        lines: what is known of its sweeps from the page before.
        pairs: whether two sweeps can be laid beside each other, see `dd_ray.report.beside`.
        first: of such a pair, the sweep that is chosen already.
    """
    lines = lines or Lines()
    shown = [line for name in sweeps_in(storage) if (line := _whole_line(lines, storage, name))]
    shown.sort(key=lambda line: (line.began, line.name), reverse=True)
    rows = "".join(_row(line, link(line), _pairing(line.name, first) if pairs else None) for line in shown)
    written = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    said = f"{counted(len(shown), 'sweep') if shown else 'No sweeps'}, as at {written}."
    if first is not None:
        said += f" Choose the sweep to lay beside {first}."
    headings = [*HEADINGS, *(["Beside another"] if pairs else [])]
    head = "".join(f'<th scope="col" class="text">{name}</th>' for name in headings)
    body = f"""<section class="panel"><div class="scroll" tabindex="0" role="region" aria-label="Sweeps">
<table class="sweeps"><thead><tr>{head}</tr></thead>
<tbody>{rows}</tbody></table></div></section>"""
    return plain_page(f"Sweeps in {storage.partition('?')[0]}", html.escape(said), body, refresh=refresh)


def plain_page(title: str, said: str, body: str, *, refresh: int | None = None) -> str:
    """Return a page without a script, in the look of the others.

    Args:
        title: its title.
        said: the sentences below its title, as HTML.
        body: its sections, as HTML.
        refresh: seconds after which it is to be loaded anew.
    """
    again = f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">{again}
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer"><title>{html.escape(title)}</title><link rel="icon" href="data:,">
<style>{files("dd_ray.report").joinpath("report.css").read_text(encoding="utf-8")}</style></head>
<body><header><div><h1>{html.escape(title)}</h1><p>{said}</p></div></header>
<main>{body}</main></body></html>
"""


def _pairing(name: str, first: str | None) -> str:
    """Return the link that makes a sweep the first or the second of a pair."""
    if first is None:
        return f'<a href="?{html.escape(urlencode({FIRST: name}))}">choose</a>'
    if name == first:
        return '<a href="?">chosen; let go</a>'
    return f'<a href="?{html.escape(urlencode([(BESIDE, first), (BESIDE, name)]))}">beside {html.escape(first)}</a>'


def _whole_line(lines: Lines, storage: str, name: str) -> Line | None:
    """Return the line of a sweep; None, with a sentence on stderr, if it is damaged, gone, or not to be read.

    Where reading it ends in an error that nobody has foreseen, its line says that.
    """
    location = sweep_location(storage, name)
    try:
        return lines.of(SweepFolder.open(location))
    except UserError as error:
        print(printable(error), file=sys.stderr)
    except OSError as error:
        print(printable(f"{location} cannot be read ({error.strerror or error})."), file=sys.stderr)
    except Exception as error:  # whatever a stranger's sweep leads to, the others are still to be listed
        return _line_of_unread(name, error)
    return None


def _line_of_unread(name: str, error: Exception) -> Line:
    return Line(
        name=name,
        study="",
        question="",
        state=f"cannot be read ({type(error).__name__}: {error})",
        progress="",
        began="",
        machine="",
        finding="",
        has_page=False,
    )


HEADINGS = ("Sweep", "State", "Trials", "Begun", "Study and question", "What came out", "Machine")


def _to_come(sweep: SweepFolder, made: Set[str]) -> int:
    """Return how many trials a search has yet to make, since it draws some at a time; 0 of a grid, which has all.

    Args:
        sweep: a search or a grid.
        made: keys of the trials that it has.
    """
    manifest = sweep.manifest()
    if "search" not in manifest:
        return 0
    asked, seeds = manifest["options"].get("suggestions", 0), len(manifest["search"].get("seeds", ()))
    try:
        drawn = suggestions.load(sweep.location)
    except UserError:  # none yet, or the log is damaged, and they are drawn again
        return max(0, asked * seeds - len(made))
    begun = {key for keys in drawn.loc[drawn["state"] == "unfinished", TRIALS] for key in keys.split()}
    return max(0, asked - len(drawn)) * seeds + len(begun - made)


def _finding(sweep: SweepFolder) -> str:
    """Return the first of the sentences that a grid's command ends with."""
    manifest = sweep.manifest()
    if "search" in manifest:
        return ""
    said = sentences(results.final(results.load(sweep.location)), manifest.get("tells", TELLS))
    return said[0] if said else ""


def _row(line: Line, link: str | None, pairing: str | None) -> str:
    name = html.escape(line.name)
    first = f'<a href="{html.escape(link)}">{name}</a>' if link else name
    what = f"{html.escape(line.study)}<br>{html.escape(line.question)}"
    cells = [html.escape(text) for text in (line.state, line.progress, line.began)]
    whole = [first, *cells, what, html.escape(line.finding), html.escape(line.machine), *filter(None, [pairing])]
    return "<tr>" + "".join(f'<td class="text">{cell}</td>' for cell in whole) + "</tr>"
