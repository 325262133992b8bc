"""Options by file: what a file asks for, what is refused, and that what is saved asks for the same."""

import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

import dd_ray
from dd_ray.cli import main, parse
from dd_ray.config.options import options_class
from dd_ray.errors import UserError
from dd_ray.sweep.options import options_of
from dd_ray.sweep.plan import Plan
from dd_ray.sweep.value_file import LARGEST, ValueFile, save_values, text_of
from tests.sweep.studies import ROOT, TINY

EXTENSION = ROOT / "tests" / "extensions" / "blur_vae.py"
Write = Callable[[str], str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of options, and returns its path."""

    def written(text: str, name: str = "study.yaml") -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return str(tmp_path / name)

    return written


def asked(plan: Plan) -> tuple[Any, ...]:
    """All that a plan asks for, but for the files that it was read from and is saved in."""
    options = {**asdict(plan.options), "config": None, "save_config": None, "dry_run": False}
    axes = {name: values for name, values in plan.axes.items() if values}
    return plan.study.name, options, dict(sorted(axes.items())), plan.trials, plan.evaluate_at


@pytest.fixture(scope="module")
def kinds() -> tuple[type, ...]:
    """Options of the small study, which take a second to make."""
    return options_of(TINY, "quick"), options_class(TINY.defaults("quick"))


@pytest.fixture(autouse=True)
def away_from_the_sweeps_of_this_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan is compared with the sweep of its name in `results`, which a checkout that has been used may have."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("gamma: [0, 5e-1]\nlambda: 1\n", {"gamma": (0.0, 0.5), "lam": (1.0,)}),
        ("lam: 1e-2\nseeds: 2\npack: on\n", {"lam": (0.01,), "seeds": 2, "pack": "on"}),
        ("num-frames: [4, 5]\npage: false\n", {"num_frames": (4, 5), "page": False}),
        ("time_budget: 1:30:00\ntrial-time-budget: 9\n", {"time_budget": 5400.0, "trial_time_budget": 9.0}),
        ("name: 007\nscheduler: none\n", {"name": "007", "scheduler": "none"}),
        ("study: tiny\nexclude: []\naddress: null\n", {"exclude": (), "address": None}),
        ("learn_alpha: [True, false]\nobjective: 'beta'\n", {"learn_alpha": (True, False), "objective": ("beta",)}),
        ("gamma: &a [0, 0.5]\nlambda: *a\n", {"gamma": (0.0, 0.5), "lam": (0.0, 0.5)}),
    ],
)
def test_values_are_read_as_words_and_not_as_yaml_guesses(
    text: str, values: dict[str, Any], write: Write, kinds: tuple[type, ...]
) -> None:
    assert ValueFile.read(write(text)).values(TINY, kinds, ()) == values


def test_a_file_asks_for_what_its_words_ask_for(write: Write) -> None:
    file = write("gamma: [0, 5e-1]\nlambda: 1\npreset: paper\nbeta: 0.1\ntime-budget: 2h\n")
    words = "--gamma 0 0.5 --lambda 1 --preset paper --beta 0.1 --time-budget 2h"
    assert asked(parse(TINY, ["--config", file])) == asked(parse(TINY, words.split()))
    assert asked(dd_ray.plan(TINY, config=file)) == asked(parse(TINY, words.split()))


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ((), {"beta", "gamma", "seeds"}),
        (("gamma",), {"beta", "seeds"}),
        (("beta_norm",), {"gamma", "seeds"}),
        (("seed", "lam"), {"beta", "gamma"}),
    ],
)
def test_what_is_given_overrides_the_file(
    given: tuple[str, ...], left: set[str], write: Write, kinds: tuple[type, ...]
) -> None:
    file = ValueFile.read(write("beta: [0.1, 1]\ngamma: [0, 0.5]\nseeds: 3\n"))
    assert file.values(TINY, kinds, given).keys() == left


def test_the_command_line_overrides_the_file(write: Write) -> None:
    file = write("preset: quick\niterations: 5\nbeta: [0.1, 1]\nseeds: 3\npage: true\n")
    found = parse(TINY, f"--config {file} --preset paper --beta-norm 0.001 --seed 7 --no-page".split())
    assert asked(found) == asked(parse(TINY, "--preset paper --iterations 5 --seed 7 --no-page".split()))


def test_what_is_given_in_python_overrides_the_file(write: Write) -> None:
    file = write("beta: [0.1, 1]\ngamma: 0\nextension: no_such_file.py\n")
    found = dd_ray.plan(TINY, config=Path(file), beta_norm=0.001, extension=())
    assert asked(found) == asked(parse(TINY, "--beta-norm 0.001 --gamma 0".split()))


def test_what_a_study_saves_asks_for_the_same_trials(write: Write) -> None:
    plan = dd_ray.plan("capacity_grid", num_latents=[4, 10])
    assert asked(dd_ray.plan("capacity_grid", config=write(text_of(plan)))) == asked(plan)


@pytest.mark.parametrize(
    "options",
    [
        {"seed": [3, 5], "gamma": 0.1234567890123456, "learn_alpha": [True, False], "address": "10.0.0.1:6379"},
        {"beta_norm": 1e-5, "exclude": ["gamma=0 lambda=1"], "lam": [1, 2], "time_budget": "1:30:00", "page": False},
    ],
)
def test_what_is_saved_asks_for_the_same_trials(options: dict[str, Any], write: Write) -> None:
    plan = dd_ray.plan(TINY, **options)
    assert asked(dd_ray.plan(TINY, config=write(text_of(plan)))) == asked(plan)


def test_what_is_saved_asks_for_the_same_though_the_preset_has_changed(write: Write) -> None:
    plan = dd_ray.plan(TINY, gamma=[0, 0.5])
    other = replace(TINY.presets["quick"], axes={"beta": (3.0,), "gamma": (0.9,)}, iterations=7, seeds=4)
    found = dd_ray.plan(replace(TINY, presets={"quick": other}), config=write(text_of(plan)))
    assert found.trials == plan.trials and found.evaluate_at == plan.evaluate_at


@pytest.mark.parametrize("scheduler", ["none", "median"])
def test_what_has_no_effect_is_not_saved_for_another_preset_to_refuse(scheduler: str, write: Write) -> None:
    plan = dd_ray.plan(TINY, scheduler=scheduler)
    file = write(text_of(plan))
    other = replace(TINY.presets["quick"], reduction_factor=2.0)
    assert dd_ray.plan(replace(TINY, presets={"quick": other}), config=file).trials == plan.trials
    assert {"reduction-factor", "sample-seed", "min-delta"}.isdisjoint(ValueFile.read(file).entries)


def test_what_has_an_effect_is_saved(write: Write) -> None:
    plan = dd_ray.plan(TINY, sample=2, stop_at_plateau=3, reduction_factor=4)
    entries = ValueFile.read(write(text_of(plan))).entries
    assert [entries[name] for name in ("sample-seed", "min-delta", "reduction-factor")] == ["0", "0.0", "4.0"]


def test_a_search_is_saved_with_what_follows_from_its_objectives(write: Write) -> None:
    plan = dd_ray.plan("inertia_search", beta=[0.1, 1], objectives="mcc", suggestions=3)
    found = dd_ray.plan("inertia_search", config=write(text_of(plan)))
    assert asked(found) == asked(plan)
    assert found.record() == plan.record()


def test_an_extension_that_the_file_names_is_loaded_first(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(f"extension: {EXTENSION}\nmodel: blur_vae\nblur: [0, 0.5]\ngamma: 0\n")
    plan = parse(TINY, ["--config", file])
    assert plan.axes["blur"] == (0, 0.5) and plan.options.extension == (str(EXTENSION),)
    assert asked(dd_ray.plan(TINY, config=write(text_of(plan), "saved.yaml"))) == asked(plan)


WRONG = [
    ("gamma: [0, x]", "study.yaml, gamma: --gamma 'x' is of the wrong type; give a number."),
    ("seeds: [1, 2]", "study.yaml, seeds: --seeds [1, 2] is of the wrong type; give a whole number."),
    ("iterations:", "study.yaml, iterations: --iterations None is of the wrong type; give a whole number."),
    ("page: on", "study.yaml, page: --page 'on' is of the wrong type; give True or False."),
    ("time-budget: soon", "--time-budget 'soon' is no time; give seconds, or such as 90m, 2h or 1:30:00."),
    ("gama: 0", "study.yaml: tiny has no option gama; did you mean gamma?"),
    ("config: other.yaml", "config is an option of a command, and of no file; leave it out."),
    ("study: inertia_grid", "study.yaml is for inertia_grid, and not for tiny."),
    ("gamma: 0\nbeta: 1\ngamma: 1", "study.yaml, line 3: gamma is given twice; give it once."),
    ("lam: 0\nlambda: 1", "study.yaml gives lambda twice, as lambda too; give it once."),
    ("gamma: {low: 0}", "line 1: gamma is a list or a mapping here; give one value, or a list of values."),
    ("gamma: [[0], 1]", "line 1: gamma: a value is a list or a mapping here"),
    ("? [a]\n: 1", "line 1: a name is a list or a mapping here"),
    ("gamma: !!python/object/apply:os.system ['true']", "has the tag tag:yaml.org,2002:python/object/apply:os.system"),
    ("gamma: !mine 0", "line 1: gamma has the tag !mine; give values without tags."),
    ("gamma: !!set {0, 1}", "is a list or a mapping here"),
    ("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]", "line 2: b: a value is a list or a mapping here"),
    ("a: &a [*a]", "is a list or a mapping here"),
    ("", "study.yaml holds no options; give lines such as `gamma: [0, 0.5]`."),
    ("# nothing\n", "holds no options"),
    ("- gamma\n", "holds no options"),
    ("gamma: 0\n---\ngamma: 1\n", "study.yaml is no YAML"),
    ("gamma: [0", "study.yaml is no YAML in line 1"),
    ("gamma: *b", "is no YAML in line 1: found undefined alias 'b'."),
    ("gamma: \x07", "is no YAML: unacceptable character #x0007"),
    ("gamma: " + "[" * 20_000, "is no YAML in line 1: it is nested too deeply."),
    ("#" * (LARGEST + 1), "has more than 30,000 bytes"),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[text[:20] for text, _ in WRONG])
def test_a_wrong_file_is_refused_in_a_sentence(text: str, said: str, write: Write, kinds: tuple[type, ...]) -> None:
    with pytest.raises(UserError) as refused:
        ValueFile.read(write(text)).values(TINY, kinds, ())
    assert said in str(refused.value) and "study.yaml" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gamma: 2", "study.yaml, gamma: --gamma 2.0 is out of range; γ is a share, give a number in [0, 1]."),
        ("seeds: 2\nseed: [0, 1]", "study.yaml, seeds, seed: both --seeds 2 and --seed 0 1; give one."),
        ("preset: large", "study.yaml, preset: --preset 'large' is none of quick, paper; give one."),
    ],
)
def test_what_the_command_line_refuses_is_refused_with_code_2(
    text: str, said: str, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(text)
    with pytest.raises(SystemExit) as exit_:
        main(TINY, ["--config", file])
    message = capsys.readouterr().err
    assert exit_.value.code == 2 and message.endswith(f"{said}\n")
    with pytest.raises(UserError) as called:
        dd_ray.plan(TINY, config=file)
    assert message == f"error: {called.value}\n"


@pytest.mark.parametrize("path", ["no_such.yaml", ".", "/dev/zero", "latin.yaml", "\0"])
def test_what_cannot_be_read_is_refused(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin.yaml").write_bytes("name: Übung".encode("latin-1"))
    with pytest.raises(UserError, match=r"^--config .* cannot be read \(.*\); give the path of a YAML file\.$"):
        dd_ray.plan(TINY, config=path)


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large.yaml").open("wb") as file:
        file.truncate(100 * 2**20)
    with pytest.raises(UserError, match=r"more than 30,000 bytes"):
        dd_ray.plan(TINY, config=tmp_path / "large.yaml")


def test_a_file_that_cannot_be_saved_is_one_sentence(tmp_path: Path) -> None:
    plan = parse(TINY, ["--save-config", str(tmp_path / ("n" * 300))])
    with pytest.raises(UserError, match=r"--save-config .* cannot be opened \(File name too long\)"):
        save_values(plan)


def test_a_saved_file_is_never_overwritten_by_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--dry-run", "--save-config", str(tmp_path / "new" / "saved.yaml")]
    main(TINY, words)
    main(TINY, words)  # the same command again
    assert capsys.readouterr().out.count(f"options saved: {tmp_path / 'new' / 'saved.yaml'}") == 2
    with pytest.raises(UserError, match="is there already, and holds something else; choose another name"):
        save_values(parse(TINY, [*words, "--gamma", "0"]))
    saved = (tmp_path / "new" / "saved.yaml").read_text()
    assert "dry" not in saved and "save-config" not in saved
    assert "dd-ray" not in saved  # which knows no study of a script, as this one is


def test_a_thread_that_waits_since_before_does_not_end_the_caller(write: Write) -> None:
    over = threading.Event()
    waiting = threading.Thread(target=over.wait, name="storage", daemon=True)
    waiting.start()
    try:
        with pytest.raises(SystemExit, match="2"):
            main(TINY, ["--config", write("gamma: 2")])
    finally:
        over.set()
        waiting.join()
