"""When and where the trials of a sweep ran, as its page shows it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from dd_ray.results.timeline import timeline


def page_timeline(
    paths: Sequence[str | Path], table: pd.DataFrame, cells: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the attempts at the trials of a page.

    Args:
        paths: folders or URLs of its sweeps.
        table: their table.
        cells: cells of the page, with their trials.

    Returns:
        `zero`, the time of the first beginning in seconds since 1970, UTC; `places`, host and device of each row;
        `states`; `without`, the number of evaluated trials whose times were not recorded; and `columns` with an entry
        for each attempt: its `cell` and its `trial` in it, its `place`, `began` and `ended` in seconds after `zero`
        (None while it runs), whether its end was `recorded`, its `state`, the iterations `from` and `to`, and its
        `error`.
    """
    places = {trial["key"]: (i, j) for i, cell in enumerate(cells) for j, trial in enumerate(cell["trials"])}
    rows = timeline(paths[0], *paths[1:], table=table)
    rows = rows[rows["key"].isin(places)]
    hosts = sorted(set(zip(rows["host"], rows["device"], strict=True)))
    states = sorted(set(rows["state"]))
    began, ended = ([at.timestamp() for at in rows[name]] for name in ("began", "ended"))
    zero = min(began, default=0.0)
    columns = {
        "cell": [places[key][0] for key in rows["key"]],
        "trial": [places[key][1] for key in rows["key"]],
        "place": [hosts.index(where) for where in zip(rows["host"], rows["device"], strict=True)],
        "began": [round(at - zero, 2) for at in began],
        # That of one that runs is now, which the page knows and which would change its numbers each time.
        "ended": [
            None if state == "running" else round(at - zero, 2) for at, state in zip(ended, rows["state"], strict=True)
        ],
        "recorded": rows["end_recorded"].tolist(),
        "state": [states.index(state) for state in rows["state"]],
        "from": rows["from"].tolist(),
        "to": rows["to"].tolist(),
        "error": [None if pd.isna(error) else str(error) for error in rows["error"]],
    }
    evaluated = {trial["key"] for cell in cells for trial in cell["trials"] if trial["iteration"] is not None}
    without = len(evaluated - {*rows["key"]})
    return {"zero": zero, "places": hosts, "states": states, "without": without, "columns": columns}
