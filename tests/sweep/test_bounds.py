"""What is asked for beyond all bounds, or of files that never end, is refused in a sentence before anything starts."""

import os
import time
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dd_ray.cli import main, parse
from dd_ray.config import TrialConfig
from dd_ray.config.extensions import Extension
from dd_ray.config.field import option_of, type_of
from dd_ray.config.trial_fields import config_fields
from dd_ray.errors import UserError
from dd_ray.models.original import load_original
from dd_ray.storage.arrays import open_arrays
from dd_ray.storage.dsprites import open_dsprites
from dd_ray.sweep.checks import check_options
from dd_ray.sweep.options import SearchOptions, SweepOptions
from tests.sweep.studies import TINY

drawn = settings(derandomize=True, deadline=None, max_examples=100)
COUNTS = [each.name for each in fields(SearchOptions) if "int" in str(each.type)]
SHARES = ["cpus_per_trial", "gpus_per_trial"]


@pytest.mark.parametrize(
    "options",
    [
        "--cpus-per-trial 1e-300",
        "--cpus-per-trial 0",
        "--cpus-per-trial nan",
        "--cpus-per-trial 1e300",
        "--gpus-per-trial 1e-310",
        "--gpus-per-trial 2",
        "--batch-size 1000000000000",
        "--num-latents 1000000000",
        f"--num-frames {10**25}",
        "--num-test 1000000000000",
        "--seeds 10000000000000000000",
        "--seeds 99999",
        "--evaluations 1000000000",
        f"--iterations {10**30}",
        "--scheduler none --metric bogus",
        "--scheduler none --metric kl",
        "--reduction-factor 1e300",
        "--reduction-factor 1.0000000001",
        f"--schedule-iterations {10**400} --beta-schedule linear",
    ],
)
def test_what_no_sweep_can_be_is_refused_at_once(options, capsys):
    began = time.monotonic()
    with pytest.raises(SystemExit, match="2"):
        main(TINY, ["--dry-run", *options.split()])
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("option", "address config save-config storage extension metric data-file".split())
def test_an_empty_text_is_none_that_an_option_takes(option, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(TINY, ["--dry-run", "--dataset", "arrays", f"--{option}", ""])
    assert capsys.readouterr().err.startswith(f"error: --{option} '' is empty; give a ")


@drawn
@given(name=st.sampled_from(COUNTS), size=st.integers(7, 400), sign=st.sampled_from([1, -1]))
def test_every_count_has_an_end(name, size, sign):
    with pytest.raises(UserError, match=r"is out of range; give"):
        check_options(SearchOptions(**{name: sign * 10 ** (size + 3)}))


@drawn
@given(name=st.sampled_from(SHARES), share=st.floats(0, 1e-4, exclude_min=True, exclude_max=True))
def test_shares_are_none_that_ray_cannot_count(name, share):
    with pytest.raises(UserError, match=r"is out of range; give .* the least that Ray counts"):
        check_options(SweepOptions(**{name: share}))


@drawn
@given(data=st.data(), size=st.integers(25, 400))
def test_every_number_of_a_config_has_an_end(data, size):
    counts = [each for each in config_fields() if "int" in str(type_of(each)) and option_of(each).within]
    field = data.draw(st.sampled_from(counts))
    with pytest.raises(UserError, match="out of range"):
        TrialConfig(model="inertia_vae", beta=1, **{field.name: 10**size})


def test_as_many_evaluations_as_iterations_are_all_that_there_can_be():
    assert parse(TINY, ["--iterations", "3", "--evaluations", "100000"]).evaluate_at == (0, 1, 2, 3)


@pytest.fixture
def pipe(tmp_path):
    path = tmp_path / "pipe.py"
    os.mkfifo(path)
    return path


def test_files_that_never_end_are_not_waited_for(pipe, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(folder / "images.npy")
    readers = [
        (lambda: Extension.read(pipe)),
        (lambda: open_arrays(str(pipe))),
        (lambda: open_arrays(str(folder))),
        (lambda: open_arrays("/dev/zero")),
        (lambda: open_dsprites(str(pipe), "0" * 32)),
        (lambda: open_dsprites("/dev/zero", "0" * 32)),
        (lambda: load_original(pipe)),
    ]
    for read in readers:
        with pytest.raises(UserError, match=r"cannot be read.* no regular file"):
            read()
