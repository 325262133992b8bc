"""A checkpoint is read as it was written, or refused by name; no pickle is ever opened."""

import io
import json
import os
import time
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib import format as npy

from dd_ray.config import TrialConfig
from dd_ray.data import make_dataset
from dd_ray.errors import UserError
from dd_ray.training import Trial, TrialState, checkpoint, dump_state, load_state
from tests.small import small

STATE = TrialState(
    config=TrialConfig(model="beta_vae", beta=0.1, gamma=0.0),
    iteration=3,
    weights={"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.tensor(0.5)},
    square_avg={"a.weight": torch.ones(2, 3)},
)
"""A state in so few bytes that each of them can be damaged."""
CONTENT = dump_state(STATE)


def _equal(a: TrialState, b: TrialState) -> bool:
    return (a.config, a.iteration) == (b.config, b.iteration) and all(
        ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
        for ours, theirs in ((a.weights, b.weights), (a.square_avg, b.square_avg))
    )


def test_a_state_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "state.npz"
    path.write_bytes(CONTENT)
    assert _equal(load_state(CONTENT), STATE)
    assert _equal(load_state(path), STATE) and _equal(load_state(str(path)), STATE)


def test_the_same_state_gives_the_same_bytes():
    assert dump_state(load_state(CONTENT)) == CONTENT


def test_a_checkpoint_truncated_anywhere_is_refused():
    for length in range(len(CONTENT)):
        with pytest.raises(UserError, match="the checkpoint is damaged or was not written by dd_ray"):
            load_state(CONTENT[:length])


MASKS = (0x01, 0x80, 0xFF)
OF_CONFIG = range(CONTENT.index("{".encode("utf-32-le")), CONTENT.rindex("}".encode("utf-32-le")))
"""Most bytes: the config's, four a character."""


@pytest.mark.parametrize(
    ("masks", "of_config"),
    [
        (MASKS, OF_CONFIG[::7]),
        *(pytest.param(mask, OF_CONFIG, marks=pytest.mark.slow) for mask in zip(MASKS, strict=True)),
    ],
    ids=["some", *map(hex, MASKS)],
)
def test_a_flipped_byte_is_refused_or_changes_nothing(masks, of_config):
    # It changes nothing in the archive's dates, for example. Most bytes are those of the arrays.
    refused, positions = 0, [*range(OF_CONFIG.start), *of_config, *range(OF_CONFIG.stop, len(CONTENT))]
    for position in positions:
        damaged = bytearray(CONTENT)
        damaged[position] ^= masks[position % len(masks)]
        try:
            assert _equal(load_state(bytes(damaged)), STATE), position
        except UserError:
            refused += 1
    assert refused > 0.85 * len(positions)


def _npz(**arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _with_meta(**changes) -> bytes:
    with np.load(io.BytesIO(CONTENT)) as archive:
        arrays = dict(archive)
    meta = json.loads(str(arrays.pop("meta"))) | changes
    return _npz(meta=np.array(json.dumps(meta)), **arrays)


def _without(name: str) -> bytes:
    with np.load(io.BytesIO(CONTENT)) as archive:
        return _npz(**{key: archive[key] for key in archive.files if key != name})


def _npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


FOREIGN = {
    "nothing": b"",
    "half a checkpoint": CONTENT[: len(CONTENT) // 2],
    "a text": b"weights",
    "an npy": _npy(),
    "another npz": _npz(a=np.zeros(3)),
    "no JSON": _npz(meta=np.array("{")),
    "JSON of no object": _npz(meta=np.array("3")),
    "no format": _npz(meta=np.array("{}")),
    "an array too few": _without("square_avg/a.weight"),
    "no meta": _without("meta"),
    "another iteration": _with_meta(iteration="x"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_a_foreign_file_is_refused_by_name(tmp_path, kind):
    path = tmp_path / "foreign.npz"
    path.write_bytes(FOREIGN[kind])
    with pytest.raises(UserError, match=r"checkpoint .*foreign\.npz is damaged or was not written by dd_ray"):
        load_state(path)


def test_another_format_is_named_with_the_one_that_is_read():
    with pytest.raises(
        UserError, match=r"the checkpoint cannot be used: its format is 'dd_ray trial 2'.*reads 'dd_ray trial 1'"
    ):
        load_state(_with_meta(format="dd_ray trial 2"))


def test_a_config_that_this_version_does_not_know_is_refused_with_the_file_s_name(tmp_path):
    path = tmp_path / "newer.npz"
    path.write_bytes(_with_meta(config=STATE.config.to_dict() | {"temperature": 1}))
    with pytest.raises(UserError, match=r"newer\.npz cannot be used: 'temperature' is not a config field"):
        load_state(path)


def test_missing_files_and_folders_are_named(tmp_path):
    for path in (tmp_path / "missing.npz", tmp_path):
        with pytest.raises(UserError, match=f"{path.name} cannot be read: "):
            load_state(path)
        with pytest.raises(UserError, match=f"{path.name} cannot be read: "):
            load_state(str(path))


class _RunsCode:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return (os.mkdir, (str(self.target),))


@pytest.mark.parametrize("name", ["meta", "weights/a.weight"])
def test_no_pickle_is_opened(tmp_path, name):
    ran = tmp_path / "ran"
    with np.load(io.BytesIO(CONTENT)) as archive:
        arrays = dict(archive) | {name: np.array([_RunsCode(ran)], dtype=object)}
    with pytest.raises(UserError):
        load_state(_npz(**arrays))
    assert not ran.exists()


def test_no_pickle_is_written():
    with np.load(io.BytesIO(CONTENT), allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)


def test_a_state_is_a_copy():
    trial = Trial(small("inertia_vae"))
    trial.step(_batch(trial.config))
    state = trial.state()
    before = dump_state(state)
    trial.step(_batch(trial.config))
    assert dump_state(state) == before
    for tensors in (state.weights, state.square_avg):
        for tensor in tensors.values():
            tensor.zero_()
    assert any(p.any() for p in trial.model.parameters())


def test_a_restored_trial_does_not_share_memory_with_the_state():
    config = small("inertia_vae")
    trial = Trial(config)
    trial.step(_batch(config))
    state = trial.state()
    before = dump_state(state)
    other = Trial(config)
    other.restore(state)
    other.step(_batch(config))
    assert dump_state(state) == before


def _batch(config):
    return make_dataset(config).batch(0)


def test_the_state_of_another_trial_is_refused():
    config = small("inertia_vae")
    other = replace(config, seed=1)
    with pytest.raises(UserError, match=f"of trial {other.key}, not of {config.key}"):
        Trial(config).restore(Trial(other).state())


@pytest.mark.parametrize("change", ["missing", "unknown", "of another shape"])
def test_a_state_without_the_model_s_weights_is_refused(change):
    trial = Trial(small("inertia_vae"))
    state = trial.state()
    if change == "missing":
        del state.weights["encoder.mu.bias"]
    elif change == "unknown":
        state.weights["encoder.sigma"] = torch.zeros(3)
    else:
        state.weights["encoder.mu.bias"] = torch.zeros(3)
    with pytest.raises(UserError, match="does not hold the weights of its model"):
        trial.restore(state)


def _member(claimed, dtype, numbers):
    """An array whose header claims a shape, before so many numbers."""
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": npy.dtype_to_descr(dtype), "fortran_order": False, "shape": claimed})
    return header.getvalue() + bytes(numbers)


@settings(max_examples=40)
@given(
    compression=st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
    size=st.integers(0, 200_000),
)
def test_a_compressed_state_is_refused_before_it_is_unpacked(compression, size):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as archive:
        archive.writestr("meta.npy", _member((), np.dtype("<U10"), 40))
        archive.writestr("weights/a.npy", _member((size,), np.dtype("<f4"), 4 * size))
    with pytest.raises(UserError, match="it is compressed"):
        load_state(content.getvalue())


@settings(max_examples=60)
@given(
    name=st.sampled_from(["meta", "weights/a.weight", "square_avg/a.weight"]),
    shape=st.lists(st.integers(2, 10**6), min_size=2, max_size=4).map(tuple),
    kind=st.sampled_from(["<f4", "<f8", "<i8", "<U9", "|b1", "<c16"]),
)
def test_a_header_that_claims_more_than_the_file_has_takes_no_memory(name, shape, kind):
    with zipfile.ZipFile(io.BytesIO(CONTENT)) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members[f"{name}.npy"] = _member(shape, np.dtype(kind), 1)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"is none of its arrays|not the size that it claims"):
            load_state(content.getvalue())
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_weights_of_another_type_are_refused():
    with np.load(io.BytesIO(CONTENT)) as archive:
        arrays = {name: archive[name] for name in archive.files}
    name = next(name for name in arrays if name.startswith("weights/"))
    content = io.BytesIO()
    np.savez(content, **{**arrays, name: arrays[name].astype(np.float64)})
    with pytest.raises(UserError, match=f"'{name}.npy' of type float64 is none of its arrays"):
        load_state(content.getvalue())


def test_arrays_on_top_of_each_other_are_refused():
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("weights/0.npy", _member((1000,), np.dtype("<f4"), 4000))
        first = archive.filelist[0]
        for number in range(1, 50):
            other = zipfile.ZipInfo(f"weights/{number}.npy")
            for field in ("header_offset", "file_size", "compress_size", "CRC", "compress_type"):
                setattr(other, field, getattr(first, field))
            archive.filelist.append(other)
    with pytest.raises(UserError, match="larger than the file"):
        load_state(content.getvalue())


@pytest.mark.parametrize("iteration", [-1, 1.5, True, "3", None, [3]])
def test_an_iteration_that_is_none_is_refused(iteration):
    with pytest.raises(UserError, match="its iteration is"):
        load_state(_with_meta(iteration=iteration))


def test_threads_read_states_one_at_a_time(monkeypatch):
    at_work: list[int] = []

    def checked(content: bytes) -> bytes:
        at_work.append(1)
        time.sleep(0.01)
        assert len(at_work) == 1
        at_work.pop()
        return content

    monkeypatch.setattr(checkpoint, "_checked", checked)
    with ThreadPoolExecutor(4) as pool:
        states = list(pool.map(load_state, [CONTENT] * 8))
    assert all(_equal(state, STATE) for state in states)
