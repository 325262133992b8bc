"""The estimate of a trial's memory: near what PyTorch counts, and held against the machine before anything starts."""

import re

import pytest

from dd_ray.cli import main
from dd_ray.config import OPTIMIZERS, TrialConfig
from dd_ray.errors import UserError
from dd_ray.models import build_model
from dd_ray.sweep import memory
from dd_ray.training.footprint import counted_bytes
from tests.sweep.studies import TINY

NETWORKS = [("conv32", 32), ("conv64", 64), ("mlp", 32), ("mlp", 64)]


def config_of(**values):
    return TrialConfig(**{"model": "beta_vae", "beta": 1.0, "num_test": 2} | values)


@pytest.mark.parametrize(("network", "size"), NETWORKS)
@pytest.mark.parametrize("values", [{}, {"num_latents": 50}, {"width_factor": 2.0, "batch_size": 200}])
def test_it_is_near_what_pytorch_counts(network, size, values):
    config = config_of(network=network, image_size=size, **values)
    counted, estimated = counted_bytes(config), memory.bytes_of(config) - memory.PROCESS
    assert 0.8 * counted < estimated < 2 * counted  # a step on a CPU takes more at once than one on a GPU


@pytest.mark.parametrize(("network", "size"), NETWORKS)
@pytest.mark.parametrize("model", ["beta_vae", "supervised_encoder", "supervised_decoder"])
def test_weights_are_those_of_the_networks(network, size, model, monkeypatch):
    monkeypatch.setattr(memory, "TRANSIENT", 0)
    monkeypatch.setattr(memory, "VALUES", 0)
    beta = {"beta": 1.0} if model == "beta_vae" else {}
    config = TrialConfig(model=model, **beta, network=network, image_size=size, batch_size=1, num_frames=4, num_test=2)
    weights = sum(each.numel() for each in build_model(config).parameters())
    copies = OPTIMIZERS[config.optimizer].vectors_in_a_step
    estimated = (memory.bytes_of(config) - memory.PROCESS) / memory.FLOAT / copies
    assert estimated == pytest.approx(weights, rel=0.35)  # half of a network is not exactly half of its weights


@pytest.mark.parametrize("field", ["batch_size", "num_frames", "num_latents", "num_test", "width_factor"])
def test_more_of_anything_takes_more(field):
    few = config_of(**{field: 4})
    assert memory.bytes_of(config_of(**{field: 8})) > memory.bytes_of(few)


def test_held_out_data_are_counted_twice_where_there_is_a_split():
    by_test = [memory.bytes_of(config_of(num_test=number)) for number in (1000, 2000)]
    split = memory.bytes_of(config_of(num_test=1000, split="levels", train_share=0.5))
    assert split == pytest.approx(by_test[1], abs=2)
    assert split - by_test[0] > 1000 * 32 * 32 * memory.FLOAT


def test_a_picture_of_latents_is_counted_where_there_are_any(monkeypatch):
    configs = [config_of(), TrialConfig(model="supervised_encoder", num_test=2)]
    whole = [memory.bytes_of(config) for config in configs]
    monkeypatch.setattr(memory, "VALUES", 0)
    assert [memory.bytes_of(config) < before for config, before in zip(configs, whole, strict=True)] == [True, False]


@pytest.mark.parametrize("large", ["--batch-size 1000000", "--num-latents 10000", "--num-test 1000000"])
def test_what_cannot_fit_is_refused_with_the_estimate(large, monkeypatch, capsys):
    monkeypatch.setattr(memory, "bytes_of_this_machine", lambda: 2 * 2**30)
    monkeypatch.setattr("dd_ray.sweep.plan.has_gpu", lambda: False)
    with pytest.raises(SystemExit, match="2"):
        main(TINY, ["--dry-run", "--beta", "1", "--gamma", "0", *large.split()])
    said = capsys.readouterr().err
    assert "error: a trial takes about " in said and "GiB of memory, and this machine has 2.0 GiB; give" in said


def test_the_estimate_is_told(capsys):
    main(TINY, ["--dry-run"])
    told = capsys.readouterr().out
    assert re.search(r"\n  about \d{3} MiB of memory for a trial in a process of its own\n", told)


def test_trials_side_by_side_fit_as_many_as_the_machine_holds(monkeypatch):
    configs = [config_of(batch_size=64)]
    own = memory.bytes_of(configs[0]) - memory.SHARED
    monkeypatch.setattr(memory, "bytes_of_this_machine", lambda: memory.SHARED + 3 * own + 1)
    memory.check_trials_fit(configs, 3)
    with pytest.raises(UserError, match=r"4 trials at a time take about .* give --max-concurrent 3, or a smaller"):
        memory.check_trials_fit(configs, 4)


def test_the_memory_of_this_machine_is_that_of_its_container(tmp_path, monkeypatch):
    whole = memory.bytes_of_this_machine()
    (tmp_path / "limit").write_text(f"{whole // 2}\n")
    (tmp_path / "none").write_text("max\n")
    monkeypatch.setattr(memory, "_LIMITS", (str(tmp_path / "none"), str(tmp_path / "absent"), str(tmp_path / "limit")))
    assert memory.bytes_of_this_machine() == whole // 2
