"""The capacity objective holds the KL where it is told to."""

import pytest
import torch

from dd_ray.data import make_dataset
from dd_ray.evaluation import evaluate
from dd_ray.objectives import capacity_gap
from dd_ray.training import Stack
from tests.small import small


@pytest.mark.parametrize(("capacity", "expected"), [(0.0, 6.0), (2.0, 0.0), (5.0, 9.0)])
def test_the_gap_is_of_the_mean_kl_of_a_frame_times_frames(capacity, expected):
    kl_btl = torch.zeros(2, 3, 4)
    kl_btl[0, :, 0] = 1.0
    kl_btl[1, :, :3] = 1.0  # 1 and 3 nats a frame, 2 on average
    assert capacity_gap(kl_btl, capacity).item() == pytest.approx(expected)


@pytest.mark.parametrize("capacity", [3.0, pytest.param(6.0, marks=pytest.mark.slow)])
def test_the_capacity_is_reached_within_a_nat(capacity):
    config = small(
        "beta_vae",
        **{"objective": "capacity", "capacity_max": capacity, "capacity_weight": 5.0, "capacity_iterations": 300},
        **{"dataset": "still_circles", "batch_size": 32, "num_test": 512, "network": "mlp", "width_factor": 0.05},
    )
    stack = Stack([config])
    stack.step(600)
    trial = stack[config.key]
    metrics = evaluate(trial.model, config, make_dataset(config).test_set(), trial.iteration).metrics
    assert metrics["kl"] == pytest.approx(capacity, abs=1)
    # A constant mean that is not 0 would reach it too, and say nothing.
    assert capacity / 2 < metrics["mutual_information"] < capacity + 1
