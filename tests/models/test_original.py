"""The original's checkpoints open in this package, and what is none is refused by name."""

import pickle

import numpy as np
import pytest
import torch

from dd_ray.config import TrialConfig
from dd_ray.data import FACTORS, Batch, render_circles
from dd_ray.errors import UserError
from dd_ray.metrics import linear_r2
from dd_ray.models import VideoVAE, build_model, load_original
from dd_ray.models.original import _VAE_NAMES

SUPERVISED = "checkpoints/encoderbvae_like_dsprites_circle_last_50K"
KINDS = ("weight", "bias")
BETA_VAE = "checkpoints/staticvae32_betanorm=0.001_dsprites_circle_last_500K"


class _RunsCode:
    """What a pickle with code in it would run when it is opened."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (open, (str(self.target), "w"))


@pytest.fixture
def weights():
    """Weights of a network under the original's names."""
    ours = build_model(TrialConfig(model="beta_vae", beta=0.1, num_latents=3)).state_dict()
    return {f"{theirs}.{kind}": ours[f"{name}.{kind}"] for theirs, name in _VAE_NAMES.items() for kind in KINDS}


def test_weights_under_the_original_names_are_read_as_they_are(weights, tmp_path):
    _saved(tmp_path / "checkpoint", {"model_states": {"net": weights}})
    model = load_original(tmp_path / "checkpoint")
    assert model.num_latents == 3
    assert torch.equal(model.decoder.convs[3].weight, weights["convT1.weight"])


def test_the_supervised_checkpoint_gives_the_factors_in_their_order(reference):
    factors = np.random.default_rng(0).random((1000, 4), dtype=np.float32)
    images = torch.from_numpy(render_circles(factors))[:, None, None] / 255
    model = load_original(reference / SUPERVISED)
    with torch.no_grad():
        predicted = model(Batch(images, torch.from_numpy(factors)[:, None], FACTORS)).predicted[:, 0].numpy()
    assert (linear_r2(predicted, factors) > 0.999).all()
    for i in range(4):
        assert np.corrcoef(predicted[:, i], factors[:, i])[0, 1] > 0.999


def test_a_beta_vae_checkpoint_gives_a_vae_of_its_size(reference):
    model = load_original(str(reference / BETA_VAE))
    assert isinstance(model, VideoVAE)
    assert model.num_latents == 4


def _saved(path, content):
    torch.save(content, path)


def _save_npz(path):
    with path.open("wb") as file:
        np.savez(file, a=np.zeros(3))


def _without_a_layer(path, content):
    _saved(path, {"model_states": {"net": {k: v for k, v in content.items() if k != "conv1.bias"}}})


def _with_another_layer(path, content):
    _saved(path, {"model_states": {"net": content | {"fc9.weight": torch.zeros(1)}}})


def _of_another_size(path, content):
    _saved(path, {"model_states": {"net": content | {"conv1.weight": torch.zeros(8, 1, 3, 3)}}})


FOREIGN = {
    "a text": lambda path, _: path.write_text("no checkpoint"),
    "nothing": lambda path, _: path.write_bytes(b""),
    "an npz": lambda path, _: _save_npz(path),
    "a tensor": lambda path, _: _saved(path, torch.zeros(3)),
    "a list": lambda path, _: _saved(path, [1, 2]),
    "another dictionary": lambda path, _: _saved(path, {"epoch": 3}),
    "no weights": lambda path, _: _saved(path, {"model_states": {"net": None}}),
    "a list of weights": lambda path, _: _saved(path, {"model_states": {"net": [torch.zeros(3)]}}),
    "weights that are no tensors": lambda path, _: _saved(path, {"model_states": {"net": {"conv1.weight": "x"}}}),
    "no layers": lambda path, _: _saved(path, {"model_states": {"net": {}}}),
    "a layer too few": _without_a_layer,
    "a layer too many": _with_another_layer,
    "a layer of another size": _of_another_size,
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_refused_by_name(weights, tmp_path, kind):
    path = tmp_path / "foreign"
    FOREIGN[kind](path, weights)
    with pytest.raises(UserError, match=r"foreign is not a checkpoint of the original study: .") as caught:
        load_original(path)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders_are_named(tmp_path):
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(UserError, match=f"{path.name} cannot be read"):
            load_original(path)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_checkpoint_is_refused(weights, tmp_path, share):
    path = tmp_path / "truncated"
    _saved(path, {"model_states": {"net": weights}})
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match="truncated"):
        load_original(path)


@pytest.mark.parametrize(
    "save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))]
)
def test_code_in_a_checkpoint_is_not_run(tmp_path, save):
    ran = tmp_path / "ran"
    save({"model_states": {"net": _RunsCode(ran)}}, tmp_path / "checkpoint")
    with pytest.raises(UserError):
        load_original(tmp_path / "checkpoint")
    assert not ran.exists()
