"""Which training stream the trials of a sweep see."""

from dataclasses import replace

import pytest
import torch

from dd_ray.cli import parse
from dd_ray.config import TrialConfig
from dd_ray.data import make_dataset
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.manifest import check_agrees, make_manifest
from dd_ray.training import group_into_stacks
from tests.small import small
from tests.sweep.studies import TINY


def test_it_is_that_of_the_seed_and_all_cells_of_a_seed_share_it():
    trials = parse(TINY, ["--seeds", "3"]).trials
    assert {(trial.config.seed, trial.config.stream_seed) for trial in trials} == {(0, 0), (1, 1), (2, 2)}


def test_one_that_is_given_is_shared_by_all_seeds():
    trials = parse(TINY, ["--seeds", "3", "--dataset-seed", "7"]).trials
    assert {trial.config.stream_seed for trial in trials} == {7}


@pytest.mark.parametrize("before", [(0,), (5,), (0, 1)])
def test_a_sweep_that_was_given_one_keeps_it_and_its_trials(tmp_path, before):
    storage = ["--storage", str(tmp_path), "--seeds", "2"]
    old = parse(TINY, [*storage, "--dataset-seed", *map(str, before)])
    sweep = SweepFolder.at(tmp_path / "tiny_quick")
    sweep.write_manifest(make_manifest(old, {}))
    again = parse(TINY, storage)
    check_agrees(again, sweep)
    assert set(again.keys) == set(old.keys)


def test_a_sweep_whose_streams_follow_the_seed_keeps_that(tmp_path):
    storage = ["--storage", str(tmp_path), "--seeds", "2"]
    sweep = SweepFolder.at(tmp_path / "tiny_quick")
    sweep.write_manifest(make_manifest(parse(TINY, storage), {}))
    assert {trial.config.dataset_seed for trial in parse(TINY, storage).trials} == {None}


def test_a_stream_that_follows_the_seed_is_the_one_of_that_number():
    following = small("beta_vae", dataset_seed=None, seed=3)
    named = replace(following, dataset_seed=3)
    assert torch.equal(_batch(following), _batch(named))
    assert not torch.equal(_batch(following), _batch(replace(following, seed=4)))
    assert following.key != named.key


def test_trials_of_different_streams_share_no_stack_and_those_of_one_do():
    first, second = (small("beta_vae", dataset_seed=None, seed=seed) for seed in (3, 4))
    assert group_into_stacks([first, second, replace(second, dataset_seed=3)]) == [
        [first, replace(second, dataset_seed=3)],
        [second],
    ]


def _batch(config: TrialConfig) -> torch.Tensor:
    return make_dataset(config).batch(0).images


def test_where_the_manifest_is_damaged_the_trials_say_which_stream_they_had(tmp_path):
    storage = ["--storage", str(tmp_path), "--seeds", "2"]
    old = parse(TINY, [*storage, "--dataset-seed", "5"])
    sweep = SweepFolder.at(tmp_path / "tiny_quick")
    sweep.files.write("sweep.json", b"{")
    for trial in old.trials:
        sweep.trial(trial.key).create(trial.config.to_dict(), trial.label)
    assert set(parse(TINY, storage).keys) == set(old.keys)
