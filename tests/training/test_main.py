"""`python -m dd_ray.training` from the command line to the table and the checkpoints."""

import pytest

from dd_ray.config import TrialConfig
from dd_ray.training import Trial, dump_state, load_state
from dd_ray.training.__main__ import main

SMALL = ["--batch-size", "2", "--num-frames", "4"]


@pytest.fixture(autouse=True)
def precisions(monkeypatch):
    """Those that were set. The settings of the process stay, which would last for all tests that follow."""
    found = []
    monkeypatch.setattr("dd_ray.training.__main__.keep_freed_memory", lambda: True)
    monkeypatch.setattr("dd_ray.training.__main__.set_precision", found.append)
    return found


def _config(**values) -> TrialConfig:
    return TrialConfig(**{"model": "inertia_vae", "beta": 0.1, "batch_size": 2, "num_frames": 4, **values})


def _train(*args) -> None:
    main([*SMALL, *map(str, args)])


def _rows(printed: str) -> list[list[str]]:
    """The cells of the printed table, its header first."""
    lines = [line for line in printed.splitlines() if line.startswith(("│", "┃"))]
    return [[cell.strip() for cell in line.replace("┃", "│").strip("│").split("│")] for line in lines]


def test_a_table_tells_the_losses(capsys):
    _train("--iterations", 3)
    header, *rows = _rows(capsys.readouterr().out)
    assert header == ["key", "iteration", "loss", "reconstruction", "kl", "prediction"]
    [row] = rows
    assert row[:2] == [_config().key, "3"]
    assert float(row[2]) == pytest.approx(float(row[3]) + 0.1 * float(row[4]), rel=1e-3)


def test_a_gpu_would_multiply_all_bits_of_float32_as_in_a_sweep(precisions):
    _train("--iterations", 1)
    assert precisions == ["float32"]


def test_a_grid_is_a_row_for_each_trial_with_what_is_swept(capsys):
    _train("--iterations", 2, "--gamma", 0, 0.5, "--lambda", 1, 2)
    header, *rows = _rows(capsys.readouterr().out)
    assert header[:4] == ["key", "gamma", "lam", "iteration"]
    assert [row[1:4] for row in rows] == [[g, lam, "2"] for g in ("0.0", "0.5") for lam in ("1.0", "2.0")]
    assert rows[0][0] == _config(gamma=0.0, lam=1.0).key


def test_trials_with_different_losses_share_a_table(capsys):
    _train("--iterations", 1, "--model", "beta_vae", "inertia_vae")
    header, beta_vae, inertia_vae = _rows(capsys.readouterr().out)
    assert header[-3:] == ["reconstruction", "kl", "prediction"]
    assert beta_vae[-1] == ""
    assert float(inertia_vae[-1]) >= 0


def test_a_control_without_beta_is_trained(capsys):
    _train("--iterations", 1, "--model", "supervised_encoder", "--beta", 0)
    assert _rows(capsys.readouterr().out)[0][-1] == "factor_error"


def test_resumed_training_equals_undisturbed_training(tmp_path):
    grid = ["--gamma", 0, 0.5, "--num-latents", 2, 3]
    _train("--iterations", 6, "--checkpoints", tmp_path / "undisturbed", *grid)
    for iterations in (2, 6):
        _train("--iterations", iterations, "--checkpoints", tmp_path / "resumed", *grid)
    undisturbed = {path.name: path.read_bytes() for path in (tmp_path / "undisturbed").iterdir()}
    resumed = {path.name: path.read_bytes() for path in (tmp_path / "resumed").iterdir()}
    assert set(undisturbed) == {
        f"{_config(gamma=gamma, num_latents=n).key}.npz" for gamma in (0.0, 0.5) for n in (2, 3)
    }
    assert resumed == undisturbed


def test_a_trial_that_is_far_enough_is_kept_as_it_is(tmp_path, capsys):
    _train("--iterations", 3, "--checkpoints", tmp_path)
    [path] = tmp_path.iterdir()
    before = path.read_bytes()
    capsys.readouterr()
    _train("--iterations", 2, "--checkpoints", tmp_path)
    assert path.read_bytes() == before
    assert _rows(capsys.readouterr().out)[1] == [_config().key, "3"]


def test_a_further_trial_joins_those_that_have_begun(tmp_path):
    _train("--iterations", 2, "--checkpoints", tmp_path, "--gamma", 0.5)
    _train("--iterations", 3, "--checkpoints", tmp_path, "--gamma", 0.5, 0.9)
    assert {load_state(path).iteration for path in tmp_path.iterdir()} == {3}
    assert len(list(tmp_path.iterdir())) == 2


def test_a_diverged_trial_is_told_and_its_checkpoint_left_as_it_was(tmp_path, capsys):
    _train("--iterations", 1, "--checkpoints", tmp_path, "--learning-rate", 1e30)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    capsys.readouterr()
    with pytest.raises(SystemExit) as exit_:
        _train("--iterations", 4, "--checkpoints", tmp_path, "--learning-rate", 1e-4, 1e30)
    assert exit_.value.code == 1
    printed = capsys.readouterr()
    key = _config(learning_rate=1e30).key
    [told] = [line for line in printed.err.splitlines() if line.startswith("diverged")]
    assert told.startswith(f"diverged: {key} by iteration 4: ")
    assert len(_rows(printed.out)) == 3
    assert {path: path.read_bytes() for path in before} == before
    assert load_state(tmp_path / f"{_config().key}.npz").iteration == 4


def _refusal(capsys, *args) -> str:
    """The message that arguments are refused with."""
    with pytest.raises(SystemExit) as exit_:
        _train(*args)
    assert exit_.value.code == 2
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    assert not printed.out
    return printed.err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--iterations 0", "--iterations 0 trains nothing; give 1 or more."),
        ("--checkpoints s3://b/x", "--checkpoints s3://b/x is a URL; give a path of this machine."),
        ("--checkpoints=", "--checkpoints '' is empty; give a path, or leave it out."),
        ("--iterations -3", "--iterations -3 trains nothing; give 1 or more."),
        ("--threads 100000", "--threads 100000 is out of range; give at most 1,024."),
        ("--threads 0", "--threads 0 is out of range; give 1 or more."),
        ("--gamma 2", "--gamma 2.0 is out of range"),
        ("--beta 0.5 --beta-norm 0.3", "both --beta 0.5 and --beta-norm 0.3 are given"),
        ("--beta 0.5 0.5", "--beta 0.5 0.5 names a value twice."),
        ("--device abacus", "--device abacus is not available here; use cpu."),
        ("--device cuda:99", "--device cuda:99 is not available here; use cpu."),
        ("--device meta", "--device meta trains nothing; give cpu or cuda."),
        (
            "--model supervised_encoder --beta 0.1",
            "--beta 0.1 has no effect on supervised_encoder; leave it out, or use beta_vae",
        ),
        ("--model", "model is not given"),
        ("--grid original --num-frames 10 --num-test 20000", "--num-test 20000 is more than the 10000"),
        ("--seed 18446744073709551616", "--seed 18446744073709551616 is out of range"),
    ],
)
def test_a_bad_value_is_one_message_and_exit_code_2(capsys, args, message):
    refusal = _refusal(capsys, *args.split())
    assert refusal.startswith(f"error: {message}")
    assert len(refusal.splitlines()) == 1


@pytest.mark.parametrize("args", ["--temperature 3", "--iterations many", "--gamma x", "now"])
def test_what_is_no_option_or_no_value_of_one_is_exit_code_2(capsys, args):
    assert args.split()[-1] in _refusal(capsys, *args.split())


def test_a_damaged_checkpoint_is_named_before_anything_is_trained(tmp_path, capsys):
    _train("--iterations", 1, "--checkpoints", tmp_path, "--num-latents", 3)
    capsys.readouterr()
    [path] = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-100])
    refusal = _refusal(capsys, "--iterations", 2, "--checkpoints", tmp_path, "--num-latents", 2, 3)
    assert refusal.startswith(f"error: checkpoint {path} is damaged")
    assert len(refusal.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_checkpoint_of_another_trial_is_named(tmp_path, capsys):
    path = tmp_path / f"{_config().key}.npz"
    path.write_bytes(dump_state(Trial(_config(seed=1)).state()))
    refusal = _refusal(capsys, "--checkpoints", tmp_path)
    assert refusal.startswith(f"error: checkpoint {path} holds trial {_config(seed=1).key}, not the one")


def test_checkpoints_that_are_no_folder_are_refused(tmp_path, capsys):
    path = tmp_path / "file"
    path.touch()
    assert f"--checkpoints {path} cannot be a folder" in _refusal(capsys, "--checkpoints", path)
