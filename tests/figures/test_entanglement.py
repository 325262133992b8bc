"""Responses of latents to factors: the original's numbers from its checkpoints, and cells of sweeps."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from dd_ray.errors import UserError
from dd_ray.figures import entanglement
from dd_ray.figures.entanglement import Entanglement, NetworkOptions, draw, write_entanglement
from dd_ray.probes.networks import load_originals
from tests.figures.networks import write_trained_sweep
from tests.figures.test_grid_maps import is_drawn
from tests.processes import python
from tests.sweep.studies import ROOT

TWO = {
    "beta_vae_4_latents_beta_norm_0.001": "staticvae32_betanorm=0.001_dsprites_circle_last_500K",
    "beta_vae_4_latents_beta_norm_5.0": "staticvae32_betanorm=5.0_dsprites_circle_last_500K",
}


def loud(trial: Any) -> None:
    """Latents 0 and 1 that respond strongly; latents of an untrained network hardly move."""
    trial.model.encoder.mu.weight[:2] *= 300


@pytest.fixture(scope="module")
def originals(reference: Path) -> dict[str, Entanglement]:
    return {subject.name: Entanglement.of(subject) for subject in load_originals(reference)}


def test_the_original_s_numbers_come_out_of_its_checkpoints(
    reference: Path, originals: dict[str, Entanglement]
) -> None:
    expected = json.loads((reference / "numbers.json").read_text())["notebook_entanglement"]
    files = {name: name.replace("beta_vae_4_latents_beta_norm_", "betanorm=") + "_" for name in expected}
    files["supervised"] = "encoderbvae"
    assert len(expected) == len(originals) == 7
    for name, numbers in expected.items():
        (one,) = (one for file, one in originals.items() if files[name] in file)
        found = one.numbers()
        cross, sweep = numbers["mean_squared_cross_correlations"], numbers["mean_squared_corr_true_learned"]
        # The same 64 pictures; of collapsed networks, whose latents vary by 1e-5, float32 leaves fewer digits.
        assert found["mean_squared_cross_correlation"] == pytest.approx(cross, abs=1e-4)
        assert found["mean_squared_sweep_correlation"] == pytest.approx(sweep, abs=1e-4)
        np.testing.assert_allclose(one.with_factors() ** 2, numbers["corr2"], atol=2e-3)
        np.testing.assert_allclose(one.responses.std(axis=1), numbers["sweep_std"], atol=1e-5)


def test_a_collapsed_original_has_no_active_latent(originals: dict[str, Entanglement]) -> None:
    active = [originals[name].names for name in TWO.values()]
    assert active == [[f"z$_{{{i}}}$" for i in range(4)], [f"(z$_{{{i}}}$)" for i in range(4)]]


def test_the_command_draws_the_original_s_networks(tmp_path: Path, reference: Path) -> None:
    file = reference / "checkpoints" / TWO["beta_vae_4_latents_beta_norm_0.001"]
    done = python(ROOT / "analysis" / "entanglement.py", "--original", file, "--out", tmp_path, strict=True)
    assert done.returncode == 0, done.stderr
    names = ["entanglement.png", "entanglement.csv", "entanglement_responses.csv", "entanglement_correlations.csv"]
    assert done.stdout.splitlines() == [str(tmp_path / name) for name in names]
    assert done.stderr == ""
    assert is_drawn(tmp_path / "entanglement.png")
    assert pd.read_csv(tmp_path / "entanglement.csv")["beta_norm"].tolist() == [0.001]
    assert len(pd.read_csv(tmp_path / "entanglement_responses.csv")) == 4 * 16 * 4
    assert len(pd.read_csv(tmp_path / "entanglement_correlations.csv")) == 4 * 4 + 4 * 4


@pytest.mark.parametrize(
    "axes",
    [
        {"model": ["inertia_vae"], "gamma": [1.0], "beta": [0.1]},
        {"model": ["predictive_vae"], "beta": [0.1]},
        {"model": ["beta_vae"], "beta": [0.1], "dataset": ["still_circles"], "num_latents": [3, 10]},
        {"model": ["beta_vae"], "beta": [0.1], "dataset": ["still_sprites", "still_circles"]},
    ],
    ids=["inertia", "prediction", "stills of two sizes", "data of two kinds"],
)
def test_cells_of_every_kind_of_vae_are_drawn(tmp_path: Path, axes: dict[str, list[Any]]) -> None:
    path = write_trained_sweep(tmp_path / "s", axes, change=loud)
    figure, numbers, *_ = write_entanglement(NetworkOptions(path=path))
    assert is_drawn(figure)
    assert pd.read_csv(numbers)["active_latents"].tolist() == [2] * max(map(len, axes.values()))


def test_a_supervised_encoder_is_asked_for_its_factors(tmp_path: Path) -> None:
    path = write_trained_sweep(tmp_path / "s", {"model": ["supervised_encoder"], "dataset": ["still_circles"]})
    assert is_drawn(write_entanglement(NetworkOptions(path=path))[0])


def test_many_cells_take_several_figures_on_one_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, tuple[float, float]]] = []
    monkeypatch.setattr(entanglement, "draw", lambda rows, scale, _: drawn.append((len(rows), scale)) or Figure())
    path = write_trained_sweep(tmp_path / "s", {"beta": [0.1 * i for i in range(8)], "seed": [0, 1]})
    written = write_entanglement(NetworkOptions(path=path, out=tmp_path / "out"))
    assert [file.name for file in written[:2]] == ["entanglement_1.png", "entanglement_2.png"]
    assert len(pd.read_csv(written[2])) == 8  # the first seed of each
    assert sum(rows for rows, _ in drawn) == 8 and len(drawn) == 2 and len({scale for _, scale in drawn}) == 1
    (chosen, *_) = write_entanglement(
        NetworkOptions(path=path, cells=("best:mcc", "seed=1,beta=0.5"), out=tmp_path / "few")
    )
    assert chosen.name == "entanglement.png"


def test_rows_share_their_scale_and_name_what_they_show(originals: dict[str, Entanglement]) -> None:
    figure = draw([originals[name] for name in TWO.values()], (-2.0, 2.5), "title")
    responding, collapsed = figure.subfigs
    for row in (responding, collapsed):
        assert {panel.get_ylim() for panel in row.axes[:4]} == {(-2.0, 2.5)}
        assert [panel.get_xlabel() for panel in row.axes[:4]] == [
            *("circle x", "circle y", "background x", "background y")
        ]
        assert {panel.images[0].get_clim() for panel in row.axes[4:6]} == {(0, 1)}
    assert "0.0068" in responding.get_suptitle() and "0.787" in responding.get_suptitle()
    assert "β$_{\\mathrm{norm}}$ = 5" in collapsed.get_suptitle()
    greys = {line.get_color() for line in collapsed.axes[0].lines}
    assert greys == {entanglement.INACTIVE}


def test_a_latent_that_follows_one_factor_is_told(tmp_path: Path, reference: Path) -> None:
    (supervised, *_) = load_originals(reference)
    one = Entanglement.of(supervised)
    np.testing.assert_allclose(np.diag(one.with_factors()), 1, atol=1e-3)
    np.testing.assert_allclose(one.with_each_other(), np.eye(4), atol=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to show"),
        (["{path}", "--cells", "beta=9"], "no trial of this sweep fits"),
        (["{path}/cells"], "holds no sweep"),
        (["--original", "{path}/nowhere", "--out", "{path}"], "cannot be read"),
    ],
)
def test_what_does_not_exist_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    path = write_trained_sweep(tmp_path / "s", {"beta": [0.1]})
    with pytest.raises(SystemExit) as exited:
        entanglement.main([argument.format(path=path) for argument in arguments])
    assert exited.value.code == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert message in err


def test_nothing_is_written_among_the_original_s_data_unasked(reference: Path) -> None:
    before = sorted(reference.iterdir())
    file = reference / "checkpoints" / TWO["beta_vae_4_latents_beta_norm_5.0"]
    with pytest.raises(UserError, match="nowhere to write"):
        write_entanglement(NetworkOptions(original=file))
    assert sorted(reference.iterdir()) == before


@pytest.mark.usefixtures("undrawn")
def test_the_global_generator_is_left_alone(tmp_path: Path) -> None:
    path = write_trained_sweep(tmp_path / "s", {"beta": [0.1]})
    state = torch.get_rng_state()
    write_entanglement(NetworkOptions(path=path))
    assert torch.equal(torch.get_rng_state(), state)
