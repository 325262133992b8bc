"""Explains a sweep on its page: effects of a grid's axes, and what a search found.

The numbers are those of `dd_ray.results.effects` and `dd_ray.results.suggestions`, and so those of the commands
`dd-ray effects` and `dd-ray search-results`, whose texts they have.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from dd_ray.config.symbols import plain, symbol
from dd_ray.errors import UserError
from dd_ray.figures.effects import names_of, text_of, title_of
from dd_ray.report.digits import rounded, with_digits
from dd_ray.results import suggestions
from dd_ray.results.comparisons import LEVEL
from dd_ray.results.effects import effects
from dd_ray.results.summary import Summary
from dd_ray.storage.sweep_folder import SweepFolder


def explained_effects(summary: Summary) -> dict[str, Any] | None:
    """Return main effects and interactions of a grid's axes, metric by metric; None if there are none.

    Args:
        summary: the last of the sweep, of the metrics themselves.

    Returns:
        `title`; `rows`, with the `name` of each effect and whether it is an `interaction`; and `of`, for each metric
        lists with an entry for each row: its `text`, `effect`, `low`, `high`, and whether it `differs` from 0.
    """
    try:
        found = effects(summary)
    except UserError:  # nothing is complete yet, or nothing varies
        return None
    records = found.assign(name=names_of(found))
    rows = records.drop_duplicates("name")
    of = {
        str(metric): _of_metric(of_metric.set_index("name").reindex(rows["name"]))
        for metric, of_metric in records.groupby("metric", sort=False)
    }
    described = [
        {"name": name, "interaction": bool(other)} for name, other in zip(rows["name"], rows["other_axis"], strict=True)
    ]
    return {"title": title_of(found), "rows": described, "of": of}


def _of_metric(table: pd.DataFrame) -> dict[str, list[Any]]:
    rows = table.to_dict("records")
    return {
        "text": [text_of(row) for row in rows],
        "effect": [with_digits(row["effect"]) for row in rows],
        "low": [with_digits(row["ci_low"]) for row in rows],
        "high": [with_digits(row["ci_high"]) for row in rows],
        "differs": [bool(row["p_holm"] <= LEVEL) for row in rows],
    }


def explained_search(path: str | Path) -> dict[str, Any]:
    """Return what a search found, suggestion by suggestion, and what its objectives depend on.

    Returns:
        `suggestions`, their numbers, with `states`, `seeds` and `on_front` of each; `objectives`, each with its `name`,
        `mean` and `half` of its 95% interval (None where there is none) and the `best` so far; and `importance`, with
        the drawn `fields` and, for each objective `of` it, the share of each field.
    """
    table, shares = suggestions.load(path), suggestions.importances(path)
    names = suggestions.search_of(SweepFolder.open(path))["objectives"]
    return {
        "suggestions": table["suggestion"].tolist(),
        "states": table["state"].tolist(),
        "seeds": table["seeds"].tolist(),
        "on_front": table["on_front"].tolist(),
        "objectives": [_objective(table, name) for name in names],
        "importance": {
            "fields": [plain(symbol(str(field))) for field in shares.index],
            "of": {str(name): [with_digits(share) for share in shares[name]] for name in shares},
        },
    }


def _objective(table: pd.DataFrame, name: str) -> dict[str, Any]:
    best = suggestions.best_so_far(table, name).reindex(table.index).ffill()
    half = table[f"{name}_high"] - table[name]
    return {
        "name": name,
        "mean": rounded(table[name].to_numpy(float)),
        "half": rounded(half.to_numpy(float)),
        "best": rounded(best.to_numpy(float)),
    }
