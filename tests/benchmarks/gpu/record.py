"""What a sitting leaves: a line of JSON for each result, on the disk as soon as it is known, and archives."""

import io
import json
import os
import tarfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

RESULTS = "results.jsonl"


def tell(out: Path, case: str, **result: Any) -> None:
    """Append a result of a case, so that it is there whatever happens next, in a line of its own."""
    line = json.dumps({"case": case, "at": round(time.time(), 1), **result})
    path = out / RESULTS
    before = path.read_bytes() if path.exists() else b""
    with path.open("a") as file:
        file.write("\n" * (before[-1:] not in (b"", b"\n")) + line + "\n")
        file.flush()
        os.fsync(file.fileno())


def told(out: Path) -> list[dict[str, Any]]:
    """All results, of earlier sittings too; a line that was cut short is none."""
    path = out / RESULTS
    lines = path.read_text().splitlines() if path.exists() else []
    results = []
    for line in lines:
        try:
            results.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return results


def outcomes(results: list[dict[str, Any]]) -> Mapping[str, str]:
    """How each case ended, by its name, in the last sitting that had it."""
    return {result["case"]: result["outcome"] for result in results if "outcome" in result}


def latest(results: list[dict[str, Any]], case: str, value: str) -> Any:
    """The last value that a case told; None where it told none."""
    return next((result[value] for result in reversed(results) if result["case"] == case and value in result), None)


def archive(path: Path, root: Path, files: Iterable[Path], level: int = 1) -> None:
    """Pack files by their place in a folder; the archive before is replaced by a whole one."""
    draft = path.with_suffix(".draft")
    with tarfile.open(draft, "w:gz", compresslevel=level) as packed:
        for file in files:
            content = file.read_bytes()  # of one moment, also where it is being appended to
            member = tarfile.TarInfo(str(file.relative_to(root)))
            member.size, member.mtime = len(content), int(file.stat().st_mtime)
            packed.addfile(member, io.BytesIO(content))
    draft.replace(path)
