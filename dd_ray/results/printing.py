"""Prints tables of cells in the terminal."""

import math
from collections.abc import Iterator, Sequence

import pandas as pd

from dd_ray.command_line import Column, console, counted, duration, fitting, print_table, say, width_of
from dd_ray.config.options import option_name, shown, shown_apart
from dd_ray.errors import printable
from dd_ray.metrics import COMPARABLE, REPORTED, described
from dd_ray.results.cells import Cell, Score, cells_of, settings_of
from dd_ray.results.joining import SWEEP
from dd_ray.results.table import STATES, alive, counted_states
from dd_ray.storage.files.locations import name_of
from dd_ray.storage.starts import PLACE, WEIGHTS, Start
from dd_ray.storage.sweep_folder import SweepFolder

FIRST = ("reconstruction_error", "factor_error", "linear_r2", "mcc", "kl", "active_units")
"""Metrics that a narrow terminal shows, the most important first. Scores before training are added in brackets if these
metrics still fit; other metrics are left out for that."""
NEXT = ("mig", "prediction_ratio", "straightness", "sap")
"""Metrics that are shown next, if they fit."""
MOST_CELLS = 100
MOST_NAMED = 6
"""The most trials of a state that are named."""
ROOM_FOR_A_METRIC = len("  0.123 ± 0.012")


def print_counts(trials: pd.DataFrame) -> None:
    """Print the number of trials by state."""
    print(f"{counted_states(trials)}.")


def print_progress(sweep: SweepFolder, trials: pd.DataFrame) -> None:
    """Print how long a sweep still runs, or that nothing runs those of its trials that are left."""
    joined = f"{name_of(sweep.location)}: " if SWEEP in trials else ""
    progress = alive(sweep)
    if progress and progress["running"]:
        left = progress["seconds_left"]
        rate = f"{progress['iterations_per_second']:,.1f} iterations a second"
        print(f"{joined}It runs, {rate}" + (f", about {duration(left)} left." if left else "."))
    elif trials["state"].isin(["missing", "unfinished"]).any():
        print(f"{joined}Nothing runs it at the moment; the command that started it goes on.")


def print_failed(trials: pd.DataFrame) -> None:
    """Print the errors of failed trials."""
    for row in trials[trials["state"] == "failed"].to_dict("records"):
        print(f"failed: {printable(row['label'])}: {printable(row['error'])}")


def print_cells(
    trials: pd.DataFrame, metrics: Sequence[str] | None = None, *, told: Sequence[str] = (), width: int | None = None
) -> None:
    """Print a table of cells, and which trials have not finished.

    The table has every swept setting, and as many metrics as fit, as means ± half of their 95% intervals over seeds.

    Args:
        trials: rows of `dd_ray.results.table.final`.
        metrics: columns, the most important first; None means the comparable ones.
        told: metrics that come first.
        width: width of the table in characters; None means that of the terminal.
    """
    terminal, settings = console(width), settings_of(trials)
    cells = cells_of(trials, settings)
    names = list(dict.fromkeys([*told, *(metrics or (*FIRST, *NEXT, *COMPARABLE))]))
    names = [name for name in names if name in trials and trials[name].notna().any()]
    left = _left_columns(cells[:MOST_CELLS], settings, terminal.width)
    first = (*told, *(metrics or FIRST))
    left += _effective_column(cells[:MOST_CELLS])
    columns, brackets = _with_metrics(left, cells[:MOST_CELLS], names, first, terminal.width)
    print_table(columns, terminal, _title(cells, trials, brackets))
    for line in _not_from_scratch(trials):
        say(line, terminal)
    before = "" if brackets else _before_training(trials, [name for name in names if name in first])
    if before:
        say(f"Before training, in the mean: {before}.", terminal)
    if len(cells) > MOST_CELLS:
        say(f"... and {len(cells) - MOST_CELLS} more cells.", terminal)
    for line in _not_finished(trials):
        say(line, terminal)


def _not_from_scratch(trials: pd.DataFrame) -> list[str]:
    """Say which trials began with the weights of others."""
    taken = trials[trials[WEIGHTS].notna()] if WEIGHTS in trials else trials.iloc[:0]
    which = "All trials" if len(taken) == len(trials) else "Trials"
    return [
        f"{which} began with {Start.of(place, weights)}, and not from scratch."
        for place, weights in taken[[PLACE, WEIGHTS]].drop_duplicates().itertuples(index=False, name=None)
    ]


def print_best_cells(trials: pd.DataFrame, metric: str, most: int = 5, width: int | None = None) -> None:
    """Print the cells with the best means of a metric, best first, of those whose seeds have all finished.

    It prints nothing if these are all cells, if there is a single one, or if the metric is not better one way.
    """
    terminal, settings = console(width), settings_of(trials)
    cells, better = cells_of(trials, settings), described(metric).better
    complete = [cell for cell in cells if cell.complete]
    whole = [cell for cell in complete if not math.isnan(cell.score(metric).mean)]
    best = sorted(whole, key=lambda cell: cell.score(metric).mean, reverse=better == "max")[:most]
    if better is None or not 1 < len(best) < len(cells):
        return
    names = [name for name in dict.fromkeys((metric, *FIRST)) if name in trials and trials[name].notna().any()]
    columns = [*_left_columns(best, settings, terminal.width), *_metric_columns(best, names, brackets=False)]
    of = f", of the {len(complete)} cells whose seeds have all finished at one iteration"
    title = f"The best in {REPORTED[metric].label}{of if len(complete) < len(cells) else ''}"
    print_table(columns, terminal, title)


def _title(cells: Sequence[Cell], trials: pd.DataFrame, brackets: bool) -> str:
    iterations = {cell.iteration for cell in cells}
    at = f"at iteration {iterations.pop():,.0f}" if len(iterations) == 1 else "at their last evaluation"
    one = all(len(cell.trials) == 1 for cell in cells)
    what = counted(len(cells), "cell")
    seeds = ", of one seed each" if one else f" of {len(trials)} trials, means ± half of their 95% intervals over seeds"
    return f"{what} {at.replace('iteration nan', 'no evaluation')}{seeds}{' (before training)' if brackets else ''}"


def _left_columns(cells: Sequence[Cell], settings: Sequence[str], width: int) -> list[Column]:
    """Return columns of the settings and progress of cells; too many settings are joined into one column of words."""
    columns = [_setting_column(cells, name) for name in settings]
    more = [_sweep_column(cells)] if cells and SWEEP in cells[0].trials else []
    more += [Column(header="seeds", texts=[_seeds(cell) for cell in cells])]
    if len({cell.iteration for cell in cells}) > 1:
        at = [cell.iteration for cell in cells]
        more.append(Column(header="iteration", texts=["" if math.isnan(i) else f"{i:,.0f}" for i in at]))
    if any(states := [_state(cell) for cell in cells]):
        more.append(Column(header="state", texts=states, words=True))
    if width_of([*columns, *more]) + ROOM_FOR_A_METRIC > width:
        columns = [Column(header="cell", texts=_in_words(columns), words=True, least=24)]
    return [*columns, *more]


def _setting_column(cells: Sequence[Cell], name: str) -> Column:
    values = [cell.values[name] for cell in cells]
    distinct = [*dict.fromkeys(values)]
    apart = dict(zip(distinct, shown_apart(distinct), strict=True))
    texts, short = [apart[value] for value in values], [shown(value, 4) for value in values]
    if max(map(len, texts)) > len("0.00123") and len(set(short)) == len(set(texts)):
        texts = short  # values of a search have many digits, of which few suffice
    texts = ["" if value is None else text for value, text in zip(values, texts, strict=True)]
    return Column(header=option_name(name).replace("-", " "), texts=texts)


def _sweep_column(cells: Sequence[Cell]) -> Column:
    """Return the column that says which sweeps the trials of cells are from."""
    names = [", ".join(dict.fromkeys(cell.trials[SWEEP])) for cell in cells]
    return Column(header=SWEEP, texts=[printable(name) for name in names], words=True)


def _effective_column(cells: Sequence[Cell]) -> list[Column]:
    """Return the column of λ (1 − γ)² if γ and λ are combined. It is the first column to be left out."""
    known = [cell.trials.get("effective_lambda", pd.Series([math.nan])).iloc[0] for cell in cells]
    given = [cell.values.get("lam") for cell in cells]
    if all(math.isnan(value) or value == lam for value, lam in zip(known, given, strict=True)):
        return []
    texts = ["" if math.isnan(value) else shown(float(value), 4) for value in known]
    return [Column(header="λ(1−γ)²", texts=texts, rank=len(COMPARABLE) * 2, name="effective_lambda")]


def _in_words(columns: Sequence[Column]) -> list[str]:
    """Join each row into words: `beta 0.1, gamma 0.5`."""
    rows = zip(*(column.texts for column in columns), strict=True)
    named = ([(c.header, text) for c, text in zip(columns, row, strict=True) if text] for row in rows)
    return [", ".join(f"{header} {text}" for header, text in row) for row in named]


def _seeds(cell: Cell) -> str:
    averaged, of_all = len(cell.furthest), len(cell.trials)
    return str(of_all) if averaged == of_all else f"{averaged} of {of_all}"


def _state(cell: Cell) -> str:
    """Say how those seeds of a cell ended that have not finished."""
    counts = cell.trials["state"].value_counts()
    several = len(cell.trials) > 1
    present = [state for state in STATES if state in counts and state != "finished"]
    return ", ".join(f"{f'{counts[s]} ' if several else ''}{s.replace('_', ' ')}" for s in present)


def _with_metrics(
    left: Sequence[Column], cells: Sequence[Cell], names: Sequence[str], first: Sequence[str], width: int
) -> tuple[list[Column], bool]:
    """Add columns of metrics, and return whether they have scores before training in brackets.

    They have these if all of the first metrics still fit.
    """
    order = {name: place for place, name in enumerate((*COMPARABLE, *names))}
    for brackets in (True, False):
        metrics = _metric_columns(cells, names, brackets)
        metrics.sort(key=lambda column: order[column.name])
        kept = {column.name for column in fitting([*left, *metrics], width)}
        if kept.issuperset(name for name in names if name in first):
            break
    return [*left, *metrics], brackets and any(f"{name}_untrained" in cells[0].trials for name in kept)


def _metric_columns(cells: Sequence[Cell], names: Sequence[str], brackets: bool) -> list[Column]:
    """Return columns of metrics. The last name is the first to be left out."""
    columns = []
    for rank, name in enumerate(names, 1):
        texts = [_text(cell.score(name), len(cell.furthest)) for cell in cells]
        if brackets:
            before = [cell.score(f"{name}_untrained").mean for cell in cells]
            texts = [f"{text} ({_number(b)})" if _number(b) else text for text, b in zip(texts, before, strict=True)]
        columns.append(Column(header=described(name).short, texts=texts, rank=rank, name=name))
    return columns


def _text(score: Score, seeds: int) -> str:
    """Format a score: `0.853 ± 0.021`, with the number of seeds if some seeds lack it."""
    half = "" if math.isnan(score.half) else f" ± {score.half:.2g}"
    return f"{_number(score.mean)}{half}{f' of {score.seeds}' if 0 < score.seeds < seeds else ''}"


def _before_training(trials: pd.DataFrame, names: Sequence[str]) -> str:
    means = {name: trials[f"{name}_untrained"].mean() for name in names if f"{name}_untrained" in trials}
    return ", ".join(f"{described(name).short} {_number(mean) or 'unknown'}" for name, mean in means.items())


def _not_finished(trials: pd.DataFrame) -> Iterator[str]:
    """Yield a line for each state but finished: how many trials are in it, and which."""
    for state in (state for state in STATES if state != "finished"):
        labels = trials.loc[trials["state"] == state, "label"].tolist()
        if labels:
            more = f"; and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
            named = "; ".join(labels[:MOST_NAMED])
            yield f"{state.replace('_', ' ')}, {len(labels)} of {len(trials)} trials: {named}{more}"


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"
