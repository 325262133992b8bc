"""Sweeps as jobs: what is sent to a cluster, and what is read from its answers."""

import base64
import hashlib
import importlib.util
import io
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from contextlib import nullcontext, suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dd_ray import results
from dd_ray.config.extensions import unload
from dd_ray.errors import UserError
from dd_ray.service import bundle, connection, sweeps
from dd_ray.service.__main__ import main
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.sweep.manifest import make_manifest
from tests.sweep.studies import ROOT

STUDY = ROOT / "sweeps" / "inertia_grid.py"


@pytest.fixture(autouse=True)
def own_command_line(monkeypatch):
    """The service names the study in the messages of its parser; that ends with the test."""
    monkeypatch.setattr(sys, "argv", ["test"])


def job(status, **changes):
    """What Ray tells of a sweep."""
    described = {
        "status": SimpleNamespace(value=status),
        "submission_id": "mine-ada-0102-030405",
        "entrypoint": "exec python sweeps/mine.py",
        "metadata": {"dd_ray_sweep": "mine", "dd_ray_storage": "/shared", "dd_ray_user": "ada"},
        "driver_exit_code": None,
        "error_type": None,
        "message": None,
        "start_time": 1_000,
        "end_time": None,
    }
    return SimpleNamespace(**described | changes)


class Cluster:
    """A cluster that takes everything down."""

    def __init__(self, *jobs):
        self.jobs = list(jobs)
        self.sent = None
        self.files = {}

    def list_jobs(self):
        return self.jobs

    def submit_job(self, **sent):
        folder = sent["runtime_env"]["working_dir"]
        self.sent = sent
        self.files = {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}
        return sent["submission_id"]


def submit(cluster, *options, study=STUDY, storage="/shared"):
    plan, storage = sweeps.plan_of(study, storage, options)
    return sweeps.submit(cluster, study, plan, storage, options)


@pytest.mark.parametrize(
    ("details", "state"),
    [
        (job("PENDING"), "queued"),
        (job("RUNNING"), "running"),
        (job("SUCCEEDED", driver_exit_code=0), "finished"),
        (job("STOPPED"), "stopped"),
        (job("FAILED", driver_exit_code=1), "failed"),
        (job("FAILED", driver_exit_code=2), "failed"),
        (job("FAILED", driver_exit_code=127), "failed"),
        (job("FAILED", driver_exit_code=130), "interrupted"),
        (job("FAILED", driver_exit_code=-9), "interrupted"),
        (job("FAILED", error_type="JOB_SUPERVISOR_ACTOR_DIED"), "interrupted"),
        (job("FAILED", error_type="RUNTIME_ENV_SETUP_FAILURE"), "failed"),
    ],
)
def test_a_sweep_has_the_state_that_its_job_ended_with(details, state):
    assert sweeps.SweepJob.of(details).state == state


def test_jobs_that_are_no_sweeps_are_none():
    others = [job("RUNNING", metadata={}), job("RUNNING", metadata=None), job("RUNNING", submission_id=None)]
    others += [job("RUNNING", metadata={"dd_ray_sweep": "mine", "dd_ray_user": "somebody"})]
    assert sweeps.all_sweeps(Cluster(*others)) == []
    with pytest.raises(UserError, match=r"no sweep mine-ada-0102-030405.*list"):
        sweeps.find(Cluster(*others), "mine-ada-0102-030405")


EARLIER = "sweep:  99%|███| 1/1 [0:01<0:09, 1it/s, 7 running]"


@pytest.mark.parametrize(
    ("bar", "told"),
    [
        ("sweep:   0%|          | 0/24 [00:00<?, ?it/s]", "0%, waiting for the cluster"),
        ("sweep:   3%|▎         | 5793/200000 [00:52<29:23, 110.13it/s, 2 running]", "3%, 29:23 left, 2 running"),
        ("sweep: 100%|██| 4/4 [00:02<00:00, 9it/s, 1 finished, 1 failed]", "100%, 00:00 left, 1 finished, 1 failed"),
    ],
)
def test_progress_is_what_the_last_bar_of_a_log_says(bar, told):
    assert sweeps.progress(f"text\r{EARLIER}\r{bar}\n") == told


def test_a_log_without_a_bar_tells_no_progress():
    assert sweeps.progress("2 trials = 2 gamma [0, 1]\n") == ""


def test_what_is_sent_is_the_command_of_the_study_and_the_python_files_it_needs():
    cluster = Cluster()
    options = ["--preset", "quick", "--gamma", "0", "0.5", "--name", "mine"]
    sweep = submit(cluster, *options)
    expected = ["exec", "python", "sweeps/inertia_grid.py", "--address", "auto", "--storage", "/shared", *options]
    assert shlex.split(cluster.sent["entrypoint"]) == expected
    assert {"sweeps/inertia_grid.py", "sweeps/beta_grid.py"} <= cluster.files
    assert all(name.startswith("sweeps/") and name.endswith(".py") for name in cluster.files)
    assert cluster.sent["runtime_env"]["env_vars"] == {
        "RAY_JOB_STOP_SIGNAL": "SIGINT",
        "RAY_JOB_STOP_WAIT_TIME_S": str(sweeps.SECONDS_TO_STOP),
    }
    assert sweep.startswith("mine-") and datetime.strptime(f"2024{sweep[-11:]}", "%Y%m%d-%H%M%S")
    assert cluster.sent["runtime_env"]["env_vars"]["RAY_JOB_STOP_WAIT_TIME_S"] == "30"


def test_a_confirmation_is_found_under_the_name_that_it_has_on_the_cluster(capfd):
    cluster = Cluster()
    submit(cluster, "--name", "mine", "--confirm", "3")
    assert cluster.sent["metadata"]["dd_ray_sweep"] == "mine_confirmed"
    assert shlex.split(cluster.sent["entrypoint"])[-4:] == ["--name", "mine", "--confirm", "3"]
    with pytest.raises(SystemExit):
        main(["submit", "--storage", "/shared", str(STUDY), "--confirm", "3", "--dry-run"])
    assert "The sweep is not seen from here: only its best cells are trained" in capfd.readouterr().out


def test_a_confirmation_that_the_cluster_would_refuse_is_not_sent(tmp_path):
    cluster = Cluster()
    with pytest.raises(UserError, match="is of a grid"):
        submit(cluster, "--confirm", "3", study=ROOT / "sweeps" / "inertia_search.py")
    plan, _ = sweeps.plan_of(STUDY, str(tmp_path), ["--name", "mine"])
    SweepFolder.at(plan.location).write_manifest(make_manifest(plan, {}))
    for trial in plan.trials:
        SweepFolder.at(plan.location).trial(trial.key).create(trial.config.to_dict(), trial.label)
    with pytest.raises(UserError, match=r"15 trials of .+ have not finished"):
        submit(cluster, "--name", "mine", "--confirm", "3", storage=str(tmp_path))
    assert cluster.sent is None


def test_an_option_cannot_become_a_command_of_the_shell(tmp_path):
    marks = [tmp_path / name for name in "abc"]
    name = f"x; touch {marks[0].name} $(touch {marks[1].name}) `touch {marks[2].name}` '\" \\ & #"
    cluster = Cluster()
    sweep = submit(cluster, "--name", name)
    seen = cluster.sent["entrypoint"].replace("exec python", f"{sys.executable} -c 'import sys; print(sys.argv[-1])'")
    printed = subprocess.run(seen, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert printed == f"{name}\n"
    assert not list(tmp_path.iterdir())
    assert all(c.isalnum() or c in "_-." for c in sweep)


def test_a_sweep_that_has_not_ended_is_not_started_again():
    assert submit(Cluster(job("STOPPED"), job("FAILED", driver_exit_code=1)), "--name", "mine")
    assert submit(Cluster(job("RUNNING")), "--name", "other")
    assert submit(Cluster(job("RUNNING")), "--name", "mine", storage="/elsewhere")
    for state in ("RUNNING", "PENDING"):
        with pytest.raises(UserError, match=r"already, as mine-ada-0102-030405 of ada; .*stop mine-ada"):
            submit(Cluster(job(state)), "--name", "mine", storage="/shared/")


def test_a_study_of_ones_own_travels_with_what_stands_beside_it(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "values.py").write_text("ALPHA = (0.0, 1.0)\n")
    (tmp_path / "study" / "large.bin").write_bytes(b"0" * 100)
    (tmp_path / "study" / ".#alpha.py").symlink_to("ada@host.1234:1700000000")  # by Emacs, while it is edited
    (tmp_path / "study" / "old.py").mkdir()
    study = tmp_path / "study" / "alpha.py"
    study.write_text(
        "from values import ALPHA\nfrom dd_ray.sweep import Preset, Study\nSTUDY = Study(name='mine', question='?', "
        "axes=('alpha',), fixed={'model': 'inertia_vae', 'gamma': 0.5, 'beta': 0.1}, "
        "presets={'quick': Preset(about='', axes={'alpha': ALPHA}, iterations=3)})\n"
    )
    cluster = Cluster()
    submit(cluster, study=study)
    assert cluster.files == {"sweeps/alpha.py", "sweeps/values.py"}


def test_extensions_travel_and_are_named_where_they_are_then():
    cluster = Cluster()
    blur = ROOT / "tests" / "extensions" / "blur_vae.py"
    try:
        submit(cluster, "--extension", str(blur), "--model", "blur_vae", "--gamma", "0", "--blur", "0.2")
    finally:
        unload(blur.name)
    assert "extensions/blur_vae.py" in cluster.files
    assert cluster.sent["entrypoint"].endswith("--gamma 0 --blur 0.2 --extension extensions/blur_vae.py")


@pytest.mark.parametrize(
    ("named", "sent"),
    [
        ("'mine.py'", "mine.py"),  # from where the command runs, there and here
        ("'study/more/mine.py'", "study/more/mine.py"),
        ("str(Path(__file__).parent / 'more' / 'mine.py')", "sweeps/more/mine.py"),
        ("'../mine.py'", None),
    ],
)
def test_extensions_of_a_study_of_ones_own_are_where_it_names_them(named, sent, tmp_path, monkeypatch):
    signs = (ROOT / "tests" / "extensions" / "signs.py").read_text()
    for name in ("mine.py", "work/mine.py", "work/study/more/mine.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(signs)
    monkeypatch.chdir(tmp_path / "work")
    study = tmp_path / "work" / "study" / "signs.py"
    study.write_text(
        "from pathlib import Path\nfrom dataclasses import replace\nfrom dd_ray.studies.sprites_grid import STUDY\n"
        f"STUDY = replace(STUDY, extensions=({named},))\n"
    )
    cluster = Cluster()
    try:
        with pytest.raises(UserError, match="leads out of") if sent is None else nullcontext():
            submit(cluster, "--optimizer", "signs", study=study)
    finally:
        unload("mine.py")
    assert set(cluster.files) == ({"sweeps/signs.py", sent} if sent else set())


DSPRITES = ("--dataset", "dsprites", "--dsprites-file")


@pytest.mark.parametrize(
    ("instead", "data", "said"),
    [
        ("gradient.signs()", (), "raises AttributeError in signs"),
        ("gradient.cuda_only()", (), None),  # the cluster may have GPUs
        ("gradient.signs()", (*DSPRITES, "/of/the/cluster.npz"), None),
        ("gradient.signs()", (*DSPRITES, "https://nowhere.invalid/dsprites.npz"), None),
    ],
)
def test_own_code_is_tried_before_it_is_sent_where_this_machine_can(instead, data, said, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    text = (ROOT / "tests" / "extensions" / "signs.py").read_text()
    (tmp_path / "mine.py").write_text(text.replace("gradient.sign()", instead))
    options = ("--extension", str(tmp_path / "mine.py"), "--optimizer", "signs", "--seeds", "1", *data)
    try:
        with pytest.raises(UserError, match=said) if said else nullcontext():
            sweeps.plan_of(ROOT / "sweeps" / "sprites_grid.py", "/shared", options)
    finally:
        unload("mine.py")


def test_extensions_that_a_file_of_values_names_travel_with_it(tmp_path):
    cluster, values = Cluster(), tmp_path / "mine.yaml"
    blur = ROOT / "tests" / "extensions" / "blur_vae.py"
    values.write_text(f"extension: {blur}\nmodel: blur_vae\ngamma: 0\nblur: 0.2\n")
    try:
        submit(cluster, "--config", str(values))
    finally:
        unload(blur.name)
    assert {"extensions/blur_vae.py", "values/mine.yaml"} <= cluster.files
    assert cluster.sent["entrypoint"].endswith("--config values/mine.yaml --extension extensions/blur_vae.py")


def test_sweeps_are_listed_from_the_oldest_on():
    jobs = [job("RUNNING", submission_id=f"s{time}", start_time=time) for time in (3000, 1000, 2000)]
    assert [sweep.id for sweep in sweeps.all_sweeps(Cluster(*jobs))] == ["s1000", "s2000", "s3000"]


def test_files_too_large_for_a_study_stay_here(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(STUDY.read_text())
    monkeypatch.setattr(sweeps, "LARGEST_CODE", 100)
    with pytest.raises(UserError, match="own folder"):
        submit(Cluster(), study=tmp_path / "mine.py")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["sweeps/inertia_grid.py"], ["no storage", "DD_RAY_STORAGE"]),
        (["--storage", "results", "sweeps/inertia_grid.py"], ["--storage results", "absolute"]),
        (["--storage", "/s", "sweeps/no_such.py"], ["sweeps/no_such.py"]),
        (["--storage", "/s", "dd_ray/errors.py"], ["dd_ray/errors.py has no STUDY"]),
        (["--storage", "/s", "README.md"], ["README.md is no Python file"]),
        (["--storage", "/s", "sweeps/inertia_grid.py", "--gama", "1"], ["--gama"]),
        (["--storage", "/s", "sweeps/inertia_grid.py", "--gamma", "1.5"], ["1.5", "[0, 1]"]),
        (["--storage", "/s", "sweeps/inertia_grid.py", "--address", "auto"], ["--address after"]),
        (["--storage", "/s", "sweeps/inertia_grid.py", "--storage=/t"], ["--storage after"]),
        (["--storage", "/s", "--address", "127.0.0.1:1", "sweeps/inertia_grid.py"], ["no Ray answers", "127.0.0.1:1"]),
        (["--storage", "/s", "--address", "ray://h:1", "sweeps/inertia_grid.py"], ["ray://h:1", "http://"]),
        (["--storage", "/s", "--address", "http://a b", "sweeps/inertia_grid.py"], ["http://a b"]),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_what_is_wrong_is_refused_before_anything_is_sent(args, words, monkeypatch, capfd):
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("DD_RAY_STORAGE", raising=False)
    monkeypatch.setattr(connection, "find_spec", lambda name: name)
    with pytest.raises(SystemExit) as ended:
        main(["submit", *args])
    assert ended.value.code == 2
    said = capfd.readouterr().err
    assert all(word in said for word in words), said
    assert "Traceback" not in said


def test_a_file_that_raises_is_named(tmp_path):
    (tmp_path / "mine.py").write_text("1 / 0\n")
    with pytest.raises(UserError, match=r"mine\.py cannot be run: ZeroDivisionError: division by zero"):
        sweeps.load_study(tmp_path / "mine.py")


def test_a_study_s_file_may_have_dataclasses_whose_types_are_text(tmp_path):
    text = "from __future__ import annotations\nfrom dataclasses import KW_ONLY, dataclass\n"
    text += "@dataclass\nclass Own:\n    _: KW_ONLY\n    size: int = 3\n"
    text += "from dd_ray.studies.inertia_grid import STUDY\n"
    (tmp_path / "mine.py").write_text(text)
    assert sweeps.load_study(tmp_path / "mine.py").name == "inertia_grid"


def test_a_dry_run_sends_nothing(capfd):
    with pytest.raises(SystemExit) as ended:
        main(["submit", "--address", "127.0.0.1:1", "--storage", "/shared", str(STUDY), "--dry-run"])
    assert ended.value.code == 0
    assert "Dry run" in capfd.readouterr().out


def test_without_the_client_the_remedy_is_named(monkeypatch):
    monkeypatch.setattr(connection, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[cluster\]'"):
        connection.connect("http://127.0.0.1:8265")


def test_who_does_not_answer_is_given_up_in_time(monkeypatch):
    monkeypatch.setattr(connection, "find_spec", lambda name: name)
    monkeypatch.setattr(connection, "SECONDS_TO_ANSWER", 1)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        started = time.monotonic()
        with pytest.raises(UserError, match=r"no Ray answers.*ssh -L 8265"):
            connection.connect(f"127.0.0.1:{deaf.getsockname()[1]}")
        assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("code", "content", "is_ray"),
    [
        *((200, content, False) for content in (b"<html>", b"{}", b"null")),
        (200, b'{"ray_version": "2.60.0"}', True),
        *((code, b"", code in (401, 403)) for code in (401, 403, 402, 404)),  # a Ray that asks for a token
    ],
)
def test_another_server_is_told_from_a_ray(code, content, is_ray):
    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(code)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with nullcontext() if is_ray else pytest.raises(UserError, match="not a Ray dashboard"):
            connection._check_that_ray_answers(f"http://127.0.0.1:{server.server_port}")
        thread.join()


@pytest.mark.skipif(not importlib.util.find_spec("aiohttp"), reason="needs the extra `cluster`")
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("Request failed with status code 500: Traceback\n  File x\nValueError: too long."), "too long"),
        (RuntimeError(""), "refused"),
        (ConnectionResetError("reset by peer"), "what was submitted goes on"),
    ],
)
def test_what_the_client_raises_becomes_one_sentence(error, said):
    with pytest.raises(UserError, match=said) as caught, connection.understood("http://head:8265"):
        raise error
    assert "\n" not in str(caught.value) and "http://head:8265" in str(caught.value)


@pytest.mark.skipif(not importlib.util.find_spec("aiohttp"), reason="needs the extra `cluster`")
def test_a_reader_of_the_list_that_has_seen_enough_is_no_lost_connection():
    with pytest.raises(BrokenPipeError), connection.understood("http://head:8265"):
        raise BrokenPipeError


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """A folder with figures, whose table is known."""
    table = pd.DataFrame({"key": ["a", "b"], "kl": [0.1, float("nan")]})
    monkeypatch.setattr(results, "load", lambda path: table)
    SweepFolder.at(tmp_path / "sweep").write_manifest({"study": "tiny", "axes": {}, "options": {}})
    (tmp_path / "sweep" / "figures").mkdir(parents=True)
    (tmp_path / "sweep" / "figures" / "map.png").write_bytes(bytes(range(256)) * 300)
    (tmp_path / "sweep" / "figures" / "map.csv").write_text("γ\n")
    return tmp_path / "sweep"


def test_what_is_bundled_is_what_is_unpacked(sweep, tmp_path):
    (sweep / "figures" / "report.html").write_text("made of the rest")
    written = bundle.unpack(f"a warning\n{bundle.bundle_of(str(sweep))}\nanother", tmp_path / "here")
    assert len(written) == 3 and all(path.is_file() for path in written)
    assert (tmp_path / "here" / "results.csv").read_text() == results.load(sweep).to_csv(index=False)
    for name in ("figures/map.png", "figures/map.csv"):
        assert (tmp_path / "here" / name).read_bytes() == (sweep / name).read_bytes()


def test_a_sweep_without_figures_has_its_table(sweep, tmp_path):
    for path in sorted((sweep / "figures").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert bundle.unpack(bundle.bundle_of(str(sweep)), tmp_path / "here") == [tmp_path / "here" / "results.csv"]


def test_what_was_damaged_on_the_way_is_refused(sweep, tmp_path):
    line = bundle.bundle_of(str(sweep))
    middle = len(line) // 2
    for damaged in ("", line[:middle], line[:middle] + ("A" if line[middle] != "A" else "B") + line[middle + 1 :]):
        with pytest.raises(UserError, match="damaged"):
            bundle.unpack(damaged, tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_nothing_but_a_table_and_figures_is_taken(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(".profile", "run me")
    text = base64.b64encode(content.getvalue())
    with pytest.raises(UserError, match=r"more than a table and figures: \.profile"):
        bundle.unpack(f"dd_ray-files {hashlib.sha256(text).hexdigest()} {text.decode()}", tmp_path / "here")
    assert not (tmp_path / "here").exists()


def sent(content):
    """The line of a cluster that hands back these bytes."""
    text = base64.b64encode(content)
    return f"dd_ray-files {hashlib.sha256(text).hexdigest()} {text.decode()}"


@settings(max_examples=60)
@given(st.data())
def test_an_archive_that_is_none_is_refused_in_a_sentence(data):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("results.csv", "key,mcc\n" * 20)
    content = bytearray(whole.getvalue())
    how = data.draw(st.sampled_from(["cut", "other", "flipped", "text"]))
    if how == "cut":
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    elif how == "flipped":
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    elif how == "other":
        content = data.draw(st.binary(max_size=200))
    line = sent(bytes(content)) if how != "text" else sent(b"") + data.draw(st.sampled_from(["A", "=", "AAAAA"]))
    with tempfile.TemporaryDirectory() as folder, suppress(UserError):
        # A flip in a date or in an attribute changes nothing.
        assert [path.read_text() for path in bundle.unpack(line, Path(folder))] == ["key,mcc\n" * 20]


@pytest.mark.parametrize(("size", "is_taken"), [(1000, True), (1001, False)])
def test_an_archive_that_would_fill_the_disk_is_not_unpacked(size, is_taken, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "LARGEST", 100)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("results.csv", "a" * size)
    with nullcontext() if is_taken else pytest.raises(UserError, match="copy it from the storage"):
        bundle.unpack(sent(content.getvalue()), tmp_path / "here")


def test_methods_that_unpack_little_to_gigabytes_at_once_are_refused(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("results.csv", "key,mcc\n")
    with pytest.raises(UserError, match="another method than deflate"):
        bundle.unpack(sent(content.getvalue()), tmp_path / "here")


def test_more_than_a_log_can_hold_is_refused_on_the_head(sweep, monkeypatch):
    monkeypatch.setattr(bundle, "LARGEST", 100)
    with pytest.raises(UserError, match="copy them from there"):
        bundle.bundle_of(str(sweep))


def test_nothing_is_written_outside_the_folder(tmp_path, monkeypatch):
    def evil(location):
        return [("../../outside.txt", b"no"), ("/absolute.txt", b"no")]

    monkeypatch.setattr(results, "load", lambda path: pd.DataFrame({"key": ["a"]}))
    monkeypatch.setattr(bundle, "_figures", evil)
    bundle.unpack(bundle.bundle_of("anywhere"), tmp_path / "here" / "below")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(written) == 3 and all(path.is_relative_to(tmp_path / "here" / "below") for path in written)


@pytest.mark.parametrize("name", ["..", "", "../elsewhere", "/etc"])
def test_what_others_named_a_sweep_leads_nowhere_else(name, monkeypatch, capsys):
    from dd_ray.service import __main__ as program

    monkeypatch.setattr(connection, "connect", lambda address: None)
    monkeypatch.setattr(program.sweeps, "find", lambda client, sweep: SimpleNamespace(name=name, location="results/x"))
    with pytest.raises(SystemExit) as end:
        main(["fetch", "id", "--address", "http://127.0.0.1:1"])
    assert end.value.code == 2 and "is not a folder name" in capsys.readouterr().err
