"""The estimate of what a trial takes of a device's memory."""

from dataclasses import replace

import pytest
import torch

from dd_ray.config import TrialConfig
from dd_ray.models.networks.layers import dtype_between, images_kept_as
from dd_ray.training import bytes_per_trial
from dd_ray.training.footprint import counted_bytes
from tests.small import ALWAYS, CONFIGS, name_of

FULL = TrialConfig(model="inertia_vae", beta=0.1)


def test_the_activations_of_the_original_s_batch_are_of_the_size_that_is_counted_by_hand():
    # What each layer gives, as float32: 576 images through the encoder, 512 through the decoder.
    encoder = 576 * 4 * (32 * 16**2 + 32 * 8**2 + 64 * 4**2 + 64 * 2**2)
    decoder = 512 * 4 * (64 * 2**2 + 64 * 4**2 + 32 * 8**2 + 32 * 16**2 + 32**2)
    assert encoder + decoder < counted_bytes(FULL) < 3 * (encoder + decoder)


def test_memory_grows_with_the_batch():
    assert counted_bytes(replace(FULL, batch_size=128)) == pytest.approx(2 * counted_bytes(FULL), rel=0.05)


@pytest.mark.parametrize("configs", [ALWAYS, pytest.param(CONFIGS, marks=pytest.mark.slow)], ids=["some", "all"])
def test_every_model_is_counted_without_computing_anything(configs):
    counted = {name_of(config): counted_bytes(config) for config in configs}
    assert {name: size for name, size in counted.items() if size <= 1e6} == {}


def test_memory_is_counted_also_after_a_pack_has_set_bf16():
    exact = counted_bytes(FULL)
    with images_kept_as(torch.bfloat16):
        assert counted_bytes(FULL) == exact
        assert dtype_between() is torch.bfloat16


def test_a_method_has_its_own_need_and_auto_the_least_of_those_that_there_are(monkeypatch):
    gpu = torch.device("cuda")
    of = {method: bytes_per_trial(FULL, method, gpu) for method in ("triton", "grouped", "streams")}
    assert of["triton"] < of["grouped"] < of["streams"]
    # Measured on an H200: 36 trials of this config.
    assert [36 * of[method] / 2**30 for method in of] == pytest.approx([4.5, 7.2, 9.5], rel=0.1)
    for available, least in ((True, "triton"), (False, "grouped")):
        monkeypatch.setattr("dd_ray.training.fused.is_available", lambda device, available=available: available)
        assert bytes_per_trial(FULL, "auto", gpu) == of[least]
