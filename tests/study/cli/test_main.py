"""The console script runs each command as `python -m study.<command>` does."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from study.cli.main import COMMANDS, main

STUDY = Path(__file__).parents[3] / "study"


@pytest.fixture
def typed(monkeypatch, capsys):
    """`typed("ablate", "--help")`: exit status, output and errors of the console script."""

    def run(*argv):
        monkeypatch.setattr(sys, "argv", ["vicreg-study", *argv])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code, captured.out, captured.err

    return run


def test_every_module_directly_in_study_is_a_command_that_the_script_knows():
    modules = {path.stem.replace("_", "-") for path in STUDY.glob("*.py")} - {"--init--"}
    assert modules == set(COMMANDS)
    assert all(callable(importlib.import_module(f"study.{name.replace('-', '_')}").main) for name in COMMANDS)


@pytest.mark.parametrize("asked", [(), ("--help",), ("-h",)])
def test_alone_it_lists_every_command_with_one_line_each(typed, asked):
    status, output, errors = typed(*asked)
    assert (status, errors) == (0, "")
    lines = [line.split(maxsplit=1) for line in output.splitlines() if line.startswith("  ")]
    assert [name for name, _ in lines] == list(COMMANDS) and all(len(does) <= 80 for _, does in lines)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ablat", "did you mean 'ablate'?"),
        ("source_paper", "did you mean 'source-paper'?"),
        ("xyz", "there are check, prepare, "),
    ],
)
def test_a_name_that_no_command_has_is_one_sentence_and_status_2(typed, name, hint):
    status, output, errors = typed(name, "--study", "tiny")
    assert (status, output) == (2, "")
    assert errors.startswith(f"error: there is no command {name!r}; ") and hint in errors and errors.count("\n") == 1


def test_a_command_reads_the_arguments_that_follow_its_name(project, typed):
    status, output, errors = typed("ablate", "--study", "tiny", "--status")
    assert (status, errors) == (0, "") and "0 of 3 runs are finished" in output


def test_bad_input_of_a_command_has_its_sentence_and_status(project, typed):
    status, output, errors = typed("ablate", "--study", "tinny")
    assert (status, output) == (2, "") and errors == "error: there is no study 'tinny'; did you mean 'tiny'?\n"


def test_the_help_of_a_command_is_its_own(typed):
    status, output, _ = typed("ablate", "--help")
    assert status == 0 and re.search(r"--study NAME", output) and "--add-seeds" in output


def test_a_reader_that_has_seen_enough_is_no_error():
    shell = f"{sys.executable} -m study.cli.main 2>&1 | head -n 1"
    told = subprocess.run(["bash", "-c", shell], cwd=STUDY.parent, capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == ["vicreg-study COMMAND [--help | ARGUMENTS]"]
