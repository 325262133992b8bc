"""The lag of networks over γ."""

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg

from dd_ray.figures.lag import draw_lag
from dd_ray.models import build_model
from dd_ray.probes.networks import Network
from tests.small import small


def network(model: str, state: str = "finished", **settings: float) -> Network:
    config = small(model)
    return Network(name=model, settings=settings, config=config, model=build_model(config), state=state)


def test_the_lag_is_drawn_over_gamma_where_enough_frames_show_a_circle() -> None:
    subjects = [network("inertia_vae", gamma=gamma) for gamma in (0.0, 0.5)]
    subjects.append(network("beta_vae", "original", beta_norm=0.001))
    numbers = pd.DataFrame(
        {
            "filtered_with_gamma": [0.0, 0.5, np.nan],
            "lag": [1.0, 2.0, 0.1],
            "low": [0.8, 1.5, 0.0],
            "high": [1.3, 2.1, 0.2],
            "shows_a_circle": [0.5, 0.05, 1.0],
            "motion_per_frame": 1.4,
        }
    )
    figure = draw_lag(numbers, subjects)
    lag, share = figure.axes
    assert [label.get_text() for label in share.get_xticklabels()] == ["no filter", "0", "0.5"]
    marks = [line.get_xydata() for line in lag.lines if line.get_marker() != "None"]
    assert [len(mark) for mark in marks] == [1, 1] and marks[0][0, 1] == 1.0
    assert sum(len(line.get_xdata()) for line in share.lines if line.get_marker() != "None") == 3
    assert lag.get_xlabel() == "" and share.get_xlabel() == "γ" and "pixels" in lag.get_ylabel()
    named = [text.get_text() for text in figure.legends[0].get_texts()]
    assert named == ["this sweep", "original, β$_{\\mathrm{norm}}$ = 0.001"]


def test_no_panel_is_empty_where_no_network_shows_a_circle() -> None:
    numbers = pd.DataFrame(
        {"filtered_with_gamma": [0.0], "lag": np.nan, "low": np.nan, "high": np.nan, "shows_a_circle": [0.05]}
    ).assign(motion_per_frame=1.4)
    figure = draw_lag(numbers, [network("inertia_vae", gamma=0.0)])
    (share,) = figure.axes
    assert share.get_ylabel().startswith("share of frames") and "no lag to draw" in figure.get_suptitle()


def test_networks_whose_settings_agree_to_six_digits_have_marks_of_their_own() -> None:
    subjects = [network("inertia_vae", gamma=0.5, lam=lam) for lam in (1.0000001, 1.0000002)]
    lag = {"filtered_with_gamma": 0.5, "lag": 1.0, "low": 0.8, "high": 1.3, "shows_a_circle": 1.0}
    figure = draw_lag(pd.DataFrame([{**lag, "motion_per_frame": 1.4}] * 2), subjects)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["λ = 1.0000001", "λ = 1.0000002"]


def test_long_names_of_networks_fit_the_legend() -> None:
    subjects = [network("inertia_vae", correlation=value, pixel_noise=value) for value in (0.0, 0.25, 0.5, 0.75)]
    lag = {"filtered_with_gamma": 0.5, "lag": 1.0, "low": 0.8, "high": 1.3, "shows_a_circle": 1.0}
    figure = draw_lag(pd.DataFrame([{**lag, "motion_per_frame": 1.4}] * 4), subjects)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert figure.legends[0].get_window_extent(canvas.get_renderer()).x1 < figure.bbox.x1
