"""The numbers of a page, packed: nothing is lost, and they are few bytes."""

import gzip
import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dd_ray.report.packing import as_text, pack
from tests.report.unpacking import unpacked

HARD = {
    "signs": [
        0.5,
        -0.5,
        0.0,
        None,
        -0.0123456,
        999999.0,
        100000.0,
        1e-9,
        9.99999e14,
        -3.0,
        7,
        None,
        0.1,
        0.3,
        1e22,
        2.5,
    ],
    "whole": [*range(-20, 20), None, 2**30, -(2**30)],
    "too large to be packed": [*range(16), 2**40],
    "too many digits": [*np.linspace(0, 1, 17).tolist(), 0.12345678],
    "too small": [*[0.25] * 16, 1e-40],
    "flags": [True, False] * 10,
    "texts": ["0.5"] * 20,
    "short": [1, 2, 3],
    "none": [None] * 20,
    "of one length": [[0.1 * k + j for k in range(9)] for j in range(4)],
    "of different lengths": [[1] * 20, [2] * 21, []],
    "table": {"a": [1.5] * 20, "</script>": [*range(20)]},
    "nested": [{"curves": {"x": [k / 8 for k in range(16)]}, "note": None}, {}],
    "empty": [],
}


def exactly(value: Any) -> Any:
    """As JSON has it, where 1.0 and 1 are the same number."""
    return json.loads(json.dumps(value), parse_int=float)


def test_what_is_packed_is_unpacked_exactly() -> None:
    known = json.loads(json.dumps(HARD), parse_float=lambda text: float(f"{float(text):.6g}"))
    for value in (HARD, known, {"a": known, "b": known}, [], None, "text"):
        assert exactly(unpacked(gzip.decompress(pack(value)))) == exactly(value)


def test_a_browser_unpacks_what_python_packed(tmp_path: Path) -> None:
    program = shutil.which("node")
    if program is None:
        pytest.skip("needs node: apt-get install nodejs")
    random = np.random.default_rng(0)
    magnitudes = 10.0 ** random.uniform(-12, 12, 3000) * random.choice([-1, 1], 3000)
    random_of = {str(digits): [float(f"{number:.{digits}g}") for number in magnitudes] for digits in range(1, 7)}
    value = {**HARD, "random": random_of, "apart": [*random_of.values()]}
    (tmp_path / "packed").write_bytes(gzip.decompress(pack(value)))
    script = (files("dd_ray.report") / "js" / "packed.js").read_text(encoding="utf-8")
    read = f"const file = require('fs').readFileSync({json.dumps(str(tmp_path / 'packed'))});"
    given = "file.buffer.slice(file.byteOffset, file.byteOffset + file.length)"
    call = f"console.log(JSON.stringify(contentOf({given})))"
    ran = subprocess.run([program, "--eval", script + read + call], capture_output=True, text=True, check=True)
    assert exactly(json.loads(ran.stdout)) == exactly(value)


def test_a_browser_reads_the_bytes_of_any_length(tmp_path: Path) -> None:
    program = shutil.which("node")
    if program is None:
        pytest.skip("needs node: apt-get install nodejs")
    random = np.random.default_rng(1)
    contents = [random.bytes(length) for length in range(12)] + [bytes(8), b"\xff" * 9, random.bytes(10_000)]
    texts = [as_text(content) for content in contents]
    assert not any("<" in text for text in texts) and any("," in text for text in texts)
    (tmp_path / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    script = (files("dd_ray.report") / "js" / "packed.js").read_text(encoding="utf-8")
    read = f"const texts = JSON.parse(require('fs').readFileSync({json.dumps(str(tmp_path / 'texts.json'))}));"
    call = "console.log(JSON.stringify(texts.map((text) => [...bytesOf(text)])))"
    ran = subprocess.run([program, "--eval", script + read + call], capture_output=True, text=True, check=True)
    assert [bytes(read) for read in json.loads(ran.stdout)] == contents


def test_a_key_that_would_be_mistaken_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be packed"):
        pack({"a": [{"~": [0, 0, 0, 16]}]})
    with pytest.raises(ValueError, match="JSON"):
        pack(float("nan"))


def test_a_number_is_three_bytes_and_equal_columns_are_stored_once() -> None:
    random = np.random.default_rng(0)
    curves = (0.5 + 0.02 * random.normal(size=(40, 30, 31))).round(6)  # [trials, metrics, iterations]
    trials = [{f"metric {i}": curve for i, curve in enumerate(trial)} for trial in curves.tolist()]
    size = len(pack(trials))
    assert size < 2.3 * curves.size  # that of noise in 17 bits; as JSON 9 bytes
    assert len(pack([trials, trials, trials])) < size + 5_000
