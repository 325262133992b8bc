"""Options of a sweep beside its trials: how long it runs, where, on what, and which trials are stopped early."""

from dataclasses import dataclass, field, fields, make_dataclass
from typing import Annotated, Any, Literal, get_type_hints

from dd_ray.command_line import LEAN, Seconds, optional, with_help
from dd_ray.config.declarations import TAKEN
from dd_ray.config.field import Within
from dd_ray.config.names import Precision
from dd_ray.metrics import ASKED_SCORES, FURTHER
from dd_ray.sweep.samplers import SAMPLERS, TPE
from dd_ray.sweep.schedulers import ASHA, SCHEDULERS
from dd_ray.sweep.study import Study

SMALLEST_SHARE = 1e-4
"""The smallest share of a CPU or GPU that Ray can count."""
LONGEST = 999_999_999
"""The most iterations, for which the names of states have digits."""
FROM_1 = Within("give 1 or more", low=1)
UP_TO_LONGEST = Within(f"give at most {LONGEST:,}", high=LONGEST)
MANY = Within("give at most 100,000", high=100_000)
MILLION = Within("give at most 1,000,000", high=1_000_000)
FROM_0 = Within("give 0 or more", low=0)
A_SHARE_OF_A_GPU = Within("a trial uses one GPU at most", high=1)
CPUS = Within(f"give a number from {SMALLEST_SHARE:g} on, which is the least that Ray counts", low=SMALLEST_SHARE)
SAMPLER_SEEDS = Within("give 0 or more, below 2**32", low=0, high=2**32 - 1)
FROM_1_SECOND = Within("give a second or more", low=1)
UP_TO_A_YEAR = Within("give at most a year, 365d", high=365 * 86400)
REDUCTION = Within("give a number in [1.01, 1000000]", low=1.01, high=1_000_000)
"""The range of the reduction factor; with less, there would be countless rungs."""


@dataclass(frozen=True, kw_only=True)
class SweepOptions:
    """Options of every sweep."""

    address: Annotated[str | None, optional("auto|HOST:PORT")] = None
    """Ray cluster to run on: auto, or host:port. Without it, a Ray of its own on this machine."""
    config: Annotated[str | None, optional("FILE.yaml")] = None
    """File with values of any of these options, a line each: `gamma: [0, 0.5]`. Options given here override it."""
    save_config: Annotated[str | None, optional("FILE.yaml")] = None
    """Write all options that have an effect, given or not, into a file that `--config` reads."""
    preset: str = "quick"
    """Size of the study; other options override what it sets."""
    seeds: Annotated[int | None, optional("N"), FROM_1, MANY] = None
    """Repeats of every trial, with seeds 0 to N − 1; `--seed` names seeds one by one instead. Default: the preset's."""
    iterations: Annotated[int, FROM_1, UP_TO_LONGEST] = 300
    """Batches that every trial learns from."""
    exclude: Annotated[tuple[str, ...], optional('"FIELD=VALUE[,VALUE...] ..." [...]')] = ()
    """Combinations that are left out: a trial that has one of the values of each field that is named together, such
    as `--exclude "gamma=0.5,0.8 lambda=3" "model=ada_gvae objective=velocity"`."""
    sample: Annotated[int | None, optional("N"), FROM_1, MANY] = None
    """Train N cells of the grid, each with all its seeds, drawn evenly over the axes; a larger N adds to them."""
    sample_seed: Annotated[int, SAMPLER_SEEDS] = 0
    """Seed of the draws of `--sample`; another one draws other cells."""
    confirm: Annotated[int | None, optional("N"), FROM_1, MANY] = None
    """Train the best cell of each arm of the finished sweep of this name, the baseline included, with N seeds that it
    does not have, as a sweep NAME_confirmed, and report those alone, which are free of the luck of the choice."""
    evaluations: Annotated[int | None, optional("N"), FROM_1, MANY] = None
    """Evaluations of a trial on held-out data, after the one before training. As many as cost 4% of the
    time, but at most 20, where it is not given."""
    final_metrics: tuple[str, ...] = ("auto",)
    """Costly scores that the last evaluation of a trial has as well, of 10,000 still pictures, and the same of its
    network before training: names, all, none, or auto: the cheapest, up to 3% of its time. `python -m
    dd_ray.evaluation PATH --metrics NAMES` adds any of them later."""
    gpus_per_trial: Annotated[float | None, optional("X"), FROM_0, A_SHARE_OF_A_GPU] = None
    """Share of a GPU that a trial asks for. Where it is not given, 1/40 if the cluster has GPUs (1/10 without packs),
    else 0."""
    cpus_per_trial: Annotated[float | None, optional("X"), CPUS, MANY] = None
    """CPUs that a trial asks for, and the threads it uses: 1 where it is not given, 1/4 in a pack on a GPU."""
    pack: Literal["auto", "on", "off"] = "auto"
    """Train the trials that share a GPU in one process there, as one. auto: on GPUs; on a CPU one process a core is
    faster."""
    precision: Precision = "float32"
    """Precision of products on a GPU: all bits of float32; TF32, which is faster and has 10 bits instead of 23; or
    bfloat16 with 7, in which the images between convolutions are kept as well."""
    time_budget: Annotated[Seconds | None, optional("TIME"), FROM_1_SECOND, UP_TO_A_YEAR] = None
    """Time in which the sweep is to end, its start included, such as 90m, 2h, 1:30:00 or seconds: it saves the states
    of trials that have not ended, and says what is left. Where it is not given, the limit of the Slurm job that it is
    part of."""
    trial_time_budget: Annotated[Seconds | None, optional("TIME"), FROM_1_SECOND, UP_TO_A_YEAR] = None
    """Time after which a trial is ended, its state saved, as out_of_time: of training and evaluation, over all
    commands. A larger one lets it go on."""
    stop_at_plateau: Annotated[int | None, optional("N"), FROM_1, MANY] = None
    """Patience: end a trial after N evaluations in a row whose `--metric` is not better than the best before, its state
    saved, as at_plateau. A larger N, or none, lets it go on. Evaluations before `--grace-period` do not count."""
    min_delta: Annotated[float, FROM_0] = 0.0
    """stop_at_plateau: an evaluation counts as better only if it is better by more than this."""
    max_concurrent: Annotated[int | None, optional("N"), FROM_1, MILLION] = None
    """Most trials at a time; as many as the cluster holds where it is not given."""
    max_failures: Annotated[int, FROM_0, MILLION] = 3
    """Retries in a row, without progress in between, of a trial that raised an error or lost its process. Each begins
    at its last state."""
    scheduler: str = ASHA.name
    """Rule that stops trials which fall behind: asha, at rungs; hyperband, asha in brackets that begin to compare later
    and later, among which a trial's key chooses; median, where a trial's best is worse than the median of the others'
    means. none lets all finish."""
    metric: str = "reconstruction_error"
    """Metric of held-out data by which a scheduler compares trials, and `--stop-at-plateau` each with itself; and by
    which `dd-ray results` names the best cells, also where nothing stops trials."""
    grace_period: Annotated[int | None, optional("N"), FROM_1, UP_TO_LONGEST] = None
    """Iterations before a scheduler, or a plateau, may stop a trial; a share of all that the preset names where it is
    not given."""
    reduction_factor: Annotated[float, REDUCTION] = 3
    """asha, hyperband: of the trials at a rung, one in so many goes on; rungs lie so many times apart."""
    storage: str = "results"
    """Where sweeps are kept: a folder that all nodes of the cluster see, or a URL such as s3://bucket/folder."""
    name: str = "sweep"
    """Folder of this sweep in the storage. The same name again goes on where it stopped."""
    extension: Annotated[tuple[str, ...], optional("FILE.py [FILE.py ...]")] = ()
    """Python files of your own that declare models, networks, datasets, objectives, optimisers, metrics, schedulers or
    samplers. They run here and in every worker, with your rights."""
    insecure: bool = False
    """Run on a cluster that asks for no token: whoever reaches its ports can run code on it."""
    page: bool = True
    """Write the sweep's page, report.html in its folder, now and then while it runs and at its end."""
    price_per_gpu_hour: Annotated[float | None, optional("X"), FROM_0] = None
    """Price of an hour of a GPU, in any currency, for the estimate of what the sweep costs."""
    dry_run: bool = False
    """Print every trial, the work and an estimate of its time; start nothing."""


OF_THE_CLUSTER = frozenset(
    "address gpus_per_trial cpus_per_trial pack precision max_concurrent max_failures insecure "
    "price_per_gpu_hour".split()
)
"""Options that decide where trials run, and on what."""


@dataclass(frozen=True, kw_only=True)
class SearchOptions(SweepOptions):
    """Options of every search."""

    suggestions: Annotated[int, FROM_1, MILLION] = 8
    """Points of the space to try, each with all seeds. A larger number under the same name extends the search."""
    objectives: tuple[str, ...] = ()
    """Metrics to improve, in the mean over the seeds: one, or two, which give a Pareto front."""
    startup: Annotated[int, FROM_1, MILLION] = 10
    """Suggestions that are drawn at random before the sampler learns from results."""
    sampler: str = TPE.name
    """Method that draws suggestions: tpe, gp (a Gaussian process), nsgaii (--startup suggestions a generation) and
    cmaes learn from the results so far; qmc (a Sobol sequence) and random do not."""
    sampler_seed: Annotated[int, SAMPLER_SEEDS] = 0
    """Seed of the sampler. With several trials at a time, suggestions also depend on which ends first."""


TAKEN.update(each.name for each in fields(SearchOptions))


def options_of(study: Study, preset_name: str, extensions: tuple[str, ...] = ()) -> type:
    """Make a subclass of `SweepOptions` with the defaults of one of a study's presets."""
    preset = study.presets[preset_name]
    listed = "; ".join(f"{name}: {p.about}" for name, p in study.presets.items())
    base = SearchOptions if study.search else SweepOptions
    hints = get_type_hints(base, include_extras=True)
    narrowed: dict[str, Any] = {
        "preset": Literal[*study.presets],
        "scheduler": Literal[*SCHEDULERS],
        "sampler": Literal[*SAMPLERS],
        "final_metrics": tuple[Literal[*ASKED_SCORES, *FURTHER], ...],  # type: ignore[valid-type]
    }
    usual: dict[str, Any] = {
        "preset": preset_name,
        "extension": extensions,
        "final_metrics": preset.final_metrics,
        "iterations": preset.iterations,
        "exclude": preset.exclude,
        "scheduler": preset.scheduler,
        "metric": study.metric,
        "reduction_factor": preset.reduction_factor,
        "name": f"{study.name}_{preset_name}",
    }
    if study.search:
        usual |= {"suggestions": preset.suggestions, "objectives": study.search.objectives, "sampler": TPE.name}
    changed = [(name, narrowed.get(name, hints[name]), field(default=value)) for name, value in usual.items()]
    options = make_dataclass("Options", changed, bases=(base,), **LEAN)
    return with_help(options, preset=f"Size of the study. {listed}.")
