"""Every command answers --help, refuses what it does not know, and takes an option in full and once."""

import argparse
import importlib
import sys
from pathlib import Path

import pytest

from study.cli.arguments import Parser, path, positive, scheduler_address, share, whole
from study.cli.main import COMMANDS

ROOT = Path(__file__).parents[3]
STAGES = ("check", "prepare", "pretrain", "evaluate", "project")
NEEDED = {
    "ablate": ["--study", "tiny"], "report": ["--results", "study.json", "--out", "out"], "compare": ["a", "b"],
}  # fmt: skip
OURS = ("benchmarks", "study", "tests", "vicreg")  # of which none is missing but by a mistake
BENCHMARKS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if "__main__" in path.read_text("utf-8"))


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """A folder without params.yaml: a command that did anything at all would say so, or leave something."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not list(tmp_path.iterdir())


def main_of(name):
    return importlib.import_module(f"study.{name.replace('-', '_')}").main


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_printed_and_nothing_done(command, name):
    for asked in ("--help", "-h"):
        status, output, errors = command(main_of(name), asked)
        assert (status, errors) == (0, "") and output.startswith(f"usage: python -m study.{name.replace('-', '_')}")


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("unknown", [["--nonsense"], ["--nonsense=5"], ["nonsense"], ["--", "nonsense"], ["-x"], [""]])
def test_what_a_command_does_not_know_is_refused(command, name, unknown):
    status, output, errors = command(main_of(name), *NEEDED.get(name, []), *unknown)
    assert (status, output) == (2, "") and "error: " in errors.splitlines()[-1]


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("given", [["--profile", "images"], ["--set", "pretrain.nu=2"], ["--profile=images", "--nonsense"]])
def test_a_stage_says_where_its_settings_come_from(command, name, given):
    status, _, errors = command(main_of(name), *given)
    last = errors.splitlines()[-1]
    assert status == 2 and f"it takes no arguments, but got {' '.join(given)}; its settings are those of params.yaml" in last
    assert "`dvc exp run -S profile=images -S pretrain.nu=2`" in last


@pytest.mark.parametrize(
    ("name", "argv", "said"),
    [
        ("ablate", ["--study", "tiny", "--study", "tiny"], "--study: is given twice"),
        ("ablate", ["--seeds", "1", "--seeds=2"], "--seeds: is given twice"),
        ("ablate", ["--seed", "5"], "unrecognized arguments: --seed 5"),  # not --seeds 5, five seeds
        ("ablate", ["--first-seed", "5"], "--first-seed is the first of --seeds, which is not given; add --seeds N"),
        ("ablate", ["--first-seed", "0"], "--first-seed is the first of --seeds"),
        ("ablate", ["--seeds", "2", "--first-seed", "-1"], "must be a whole number from 0 to 1000000, but got '-1'"),
        ("ablate", ["--seeds", "0"], "must be a whole number from 1 to 1000000, but got '0'"),
        ("ablate", ["--seeds", "١"], "must be a whole number from 1 to 1000000"),
        ("ablate", ["--seeds", "1e3"], "must be a whole number from 1 to 1000000"),
        ("ablate", ["--seeds", "9" * 5000], "must be a whole number from 1 to 1000000"),
        ("ablate", ["--out", "x", "--dry-run"], "--out has no effect with --dry-run"),
        ("ablate", ["--out", "x", "--again"], "--out has no effect with --again"),
        ("ablate", ["--out", "x", "--arm", "a"], "--out has no effect with --arm"),
        ("ablate", ["--allow-diverged", "--status"], "--allow-diverged has no effect with --status"),
        ("ablate", ["--workers", "2", "--status"], "--workers has no effect with --status"),
        ("ablate", ["--store", ""], "--store: must name a file or a folder, but is empty"),
        ("ablate", ["--out", " "], "--out: must name a file or a folder, but is empty"),
        ("ablate", ["--status", "--machine", " "], "--machine: must be a name, or part of one, but is blank"),
        ("verify", ["--tolerance", "nan"], "must be a number from 0 to 1, but got 'nan'"),
        ("verify", ["--runs", "2", "--runs", "3"], "--runs: is given twice"),
        ("compare", ["a", "b", "--margin", "2"], "must be a number from 0 to 1, but got '2'"),
        ("compare", ["a", "b", "--margin", "nan"], "must be a number from 0 to 1, but got 'nan'"),
        ("compare", ["a"], "the following arguments are required: B"),
        ("source-page", ["--keep", "a", "--keep", "b"], "--keep: is given twice"),
        ("source-page", ["--keep"], "expected at least one argument"),
        ("source-paper", ["--set", "a=1", "--profile", "x", "--profile", "y"], "--profile: is given twice"),
        ("report", ["--results", "a", "--results", "b", "--out", "c"], "--results: is given twice"),
        ("index", ["--out", "a", "--out", "b"], "--out: is given twice"),
    ],
)  # fmt: skip
def test_an_option_without_effect_or_out_of_range_is_refused(command, name, argv, said):
    needed = [] if "--study" in argv or name != "ablate" else ["--study", "tiny"]
    status, output, errors = command(main_of(name), *needed, *argv)
    assert (status, output) == (2, "") and said in errors.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_answers_help_and_refuses_what_it_does_not_know(command, monkeypatch, name):
    try:
        module = importlib.import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] in OURS:
            raise
        pytest.skip(f"{error.name} is not installed")
    for argv, expected in ((["--help"], 0), (["--nonsense"], 2)):
        monkeypatch.setattr(sys, "argv", [name, *argv])
        status, output, errors = command(lambda _: module.main())
        assert status == expected and (output if expected == 0 else errors).startswith("usage: python -m benchmarks.")


def test_the_types_of_arguments_return_what_they_say():
    assert (positive("7"), whole("0"), share("0.5"), share("1")) == (7, 0, 0.5, 1.0)
    assert path("~/x") == Path.home() / "x" and path("~nobody-here/x") == Path("~nobody-here/x")


def test_a_repeatable_option_may_be_repeated():
    parser = Parser("study.mine", "Mine.")
    parser.add_argument("--set", action="append")
    assert parser.parse_args(["--set", "a=1", "--set", "b=2"]).set == ["a=1", "b=2"]


@pytest.mark.parametrize("text", ["tcp://alpha:8786", "tls://10.0.0.1:1", "slurm", "submitit-local"])
def test_a_scheduler_is_named_by_protocol_host_and_port_and_a_queue_by_a_word(text):
    assert scheduler_address(text) == text


@pytest.mark.parametrize(
    "text", ["", "alpha:8786", "tcp://alpha", "tcp://:8786", "udp://alpha:8786", "tcp://alpha:0", "tcp://a b:1", "slurm:1"]
)
def test_what_is_no_address_of_a_scheduler_is_refused_with_the_rule(text):
    with pytest.raises(
        argparse.ArgumentTypeError, match="must be slurm, submitit-local, tcp://HOST:PORT or tls://HOST:PORT, but got"
    ):
        scheduler_address(text)
