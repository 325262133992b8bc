"""The commands of the service, with a head that is played: jobs on it are processes of this machine."""

import importlib.util
import re
import shlex
from types import SimpleNamespace

import pytest

from dd_ray.service import connection, on_head
from dd_ray.service.__main__ import main
from tests.figures.sweeps import write_sweep
from tests.processes import python
from tests.service.test_sweeps import Cluster, job

pytestmark = pytest.mark.skipif(not importlib.util.find_spec("aiohttp"), reason="needs the extra `cluster`")
LOG = "sweep:   3%|▎         | 5793/200000 [00:52<29:23, 110.13it/s, 2 running]\n"


class Head(Cluster):
    """A cluster with one sweep, whose head runs what is asked of it at once."""

    def __init__(self, sweep):
        super().__init__(sweep)
        self.ended, self.left = {}, []

    def submit_job(self, *, entrypoint, submission_id, runtime_env):
        exec_, python_, *words = shlex.split(entrypoint)
        assert (exec_, python_) == ("exec", "python") and runtime_env["env_vars"]["COLUMNS"].isdigit()
        self.ended[submission_id] = python(*words)
        self.left.append(submission_id)
        return submission_id

    def get_job_status(self, name):
        value = ("FAILED" if self.ended[name].returncode else "SUCCEEDED") if name in self.ended else "STOPPED"
        return SimpleNamespace(value=value, is_terminal=lambda: True)

    def get_job_logs(self, name):
        return f"{self.ended[name].stdout}{self.ended[name].stderr}" if name in self.ended else LOG

    def get_job_info(self, name):
        return SimpleNamespace(message="")

    def delete_job(self, name):
        self.left.remove(name)

    def stop_job(self, name):
        self.jobs = [job("STOPPED", metadata=self.jobs[0].metadata)]


@pytest.fixture
def head(tmp_path, monkeypatch):
    """The head of a cluster that has trained a sweep, into a folder that it sees."""
    write_sweep(tmp_path / "mine", {"beta": [0.1], "gamma": [0.0, 0.5]})
    (tmp_path / "mine" / "figures").mkdir()
    (tmp_path / "mine" / "figures" / "map.csv").write_text("γ\n")
    metadata = {"dd_ray_sweep": "mine", "dd_ray_storage": str(tmp_path), "dd_ray_user": "ada"}
    played = Head(job("SUCCEEDED", metadata=metadata, driver_exit_code=0))
    monkeypatch.setattr(connection, "connect", lambda address: played)
    monkeypatch.setattr(on_head.time, "sleep", lambda seconds: pytest.fail("it has ended"))
    yield played
    assert played.left == []  # no short job stays in the list


ID = "mine-ada-0102-030405"


def told(capsys, *words, code=0):
    """What a command prints, on both streams; it must end with a code."""
    with pytest.raises(SystemExit) as end:
        main([*words, "--address", "http://head:8265"])
    assert (end.value.code or 0) == code
    printed = capsys.readouterr()
    return printed.out + printed.err


def test_the_list_has_what_a_running_sweep_has_done(head, capsys):
    head.jobs = [job("RUNNING", metadata=head.jobs[0].metadata)]
    assert re.search(rf"{ID}.*mine.*ada.*running.*3%, 29:23 left, 2 running", " ".join(told(capsys, "list").split()))


def test_the_status_has_the_trials_as_the_head_sees_them(head, capsys, tmp_path):
    printed = told(capsys, "status", ID)
    assert f"sweep:     {ID}\nof:        ada\nstate:     finished\n" in printed
    assert f"into:      {tmp_path / 'mine'}" in printed and "MCC" in printed


def test_the_status_of_a_sweep_that_the_head_does_not_find_says_why(head, capsys, tmp_path):
    (tmp_path / "mine" / "sweep.json").unlink()
    assert re.search(r"trials:    none to show: on the cluster's head: .*mine", told(capsys, "status", ID))


def test_the_log_is_that_of_the_sweep(head, capsys):
    assert told(capsys, "logs", ID) == LOG


def test_what_is_fetched_is_the_table_and_the_figures(head, capsys, tmp_path):
    printed = told(capsys, "fetch", ID, "--to", str(tmp_path / "here")).split()
    assert printed == [str(tmp_path / "here" / name) for name in ("results.csv", "figures/map.csv")]
    assert (tmp_path / "here" / "figures" / "map.csv").read_text() == "γ\n"
    assert "is a sweep of this machine" in told(capsys, "fetch", ID, "--to", str(tmp_path / "mine"), code=2)


def test_the_names_of_what_is_fetched_are_shown_and_not_obeyed(head, capsys, tmp_path):
    (tmp_path / "mine" / "figures" / "\x1b[2J.csv").write_text("γ\n")
    printed = told(capsys, "fetch", ID, "--to", str(tmp_path / "here"))
    assert r"figures/\x1b[2J.csv" in printed and "\x1b" not in printed


def test_what_runs_is_stopped_once(head, capsys):
    assert "has ended already (finished)" in told(capsys, "stop", ID, code=2)
    head.jobs = [job("RUNNING", metadata=head.jobs[0].metadata)]
    assert f"{ID}: stopped; the same submit goes on" in told(capsys, "stop", ID)


@pytest.mark.parametrize("command", ["status", "logs", "stop", "fetch"])
def test_a_sweep_that_there_is_not_is_one_message(head, capsys, command):
    assert "the cluster knows no sweep another" in told(capsys, command, "another", code=2)
