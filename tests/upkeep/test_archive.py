"""A sweep packed into one file, and unpacked."""

import shutil
import stat
import subprocess
import tracemalloc
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from dd_ray import results
from dd_ray.errors import UserError
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.upkeep import archive
from tests.figures.sweeps import write_sweep
from tests.storage.object_store import ObjectStore


@pytest.fixture
def sweep(tmp_path: Path) -> SweepFolder:
    """A sweep of two trials with states, an extension and a figure."""
    sweep = SweepFolder.at(write_sweep(tmp_path / "mine", {"gamma": [0.0, 0.5], "beta": [0.1]}))
    for trial in sweep.trials():
        trial.save_state(300, trial.key.encode() * 1000)
    sweep.files.write("extensions/mine.py", b"# mine")
    sweep.add_note("γ = 0.8 needs more seeds")
    sweep.files.write("figures/grid_maps.png", b"a picture")
    sweep.files.write("results.csv", results.as_csv(results.load(sweep.location)))
    return sweep


def run(*words: object) -> int:
    """Run the command, and return its exit code."""
    try:
        archive.main([*map(str, words)])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_what_comes_out_is_what_went_in(sweep: SweepFolder, tmp_path: Path, capsys: Any) -> None:
    assert run(sweep.location, "--out", tmp_path / "a.zip") == 0
    assert "Archived 2 trials, read again and verified" in capsys.readouterr().out
    assert run(tmp_path / "a.zip", "--extract", tmp_path / "out") == 0
    again = SweepFolder.open(tmp_path / "out" / "mine")
    pd.testing.assert_frame_equal(results.load(again.location), results.load(sweep.location))
    before, after = ({n: each.files.read(n) for n in each.files.stamps("")} for each in (sweep, again))
    assert before.pop("figures/grid_maps.png") and before.pop(".notes-lock") and before == after


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz"])
def test_a_name_of_another_format_is_refused_before_the_sweep_is_read(name: str, tmp_path: Path, capsys: Any) -> None:
    assert run(tmp_path / "none", "--out", tmp_path / name) == 2
    said = capsys.readouterr().err
    assert f"--out {tmp_path / name} is not the name of a zip archive; give one that ends in .zip." in said


def test_a_sweep_that_is_named_from_within_comes_out_again(
    sweep: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(sweep.location) / "figures")
    assert run("..", "--out", tmp_path / "a.zip") == 0
    assert run(tmp_path / "a.zip", "--extract", tmp_path / "out") == 0
    pd.testing.assert_frame_equal(results.load(tmp_path / "out" / "mine"), results.load(sweep.location))


def test_a_url_without_a_bucket_is_no_folder_here(
    sweep: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(sweep.location, "--out", "a.zip") == 0
    assert run("a.zip", "--extract", "s3://") == 2 and "s3:// names no bucket" in capsys.readouterr().err
    assert not Path("s3:").exists()


def test_a_name_with_a_backslash_comes_out_again(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "a\\b", {"gamma": [0.0], "beta": [0.1]})
    assert run(sweep, "--out", tmp_path / "a.zip") == 0
    assert run(tmp_path / "a.zip", "--extract", tmp_path / "out") == 0
    pd.testing.assert_frame_equal(results.load(tmp_path / "out" / "a\\b"), results.load(sweep))


def test_any_unzip_gives_a_sweep_that_others_may_read(sweep: SweepFolder, tmp_path: Path) -> None:
    assert run(sweep.location, "--out", tmp_path / "a.zip", "--without-states") == 0
    unzip = shutil.which("unzip")
    if unzip is None:
        pytest.skip("there is no unzip here")
    subprocess.run([unzip, "-q", str(tmp_path / "a.zip"), "-d", str(tmp_path / "out")], check=True)
    again = SweepFolder.open(tmp_path / "out" / "mine")
    pd.testing.assert_frame_equal(results.load(again.location), results.load(sweep.location))
    assert [trial.states() for trial in again.trials()] == [[], []]
    assert stat.S_IMODE((tmp_path / "out" / "mine" / "sweep.json").stat().st_mode) == 0o644


def test_nothing_that_is_there_is_replaced(sweep: SweepFolder, tmp_path: Path, capsys: Any) -> None:
    assert run(sweep.location, "--out", tmp_path / "a.zip") == 0
    whole = (tmp_path / "a.zip").read_bytes()
    assert run(sweep.location, "--out", tmp_path / "a.zip") == 2 and "exists already" in capsys.readouterr().err
    assert (tmp_path / "a.zip").read_bytes() == whole
    (tmp_path / "link.zip").symlink_to("nowhere")
    assert run(sweep.location, "--out", tmp_path / "link.zip") == 2 and "exists already" in capsys.readouterr().err
    assert run(tmp_path / "a.zip", "--extract", tmp_path) == 2 and "holds files already" in capsys.readouterr().err


def test_a_damaged_trial_is_named_and_archived_as_it_is(sweep: SweepFolder, tmp_path: Path, capsys: Any) -> None:
    trial = sweep.trials()[0]
    trial.files.write("metrics.jsonl", b"")
    assert run(sweep.location, "--out", tmp_path / "a.zip") == 0
    assert f"damaged, trial {trial.key}" in capsys.readouterr().err
    assert run(tmp_path / "a.zip", "--extract", tmp_path / "out") == 0
    assert f"damaged, trial {trial.key}" in capsys.readouterr().err


def test_a_running_sweep_and_links_are_left_alone(sweep: SweepFolder, tmp_path: Path, capsys: Any) -> None:
    trial = sweep.trials()[0]
    assert trial.files.local
    (tmp_path / "secret").write_text("of another user")
    (trial.files.local / "scores.jsonl").symlink_to(tmp_path / "secret")
    assert run(sweep.location, "--out", tmp_path / "a.zip") == 0
    assert f"cells/{trial.key}/scores.jsonl: a link" in capsys.readouterr().err
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert not [name for name in packed.namelist() if name.endswith("scores.jsonl")]
    local = Path(sweep.location)
    (local / "extensions").rename(tmp_path / "elsewhere")
    (local / "extensions").symlink_to(tmp_path / "elsewhere")
    assert run(sweep.location, "--out", tmp_path / "c.zip") == 2
    assert "extensions is a link, which is not followed" in capsys.readouterr().err
    (local / "extensions").unlink()
    progress = {"running": [trial.key], "iterations_per_second": 1.0, "seconds_left": 1.0}
    sweep.write_progress({"time": pd.Timestamp.now().timestamp(), **progress})
    assert run(sweep.location, "--out", tmp_path / "b.zip") == 2 and "is being run" in capsys.readouterr().err


def test_nobody_else_has_the_sweep_meanwhile(sweep: SweepFolder, tmp_path: Path, capsys: Any) -> None:
    with sweep.lock():
        assert run(sweep.location, "--out", tmp_path / "a.zip") == 2
    assert "is being run, by process" in capsys.readouterr().err and not (tmp_path / "a.zip").exists()
    assert run(sweep.location, "--out", tmp_path / "a.zip") == 0
    with SweepFolder.at(tmp_path / "out" / "mine").lock():
        assert run(tmp_path / "a.zip", "--extract", tmp_path / "out") == 2
    assert "is being written, by process" in capsys.readouterr().err
    assert not SweepFolder.at(tmp_path / "out" / "mine").files.names()


def test_a_disk_that_reads_otherwise_leaves_no_archive(
    sweep: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    whole = zipfile.ZipFile.read
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *words: whole(*words)[:-1])
    assert run(sweep.location, "--out", tmp_path / "out" / "a.zip") == 2
    assert "reads otherwise; check the disk" in capsys.readouterr().err and not [*(tmp_path / "out").iterdir()]


def bad(path: Path, *names: str, link: bool = False) -> Path:
    """Write an archive as somebody else might."""
    with zipfile.ZipFile(path, "w") as packed:
        for name in names:
            member = zipfile.ZipInfo(name)
            member.external_attr = ((stat.S_IFLNK if link and "sweep.json" not in name else stat.S_IFREG) | 0o644) << 16
            packed.writestr(member, "/etc/passwd")
    return path


@pytest.mark.parametrize(
    ("names", "link", "said"),
    [
        (["s/sweep.json", "s/../../evil"], False, "leads out of it"),
        (["s/sweep.json", "s/a\\..\\b"], False, "leads out of it"),
        (["s/sweep.json", "s//etc/evil"], False, "leads out of it"),
        (["s/sweep.json", "s/cells//etc/evil"], False, "leads out of it"),
        (["s/sweep.json", "s/./evil"], False, "leads out of it"),
        (["s/sweep.json", "s/passwords"], True, "leads out of it"),
        (["s/sweep.json", "/etc/evil"], False, "holds no sweep"),
        (["../sweep.json"], False, "leads out of it"),
        (["s/a"], False, "holds no sweep"),
        (["s/sweep.json", "t/sweep.json"], False, "holds no sweep"),
    ],
)
def test_an_archive_of_others_writes_nothing_elsewhere(
    names: list[str], link: bool, said: str, tmp_path: Path, capsys: Any
) -> None:
    assert run(bad(tmp_path / "bad.zip", *names, link=link), "--extract", tmp_path / "out") == 2
    assert said in capsys.readouterr().err and [path.name for path in tmp_path.iterdir()] == ["bad.zip"]


def test_what_is_no_archive_or_damaged_is_one_sentence(sweep: SweepFolder, tmp_path: Path, capsys: Any) -> None:
    packed = tmp_path / "a.zip"
    run(sweep.location, "--out", packed)
    whole = packed.read_bytes()
    for content, said in ((b"no zip", "is no zip archive"), (whole[:-100], "is no zip archive")):
        packed.write_bytes(content)
        assert run(packed, "--extract", tmp_path / "out") == 2 and said in capsys.readouterr().err
    place = whole.index(b"results.csv") + 40
    packed.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
    assert run(packed, "--extract", tmp_path / "out") == 2 and "is damaged" in capsys.readouterr().err
    assert not (tmp_path / "out" / "mine" / "sweep.json").exists()
    assert run(tmp_path / "nowhere.zip", "--extract", tmp_path / "out") == 2
    assert "(No such file or directory); give the path of a sweep's archive.\n" in capsys.readouterr().err


def test_members_are_unpacked_in_parts(sweep: SweepFolder, tmp_path: Path) -> None:
    packed = tmp_path / "a.zip"
    run(sweep.location, "--out", packed)
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archived:
        archived.writestr("mine/cells/x", bytes(2**25))
    tracemalloc.start()
    again, _ = archive.unpack(packed, str(tmp_path / "out"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24 and len(again.files.read("cells/x")) == 2**25


def test_an_archive_of_more_than_the_disk_has_room_for_is_refused(
    sweep: SweepFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    run(sweep.location, "--out", tmp_path / "a.zip")
    monkeypatch.setattr("dd_ray.storage.archives.shutil.disk_usage", lambda folder: SimpleNamespace(free=2000))
    assert run(tmp_path / "a.zip", "--extract", tmp_path / "out") == 2
    assert "holds more than the 0 MB that are free" in capsys.readouterr().err
    assert not SweepFolder.at(tmp_path / "out" / "mine").files.names()


def test_methods_that_unpack_little_to_gigabytes_at_once_are_refused(tmp_path: Path, capsys: Any) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_BZIP2) as packed:
        packed.writestr("s/sweep.json", bytes(2**20))
    assert run(tmp_path / "a.zip", "--extract", tmp_path / "out") == 2
    assert "another method than deflate" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_flipped_bit_is_a_sentence_wherever_it_is(sweep: SweepFolder, tmp_path: Path, capsys: Any) -> None:
    packed = bad(tmp_path / "a.zip", "β/sweep.json", "β/cells/x", "β/results.csv")
    whole, refused = packed.read_bytes(), 0
    for place in range(0, 8 * len(whole), 11):
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        packed.write_bytes(changed)
        try:
            archive.unpack(packed, str(tmp_path / str(place)))
        except UserError:
            refused += 1
    assert refused > 100


def test_from_an_object_store_and_into_one(object_store: ObjectStore, tmp_path: Path) -> None:
    url = object_store.url("archived/mine")
    write_sweep(url, {"gamma": [0.0], "beta": [0.1]})
    assert run(url, "--out", tmp_path / "a.zip") == 0
    assert run(tmp_path / "a.zip", "--extract", object_store.url("again")) == 0
    pd.testing.assert_frame_equal(results.load(object_store.url("again/mine")), results.load(url))
