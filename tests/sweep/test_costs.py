"""The time of a sweep is estimated from what as many cores as it uses do at once."""

import threading

import pytest

from dd_ray.sweep import costs
from dd_ray.sweep.costs import BY_PYTORCH, COMPILED, Rates, core_seconds, gpu_hours
from tests.small import small

CONFIG = small("inertia_vae", batch_size=8, num_frames=10)


def test_rates_are_measured_on_all_cores_at_once():
    together = threading.Barrier(3, timeout=10)  # passed by three at a time alone
    assert costs._best_seconds(together.wait, 3) < 10


@pytest.mark.parametrize("compiled", [False, True])
def test_an_estimate_is_of_products_and_of_what_waits_for_memory(monkeypatch, compiled):
    asked = []

    def rates(cores):
        asked.append(cores)
        return Rates(gflops=100 / cores, slowdown=float(cores))

    monkeypatch.setattr(costs, "_rates", rates)
    monkeypatch.setattr(costs, "_are_compiled", lambda: compiled)
    monkeypatch.setattr(costs, "available_cores", lambda: 2)
    alone, shared = (core_seconds([CONFIG], 1000, cores) for cores in (1, 64))
    assert asked == [1, 2]
    at_once = 1000 * (1 + costs.EVALUATION_SHARE) * costs.SECONDS_PER_ITERATION
    assert shared - at_once == pytest.approx(2 * (alone - at_once))
    speed = COMPILED if compiled else BY_PYTORCH
    frames = 80 * speed.seconds_per_frame
    products = 80 * costs._gflop_per_frame(CONFIG) / (speed.efficiency * 100)
    assert alone == pytest.approx(at_once + 1000 * (1 + costs.EVALUATION_SHARE) * (frames + products))


def test_hours_of_a_gpu_are_those_of_the_original_study():
    paper = small("inertia_vae", batch_size=64, num_frames=10, width_factor=1.0)
    smaller = small("inertia_vae", batch_size=16, num_frames=10, width_factor=1.0)
    assert gpu_hours([paper], 50_000) == pytest.approx(1)
    assert gpu_hours([paper, paper, smaller, smaller], 100_000) == pytest.approx(2 * (1 + 1 / 4) / 2)
