"""Describes a sweep: its name, its question, who asked for it when and where, and the software that ran it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from dd_ray.command_line import as_called
from dd_ray.storage.starts import start_of
from dd_ray.storage.sweep_folder import SweepFolder


def about(*sweeps: SweepFolder) -> dict[str, Any]:
    """Return what is known of a sweep, with None for what the version that began it did not record.

    Of several, each value has theirs one after the other, where they differ.

    Returns:
        `name`, `study`, `question` (with the weights that its trials began with, if not with their own), `began` and
        `asked` (ISO 8601, when its command ran first and last), `written` (now), `command`, `machine`, `commit` and
        `versions`, all as text.
    """
    known = [_about(sweep) for sweep in sweeps]
    texts = {name: dict.fromkeys(of[name] for of in known if of[name]) for name in known[0]}
    return {**{name: "; ".join(of_all) or None for name, of_all in texts.items()}, "written": _now()}


def _about(sweep: SweepFolder) -> dict[str, Any]:
    manifest = sweep.manifest()
    command, versions = manifest.get("command"), manifest.get("versions") or {}
    return {
        "name": sweep.name,
        "study": manifest.get("study"),
        "question": " ".join(filter(None, [manifest.get("question"), _first_weights(manifest)])) or None,
        "began": manifest.get("began"),
        "asked": manifest.get("asked"),
        "command": as_called(command) if command else None,
        "machine": _machine(manifest.get("machine") or {}),
        "commit": manifest.get("commit"),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()) or None,
    }


def _first_weights(manifest: Mapping[str, Any]) -> str:
    start = start_of(manifest.get("axes") or {})
    return f"Each trial began with {start}, and not from scratch." if start else ""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _machine(machine: Mapping[str, Any]) -> str | None:
    """Write a machine as `host, 8 cores of a processor, 2 × card`."""
    if not machine:
        return None
    cards = machine["gpus"]
    named = [f"{cards.count(card)} × {card}" for card in dict.fromkeys(cards)]
    cores = f"{machine['cores']} cores" + (f" of {machine['processor']}" if machine["processor"] else "")
    return ", ".join(filter(None, [machine["name"], cores, *named]))
