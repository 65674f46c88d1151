"""What a terminal's encoding lacks is printed as its escape, and never ends a command."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from study import ablate
from study.cli.command import run_command

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_a_greek_letter_is_printed_in_any_encoding(monkeypatch, encoding):
    output, errors = (io.TextIOWrapper(io.BytesIO(), encoding=encoding, write_through=True) for _ in range(2))
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", errors)

    def main():
        print("λ 25")
        print("ν 1", file=sys.stderr)

    with pytest.raises(SystemExit) as ended:
        run_command(main)
    expected = ("λ 25\n", "ν 1\n") if encoding == "utf-8" else ("\\u03bb 25\n", "\\u03bd 1\n")
    assert ended.value.code == 0
    assert tuple(one.buffer.getvalue().decode(encoding) for one in (output, errors)) == expected


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "argv", "status", "said"),
    [
        ({"PYTHONIOENCODING": "ascii"}, ["study.report", "--results", "λ", "--out", "ν"], 2, "results of a study"),
        ({"LC_ALL": "C", "PYTHONUTF8": "0"}, ["study.cli.main", "λ"], 2, "there is no command"),
    ],
)
def test_commands_say_greek_letters_whatever_the_locale(setting, argv, status, said):
    environment = {**os.environ, **setting}
    done = subprocess.run([sys.executable, "-m", *argv], cwd=ROOT, env=environment, capture_output=True, check=False)
    told = (done.stdout + done.stderr).decode("latin-1")
    assert done.returncode == status and said in told and "Traceback" not in told


@pytest.mark.slow
def test_a_study_is_run_to_its_end_where_standard_output_is_ascii(finished, monkeypatch):
    """Labels and answers have Greek letters; the last of them is printed after hours of work."""
    shutil.rmtree(finished.store.folder(finished.arm("tiny", "nu-2")["runs"][0]["digest"]))  # one run is left to do
    shutil.rmtree(finished.folder / "results/ablate/tiny")
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", output)
    with pytest.raises(SystemExit) as ended:
        run_command(lambda: ablate.main(["--study", "tiny"]))
    assert ended.value.code == 0 and (finished.folder / "results/ablate/tiny/study.json").exists()
    assert b"\\u03bd" in output.buffer.getvalue()
