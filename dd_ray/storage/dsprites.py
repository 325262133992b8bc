"""Opens the user's copy of the public dSprites file. It needs no PyTorch, so that a command can check it early.

`dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz` (Matthey et al. 2017, github.com/google-deepmind/dsprites-dataset)
holds 737,280 binary images of 64×64 and their six factors.

It is checked by its MD5. Since it is compressed, it cannot be memory-mapped. So it is decompressed once into
`$XDG_CACHE_HOME/dd_ray/dsprites-MD5.npy` (`~/.cache` by default), with a bit per pixel, 378 MB, which all processes of
a machine memory-map. For that, a URL is downloaded once, and only to train: somebody else's sweep, which is opened and
drawn, may name any. Its `metadata` is pickled and is not read: pickles can run any code.
"""

import fcntl
import hashlib
import math
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import numpy as np
from numpy.typing import NDArray

from dd_ray.config import DSPRITES_MD5, NUM_HELD_OUT
from dd_ray.config.urls import check_regular
from dd_ray.errors import UserError
from dd_ray.storage.archives import DAMAGE
from dd_ray.storage.cache import cache_folder
from dd_ray.storage.files.local import open_in_place

FACTORS = ("color", "shape", "scale", "orientation", "posX", "posY")
"""The file's own names of its six factors."""
SIDE = 64
"""Height and width of an image in pixels."""
BYTES_PER_IMAGE = SIDE * SIDE // 8
_CHUNK = 8192  # images decompressed at a time, 32 MiB
_FETCHES: ContextVar[bool] = ContextVar("fetches", default=False)


@contextmanager
def fetching() -> Iterator[None]:
    """Let `open_dsprites` download URLs during the block, which trains, or is about to, as its user asked."""
    before = _FETCHES.set(True)
    try:
        yield
    finally:
        _FETCHES.reset(before)


@cache
def open_dsprites(file: str, md5: str) -> NDArray[np.uint8]:
    """Open the file's images as bits, memory-mapped: uint8 [color, shape, scale, orientation, posX, posY, 512].

    Args:
        file: path or URL.
        md5: the MD5 that it must have.

    Raises:
        UserError: the file cannot be read, has another checksum or does not have the layout of dSprites; the cache
            cannot be written; or it does not hold what a URL names, outside of `fetching`.
    """
    unpacked = _unpacked(md5)
    folder = unpacked.parent
    check_dsprites_file(file, md5)  # also if the cache has it, so that the named file is the one that is used
    if not unpacked.exists():
        if "://" in file and not _FETCHES.get():
            raise UserError(
                f"dsprites_file = {file} is fetched only by commands that train on it, and is not in {folder} yet; if "
                "you trust it, train a sweep on it here, with --dataset dsprites and this --dsprites-file."
            )
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with open_in_place(folder / "dsprites.lock", "ab") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)  # the first process of a machine unpacks, the others wait
                if not unpacked.exists():
                    _unpack(file, md5, unpacked)
        except OSError as error:
            raise UserError(
                f"{folder} cannot hold the decompressed dSprites, 378 MB ({error.strerror or error}); make room there, "
                "or set XDG_CACHE_HOME to another folder."
            ) from error
    try:
        return np.load(unpacked, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{unpacked}, the decompressed dSprites, cannot be read ({error}); delete it.") from error


def has_dsprites(file: str, md5: str) -> bool:
    """Return whether `open_dsprites` finds the file on this machine, without fetching a URL."""
    return (_unpacked(md5) if "://" in file else Path(file)).exists()


def _unpacked(md5: str) -> Path:
    return cache_folder() / f"dsprites-{md5}.npy"


def check_dsprites_file(file: str, md5: str) -> None:
    """Make sure that a file has this MD5, and unpack nothing; what a URL names is not looked at.

    Raises:
        UserError: it cannot be read, or has another.
    """
    if "://" not in file:
        _check(file, Path(file), md5)


def _unpack(file: str, md5: str, unpacked: Path) -> None:
    print(f"Decompressing {file} into {unpacked}, once", flush=True)
    draft = unpacked.with_suffix(".draft")
    with _local(file, unpacked.parent) as path:
        if "://" in file:
            _check(file, path, md5)
        try:
            # It may be there of a process that was killed, or as a link that someone who shares the cache made.
            draft.unlink(missing_ok=True)
            with draft.open("xb") as content:  # with the permissions of any file
                _write_bits(file, path, content)
            draft.replace(unpacked)
        finally:
            draft.unlink(missing_ok=True)


def _check(file: str, path: Path, md5: str) -> None:
    """Check the content of a file; `file` is what the user gave, for messages."""
    try:
        check_regular(path)
        with path.open("rb") as content:
            found = hashlib.file_digest(content, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
    except OSError as error:
        public = "the public file (github.com/google-deepmind/dsprites-dataset)"
        which = public if md5 == DSPRITES_MD5 else f"the file with MD5 {md5}"
        raise UserError(
            f"dsprites_file = {file} cannot be read: {error.strerror or error}; put {which} there, or give its path."
        ) from error
    if found != md5:
        whose = "the public file's" if md5 == DSPRITES_MD5 else "the given"
        raise UserError(
            f"dsprites_file = {file} has MD5 {found}, not {whose} {md5}; give the whole public file, or, for another "
            f"of its layout, dsprites_md5 = {found}."
        )


@contextmanager
def _local(file: str, folder: Path) -> Iterator[Path]:
    """Give the path of the file, or of a copy of what a URL names, which exists as long as the block."""
    if "://" not in file:
        yield Path(file)
        return
    with tempfile.NamedTemporaryFile(dir=folder) as copy:
        try:
            with _open_url(file) as source:
                shutil.copyfileobj(source, copy, 2**20)
        except (OSError, ValueError, HTTPException) as error:
            raise UserError(f"dsprites_file = {file} cannot be read: {getattr(error, 'reason', error)}.") from error
        copy.flush()
        yield Path(copy.name)


def _open_url(url: str) -> Any:
    if urlsplit(url).scheme in ("http", "https"):
        return urlopen(url, timeout=60)
    from pyarrow.fs import FileSystem  # noqa: PLC0415  # half a second, which only URLs need

    files, path = FileSystem.from_uri(url)
    return files.open_input_stream(path)


def _write_bits(file: str, path: Path, draft: IO[bytes]) -> None:
    """Write the images of an archive in the form that `open_dsprites` returns."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("imgs.npy") as images:
            with archive.open("latents_classes.npy") as classes:
                sizes = _sizes(np.lib.format.read_array(classes, allow_pickle=False))
            _check_header(images, sizes)
            header = {"descr": "|u1", "fortran_order": False, "shape": (*sizes, BYTES_PER_IMAGE)}
            np.lib.format.write_array_header_1_0(draft, header)
            left = math.prod(sizes)
            # Read to the end, where the archive's own checksum is compared.
            while content := images.read(_CHUNK * SIDE * SIDE):
                pixels = np.frombuffer(content, np.uint8).reshape(-1, SIDE * SIDE)
                if pixels.max() > 1:
                    raise ValueError("its images are not binary")
                left -= len(pixels)
                draft.write(np.packbits(pixels, axis=1).tobytes())
            if left:
                raise ValueError(f"imgs holds {abs(left):,} images {'less' if left > 0 else 'more'} than it says")
    except DAMAGE as error:
        raise UserError(f"dsprites_file = {file} is not of the layout of dSprites: {error}.") from error


def _sizes(classes: NDArray[np.integer]) -> tuple[int, ...]:
    """Check that the images are all combinations of the six factors in order, and return their numbers of levels."""
    if classes.ndim != 2 or classes.shape[1] != len(FACTORS) or not len(classes) or classes.dtype.kind not in "iu":
        raise ValueError(f"latents_classes is {classes.dtype} {classes.shape}, not integers [N, {len(FACTORS)}]")
    sizes = tuple(int(n) + 1 for n in classes.max(axis=0))
    combinations = np.indices(sizes).reshape(len(sizes), -1).T
    if not np.array_equal(classes, combinations) or sizes[0] != 1:
        raise ValueError("its images are not all combinations of one color and the other factors, the last fastest")
    if len(classes) <= NUM_HELD_OUT:
        raise ValueError(f"it has {len(classes):,} images, of which {NUM_HELD_OUT:,} are held out")
    return sizes


def _check_header(images: IO[bytes], sizes: tuple[int, ...]) -> None:
    version = np.lib.format.read_magic(images)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(images)
    expected = (int(np.prod(sizes)), SIDE, SIDE)
    if shape != expected or fortran or dtype != np.uint8:
        raise ValueError(f"imgs is {dtype} {shape}, not uint8 {expected}")
