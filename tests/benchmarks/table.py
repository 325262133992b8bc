"""A benchmark's results: printed as Markdown, kept as JSON."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.measure import machine

OUT = Path("results") / "benchmarks.json"


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text and numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ""

    def markdown(self) -> str:
        """With numbers to three digits, or as whole ones."""
        lines = [" | ".join(row) for row in ([_text(value) for value in row] for row in (self.columns, *self.rows))]
        rule = " | ".join(["---", *["---:"] * (len(self.columns) - 1)])
        body = "\n".join(f"| {line} |" for line in (lines[0], rule, *lines[1:]))
        return f"### {self.title}\n\n{body}\n\n{self.note}".rstrip() + "\n"


def show(tables: Iterable[Table]) -> None:
    """Print tables as they come, and add them to a file beside what earlier runs left there."""
    before = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else []
    for table in tables:
        print(f"\n{table.markdown()}", flush=True)
        before.append({"machine": machine(), "command": sys.argv, **asdict(table)})
        OUT.parent.mkdir(exist_ok=True)
        OUT.write_text(json.dumps(before, indent=1), encoding="utf-8")
    print(f"{machine()}. Numbers: {OUT}")


def _text(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
