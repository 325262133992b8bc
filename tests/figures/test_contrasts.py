"""The chosen cells of a sweep against the baseline's, as the figure shows them."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from scipy import stats

from dd_ray import results
from dd_ray.cli import parse
from dd_ray.errors import UserError
from dd_ray.figures.common import FigureOptions
from dd_ray.figures.contrasts import _Outcome, draw, write_contrasts
from dd_ray.results.confirmation import Contrast, confirmed
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.confirmation import BASELINE
from tests.results.test_confirmation import STUDY, finish


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Locations of a sweep, and of the one that confirms it with four seeds."""
    args = ["--storage", str(tmp_path_factory.mktemp("sweeps"))]
    return finish(parse(STUDY, args)), finish(confirmed(parse(STUDY, [*args, "--confirm", "4"])))


@pytest.mark.usefixtures("undrawn")
def test_the_numbers_are_those_of_paired_t_tests(sweeps: tuple[str, str], tmp_path: Path) -> None:
    picture, numbers = write_contrasts(FigureOptions(path=sweeps[1], out=tmp_path))
    assert picture.name == "contrasts.png"
    table, trials = pd.read_csv(numbers), results.final(results.load(sweeps[1]))
    assert set(table["outcome"]) == {"mcc", "linear_r2"} and set(table["seeds"]) == {4}
    row = table[(table["outcome"] == "mcc") & (table["arm"] == "inertia_vae γ")].iloc[0]
    assert row["cell"] == "model=inertia_vae,beta=1,gamma=0.5,lambda=0"
    arm = trials[(trials["model"] == "inertia_vae") & (trials["gamma"] == 0.5) & (trials["beta"] == 1)]
    base = trials[(trials["model"] == "beta_vae") & (trials["beta"] == 1)]
    test = stats.ttest_rel(arm.sort_values("seed")["mcc"], base.sort_values("seed")["mcc"])
    assert row["p_value"] == pytest.approx(test.pvalue)
    assert (row["low"], row["high"]) == pytest.approx(tuple(test.confidence_interval()))


def test_rows_are_named_by_what_tells_their_cells_from_the_baseline(
    sweeps: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = []
    monkeypatch.setattr("dd_ray.figures.contrasts.write", lambda folder, figures, tables: drawn.append(figures) or [])
    write_contrasts(FigureOptions(path=sweeps[1], out=tmp_path))
    panel = drawn[0]["contrasts"].axes[0]
    assert {text.get_text() for text in panel.get_yticklabels()} == {
        "inertia VAE, β = 1, γ = 0.5",
        "inertia VAE, β = 0.1, λ = 30",
        "control: inertia VAE, β = 1",
    }
    assert panel.get_xlabel() == "less that of β-VAE, β = 1"
    assert "(Holm), or a control" in drawn[0]["contrasts"].get_supxlabel()
    dots = [line for line in panel.lines if line.get_marker() == "."]
    assert [len(line.get_xdata()) for line in dots] == [4, 4, 4]


def test_what_the_marks_mean_fits_a_figure_of_one_outcome() -> None:
    values = {"mean": 0.1, "low": -0.1, "high": 0.3, "p_value": 0.2, "p_flips": 0.25, "p_holm": 0.2}
    found = [Contrast(outcome="mcc", arm="γ", seeds=2, **values)]
    cells = {BASELINE: "beta=1", "γ": "gamma=0.5"}
    figure = draw([_Outcome(name="mcc", cells=cells, found=found, pairs={"γ": [0.0, 0.2]})])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    box = figure.texts[-1].get_window_extent(canvas.get_renderer())
    assert box.x0 > 0 and box.x1 < figure.bbox.x1


def test_a_sweep_that_confirms_nothing_is_refused(sweeps: tuple[str, str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="confirms no other sweep"):
        write_contrasts(FigureOptions(path=sweeps[0], out=tmp_path))


def test_where_no_seed_has_both_there_is_nothing_to_draw(tmp_path: Path) -> None:
    args = ["--storage", str(tmp_path)]
    finish(parse(STUDY, args))
    plan = confirmed(parse(STUDY, [*args, "--confirm", "2"]))
    baseline = {trial.key for trial in plan.trials if trial.config.model == "beta_vae"}
    others = tuple(trial for trial in plan.trials if trial.key not in baseline)
    with pytest.raises(UserError, match=r"no seed of .* has finished"):
        write_contrasts(FigureOptions(path=finish(replace(plan, trials=others)), out=tmp_path))


def parts_of(whole: SweepFolder, folder: Path) -> list[str]:
    """Copy a confirmation into two, each with half of the seeds."""
    manifest = whole.manifest()
    seeds = sorted({trial.describe()["config"]["seed"] for trial in whole.trials()})
    parts = []
    for name, some in (("one", seeds[:2]), ("other", seeds[2:])):
        part = SweepFolder.at(folder / name)
        kept = [trial for trial in whole.trials() if trial.describe()["config"]["seed"] in some]
        for trial in kept:
            trial.copy_to(part.trial(trial.key), trial.describe()["label"])
        keys = {trial.key for trial in kept}
        chosen = {
            outcome: {arm: [key for key in of_arm if key in keys] for arm, of_arm in arms.items()}
            for outcome, arms in manifest["confirms"]["chosen"].items()
        }
        part.write_manifest({**manifest, "confirms": {**manifest["confirms"], "chosen": chosen}})
        parts.append(part.location)
    return parts


@pytest.mark.usefixtures("undrawn")
def test_confirmations_of_the_same_cells_are_drawn_as_one(sweeps: tuple[str, str], tmp_path: Path) -> None:
    one, other = parts_of(SweepFolder.open(sweeps[1]), tmp_path)
    _, numbers = write_contrasts(FigureOptions(path=one, more=(other,), out=tmp_path / "both"))
    _, of_whole = write_contrasts(FigureOptions(path=sweeps[1], out=tmp_path / "whole"))
    pd.testing.assert_frame_equal(pd.read_csv(numbers), pd.read_csv(of_whole))


def test_confirmations_of_different_cells_are_refused(sweeps: tuple[str, str], tmp_path: Path) -> None:
    one, other = parts_of(SweepFolder.open(sweeps[1]), tmp_path)
    manifest = SweepFolder.open(other).manifest()
    for arms in manifest["confirms"]["chosen"].values():
        first, second = [arm for arm in arms if arm != BASELINE][:2]
        arms[first], arms[second] = arms[second], arms[first]
    SweepFolder.open(other).write_manifest(manifest)
    with pytest.raises(UserError, match=r"confirm different cells, in .*; draw each by itself"):
        write_contrasts(FigureOptions(path=one, more=(other,), out=tmp_path))
