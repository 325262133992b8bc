"""The results of a sitting in at most twenty lines."""

from collections.abc import Sequence
from typing import Any

from tests.benchmarks.gpu.record import latest, outcomes

MOST = 20


def table(results: Sequence[dict[str, Any]]) -> list[str]:
    """One line for the card, one for each case or for cases that differ in a number, and one for what is not done."""
    told, ended = list(results), outcomes(list(results))
    lines = [str(latest(told, "ceilings", "machine") or "no device was reached"), _ceilings(told)]
    lines += [f"{what:<34} {said}" for what, said in _cases(told, list(ended))]
    trouble = [f"{case}: {outcome}" for case, outcome in ended.items() if outcome != "done"]
    rest = f"not done: {'; '.join(trouble)}" if trouble else "all cases were done"
    if len(lines) > MOST - 1:
        rest = f"{len(lines) - (MOST - 1)} more lines in results.jsonl; {rest}"
        lines = lines[: MOST - 1]
    return [*lines, rest]


def _cases(results: list[dict[str, Any]], cases: list[str]) -> list[tuple[str, str]]:
    """Each case and what it told; speeds of as many trials as the first case has, each in a line of its own."""
    lines, together = [], dict[str, list[str]]()
    grid = next((case.split()[1] for case in cases if case.startswith("speed ")), "")
    for case in cases:
        kind, *rest = case.split()
        if kind == "processes" or (kind == "speed" and rest[0] != grid):
            together.setdefault(" ".join([kind, *rest[1:]]), []).append(case)
        elif kind in _LINES:
            lines.append((case, _LINES[kind](results, case)))
    for what, alike in together.items():
        rates = [(case.split()[1], latest(results, case, "trial_iterations_per_s")) for case in alike]
        said = ", ".join(f"{n}: {'nothing' if rate is None else _shown(rate)}" for n, rate in rates)
        lines.append((what, f"trial_iterations_per_s of {said}"))
    return lines


def _ceilings(results: list[dict[str, Any]]) -> str:
    names = ("copy_gb_per_s", "float32_tflops", "tf32_tflops", "bf16_tflops")
    return f"{'ceilings':<34} {_values(results, 'ceilings', names)}"


def _values(results: list[dict[str, Any]], case: str, names: Sequence[str]) -> str:
    values = {name: latest(results, case, name) for name in names}
    return ", ".join(f"{name} {_shown(value)}" for name, value in values.items() if value is not None) or "nothing"


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _correct(results: list[dict[str, Any]], case: str) -> str:
    apart = [
        key.removeprefix("keeps_nan_apart_")
        for result in results
        if result["case"] == case
        for key, value in result.items()
        if key.startswith("keeps_nan_apart_") and value is False
    ]
    spread = f", NaN spreads: {' '.join(sorted(set(apart)))}" if apart else ""
    return _values(results, case, ("error", "captured", "finite_after_replays")) + spread


def _speed(results: list[dict[str, Any]], case: str) -> str:
    wrong = ", gradients are others" if latest(results, case, "agrees") is False else ""
    times = ("step_ms", "replay_ms", "painting_ms", "host_ms")
    return _values(results, case, (*times, "peak_gib", "trial_iterations_per_s")) + wrong


def _paper(results: list[dict[str, Any]], case: str) -> str:
    return _values(results, case, ("ended", "trial_iterations_per_s", "minutes_for_the_whole_grid", "errors"))


def _tests(results: list[dict[str, Any]], case: str) -> str:
    """Of each test as it ended last."""
    ended = {result["case"]: result["passed"] for result in results if "passed" in result}
    failed = list(ended.values()).count(False)
    return f"{len(ended) - failed} passed, {failed} failed; {_values(results, case, ('last',))}"


_LINES = {
    "correct": _correct,
    "speed": _speed,
    "paper": _paper,
    "tests": _tests,
}
