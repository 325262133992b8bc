"""The time of a sweep is estimated from what as many cores as it uses do at once."""

import threading
from dataclasses import replace

import pytest

from dd_ray.models import build_model
from dd_ray.sweep import costs
from dd_ray.sweep.costs import (
    BY_PYTORCH,
    COMPILED,
    Rates,
    affordable_evaluations,
    affordable_scores,
    core_seconds,
    gpu_hours,
)
from tests.own_files import GREY
from tests.small import small

CONFIG = small("inertia_vae", batch_size=8, num_frames=10)


def test_rates_are_measured_on_all_cores_at_once():
    together = threading.Barrier(3, timeout=10)  # passed by three at a time alone
    assert costs._best_seconds(together.wait, 3) < 10


@pytest.mark.parametrize("compiled", [False, True])
def test_an_estimate_is_of_calls_memory_and_products(monkeypatch, compiled):
    asked = []

    def rates(cores):
        asked.append(cores)
        return Rates(gflops=100 / cores, megabytes_per_second=40_000 / cores, seconds_per_call=3e-7)

    monkeypatch.setattr(costs, "_rates", rates)
    monkeypatch.setattr(costs, "_are_compiled", lambda: compiled)
    monkeypatch.setattr(costs, "available_cores", lambda: 2)
    alone, shared = (core_seconds([CONFIG], 1000, cores) / (1000 * (1 + costs.EVALUATION_SHARE)) for cores in (1, 64))
    assert asked == [1, 2]
    work = COMPILED if compiled else BY_PYTORCH
    calls = 3e-7 * work.calls
    weights = costs.num_weights(CONFIG)
    assert weights == pytest.approx(sum(p.numel() for p in build_model(CONFIG).parameters()), rel=0.02)
    frames = (80 * work.megabytes_per_frame + work.passes * 4e-6 * weights) / 40_000
    products = 80 * costs._gflop_per_frame(CONFIG) / (work.efficiency * 100)
    assert alone == pytest.approx(calls + frames + products)
    assert shared == pytest.approx(calls + 2 * (frames + products))


def test_work_grows_with_the_square_of_the_width_and_half_a_network_has_half_of_it():
    half = replace(CONFIG, width_factor=CONFIG.width_factor / 2)
    assert 4 * costs._gflop(half) == pytest.approx(costs._gflop(CONFIG))
    encoder = small("supervised_encoder", batch_size=8, num_frames=10)
    assert 2 * costs._gflop(encoder) == pytest.approx(costs._gflop(CONFIG))


def test_what_is_measured_is_a_core_s_speed():
    rates = costs._rates(1)
    assert 0.1 < rates.gflops < 1000
    assert 100 < rates.megabytes_per_second < 1e6
    assert 1e-8 < rates.seconds_per_call < 1e-4


def test_hours_of_a_gpu_are_those_of_the_original_study():
    paper = small("inertia_vae", batch_size=64, num_frames=10, width_factor=1.0)
    smaller = small("inertia_vae", batch_size=16, num_frames=10, width_factor=1.0)
    assert gpu_hours([paper], 50_000) == pytest.approx(1)
    assert gpu_hours([paper, paper, smaller, smaller], 100_000) == pytest.approx(2 * (1 + 1 / 4) / 2)


def test_with_a_split_an_evaluation_is_of_seen_data_as_well_and_costs_twice_as_much():
    whole, split = replace(CONFIG, num_test=100), replace(CONFIG, num_test=100, split="levels", train_share=0.5)
    assert affordable_evaluations([whole], 2000) == affordable_evaluations([split], 4000) == 8
    assert affordable_evaluations([split], 2000) == 3


def test_an_evaluation_of_a_file_costs_what_it_holds_out():
    usual = replace(CONFIG, num_test=512, **GREY)
    few = replace(usual, num_test=usual.num_tested)
    assert few.num_test < 512
    assert affordable_evaluations([usual], 1000) == affordable_evaluations([few], 1000) > 1


def test_a_score_is_paid_for_twice_if_active_units_have_one_of_their_own(monkeypatch):
    monkeypatch.setattr(costs, "_frames_of_conv32", lambda config: 1)
    seconds = costs.STILLS_COST + 2 * costs.FURTHER["nonlinear_r2"].cost
    enough = round(seconds * costs.FRAMES_PER_SECOND / costs.FINAL_SHARE)
    assert affordable_scores([CONFIG], round(1.01 * enough), {"nonlinear_r2"}) == ("nonlinear_r2",)
    assert affordable_scores([CONFIG], round(0.99 * enough), {"nonlinear_r2"}) == ()
