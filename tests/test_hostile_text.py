"""Text that others wrote is shown by terminals and spreadsheets, and obeyed by neither."""

import io
import unicodedata
from contextlib import nullcontext
from datetime import datetime
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dd_ray import results
from dd_ray.errors import UserError, exit_on_user_error, printable
from dd_ray.results.printing import print_counts, print_failed, print_progress
from dd_ray.service import __main__ as service
from dd_ray.service import sweeps
from dd_ray.storage.sweep_folder import SweepFolder
from dd_ray.storage.trial_records import Outcome
from tests.figures.sweeps import write_sweep

PARTS = (
    "[/red]",
    "[bold",
    "[link=http://x]",
    "\\[",
    ":bomb:",
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x9b",
    "\u202e",
    "\r\n",
    "é",
)
"""What a terminal, or the library that writes to it, gives a meaning to."""
hostile = st.lists(st.one_of(st.sampled_from(PARTS), st.text(max_size=4)), min_size=1, max_size=5).map("".join)


@pytest.fixture(scope="module")
def trials_of_two_cells(tmp_path_factory):
    """The table of a sweep of two trials."""
    return results.final(
        results.load(write_sweep(tmp_path_factory.mktemp("two"), {"gamma": [0.0, 0.5], "beta": [0.1]}))
    )


def obeyed(text: str) -> list[str]:
    """Characters that a terminal would obey."""
    return [each for each in text if unicodedata.category(each) in ("Cc", "Cf", "Cs") and each != "\n"]


@settings(max_examples=60)
@given(hostile)
def test_what_is_printed_is_shown_and_not_obeyed(text):
    assert not obeyed(printable(text)) and "\n" not in printable(text)
    assert printable(printable(text)) == printable(text)
    assert printable("β = 0.1, “ok”\n\tnext", lines=True) == "β = 0.1, “ok”\n\tnext"


@settings(max_examples=25)
@given(label=hostile, error=hostile)
@example(label="\r\n𠀀", error="[/red]")  # of double width
def test_a_sweep_with_hostile_labels_and_errors_is_shown(trials_of_two_cells, label, error):
    trials = trials_of_two_cells.assign(label=f"beta={label},seed=0", state="failed", error=error)
    shown = _printed(lambda: results.print_cells(trials.assign(model=[f"a{label}", "b"])))
    assert not obeyed(shown) and "failed, 2 of 2 trials: beta=" in " ".join(shown.split())
    assert "".join(printable(label).split())[:20] in "".join(shown.split())


@pytest.mark.parametrize("text", PARTS)
def test_the_state_of_a_sweep_and_a_refusal_are_shown_whatever_is_in_them(tmp_path, text, capsys):
    path = write_sweep(tmp_path / "sweep", {"gamma": [0.0], "beta": [0.1]})
    trial = SweepFolder.open(path).trials()[0]
    trial.finish(Outcome(state="failed", iteration=0, error=f"ValueError: {text}"))
    trials = results.final(results.load(path))
    print_counts(trials)
    print_progress(SweepFolder.open(path), trials)
    print_failed(trials)
    with pytest.raises(SystemExit), exit_on_user_error():
        raise UserError(f"{text} is out of range.")
    told = capsys.readouterr()
    assert printable(text) in told.out and printable(text.strip(), lines=True).strip() in told.err
    assert not obeyed(told.out)


@settings(max_examples=25)
@given(name=hostile, who=hostile)
def test_what_others_call_themselves_ends_nobody_s_list(name, who):
    job = sweeps.SweepJob("id", name, "/x", who, "finished", "", datetime.now(), None, "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "connected", lambda address: nullcontext())
        patch.setattr(sweeps, "all_sweeps", lambda client: [job])
        shown = _printed(lambda: service._list(SimpleNamespace(address="http://x")))
    assert not obeyed(shown) and "finished" in shown


@settings(max_examples=60)
@given(st.sampled_from(["=", "+", "-", "@"]), hostile)
def test_no_cell_of_a_table_is_a_formula(first, rest):
    text = first + rest + "x"
    table = pd.DataFrame({"error": [text, rest + "\r" + text, "plain", "-1e-5"], text: 2.0, "kl": [-0.5, 1, 2, 3]})
    written = pd.read_csv(io.BytesIO(results.as_csv(table)), dtype=str, keep_default_na=False)
    assert written["error"][0] == list(written)[1] == f"'{printable(text)}"
    assert written["error"].tolist()[2:] == ["plain", "-1e-5"]
    assert written["kl"].tolist() == ["-0.5", "1.0", "2.0", "3.0"]
    assert not written["error"][1].startswith(("=", "+", "@"))


def _printed(show) -> str:
    """What something writes to the terminal."""
    with pytest.MonkeyPatch.context() as patch:
        told = io.StringIO()
        patch.setattr("sys.stdout", told)
        show()
    return told.getvalue()
