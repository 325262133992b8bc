"""The estimate of what a trial takes of a device's memory."""

from dataclasses import replace

import pytest

from dd_ray.config import TrialConfig
from dd_ray.training import bytes_per_trial
from tests.small import CONFIGS, name_of

FULL = TrialConfig(model="inertia_vae", beta=0.1)


def test_the_activations_of_the_original_s_batch_are_of_the_size_that_is_counted_by_hand():
    # What each layer gives, as float32: 576 images through the encoder, 512 through the decoder.
    encoder = 576 * 4 * (32 * 16**2 + 32 * 8**2 + 64 * 4**2 + 64 * 2**2)
    decoder = 512 * 4 * (64 * 2**2 + 64 * 4**2 + 32 * 8**2 + 32 * 16**2 + 32**2)
    assert encoder + decoder < bytes_per_trial(FULL) < 3 * (encoder + decoder)


def test_memory_grows_with_the_batch():
    assert bytes_per_trial(replace(FULL, batch_size=128)) == pytest.approx(2 * bytes_per_trial(FULL), rel=0.05)


@pytest.mark.parametrize("config", CONFIGS, ids=name_of)
def test_every_model_is_counted_without_computing_anything(config):
    assert bytes_per_trial(config) > 1e6
