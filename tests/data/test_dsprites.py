"""The reader of dSprites, on a small file of its layout that the stand-in makes."""

import hashlib
import http.server
import os
import stat
import threading
import zipfile
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from dd_ray.config import NUM_HELD_OUT, TrialConfig
from dd_ray.data import fetched_dataset, held_out_stills, make_dataset, render_stills
from dd_ray.data.sprites import SpriteGrid, paint_sprites
from dd_ray.errors import UserError
from dd_ray.evaluation import model_scores
from dd_ray.probes import middle_picture
from dd_ray.storage import dsprites as dsprites_file
from dd_ray.training import Stack, dump_state, load_state

SIZES = (3, 3, 6, 15, 15)
NUM_IMAGES = int(np.prod(SIZES))
CONV64 = {"network": "conv64", "image_size": 64, "width_factor": 0.25}
MLP64 = {"network": "mlp", "image_size": 64, "width_factor": 0.05}


def _md5(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def _config(path, **changes):
    values = {"dataset": "dsprites", "grid": "original", "background": "black", "batch_size": 6, "num_test": 20}
    md5 = _md5(path) if path.is_file() else "0" * 32
    values |= {"model": "beta_vae", "beta": 0.1, "dsprites_file": str(path), "dsprites_md5": md5}
    return TrialConfig(**values | changes)


def _open(config):
    with dsprites_file.fetching():
        return dsprites_file.open_dsprites(config.dsprites_file, config.dsprites_md5)


class _Pickled:
    def __reduce__(self):
        return (pytest.fail, ("the pickled metadata was read",))


def _factors():
    return SpriteGrid(SIZES).factors(np.arange(NUM_IMAGES))


def _classes():
    return np.indices((1, *SIZES)).reshape(6, -1).T


@pytest.fixture(scope="module")
def arrays():
    """What a file of dSprites' layout holds: each image once, in its order, and pickled metadata that must not be read.

    Tests that change an array replace it.
    """
    images = (paint_sprites(torch.from_numpy(_factors()), 64)[:, 0] > 0).numpy().astype(np.uint8)
    return {"imgs": images, "latents_classes": _classes(), "metadata": np.array(_Pickled(), object)}


@pytest.fixture(scope="module")
def file(arrays, tmp_path_factory):
    path = tmp_path_factory.mktemp("dsprites") / "small.npz"
    np.savez_compressed(path, **arrays)
    return path


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    dsprites_file.open_dsprites.cache_clear()
    yield tmp_path / "cache" / "dd_ray"
    dsprites_file.open_dsprites.cache_clear()


def test_every_image_is_that_of_its_factors(file):
    dataset = make_dataset(_config(file))
    images = dataset.render(_factors()).images[:, 0, 0]
    expected = paint_sprites(torch.from_numpy(_factors()), 32)[:, 0]
    assert torch.equal((images * 255).round().to(torch.uint8), expected)


def test_training_and_held_out_images_are_all_of_them_and_apart(file):
    dataset = make_dataset(_config(file))
    assert dataset.members.size == NUM_IMAGES
    assert len(dataset.test_indices) == NUM_HELD_OUT
    trained, held_out = (_pixels(dataset, part) for part in (dataset.train_indices, dataset.test_indices))
    assert not trained & held_out
    left_out = np.setdiff1d(np.arange(NUM_IMAGES), np.concatenate([dataset.train_indices, dataset.test_indices]))
    assert _pixels(dataset, left_out) <= held_out
    assert len(left_out) + len(dataset.train_indices) + NUM_HELD_OUT == NUM_IMAGES
    batch = dataset.batch(3)
    assert batch.images.shape == (6, 1, 1, 32, 32)
    assert batch.factor_names == ("sprite_shape", "sprite_scale", "sprite_orientation", "sprite_x", "sprite_y")
    assert set(batch.images.unique().tolist()) <= {float(torch.tensor(v) / 255) for v in (0, 64, 128, 191, 255)}


def _pixels(dataset, indices):
    """The different images of some members."""
    images = dataset.paint(torch.from_numpy(dataset.members.factors(indices)))
    return {image.tobytes() for image in images.numpy()}


@pytest.mark.parametrize("share", [0.4, 0.7])
def test_no_held_out_picture_is_trained_on_by_another_name_where_levels_are_held_out(file, share):
    dataset = make_dataset(_config(file, split="levels", train_share=share))
    assert not _pixels(dataset, dataset.train_indices) & _pixels(dataset, dataset.test_indices)
    orientation = dataset.levels()["sprite_orientation"]
    assert orientation.trained[0] == orientation.trained[-1]


def test_a_share_that_leaves_nothing_to_train_on_is_refused(file):
    with pytest.raises(UserError, match=r"train_share = 0\.05 leaves no sample of dsprites"):
        make_dataset(_config(file, split="levels", train_share=0.05))


def test_it_is_decompressed_once_and_memory_mapped(file, cache, monkeypatch):
    images = _open(_config(file))
    assert isinstance(images, np.memmap) and images.shape == (1, *SIZES, 512)
    assert sorted(path.name for path in cache.iterdir()) == [f"dsprites-{_md5(file)}.npy", "dsprites.lock"]
    assert (cache / f"dsprites-{_md5(file)}.npy").stat().st_size == 128 + NUM_IMAGES * 512
    dsprites_file.open_dsprites.cache_clear()
    monkeypatch.setattr(dsprites_file, "_unpack", None)
    np.testing.assert_array_equal(_open(_config(file)), images)


@pytest.mark.parametrize(
    "choices",
    [
        {},
        {"objective": "capacity", "beta": None, **CONV64},
        {"objective": "tcvae", **MLP64, "split": "levels", "train_share": 0.7},
        {"model": "supervised_encoder", "beta": None, **MLP64},
        {"model": "supervised_decoder", "beta": None, **CONV64, "split": "samples", "train_share": 0.5},
    ],
)
def test_a_trial_learns_and_resumes_bit_for_bit_also_where_the_file_has_moved(file, tmp_path, choices):
    config = _config(file, learning_rate=1e-3, **choices)
    undisturbed = Stack([config])
    undisturbed.step(4)
    begun = Stack([config])
    begun.step(2)
    state = load_state(dump_state(begun[config.key].state()))
    moved = tmp_path / "moved.npz"
    moved.symlink_to(file)
    resumed = Stack()
    trial = resumed.add(replace(config, dsprites_file=str(moved)), state)
    resumed.step(2)
    expected = undisturbed[config.key]
    assert expected.terms.loss.isfinite()
    assert trial.terms.loss == expected.terms.loss
    for ours, theirs in zip(trial.model.parameters(), expected.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_scores_are_of_held_out_pictures(file):
    config = _config(file)
    factors = held_out_stills(config, 20_000)
    dataset = make_dataset(replace(config, num_test=NUM_HELD_OUT))
    np.testing.assert_array_equal(factors, dataset.test_factors()[:, 0])
    # Scores that ask for further pictures ask between the levels, too.
    between = np.clip(factors[:50] + 1e-3, 0, 1)
    np.testing.assert_array_equal(render_stills(config, between), render_stills(config, factors[:50]))
    model = Stack([config])[config.key].model
    scores = model_scores(model, config, ["mcc", "notebook", "block_separation"])
    assert set(scores) == {"active_units_stills", "mcc_stills", "mcc_stills_active"}


@pytest.mark.parametrize("scheme", ["file", "http"])
def test_a_url_is_fetched_once(file, scheme, cache):
    url, close = (file.as_uri(), lambda: None) if scheme == "file" else _serve(file)
    config = _config(file, dsprites_file=url)
    images = np.array(_open(config))
    close()
    dsprites_file.open_dsprites.cache_clear()
    np.testing.assert_array_equal(_open(config), images)
    assert len(list(cache.iterdir())) == 2


@pytest.mark.parametrize("draw", [make_dataset, middle_picture, lambda config: held_out_stills(config, 2)])
def test_what_is_drawn_fetches_no_url_and_takes_what_was_trained_on(file, draw, cache):
    url, close = _serve(file)
    config = _config(file, dsprites_file=url)
    with pytest.raises(UserError, match=f"dsprites_file = {url} is fetched only by commands that train on it"):
        draw(config)
    assert not cache.exists()
    Stack([config]).step()
    close()
    dsprites_file.open_dsprites.cache_clear()
    draw(config)


def _serve(file):
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=file.parent)
    handler.log_message = lambda *args: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def close():
        server.shutdown()
        thread.join()
        server.server_close()

    return f"http://127.0.0.1:{server.server_port}/{file.name}", close


def test_another_file_than_the_public_one_is_told_by_its_checksum(file):
    config = replace(_config(file), dsprites_md5=TrialConfig(model="beta_vae", beta=1.0).dsprites_md5)
    message = f"has MD5 {_md5(file)}, not the public file's 7da33b31.*dsprites_md5 = {_md5(file)}"
    with pytest.raises(UserError, match=message):
        make_dataset(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imgs": np.zeros((NUM_IMAGES, 32, 32), np.uint8)}, r"imgs is uint8 \(12150, 32, 32\)"),
        ({"imgs": np.zeros((5, 64, 64), np.uint8)}, r"imgs is uint8 \(5, 64, 64\)"),
        ({"imgs": np.zeros((NUM_IMAGES, 64, 64), np.float32)}, "imgs is float32"),
        ({"imgs": np.full((NUM_IMAGES, 64, 64), 255, np.uint8)}, "its images are not binary"),
        ({"latents_classes": _classes()[::-1]}, "its images are not all combinations"),
        ({"latents_classes": _classes()[:, :5]}, r"latents_classes is int64 \(12150, 5\)"),
        ({"latents_classes": _classes().astype(float)}, "latents_classes is float64"),
        ({"latents_classes": _classes()[:100]}, "its images are not all combinations"),
    ],
)
def test_a_file_of_another_layout_is_refused(tmp_path, cache, arrays, changes, message):
    path = tmp_path / "wrong.npz"
    np.savez(path, **arrays | changes)
    with pytest.raises(UserError, match=f"wrong.npz is not of the layout of dSprites: .*{message}"):
        make_dataset(_config(path))
    assert [file.name for file in cache.iterdir()] == ["dsprites.lock"]


def test_a_damaged_file_is_refused(tmp_path, file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    damaged, half, text = tmp_path / "damaged.npz", tmp_path / "half.npz", tmp_path / "text.npz"
    damaged.write_bytes(content)
    half.write_bytes(content[: len(content) // 2])
    text.write_text("no archive")
    for path in (damaged, half, text):
        with pytest.raises(UserError, match=f"{path.name} is not of the layout of dSprites"):
            make_dataset(_config(path))


@pytest.mark.parametrize(("images", "words"), [(-7, "7 images less than"), (3, "3 images more than")])
def test_an_archive_of_more_or_less_images_than_it_says_is_refused_each_time(file, tmp_path, cache, images, words):
    path = tmp_path / "wrong.npz"
    with zipfile.ZipFile(file) as archive:
        arrays = {name: archive.read(name) for name in ("imgs.npy", "latents_classes.npy")}
    content = arrays["imgs.npy"]
    arrays["imgs.npy"] = content[: images * 4096] if images < 0 else content + bytes(images * 4096)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            archive.writestr(name, array)
    for _ in range(2):
        with pytest.raises(UserError, match=f"imgs holds {words} it says"):
            _open(_config(path))
        assert [file.name for file in cache.iterdir()] == ["dsprites.lock"]


def test_a_damaged_cache_is_named(file, cache):
    _open(_config(file))
    unpacked = cache / f"dsprites-{_md5(file)}.npy"
    os.truncate(unpacked, 5_000)
    dsprites_file.open_dsprites.cache_clear()
    with pytest.raises(UserError, match=rf"{unpacked.name}, the decompressed dSprites, cannot be read .*; delete it"):
        _open(_config(file))


def test_the_cache_has_the_permissions_of_any_file(file, cache):
    before = os.umask(0o022)
    try:
        _open(_config(file))
    finally:
        os.umask(before)
    assert stat.S_IMODE((cache / f"dsprites-{_md5(file)}.npy").stat().st_mode) == 0o644


def test_links_that_others_put_into_a_shared_cache_are_not_followed(file, cache, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("of the user")
    cache.mkdir(parents=True)
    (cache / f"dsprites-{_md5(file)}.draft").symlink_to(victim)
    _open(_config(file))
    dsprites_file.open_dsprites.cache_clear()
    (cache / f"dsprites-{_md5(file)}.npy").unlink()
    (cache / "dsprites.lock").unlink()
    (cache / "dsprites.lock").symlink_to(victim)
    with pytest.raises(UserError, match="it is a link; take it away"):
        _open(_config(file))
    assert victim.read_text() == "of the user"


@pytest.mark.parametrize("url", ["http://host/a b.npz", "HTTP://127.0.0.1:9/none.npz", "http://127.0.0.1:9/none.npz"])
def test_a_url_that_cannot_be_opened_is_named(tmp_path, url):
    with pytest.raises(UserError, match=f"dsprites_file = {url} cannot be read: "):
        _open(_config(tmp_path, dsprites_file=url))


def test_a_file_that_is_not_there_is_named(tmp_path):
    for where in (str(tmp_path / "none.npz"), (tmp_path / "none.npz").as_uri(), "ftp2://host/none.npz"):
        with pytest.raises(UserError, match=r"dsprites_file = .*none.npz cannot be read: "):
            fetched_dataset(_config(tmp_path, dsprites_file=where))


def test_a_cache_that_cannot_be_written_is_named(file, cache):
    cache.parent.write_text("a file where a folder should be")
    with pytest.raises(UserError, match=r"cannot hold the decompressed dSprites.*XDG_CACHE_HOME"):
        make_dataset(_config(file))


@pytest.mark.parametrize("where", ["path", "url"])
def test_a_sweep_does_not_start_with_another_file_or_none(file, where, tmp_path, capsys, monkeypatch):
    from dd_ray import cli
    from tests.sweep.studies import ROOT, load_study

    monkeypatch.setattr(cli, "execute", lambda plan: pytest.fail("the sweep started"))
    monkeypatch.chdir(tmp_path)
    study = load_study(ROOT / "sweeps" / "sprites_grid.py")
    for path, message in ((file, f"has MD5 {_md5(file)}, not the public"), (tmp_path / "none", "cannot be read")):
        named = str(path) if where == "path" else path.as_uri()
        for dry in ([], ["--dry-run"]) if where == "path" else ([],):  # a dry run fetches nothing
            with pytest.raises(SystemExit) as ended:
                cli.main(study, ["--dataset", "dsprites", "--dsprites-file", named, *dry])
            assert ended.value.code == 2
            assert f"--dsprites-file {named} {message}" in capsys.readouterr().err
