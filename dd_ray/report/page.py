"""A report as one HTML file: the template filled with styles, scripts, numbers and pictures.

Its own script is one function, joined from the files in `js/`. None of them uses a name of a later one; what changes
while one reads goes through the store, which has every view drawn that depends on it.

Nothing is fetched when it is opened from a file: plotly.js is in it, and a content security policy forbids every
request and every script but these two, which it names by their hashes. A page that a server shows may ask that server.
The numbers and plotly.js are compressed, which makes a page a quarter as large; the page's own script unpacks them,
and adds plotly.js to the page as an element whose hash the policy has.
"""

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

from plotly.offline import get_plotlyjs

from dd_ray.report.packing import as_text, pack

_RESOURCES = files("dd_ray.report")
SCRIPTS = (
    *("packed", "page", "store", "text", "colours", "plots", "cells", "columns", "overview", "map_marks", "map"),
    "multiples",
    *("scatter", "cell", "pictures", "tradeoffs", "curves", "table", "parallel", "filter", "pins", "compared"),
    *("player", "effects", "found", "groups", "times", "timeline", "controls", "where", "print", "main", "live"),
)
"""Files of `js/`, in the order in which they are joined."""
SERVED_ONLY = "live"
"""The one that makes requests, to the server of the page, and is left away in a file."""


def render(
    content: dict[str, Any],
    pictures: Iterable[dict[str, Any]],
    originals: list[dict[str, Any]],
    *,
    served: str | None = None,
) -> str:
    """Return the page.

    Args:
        content: what `dd_ray.report.content.collect` gives.
        pictures: for each of its cells, what `Pictures.of_cells` gives; none for a page without pictures.
        originals: what the pictures refer to; read after them.
        served: of a page whose server tells it newer numbers, what tells these from its own; see
            `dd_ray.report.server`.
    """
    blocks = [_data(f"pictures-{place}", of_cell) for place, of_cell in enumerate(pictures)]
    pictured = "yes" if blocks else "no"
    blocks.append(_data("originals", originals))
    library, own = get_plotlyjs(), joined_script(served=served is not None)
    parts = {
        "POLICY": _policy(library, own, served=served is not None),
        "PICTURED": pictured,
        "VERSION": html.escape(served or ""),
        "TITLE": html.escape(content["about"]["name"]),
        "QUESTION": html.escape(content["about"]["question"] or ""),
        "STYLE": _resource("report.css"),
        "DATA": _packed("data", pack(content)),
        "PICTURES": "\n".join(blocks),
        "LIBRARY": _library(library),
        "SCRIPT": f"<script>{own}</script>",
    }
    page = _resource("template.html")
    before, *rest = page.split("{{")
    pieces = [before]
    for part in rest:
        name, _, text = part.partition("}}")
        pieces += [parts[name], text]
    return "".join(pieces)


def joined_script(*, served: bool = False) -> str:
    """Return the page's own script: its parts as the body of one function."""
    names = [name for name in SCRIPTS if served or name != SERVED_ONLY]
    parts = "\n".join(_resource(f"js/{name}.js") for name in names)
    return f'"use strict";\n(async () => {{\n{parts}}})();\n'


def as_json(value: Any) -> str:
    """Return JSON that can stand in a script element: nothing in it can end the element or begin another."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    dangerous = "<>&\u2028\u2029"
    return text.translate({ord(sign): f"\\u{ord(sign):04x}" for sign in dangerous})


def _data(name: str, value: Any) -> str:
    return f'<script type="application/json" id="{name}">{as_json(value)}</script>'


def _packed(name: str, content: bytes) -> str:
    """Return a data block, which no browser runs, and nothing in it can end."""
    return f'<script type="application/gzip" id="{name}">{as_text(content)}</script>'


@cache
def _library(text: str) -> str:
    return _packed("library", gzip.compress(text.encode(), mtime=0))


def _policy(*scripts: str, served: bool) -> str:
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    # plotly sets styles inline, and compiles the shaders of its parallel coordinates.
    return (
        f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'" + ("; connect-src 'self'" if served else "")
    )


def _resource(name: str) -> str:
    return _RESOURCES.joinpath(name).read_text(encoding="utf-8")
