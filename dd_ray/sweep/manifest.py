"""`sweep.json`: what a sweep was asked for, and whether what is asked for now goes together with it."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dd_ray.config import NOT_IN_KEY
from dd_ray.config_options import option_name
from dd_ray.errors import UserError
from dd_ray.sweep.plan import Plan
from dd_ray.sweep.store import SweepFolder
from dd_ray.sweep.versions import commit, versions


def make_manifest(plan: Plan, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """What a plan asks for, with the values that the sweep had before it."""
    earlier = before["axes"] if before else {}
    axes = {name: [*earlier.get(name, []), *_new(values, earlier.get(name, []))] for name, values in plan.axes.items()}
    return {
        "study": plan.study.name,
        "axes": {**earlier, **axes},
        **plan.record(),
        "options": asdict(plan.options),
        "evaluate_at": list(plan.evaluate_at),
        "command": sys.argv,
        "versions": versions(),
        "commit": commit(),
    }


def check_agrees(plan: Plan, sweep: SweepFolder) -> None:
    """Make sure that a plan continues or extends what a sweep has.

    The fields that a study or a command sweeps may get other values: cells are added. All others describe
    what is trained on what, so they keep theirs, unless the old value is among several new ones.

    Raises:
        UserError: the sweep is another study's, or differs in a field that neither sweeps; with the difference.
    """
    before = sweep.manifest()
    if before is None:
        return
    if before["study"] != plan.study.name:
        raise UserError(
            f"{sweep.location} holds a sweep of study {before['study']}, not {plan.study.name}; choose another --name."
        )
    contradictions = [
        f"{option_name(name)} was {_text(before['axes'].get(name, ()))} and is now {_text(plan.axes.get(name, ()))}"
        for name in sorted({*before["axes"], *plan.axes})
        if name not in (*plan.study.axes, "seed", *NOT_IN_KEY)
        and _contradict(before["axes"].get(name, ()), plan.axes.get(name, ()))
    ]
    if contradictions:
        raise UserError(
            f"{sweep.location} holds a sweep of something else: {'; '.join(contradictions)}. Choose another --name, "
            "or give the old values too."
        )


def _contradict(old: Sequence[Any], new: Sequence[Any]) -> bool:
    """Whether neither is an axis that the other is part of; a field that is not given has its default."""
    return len(old) <= 1 and not set(old) <= set(new)


def _new(values: Sequence[Any], known: Sequence[Any]) -> list[Any]:
    return [value for value in values if value not in known]


def _text(values: Sequence[Any]) -> str:
    return " ".join(map(str, values)) or "not given"
